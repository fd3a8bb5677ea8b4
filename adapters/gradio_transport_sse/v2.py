# SPDX-License-Identifier: Apache-2.0
"""sse_v2 (Gradio 4.17.0 to 4.20.1): generating frames after the first are edits of the previous one."""

from __future__ import annotations

from ._stream import StreamAdapter, StreamExchange


class DiffExchange(StreamExchange):
    """A call whose generating frames are edits."""

    diffs = True


class SSEv2(StreamAdapter):
    """sse_v1 with diffs."""

    name = "sse_v2"
    exchange = DiffExchange
    diffs = True
