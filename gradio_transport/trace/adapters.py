# SPDX-License-Identifier: Apache-2.0
"""The kind of a trace's adapters."""

from __future__ import annotations

from ..adapter.registry import Registry, default_registry
from ..errors import GradioTransportError


def is_gradio_adapter(name: str, registry: Registry = default_registry) -> bool:
    """Return whether the servers of an adapter are Gradio apps. One that is not installed counts as such."""
    try:
        return not registry.get(name).has_discovery
    except GradioTransportError:
        return True


__all__ = ["is_gradio_adapter"]
