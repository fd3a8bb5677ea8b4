# SPDX-License-Identifier: Apache-2.0
"""Look-ups of hosts that others connect to."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest
from internet import Internet, internet

from gradio_transport.engines.base import Patience
from gradio_transport.engines.lookups import (
    allowed_hosts,
    connection_rule,
    connection_rule_async,
    look_up,
    look_up_async,
)
from gradio_transport.engines.proxies import Proxy
from gradio_transport.engines.routes import Route
from gradio_transport.errors import Phase, RemoteProtocolError
from gradio_transport.protocol.addresses import AddressRule

ANY, NAMED, PUBLIC = AddressRule
PROXY = Route("http", Proxy.parse("http://10.0.0.1:8080"))
DIRECT = Route("http", None)
URL = "http://host.example:81/x?secret"


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
        return await connection_rule_async(URL, host, route, bounds)

    found = [connection_rule(URL, host, route, bounds)]
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


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "2130706433", "intranet", "inner.example"])
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
        return allowed_hosts(URL, await look_up_async("host.example"), patience(PUBLIC))

    by_threads = allowed_hosts(URL, look_up("host.example"), patience(PUBLIC))
    assert sorted(by_threads) == sorted(anyio.run(ask)) == sorted(expected)
    assert by_threads.index("8.8.8.8") < by_threads.index("8.8.4.4")
    net.names["host.example"] = [["169.254.169.254"]]
    with pytest.raises(RemoteProtocolError, match="instead of the name"):
        allowed_hosts(URL, look_up("host.example"), patience(NAMED))
