# SPDX-License-Identifier: Apache-2.0
"""A trace holds enough to explain a failure: what was refused and why, by which library, under which settings."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from faces import ENGINES, FACES, with_app
from scripted import Scripted, scripted

import gradio_transport as gt
from gradio_transport.errors import GradioTransportError
from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import TraceWriter, lint_trace, read_trace, replay

TIMEOUTS = gt.Timeouts(connect=5, discover=5, join=5, total=9)
UNREACHED = "http://127.0.0.1:9"

faces = pytest.mark.parametrize("face", FACES)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as started:
        yield started


async def nothing(app: Any, wait: Any) -> None:
    """Only connect."""


def failed(face: str, url: str, path: Path, use: Any = nothing, **arguments: Any) -> GradioTransportError:
    """Return the error of what is traced to a file."""
    with TraceWriter(path) as writer, pytest.raises(GradioTransportError) as caught:
        with_app(face, url, use, tap=writer, timeouts=TIMEOUTS, **arguments)
    return caught.value


def conclusion(path: Path) -> Frame:
    """Return the last frame of a trace, which must still replay and be checked."""
    trace = read_trace(path)
    replay(trace)
    lint_trace(trace)
    return trace.frames[-1]


@pytest.mark.parametrize("face", ENGINES)
def test_a_refused_connection_ends_the_trace_with_the_error(face: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    error = failed(face, UNREACHED, path)
    last = conclusion(path)
    assert (last.direction, last.kind, last.channel, last.session) == (
        Direction.LOCAL, Kind.ERROR, "discover", 0,
    )  # fmt: skip
    assert (last.payload["error"], last.payload["message"]) == ("ConnectError", error.message)
    engine = {
        "": "httpx", "client": "httpx.Client of the caller", "httpx2 client": "httpx2.Client of the caller",
    }.get(face.partition("+")[2], face.partition("+")[2])  # fmt: skip
    if not face.startswith("sync"):
        engine = engine.replace(".Client", ".AsyncClient")
    assert read_trace(path).meta["engine"] == engine


@faces
def test_what_is_not_gradio_is_named_with_its_answer(face: str, server: Scripted, tmp_path: Path) -> None:
    server.scripts["/config"] = server.scripts["/"] = lambda reply: reply.text("<title>Streamlit</title>")
    error = failed(face, server.url, tmp_path / "trace.jsonl")
    last = conclusion(tmp_path / "trace.jsonl")
    assert (last.payload["error"], last.payload["message"]) == ("NotAGradioApp", error.message)
    assert "Streamlit" in last.payload["message"]
    assert [type(one) for one in replay(read_trace(tmp_path / "trace.jsonl")).refusals] == [
        gt.errors.NotAGradioApp
    ]


@faces
def test_an_untrusted_redirect_is_named(face: str, server: Scripted, tmp_path: Path) -> None:
    server.scripts["/config"] = lambda reply: reply.text("", 302, location="http://127.0.0.2:9/config")
    failed(face, server.url, tmp_path / "trace.jsonl", headers={"x-mine": "abcdefghijkl"})
    last = conclusion(tmp_path / "trace.jsonl")
    assert last.payload["error"] == "UntrustedRedirect"
    assert "http://127.0.0.2:9" in last.payload["message"]


@faces
def test_a_space_that_the_hub_does_not_show_is_named(
    face: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(name: str, **_: Any) -> None:
        raise gt.errors.SpaceNotFound(f"There is no Space {name}.", phase=gt.errors.Phase.DISCOVER)

    monkeypatch.setattr("gradio_transport.spaces.resolve", resolve)
    failed(face, "owner/name", tmp_path / "trace.jsonl")
    last = conclusion(tmp_path / "trace.jsonl")
    assert (last.payload["error"], last.payload["message"]) == (
        "SpaceNotFound",
        "There is no Space owner/name.",
    )
    assert [str(one.message) for one in replay(read_trace(tmp_path / "trace.jsonl")).refusals] == [
        "There is no Space owner/name."
    ]


@faces
def test_the_proxy_of_the_environment_is_named(
    face: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://me:hidden-password@127.0.0.1:9")
    failed(face, "http://app.example", tmp_path / "trace.jsonl")
    message = conclusion(tmp_path / "trace.jsonl").payload["message"]
    assert "the proxy http://127.0.0.1:9 (of http_proxy)" in message
    assert "hidden-password" not in (tmp_path / "trace.jsonl").read_text(encoding="utf-8")


REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "no such endpoint": (("/nonsense", "x"), "EndpointNotFound"),
    "a surplus argument": (("/hello", "x", "y"), "ValidationFailed"),
    "not JSON": (("/hello", object()), "ValidationFailed"),
}


@faces
@pytest.mark.parametrize("name", REFUSED)
def test_a_call_that_is_refused_before_it_is_sent_leaves_a_frame(
    face: str, name: str, server: Scripted, tmp_path: Path
) -> None:
    (endpoint, *arguments), kind = REFUSED[name]

    async def use(app: Any, wait: Any) -> None:
        await wait(app.call(endpoint, *arguments))

    error = failed(face, server.url, tmp_path / "trace.jsonl", use)
    assert type(error).__name__ == kind
    refused = conclusion(tmp_path / "trace.jsonl")
    assert (refused.direction, refused.kind, refused.channel) == (Direction.LOCAL, Kind.REFUSED, "refused")
    assert refused.payload == {"endpoint": endpoint, "error": kind, "message": error.message}
    assert not any(path.endswith("/join") for path, _ in server.seen)


@faces
def test_a_call_whose_file_cannot_be_uploaded_leaves_a_frame(
    face: str, server: Scripted, tmp_path: Path
) -> None:
    server.scripts["/config"] = lambda reply: reply.json(_with_files())
    server.scripts["/gradio_api/upload"] = lambda reply: reply.text("too large", 413)

    async def use(app: Any, wait: Any) -> None:
        await wait(app.call("/hello", gt.handle_file(b"mine", name="x.txt")))

    error = failed(face, server.url, tmp_path / "trace.jsonl", use)
    refused = conclusion(tmp_path / "trace.jsonl")
    assert (refused.kind, refused.payload["endpoint"]) == (Kind.REFUSED, "/hello")
    assert refused.payload["message"] == error.message
    assert error.phase is gt.errors.Phase.UPLOAD


def _with_files() -> dict[str, Any]:
    from scripted import CONFIG

    return CONFIG | {"components": [{"id": number, "type": "file", "props": {}} for number in (1, 2)]}


@faces
def test_a_call_after_the_end_leaves_a_frame(face: str, server: Scripted, tmp_path: Path) -> None:
    async def use(app: Any, wait: Any) -> None:
        session = app.session()
        await wait(session.aclose() if hasattr(session, "aclose") else session.close())
        await wait(session.call("/hello", "x"))

    error = failed(face, server.url, tmp_path / "trace.jsonl", use)
    assert conclusion(tmp_path / "trace.jsonl").payload == {
        "endpoint": "/hello",
        "error": "LocalProtocolError",
        "message": error.message,
    }


def test_a_tap_that_raises_does_not_hide_why_the_call_was_refused(server: Scripted) -> None:
    def tap(frame: Frame) -> None:
        if frame.kind is Kind.REFUSED:
            raise ValueError("of the tap")

    with gt.connect(server.url, tap=tap) as app, pytest.raises(gt.EndpointNotFound):
        app.call("/nonsense")


@faces
def test_the_trace_says_who_recorded_it_where_and_under_which_settings(
    face: str, server: Scripted, tmp_path: Path
) -> None:
    async def use(app: Any, wait: Any) -> None:
        await wait(app.call("/hello", "x"))

    limits = gt.Limits(workers=7)
    with TraceWriter(tmp_path / "trace.jsonl") as writer:
        with_app(face, server.url, use, tap=writer, timeouts=TIMEOUTS, limits=limits)
    trace = read_trace(tmp_path / "trace.jsonl")
    assert trace.meta["library"] == f"gradio-transport {gt.__version__}"
    assert trace.meta["recorder"] == "library"
    assert trace.meta["python"].endswith(platform.python_version())
    assert platform.system() in trace.meta["platform"]
    (session,) = [frame for frame in trace.frames if frame.kind is Kind.SESSION]
    assert session.payload["timeouts"] == attrs.asdict(TIMEOUTS)
    assert session.payload["limits"] == attrs.asdict(limits)
    assert session.payload["engine"] == trace.meta["engine"]
    assert replay(trace).mismatches == []


@faces
def test_an_error_says_where_its_trace_is(face: str, server: Scripted, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    note = f"Trace: {path}"

    async def refused(app: Any, wait: Any) -> None:
        await wait(app.call("/nonsense"))

    async def raised(app: Any, wait: Any) -> None:
        await wait(app.call("/raise_error", "x"))

    for url, use in ((UNREACHED, nothing), (server.url, refused), (server.url, raised)):
        error = failed(face, url, path, use)
        assert error.__notes__.count(note) == 1, error


@faces
def test_an_error_names_no_trace_where_none_is_written(face: str, server: Scripted) -> None:
    async def refused(app: Any, wait: Any) -> None:
        await wait(app.call("/nonsense"))

    frames: list[Frame] = []
    with pytest.raises(GradioTransportError) as caught:
        with_app(face, server.url, refused, tap=frames.append)
    assert not any("Trace" in note for note in getattr(caught.value, "__notes__", ()))
