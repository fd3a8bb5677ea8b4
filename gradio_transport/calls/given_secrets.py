# SPDX-License-Identifier: Apache-2.0
"""The secrets among the caller's settings and arguments, to hide them where a server echoes them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, cast
from urllib.parse import unquote_plus

from ..app.config import Endpoint
from ..engines.environment import proxy_urls
from ..errors import LocalProtocolError
from ..protocol.known_secrets import KnownSecrets
from ..protocol.secret_forms import is_secret_name
from ..protocol.urls import base_url, query_of, split_userinfo
from .options import Options

_HARMLESS_PARAMETERS = frozenset({"__theme", "__lang", "view"})
"""Parameters of an app's URL that only set the look of the page."""


def given_secrets(options: Options, source: str) -> KnownSecrets:
    """Return the secrets among the arguments of `connect`: every possible secret, but no user name."""
    secrets = KnownSecrets()
    secrets.add_headers(options.headers)
    secrets.add(*options.cookies.values())
    if options.token is not None:
        secrets.add(options.token)
    if options.auth is not None:
        login = ":".join(options.auth).encode("utf-8", "surrogatepass")
        secrets.add(options.auth[1], b64encode(login).decode())
    secrets.add(
        *(
            text
            for name, value in options.settings.items()
            if is_secret_name(name)
            for text in leaf_texts(value)
        )
    )
    secrets.add(*_query_values(query_of(source)))
    for url in (source, options.http.proxy, *proxy_urls()):
        if url is not None and "@" in url:
            with suppress(LocalProtocolError):  # not a URL (rejected elsewhere), or a Space
                _, authorization = split_userinfo(base_url(url) if url is source else url)
                secrets.add_headers({"authorization": authorization or ""})
    return secrets


def _query_values(query: str) -> Iterator[str]:
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name not in _HARMLESS_PARAMETERS:
            yield from (value, unquote_plus(value))


def secret_places(endpoint: Endpoint) -> Sequence[int]:
    """Return the positions of secret inputs, by their name or because they are password fields."""
    visible = iter(endpoint.parameters)
    parameters = [None if slot.skipped else next(visible, None) for slot in endpoint.inputs] or list(visible)
    hidden = [slot.props.get("type") == "password" for slot in endpoint.inputs] or [False] * len(parameters)
    return [
        place
        for place, (parameter, is_hidden) in enumerate(zip(parameters, hidden, strict=True))
        if parameter is not None
        and (is_hidden or is_secret_name(parameter.name) or is_secret_name(parameter.label))
    ]


def leaf_texts(value: Any) -> Iterator[str]:
    """Yield the texts and numbers in a value, as texts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, list | tuple):
        for item in cast("list[Any]", value):
            yield from leaf_texts(item)
    elif isinstance(value, dict):
        for item in cast("dict[Any, Any]", value).values():
            yield from leaf_texts(item)
