# SPDX-License-Identifier: Apache-2.0
"""No secret stands in what the library shows: messages, `repr`, logs, notes, pickles, handles, traces, stdout.

The fault bench plays all its cells with secrets too; see tests/conformance/test_fault_bench.py.
"""

from __future__ import annotations

import contextlib
import html
import json
import pickle
import re
import socket
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import attrs
import pytest
from canaries import CANARY, SECRETS, all_of, leaks, watched_logs, with_userinfo
from click.testing import CliRunner
from faces import ENGINES, FACES, with_app
from proxies import connect_proxy, socks_proxy
from scripted import CONFIG, INFO, Reply, Scripted, scripted

import gradio_transport as gt
from gradio_transport.cli.app import commands
from gradio_transport.trace import TraceWriter, read_trace, replay

TOKEN = f"hf_{CANARY}"
OPTIONS = gt.CallOptions(headers={"x-call": CANARY}, oauth_token=TOKEN)

faces = pytest.mark.parametrize("face", FACES)


@pytest.fixture
def server() -> Iterator[Scripted]:
    info = json.loads(json.dumps(INFO))
    for endpoint in info["named_endpoints"].values():
        endpoint["oauth_token"] = "optional"
    with scripted() as running:
        running.scripts["/gradio_api/info"] = lambda reply: reply.json(info)
        yield running


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    with watched_logs() as found:
        yield
    assert found == []


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@faces
@pytest.mark.parametrize("names_the_origin", [False, True])
def test_nothing_of_an_app_that_works_shows_a_secret(
    server: Scripted, face: str, tmp_path: Path, names_the_origin: bool
) -> None:
    with TraceWriter(tmp_path / "trace.jsonl") as tap:
        arguments: dict[str, Any] = {**SECRETS, "tap": tap, "auth": ("ann", CANARY)}
        if names_the_origin:
            arguments |= {"token": TOKEN, "token_origin": with_userinfo(server.url)}
        shown: list[Any] = []

        async def use(app: Any, wait: Any) -> None:
            session = app.session(headers={"x-session": CANARY})
            shown.extend([app, session, app.explain(), vars(app), OPTIONS, pickle.dumps(app)])
            with gt.forward({"x-ip-token": CANARY}):
                call = session.submit("/count", "x", options=attrs.evolve(OPTIONS, listener=shown.append))
            await wait(call.result())
            late = app.submit("/count", "x", options=gt.CallOptions(attach="late", own_session=True))
            if face == "sync":
                shown.append(late.handle().to_json())
            shown.extend([call, session, late])

        with_app(face, with_userinfo(server.url), use, **arguments)
    assert leaks(*shown) == []
    assert leaks((tmp_path / "trace.jsonl").read_text()) == []
    sent = next(headers for path, headers in server.asked if path == "/gradio_api/queue/join")
    assert {sent["x-call"], sent["x-session"], sent["x-ip-token"]} == {CANARY}
    assert CANARY in sent["x-secret"]
    kind = "Bearer" if names_the_origin else "Basic"
    assert sent["authorization"].startswith(kind)


def _redirect_away(reply: Reply) -> None:
    reply.text("", 302, location=f"http://127.0.0.1:{closed_port()}/config")


def _echo(reply: Reply) -> str:
    """Return all that a request holds, as it is and decoded."""
    return f"{reply.headers} {reply.body} {unquote_plus(str(reply.body))} {reply.path}"


def _stream_echo(*sizes: int) -> Callable[[Reply], None]:
    """Return a script that says in a stream, in chunks of these sizes, what was sent; then the stream breaks."""

    def script(reply: Reply) -> None:
        reply.stream()
        message = {"msg": "log", "log": _echo(reply), "level": "info", "event_id": "event1"}
        data = b"data: " + json.dumps(message).encode() + b"\n\n"
        for size in sizes:
            reply.chunk(data[:size])
            data = data[size:]
        reply.chunk(data)
        reply.cut()

    return script


