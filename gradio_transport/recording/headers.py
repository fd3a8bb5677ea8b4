# SPDX-License-Identifier: Apache-2.0
"""The headers of requests and replies that the proxy forwards.

The app must treat the proxy as its own address; otherwise the URLs of its pages and files bypass the proxy.
Servers learn their address from different headers (docs/wire.md §1.4): 4.20 and later from
``X-Forwarded-Host`` and ``X-Forwarded-Proto``, older ones from ``Host``, which stays that of the app because
a server with several sites needs it. Remaining URLs of the app's own origin are rewritten by
`gradio_transport.recording.rewriting`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from urllib.parse import urlsplit, urlunsplit

import attrs

from ..protocol.commands import CODINGS
from ..protocol.urls import https_origin, origin, resolve_reference
from .front import urlsplit_netloc

Headers = Sequence[tuple[str, str]]
"""Names and values, in order; a name may occur more than once."""

_HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
        "trailer", "trailers", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
"""Headers of one connection (RFC 9110 §7.6.1)."""

_REPLACED = frozenset(
    {
        "host", "expect", "content-length", "forwarded", "x-direct-url", "x-forwarded-host",
        "x-forwarded-port", "x-forwarded-prefix", "x-forwarded-proto", "x-forwarded-scheme",
        "x-forwarded-server", "x-original-host",
    }
)  # fmt: skip
"""Headers of a request that the proxy sets itself, or that would contradict its address."""

_HANDSHAKE = frozenset(
    {
        "sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-key", "sec-websocket-protocol",
        "sec-websocket-version",
    }
)  # fmt: skip
"""Headers of a websocket's handshake, which each side negotiates with its own peer."""

_AUTHORIZING = frozenset({"authorization", "x-hf-authorization"})
"""Headers of a client that override those that the proxy adds."""

_LEADING_AWAY = frozenset({"alt-svc", "strict-transport-security"})
"""Headers of a reply that would make a browser use another port, or https, at the proxy's host."""

_SECURE_NAMES = ("__secure-", "__host-")
"""Cookies that browsers accept only if they are marked as secure."""


@attrs.frozen
class Upstream:
    """The app that requests are forwarded to.

    Attributes:
        base: Its URL, without a trailing slash.
        headers: Headers added to each request: a token, and headers of the user, with lower-case names.
        aliases: More origins and URLs by which the app names itself.
    """

    base: str
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    aliases: Collection[str] = ()

    @property
    def root(self) -> str:
        """Scheme, host and port of its URL, verbatim."""
        parts = urlsplit(self.base)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def path(self) -> str:
        """The path of its URL, without a trailing slash."""
        return urlsplit(self.base).path.rstrip("/")

    @property
    def is_secure(self) -> bool:
        """Whether it uses TLS."""
        return self.base.startswith("https:")

    def url(self, target: str) -> str:
        """Return the URL for the target of a request.

        A target cannot change the origin: it follows the authority, and begins with a slash.

        Raises:
            ValueError: The target is not a path.
        """
        # The absolute form (RFC 9112 §3.2.2): its host is ignored.
        if target.startswith(("http://", "https://")):
            parts = urlsplit(target)
            target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
            target = target if not target.startswith("//") else "/" + target.lstrip("/")
        if not target.startswith("/"):
            raise ValueError("The target of the request is not a path.")
        return self.root + target

    def is_own(self, url: str) -> bool:
        """Return whether an absolute URL belongs to the app: to its origin or one that it claims."""
        where = origin(url)
        mine = {origin(self.base), *(origin(alias) for alias in self.aliases)}
        return where in mine or https_origin(where) in mine or any(https_origin(one) == where for one in mine)


def forward_request(
    headers: Headers,
    upstream: Upstream,
    authority: str,
    *,
    known_cookies: Collection[str] | None = None,
    plain: bool = False,
) -> list[tuple[str, str]]:
    """Return the headers to send to the app for a client's request.

    Args:
        headers: Headers of the client.
        upstream: The app.
        authority: The proxy's address as the client names it.
        known_cookies: The cookies that may be forwarded, or None for all.
        plain: Ask for a reply without content coding, because it will be rewritten.
    """
    own = f"http://{authority}"
    given = upstream.headers.keys() - _AUTHORIZING
    dropped = _HOP_BY_HOP | _REPLACED | _HANDSHAKE | _named_by_connection(headers) | given
    sent: list[tuple[str, str]] = []
    for name, value in headers:
        lower = name.lower()
        if lower in dropped:
            continue
        if lower == "origin" and value == own:
            value = upstream.root
        elif lower == "referer" and (value == own or value.startswith(f"{own}/")):
            value = upstream.root + value[len(own) :]
        elif lower == "accept-encoding":
            value = "identity" if plain else _decodable(value)
        elif lower == "cookie" and known_cookies is not None:
            value = _known(value, known_cookies)
            if not value:
                continue
        sent.append((name, value))
    present = {name.lower() for name, _ in sent}
    sent += [(name, value) for name, value in upstream.headers.items() if name not in present]
    return [*sent, ("X-Forwarded-Host", authority), ("X-Forwarded-Proto", "http")]


