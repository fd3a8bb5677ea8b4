# SPDX-License-Identifier: Apache-2.0
"""An app that redirects to an origin that the caller did not name, on every engine: what was given stays.

The other origin is a stranger, and records all that it sees.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from canaries import CANARY, all_of, leaks, watched_logs, with_userinfo
from click.testing import CliRunner
from faces import ENGINES, with_app
from internet import internet
from scripted import CONFIG, INFO, NAMES, Reply, Scripted, completed, scripted

import gradio_transport as gt
from gradio_transport.calls import app_identity
from gradio_transport.cli.app import commands
from gradio_transport.client import AsyncClient, Client
from gradio_transport.errors import (
    AuthenticationRequired,
    ConnectError,
    RemoteProtocolError,
    UntrustedRedirect,
)

TOKEN = f"hf_{CANARY}"
STATUSES = (301, 302, 303, 307, 308)
INFO_ROUTE = "/gradio_api/info"

each_engine = pytest.mark.parametrize("engine", ENGINES)


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Scripted, Scripted]]:
    with scripted() as one, scripted() as other:
        yield one, other


def renewed(server: Scripted) -> Scripted:
    """Return a server as it was at first: starting and stopping one takes longer than most of the tests."""
    server.scripts, server.config, server.names = {}, CONFIG, NAMES
    for record in (server.seen, server.asked, server.queries):
        record.clear()
    return server


@pytest.fixture
def app(servers: tuple[Scripted, Scripted]) -> Scripted:
    """The app at the origin that the caller names."""
    return renewed(servers[0])


@pytest.fixture
def stranger(servers: tuple[Scripted, Scripted]) -> Scripted:
    """The same app at another origin, whose functions take the token of their caller."""
    server = renewed(servers[1])
    info = json.loads(json.dumps(INFO))
    for endpoint in info["named_endpoints"].values():
        endpoint["oauth_token"] = "optional"
    server.scripts[INFO_ROUTE] = lambda reply: reply.json(info)
    return server


@pytest.fixture(autouse=True)
def no_secret_in_a_log() -> Iterator[None]:
    with watched_logs() as found:
        yield
    assert found == []


def moved(target: str, status: int = 302) -> Callable[[Reply], None]:
    return lambda reply: reply.text("", status, location=target)


def absent(reply: Reply) -> None:
    reply.json({"detail": "Not Found"}, 404)


PLACES: dict[str, Callable[[str, int], dict[str, Any]]] = {
    "config": lambda url, status: {"/config": moved(f"{url}/config", status)},
    "config elsewhere": lambda url, status: {"/config": moved(f"{url}/login?next=/config", status)},
    "config with a slash": lambda url, status: {
        "/config": absent,
        "/config/": moved(f"{url}/config/", status),
    },
    "page": lambda url, status: {"/config": absent, "/config/": absent, "/": moved(f"{url}/", status)},
}
"""The routes of the discovery that may be redirected: scripts for a target and a status."""

SECRETS: dict[str, Callable[[str], tuple[str, dict[str, Any]]]] = {
    "auth": lambda url: (url, {"auth": ("ann", f"{CANARY}-password")}),
    "headers": lambda url: (url, {"headers": {"x-key": f"{CANARY}-header"}}),
    "cookies": lambda url: (url, {"cookies": {"key": f"{CANARY}-cookie"}}),
    "userinfo": lambda url: (with_userinfo(url), {}),
    "token": lambda url: (url, {"token": TOKEN, "token_origin": url}),
    "query": lambda url: (f"{url}?__sign={CANARY}", {}),
}
"""What a caller may give at connect: the URL and the arguments."""


def with_everything(url: str) -> tuple[str, dict[str, Any]]:
    arguments: dict[str, Any] = {}
    for give in SECRETS.values():
        arguments |= give(url)[1]
    return f"{with_userinfo(url)}?__sign={CANARY}", arguments


async def say_hello(app: Any, wait: Any) -> Any:
    return app.url, await wait(app.call("/hello", "x"))


async def unreached(app: Any, wait: Any) -> None:
    raise AssertionError("connected")


def what_was_seen(server: Scripted) -> str:
    return repr((server.seen, server.asked, server.queries))


def refusal(engine: str, url: str, arguments: dict[str, Any]) -> UntrustedRedirect:
    with pytest.raises(UntrustedRedirect) as caught:
        with_app(engine, url, unreached, timeouts=10, **arguments)
    assert leaks(*all_of(caught.value)) == []
    assert (caught.value.phase, caught.value.retryable) == (gt.errors.Phase.DISCOVER, False)
    return caught.value


# --- what was given at connect -----------------------------------------------------------------------


@each_engine
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("place", PLACES)
def test_a_redirect_of_the_discovery_to_another_origin_is_refused_before_anything_goes_there(
    app: Scripted, stranger: Scripted, engine: str, place: str, status: int
) -> None:
    app.scripts = PLACES[place](stranger.url, status)
    url, arguments = with_everything(app.url)
    error = refusal(engine, url, arguments)
    assert stranger.seen == []
    assert (error.origin, error.target) == (app.url, stranger.url)
    assert app.url in error.message
    assert f"token_origin='{stranger.url}'" in error.message


@each_engine
@pytest.mark.parametrize("kind", SECRETS)
def test_each_thing_that_is_given_is_reason_enough(
    app: Scripted, stranger: Scripted, engine: str, kind: str
) -> None:
    app.scripts = PLACES["config"](stranger.url, 307)
    error = refusal(engine, *SECRETS[kind](app.url))
    assert stranger.seen == []
    if kind != "token":
        assert f"connect to {stranger.url!r} itself, or pass trust_redirects=True" in error.message


@each_engine
def test_the_address_that_the_error_names_is_one_that_can_be_connected_to(
    app: Scripted, stranger: Scripted, engine: str
) -> None:
    app.scripts = PLACES["config"](stranger.url, 302)
    arguments = {"headers": {"x-key": "mine"}}
    error = refusal(engine, app.url, arguments)
    assert with_app(engine, error.target, say_hello, **arguments) == (stranger.url, ["Hello, x!"])


@each_engine
@pytest.mark.parametrize(
    "target",
    [
        "http://localhost:{own}/config",
        "http://localhost:{other}/config",
        "http://127.0.0.1:{own}@127.0.0.1:{other}/config",
        "//127.0.0.1:{other}/config",
        "https://127.0.0.1:{own}/config",
        "HTTP://127.0.0.1.:{other}/config",
    ],
)
def test_another_host_port_or_scheme_is_another_origin(
    app: Scripted, stranger: Scripted, engine: str, target: str
) -> None:
    app.scripts["/config"] = moved(target.format(own=app.server_port, other=stranger.server_port))
    refusal(engine, *with_everything(app.url))
    assert stranger.seen == []
    assert [path for path, _ in app.seen] == ["/config"]


@pytest.mark.parametrize("engine", ["sync+client", "asyncio+client"])
@pytest.mark.parametrize(
    "adds",
    [
        {"headers": {"x-key": CANARY}},
        {"cookies": {"key": CANARY}},
        {"auth": ("ann", CANARY)},
        {"params": {"key": CANARY}},
    ],
)
def test_what_the_callers_own_client_adds_to_each_request_is_given_too(
    app: Scripted, stranger: Scripted, engine: str, adds: dict[str, Any]
) -> None:
    app.scripts = PLACES["config"](stranger.url, 302)
    refusal(engine, app.url, {"client": adds})
    assert stranger.seen == []


@each_engine
@pytest.mark.parametrize("target", ["/there/config", "http://127.0.0.1:{own}/there/config", "/config?again"])
def test_a_redirect_within_the_origin_keeps_all_that_was_given(
    app: Scripted, engine: str, target: str
) -> None:
    routes = {path: app.default(path) for path in ("/config", INFO_ROUTE, "/gradio_api/run/direct")}
    app.scripts = {f"/there{path}": script for path, script in routes.items()}

    def config(reply: Reply) -> None:
        if reply.path.startswith("/config?again"):
            routes["/config"](reply)
        else:
            moved(target.format(own=app.server_port))(reply)

    app.scripts["/config"] = config
    url, arguments = with_everything(app.url)

    async def use(connected: Any, wait: Any) -> Any:
        return await wait(connected.call("/direct", "x"))

    assert with_app(engine, url, use, **arguments) == ["x"]
    for _, headers in app.asked:
        assert headers["authorization"] == f"Bearer {TOKEN}"
        assert (headers["x-key"], headers["cookie"]) == (f"{CANARY}-header", f"key={CANARY}-cookie")
    assert all(query.endswith(f"__sign={CANARY}") for _, query in app.queries)


@each_engine
@pytest.mark.parametrize("status", STATUSES)
def test_a_redirect_of_the_info_is_not_followed_and_the_config_does(
    app: Scripted, stranger: Scripted, engine: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    app.scripts[INFO_ROUTE] = moved(f"{stranger.url}{INFO_ROUTE}", status)
    url, arguments = with_everything(app.url)
    with caplog.at_level(logging.WARNING, "gradio_transport"):
        assert with_app(engine, url, say_hello, **arguments) == (app.url, ["Hello, x!"])
    assert stranger.seen == []
    assert "/info could not be read" in caplog.text
    assert stranger.url in caplog.text


# --- an app that moves where nothing was given -------------------------------------------------------


@each_engine
@pytest.mark.parametrize("status", STATUSES)
def test_a_public_app_that_moves_is_followed_and_the_log_says_where(
    app: Scripted, stranger: Scripted, engine: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    app.scripts = PLACES["config"](stranger.url, status)
    with caplog.at_level(logging.WARNING, "gradio_transport"):
        assert with_app(engine, app.url, say_hello) == (stranger.url, ["Hello, x!"])
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"{app.url}: redirects to {stranger.url}" in caplog.text


def _call(**options: Any) -> Callable[[Any], Any]:
    return lambda app: app.call("/hello", "x", options=gt.CallOptions(**options))


def _call_forwarding(app: Any) -> Any:
    with gt.forward({"x-ip-token": CANARY}):
        return app.submit("/hello", "x")


LATER: dict[str, Callable[[Any], Any]] = {
    "headers of a call": _call(headers={"x-call": CANARY}),
    "headers of a call in a session of its own": _call(headers={"x-call": CANARY}, own_session=True),
    "headers of a late call": _call(headers={"x-call": CANARY}, own_session=True, attach="late"),
    "an oauth_token": _call(oauth_token=TOKEN),
    "a forwarded token": _call_forwarding,
    "headers of a session": lambda app: app.session(headers={"x-key": CANARY}).call("/hello", "x"),
    "headers of a session, beside the queue": lambda app: app.session(headers={"x-key": CANARY}).call(
        "/direct", "x"
    ),
    "headers of a session, a component": lambda app: app.session(headers={"x-key": CANARY}).component_server(
        1, "ls"
    ),
    "headers of a call with a file": lambda app: app.call(
        "/hello", gt.handle_file(b"x", name="x"), options=gt.CallOptions(headers={"x-call": CANARY})
    ),
}
"""What is given after the app was found."""


@each_engine
@pytest.mark.parametrize("kind", LATER)
def test_nothing_that_is_given_later_goes_to_where_an_app_moved(
    app: Scripted, stranger: Scripted, engine: str, kind: str
) -> None:
    app.scripts = PLACES["config"](stranger.url, 302)
    files = [{"id": number, "type": "file", "props": {}} for number in (1, 2)]
    config = CONFIG | ({"components": files} if kind.endswith("file") else {})
    stranger.scripts["/config"] = lambda reply: reply.json(config | {"connect_heartbeat": True})

    async def use(connected: Any, wait: Any) -> Any:
        before = len(stranger.seen)
        with pytest.raises(UntrustedRedirect, match=r"trust_redirects=True") as caught:
            await wait(LATER[kind](connected))
        assert len(stranger.seen) == before
        return caught.value

    error = with_app(engine, app.url, use)
    assert leaks(*all_of(error), what_was_seen(stranger)) == []
    assert (error.origin, error.target) == (app.url, stranger.url)
    assert error.may_have_run is False


@each_engine
def test_a_login_is_not_sent_to_where_an_app_moved_and_asks_for_it(
    app: Scripted, stranger: Scripted, engine: str
) -> None:
    stranger.scripts["/config"] = lambda reply: reply.json({"detail": "Not authenticated"}, 401)
    app.scripts = PLACES["config"](stranger.url, 302)
    with pytest.raises(AuthenticationRequired):
        with_app(engine, app.url, unreached)
    refusal(engine, *SECRETS["auth"](app.url))
    assert {path for path, _ in stranger.seen} == {"/config"}
    assert leaks(what_was_seen(stranger)) == []


@pytest.mark.parametrize("engine", [engine for engine in ENGINES if not engine.endswith("client")])
def test_cookies_that_the_first_origin_set_do_not_follow_and_those_of_the_second_are_kept(
    app: Scripted, stranger: Scripted, engine: str
) -> None:
    app.scripts["/config"] = lambda reply: reply.text(
        "", 302, location=f"{stranger.url}/config", set_cookie=f"first={CANARY}"
    )
    stranger.scripts["/config"] = lambda reply: reply.json(CONFIG, set_cookie="second=1")
    with_app(engine, app.url, say_hello)
    seen = [headers.get("cookie") for _, headers in stranger.asked]
    assert seen[0] is None
    assert set(seen[1:]) == {"second=1"}


# --- after the app was found -------------------------------------------------------------------------


@pytest.fixture
def always_doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each call ask for the app again: a client of the caller's does not say that a connection broke."""
    monkeypatch.setattr(app_identity, "CONFIRMED_SECONDS", 0.0)


