# SPDX-License-Identifier: Apache-2.0
"""Finding an app whose server, or a proxy before it, answers some of the questions alone: on every face."""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faces import FACES, with_app
from scripted import CONFIG, Reply, Script, Scripted, scripted

import gradio_transport as gt
from gradio_transport.engines import tls
from gradio_transport.errors import (
    AuthenticationRequired,
    ConnectError,
    RemoteProtocolError,
    ServerRefused,
    ValidationFailed,
)
from gradio_transport.trace import Frame
from gradio_transport_conformance.faults.certificates import authority_pem, server_context

EVERY_FACE = pytest.mark.parametrize("face", FACES)


def refuse(reply: Reply) -> None:
    reply.text("Internal Server Error", 500, "text/plain")


def break_off(reply: Reply) -> None:
    reply.stream("application/json")
    reply.chunk(b'{"named_endpoints": ')
    reply.cut()


@EVERY_FACE
@pytest.mark.parametrize("script", [refuse, break_off])
def test_without_an_info_calls_go_on_and_log_and_errors_say_why(
    face: str, script: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def use(app: Any, wait: Any) -> str:
        assert await wait(app.call("/hello", "x")) == ["Hello, x!"]
        with pytest.raises(ValidationFailed) as caught:
            await wait(app.call("/hello", text="x"))
        return str(caught.value)

    with scripted() as server, caplog.at_level(logging.WARNING, "gradio_transport"):
        server.scripts["/gradio_api/info"] = script
        says = with_app(face, server.url, use, retry=gt.RetryPolicy.none())
    assert "/gradio_api/info" in says
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "/gradio_api/info" in caplog.text


@pytest.mark.parametrize("face", [*FACES, "sync+httpx2", "asyncio+httpx2"])
@pytest.mark.parametrize(
    ("target", "error"),
    [("http://127.0.0.1:9/\x1b[2J", RemoteProtocolError), ("http://...:9/", ConnectError)],
)
def test_a_redirect_to_what_is_no_url_is_one_of_our_errors(
    face: str, target: str, error: type[gt.GradioTransportError]
) -> None:
    with scripted() as server:
        server.scripts["/config"] = lambda reply: reply.text("", 302, location=target)
        with pytest.raises(error) as caught:
            with_app(face, server.url, unreached, retry=gt.RetryPolicy.none())
    assert "\x1b" not in str(caught.value)


@EVERY_FACE
@pytest.mark.parametrize("status", [500, 502])
def test_a_config_that_a_proxy_breaks_is_read_from_the_page(face: str, status: int) -> None:
    async def use(app: Any, wait: Any) -> Any:
        return await wait(app.call("/hello", "x"))

    with scripted() as server:
        server.scripts["/config"] = lambda reply: reply.text("oops", status)
        page = f"<html><script>window.gradio_config = {json.dumps(CONFIG)};</script></html>"
        server.scripts["/"] = lambda reply: reply.text(page)
        assert with_app(face, server.url, use) == ["Hello, x!"]
        server.scripts["/"] = lambda reply: reply.text("gone", 504)
        with pytest.raises(
            ServerRefused, match=r"/config \(and .*/: HTTP 504 without a config\) answered: oops"
        ):
            with_app(face, server.url, unreached)


@EVERY_FACE
def test_a_protocol_that_is_newer_is_spoken_as_the_nearest_with_one_warning(
    face: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def use(app: Any, wait: Any) -> tuple[str, str]:
        assert await wait(app.call("/hello", "x")) == ["Hello, x!"]
        assert await wait(app.call("/count", "x")) == ["0 1"]
        return app.protocol, app.explain("/hello")

    with scripted() as server, caplog.at_level(logging.WARNING, "gradio_transport"):
        server.scripts["/config"] = lambda reply: reply.json({**CONFIG, "protocol": "sse_v99"})
        protocol, explanation = with_app(face, server.url, use)
    assert protocol == "sse_v3"
    assert "protocol 'sse_v99' is newer than this library; sse_v3 is the nearest" in explanation
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "protocol 'sse_v99' is newer" in record.getMessage()


@EVERY_FACE
def test_the_query_of_the_url_is_in_no_frame_no_note_and_no_message(face: str) -> None:
    frames: list[Frame] = []

    async def use(app: Any, wait: Any) -> Any:
        assert await wait(app.call("/hello", "x")) == ["Hello, x!"]
        server.scripts["/gradio_api/run/direct"] = lambda reply: reply.text("down", 502)
        with pytest.raises(ServerRefused) as caught:
            await wait(app.call("/direct", "x"))
        return app.url, repr(app), repr(caught.value), str(getattr(caught.value, "__notes__", []))

    with scripted() as server:
        said = with_app(face, f"{server.url}?key=sesame", use, tap=frames.append)
        assert said[0] == server.url
    assert all(query.endswith("key=sesame") for _, query in server.queries)
    assert frames
    assert "sesame" not in str([frame.payload for frame in frames])
    assert "sesame" not in str(said)


async def unreached(app: Any, wait: Any) -> None:
    raise AssertionError("connected")


@pytest.fixture
def secure() -> Iterator[Scripted]:
    """A server whose certificate is of an unknown authority."""
    with scripted() as server:
        server.socket = server_context("proper").wrap_socket(server.socket, server_side=True)
        yield server


@pytest.fixture
def fresh_contexts() -> Iterator[None]:
    """No TLS context that was made before, nor one that stays: the environment is read when one is made."""
    tls._default_context.cache_clear()
    yield
    tls._default_context.cache_clear()


@EVERY_FACE
def test_a_certificate_that_is_not_trusted_names_what_trusts_it(face: str, secure: Scripted) -> None:
    with pytest.raises(
        ConnectError, match=r"(?i)certificate verify failed.*as verify=.*SSL_CERT_FILE"
    ) as caught:
        with_app(face, secure.url.replace("http", "https"), unreached)
    assert caught.value.retryable is False


@EVERY_FACE
@pytest.mark.usefixtures("fresh_contexts")
def test_what_it_names_works(
    face: str, secure: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(app: Any, wait: Any) -> Any:
        return await wait(app.call("/hello", "x"))

    authority = tmp_path / "authority.pem"
    authority.write_bytes(authority_pem())
    url = secure.url.replace("http", "https")
    assert with_app(face, url, use, verify=str(authority)) == ["Hello, x!"]
    assert with_app(face, url, use, verify=False) == ["Hello, x!"]
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    assert with_app(face, url, use) == ["Hello, x!"]


@EVERY_FACE
def test_a_server_of_plain_http_is_not_asked_for_a_certificate(face: str) -> None:
    with (
        scripted() as server,
        pytest.raises(ConnectError, match=r"does not speak TLS there\. .*http://") as caught,
    ):
        with_app(face, server.url.replace("http", "https"), unreached)
    assert caught.value.retryable is True


@EVERY_FACE
def test_a_proxy_that_wants_basic_authentication_gets_it_from_the_url(face: str) -> None:
    def guarded(script: Script) -> Script:
        def answer(reply: Reply) -> None:
            if reply.headers.get("authorization") == f"Basic {b64encode(b'alice@home:p w').decode()}":
                return script(reply)
            reply.text("<title>Who?</title>", 401, www_authenticate='Basic realm="Staff"')
            return None

        return answer

    async def use(app: Any, wait: Any) -> Any:
        return app.url, await wait(app.call("/hello", "x"))

    with scripted() as server:
        paths = ("config", "gradio_api/info", "gradio_api/queue/join", "gradio_api/queue/data")
        server.scripts |= {f"/{path}": guarded(server.default(f"/{path}")) for path in paths}
        with pytest.raises(AuthenticationRequired, match=r"Who.*basic authentication.*'Staff'"):
            with_app(face, server.url, unreached, auth=("alice", "secret"))
        assert not any("login" in path for path, _ in server.seen)
        url = server.url.replace("//", "//alice%40home:p%20w@")
        assert with_app(face, url, use) == (server.url, ["Hello, x!"])


@pytest.mark.parametrize("face", [*FACES, "sync+httpx2", "asyncio+httpx2"])
@pytest.mark.parametrize(
    "prefix", ["/../other", "/.\t./other", "/%2e%2e/other", "//127.0.0.1:9", "?x=", "@host"]
)
def test_no_request_leaves_the_path_of_the_app(face: str, prefix: str) -> None:
    async def use(app: Any, wait: Any) -> None:
        await wait(app.call("/hello", gt.handle_file(b"content", name="a.txt")))

    with scripted() as server:
        server.scripts["/app/config"] = lambda reply: reply.json(CONFIG | {"api_prefix": prefix})
        with pytest.raises(gt.GradioTransportError):
            with_app(face, f"{server.url}/app", use, retry=gt.RetryPolicy.none())
        assert [path for path, _ in server.seen if not path.startswith("/app/")] == []
