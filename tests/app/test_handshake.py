# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from gradio_transport.app.handshake import Discovery, discover
from gradio_transport.errors import (
    AuthenticationRequired,
    GradioTransportError,
    NotAGradioApp,
    Phase,
    RemoteProtocolError,
    ServerRefused,
)
from gradio_transport.protocol.commands import Response

BASE = "http://app.example"
CONFIG: dict[str, Any] = {
    "version": "4.44.1",
    "protocol": "sse_v3",
    "components": [{"id": 1, "type": "textbox", "props": {"label": "name"}}],
    "dependencies": [{"api_name": "hello", "inputs": [1], "outputs": [1], "queue": True}],
}
INFO = {
    "named_endpoints": {"/hello": {"parameters": [{"parameter_name": "who", "type": {"type": "string"}}]}}
}
STUB = {"auth_required": True, "auth_message": None}


def reply(value: Any = None, status: int = 200, **headers: str) -> Response:
    body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
    return Response(status, {name.replace("_", "-"): text for name, text in headers.items()}, body)


def page(config: Any) -> str:
    return f"<html><script>window.gradio_config = {json.dumps(config)};</script></html>"


def run(
    replies: dict[str, Response | list[Response]], auth: tuple[str, str] | None = None, base: str = BASE
) -> tuple[Discovery | GradioTransportError, list[str]]:
    """Drive the sequence: URL -> reply, a list where it is asked for more than once."""
    asked: list[str] = []
    sequence = discover(base, auth)
    try:
        command = next(sequence)
        while True:
            url = command.request.url
            asked.append(url)
            answer = replies.get(url, reply("Not Found", 404))
            command = sequence.send(answer.pop(0) if isinstance(answer, list) else answer)
    except StopIteration as stop:
        return stop.value, asked
    except GradioTransportError as error:
        return error, asked


def test_config_and_info_are_read() -> None:
    found, asked = run({f"{BASE}/config": reply(CONFIG), f"{BASE}/info": reply(INFO)})
    assert isinstance(found, Discovery)
    assert [str(one) for one in found.config.endpoints] == ["/hello(who: str)"]
    assert asked == [f"{BASE}/config", f"{BASE}/info"]


@pytest.mark.parametrize(
    "info", [reply("gone", 404), reply("<html>"), reply([1]), reply(None), reply("x", 500)]
)
def test_without_a_usable_info_the_config_must_do(info: Response) -> None:
    found, _ = run({f"{BASE}/config": reply(CONFIG), f"{BASE}/info": info})
    assert isinstance(found, Discovery)
    assert found.config.endpoints[0].parameters[0].name == "param_0"


def test_flask_servers_know_the_slash_form_only() -> None:
    old = {"input_components": [{"name": "textbox"}], "output_components": [], "version": "2.3.6"}
    found, asked = run({f"{BASE}/config/": reply(old)})
    assert isinstance(found, Discovery)
    assert found.config.release == (2, 3, 6)
    assert asked == [f"{BASE}/config", f"{BASE}/config/"]


def test_the_page_is_the_last_resort() -> None:
    found, _ = run({f"{BASE}/config": reply("<html>"), f"{BASE}/": reply(page(CONFIG))})
    assert isinstance(found, Discovery)
    assert found.config.protocol == "sse_v3"


@pytest.mark.parametrize("refusal", [reply({"detail": "Not authenticated"}, 401), reply(STUB)])
def test_a_protected_app_is_logged_in_to(refusal: Response) -> None:
    replies: dict[str, Response | list[Response]] = {
        f"{BASE}/config": [refusal, reply(CONFIG)],
        f"{BASE}/login": reply({"success": True}),
    }
    found, asked = run(replies, ("user", "secret"))
    assert isinstance(found, Discovery)
    assert f"{BASE}/login" in asked


def test_a_protected_app_without_a_login_says_what_to_pass() -> None:
    error, _ = run({f"{BASE}/config": reply({"detail": "Not authenticated"}, 401)})
    assert isinstance(error, AuthenticationRequired)
    assert "auth=" in str(error)


@pytest.mark.parametrize("status", [400, 401])
def test_a_wrong_password_is_not_called_anything_else(status: int) -> None:
    replies: dict[str, Response | list[Response]] = {
        f"{BASE}/config": reply(STUB),
        f"{BASE}/login": reply({"detail": "Incorrect credentials."}, status),
    }
    error, _ = run(replies, ("user", "wrong"))
    assert isinstance(error, AuthenticationRequired)
    assert "'user'" in str(error)
    assert "wrong" not in str(error)


