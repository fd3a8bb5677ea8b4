# SPDX-License-Identifier: Apache-2.0
"""The state of a session on both faces."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from ..app.config import AppConfig, Endpoint, JSONObject
from ..app.config_parsing import with_rendered
from ..errors import Phase
from ..events import Event
from ..protocol.commands import OpenStream, Request
from .app import App
from .setting_checks import to_headers

KEPT_DRAWINGS = 100
"""Drawings of ``gr.render`` that a session keeps, one for each place in the page; the oldest make room."""


class SessionState:
    """The state of a session of either face: its hash, cookies and headers, and the app as it sees it."""

    def __init__(
        self, app: App, headers: Mapping[str, str] | None = None, session_hash: str | None = None
    ) -> None:
        self.app = app
        self.credentials = app.credentials.child(to_headers(headers))
        self.session_hash = session_hash or new_session_hash()
        self._drawn: dict[object, JSONObject] = {}
        self._config: AppConfig | None = None

    @property
    def config(self) -> AppConfig:
        """The app as this session sees it: with the endpoints that ``gr.render`` drew for it."""
        if self._config is None and self._drawn:
            # Now, and not for each drawing: a server may draw with each message.
            self._config = with_rendered(self.app.config, *self._drawn.copy().values())
        return self._config or self.app.config

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """The named endpoints, those that ``gr.render`` drew for this session included."""
        return self.config.named

    def add_rendered(self, event: Event) -> None:
        """Add the endpoints that ``gr.render`` drew."""
        drawn = getattr(event, "render_config", None)
        if drawn:
            number = drawn.get("render_id")
            key = number if isinstance(number, int) else object()
            self._drawn.pop(key, None)
            if len(self._drawn) >= KEPT_DRAWINGS:
                del self._drawn[next(iter(self._drawn))]
            self._drawn[key] = drawn
            self._config = None

    def renew_hash(self) -> None:
        """Take another hash: what the server keeps for the old one is left behind."""
        self.session_hash = new_session_hash()
        self._drawn.clear()
        self._config = None

    @property
    def needs_heartbeat(self) -> bool:
        """Whether the server should be shown that the session lives (4.25+, docs/wire.md §9)."""
        return self.app.config.connect_heartbeat

    def heartbeat_command(self) -> OpenStream:
        """Return the command that opens the session's heartbeat."""
        url = self.app.discovery.urls.named("heartbeat", self.session_hash)
        return OpenStream("heartbeat", Request.get(url, accept="text/event-stream"), Phase.STREAM)


def new_session_hash() -> str:
    """Return a fresh session hash, unguessable: with it, anyone can read the session's results."""
    return secrets.token_hex(8)
