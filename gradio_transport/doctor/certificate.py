# SPDX-License-Identifier: Apache-2.0
"""Reader of X.509 certificates (RFC 5280): subject, issuer, validity and names.

Why not the `ssl` module: it describes a certificate only if it is trusted, and the doctor has to describe
others. This reader takes the few fields from the DER bytes, without recursion, and does not validate.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime

import attrs

MOST_NAMES = 200

_NAMES = {b"\x55\x04\x03": "CN", b"\x55\x04\x0a": "O", b"\x55\x04\x0b": "OU"}
"""Attribute types (RFC 5280 §4.1.2.4): common name, organization, unit."""

_SUBJECT_ALTERNATIVE_NAME = b"\x55\x1d\x11"

_INTEGER, _OBJECT_IDENTIFIER, _SEQUENCE, _SET = 0x02, 0x06, 0x30, 0x31
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87


class UnreadableError(ValueError):
    """The bytes are not a certificate."""


@attrs.frozen
class Certificate:
    """The contents of a certificate.

    Attributes:
        subject: The owner: common name and organization.
        issuer: The issuer, likewise.
        names: The hosts and addresses that it is valid for.
    """

    subject: str
    issuer: str
    begins: datetime
    ends: datetime
    names: tuple[str, ...]

    @property
    def is_self_issued(self) -> bool:
        """Whether its subject and its issuer have the same name."""
        return self.subject == self.issuer


def read_certificate(der: bytes) -> Certificate:
    """Read a certificate.

    Raises:
        UnreadableError: It is not a certificate.
    """
    try:
        return _read(der)
    except (IndexError, ValueError, StopIteration, OverflowError) as error:
        raise UnreadableError("the certificate cannot be read") from error


def _read(der: bytes) -> Certificate:
    _, whole = next(_items(der))
    _, signed = next(_items(whole))
    fields = [item for item in _items(signed) if item[0] != _VERSION]
    # serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, extensions
    (_, issuer), (_, validity), (_, subject) = fields[2:5]
    begins, ends = (_time(*item) for item in list(_items(validity))[:2])
    extensions = next((content for tag, content in fields if tag == _EXTENSIONS), b"")
    return Certificate(_name(subject), _name(issuer), begins, ends, tuple(_alternative_names(extensions)))


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each item of DER."""
    view, at = memoryview(data), 0
    while at < len(view):
        tag, length, at = view[at], view[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4:
                raise UnreadableError
            length, at = int.from_bytes(view[at : at + size], "big"), at + size
        if at + length > len(view):
            raise UnreadableError
        yield tag, bytes(view[at : at + length])
        at += length


def _name(data: bytes) -> str:
    """Return a distinguished name: common name, and organization in brackets."""
    parts: dict[str, str] = {}
    for tag, relative in _items(data):
        if tag != _SET:
            continue
        for _, attribute in _items(relative):
            (_, kind), (text_tag, text) = list(_items(attribute))[:2]
            encoding = {0x1E: "utf-16-be", 0x14: "latin-1"}.get(text_tag, "utf-8")
            if kind in _NAMES:
                parts.setdefault(_NAMES[kind], text.decode(encoding, "replace")[:200])
    common, organization = parts.get("CN", ""), parts.get("O") or parts.get("OU", "")
    if common and organization and common != organization:
        return f"{common} ({organization})"
    return common or organization or "(no name)"


def _time(tag: int, content: bytes) -> datetime:
    text = content.decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year: 50 and above mean the last century
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _alternative_names(data: bytes) -> Iterator[str]:
    found = 0
    for _, extensions in _items(data):
        for _, extension in _items(extensions):
            parts = list(_items(extension))
            if parts[0][1] != _SUBJECT_ALTERNATIVE_NAME:
                continue
            for _, names in _items(parts[-1][1]):
                for tag, content in _items(names):
                    found += 1
                    if found > MOST_NAMES:
                        return
                    if tag == _DNS_NAME:
                        yield content.decode("ascii", "replace")
                    elif tag == _IP_ADDRESS and len(content) in (4, 16):
                        yield str(ipaddress.ip_address(content))
