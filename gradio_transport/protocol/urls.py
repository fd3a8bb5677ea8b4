# SPDX-License-Identifier: Apache-2.0
"""Pure URL resolution: the target of requests, given the user's URL and the server's own URL.

The rule (docs/wire.md §1.4): requests go to the URL the user gave. ``config.root`` is the server's idea of
its own URL, and is wrong behind many proxies. It is only used to recognise file URLs of the server.
"""

from __future__ import annotations

import re
from base64 import b64encode
from functools import lru_cache
from urllib.parse import SplitResult, quote, unquote_plus, unquote_to_bytes, urljoin, urlsplit, urlunsplit

import attrs

from ..errors import LocalProtocolError, visible
from .addresses import AddressRule, is_address

# A name without dot or port before a slash means a Space. The Hub allows neither "--" nor ".." in it, nor a
# dot or dash at either end.
_SPACE = re.compile(
    r"(?!localhost/)(?!.*(?:--|\.\.))[A-Za-z0-9][A-Za-z0-9_-]*/[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?",
    re.IGNORECASE | re.ASCII,
)

# The address of a page of the Hub, with or without the scheme.
_HUB_PAGE = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)(?:/([^?#]*)(?:[?#].*)?)?", re.IGNORECASE
)

# Text that can only mean the name of a Space, valid or not: no scheme, no dot or port, one slash.
_LIKE_A_SPACE = re.compile(r"(?!localhost/)[^./:@]+/[^/]+", re.IGNORECASE)

_HUGGING_FACE = frozenset({"huggingface.co", "hf.co"})

# Host names of cloud metadata services.
_METADATA_HOSTS = frozenset({"metadata.google.internal", "metadata.goog", "metadata"})

_ROOT = re.compile(r"[^:/?#]+://[^/?#]*")

_SAFE = "/:?&=#%@+,;!$'()*[]~"
"""Characters that stay unencoded in a URL, besides letters, digits and ``-._``."""

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
"""Characters that no HTTP library sends in a URL or encodes."""
_URL_CHARACTERS = 8192
"""The longest URL reference of a server that is parsed.

Servers accept no longer ones either, and the standard library normalizes host names in quadratic time.
"""

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


_USERINFO = re.compile(r"(?<=//)(?:[^/?#]*@|[^/?#@\[\]]*:(?!\d*(?:[/?#]|$))[^@]*@)")
"""User and password before a host.

The second form is for a password that contains "/", "?" or "#". That is not a URL: its apparent port is not a
number.
"""


_GIVEN_USERINFO = re.compile(r"\A((?:[A-Za-z][A-Za-z0-9+.-]*:)?//)[^/?#]*@")


def shown_url(url: str) -> str:
    """Return a URL for messages, logs and `repr`: without user, password, query and fragment.

    Any of them may contain a secret. Every printed URL goes through this function.
    """
    before, at, after = url.rpartition("@")
    if at:
        url = _USERINFO.sub("", before + at) + after
    return visible(url.partition("?")[0].partition("#")[0])


def shown_source(source: str) -> str:
    """Return a printable source: without user and password, even if it is not a URL."""
    before, at, after = source.rpartition("@")
    return shown_url(after if at and "//" not in before else source)


def without_userinfo(url: str) -> str:
    """Return a server's URL without user and password, which are not used and could be printed."""
    return _GIVEN_USERINFO.sub(r"\1", url) if "@" in url else url


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for invalid input
    except ValueError as error:
        if "@" in url:  # the reason quotes the invalid part, which may be a password
            raise LocalProtocolError(
                "The URL is not valid. It is not shown, because it may contain a password. Percent-encode "
                "'/', '?', '#' and '@' in a user and password."
            ) from None
        raise LocalProtocolError(f"{url!r} is not a URL: {error}.") from None
    return parts


def check_url(url: str) -> None:
    """Reject a text that is not a URL.

    Raises:
        LocalProtocolError: The message shows no user and password.
    """
    _split(url)


def base_url(source: str) -> str:
    """Return a user's URL as an absolute http(s) URL without query, fragment or trailing slash.

    Raises:
        LocalProtocolError: It is not an http(s) URL.
    """
    text = source.strip()
    if is_space_name(text):
        raise LocalProtocolError(
            f"{source!r} looks like the name of a Hugging Face Space. Pass the URL of the Space, such as "
            "'https://owner-name.hf.space', or, for a server of that host, with 'http://' before it."
        )
    if _LIKE_A_SPACE.fullmatch(text.rstrip("/")):
        raise LocalProtocolError(
            f"{source!r} is neither a URL nor the name of a Space (letters, digits, '-', '_' and '.'). "
            "Pass a name such as 'owner/name', or, for a server of that host, a URL with 'http://' before it."
        )
    if "://" not in text:
        text = "http://" + text
    parts = _split(text)
    spoiled = any(not character.isprintable() or character.isspace() for character in parts.netloc)
    if parts.scheme not in ("http", "https") or not parts.hostname or spoiled:
        raise LocalProtocolError(
            f"{shown_url(text)!r} is not an http(s) URL, such as 'http://127.0.0.1:7860'."
        )
    # Without query and fragment, because routes are appended to it.
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def query_of(source: str) -> str:
    """Return the query of a user's URL, percent-encoded where needed, or an empty string."""
    before_fragment = source.strip().partition("#")[0]
    return percent_encode(before_fragment.partition("?")[2], "%!$&'()*+,;=:@/?[]~")


def add_query(url: str, query: str) -> str:
    """Return a URL with the parameters of a query after its own, which take precedence."""
    own = {_parameter_name(part) for part in url.partition("?")[2].split("&")}
    added = "&".join(part for part in query.split("&") if part and _parameter_name(part) not in own)
    return f"{url}{'&' if '?' in url else '?'}{added}" if added else url


def drop_query(url: str, query: str) -> str:
    """Return a URL without the parameters of a query."""
    path, _, own = url.partition("?")
    dropped = query.split("&")
    kept = "&".join(part for part in own.split("&") if part not in dropped)
    return f"{path}?{kept}" if kept else path


def _parameter_name(part: str) -> str:
    return unquote_plus(part.partition("=")[0])


def split_userinfo(url: str) -> tuple[str, str | None]:
    """Return a URL without user and password, and the header of HTTP basic authentication for them, or None.

    Why a header instead of the URL: not every library sends them from a URL with a websocket, and URLs are
    printed.
    """
    parts = urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    user, _, password = userinfo.partition(":")
    login = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return urlunsplit(parts._replace(netloc=host)), f"Basic {b64encode(login).decode()}"


def space_name(source: str) -> str | None:
    """Return ``owner/name`` if a user's text names a Hugging Face Space, or None.

    Accepted forms are the name itself, with a trailing slash, with the prefix ``spaces/``, as a repository
    (``owner/name.git``), and the address of its page on the Hub, such as
    ``https://huggingface.co/spaces/owner/name/tree/main``.
    """
    text = source.strip()
    page = _HUB_PAGE.fullmatch(text)
    if page is not None:
        kind, *names = (page[1] or "").split("/")
        text = "/".join(names[:2]) if kind == "spaces" else ""
    name = text.rstrip("/")
    if name.count("/") == 2:
        name = name.removeprefix("spaces/")
    name = name.removesuffix(".git")
    return name if _SPACE.fullmatch(name) else None


def is_space_name(source: str) -> bool:
    """Return whether a user's text names a Hugging Face Space, as in `space_name`."""
    return space_name(source) is not None


def check_no_hub_page(source: str) -> None:
    """Reject the address of a Hub page that is not a Space, such as that of a model or owner.

    Raises:
        LocalProtocolError: The message describes the names of Spaces.
    """
    if not is_space_name(source) and _HUB_PAGE.fullmatch(source.strip()):
        raise LocalProtocolError(
            f"{source!r} is a page of the Hugging Face Hub, but not that of a Space. Pass the name of a "
            "Space, such as 'owner/name', or its address, 'https://huggingface.co/spaces/owner/name'."
        )


def is_hugging_face_host(host: str) -> bool:
    """Return whether a host is Hugging Face's own: that of the Hub, or of a Space.

    Other subdomains of the Hub's name are not: others run them, or they need no token. Every Space has a host
    under ``hf.space`` and can read its requests, so a token is only for the one requested Space.

    Args:
        host: A host name without scheme or port.
    """
    name = host.lower().removesuffix(".")
    return name in _HUGGING_FACE or is_below(name, "hf.space")


def is_below(host: str, domain: str) -> bool:
    """Return whether a host is a subdomain of a domain, label by label; both in lower case."""
    labels = host.removesuffix(f".{domain}")
    return labels != host and re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*", labels) is not None


def origin(url: str) -> str:
    """Return ``scheme://host:port`` (RFC 6454), with ws(s) counted as http(s) and the port spelled out."""
    root = _ROOT.match(url)
    return _origin(root[0] if root else url)


@lru_cache(maxsize=256)  # cached, because each request needs it, and programs use few servers
def _origin(root: str) -> str:
    parts = _split(root)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    # A name with a trailing dot is the same host (RFC 1034 §3.1), and names ignore case (RFC 4343).
    host = (parts.hostname or "").removesuffix(".").lower()
    if ":" in host:  # an IPv6 address, whose colons would look like a port (RFC 3986 §3.2.2)
        host = f"[{host}]"
    port = _DEFAULT_PORTS.get(parts.scheme, 0) if parts.port is None else parts.port
    return f"{scheme}://{host}:{port}"


def percent_encode(text: str, safe: str = "") -> str:
    """Return a text percent-encoded. Lone surrogates, which JSON allows but URLs do not, become ``?``."""
    # `replace`, because the default raises for a lone surrogate, which a server can send.
    return quote(text, safe=safe, errors="replace")


def encode_url(url: str) -> str:
    """Return a server's URL with invalid characters percent-encoded.

    Non-ASCII characters stay in a host: names have their own encoding (RFC 5891), which the engines apply.
    """
    root = _ROOT.match(url)
    end = root.end() if root else 0
    host = (
        one if one.isprintable() and not one.isascii() else percent_encode(one, _SAFE) for one in url[:end]
    )
    return "".join(host) + percent_encode(url[end:], _SAFE)


def resolve_reference(base: str, target: str) -> str | None:
    """Return the target of a server's URL reference (RFC 3986 §5), or None if it is not a URL."""
    if len(target) > _URL_CHARACTERS:
        return None
    try:
        url = urljoin(base, target)
        _ = urlsplit(url).port  # raises for invalid input
    except ValueError:
        return None
    return None if _CONTROLS.search(url) else url


def same_origin(url: str, other: str) -> bool:
    """Return whether two URLs share scheme, host and port."""
    return origin(url) == origin(other)


def is_hugging_face(url: str) -> bool:
    """Return whether a URL has an origin of Hugging Face: its host, with https at the default port."""
    scheme, _, host = origin(url).partition("://")
    name, _, port = host.rpartition(":")
    return (scheme, port) == ("https", "443") and is_hugging_face_host(name)


def https_origin(http_origin: str) -> str | None:
    """Return the origin after an upgrade of an http origin to https, or None for other origins.

    An upgrade stays on one host and goes from the default port of http to that of https.
    """
    scheme, _, host = http_origin.partition("://")
    name, _, port = host.rpartition(":")
    return f"https://{name}:443" if (scheme, port) == ("http", "80") else None


def is_internal(host: str) -> bool:
    """Return whether a host is one that no server may redirect to: link-local, cloud metadata."""
    host = host.strip("[]").rstrip(".").lower()
    if host in _METADATA_HOSTS:
        return True
    # Why not `AddressRule.PUBLIC`: most apps run on loopback or a private network, and name files there.
    return is_address(host) and not AddressRule.NAMED.allows(host)


@attrs.frozen
class AppURLs:
    """The addresses of one app.

    Attributes:
        base: The user's URL, normalised by `base_url`.
        api_prefix: ``""`` before 5.0, ``"/gradio_api"`` from then on.
        root: The server's idea of its own URL; only to recognise file URLs.
    """

    base: str
    api_prefix: str = ""
    root: str = ""

    def page(self, path: str) -> str:
        """Return the URL of a route that never has the prefix: config, login, the page itself."""
        return f"{self.base}/{path.lstrip('/')}"

    def api(self, path: str) -> str:
        """Return the URL of an API route, with the prefix if the server has one."""
        return f"{self.base}{self.api_prefix}/{path.lstrip('/')}"

    def websocket(self, path: str) -> str:
        """Return the websocket URL of an API route."""
        return "ws" + self.api(path).removeprefix("http")

    def named(self, route: str, api_name: str) -> str:
        """Return ``route/api_name`` with the name percent-encoded, because it comes from the server."""
        return self.api(f"{route}/{percent_encode(api_name.lstrip('/'))}")

    def file(self, path: str) -> str:
        """Return the download URL of a server path, percent-encoded (docs/wire.md §10.3)."""
        return self.api(f"file={percent_encode(path, '/')}")

    def resolve(self, url: str) -> str:
        """Return a server's URL, moved from the server's root to the user's base.

        A relative one is resolved against the base; one under `root` is moved; any other stays unchanged (and
        has a foreign origin, which the credentials policy checks). A text that is not a URL is treated as a
        name under the base, where no file exists. User and password are removed.
        """
        root, url = self.root.rstrip("/"), without_userinfo(url)
        if root.startswith(("http://", "https://")) and (url == root or url.startswith(root + "/")):
            return self.base + url[len(root) :]
        if url.startswith("/"):
            return self.base + url
        return resolve_reference(self.base + "/", url) or f"{self.base}/{percent_encode(url)}"