def forward_reply(
    headers: Headers, upstream: Upstream, authority: str, *, rewritten: bool = False
) -> list[tuple[str, str]]:
    """Return the headers to send to the client for a reply of the app.

    Args:
        headers: Headers of the app.
        upstream: The app.
        authority: The proxy's address as the client names it.
        rewritten: Whether the proxy changes the body, and so its length.
    """
    dropped = _HOP_BY_HOP | _HANDSHAKE | _LEADING_AWAY | _named_by_connection(headers)
    if rewritten:
        dropped |= {"content-length", "content-md5", "digest", "etag"}
    sent: list[tuple[str, str]] = []
    for name, value in headers:
        lower = name.lower()
        if lower in dropped:
            continue
        if lower in ("location", "content-location"):
            value = to_proxy(value, upstream, authority)
        elif lower == "set-cookie":
            value = local_cookie(value, is_secure=upstream.is_secure)
        sent.append((name, value))
    return sent


def to_proxy(url: str, upstream: Upstream, authority: str) -> str:
    """Return a redirect's URL for the client. A URL that leads elsewhere stays unchanged."""
    netloc = urlsplit_netloc(url) if "://" in url else ""
    if url.startswith("//"):
        absolute = resolve_reference(upstream.base, url)
        netloc = urlsplit_netloc(absolute or "")
        url = absolute if netloc and absolute is not None else url
    if not netloc:
        return url
    try:
        own = netloc == authority or upstream.is_own(url)
        parts = urlsplit(url)
    except ValueError:
        return url
    return urlunsplit(("http", authority, parts.path, parts.query, parts.fragment)) if own else url


def local_cookie(line: str, *, is_secure: bool) -> str:
    """Return a ``Set-Cookie`` that a client of the proxy accepts and sends back.

    ``Domain``, which names the app's host, is removed. The proxy uses plain http: if the app uses https,
    ``Secure`` and attributes that depend on it are removed too.
    """
    pair, *attributes = line.split(";")
    lasting = pair.strip().lower().startswith(_SECURE_NAMES)
    kept = [pair]
    for attribute in attributes:
        name, _, value = attribute.strip().partition("=")
        lower = name.strip().lower()
        needs_tls = lower in ("secure", "partitioned") or (
            lower == "samesite" and value.strip().lower() == "none"
        )
        if lower == "domain" or (needs_tls and is_secure and not lasting):
            continue
        kept.append(attribute)
    return ";".join(kept)


def cookie_name(line: str) -> str:
    """Return the name of the cookie that a ``Set-Cookie`` sets."""
    return line.partition(";")[0].partition("=")[0].strip()


def values(headers: Headers, name: str) -> list[str]:
    """Return the values of a header, whose name is in lower case."""
    return [value for known, value in headers if known.lower() == name]


def joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers as a mapping with lower-case names. The values of a repeated header are joined."""
    found: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        found[lower] = f"{found[lower]}, {value}" if lower in found else value
    return found


def has_other_coding(headers: Headers) -> bool:
    """Return whether a body has another transfer coding than ``chunked``, such as ``gzip, chunked``.

    aiohttp decodes only ``chunked``, and the name of another coding is not forwarded, so the other side could
    not decode the body.
    """
    codings = ",".join(values(headers, "transfer-encoding"))
    return any(coding.strip().lower() not in ("chunked", "") for coding in codings.split(","))


def is_utf8(text: str) -> bool:
    """Return whether the bytes of a part of a head are UTF-8; aiohttp decodes others as surrogates."""
    return text.isascii() or not any("\udc80" <= character <= "\udcff" for character in text)


def readable(text: str) -> str:
    """Return a printable part of a head. Bytes that are not UTF-8 are read as Latin-1, as in browsers."""
    return text if is_utf8(text) else text.encode("utf-8", "surrogateescape").decode("latin-1")


def _named_by_connection(headers: Headers) -> set[str]:
    return {name.strip().lower() for value in values(headers, "connection") for name in value.split(",")} - {
        "close",
        "keep-alive",
        "",
    }


def _decodable(value: str) -> str:
    """Return the accepted codings of a client without those that the recorder cannot decode."""
    kept = [
        part.strip()
        for part in value.split(",")
        if part.partition(";")[0].strip().lower() in (*CODINGS, "identity")
    ]
    return ", ".join(kept) or "identity"


def _known(value: str, names: Collection[str]) -> str:
    pairs = (pair.strip() for pair in value.split(";"))
    return "; ".join(pair for pair in pairs if pair.partition("=")[0].strip() in names)


__all__ = [
    "Headers", "Upstream", "cookie_name", "forward_reply", "forward_request", "has_other_coding", "is_utf8",
    "joined", "local_cookie", "readable", "to_proxy", "values",
]  # fmt: skip