ECHOES: dict[str, dict[str, Any]] = {
    "a page": {"/config": lambda reply: reply.text(_echo(reply), 500)},
    "a config": {"/config": lambda reply: reply.json(CONFIG | {"dependencies": _echo(reply)})},
    "a login form": {
        "/config": lambda reply: reply.json({"detail": "Not authenticated"}, 401),
        "/login": lambda reply: reply.text(f"<form>{html.escape(_echo(reply))}</form>", 400),
    },
    "a refusal of a login": {
        "/config": lambda reply: reply.json({"detail": "Not authenticated"}, 401),
        "/login": lambda reply: reply.json({"detail": _echo(reply)}, 403),
    },
    "a refused join": {"/gradio_api/queue/join": lambda reply: reply.json({"detail": _echo(reply)}, 422)},
    "a name of an endpoint": {
        "/config": lambda reply: reply.json(
            CONFIG
            | {
                "dependencies": [
                    {"id": 0, "api_name": reply.headers["x-secret"], "inputs": [], "outputs": []}
                ]
            }
        )
    },
    "a version and a title": {
        "/config": lambda reply: reply.json(
            CONFIG | {"version": f"6.31.0 {_echo(reply)}", "title": _echo(reply)}
        ),
        "/gradio_api/queue/join": lambda reply: reply.text("no", 500),
    },
    "a stream": {"/gradio_api/queue/data": _stream_echo()},
    "a stream in pieces": {"/gradio_api/queue/data": _stream_echo(*[50] * 40)},
    "a stream in small pieces": {"/gradio_api/queue/data": _stream_echo(*[4] * 200)},
}


@pytest.mark.parametrize("face", ENGINES)
@pytest.mark.parametrize("name", ECHOES)
def test_a_server_that_echoes_what_it_was_sent_makes_nothing_shown(
    server: Scripted, face: str, name: str, tmp_path: Path
) -> None:
    server.scripts |= ECHOES[name]
    arguments: dict[str, Any] = {**SECRETS, "timeouts": 5, "auth": ("ann", f"{CANARY}-of-a-login")}

    async def use(app: Any, wait: Any) -> None:
        session = app.session(headers={"x-session": f"{CANARY}-of-a-session"})
        with gt.forward({"x-ip-token": f"{CANARY}-of-a-visitor"}):
            await wait(session.call("/hello", "x", options=OPTIONS))

    with TraceWriter(tmp_path / "trace.jsonl") as tap, pytest.raises(gt.GradioTransportError) as caught:
        with_app(face, with_userinfo(server.url) + f"/?sign={CANARY}-of-the-url", use, tap=tap, **arguments)
    assert leaks(*all_of(caught.value), (tmp_path / "trace.jsonl").read_text()) == []
    notes = "\n".join(getattr(caught.value, "__notes__", ()))
    # What stands in several lines can be put together again.
    assert leaks("".join(re.findall(r" chunk +(.*)", notes))) == []


@faces
def test_what_a_function_returns_is_not_changed(server: Scripted, face: str, tmp_path: Path) -> None:
    async def use(app: Any, wait: Any) -> Any:
        return await wait(app.call("/hello", f"{CANARY} of a header"))

    with TraceWriter(tmp_path / "trace.jsonl") as tap:
        value = with_app(face, server.url, use, tap=tap, **SECRETS)
    assert value == [f"Hello, {CANARY} of a header!"]
    assert leaks((tmp_path / "trace.jsonl").read_text()) == []
    replay(read_trace(tmp_path / "trace.jsonl")).check()


@pytest.mark.parametrize(
    "secret", [f"{CANARY}-of-an-argument", 471147, [f"{CANARY}-in-a-list", [f"{CANARY}-deeper"]]]
)
@faces
def test_an_argument_that_is_a_secret_by_the_name_of_its_parameter_is_not_shown(
    server: Scripted, face: str, secret: Any, tmp_path: Path
) -> None:
    info = json.loads(json.dumps(INFO))
    info["named_endpoints"]["/hello"]["parameters"] = [{"parameter_name": "api_key", "type": {}}]
    server.scripts["/gradio_api/info"] = lambda reply: reply.json(info)
    server.scripts["/gradio_api/queue/data"] = _stream_echo()
    server.scripts["/gradio_api/queue/join"] = lambda reply: reply.json({"detail": _echo(reply)}, 400)

    async def use(app: Any, wait: Any) -> None:
        await wait(app.call("/hello", secret))

    with TraceWriter(tmp_path / "trace.jsonl") as tap, pytest.raises(gt.GradioTransportError) as caught:
        with_app(face, server.url, use, tap=tap, timeouts=5)
    shown = [*all_of(caught.value), (tmp_path / "trace.jsonl").read_text()]
    assert leaks(*shown) == []
    assert not any("471147" in text for text in shown)


