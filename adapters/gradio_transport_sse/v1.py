# SPDX-License-Identifier: Apache-2.0
"""sse_v1 (Gradio 4.9.0 to 4.16.0): one stream per session, every frame a full value."""

from __future__ import annotations

from ._stream import StreamAdapter


class SSEv1(StreamAdapter):
    """The first queue with a shared stream."""

    name = "sse_v1"
