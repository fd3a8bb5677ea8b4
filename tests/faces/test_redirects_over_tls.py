# SPDX-License-Identifier: Apache-2.0
"""Redirects of the discovery between http and https, with real TLS, on every engine."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
import trustme
from canaries import CANARY, all_of, leaks
from faces import ENGINES, with_app
from proxies import Running, connect_proxy
from scripted import CONFIG, Reply, Scripted, scripted

import gradio_transport as gt
from gradio_transport.calls import app_identity
from gradio_transport.errors import RemoteProtocolError, UntrustedRedirect

NAMED, OTHER = "app.example", "other.example"
AUTHORITY = trustme.CA()
GIVEN: dict[str, Any] = {"headers": {"x-key": CANARY}, "cookies": {"key": CANARY}, "auth": ("ann", CANARY)}

each_engine = pytest.mark.parametrize("engine", ENGINES)


@pytest.fixture(scope="module")
def trusting() -> ssl.SSLContext:
    """The context of a client that trusts the authority of the servers here."""
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


@contextlib.contextmanager
def over_tls() -> Iterator[Scripted]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1", "localhost", NAMED, OTHER).configure_cert(context)
    with scripted() as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        yield server


def https(server: Scripted) -> str:
    return server.url.replace("http://", "https://")


def moved(server: Scripted, target: str) -> None:
    server.scripts["/config"] = lambda reply: reply.text("", 301, location=target)


def with_login(server: Scripted) -> None:
    """Let a server want the login before it gives its config."""

    def login(reply: Reply) -> None:
        reply.json({"success": True}, set_cookie="access-token=t; Secure; HttpOnly")

    def config(reply: Reply) -> None:
        if "access-token=t" in reply.headers.get("cookie", ""):
            reply.json(server.config)
        else:
            reply.json({"detail": "Not authenticated"}, 401)

    server.scripts |= {"/config": config, "/login": login}


async def say_hello(app: Any, wait: Any) -> Any:
    return app.url, await wait(app.call("/hello", "x"))


async def unreached(app: Any, wait: Any) -> None:
    raise AssertionError("connected")


@each_engine
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_https_at_another_port_is_another_origin_and_works_where_it_is_trusted(
    engine: str, scheme: str, trusting: ssl.SSLContext
) -> None:
    with scripted() if scheme == "http" else over_tls() as app, over_tls() as secure:
        url = app.url if scheme == "http" else https(app)
        moved(app, f"{https(secure)}/config")
        with_login(secure)
        with pytest.raises(UntrustedRedirect) as caught:
            with_app(engine, url, unreached, verify=trusting, **GIVEN)
        assert leaks(*all_of(caught.value)) == []
        assert (caught.value.origin, caught.value.target) == (url, https(secure))
        assert secure.seen == []
        found = with_app(engine, url, say_hello, verify=trusting, trust_redirects=True, **GIVEN)
        assert found == (https(secure), ["Hello, x!"])
        assert {headers["x-key"] for _, headers in secure.asked} == {CANARY}
        assert [path for path, _ in secure.seen].count("/login") == 1


@each_engine
@pytest.mark.parametrize("trust_redirects", [False, True])
@pytest.mark.parametrize("gives", [False, True])
def test_no_redirect_leads_from_tls_to_plain_http(
    engine: str, gives: bool, trust_redirects: bool, trusting: ssl.SSLContext
) -> None:
    with over_tls() as app, scripted() as plain:
        moved(app, f"{plain.url}/config")
        with pytest.raises(RemoteProtocolError, match="plain http, but you asked for TLS"):
            with_app(
                engine,
                https(app),
                unreached,
                verify=trusting,
                trust_redirects=trust_redirects,
                **(GIVEN if gives else {}),
            )
        assert plain.seen == []


@pytest.fixture
def default_ports(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[Scripted, Scripted, Running]]:
    """Every host at its default ports: a plain server for http, one of TLS for https, by way of proxies."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with (
        scripted() as plain,
        over_tls() as secure,
        connect_proxy(target=("127.0.0.1", secure.server_port)) as tunnels,
    ):
        monkeypatch.setenv("http_proxy", plain.url)
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{tunnels.port}")
        yield plain, secure, tunnels


@each_engine
@pytest.mark.parametrize(
    ("source", "target"),
    [
        (f"http://{NAMED}", f"https://{NAMED}/config"),
        (f"http://{NAMED}:80", f"https://{NAMED}:443/config"),
        (f"http://{NAMED.upper()}", f"https://{NAMED.title()}/config"),
    ],
)
def test_an_upgrade_of_the_named_host_keeps_all_that_was_given_also_after_a_restart(
    default_ports: tuple[Scripted, Scripted, Running],
    engine: str,
    source: str,
    target: str,
    trusting: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app_identity, "CONFIRMED_SECONDS", 0.0)
    plain, secure, _ = default_ports
    moved(plain, f"{target}?__sign={CANARY}")
    with_login(secure)

    async def use(app: Any, wait: Any) -> Any:
        options = gt.CallOptions(headers={"x-call": CANARY})
        first = await wait(app.call("/direct", "a", options=options))
        secure.config = {**CONFIG, "app_id": 2}
        return first, await wait(app.call("/direct", "b", options=options))

    arguments = {"verify": trusting, **GIVEN}
    assert with_app(engine, f"{source}?__sign={CANARY}", use, **arguments) == (["a"], ["b"])
    assert [path for path, _ in plain.seen] == ["/config"]  # nothing is sent without TLS after that
    assert {headers["x-key"] for _, headers in secure.asked} == {CANARY}
    assert all(f"key={CANARY}" in headers["cookie"] for _, headers in secure.asked)
    assert all(f"__sign={CANARY}" in query for _, query in secure.queries)
    runs = [headers for path, headers in secure.asked if path == "/gradio_api/run/direct"]
    assert [(headers["x-call"], "access-token=t" in headers["cookie"]) for headers in runs] == [
        (CANARY, True),
        (CANARY, True),
    ]


@each_engine
@pytest.mark.parametrize(
    "target",
    [
        f"https://{OTHER}/config",
        f"https://{NAMED}.{OTHER}/config",
        f"https://{NAMED}@{OTHER}/config",
        f"https://sub.{NAMED}/config",
        f"https://{NAMED}:8443/config",
        f"http://{OTHER}/config",
        f"http://{NAMED}:443/config",
    ],
)
def test_another_host_or_port_is_no_upgrade(
    default_ports: tuple[Scripted, Scripted, Running], engine: str, target: str, trusting: ssl.SSLContext
) -> None:
    plain, secure, tunnels = default_ports
    moved(plain, target)
    with pytest.raises(UntrustedRedirect):
        with_app(engine, f"http://{NAMED}", unreached, verify=trusting, **GIVEN)
    assert tunnels.targets == []
    assert secure.seen == []
    assert [headers["host"] for _, headers in plain.asked] == [NAMED]
