# SPDX-License-Identifier: Apache-2.0
"""The contract between the core, the drivers and the protocol adapters.

Three sans-I/O machines, nested:

* an `Adapter` knows one protocol: whether an endpoint of an app supports it, and its capabilities there;
* a `Session` is one ``session_hash``: drivers feed it channels (bytes, replies, ends), which it routes to its
  calls;
* an `Exchange` is one call: it takes decoded messages and returns events and commands.

The order in which the core uses them::

    adapter.match(config, endpoint)             # for each endpoint: Match(score, reason); the highest wins
    adapter.check(config, invocation)           # refuses what this server cannot do, before anything is sent
    session = adapter.session(context)          # once for each session_hash
    exchange = session.open(invocation)         # once for each call
    turn = session.start(exchange, now)         # see `gradio_transport.adapter.session`

None of them has a clock, thread, socket or logger: `now` is an argument (seconds of any monotonic clock).
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs

from ..app.config import AppConfig, Endpoint
from ..app.handshake import Handshake
from ..errors import (
    Phase,
    UnsupportedProtocol,
)
from ..events import Achieved
from ..policy import Limits
from .exchange import Exchange, Invocation, SessionContext
from .session import Session

API_VERSION = 1
"""Version of this contract. An adapter built for another version is rejected with a clear error."""


@attrs.frozen(kw_only=True)
class Capabilities:
    """The capabilities of a protocol on a given server.

    Attributes:
        queue_position: Whether there are `Estimation` events.
        late_attach: Whether a call can be joined now and its stream read later.
        diffs: Whether the wire carries edits (callers still get full values).
        streaming_input: Whether a running call accepts further input.
        oauth_token: Whether a function can get its caller's Hugging Face token.
        cancel: The effect on the server of cancelling a running generator.
    """

    generators: bool = False
    progress: bool = False
    logs: bool = False
    queue_position: bool = False
    late_attach: bool = False
    diffs: bool = False
    files: bool = False
    event_data: bool = False
    streaming_input: bool = False
    oauth_token: bool = False
    cancel: Achieved = Achieved.RUNS_ON


@attrs.frozen
class Match:
    """The result of an adapter's check of an endpoint.

    Attributes:
        score: 0 means no; the highest wins. 100 is the protocol that the server names, above it a better one;
            below 40 it must be requested by name.
        reason: For `explain()`.
        warning: Logged once if the adapter is chosen, for example because the server is newer than the
            adapter.
    """

    score: int
    reason: str
    warning: str = ""


@attrs.frozen(kw_only=True)
class DiscoveryContext:
    """The input of an adapter's discovery.

    Attributes:
        base: The caller's URL, absolute and without a trailing slash.
        auth: User and password, if the caller gave them.
        settings: The keywords of `connect` that the adapter lists as its own.
    """

    base: str
    auth: tuple[str, str] | None = attrs.field(default=None, repr=False)
    settings: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    limits: Limits = attrs.field(factory=Limits)


class Adapter(abc.ABC):
    """One protocol. Stateless; one instance serves all apps.

    Attributes:
        name: Its name in ``protocol=``.
        api_version: The `API_VERSION` it was built for.
        exchange: The class of its calls.
        settings: The keywords that `connect` passes on to its `discover`.
    """

    name: ClassVar[str]
    api_version: ClassVar[int] = API_VERSION
    exchange: ClassVar[type[Exchange]]
    settings: ClassVar[Sequence[str]] = ()

    @property
    def has_discovery(self) -> bool:
        """Whether the adapter has its own discovery, because its servers are not Gradio apps.

        Then ``connect(token=)`` is a key of the server itself, and files of a call contain their content,
        because there is no upload.
        """
        return type(self).discover is not Adapter.discover

    def discover(self, context: DiscoveryContext) -> Handshake:
        """Return the sequence that discovers the endpoints, for servers that are not Gradio apps.

        It is called only if ``connect(protocol=)`` names this adapter and no other. Put the data that calls
        need into `AppConfig.settings`.

        Raises:
            LocalProtocolError: A setting has an invalid value.
        """
        raise NotImplementedError(f"{self.name} leaves the discovery to Gradio's handshake")

    @abc.abstractmethod
    def match(self, config: AppConfig, endpoint: Endpoint) -> Match:
        """Return whether this protocol can call an endpoint of an app, with the reason."""

    @abc.abstractmethod
    def capabilities(self, config: AppConfig) -> Capabilities:
        """Return the capabilities of the protocol on this server."""

    def session(self, context: SessionContext) -> Session:
        """Return a new session."""
        return Session(context, self.exchange)

    def check(self, config: AppConfig, invocation: Invocation) -> None:
        """Reject what this version of Gradio does not support, before anything is sent.

        The core checks that values are JSON. An adapter with its own discovery gets them unchanged, and
        checks them here.

        Raises:
            UnsupportedProtocol: The message names the missing feature and an alternative.
        """
        if invocation.event_data is not None and not self.capabilities(config).event_data:
            raise UnsupportedProtocol(
                f"{self.name} on Gradio {config.version or 'of this age'} does not support event_data "
                f"(3.21+ does).",
                phase=Phase.JOIN,
                adapter=self.name,
            )
        if invocation.oauth_token is not None and not self.capabilities(config).oauth_token:
            raise UnsupportedProtocol(
                f"{self.name} on Gradio {config.version or 'of this age'} does not support oauth_token (the "
                f"queue and /call of 6.21+ do). Nothing was sent.",
                phase=Phase.JOIN,
                adapter=self.name,
            )
