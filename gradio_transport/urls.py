# SPDX-License-Identifier: Apache-2.0
"""Pure URL resolution: where requests go, given what the user typed and what the server believes.

The rule (atlas §1.4): requests go to the URL the user gave.  ``config.root`` is what the server believes of
itself and is wrong behind many proxies; it is used only to recognise file URLs that the server made.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, quote, urljoin, urlsplit, urlunsplit

import attrs

from .errors import LocalProtocolError

# A host name without dot or port before a slash is what people write for a Space.
_SPACE = re.compile(r"(?!localhost/)[A-Za-z0-9][A-Za-z0-9_-]*/[A-Za-z0-9._-]+")

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises on rubbish
    except ValueError as error:
        raise LocalProtocolError(f"{url!r} is not a URL: {error}.") from None
    return parts


def base_url(source: str) -> str:
    """Return what a user typed as an absolute http(s) URL without query, fragment or trailing slash.

    Raises:
        LocalProtocolError: It is no http(s) URL.
    """
    text = source.strip()
    if _SPACE.fullmatch(text):
        raise LocalProtocolError(
            f"{source!r} looks like the name of a Hugging Face Space. Pass the URL of the Space, such as "
            "'https://owner-name.hf.space', or, for a server of that host, with 'http://' before it."
        )
    if "://" not in text:
        text = "http://" + text
    parts = _split(text)
    spoiled = any(not one.isprintable() or one.isspace() for one in parts.netloc)
    if parts.scheme not in ("http", "https") or not parts.hostname or spoiled:
        raise LocalProtocolError(f"{source!r} is no http(s) URL, such as 'http://127.0.0.1:7860'.")
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def origin(url: str) -> str:
    """Return ``scheme://host:port`` (RFC 6454), with ws(s) counted as http(s) and the port spelled out."""
    parts = _split(url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    host = (parts.hostname or "").rstrip(".").lower()
    if ":" in host:
        host = f"[{host}]"
    return f"{scheme}://{host}:{parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)}"


def same_origin(one: str, other: str) -> bool:
    """Return whether two URLs share scheme, host and port."""
    return origin(one) == origin(other)


@attrs.frozen
class AppURLs:
    """The addresses of one app.

    Attributes:
        base: What the user gave, normalised by `base_url`.
        api_prefix: ``""`` before 5.0, ``"/gradio_api"`` from then on.
        root: What the server believes its own URL is; only for recognising file URLs.
    """

    base: str
    api_prefix: str = ""
    root: str = ""

    def page(self, path: str) -> str:
        """Return the URL of a route that is never under the prefix: config, login, the page itself."""
        return f"{self.base}/{path.lstrip('/')}"

    def api(self, path: str) -> str:
        """Return the URL of an API route, under the prefix where the server has one."""
        return f"{self.base}{self.api_prefix}/{path.lstrip('/')}"

    def websocket(self, path: str) -> str:
        """Return the websocket URL of an API route."""
        return "ws" + self.api(path).removeprefix("http")

    def named(self, route: str, api_name: str) -> str:
        """Return ``route/api_name`` with the name percent-encoded: it comes from the server."""
        return self.api(f"{route}/{quote(api_name.lstrip('/'), safe='')}")

    def file(self, path: str) -> str:
        """Return the download URL of a server path, percent-encoded (atlas §10.3)."""
        return self.api(f"file={quote(path, safe='/')}")

    def resolve(self, url: str) -> str:
        """Return a URL that the server gave, moved from its believed root to the user's base.

        A relative one is resolved against the base; one under `root` is moved; any other stays as it is
        (and is then a foreign origin, for the credentials policy to judge).
        """
        root = self.root.rstrip("/")
        if root.startswith(("http://", "https://")) and (url == root or url.startswith(root + "/")):
            return self.base + url[len(root) :]
        if url.startswith("/"):
            return self.base + url
        return urljoin(self.base + "/", url)
