# SPDX-License-Identifier: Apache-2.0
"""Look-ups of hosts that others connect to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import anyio
import httpx
import httpx2
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from internet import Internet, internet
from properties import tried
from yarl import URL

from gradio_transport.engines.base import Patience
from gradio_transport.engines.httpcore_common import parse_url
from gradio_transport.engines.lookups import (
    allowed_hosts,
    connection_rule,
    connection_rule_async,
    look_up,
    look_up_async,
)
from gradio_transport.engines.proxies import Proxy
from gradio_transport.engines.routes import Route
from gradio_transport.errors import LocalProtocolError, Phase, RemoteProtocolError
from gradio_transport.protocol.addresses import AddressRule
from gradio_transport.protocol.urls import resolve_reference, same_origin

ANY, NAMED, PUBLIC = AddressRule
PROXY = Route("http", Proxy.parse("http://10.0.0.1:8080"))
DIRECT = Route("http", None)
FILE = "http://host.example:81/x?secret"


@pytest.fixture
def net() -> Iterator[Internet]:
    with internet() as made:
        yield made


def patience(rule: AddressRule) -> Patience:
    return Patience(5, 5, "upload", Phase.UPLOAD, 1000, addresses=rule)


def rule_for(host: str, route: Route, rule: AddressRule) -> AddressRule:
    """Return the rule, the same on both faces."""
    bounds = patience(rule)

    async def ask() -> AddressRule:
        return await connection_rule_async(FILE, host, route, bounds)

    found = [connection_rule(FILE, host, route, bounds)]
    found += [anyio.run(ask, backend=backend) for backend in ("asyncio", "trio")]
    (one,) = set(found)
    return one


def test_without_a_proxy_the_connection_is_checked_and_nothing_is_looked_up(net: Internet) -> None:
    assert [rule_for("host.example", DIRECT, rule) for rule in AddressRule] == [ANY, NAMED, PUBLIC]
    assert net.asked == []


def test_the_connection_to_a_proxy_has_no_rule(net: Internet) -> None:
    net.names["host.example"] = [["8.8.8.8"]]
    for rule in (NAMED, PUBLIC):
        assert rule_for("host.example", PROXY, rule) is ANY
        assert rule_for("unknown.example", PROXY, rule) is ANY


@pytest.mark.parametrize("route", [DIRECT, PROXY], ids=["direct", "proxy"])
@pytest.mark.parametrize(
    "host", ["127.0.0.1.", "0x7f.1", "%31%32%37.0.0.1", "::1%25lo", "localhost%00.example.com"]
)
def test_a_host_of_a_servers_that_others_may_read_differently_is_refused(
    net: Internet, host: str, route: Route
) -> None:
    with pytest.raises(RemoteProtocolError, match="is not public"):
        rule_for(host, route, PUBLIC)
    assert net.asked == []
    assert rule_for(host, DIRECT, NAMED) is NAMED


@pytest.mark.parametrize("host", ["169.254.169.254.", "0xa9fea9fe", "169.16689662."])
def test_a_name_of_the_callers_is_no_address_of_metadata_in_another_spelling(
    net: Internet, host: str
) -> None:
    with pytest.raises(RemoteProtocolError, match="instead of the name"):
        rule_for(host, PROXY, NAMED)
    assert net.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "intranet", "inner.example"])
def test_what_is_known_of_a_host_behind_a_proxy_is_checked(net: Internet, host: str) -> None:
    net.names["inner.example"] = [["10.0.0.5"]]
    with pytest.raises(RemoteProtocolError) as caught:
        rule_for(host, PROXY, PUBLIC)
    assert "foreign_files=['http://host.example:81']" in caught.value.message
    assert "secret" not in caught.value.message


def test_addresses_are_tried_by_families_in_turn_without_those_that_are_refused(net: Internet) -> None:
    net.names["host.example"] = [["10.0.0.1", "8.8.8.8", "8.8.4.4", "2606:4700::1111"]]
    expected = ["2606:4700::1111", "8.8.8.8", "8.8.4.4"]

    async def ask() -> list[str]:
        return allowed_hosts(FILE, await look_up_async("host.example"), patience(PUBLIC))

    by_threads = allowed_hosts(FILE, look_up("host.example"), patience(PUBLIC))
    assert sorted(by_threads) == sorted(anyio.run(ask)) == sorted(expected)
    assert by_threads.index("8.8.8.8") < by_threads.index("8.8.4.4")
    net.names["host.example"] = [["169.254.169.254"]]
    with pytest.raises(RemoteProtocolError, match="instead of the name"):
        allowed_hosts(FILE, look_up("host.example"), patience(NAMED))


NAMED_HOST = "http://192.168.1.5/a"
PIECES = (
    "192.168.1.5", "169.254.169.254", "host", "@", ":", "80", "/", "\\", "#", "?", "%40", "%2f", "%", "\t", " ", "[", "]",
    "::1", ".", "\u3002", "\uff0f", "\u2100", "\x85", "\u200b", "http:", "//", ";", "&", "\xe9",
)  # fmt: skip
BEFORE = ("http://", "//", "http:", "/", "http:/", "http:///", "")


@tried(400)
@given(st.sampled_from(BEFORE), st.lists(st.sampled_from(PIECES), max_size=7))
@example("http://", ["192.168.1.5", "."])
def test_no_odd_url_is_of_a_named_origin_here_and_of_another_host_to_an_engine(
    before: str, pieces: list[str]
) -> None:
    url = resolve_reference(NAMED_HOST, before + "".join(pieces))
    try:
        assume(url is not None and same_origin(url, NAMED_HOST))
    except LocalProtocolError:
        assume(False)
    assert url is not None
    for library in ("httpx", "httpx2"):
        with suppress(httpx.InvalidURL, httpx2.InvalidURL):
            target = parse_url(library, url).url
            # With a dot after it, it is the same host: see `origin`.
            assert (target.host.removesuffix(b"."), target.port or 80) == (b"192.168.1.5", 80)
    with suppress(ValueError):
        parsed = URL(url, encoded=url.isascii() and url.isprintable() and " " not in url)
        assert ((parsed.raw_host or "").removesuffix("."), parsed.port) == ("192.168.1.5", 80)
