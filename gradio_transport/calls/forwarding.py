# SPDX-License-Identifier: Apache-2.0
"""Headers of the current request of a web app, forwarded only while it is served.

An app that calls another Space on ZeroGPU forwards its visitor's ``x-ip-token``, so that the visitor's quota
is charged (docs/wire.md §12.3). The token belongs to that visitor, so it is bound to a block of code, never
to a transport that serves other visitors too.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .setting_checks import to_headers

FORWARDED_HEADERS = ("x-ip-token",)

_forwarded: ContextVar[Mapping[str, str]] = ContextVar("gradio_transport_forwarded")


@contextmanager
def forward(request: Any) -> Generator[None, None, None]:
    """Forward the visitor's ``x-ip-token`` with every call inside the block.

    Args:
        request: A ``gr.Request``, another web framework's request with ``headers``, the headers themselves,
            or None for nothing.

    Raises:
        LocalProtocolError: The token is not valid in a header. The message does not show it.
    """
    headers = getattr(request, "headers", request)
    token = _forwarded.set(_select_headers(headers))
    try:
        yield
    finally:
        _forwarded.reset(token)


def _select_headers(headers: Any) -> dict[str, str]:
    get = getattr(headers, "get", None)
    if not callable(get):
        return {}
    found = {name: get(name) or get(name.title()) for name in FORWARDED_HEADERS}
    return to_headers({name: value for name, value in found.items() if isinstance(value, str) and value})


def forwarded_headers() -> Mapping[str, str]:
    """Return the headers to forward in the current context."""
    return _forwarded.get({})
