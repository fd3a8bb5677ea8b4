# SPDX-License-Identifier: Apache-2.0
"""sse_v2.1 (Gradio 4.21.0): sse_v2 whose files carry ``meta``; the messages are the same."""

from __future__ import annotations

from .v2 import SSEv2


class SSEv2_1(SSEv2):  # noqa: N801 - the protocol's own name
    """sse_v2 with marked files."""

    name = "sse_v2.1"
