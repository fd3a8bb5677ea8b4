# SPDX-License-Identifier: Apache-2.0
"""The pluggable transport layer for Gradio: one message flow over every wire protocol since 2.x.

`connect` (sync) and `connect_async` (asyncio, trio) return a transport of an app; `Transport.submit` starts
a call that can be iterated for typed events, `Transport.call` returns its outputs.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._public import *  # noqa: F403
    from ._public import __all__ as __all__

    __version__: str
else:

    def __getattr__(name: str) -> object:
        """Load the public names with the first one that is used, so that an import alone costs nothing."""
        if name == "__version__":  # read from the metadata, a file, only when asked for
            from importlib.metadata import version

            return version("gradio-transport")
        if name.startswith("_") and name != "__all__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if find_spec(f"{__name__}.{name}") is not None:  # alone: the others may be waiting for it right now
            return import_module(f"{__name__}.{name}")
        public = import_module("._public", __name__)
        globals().update(
            {public_name: getattr(public, public_name) for public_name in public.__all__},
            __all__=public.__all__,
        )
        if name not in globals():
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return globals()[name]

    def __dir__() -> list[str]:
        # Not globals(): they hold the rooms that happen to be imported, and what this module needs itself.
        documented = ("__all__", "__version__", "adapter", "client", "spaces", "trace")
        return sorted({*documented, *import_module("._public", __name__).__all__})
