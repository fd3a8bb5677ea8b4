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
        """Load the public names when the first one is used, so importing the package stays fast."""
        if name == "__version__":  # the version is read from a file, so only on demand
            from importlib.metadata import version

            return version("gradio-transport")
        if name.startswith("_") and name != "__all__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if find_spec(f"{__name__}.{name}") is not None:  # alone: other threads may be waiting for this import
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
        # Not globals(): they contain the subpackages that happen to be imported, and this module's own
        # imports.
        documented = ("__all__", "__version__", "adapter", "client", "spaces", "trace")
        return sorted({*documented, *import_module("._public", __name__).__all__})
