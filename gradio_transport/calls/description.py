# SPDX-License-Identifier: Apache-2.0
"""The contents of a pickled transport."""

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
    """The contents of a pickled transport: enough to connect again, without secrets and live objects.

    Attributes:
        source: As given to `connect`, without a password.
        options: Fields of `Options`; a tap and an observer are dropped.
        left_out: Further arguments that are never pickled. If there are any, the copy cannot connect.
    """

    source: str
    options: Mapping[str, Any]
    left_out: tuple[str, ...]

    @classmethod
    def of(cls, app: App, *, own_engine: bool) -> Description:
        """Describe a transport. The fields that `Options` hides in its repr are secret."""
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
        """Return the options to connect with again.

        Raises:
            LocalProtocolError: A required argument was left out.
        """
        if self.left_out:
            raise LocalProtocolError(
                f"This transport comes from a pickle, which never contains {', '.join(self.left_out)}. "
                f"Connect again in this process, with all arguments: connect({self.source!r}, ...)."
            )
        return Options(**self.options)