@each_engine
@pytest.mark.usefixtures("always_doubtful")
@pytest.mark.parametrize("place", [*PLACES, "app_id"])
@pytest.mark.parametrize("gives", [True, False])
def test_an_app_that_was_found_is_not_followed_elsewhere_after_a_restart(
    app: Scripted, stranger: Scripted, engine: str, place: str, gives: bool
) -> None:
    url, arguments = with_everything(app.url) if gives else (app.url, {})

    async def use(connected: Any, wait: Any) -> Any:
        assert await wait(connected.call("/hello", "a")) == ["Hello, a!"]
        if place == "app_id":
            app.scripts["/gradio_api/app_id"] = moved(f"{stranger.url}/gradio_api/app_id")
        else:
            app.scripts |= PLACES[place](stranger.url, 302)
        app.restart({**CONFIG, "app_id": 2})
        if place != "app_id":
            with pytest.raises(UntrustedRedirect, match="redirects to another origin") as caught:
                await wait(connected.call("/hello", "b"))
            assert leaks(*all_of(caught.value)) == []
            app.scripts.clear()
        return await wait(connected.call("/hello", "c"))

    assert with_app(engine, url, use, **arguments) == ["Hello, c!"]
    assert stranger.seen == []
    joins = [headers for path, headers in app.asked if path.endswith("/queue/join")]
    assert len(joins) == 2
    if gives:
        assert all(CANARY in headers["x-key"] for headers in joins)