@faces
def test_user_and_password_that_a_server_puts_into_urls_are_kept_nowhere(server: Scripted, face: str) -> None:
    named = with_userinfo(server.url, "me")
    config = json.loads(json.dumps(CONFIG | {"root": named}))
    config["components"][1]["type"] = "file"
    server.scripts["/config"] = lambda reply: reply.text(
        "", 307, location=f"{named}/sub/config?sign={CANARY}"
    )
    server.scripts["/sub/config"] = lambda reply: reply.json(config)
    for path in ("info", "queue/join", "queue/data"):
        server.scripts[f"/sub/gradio_api/{path}"] = server.default(f"/gradio_api/{path}")
    file = {"path": None, "url": f"{named}/x.png", "meta": {"_type": "gradio.FileData"}}
    server.answers["hello"] = file

    async def use(app: Any, wait: Any) -> None:
        (found,) = await wait(app.call("/hello", "x"))
        late = app.submit("/hello", "x", options=gt.CallOptions(attach="late", own_session=True))
        shown = [app, app.explain(), vars(app), found, found.url, late]
        with contextlib.suppress(gt.GradioTransportError):  # the call is not accepted yet
            shown.append(late.handle().to_json())
        assert leaks(*shown) == []

    with_app(face, server.url, use)


def test_details_for_debugging_are_of_this_library_alone(server: Scripted) -> None:
    server.scripts["/config"] = lambda reply: reply.json(CONFIG, set_cookie=f"sid={CANARY}-session; Path=/")
    result = CliRunner().invoke(commands, ("call", server.url, "/hello", "x", "-vv"))
    assert "gradio_transport" in result.output
    assert "httpcore:" not in result.output
    assert "httpcore." not in result.output
    assert leaks(result.output) == []


FAILURES: dict[str, dict[str, Any]] = {
    "config refused": {"/config": lambda reply: reply.text("no", 500)},
    "config redirected": {"/config": _redirect_away},
    "login": {"/config": lambda reply: reply.json({"detail": "Not authenticated"}, 401)},
    "join refused": {"/gradio_api/queue/join": lambda reply: reply.text("no", 500)},
    "join reset": {"/gradio_api/queue/join": lambda reply: reply.reset()},
    "stream cut": {"/gradio_api/queue/data": lambda reply: (reply.stream(), reply.cut())},
}


@faces
@pytest.mark.parametrize("name", FAILURES)
def test_no_failure_shows_a_secret(server: Scripted, face: str, name: str) -> None:
    server.scripts |= FAILURES[name]

    async def use(app: Any, wait: Any) -> None:
        with gt.forward({"x-ip-token": CANARY}):
            await wait(app.call("/hello", "x", options=OPTIONS))

    with pytest.raises(gt.GradioTransportError) as caught:
        with_app(face, with_userinfo(server.url), use, timeouts=5, auth=("ann", CANARY), **SECRETS)
    assert leaks(*all_of(caught.value)) == []


@faces
def test_user_and_password_of_the_url_go_to_its_origin_alone(server: Scripted, face: str) -> None:
    with scripted() as other:
        server.scripts["/config"] = lambda reply: reply.text("", 307, location=f"{other.url}/config")

        async def use(app: Any, wait: Any) -> None:
            await wait(app.call("/hello", "x"))

        with pytest.raises(gt.errors.UntrustedRedirect):
            with_app(face, with_userinfo(server.url), use)
        assert server.asked
        assert all("authorization" in headers for _, headers in server.asked)
        assert other.asked == []


