# SPDX-License-Identifier: Apache-2.0
"""The adapter ``websocket``: one name for the three dialects, which users need not distinguish."""

from __future__ import annotations

from gradio_transport.adapter import (
    Achieved,
    Adapter,
    AppConfig,
    Capabilities,
    Endpoint,
    Invocation,
    Match,
    Phase,
    Session,
    SessionContext,
    UnsupportedProtocol,
)

from ._socket import SocketSession
from .dialects import HashAsked, choose_dialect


class WebSocketQueue(Adapter):
    """The queue of Gradio 3.1.5 to 3.50.2."""

    name = "websocket"
    exchange = HashAsked

    def match(self, config: AppConfig, endpoint: Endpoint) -> Match:
        """Match queued endpoints by version: servers before 4.0 name no protocol."""
        if config.protocol is not None or config.at_least(4, 0):
            return Match(0, "servers from 4.0 on have no websocket queue")
        if not config.at_least(3, 1, 5):
            return Match(0, "servers before 3.1.5 have no websocket queue")
        if endpoint.queue:
            return Match(100, f"queued on Gradio {config.version or 'of unknown version'}: {_name(config)}")
        if config.enable_queue:
            return Match(10, "the endpoint has queue: false, though the app has a queue")
        return Match(0, "the app's queue is off")

    def capabilities(self, config: AppConfig) -> Capabilities:
        """Return the capabilities of this version's queue."""
        return Capabilities(
            generators=config.at_least(3, 3),
            progress=config.at_least(3, 16),
            logs=config.at_least(3, 36),
            queue_position=True,
            files=True,
            event_data=config.at_least(3, 21),
            cancel=Achieved.STOPPING if config.at_least(3, 13) else Achieved.RUNS_ON,
        )

    def session(self, context: SessionContext) -> Session:
        """Return a session whose calls use the server's dialect."""
        return SocketSession(context, choose_dialect(context.config))

    def check(self, config: AppConfig, invocation: Invocation) -> None:
        """Reject apps without a queue: 3.3+ refuse the handshake, older ones never reply (notes G4)."""
        super().check(config, invocation)
        if not (invocation.endpoint.queue or config.enable_queue):
            raise UnsupportedProtocol(
                f"The queue of this app is off, so {invocation.endpoint.display_name} cannot be called over "
                f"its websocket. Use protocol='auto' or 'direct'.",
                phase=Phase.JOIN,
                adapter=self.name,
            )


def _name(config: AppConfig) -> str:
    return {
        "ClientFirst": "dialect A (3.1.5 to 3.1.7), the client sends first",
        "ServerFirst": "dialect B (3.2 to 3.5), the server sends first",
        "HashAsked": "dialect C (3.6 to 3.50), the server asks for the hash",
        "Undecided": "the dialect is known when the socket is open",
    }[choose_dialect(config).__name__]


__all__ = ["WebSocketQueue"]
