# SPDX-License-Identifier: Apache-2.0
"""Refusals of access: whose login is wanted, and what the error tells the caller to do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gradio_transport.errors import AuthenticationRequired, Phase, RemoteProtocolError
from gradio_transport.protocol.access import access_advice, redirect_target, wants_app_login, wants_login
from gradio_transport.protocol.commands import Response
from gradio_transport.protocol.refusals import refusal

APP = "https://app.example/gradio_api/queue/join"
HTML = {"content-type": "text/html; charset=utf-8"}


def reply(status: int, body: Any = b"", **headers: str) -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, content, APP)


@pytest.mark.parametrize(
    ("response", "of_any", "of_app"),
    [
        (reply(401), True, True),
        (reply(401, {"detail": "Not authenticated"}), True, True),
        (reply(401, www_authenticate='Basic realm="x"'), True, False),
        (reply(401, b"<html>no</html>", content_type="text/html"), True, False),
        (reply(302, location="/sub/login?next=1#top"), True, True),
        (reply(302, location="/login#?"), True, True),
        (reply(302, location="https://app.example:443/login"), True, True),
        (reply(302, location="https://sso.example/login"), True, False),
        (reply(302, location="http://[half/login"), True, False),
        (Response(302, {"location": "/login"}), True, True),
        (reply(302, location="/x?/login"), False, False),
        (reply(302, location="/logins"), False, False),
        (reply(302), False, False),
        (reply(200, location="/login"), False, False),
        (reply(403), False, False),
    ],
)
def test_whose_login_is_wanted(response: Response, of_any: bool, of_app: bool) -> None:
    assert (wants_login(response), wants_app_login(response)) == (of_any, of_app)


@pytest.mark.parametrize(
    ("response", "says"),
    [
        (reply(401, {"detail": "Not authenticated"}), "Pass auth=('user', 'password') or token=."),
        (reply(403, {"detail": "Forbidden"}), "If the app has a login, pass auth="),
        (
            reply(401, www_authenticate='Basic realm="Staff only"'),
            "basic authentication (realm 'Staff only')",
        ),
        (reply(401, www_authenticate="basic"), "basic authentication, which is not the app's own"),
        (reply(401, www_authenticate='Negotiate, Basic realm="x"'), "basic authentication (realm 'x')"),
        (
            reply(401, www_authenticate='Digest realm="x", qop="auth, basic"'),
            "authentication by 'Digest realm=",
        ),
        (reply(401, www_authenticate="Bearer"), "headers={'authorization': ...}"),
        (reply(403, b"<html>", cf_mitigated="challenge"), "only browsers pass"),
        (reply(403, b"<html>blocked</html>"), "a proxy or firewall in front of the app refuses"),
        (reply(403, b"blocked", content_type="text/html"), "a proxy or firewall in front of the app refuses"),
        (reply(401, www_authenticate="???"), "Pass auth="),
    ],
)
def test_what_to_do_is_no_more_than_the_reply_promises(response: Response, says: str) -> None:
    advice = access_advice(response)
    assert says in advice
    assert ("pass auth=" in advice.lower()) is (says.lower().startswith(("pass auth=", "if the app")))
    error = refusal(response, Phase.JOIN)
    assert type(error) is AuthenticationRequired
    assert str(error).partition(" [phase")[0].endswith(advice)


def test_a_refusal_names_the_login_page_of_another_host_without_its_query() -> None:
    error = refusal(reply(302, location="https://sso.example/login?state=secret"), Phase.JOIN)
    assert type(error) is AuthenticationRequired
    assert "'https://sso.example/login'. If that is a login page, it is not the app's own" in str(error)
    assert "secret" not in str(error)
    error = refusal(reply(307, location="https://sso.example/authorize?state=secret"), Phase.JOIN)
    assert type(error) is RemoteProtocolError
    assert "https://sso.example/authorize" in str(error)
    assert "cookies=" in str(error)
    assert "secret" not in str(error)


def test_a_refusal_sends_to_the_login_of_the_app_by_auth() -> None:
    error = refusal(reply(302, location="/login"), Phase.JOIN)
    assert str(error).startswith("The server redirects to '/login'. Pass auth=('user', 'password').")


def test_only_a_redirect_has_a_target() -> None:
    assert redirect_target(reply(303, location="/a?b#c")) == "/a"
    assert redirect_target(reply(304, location="/a")) is None