@each_engine
@pytest.mark.usefixtures("always_doubtful")
def test_a_moved_app_is_looked_for_where_it_was_found_after_a_restart(
    app: Scripted, stranger: Scripted, engine: str
) -> None:
    app.scripts = PLACES["config"](stranger.url, 302)

    async def use(connected: Any, wait: Any) -> Any:
        await wait(connected.call("/hello", "a"))
        asked = len(app.seen)
        stranger.restart({**CONFIG, "app_id": 2}, NAMES)
        answer = await wait(connected.call("/hello", "b"))
        assert len(app.seen) == asked
        return answer

    assert with_app(engine, app.url, use) == ["Hello, b!"]


@each_engine
@pytest.mark.usefixtures("always_doubtful")
def test_a_trusted_redirect_after_a_restart_moves_all_calls(
    app: Scripted, stranger: Scripted, engine: str
) -> None:
    async def use(connected: Any, wait: Any) -> Any:
        await wait(connected.call("/hello", "a"))
        app.scripts |= PLACES["config"](stranger.url, 302)
        app.scripts["/gradio_api/app_id"] = absent  # the identity that it has at the other origin is the same
        app.restart(CONFIG)
        return connected.url, await wait(connected.call("/hello", "b")), connected.url

    arguments = {"headers": {"x-key": "mine"}, "trust_redirects": True}
    found = with_app(engine, app.url, use, **arguments)
    assert found == (app.url, ["Hello, b!"], stranger.url)
    assert {headers.get("x-key") for _, headers in stranger.asked} == {"mine"}


