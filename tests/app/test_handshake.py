# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from gradio_transport.app.handshake import Discovery, discover
from gradio_transport.errors import (
    AuthenticationRequired,
    ConnectError,
    EventTooLarge,
    GradioTransportError,
    NotAGradioApp,
    Phase,
    RemoteProtocolError,
    ServerRefused,
    StreamLost,
    TimeoutExpired,
    ValidationFailed,
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
    ("info", "why"),
    [
        (reply("gone", 404), "/info answered HTTP 404"),
        (reply("<html>", content_type="text/html"), "/info answered HTTP 200 (text/html)"),
        (reply([1]), "/info answered HTTP 200"),
        (reply(None), "/info answered HTTP 200"),
        (reply("x", 500), "/info answered HTTP 500"),
        (reply("", 302, location="http://[half"), "which is not an http(s) URL"),
        (reply("", 302, location="/info"), "redirects endlessly"),
    ],
)
def test_without_a_usable_info_the_config_must_do(info: Response, why: str) -> None:
    found, _ = run({f"{BASE}/config": reply(CONFIG), f"{BASE}/info": info})
    assert isinstance(found, Discovery)
    assert found.config.endpoints[0].parameters[0].name == "param_0"
    assert why in found.config.info_failure
    with pytest.raises(ValidationFailed, match="unknown") as caught:
        found.config.endpoints[0].bind([], {"who": "me"})
    assert found.config.info_failure in str(caught.value)


@pytest.mark.parametrize(
    "error", [StreamLost("The connection broke."), EventTooLarge("The reply is larger than 5 bytes.")]
)
def test_an_info_that_breaks_off_is_done_without(error: GradioTransportError) -> None:
    sequence = discover(BASE)
    next(sequence)
    sequence.send(reply(CONFIG))
    with pytest.raises(StopIteration) as stop:
        sequence.throw(error)
    assert error.message.rstrip(".") in stop.value.value.config.info_failure


@pytest.mark.parametrize("error", [ConnectError("The server is gone."), TimeoutExpired("No reply.")])
def test_a_server_that_is_gone_is_no_app_without_an_info(error: GradioTransportError) -> None:
    sequence = discover(BASE)
    next(sequence)
    sequence.send(reply(CONFIG))
    with pytest.raises(type(error)):
        sequence.throw(error)


def test_servers_before_3_26_lack_nothing_without_an_info() -> None:
    found, asked = run({f"{BASE}/config": reply({**CONFIG, "version": "3.25.0"})})
    assert isinstance(found, Discovery)
    assert (found.config.info_failure, asked) == ("", [f"{BASE}/config"])


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


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520])
def test_a_config_that_a_proxy_breaks_is_read_from_the_page(status: int) -> None:
    found, asked = run({f"{BASE}/config": reply("oops", status), f"{BASE}/": reply(page(CONFIG))})
    assert isinstance(found, Discovery)
    assert found.config.protocol == "sse_v3"
    assert asked == [f"{BASE}/config", f"{BASE}/", f"{BASE}/info"]


def test_where_neither_config_nor_page_is_there_the_error_has_both() -> None:
    error, asked = run({f"{BASE}/config": reply("oops", 500), f"{BASE}/": reply("gone", 502)})
    assert type(error) is ServerRefused
    assert f"{BASE}/config (and {BASE}/: HTTP 502 without a config) answered: oops" in error.message
    assert (error.status, asked) == (500, [f"{BASE}/config", f"{BASE}/"])


def test_a_page_that_breaks_off_does_not_hide_what_the_config_answered() -> None:
    sequence = discover(BASE)
    next(sequence)
    sequence.send(reply("oops", 500))
    with pytest.raises(ServerRefused, match=r"/config \(and .*/: The connection broke\) answered: oops"):
        sequence.throw(StreamLost("The connection broke."))
    sequence = discover(BASE)
    next(sequence)
    sequence.send(reply("<html>"))
    with pytest.raises(StreamLost):
        sequence.throw(StreamLost("The connection broke."))


def test_a_protected_app_may_have_its_page_alone() -> None:
    replies: dict[str, Response | list[Response]] = {
        f"{BASE}/config": [reply("oops", 500), reply(CONFIG)],
        f"{BASE}/": reply(page(STUB)),
        f"{BASE}/login": reply({"success": True}),
    }
    found, _ = run(replies, ("user", "secret"))
    assert isinstance(found, Discovery)


@pytest.mark.parametrize("status", [400, 429])
def test_another_refusal_of_the_config_is_final(status: int) -> None:
    error, asked = run({f"{BASE}/config": reply("no", status), f"{BASE}/": reply(page(CONFIG))})
    assert isinstance(error, ServerRefused)
    assert asked == [f"{BASE}/config"]


BASIC = reply("<title>Who?</title>", 401, content_type="text/html", www_authenticate='Basic realm="Staff"')


@pytest.mark.parametrize("auth", [None, ("alice", "secret")])
@pytest.mark.parametrize(
    ("refused", "says"),
    [
        (BASIC, "answered: Who? It asks for HTTP basic authentication (realm 'Staff')"),
        (
            reply("<p>Blocked", 403, content_type="text/html"),
            "a proxy or firewall in front of the app refuses",
        ),
        (
            reply("<p>Sign in, you are not authenticated", 403),
            "a proxy or firewall in front of the app refuses",
        ),
        (reply("<p>No", 401), "a proxy or firewall in front of the app refuses"),
    ],
)
def test_a_refusal_of_a_proxy_is_not_taken_for_the_login_of_the_app(
    refused: Response, says: str, auth: tuple[str, str] | None
) -> None:
    error, asked = run({f"{BASE}/config": refused}, auth)
    assert type(error) is AuthenticationRequired
    assert says in error.message
    assert "Pass auth=" not in error.message
    assert asked == [f"{BASE}/config"]


def test_a_proxy_that_keeps_the_login_is_not_called_a_wrong_password() -> None:
    error, _ = run({f"{BASE}/config": reply(STUB), f"{BASE}/login": BASIC}, ("alice", "secret"))
    assert type(error) is AuthenticationRequired
    assert "basic authentication" in error.message
    assert "alice" not in error.message


def test_a_login_page_of_another_host_is_named_without_its_query() -> None:
    login = "https://sso.example/authorize?state=secret"
    replies = {
        f"{BASE}/config": reply("", 302, location=login),
        f"{BASE}/": reply("", 302, location=login),
        login: reply("<title>Sign in</title>", content_type="text/html"),
    }
    error, _ = run(replies)
    assert type(error) is NotAGradioApp
    assert f"{BASE}/config redirects to https://sso.example/authorize, which gave HTTP 200" in error.message
    assert "It says: 'Sign in'" in error.message
    assert "pass the cookies that it sets as cookies= or headers=" in error.message
    assert "secret" not in error.message


def test_the_words_of_a_page_that_is_no_app_are_quoted() -> None:
    gone = reply("<h1>No interface is running right now</h1>", 404, content_type="text/html")
    error, _ = run({f"{BASE}/{path}": gone for path in ("config", "config/", "")})
    assert type(error) is NotAGradioApp
    assert "It says: 'No interface is running right now'. Check the URL" in error.message


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
