# SPDX-License-Identifier: Apache-2.0
"""The sources of a survey: one at a time, without comments, and each once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import cast

from ..bulk.calling import may_hold_secrets
from ..errors import LocalProtocolError
from ..protocol.urls import base_url, query_of, shown_source, space_name

_COMMENT = re.compile(r"(?:\A|\s)#.*")
"""From a "#" at the beginning or after a blank on: in a URL there is no blank before it."""


def distinct_sources(given: Iterable[object]) -> Iterator[str]:
    """Yield the sources among lines, without comments and empty lines, each app once.

    Of each a digest is kept, to know it again: some 100 bytes.

    Raises:
        LocalProtocolError: One is no text.
    """
    known: set[bytes] = set()
    for number, line in enumerate(given):
        if not isinstance(line, str):
            raise LocalProtocolError(
                f"A source is the URL of an app or the name of a Space, as a text; number {number} is "
                f"{type(line).__name__}."
            )
        source = _COMMENT.sub("", line).strip()
        if not source:
            continue
        digest = hashlib.blake2b(_key(source).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest not in known:
            known.add(digest)
            yield source


def _key(source: str) -> str:
    """Return what two ways to write a source have in common."""
    name = space_name(source)
    if name is not None:
        return f"space {name.lower()}"
    try:
        base = base_url(source)
    except LocalProtocolError:
        return source
    return f"{base if '@' in base else _with_lower_host(base)}?{query_of(source)}"


def _with_lower_host(url: str) -> str:
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.lower()}{slash}{path}"


def without_secrets(sources: Iterable[str]) -> Iterator[str]:
    """Yield sources for the workers of an engine.

    Raises:
        LocalProtocolError: One holds what may be a secret.
    """
    for source in sources:
        if may_hold_secrets(source):
            raise LocalProtocolError(
                f"{shown_source(source)} has a login or parameters, which are not sent to workers. Take them "
                "out, or survey that app without executor=."
            )
        yield source


def check_iterable(sources: object) -> Iterable[object]:
    """Return what sources are read from.

    Raises:
        LocalProtocolError: It is a text, or no iterable.
    """
    if isinstance(sources, str | bytes) or not isinstance(sources, Iterable):
        raise LocalProtocolError(
            "sources= takes an iterable of URLs and names of Spaces, such as a list or an open file; got "
            f"{type(sources).__name__}."
        )
    return cast("Iterable[object]", sources)
