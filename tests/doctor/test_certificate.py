# SPDX-License-Identifier: Apache-2.0
"""The reader of certificates, against another one."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from growth import check_growth

from gradio_transport.doctor.certificate import MOST_NAMES, Certificate, UnreadableError, read_certificate

AUTHORITY = trustme.CA(organization_name="Some Authority", organization_unit_name="Unit")


def der(leaf: Any) -> bytes:
    return x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    "names",
    [
        ("app.example",),
        ("*.example.org", "127.0.0.1", "::1", "xn--bcher-kva.example"),
        tuple(f"h{n}.example" for n in range(60)),
    ],
)
def test_it_reads_what_another_reader_does(names: tuple[str, ...]) -> None:
    data = der(AUTHORITY.issue_cert(*names, common_name="Käse", organization_name="Ours"))
    other = x509.load_der_x509_certificate(data)

    found = read_certificate(data)

    assert set(found.names) == set(names)
    assert found.begins == other.not_valid_before_utc.replace(microsecond=0)
    assert found.ends == other.not_valid_after_utc
    assert found.subject == "Käse (Ours)"
    assert found.issuer == "Some Authority"
    assert not found.is_self_issued


def test_years_of_both_forms() -> None:
    leaf = AUTHORITY.issue_cert(
        "a.example", not_before=datetime(1999, 1, 2, tzinfo=UTC), not_after=datetime(2100, 3, 4, tzinfo=UTC)
    )

    found = read_certificate(der(leaf))

    assert (found.begins.year, found.ends.year) == (1999, 2100)


def test_an_authority_is_issued_by_itself() -> None:
    pem = AUTHORITY.cert_pem.bytes()
    data = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)

    assert read_certificate(data).is_self_issued


def test_names_without_end_are_cut() -> None:
    data = der(AUTHORITY.issue_cert(*(f"h{number}.example" for number in range(MOST_NAMES + 50))))

    assert len(read_certificate(data).names) == MOST_NAMES


def test_damaged_bytes_are_unreadable_or_read_but_never_anything_else() -> None:
    data = der(AUTHORITY.issue_cert("a.example"))
    chance = random.Random(5)
    for _ in range(3000):
        damaged = bytearray(data[: chance.randrange(len(data) + 1)])
        for _ in range(chance.randrange(4)):
            if damaged:
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        with contextlib.suppress(UnreadableError):
            assert isinstance(read_certificate(bytes(damaged)), Certificate)


def item(tag: int, content: bytes) -> bytes:
    """Return an item of DER."""
    return bytes([tag, 0x84]) + len(content).to_bytes(4, "big") + content


def made(issuer: bytes = b"", extensions: bytes = b"") -> bytes:
    """Return a certificate of parts, signed by nobody."""
    time = item(0x17, b"200101000000Z")
    parts = [
        item(2, b"\1"), item(0x30, b""), item(0x30, issuer), item(0x30, time * 2), item(0x30, b""), item(0x30, b""),
        item(0xA3, item(0x30, extensions)),
    ]  # fmt: skip
    return item(0x30, item(0x30, b"".join(parts)))


NAME = item(0x31, item(0x30, item(6, b"\x55\x04\x03") + item(0x0C, b"x")))
OTHER_EXTENSION = item(0x30, item(6, b"\x55\x1d\x0f") + item(4, b""))
ALTERNATIVES = item(6, b"\x55\x1d\x11")


@pytest.mark.parametrize(
    "make",
    [
        lambda n: made(issuer=NAME * n),
        lambda n: made(issuer=item(0x31, b"\x05\x00" * n)),
        lambda n: made(extensions=OTHER_EXTENSION * n),
        lambda n: made(extensions=item(0x30, ALTERNATIVES + item(4, item(0x30, b"\x82\x01x" * n)))),
        lambda n: b"\x30\x80" * n,
    ],
    ids=["names", "empty attributes", "extensions", "hosts", "nesting"],
)
def test_the_time_grows_with_the_size(make: Callable[[int], bytes]) -> None:
    def read(data: bytes) -> None:
        with contextlib.suppress(UnreadableError):
            read_certificate(data)

    check_growth(read, make(4_000), make(16_000))
