# SPDX-License-Identifier: Apache-2.0
"""httpx or httpx2, with the httpcore below it. Their types are unrelated, so the modules are parameters."""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Any, TypeAlias

from ..errors import UnsupportedProtocol
from .content_coding import ACCEPTED

Module: TypeAlias = Any
"""``httpx``, ``httpx2``, ``httpcore`` or ``httpcore2``: the used parts are the same in both versions."""

_CORES = {"httpx": "httpcore", "httpx2": "httpcore2"}


def load(library: str) -> Module:
    """Import an HTTP library.

    Raises:
        UnsupportedProtocol: It is not installed; the message names the extra.
    """
    return _import(library, library)


def load_core(library: str) -> Module:
    """Import the httpcore below an HTTP library.

    Raises:
        UnsupportedProtocol: It is not installed; the message names the extra.
    """
    return _import(_CORES.get(library, library), library)


def _import(module: str, library: str) -> Module:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UnsupportedProtocol(
            f"The engine {library!r} is not installed: pip install 'gradio-transport[{library}]'."
        ) from None


@lru_cache(maxsize=8)
def default_headers(library: str) -> dict[str, str]:
    """Return the default headers of the HTTP library's client, with the supported content codings."""
    module = load(library)
    with module.Client(transport=module.BaseTransport()) as client:
        defaults = {str(name).lower(): str(value) for name, value in client.headers.items()}
    return {**defaults, "accept-encoding": ACCEPTED}
