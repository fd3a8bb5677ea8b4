# SPDX-License-Identifier: Apache-2.0
"""No secret stands in what the library shows: messages, `repr`, logs, notes, pickles, handles, traces, stdout.

The fault bench plays all its cells with secrets too; see tests/conformance/test_fault_bench.py.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from canaries import CANARY, SECRETS, all_of, leaks, watched_logs, with_userinfo
from click.testing import CliRunner
from faces import FACES, with_app
from proxies import connect_proxy, socks_proxy
from scripted import CONFIG, INFO, Reply, Scripted, scripted

import gradio_transport as gt
from gradio_transport.cli.app import commands
from gradio_transport.trace import TraceWriter

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


@contextlib.contextmanager
def failing_proxy(kind: str) -> Iterator[str]:
    """Give the URL of a proxy that does not let anything through."""
    with contextlib.ExitStack() as stack:
        if kind == "closed":
            yield f"http://127.0.0.1:{closed_port()}"
        elif kind == "socks":
            yield f"socks5://127.0.0.1:{stack.enter_context(socks_proxy('ann:right')).port}"
        else:
            refusal = REFUSAL if kind == "403" else b""
            yield f"http://127.0.0.1:{stack.enter_context(connect_proxy('ann:right', refusal)).port}"


@faces
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("kind", ["closed", "407", "403", "socks"])
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
