# SPDX-License-Identifier: Apache-2.0
"""Which addresses a request may go to."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import tried

from gradio_transport.protocol.addresses import AddressRule, is_address, is_private_name, is_unambiguous

ANY, NAMED, PUBLIC = AddressRule

OPEN = (
    "8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
)  # fmt: skip
INNER = (
    "0.0.0.0", "10.0.0.5", "127.0.0.1", "127.255.255.254", "100.64.0.1", "172.16.0.1", "192.168.1.5", "198.18.0.1",
    "192.0.0.8", "192.0.2.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:0:10.0.0.5", "64:ff9b::7f00:1", "64:ff9b:1::808:808",
    "2002:7f00:1::1", "2002:a00:5::1", "2001:db8::1", "2001:0:5db8:d822:0:3fff:f5ff:fffa", "fc00::1", "fec0::1",
    "ff02::1", "ff0e::1", "100::1", "5f00::1", "4000::1", "::ffff:192.168.1.5%eth0",
)  # fmt: skip
METADATA = (
    "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "fe80::a9fe:a9fe%1", "fd00:ec2::254", "fd20:ce::254",
    "fd00:42::42", "168.63.129.16", "192.0.0.192", "100.100.100.200", "::ffff:169.254.169.254", "::a9fe:a9fe",
    "::ffff:0:a9fe:a9fe", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::ffff:168.63.129.16",
    "2001:0:5db8:d822:0:3fff:5601:5601",
)  # fmt: skip


@pytest.mark.parametrize(
    ("addresses", "allowed"),
    [(OPEN, {ANY, NAMED, PUBLIC}), (INNER, {ANY, NAMED}), (METADATA, {ANY})],
    ids=["public", "inside", "metadata"],
)
def test_each_rule_allows_what_the_caller_can_have_meant(
    addresses: tuple[str, ...], allowed: set[AddressRule]
) -> None:
    assert {one: {rule for rule in AddressRule if rule.allows(one)} for one in addresses} == dict.fromkeys(
        addresses, allowed
    )


@pytest.mark.parametrize(
    "text", ["", "host", "2130706433", "0x7f000001", "127.1", "0177.0.0.1", "1.2.3.4.", "::1::"]
)
def test_what_is_no_address_is_not_allowed(text: str) -> None:
    assert not NAMED.allows(text)
    assert not PUBLIC.allows(text)
    assert not is_address(text)


@tried(200)
@given(st.ip_addresses())
def test_a_stricter_rule_allows_no_more(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    text = str(address)
    assert is_address(text)
    assert PUBLIC.allows(text) <= NAMED.allows(text) <= ANY.allows(text)
    if address.version == 6 and (address.sixtofour or address.teredo):
        return  # the IPv4 address inside decides; whether the whole is global depends on the version of Python
    if not address.is_global or address.is_multicast:
        assert not PUBLIC.allows(text)


@tried(200)
@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:{}", "::{}", "64:ff9b::{}"]))
def test_an_ipv4_address_is_the_same_within_an_ipv6_one(address: ipaddress.IPv4Address, form: str) -> None:
    for rule in AddressRule:
        assert rule.allows(form.format(address)) == rule.allows(str(address))


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("localhost", True), ("intranet", True), ("printer.local", True), ("Metadata.Google.Internal.", True),
        ("router.home.arpa", True), ("metadata.goog", True), ("a.localhost", True),
        ("printer.lan.", True), ("files.corp", True), ("nas.HOME", True), ("wiki.intranet", True), ("a.b.private", True),
        ("lan.example", False), ("notcorp.example", False), ("my-lan", True), ("a.my-lan", False),
        ("example.org", False), ("local.example", False), ("goog.example", False),
        ("127.0.0.1", False), ("[::1]", False), ("::1", False),
    ],
)  # fmt: skip
def test_names_that_no_public_host_has(host: str, private: bool) -> None:
    assert is_private_name(host) is private


PLAIN = (
    "example.org", "example.org.", "localhost", "a_b.example-1.org", "3.example", "0x7f.example", "xn--mnchen-3ya.example",
    "example.xn--p1ai", "0xyz", "127.0.0.1", "8.8.8.8", "::1", "[::1]", "::ffff:127.0.0.1",
)  # fmt: skip
AMBIGUOUS = (
    "", ".", "127.0.0.1.", "169.254.169.254..", "2130706433", "127.1", "0177.0.0.1", "010.0.0.1", "08.8.8.8", "0x7f.1",
    "0x7f.1.", "0x", "256.1.1.1", "name.1", "%31%32%37.0.0.1", "127%2e0.0.1", "localhost%00.example.com",
    "example.org%20", "::1%25lo", "::1%lo", "[fe80::1%1]", "[v1.a]", "a..example", ".example", "a b", "a,b.example",
    "m\xfcnchen.example", "\uff11.1.1.1", "example.org\n",
)  # fmt: skip


def test_a_host_that_others_may_read_differently_is_told_from_a_plain_one() -> None:
    assert [host for host in PLAIN if not is_unambiguous(host)] == []
    assert [host for host in AMBIGUOUS if is_unambiguous(host)] == []


@tried(200)
@given(st.ip_addresses(), st.from_regex(r"\.|%[a-z0-9]+|\.[0-9]+|\.0x[0-9a-f]*", fullmatch=True))
def test_an_address_is_unambiguous_and_nothing_that_begins_with_one_and_ends_in_a_number_or_a_dot(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, suffix: str
) -> None:
    assert is_unambiguous(str(address))
    assert not is_unambiguous(f"{address}{suffix}")
