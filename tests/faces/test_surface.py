# SPDX-License-Identifier: Apache-2.0
"""What a user sees of the objects of both faces: their names, and their ``repr``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from faces import FACES, with_app
from scripted import Reply, Scripted, scripted

import gradio_transport as gt
from gradio_transport.aio.files import AsyncReader
from gradio_transport.client import AsyncClient
from gradio_transport.files.outputs import ServerFile
from gradio_transport.sync.files import Fetcher

DATA = "/gradio_api/queue/data"

TRANSPORT = {
    "attach", "call", "component_server", "config", "endpoints", "explain", "protocol", "reset", "session",
    "session_hash", "submit", "url",
}  # fmt: skip
SESSION = {"call", "component_server", "config", "endpoints", "reset", "session_hash", "submit"}
CALL = {
    "adapter", "add_done_callback", "cancel", "deadline", "deviations", "done", "endpoint", "event_id", "events",
    "fetch", "finish", "handle", "last_event", "result", "send", "session_hash", "status",
}  # fmt: skip
FILE = {
    "app", "content", "download", "is_stream", "mime_type", "name", "open", "orig_name", "path", "raw", "read",
    "size", "url",
}  # fmt: skip

SURFACES: dict[type, set[str]] = {
    gt.Transport: TRANSPORT | {"close"},
    gt.AsyncTransport: TRANSPORT | {"aclose"},
    gt.Session: SESSION | {"close"},
    gt.AsyncSession: SESSION | {"aclose"},
    gt.Call: CALL,
    gt.AsyncCall: CALL,
    gt.RemoteFile: FILE,
    gt.AsyncRemoteFile: FILE,
}

ASYNC_TWINS = {
    gt.Transport: gt.AsyncTransport,
    gt.Session: gt.AsyncSession,
    gt.Call: gt.AsyncCall,
    gt.RemoteFile: gt.AsyncRemoteFile,
}
AWAITED = {"call", "cancel", "close", "component_server", "download", "finish", "read", "result", "send"}
"""What the async twins await; all else waits for nothing, but `events` and `open`, which give what is awaited."""


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def public(shown: Any) -> set[str]:
    return {name for name in dir(shown) if not name.startswith("_")}


@pytest.mark.parametrize("kind", SURFACES, ids=lambda kind: kind.__name__)
def test_a_class_shows_what_a_user_may_call_and_nothing_else(kind: type) -> None:
    assert public(kind) == SURFACES[kind]


@pytest.mark.parametrize("kind", SURFACES, ids=lambda kind: kind.__name__)
def test_everything_shown_is_documented(kind: type) -> None:
    fields = {field.name for field in getattr(kind, "__attrs_attrs__", ())}  # documented in the class
    for name in SURFACES[kind] - fields:
        assert inspect.getdoc(inspect.getattr_static(kind, name)), name


@pytest.mark.parametrize("face", FACES)
def test_an_object_shows_no_more_than_its_class(server: Scripted, face: str) -> None:
    async def use(app: Any, wait: Any) -> None:
        session, call = app.session(), app.submit("/hello", "x")
        for shown in (app, session, call):
            assert public(shown) == SURFACES[type(shown)]
        await wait(call.result())

    with_app(face, server.url, use)


@pytest.mark.parametrize("kind", ASYNC_TWINS, ids=lambda kind: kind.__name__)
def test_the_async_twin_differs_in_what_is_awaited_alone(kind: type) -> None:
    for name in SURFACES[kind]:
        twin = "aclose" if name == "close" else name
        plain, awaited = (
            inspect.getattr_static(owner, member)
            for owner, member in ((kind, name), (ASYNC_TWINS[kind], twin))
        )
        assert type(plain) is type(awaited), name
        if inspect.isfunction(plain):
            assert inspect.iscoroutinefunction(awaited) is (name in AWAITED), name
            assert not inspect.iscoroutinefunction(plain)
            mine, its = set(inspect.signature(plain).parameters), set(inspect.signature(awaited).parameters)
            assert mine == its or name == "reset"  # the sync one waits for threads, for a time


# --- closing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", [gt.AsyncTransport, gt.AsyncSession, AsyncClient, AsyncReader], ids=lambda kind: kind.__name__
)
def test_what_has_to_be_closed_has_aclose_and_is_a_context_manager(kind: Any) -> None:
    assert inspect.iscoroutinefunction(kind.aclose)
    assert inspect.iscoroutinefunction(kind.__aenter__)
    assert inspect.iscoroutinefunction(kind.__aexit__)
    assert not hasattr(kind, "close")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_closed_async_session_has_left_no_stream(server: Scripted, backend: str) -> None:
    async def main() -> None:
        async with gt.connect_async(server.url) as app:
            session = app.session()
            call = session.submit("/forever", "x")
            async for event in call:
                if isinstance(event, gt.ProcessGenerating):
                    break
            (driver,) = session._core._drivers.values()
            assert driver._reader_count
            await session.aclose()
            await session.aclose()
            assert not driver._reader_count
            with pytest.raises(gt.errors.LocalProtocolError, match="closed"):
                await call
            async with app.session() as other:
                assert await other.call("/hello", "x") == ["Hello, x!"]
            with pytest.raises(gt.errors.LocalProtocolError, match="closed"):
                other.submit("/hello", "x")

    anyio.run(main, backend=backend)


# --- repr ---------------------------------------------------------------------------------------------


def hang(reply: Reply) -> None:
    reply.stream()
    reply.hold()


@pytest.mark.parametrize("face", FACES)
def test_the_repr_of_a_transport_says_where_how_and_whether_it_is_open(server: Scripted, face: str) -> None:
    prefix = "" if face == "sync" else "Async"
    host = server.url.removeprefix("http://")

    async def use(app: Any, wait: Any) -> Any:
        assert repr(app) == f"<{prefix}Transport of http://{host} sse_v3, open>"
        return app

    app = with_app(face, f"http://user:secret@{host}", use)
    assert repr(app) == f"<{prefix}Transport of http://{host} sse_v3, closed>"


@pytest.mark.parametrize("face", FACES)
def test_the_repr_of_a_session_counts_its_calls(server: Scripted, face: str) -> None:
    server.scripts[DATA] = hang
    prefix = "" if face == "sync" else "Async"

    async def use(app: Any, wait: Any) -> None:
        session = app.session()
        known = f"<{prefix}Session of {server.url} sse_v3, "
        short = f", session_hash='{session.session_hash[:4]}…'>"
        assert repr(session) == f"{known}0 calls under way{short}"
        session.submit("/forever", "x")
        assert repr(session) == f"{known}1 call under way{short}"
        session.submit("/forever", "y")
        assert repr(session) == f"{known}2 calls under way{short}"
        assert session.session_hash not in repr(session)
        await wait(session.close() if face == "sync" else session.aclose())
        assert repr(session) == f"{known}closed{short}"

    with_app(face, server.url, use)


@pytest.mark.parametrize("face", FACES)
def test_the_repr_of_a_call_says_where_it_stands(server: Scripted, face: str) -> None:
    prefix = "" if face == "sync" else "Async"

    async def use(app: Any, wait: Any) -> None:
        call = app.submit("/count", "x")
        await wait(call.result())
        text = repr(call)
        assert text.startswith(f"<{prefix}Call /count sse_v3 COMPLETED event_id='even…' ")
        assert text.endswith(" events waiting>")
        assert call.event_id not in text
        assert call.session_hash not in text
        forever = app.submit("/forever", "x")
        event = None
        while not isinstance(event, gt.ProcessGenerating):
            event = next(iter(forever)) if face == "sync" else await anext(aiter(forever))
        assert repr(forever) == f"<{prefix}Call /forever sse_v3 RUNNING (ProcessGenerating) event_id='even…'>"
        await wait(forever.cancel())

    with_app(face, server.url, use)


@pytest.mark.parametrize("kind", [gt.RemoteFile, gt.AsyncRemoteFile], ids=lambda kind: kind.__name__)
def test_the_repr_of_a_file_shows_no_secret(kind: Any) -> None:
    fetcher: Any = Fetcher.__new__(Fetcher)
    remote = kind(url="http://user:word@host/file=a.png?__sign=abc#x", size=1234, fetcher=fetcher)
    assert repr(remote) == f"<{kind.__name__} 'file=a.png', 1,234 bytes, http://host/file=a.png>"
    held = kind(url="", orig_name="b.txt", content=b"content", raw={"data": "secret"}, fetcher=fetcher)
    assert repr(held) == f"<{kind.__name__} 'b.txt', inside the payload>"
    growing = kind(url="http://host/s.m3u8", is_stream=True, fetcher=fetcher)
    assert repr(growing) == f"<{kind.__name__} 's.m3u8', http://host/s.m3u8, still being made>"
    assert isinstance(remote, ServerFile)


def test_the_repr_of_a_client_is_that_of_its_transport(server: Scripted) -> None:
    assert repr(AsyncClient(server.url)) == "<AsyncClient of a transport, not connected>"

    async def main() -> None:
        async with AsyncClient(server.url) as client:
            assert repr(client) == f"<AsyncClient of <AsyncTransport of {server.url} sse_v3, open>>"

    anyio.run(main)
