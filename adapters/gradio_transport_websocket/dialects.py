# SPDX-License-Identifier: Apache-2.0
"""The first sender on ``/queue/join``: three dialects, by version (docs/wire.md §3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradio_transport.adapter import (
    AppConfig,
    Invocation,
    Joined,
    Output,
    SessionContext,
    WakeAt,
    parse_release,
)

from ._socket import SocketExchange

GREETING_PATIENCE_SECONDS = 1.5
"""Servers of 3.2+ send at once; 3.20 to 3.30 drop a client after one second of silence."""


class ClientFirst(SocketExchange):
    """Dialect A (3.1.5 to 3.1.7): the server is silent until it has the session hash, and never closes."""

    def websocket_opened(self, now: float) -> Output:
        """Send the hash."""
        return Output([Joined()], [self.hash_frame()])


class ServerFirst(SocketExchange):
    """Dialect B (3.2 to 3.5): the server would treat anything sent before ``send_data`` as the data."""

    def websocket_opened(self, now: float) -> Output:
        """Send nothing: the server puts every socket in its queue at once."""
        return Output([Joined()])


class HashAsked(SocketExchange):
    """Dialect C (3.6 to 3.50.2): the server requests the hash with ``send_hash``."""


class Undecided(SocketExchange):
    """An unknown version: wait first, and send only if the server waits for it."""

    def __init__(self, context: SessionContext, invocation: Invocation, key: str) -> None:
        super().__init__(context, invocation, key)
        self._heard = False

    def websocket_opened(self, now: float) -> Output:
        """Wait for a while."""
        return Output(commands=[WakeAt(self.channel("socket"), now + GREETING_PATIENCE_SECONDS)])

    def message(self, message: Mapping[str, Any], now: float) -> Output:
        """Process one message; the first one shows that this is not dialect A."""
        self._heard = True
        return super().message(message, now)

    def wake(self, now: float) -> Output:
        """Use dialect A with a silent server."""
        return Output() if self._heard else Output([Joined()], [self.hash_frame()])


def choose_dialect(config: AppConfig) -> type[SocketExchange]:
    """Return the dialect of a server."""
    if config.at_least(3, 6):
        return HashAsked
    if config.at_least(3, 2):
        return ServerFirst
    # Without a version the config cannot distinguish 3.2 from its predecessors.
    return ClientFirst if parse_release(config.version) is not None else Undecided


__all__ = ["ClientFirst", "HashAsked", "ServerFirst", "Undecided", "choose_dialect"]
