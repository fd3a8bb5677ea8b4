# SPDX-License-Identifier: Apache-2.0
"""`AppIdentity`: whether the server still runs the discovered app.

Most protocols name a function by its number. After a restart, another function may have the number, so a call
is sent only if the app is known to be the same.
"""

from __future__ import annotations

import math
import time
from typing import cast

from ..app.config import AppConfig, Component, Endpoint
from ..engines.open_connections import OpenConnections
from ..errors import AppChanged, EndpointNotFound, Phase
from ..protocol.commands import Response

CONFIRMED_SECONDS = 10.0
"""Seconds that an app counts as the same unchecked: behind a proxy, a restart may break no connection."""


class AppIdentity:
    """The identity of a running app, which changes when its server restarts.

    Attributes:
        url: URL of the app. None if its function numbers cannot change their meaning.
        connections: The connections of the engine. None if they are not known, as with the caller's own
            engine.
        confirmed_at: Time of the last confirmation, by `time.monotonic`.
        doubts: Number of broken connections and the like.
    """

    def __init__(self) -> None:
        self.url: str | None = None
        self.connections: OpenConnections | None = None
        self.confirmed_at = -math.inf
        self.doubts = 0
        self._settled = 0
        self._alive_at = -math.inf

    def doubt(self) -> None:
        """Record that a connection broke, so the app may have been restarted."""
        self.doubts += 1

    def confirm(self, doubts: int) -> None:
        """Record that the server runs the app. `doubts` is their number before the request."""
        self._settled = doubts
        self.confirmed_at = self._alive_at = time.monotonic()

    @property
    def is_doubted(self) -> bool:
        """Whether a connection broke since the last confirmation."""
        return self.doubts != self._settled

    def is_certain(self) -> bool:
        """Return whether the server certainly still runs the app, without waiting.

        It does if no connection has broken since the last confirmation, one has stayed open since, and the
        confirmation is less than `CONFIRMED_SECONDS` old. Connections opened until now prove it afterwards,
        so call this before the client closes one.
        """
        if self.url is None:
            return True
        now = time.monotonic()
        if self.doubts != self._settled or now > self.confirmed_at + CONFIRMED_SECONDS:
            return False
        if self.connections is None or self.connections.have_one_since(self.url, self._alive_at):
            self._alive_at = now  # connections opened meanwhile are to the same server
            return True
        return False


def app_id_of(response: Response) -> object:
    """Return the id in a reply of ``/app_id`` (3.0.5+), or None if it has none."""
    try:
        answer = response.json() if response.status == 200 else None
    except ValueError:
        return None
    return cast("dict[str, object]", answer).get("app_id") if isinstance(answer, dict) else None


def is_same_app(known: AppConfig, found: AppConfig) -> bool:
    """Return whether two configs are of the same run of an app.

    Before 3.42 a run has no id; there the functions are compared.
    """
    if known.app_id is not None or found.app_id is not None:
        return known.app_id == found.app_id
    return known.endpoints == found.endpoints


def find_again(endpoint: Endpoint, config: AppConfig) -> Endpoint:
    """Return the endpoint of an app that replaces one from before its restart.

    Raises:
        AppChanged: It has no endpoint of that name with the same parameters.
    """
    which = endpoint.fn_index if endpoint.name is None else endpoint.name
    try:
        found = config.endpoint(which)
    except EndpointNotFound:
        found = None
    if found is None or found.name != endpoint.name:
        what = "no longer has it"
    elif _parameters(found) != _parameters(endpoint):
        what = f"now has other parameters for it: {found}"
    else:
        return found
    raise AppChanged(
        f"The app was restarted since this transport connected, and {what}. {endpoint.display_name} was not "
        "called. Connect again to use the app as it is now.",
        phase=Phase.JOIN,
    )


def _parameters(endpoint: Endpoint) -> object:
    slots = [(slot.type, slot.skipped) for slot in endpoint.inputs]
    return slots, [(parameter.name, parameter.python_type) for parameter in endpoint.parameters]


def check_component(known: Component | None, found: Component) -> None:
    """Refuse to call a component that changed its type in a restart of the app.

    Args:
        known: The component before; None if gr.render made it for one session.
        found: The component with its number now.

    Raises:
        AppChanged: It has another type.
    """
    if known is None or known.type != found.type:
        what = "another component" if known is None else f"a {known.type}"
        raise AppChanged(
            f"The app was restarted since this transport connected, and component {found.id} is now a "
            f"{found.type} instead of {what}. It was not called. Connect again to use the app as "
            "it is now.",
            phase=Phase.JOIN,
        )