@faces
def test_user_and_password_of_the_url_go_into_the_handshake_of_a_websocket(
    server: Scripted, face: str
) -> None:
    server.scripts["/config"] = lambda reply: reply.json(
        CONFIG | {"version": "3.50.2", "protocol": None, "api_prefix": "", "enable_queue": True}
    )
    server.scripts["/queue/join"] = lambda reply: reply.text("no", 403)

    async def use(app: Any, wait: Any) -> None:
        with pytest.raises(gt.AuthenticationRequired):
            await wait(app.call("/hello", "x"))

    with_app(face, with_userinfo(server.url), use)
    assert dict(server.asked)["/queue/join"]["authorization"].startswith("Basic ")


REFUSAL = b"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n"
_QUOTE = f"ann may not: {CANARY}, {b64encode(f'ann:{CANARY}'.encode()).decode()}".encode()
ECHO = b"HTTP/1.1 403 %b\r\ncontent-length: %d\r\n\r\n%b" % (_QUOTE, len(_QUOTE), _QUOTE)


@contextlib.contextmanager
def failing_proxy(kind: str) -> Iterator[str]:
    """Give the URL of a proxy that does not let anything through."""
    with contextlib.ExitStack() as stack:
        if kind == "closed":
            yield f"http://127.0.0.1:{closed_port()}"
        elif kind == "socks":
            yield f"socks5://127.0.0.1:{stack.enter_context(socks_proxy('ann:right')).port}"
        else:
            refusal = {"403": REFUSAL, "403 with an echo": ECHO}.get(kind, b"")
            yield f"http://127.0.0.1:{stack.enter_context(connect_proxy('ann:right', refusal)).port}"


@faces
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("kind", ["closed", "407", "403", "403 with an echo", "socks"])
@pytest.mark.parametrize("variable", [None, "all_proxy"])
def test_no_failure_of_a_proxy_shows_its_password(
    face: str, scheme: str, kind: str, variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)

    async def use(app: Any, wait: Any) -> None:
        raise AssertionError("there is no app")

    with failing_proxy(kind) as url:
        arguments = {"proxy": with_userinfo(url)} if variable is None else {}
        if variable is not None:
            monkeypatch.setenv(variable, with_userinfo(url))
        with pytest.raises(gt.GradioTransportError) as caught:
            with_app(face, f"{scheme}://app.invalid:7860", use, timeouts=5, **arguments)
    assert leaks(*all_of(caught.value)) == []


@pytest.mark.parametrize(
    "words", [("list",), ("explain",), ("call", "/hello", "x"), ("call", "/raise_error", "x")]
)
@pytest.mark.parametrize("flags", [(), ("-vv",), ("--json",), ("--jsonl",)])
@pytest.mark.parametrize("works", [True, False])
def test_the_command_shows_no_secret(
    server: Scripted, words: tuple[str, ...], flags: tuple[str, ...], works: bool
) -> None:
    url = server.url if works else f"http://127.0.0.1:{closed_port()}"
    name, *more = words
    secrets = ("--auth", f"ann:{CANARY}", "--header", f"x-secret: {CANARY}")
    result = CliRunner().invoke(commands, (name, with_userinfo(url), *more, *secrets, *flags))
    assert leaks(result.output) == []
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_a_file_that_is_fetched_shows_no_password(server: Scripted) -> None:
    url = with_userinfo(server.url) + f"/a.png?sign={CANARY}"
    file = gt.handle_file(url)
    assert leaks(file) == []
    server.scripts["/config"] = lambda reply: reply.json(
        {
            "version": "3.50.2",
            "dependencies": [{"id": 0, "api_name": "see", "inputs": [1], "outputs": [], "queue": False}],
            "components": [{"id": 1, "type": "image", "props": {}}],
        }
    )
    with gt.connect(server.url) as app, pytest.raises(gt.GradioTransportError) as caught:
        app.call("/see", file)
    assert "could not be fetched" in str(caught.value)
    assert leaks(*all_of(caught.value)) == []
    with pytest.raises(gt.GradioTransportError) as caught:
        gt.handle_file(f"http://ann:{CANARY}/x@host/a.png")
    assert leaks(*all_of(caught.value)) == []
