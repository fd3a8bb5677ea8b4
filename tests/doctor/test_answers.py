# SPDX-License-Identifier: Apache-2.0
"""What answers: redirects, other programs, logins."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from examined import examined, text
from growth import check_growth
from heartbeats import app, elsewhere, page
from internet import internet
from middle import middle
from scripted import CONFIG, INFO, Reply, Scripted, scripted

from gradio_transport.doctor import known_pages
from gradio_transport.doctor.report import Result
from gradio_transport.errors import (
    AuthenticationRequired,
    NotAGradioApp,
    RemoteProtocolError,
    TimeoutExpired,
    UntrustedRedirect,
)
from gradio_transport.policy import Timeouts
from gradio_transport.protocol.commands import Response

# --- redirects -------------------------------------------------------------------------------------------


def moved(server: Scripted, target: str, status: int = 301) -> None:
    server.scripts["/config"] = page("", status, location=target)


def test_a_redirect_to_another_origin() -> None:
    with app() as other, scripted() as server:
        moved(server, f"{other.url}/config")
        step = examined(server.url, until="redirects").step("redirects")

    assert step.result is Result.WARNING
    assert f"{server.url}/config redirects to {other.url}/config (HTTP 301)." in text(step)
    assert f"Use it: {other.url}" in text(step)


def test_a_redirect_to_another_origin_of_what_was_given() -> None:
    with app() as other, scripted() as server:
        moved(server, f"{other.url}/config")
        report = examined(server.url, headers={"x-key": "s3cret-value"})
        seen = [path for path, _ in other.seen]

    step = report.step("redirects")
    assert step.result is Result.FAILURE
    assert "was not sent there" in text(step)
    assert f"If {other.url} is the app, use that address instead, or pass --trust-redirects." in text(step)
    assert isinstance(report.error, UntrustedRedirect)
    assert seen == []


def test_an_upgrade_to_https() -> None:
    from gradio_transport_conformance.faults.certificates import server_context

    with app() as secure, scripted() as server, internet() as net:
        secure.socket = server_context("proper").wrap_socket(
            secure.socket, server_side=True, do_handshake_on_connect=False
        )
        net.names["app.example"] = [["192.0.2.1"]]
        net.hosts |= {("192.0.2.1", 80): server.server_port, ("192.0.2.1", 443): secure.server_port}
        moved(server, "https://app.example/config")
        from gradio_transport.engines.settings import HTTPSettings

        report = examined("http://app.example", http=HTTPSettings(verify=False), until="gradio")

    step = report.step("redirects")
    assert step.result is Result.WARNING
    assert "http://app.example/config redirects to https://app.example/config" in text(step)
    assert "Use https://app.example to save it." in text(step)
    assert report.step("gradio").result is Result.OK


def test_redirects_without_end() -> None:
    with scripted() as server:
        moved(server, "/config")
        report = examined(server.url, until="redirects")

    assert report.step("redirects").result is Result.FAILURE
    assert "redirects endlessly" in text(report.step("redirects"))


def test_a_redirect_to_plain_http() -> None:
    with scripted() as server, internet() as net:
        net.names["app.example"] = [["192.0.2.1"]]
        net.hosts["192.0.2.1", 80] = server.server_port
        moved(server, "ftp://elsewhere.example/config")
        report = examined("http://app.example")

    assert "not an http(s) URL" in text(report.step("redirects"))
    assert isinstance(report.error, RemoteProtocolError)


def test_a_single_sign_on() -> None:
    with scripted() as server:
        moved(server, "https://team.cloudflareaccess.com/cdn-cgi/access/login/app?token=s3cret", 302)
        report = examined(server.url, headers={"x-key": "given"})

    step = report.step("redirects")
    assert "That is the login of Cloudflare Access, in front of the app." in text(step)
    assert "-H 'Cookie: NAME=VALUE'" in text(step)
    assert "s3cret" not in text(step)
    assert isinstance(report.error, AuthenticationRequired)


# --- what answers instead --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "what"),
    [
        ("<html><head><title>Streamlit</title></head></html>", 200, "a Streamlit app"),
        ("<h1>No interface is running right now</h1>", 404, "a share link whose app has ended"),
        ("Sorry, we can't find the page you are looking for.", 404, "the 404 page of Hugging Face"),
        ("<title>Welcome to nginx!</title>", 200, "the welcome page of nginx"),
        ("<title>Index of /</title>", 200, "a directory listing"),
        ("<title>Jupyter Server</title>", 200, "a Jupyter server"),
        ("404 page not found\n", 404, "Traefik without a route"),
        ('{"detail":"Not Found"}', 404, "a FastAPI app without this path"),
        ('<form><input name=p type="password"></form>', 200, "a page for a login"),
        ("Ollama is running", 200, "an Ollama server"),
        ("<title>Just a moment...</title>", 200, "the check of Cloudflare"),
        ("This Space is sleeping due to inactivity", 200, "a Space that is not running"),
        ("Your Docker Space is starting", 200, "a Docker Space's placeholder"),
        ("ERR_NGROK_3200", 404, "a page of ngrok"),
    ],
)
def test_another_program(body: str, status: int, what: str) -> None:
    with scripted() as server:
        report = examined(elsewhere(server, body, status), until="gradio")

    step = report.step("gradio")
    assert step.result is Result.FAILURE
    assert what in text(step)
    assert f"replied with HTTP {status}" in text(step)
    assert step.advice


def test_any_other_page() -> None:
    with scripted() as server:
        report = examined(elsewhere(server, "<h1>Our cats</h1>"))

    step = report.step("gradio")
    assert "It says: 'Our cats'." in text(step)
    assert "It is not a Gradio app. Check host, port and path of the URL." in text(step)
    assert isinstance(report.error, NotAGradioApp)


def test_a_hostile_page_does_not_steer_a_terminal() -> None:
    with scripted() as server:
        report = examined(
            elsewhere(server, "<h1>\x1b[2Jok \u202egnp</h1>\nok      all is well"), until="gradio"
        )

    shown = text(report.step("gradio"))
    assert "\\x1b[2J" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\n" not in shown


def test_a_large_page_is_bounded() -> None:
    with scripted() as server:
        report = examined(elsewhere(server, "<p " * 400_000), until="gradio")

    assert len(text(report.step("gradio"))) < 3000


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_without_its_app(status: int) -> None:
    with scripted() as server:
        step = examined(elsewhere(server, "<title>Bad</title>", status), until="gradio").step("gradio")

    assert "A proxy answers, but the app behind it does not" in text(step)


def test_an_app_that_fails() -> None:
    with scripted() as server:
        step = examined(elsewhere(server, "Internal Server Error", 500, "text/plain"), until="gradio").step(
            "gradio"
        )

    assert "Look at its log." in text(step)


def test_a_path_too_many() -> None:
    with app() as server:
        report = examined(f"{server.url}/wrong/path", until="gradio")

    step = report.step("gradio")
    assert f"A Gradio app answers at {server.url}." in text(step)
    assert step.advice[0] == f"Use {server.url}"


def test_a_path_too_few() -> None:
    with app() as server, middle(server.url, prefix="/gradio") as proxy:
        step = examined(proxy.url, until="gradio").step("gradio")

    assert step.advice == (f"Use {proxy.url}/gradio",)


def test_a_server_that_is_silent() -> None:
    with scripted() as server:
        server.scripts["/config"] = lambda reply: reply.hold()
        report = examined(server.url, timeouts=Timeouts(discover=0.3))

    step = report.step("gradio")
    assert step.result is Result.FAILURE
    assert "accepts connections, but does not reply" in text(step)
    assert isinstance(report.error, TimeoutExpired)


def test_a_server_that_closes() -> None:
    with scripted() as server:
        server.below["/"] = lambda reply: reply.reset()
        step = examined(server.url, until="gradio").step("gradio")

    assert "closes the connection without a reply" in text(step)


def test_a_wrong_host_name() -> None:
    with scripted() as server:
        step = examined(elsewhere(server, "Invalid host header", 400, "text/plain"), until="gradio").step(
            "gradio"
        )

    assert "does not know the host name of the URL" in text(step)


def test_http_on_the_port_of_https() -> None:
    with scripted() as server:
        body = "<h1>400 Bad Request</h1>The plain HTTP request was sent to HTTPS port"
        step = examined(elsewhere(server, body, 400), until="gradio").step("gradio")

    assert f"The port expects TLS: use {server.url.replace('http', 'https')}." in text(step)


@pytest.mark.parametrize("known", known_pages.PAGES, ids=lambda known: known.what)
def test_every_known_page_says_what_to_do(known: Any) -> None:
    assert known.advice.endswith((".", "'"))


# --- logins ----------------------------------------------------------------------------------------------


def with_login(server: Scripted, *, wrong: bool = False) -> None:
    def login(reply: Reply) -> None:
        if wrong:
            reply.json({"detail": "Incorrect credentials."}, 400)
        else:
            reply.json({"success": True}, set_cookie="access-token-unsecure=t; HttpOnly")

    def config(reply: Reply) -> None:
        if "access-token-unsecure=t" in reply.headers.get("cookie", ""):
            reply.json({**CONFIG, "username": "ann"})
        else:
            reply.json({"detail": "Not authenticated"}, 401)

    server.scripts |= {"/login": login, "/config": config}


def test_the_login_of_gradio() -> None:
    with app() as server:
        with_login(server)
        report = examined(server.url)

    assert report.step("gradio").result is Result.OK
    step = report.step("login")
    assert step.result is Result.FAILURE
    assert "The app has its own login" in text(step)
    assert "Pass --auth USER:PASSWORD" in text(step)
    assert isinstance(report.error, AuthenticationRequired)
    assert report.step("stream").blocked_by == "login"


def test_a_login_that_is_right() -> None:
    with app() as server:
        with_login(server)
        report = examined(server.url, auth=("ann", "s3cret-password"))

    assert report.result is Result.OK
    assert "You are logged in as ann." in text(report.step("login"))


def test_a_login_that_is_wrong() -> None:
    with app() as server:
        with_login(server, wrong=True)
        report = examined(server.url, auth=("ann", "s3cret-password"), until="login")

    step = report.step("login")
    assert step.result is Result.FAILURE
    assert "and refused yours" in text(step)
    assert "s3cret" not in text(step)


def test_basic_authentication_of_a_proxy() -> None:
    login = "Basic " + base64.b64encode(b"ann:s3cret-word").decode()
    with app() as server, middle(server.url, login=login) as proxy:
        refused = examined(proxy.url)
        admitted = examined(proxy.url.replace("://", "://ann:s3cret-word@"))

    step = refused.step("login")
    assert "HTTP basic authentication" in text(step)
    assert "https://user:password@host" in text(step)
    assert refused.step("gradio").result is Result.SKIPPED
    assert admitted.step("gradio").result is Result.OK
    assert "s3cret" not in str([text(one) for one in admitted.steps])


def test_another_scheme() -> None:
    with scripted() as server:
        url = elsewhere(server, "", 401, **{"www-authenticate": 'Bearer realm="api"'})
        step = examined(url, until="login").step("login")

    assert "A proxy in front of the app requires: Bearer" in text(step)
    assert "-H 'Authorization: ...'" in text(step)


def test_a_page_that_refuses() -> None:
    with scripted() as server:
        step = examined(elsewhere(server, "<h1>403 Forbidden</h1>", 403), until="login").step("login")

    assert "A proxy or firewall in front of the app refuses. It says: '403 Forbidden'." in text(step)


def test_a_refusal_for_all_but_one_path() -> None:
    with app() as server, middle(server.url, prefix="/app") as proxy:
        proxy.refusal = 403
        step = examined(proxy.url, until="login").step("login")

    assert step.advice == (f"Use {proxy.url}/app",)


def test_a_private_space_by_its_url() -> None:
    with scripted() as server, internet() as net:
        net.names["ann-app.hf.space"] = [["192.0.2.1"]]
        net.hosts["192.0.2.1", 0] = server.server_port
        url = elsewhere(server, "<h1>401</h1>", 401)
        assert url
        step = examined("http://ann-app.hf.space", until="login").step("login")

    assert step.result is Result.FAILURE


def test_a_button_and_functions_that_want_a_token() -> None:
    components = [*CONFIG["components"], {"id": 3, "type": "loginbutton", "props": {}}]
    with app(components=components) as server:
        step = examined(server.url, until="login").step("login")

    assert "a button to sign in with Hugging Face" in text(step)


def test_functions_that_want_the_token_of_their_caller() -> None:
    info = json.loads(json.dumps(INFO))
    info["named_endpoints"]["/hello"]["oauth_token"] = "required"
    with app() as server:
        server.scripts["/gradio_api/info"] = lambda reply: reply.json(info)
        step = examined(server.url, until="login").step("login")

    assert step.result is Result.WARNING
    assert "ask for the Hugging Face token of their caller: /hello." in text(step)
    assert "CallOptions(oauth_token=...)" in text(step)


@pytest.mark.parametrize(
    "piece", ["<input ", "<input a", "docker space ", "apache2 ", '{"detail":', "<title>", "<p "]
)
def test_pages_are_recognized_in_linear_time(piece: str) -> None:
    def read(body: bytes) -> None:
        reply = Response(200, {"content-type": "text/html"}, body)
        known_pages.known_page(reply)
        known_pages.words(reply)

    check_growth(read, (piece * 700).encode(), (piece * 2_800).encode())
