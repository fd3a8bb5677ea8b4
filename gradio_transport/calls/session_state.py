# SPDX-License-Identifier: Apache-2.0
"""The state of a session in both APIs."""

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
"""The most results of ``gr.render`` that a session keeps, one per place in the page; old ones are dropped."""


class SessionState:
    """The state of a session in either API: its hash, cookies and headers, and its view of the app."""

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
        """The app's config for this session, including its endpoints from ``gr.render``."""
        if self._config is None and self._drawn:
            # Merged on demand, not for each message, because a server may send ``gr.render`` results with
            # each one.
            self._config = with_rendered(self.app.config, *self._drawn.copy().values())
        return self._config or self.app.config

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """The named endpoints, including those from ``gr.render`` for this session."""
        return self.config.named

    def add_rendered(self, event: Event) -> None:
        """Add endpoints from ``gr.render``."""
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
        """Use a new session hash. The server's state for the old one is abandoned."""
        self.session_hash = new_session_hash()
        self._drawn.clear()
        self._config = None

    @property
    def needs_heartbeat(self) -> bool:
        """Whether the session needs a heartbeat (4.25+, docs/wire.md §9)."""
        return self.app.config.connect_heartbeat

    def heartbeat_command(self) -> OpenStream:
        """Return the command that opens the session's heartbeat."""
        url = self.app.discovery.urls.named("heartbeat", self.session_hash)
        return OpenStream("heartbeat", Request.get(url, accept="text/event-stream"), Phase.STREAM)


def new_session_hash() -> str:
    """Return a new, unguessable session hash, because anyone with the hash can read the session's results."""
    return secrets.token_hex(8)
