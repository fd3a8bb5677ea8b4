# SPDX-License-Identifier: Apache-2.0
"""Checks of settings. Each error names the setting and shows no secret."""

from __future__ import annotations

import math
import os
import re
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, cast
from urllib.parse import urlsplit

from ..errors import LocalProtocolError
from ..policy import Timeouts
from ..protocol.headers import is_header_name, value_problem
from ..protocol.urls import origin

TimeoutsLike: TypeAlias = Timeouts | float | None
"""`Timeouts`, or a number of seconds that bounds each phase and the whole call."""

_COOKIE_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")
"""A cookie's value without quotes (RFC 6265 §4.1.1)."""

_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")

_DEFAULT_TIMEOUTS = Timeouts()


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def to_timeouts(value: TimeoutsLike) -> Timeouts:
    """Return the deadlines for a ``timeouts=``.

    Raises:
        LocalProtocolError: It is neither `Timeouts` nor a positive number.
    """
    if value is None:
        return _DEFAULT_TIMEOUTS
    if isinstance(value, Timeouts):
        return value
    if isinstance(value, bool) or not isinstance(cast("object", value), int | float):
        raise LocalProtocolError(
            f"timeouts= takes a number of seconds or gradio_transport.Timeouts(...); got {_kind(value)}."
        )
    return Timeouts.at_most(value)


def to_optional_timeouts(value: TimeoutsLike) -> Timeouts | None:
    """Return the deadlines of one call, or None for those of its transport."""
    return None if value is None else to_timeouts(value)


def to_headers(value: Mapping[str, str] | None) -> dict[str, str]:
    """Return a checked copy of a caller's headers (RFC 9110 §5.1, §5.5).

    Raises:
        LocalProtocolError: A name or value cannot be sent. The message never shows the value.
    """
    if value is None:
        return {}
    if not isinstance(cast("object", value), Mapping):
        raise LocalProtocolError(f"headers= takes a mapping of names to values; got {_kind(value)}.")
    return {_check_name("headers", name): _header_value(name, text) for name, text in value.items()}


def to_optional_headers(value: Mapping[str, str] | None) -> dict[str, str] | None:
    """Return a checked copy of the headers of one call, or None if there are none."""
    return None if value is None else to_headers(value)


def _check_name(setting: str, name: object) -> str:
    """Return the name of a header or cookie, or reject it."""
    if not isinstance(name, str) or not is_header_name(name):
        shown = repr(name[:40]) if isinstance(name, str) else _kind(name)
        raise LocalProtocolError(f"{setting}= has a name that HTTP does not allow: {shown}.")
    return name


def _header_value(name: str, text: object) -> str:
    if not isinstance(text, str):
        raise LocalProtocolError(f"The header {name!r} takes a string; got {_kind(text)}.")
    problem = value_problem(text)
    if problem is not None:
        raise LocalProtocolError(f"The value of the header {name!r} {problem}. (The value is not shown.)")
    return text


def to_cookies(value: Mapping[str, str] | None) -> dict[str, str]:
    """Return a checked copy of a caller's cookies (RFC 6265 §4.1.1).

    Raises:
        LocalProtocolError: A name or value cannot be sent. The message never shows the value.
    """
    if value is None:
        return {}
    if not isinstance(cast("object", value), Mapping):
        raise LocalProtocolError(f"cookies= takes a mapping of names to values; got {_kind(value)}.")
    for name, text in cast("Mapping[object, object]", value).items():
        _check_name("cookies", name)
        if not isinstance(text, str) or not _COOKIE_VALUE.fullmatch(text):
            raise LocalProtocolError(
                f"The value of the cookie {name!r} is not a string, or has characters that cookies do not "
                f"allow. Percent-encode it. (The value is not shown.)"
            )
    return dict(value)


def to_auth(value: tuple[str, str] | None) -> tuple[str, str] | None:
    """Return the user and password of a login, checked.

    Raises:
        LocalProtocolError: It is not a pair of strings. The message never shows it.
    """
    if value is None:
        return None
    parts: Sequence[object] = tuple(value) if isinstance(cast("object", value), tuple | list) else ()
    if len(parts) != 2 or not all(isinstance(part, str) and part for part in parts):
        raise LocalProtocolError(
            "auth= takes a pair of strings: auth=('user', 'password'). Your value is not shown, because it "
            "may contain a password."
        )
    return cast("tuple[str, str]", parts)


def to_token(value: str | None, name: str = "token") -> str | None:
    """Return a token, checked.

    Raises:
        LocalProtocolError: It is not valid in a header. The message never shows it.
    """
    if value is None:
        return None
    if not isinstance(cast("object", value), str):
        raise LocalProtocolError(f"{name}= takes a string or None; got {_kind(value)}.")
    # Why not strip it: a token with a line end usually comes from a file, and you should know.
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise LocalProtocolError(
            f"{name}= is empty, or has blanks, line ends or characters outside ASCII. Call .strip() on a "
            "token that was read from a file. Your value is not shown, because it may be a secret."
        )
    return value