def test_a_login_that_changes_nothing_ends() -> None:
    replies: dict[str, Response | list[Response]] = {
        f"{BASE}/config": reply(STUB),
        f"{BASE}/login": reply({"success": True}),
    }
    error, _ = run(replies, ("user", "secret"))
    assert isinstance(error, AuthenticationRequired)


def test_a_redirect_moves_the_base() -> None:
    replies: dict[str, Response | list[Response]] = {
        f"{BASE}/config": reply("", 301, location="https://app.example/sub/config"),
        "https://app.example/sub/config": reply(CONFIG),
    }
    found, asked = run(replies)
    assert isinstance(found, Discovery)
    assert found.urls.base == "https://app.example/sub"
    assert asked[-1] == "https://app.example/sub/info"


def test_no_redirect_leads_from_tls_to_plain_http() -> None:
    error, asked = run(
        {
            f"{BASE}/config": reply("", 301, location="https://app.example/config"),
            "https://app.example/config": reply("", 302, location="http://app.example/config"),
        }
    )
    assert isinstance(error, RemoteProtocolError)
    assert "plain http" in str(error)
    assert error.status == 302
    assert asked == [f"{BASE}/config", "https://app.example/config"]


@pytest.mark.parametrize(
    ("replies", "kind"),
    [
        ({f"{BASE}/config": reply({"hello": 1})}, NotAGradioApp),
        ({f"{BASE}/config": reply("<html>"), f"{BASE}/": reply("<html>hello</html>")}, NotAGradioApp),
        ({f"{BASE}/": reply('<script>window.config = {"a": 1};</script>')}, NotAGradioApp),
        ({}, NotAGradioApp),
        ({f"{BASE}/config": reply("", 302, location="/config")}, NotAGradioApp),
        ({f"{BASE}/config": reply("", 302, location="file:///etc/passwd")}, RemoteProtocolError),
        ({f"{BASE}/config": reply("", 302, location="http://[half")}, RemoteProtocolError),
        ({f"{BASE}/config": reply("", 302, location="http://host:99999/")}, RemoteProtocolError),
        ({f"{BASE}/": reply(page({"version": "4.0.0"}))}, NotAGradioApp),
        ({f"{BASE}/config": reply("oops", 500)}, ServerRefused),
        ({f"{BASE}/config": reply("<html>building</html>", 503)}, ServerRefused),
    ],
)
def test_what_is_no_app_is_said_to_be_none(replies: dict[str, Any], kind: type[Exception]) -> None:
    error, asked = run(replies)
    assert type(error) is kind
    assert len(asked) < 15


def test_a_chat_endpoint_is_told_by_its_url() -> None:
    sequence = discover("https://chat.example/v1")
    next(sequence)
    for _ in ("/config", "/config/"):
        sequence.send(reply("not found", 404))
    with pytest.raises(NotAGradioApp, match="protocol='openai_chat'"):
        sequence.send(reply("not found", 404))


def test_a_proxy_that_may_have_replied_is_named() -> None:
    sequence = discover("http://app.example")
    next(sequence)
    sequence.send(Response(200, {}, b"<h1>Welcome to the hotel</h1>", proxy="http://proxy:1 (of http_proxy)"))
    with pytest.raises(
        NotAGradioApp, match=r"came through the proxy http://proxy:1 \(of http_proxy\), which may"
    ):
        sequence.send(Response(200, {}, b"<h1>Welcome to the hotel</h1>"))


def test_a_redirect_to_another_page_leaves_the_base_as_it_is() -> None:
    replies = {
        f"{BASE}/config": reply("", 302, location="/elsewhere"),
        f"{BASE}/elsewhere": reply(CONFIG),
        f"{BASE}/info": reply(INFO),
    }
    found, asked = run(replies)
    assert isinstance(found, Discovery)
    assert found.urls.base == BASE
    assert asked[-1] == f"{BASE}/info"


def test_a_page_may_ask_for_the_login() -> None:
    error, _ = run({f"{BASE}/": reply(page(STUB))})
    assert isinstance(error, AuthenticationRequired)
    assert "auth=" in str(error)


def test_a_login_page_that_is_down_is_not_called_a_wrong_password() -> None:
    replies = {f"{BASE}/config": reply(STUB), f"{BASE}/login": reply("down", 503)}
    error, _ = run(replies, auth=("user", "password"))
    assert type(error) is ServerRefused
    assert (error.status, error.phase, error.retryable) == (503, Phase.LOGIN, True)


def test_redirects_are_followed_up_to_the_limit_which_is_named() -> None:
    sequence = discover(BASE, max_redirects=2)
    next(sequence)
    sequence.send(reply("", 302, location="/1"))
    sequence.send(reply("", 302, location="/2"))
    with pytest.raises(NotAGradioApp, match="max_redirects"):
        sequence.send(reply("", 302, location="/3"))
