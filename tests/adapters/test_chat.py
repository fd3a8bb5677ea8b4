# SPDX-License-Identifier: Apache-2.0
"""Both faces with an OpenAI-compatible server on loopback."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import anyio
import pytest
from chat_server import TOKEN, chat_server, models
from scripted import Scripted, scripted

import gradio_transport as gt
from gradio_transport.protocol.flow import State
from gradio_transport.trace import TraceWriter, read_trace

FACES = ("asyncio", "trio")


@pytest.fixture
def server() -> Iterator[Scripted]:
    with chat_server() as running:
        yield running


def door(server: Scripted, **options: Any) -> dict[str, Any]:
    """Return the arguments of either `connect`."""
    settings = {"protocol": "openai_chat", "model": "parrot", "token": TOKEN}
    return {"source": f"{server.url}/v1/", **settings, **options}


def bodies(server: Scripted) -> list[Any]:
    return [body for path, body in server.seen if path == "/v1/chat/completions"]


def test_an_answer_grows_and_the_last_event_knows_what_it_cost(server: Scripted) -> None:
    with gt.connect(**door(server, system_message="Be a parrot.")) as app:
        assert app.protocol == "openai_chat"
        assert str(app.endpoints["/chat"]).startswith("/chat(message: ")
        call = app.submit("/chat", "good day sir", [["hello", "hello"]])
        events = list(call)
        assert [event.data for event in events if isinstance(event, gt.ProcessGenerating)] == [
            ["good"], ["good day"], ["good day sir"],
        ]  # fmt: skip
        last = events[-1]
        assert isinstance(last, gt.ProcessCompleted)
        assert last.raw is not None
        assert last.raw["usage"]["total_tokens"] == 6
        assert call.result() == ["good day sir"]
        assert call.event_id == "chatcmpl-1"
    (body,) = bodies(server)
    assert [one["role"] for one in body["messages"]] == ["system", "user", "assistant", "user"]


def test_the_answer_continues_the_history(server: Scripted) -> None:
    with gt.connect(**door(server, streaming=False)) as app:
        history: list[Any] = []
        for word in ("one", "two"):
            call = app.submit("/chat", word, history)
            (*_, last) = call
            assert last.raw is not None
            history += [{"role": "user", "content": word}, last.raw["choices"][0]["message"]]
        app.call("/chat", message="three", history=history)
    said = [(one["role"], one["content"]) for one in bodies(server)[-1]["messages"]]
    assert said[:4] == [("user", "one"), ("assistant", "one"), ("user", "two"), ("assistant", "two")]


def test_files_go_along(server: Scripted) -> None:
    files = [{"path": "a.txt", "data": b"the text"}, {"path": "a.png", "data": b"pixels"}]
    with gt.connect(**door(server, file_types=["text_encoded", "image"])) as app:
        app.call("/chat", {"text": "look", "files": files})
    (text, image) = bodies(server)[0]["messages"][0]["content"]
    assert text["text"] == "look\n\na.txt:\n```txt\nthe text\n```"
    assert image["image_url"]["url"].endswith(base64.b64encode(b"pixels").decode())


def test_files_on_disk_or_elsewhere_are_read_by_the_driver(server: Scripted, tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text("from disk", encoding="utf-8")
    server.scripts["/elsewhere.txt"] = lambda reply: reply.text("from elsewhere")
    with gt.connect(**door(server)) as app:
        files = [gt.handle_file(path), gt.handle_file(f"{server.url}/elsewhere.txt")]
        app.call("/chat", {"text": "read", "files": files})
        app.call("/chat", "read", [{"role": "user", "content": gt.handle_file(b"from memory", name="a.txt")}])
    sent, later = (body["messages"][0]["content"] for body in bodies(server))
    assert sent == ("read\n\nnotes.md:\n```md\nfrom disk\n```\n\nelsewhere.txt:\n```txt\nfrom elsewhere\n```")
    assert "from memory" in later
    assert not any("upload" in path for path, _ in server.seen)


@pytest.mark.parametrize("backend", FACES)
def test_files_by_tasks(server: Scripted, backend: str, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"\xff\xfe\x00")

    async def run() -> None:
        async with gt.connect_async(**door(server, file_types=[".bin", ".md"])) as app:
            with pytest.raises(gt.ValidationFailed, match=r"'a\.bin' is not "):
                await app.call("/chat", {"files": [gt.handle_file(path)]})
            with pytest.raises(gt.ValidationFailed, match="is not allowed"):
                await app.call("/chat", {"files": [gt.handle_file(b"x", name="a.png")]})

    anyio.run(run, backend=backend)
    assert bodies(server) == []


@pytest.mark.parametrize("engine", ["httpx", "httpx2"])
@pytest.mark.parametrize("text", ["/crlf", "/strict"])
def test_servers_of_other_habits(server: Scripted, engine: Any, text: str) -> None:
    with gt.connect(**door(server, engine=engine)) as app:
        assert app.call("/chat", text) == (["one two"] if text == "/crlf" else [text])


def test_a_server_is_asked_only_once_for_what_it_refuses(server: Scripted) -> None:
    with gt.connect(**door(server)) as app:
        assert [app.call("/chat", "/strict") for _ in range(2)] == [["/strict"]] * 2
    assert ["stream_options" in body for body in bodies(server)] == [True, False, False]


FAILURES = [
    ("/cut", gt.StreamLost, "7 characters"),
    ("/break", gt.ServerRefused, "overloaded"),
    ("/long", gt.errors.InvalidPayload, "longer than the context of the model 'parrot'"),
    ("/limit", gt.errors.RateLimited, "Slow down"),
    ("/down", gt.ServerRefused, "down"),
    ("/nonsense", gt.errors.MalformedMessage, "oh no"),
]


@pytest.mark.parametrize(("text", "kind", "said"), FAILURES)
def test_failures_by_threads(server: Scripted, text: str, kind: Any, said: str) -> None:
    with gt.connect(**door(server)) as app:
        with pytest.raises(kind, match=said) as caught:
            app.call("/chat", text)
        assert caught.value.adapter == "openai_chat"
        assert caught.value.may_have_run is (text not in ("/long", "/limit"))
        if isinstance(caught.value, gt.errors.RateLimited):
            assert caught.value.retry_after == 3
        assert app.call("/chat", "still here") == ["still here"]


@pytest.mark.parametrize("backend", FACES)
def test_failures_by_tasks(server: Scripted, backend: str) -> None:
    async def run() -> None:
        async with gt.connect_async(**door(server)) as app:
            for text, kind, said in FAILURES:
                with pytest.raises(kind, match=said):
                    await app.call("/chat", text)

    anyio.run(run, backend=backend)


@pytest.mark.parametrize("backend", FACES)
@pytest.mark.parametrize("streaming", [True, False])
def test_the_same_by_tasks(server: Scripted, backend: str, streaming: bool) -> None:
    async def run() -> None:
        async with gt.connect_async(**door(server, streaming=streaming)) as app:
            kinds = [type(event).__name__ async for event in app.submit("/chat", "good day")]
            growing = ["ProcessStarts", "ProcessGenerating", "ProcessGenerating"] if streaming else []
            assert kinds == ["Joined", *growing, "ProcessCompleted"]
            calls = [app.submit("/chat", f"number {number}") for number in range(20)]
            assert [await call.result() for call in calls] == [[f"number {n}"] for n in range(20)]

    anyio.run(run, backend=backend)


def test_cancelling_by_threads_closes_the_stream(server: Scripted) -> None:
    with gt.connect(**door(server)) as app:
        call = app.submit("/chat", "/hold")
        for event in call:
            if isinstance(event, gt.ProcessGenerating):
                break
        assert call.cancel() is gt.events.Achieved.UNKNOWN
        assert call.status is State.CANCELLED
        with pytest.raises(CancelledError):
            call.result()


@pytest.mark.parametrize("backend", FACES)
def test_cancelling_by_tasks_closes_the_stream(server: Scripted, backend: str) -> None:
    async def run() -> None:
        async with gt.connect_async(**door(server)) as app:
            call = app.submit("/chat", "/hold")
            async for event in call:
                if isinstance(event, gt.ProcessGenerating):
                    break
            assert await call.cancel() is gt.events.Achieved.UNKNOWN
            assert call.done()

    anyio.run(run, backend=backend)


def test_a_deadline_is_kept(server: Scripted) -> None:
    with gt.connect(**door(server, timeouts=gt.Timeouts(total=0.5))) as app:
        with pytest.raises(gt.TimeoutExpired) as caught:
            app.call("/chat", "/hold")
        assert caught.value.setting == "total"


class TestConnecting:
    def test_nobody_answers(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        with pytest.raises(gt.ConnectError):
            gt.connect(f"http://127.0.0.1:{port}/v1", protocol="openai_chat", model="x")

    @pytest.mark.parametrize("token", [None, "wrong"])
    def test_a_key_is_wanted(self, server: Scripted, token: str | None) -> None:
        with pytest.raises(gt.AuthenticationRequired, match="token="):
            gt.connect(**door(server, token=token))

    def test_the_model_must_be_one_of_the_server_s(self, server: Scripted) -> None:
        with pytest.raises(gt.EndpointNotFound, match=r"Did you mean 'parrot'\?.* has: parrot, macaw"):
            gt.connect(**door(server, model="parot"))
        with pytest.raises(gt.errors.LocalProtocolError, match="Pass a model: model="):
            gt.connect(**door(server, model=None))

    def test_a_model_that_is_gone_later(self, server: Scripted) -> None:
        server.scripts["/v1/models"] = lambda reply: reply.json({"detail": "Not Found"}, 404)
        with (
            gt.connect(**door(server, model="gone")) as app,
            pytest.raises(gt.EndpointNotFound, match="'gone'"),
        ):
            app.call("/chat", "x")

    def test_an_unknown_setting(self, server: Scripted) -> None:
        with pytest.raises(gt.errors.LocalProtocolError, match="Did you mean 'system_message'"):
            gt.connect(**door(server, sytem_message="x"))
        with pytest.raises(gt.errors.LocalProtocolError, match="does not know model="):
            gt.connect(server.url, model="parrot")

    def test_a_gradio_app_is_none(self) -> None:
        with (
            scripted() as gradio,
            gt.connect(gradio.url, protocol="openai_chat", model="x") as app,
            pytest.raises(gt.EndpointNotFound, match="ends in /v1"),
        ):
            app.call("/chat", "x")


def test_the_token_never_leaves_its_origin(server: Scripted) -> None:
    with chat_server() as other:
        seen: list[Any] = []

        def watch(reply: Any) -> None:
            seen.append(reply.headers.get("authorization"))
            models(reply)

        other.scripts["/v1/models"] = watch
        server.scripts["/v1/models"] = lambda reply: reply.text("", 307, location=f"{other.url}/v1/models")
        with pytest.raises(gt.errors.RemoteProtocolError, match="redirects to"):
            gt.connect(**door(server))
        assert seen == []


def test_a_trace_tells_the_chat_and_not_the_token(server: Scripted, tmp_path: Any) -> None:
    path = tmp_path / "chat.jsonl"
    with TraceWriter(path) as tap, gt.connect(**door(server, tap=tap)) as app:
        app.call("/chat", "good day")
    assert TOKEN not in path.read_text(encoding="utf-8")
    assert any(frame.kind.value == "chunk" for frame in read_trace(path).frames)