@each_engine
@pytest.mark.usefixtures("always_doubtful")
def test_a_trusted_redirect_to_nothing_leaves_the_credentials_where_the_app_was(
    app: Scripted, stranger: Scripted, engine: str
) -> None:
    async def use(connected: Any, wait: Any) -> Any:
        await wait(connected.call("/direct", "a"))
        stranger.scripts["/config"] = lambda reply: reply.text("no", 500)
        app.scripts |= PLACES["config"](stranger.url, 302)
        app.restart({**CONFIG, "app_id": 2})
        with pytest.raises(gt.GradioTransportError):
            await wait(connected.call("/direct", "b"))
        app.scripts.clear()
        return await wait(connected.call("/direct", "c"))

    arguments = {"headers": {"x-key": "mine"}, "trust_redirects": True}
    assert with_app(engine, app.url, use, **arguments) == ["c"]
    assert {headers.get("x-key") for _, headers in app.asked} == {"mine"}


# --- what the caller trusts --------------------------------------------------------------------------


@each_engine
def test_all_but_a_token_follows_a_redirect_that_the_caller_trusts(
    app: Scripted, stranger: Scripted, engine: str
) -> None:
    app.scripts = PLACES["config"](stranger.url, 302)

    def config(reply: Reply) -> None:
        if "access-token=t" in reply.headers.get("cookie", ""):
            reply.json(CONFIG)
        else:
            reply.json({"detail": "Not authenticated"}, 401)

    stranger.scripts |= {
        "/config": config,
        "/login": lambda reply: reply.json({"success": True}, set_cookie="access-token=t"),
    }

    async def use(connected: Any, wait: Any) -> Any:
        options = gt.CallOptions(headers={"x-call": CANARY}, oauth_token=TOKEN)
        with gt.forward({"x-ip-token": CANARY}):
            call = connected.submit("/hello", "x", options=options)
        return connected.url, await wait(call.result())

    arguments = {"auth": ("ann", CANARY), "headers": {"x-key": CANARY}, "cookies": {"key": CANARY}}
    url = f"{app.url}?__sign={CANARY}"
    found = with_app(engine, url, use, trust_redirects=True, **arguments)
    assert found == (stranger.url, ["Hello, x!"])
    bodies = dict(stranger.seen)
    assert CANARY in repr(bodies["/login"])
    assert bodies["/gradio_api/queue/join"]["oauth_token"] == TOKEN
    join = next(headers for path, headers in stranger.asked if path.endswith("/queue/join"))
    assert (join["x-key"], join["x-call"], join["x-ip-token"]) == (CANARY, CANARY, CANARY)
    assert f"key={CANARY}" in join["cookie"]
    assert all(f"__sign={CANARY}" in query for _, query in stranger.queries)