def to_oauth_token(value: str | None) -> str | None:
    """Return the token of one call, checked as `to_token` does."""
    return to_token(value, "oauth_token")


def to_protocol(value: str | Sequence[str]) -> str | tuple[str, ...]:
    """Return the name of an adapter, or names in order of preference.

    Raises:
        LocalProtocolError: It is neither.
    """
    if isinstance(value, str) and value:
        return value
    names: tuple[object, ...] = () if isinstance(value, str) or not _is_sequence(value) else tuple(value)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise LocalProtocolError(
            "protocol= takes 'auto', the name of an adapter such as 'sse_v3', or a list of such names; got "
            f"{value!r}."
        )
    return cast("tuple[str, ...]", names)


def to_optional_protocol(value: str | Sequence[str] | None) -> str | tuple[str, ...] | None:
    """Return the adapter of one call, or None for that of its transport."""
    return None if value is None else to_protocol(value)


def _is_sequence(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, bytes)


def to_directory(value: str | os.PathLike[str] | None) -> Path | None:
    """Return the directory for downloaded files.

    Raises:
        LocalProtocolError: It is not a path.
    """
    if value is None:
        return None
    if not isinstance(cast("object", value), str | os.PathLike) or not os.fspath(value):
        raise LocalProtocolError(f"download_files= takes the path of a directory; got {value!r}.")
    return Path(value)


def to_origins(value: bool | Iterable[str]) -> bool | frozenset[str]:
    """Return the origins that files may be fetched from.

    Raises:
        LocalProtocolError: It is neither a bool nor a list of URLs.
    """
    if isinstance(value, bool):
        return value
    if isinstance(cast("object", value), str) or not isinstance(cast("object", value), Iterable):
        raise LocalProtocolError(
            "foreign_files= takes True, False or a list of origins such as ['https://cdn.example']; got "
            f"{_kind(value)}."
        )
    urls = tuple(value)  # read only once, because it may be a generator
    for url in urls:
        check_origin("foreign_files", url)
    return frozenset(map(origin, urls))


def to_token_origin(value: str | None) -> str | None:
    """Return the origin that the token may be sent to, without user and password.

    Raises:
        LocalProtocolError: It is not a URL. The message never shows it.
    """
    if value is None:
        return None
    check_origin("token_origin", value)
    return origin(value)


def check_origin(name: str, value: object) -> None:
    """Reject a value that is not an http(s) URL with a host.

    Raises:
        LocalProtocolError: It is invalid. The message never shows it.
    """
    if isinstance(value, str) and value.isprintable() and " " not in value:
        try:
            parts = urlsplit(value)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port or an IPv6 address that cannot be read
            valid = False
        if valid:
            return
    raise LocalProtocolError(
        f"{name}= takes origins such as 'https://cdn.example', each with scheme and host; got another "
        "value. It is not shown, because it may contain a secret."
    )


def check_proxy(value: object) -> None:
    """Reject a value that is not the URL of a proxy.

    Raises:
        LocalProtocolError: It is invalid. The message never shows it.
    """
    if value is None:
        return
    scheme, separator, rest = value.partition("://") if isinstance(value, str) else ("", "", "")
    if not separator or scheme.lower() not in _PROXY_SCHEMES or not rest or not rest.isprintable():
        raise LocalProtocolError(
            "proxy= takes the URL of a proxy, such as 'http://user:password@host:8080' (schemes: "
            f"{', '.join(_PROXY_SCHEMES)}). Your value is not shown, because it may contain a password."
        )


def check_verify(value: object) -> None:
    """Reject an invalid certificate setting.

    Raises:
        LocalProtocolError: It is neither a bool, the path of a CA bundle, nor an `ssl.SSLContext`.
    """
    if isinstance(value, bool | ssl.SSLContext):
        return
    if not isinstance(value, str) or not Path(value).exists():
        raise LocalProtocolError(
            "verify= takes True, False, the path of a CA bundle that exists, or an ssl.SSLContext; got "
            f"{value!r}."
        )


def check_instance(name: str, value: object, kind: type, example: str) -> None:
    """Reject a setting of the wrong type.

    Raises:
        LocalProtocolError: The message names the setting and what to pass.
    """
    if not isinstance(value, kind):
        raise LocalProtocolError(f"{name}= takes {example}; got {_kind(value)}.")


def check_callable(name: str, value: Callable[..., object] | None) -> None:
    """Reject a value that is neither a function nor None.

    Raises:
        LocalProtocolError: The message names the setting.
    """
    if value is not None and not callable(cast("object", value)):
        raise LocalProtocolError(f"{name}= takes a function or None; got {_kind(value)}.")


def check_seconds(name: str, value: float | None) -> None:
    """Reject an invalid time to wait.

    Raises:
        LocalProtocolError: It is negative, infinite, or not a number.
    """
    if value is None:
        return
    is_number = isinstance(cast("object", value), int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0:
        raise LocalProtocolError(f"{name}= takes a number of seconds, 0 or more; got {value!r}.")
