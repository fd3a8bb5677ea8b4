# SPDX-License-Identifier: Apache-2.0
"""What a pickle keeps of a transport."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

import attrs

from ..adapter.registry import default_registry
from ..errors import (
    LocalProtocolError,
)
from .app import App
from .options import Options

_DROPPED = frozenset({"observer", "registry", "tap"})


@attrs.frozen
class Description:
    """What a pickle has of a transport: enough to connect anew, and nothing secret or alive.

    Attributes:
        source: As given to `connect`, but for a password in it.
        options: Fields of `Options`; a tap and an observer are dropped.
        left_out: What was given besides and is in no pickle; without it nothing is connected.
    """

    source: str
    options: Mapping[str, Any]
    left_out: tuple[str, ...]

    @classmethod
    def of(cls, app: App, *, own_engine: bool) -> Description:
        """Describe a transport. Secret is what `Options` does not show in its repr."""
        options = app.options
        given = {field.name: getattr(options, field.name) for field in attrs.fields(Options)}
        found = {field.name: bool(given[field.name]) for field in attrs.fields(Options) if not field.repr} | {
            "engine": own_engine,
            "verify": isinstance(options.http.verify, ssl.SSLContext),
            "proxy": "@" in (options.http.proxy or ""),
            "registry": options.registry is not default_registry,
            "user and password in its URL": app.has_userinfo,
            "the query of its URL": bool(app.query),
        }
        left_out = tuple(name for name, present in found.items() if present)
        kept = {} if left_out else {name: given[name] for name in given if name not in _DROPPED}
        return cls(app.space or app.base, kept, left_out)

    def check(self) -> Options:
        """Return the options to connect anew with.

        Raises:
            LocalProtocolError: Something was left out that they need.
        """
        if self.left_out:
            raise LocalProtocolError(
                f"This transport comes from a pickle, which never holds {', '.join(self.left_out)}. Connect "
                f"anew in this process, with what it needs: connect({self.source!r}, ...)."
            )
        return Options(**self.options)