@each_engine
def test_a_trusted_redirect_of_a_request_that_does_not_move_the_app_takes_nothing_from_its_calls(
    app: Scripted, stranger: Scripted, engine: str
) -> None:
    stranger.scripts["/config/"] = lambda reply: reply.json(CONFIG)
    app.scripts = PLACES["config with a slash"](stranger.url, 302)
    arguments = {"headers": {"x-key": CANARY}, "trust_redirects": True}
    assert with_app(engine, app.url, say_hello, **arguments) == (app.url, ["Hello, x!"])
    assert {headers["x-key"] for _, headers in [*app.asked, *stranger.asked]} == {CANARY}


@each_engine
def test_a_token_follows_no_redirect_even_where_that_is_trusted(
    app: Scripted, stranger: Scripted, engine: str
) -> None:
    app.scripts = PLACES["config"](stranger.url, 302)
    url, arguments = SECRETS["token"](app.url)
    error = refusal(engine, url, arguments | {"trust_redirects": True})
    assert f"itself with token_origin={stranger.url!r}" in error.message
    assert stranger.seen == []


@each_engine
@pytest.mark.parametrize("trust_redirects", [False, True])
def test_no_redirect_leads_to_an_address_inside_a_cloud(
    app: Scripted, engine: str, trust_redirects: bool
) -> None:
    app.scripts["/config"] = moved("http://169.254.169.254/latest/meta-data/")
    with pytest.raises(RemoteProtocolError, match="inside a machine or cloud"):
        with_app(engine, app.url, unreached, trust_redirects=trust_redirects)


