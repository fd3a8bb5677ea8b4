# SPDX-License-Identifier: Apache-2.0
"""The recordings of all versions of the kit, served on loopback."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from gradio_transport_conformance.replay.server import serve
from gradio_transport_conformance.traces import shipped_trace

# What a config names, by which adapter most functions go, and the generation; as docs/wire.md has it.
VERSIONS: dict[str, tuple[str | None, str, int]] = {
    "2.3.6": (None, "polling", 2),
    "2.9.4": (None, "polling", 2),
    "3.0.2": (None, "polling", 3),
    "3.1.4": (None, "polling", 3),
    "3.1.7": (None, "websocket", 3),
    "3.2": (None, "websocket", 3),
    "3.4.1": (None, "websocket", 3),
    "3.6": (None, "websocket", 3),
    "3.9.1": (None, "websocket", 3),
    "3.16.2": (None, "websocket", 3),
    "3.23.0": (None, "websocket", 3),
    "3.28.3": (None, "websocket", 3),
    "3.33.1": (None, "websocket", 3),
    "3.39.0": (None, "websocket", 3),
    "3.45.2": (None, "websocket", 3),
    "3.50.2": (None, "websocket", 3),
    "4.0.2": ("sse", "sse", 4),
    "4.8.0": ("sse", "sse", 4),
    "4.9.0": ("sse_v1", "sse_v1", 4),
    "4.16.0": ("sse_v1", "sse_v1", 4),
    "4.17.0": ("sse_v2", "sse_v2", 4),
    "4.20.1": ("sse_v2", "sse_v2", 4),
    "4.21.0": ("sse_v2.1", "sse_v2.1", 4),
    "4.22.0": ("sse_v3", "sse_v3", 4),
    "4.26.0": ("sse_v3", "sse_v3", 4),
    "4.31.5": ("sse_v3", "sse_v3", 4),
    "4.37.2": ("sse_v3", "sse_v3", 4),
    "4.44.1": ("sse_v3", "sse_v3", 4),
    "5.0.2": ("sse_v3", "sse_v3", 5),
    "5.9.1": ("sse_v3", "sse_v3", 5),
    "5.23.3": ("sse_v3", "sse_v3", 5),
    "5.29.1": ("sse_v3", "sse_v3", 5),
    "5.44.1": ("sse_v3", "sse_v3", 5),
    "5.50.0": ("sse_v3", "sse_v3", 5),
    "6.0.2": ("sse_v3", "sse_v3", 6),
    "6.8.0": ("sse_v3", "sse_v3", 6),
    "6.13.0": ("sse_v3", "sse_v3", 6),
    "6.20.0": ("sse_v3", "sse_v3", 6),
    "6.25.0": ("sse_v3", "sse_v3", 6),
    "6.31.0": ("sse_v3", "sse_v3", 6),
}

UNNAMED = ("2.3.6", "3.0.2")
"""Versions whose config does not name them; the generation shows all the same."""


@contextlib.contextmanager
def recordings(case: str, versions: Sequence[str] = tuple(VERSIONS)) -> Iterator[dict[str, str]]:
    """Serve the recording of a case of each version until the end of the block; yield URL -> version."""
    with contextlib.ExitStack() as stack:
        yield {
            stack.enter_context(serve(shipped_trace(f"{version}/{case}"))).url: version
            for version in versions
        }
