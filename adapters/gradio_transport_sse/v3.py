# SPDX-License-Identifier: Apache-2.0
"""sse_v3 (Gradio 4.22.0 to now): the server sends ``close_stream`` before it ends the stream.

The session handles that message for every version, so there is no other difference.
"""

from __future__ import annotations

from gradio_transport.adapter import AppConfig, Endpoint, Match

from .v2 import SSEv2


class SSEv3(SSEv2):
    """The current protocol."""

    name = "sse_v3"

    def match(self, config: AppConfig, endpoint: Endpoint) -> Match:
        """Also match newer protocol names, because the family has been compatible so far."""
        match = super().match(config, endpoint)
        known = ("sse", "sse_v1", "sse_v2", "sse_v2.1", "sse_v3")
        if not match.score and config.protocol not in known and (config.protocol or "").startswith("sse"):
            reason = f"protocol {config.protocol!r} is newer than this library; sse_v3 is the nearest"
            return Match(50, reason, warning=f"{reason}, and calls use it. Update gradio-transport.")
        return match