@each_engine
@pytest.mark.parametrize(
    "host",
    ["cloud.example", "2852039166", "0xA9FEA9FE", "0251.0376.0251.0376", "169.254.43518", "169.254.169.254."],
)
def test_no_spelling_and_no_name_server_leads_there_either(app: Scripted, engine: str, host: str) -> None:
    app.scripts["/config"] = moved(f"http://{host}/config")
    with internet() as net:
        net.names["cloud.example"] = [["169.254.169.254"]]
        with pytest.raises(gt.GradioTransportError):
            with_app(engine, app.url, unreached)
    assert net.reached == []


@each_engine
def test_where_an_app_moved_no_name_server_leads_inside_later(
    app: Scripted, stranger: Scripted, engine: str
) -> None:
    moves, port = "moves.example", stranger.server_port
    app.scripts["/config"] = moved(f"http://{moves}:{port}/config")

    async def use(found: Any, wait: Callable[[Any], Any]) -> None:
        assert await wait(found.call("/direct", "x")) == ["x"]
        net.names[moves] = [["169.254.169.254"]]
        stranger.restart(CONFIG)
        await wait(found.call("/direct", "x"))

    with internet() as net:
        net.names[moves] = [["127.0.0.1"]]
        with pytest.raises(gt.GradioTransportError):
            with_app(engine, app.url, use)
    assert net.reached == []


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_the_familiar_clients_take_the_option(app: Scripted, stranger: Scripted, kind: Any) -> None:
    import asyncio

    app.scripts = PLACES["config"](stranger.url, 302)

    def connected(**arguments: Any) -> str:
        if kind is Client:
            with Client(app.url, headers={"x-key": CANARY}, **arguments) as client:
                return client.url

        async def main() -> str:
            async with AsyncClient(app.url, headers={"x-key": CANARY}, **arguments) as client:
                return client.url

        return asyncio.run(main())

    with pytest.raises(UntrustedRedirect):
        connected()
    assert stranger.seen == []
    assert connected(trust_redirects=True) == stranger.url


def test_the_command_line_takes_the_option(app: Scripted, stranger: Scripted) -> None:
    app.scripts = PLACES["config"](stranger.url, 302)
    words = ["call", app.url, "/hello", "x", "--header", f"x-key: {CANARY}"]
    refused = CliRunner().invoke(commands, words)
    assert refused.exit_code == 4
    assert "UntrustedRedirect" in refused.output
    assert stranger.seen == []
    assert CliRunner().invoke(commands, [*words, "--trust-redirects"]).output.strip() == "Hello, x!"


# --- other redirects ---------------------------------------------------------------------------------


@each_engine
def test_the_handshake_of_a_websocket_follows_no_redirect(
    app: Scripted, stranger: Scripted, engine: str
) -> None:
    old = CONFIG | {"version": "3.50.2", "protocol": None, "api_prefix": "", "enable_queue": True}
    app.scripts = {
        "/config": lambda reply: reply.json(old),
        "/queue/join": moved(f"{stranger.url.replace('http', 'ws')}/queue/join", 307),
    }
    url, arguments = with_everything(app.url)

    async def use(connected: Any, wait: Any) -> None:
        with pytest.raises(gt.GradioTransportError) as caught:
            await wait(connected.call("/hello", "x", options=gt.CallOptions(headers={"x-call": CANARY})))
        assert leaks(*all_of(caught.value)) == []

    with_app(engine, url, use, timeouts=10, **arguments)
    assert stranger.seen == []


@each_engine
@pytest.mark.parametrize("route", ["/queue/join", "/queue/data", "/run/direct", "/upload"])
def test_no_request_of_a_call_follows_a_redirect(
    app: Scripted, stranger: Scripted, engine: str, route: str
) -> None:
    path = f"/gradio_api{route}"
    app.scripts[path] = moved(f"{stranger.url}{path}", 307)
    if route == "/upload":
        files = [{"id": number, "type": "file", "props": {}} for number in (1, 2)]
        app.scripts["/config"] = lambda reply: reply.json(CONFIG | {"components": files})
    url, arguments = with_everything(app.url)
    value = gt.handle_file(b"x", name="x") if route == "/upload" else "x"

    async def use(connected: Any, wait: Any) -> None:
        endpoint = "/direct" if "direct" in route else "/hello"
        with pytest.raises(gt.GradioTransportError) as caught:
            await wait(connected.call(endpoint, value))
        assert leaks(*all_of(caught.value)) == []

    with_app(engine, url, use, timeouts=10, **arguments)
    assert stranger.seen == []


