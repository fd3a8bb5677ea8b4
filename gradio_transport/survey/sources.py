# SPDX-License-Identifier: Apache-2.0
"""The sources of a survey, one at a time, without comments and duplicates."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import cast

from ..bulk.calling import may_hold_secrets
from ..errors import LocalProtocolError
from ..protocol.urls import base_url, query_of, shown_source, space_name

_COMMENT = re.compile(r"(?:\A|\s)#.*")
"""A comment starts with a "#" at the start of the line or after a space; in a URL no space precedes it."""


def distinct_sources(given: Iterable[object]) -> Iterator[str]:
    """Yield the sources among lines, without comments and empty lines, each app once.

    It keeps a digest of each, in about 100 bytes, to recognize duplicates.

    Raises:
        LocalProtocolError: One is not a string.
    """
    known: set[bytes] = set()
    for number, line in enumerate(given):
        if not isinstance(line, str):
            raise LocalProtocolError(
                f"A source must be the URL of an app or the name of a Space, as a text; number {number} is "
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
    """Return a key that is the same for equivalent spellings of a source."""
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
        LocalProtocolError: One contains a possible secret.
    """
    for source in sources:
        if may_hold_secrets(source):
            raise LocalProtocolError(
                f"{shown_source(source)} has a login or parameters, which are not sent to workers. Remove "
                f"them, or survey that app without executor=."
            )
        yield source


def check_iterable(sources: object) -> Iterable[object]:
    """Return the iterable of sources.

    Raises:
        LocalProtocolError: It is a text, or not iterable.
    """
    if isinstance(sources, str | bytes) or not isinstance(sources, Iterable):
        raise LocalProtocolError(
            "sources= takes an iterable of URLs and names of Spaces, such as a list or an open file; got "
            f"{type(sources).__name__}."
        )
    return cast("Iterable[object]", sources)