@each_engine
@pytest.mark.parametrize("status", [302, 307])
def test_the_discovery_of_a_chat_endpoint_follows_no_redirect(
    app: Scripted, stranger: Scripted, engine: str, status: int
) -> None:
    app.scripts["/v1/models"] = moved(f"{stranger.url}/v1/models", status)
    arguments = {"protocol": "openai_chat", "token": TOKEN, "headers": {"x-key": CANARY}}
    with pytest.raises(RemoteProtocolError, match="redirects to"):
        with_app(engine, f"{app.url}/v1", unreached, trust_redirects=True, **arguments)
    assert stranger.seen == []


@each_engine
def test_a_root_at_another_origin_moves_no_request(app: Scripted, stranger: Scripted, engine: str) -> None:
    """Files under the root are those of the app, which is where the caller named it."""
    url = f"{stranger.url}/gradio_api/file=/tmp/x"
    made = {"path": "/tmp/x", "url": url, "meta": {"_type": "gradio.FileData"}}
    files = [{"id": number, "type": "file", "props": {}} for number in (1, 2)]

    def join(reply: Reply) -> None:
        stream = app.messages(reply.body["session_hash"])
        stream.put({"msg": "estimation", "rank": 0, "queue_size": 1, "event_id": "e"})
        stream.put({**completed(made), "event_id": "e"})
        reply.json({"event_id": "e"})

    app.scripts = {
        "/config": lambda reply: reply.json(CONFIG | {"root": stranger.url, "components": files}),
        "/gradio_api/queue/join": join,
        "/gradio_api/file=/tmp/x": lambda reply: reply.text("content"),
    }
    given, arguments = with_everything(app.url)

    async def use(connected: Any, wait: Any) -> Any:
        (file,) = await wait(connected.call("/hello", None))
        return connected.url, await wait(file.read())

    assert with_app(engine, given, use, **arguments) == (app.url, b"content")
    assert stranger.seen == []


@each_engine
def test_files_at_the_first_origin_of_a_moved_app_are_those_of_another_one(
    app: Scripted, stranger: Scripted, engine: str
) -> None:
    made = {"path": f"{app.url}/secret", "meta": {"_type": "gradio.FileData"}}
    files = [{"id": number, "type": "file", "props": {}} for number in (1, 2)]

    def join(reply: Reply) -> None:
        stream = stranger.messages(reply.body["session_hash"])
        stream.put({"msg": "estimation", "rank": 0, "queue_size": 1, "event_id": "e"})
        stream.put({**completed(made), "event_id": "e"})
        reply.json({"event_id": "e"})

    app.scripts = PLACES["config"](stranger.url, 302)
    stranger.scripts |= {
        "/config": lambda reply: reply.json(CONFIG | {"components": files}),
        "/gradio_api/queue/join": join,
    }

    async def use(connected: Any, wait: Any) -> None:
        (file,) = await wait(connected.call("/hello", None))
        with pytest.raises(RemoteProtocolError, match=r"its origin is not the app's own.*foreign_files="):
            await wait(file.read())

    with_app(engine, app.url, use)
    assert [path for path, _ in app.seen] == ["/config"]


@each_engine
def test_user_and_password_that_a_redirect_names_are_neither_sent_nor_shown(
    app: Scripted, stranger: Scripted, engine: str
) -> None:
    app.scripts["/config"] = moved(f"http://x:{CANARY}@127.0.0.1:{stranger.server_port}/config")
    assert with_app(engine, app.url, say_hello) == (stranger.url, ["Hello, x!"])
    assert leaks(what_was_seen(stranger)) == []
    assert not any("authorization" in headers for _, headers in stranger.asked)


@each_engine
def test_a_target_where_nobody_listens_is_no_connection_and_shows_no_secret(
    app: Scripted, engine: str
) -> None:
    app.scripts["/config"] = moved("http://127.0.0.1:9/config")
    with pytest.raises(ConnectError):
        with_app(engine, app.url, unreached, timeouts=10)
    arguments = {"headers": {"x-key": CANARY}, "trust_redirects": True}
    with pytest.raises(ConnectError) as caught:
        with_app(engine, app.url, unreached, timeouts=10, **arguments)
    assert leaks(*all_of(caught.value)) == []
