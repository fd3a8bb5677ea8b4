# SPDX-License-Identifier: Apache-2.0
"""The contract between the core, the drivers and the protocol adapters.

Three sans-I/O machines, nested:

* an `Adapter` knows one protocol: whether an endpoint of an app speaks it, and what it can do there;
* a `Session` is one ``session_hash``: drivers talk to it in channels (bytes, replies, ends) and it routes
  them to its calls;
* an `Exchange` is one call: it takes decoded messages and answers with events and commands.

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
"""Version of this contract. An adapter built for another one is refused with a clear error."""


@attrs.frozen(kw_only=True)
class Capabilities:
    """What a protocol can do on a given server.

    Attributes:
        queue_position: `Estimation` events come.
        late_attach: A call can be joined now and its stream read later.
        diffs: The wire carries edits (callers see full values all the same).
        streaming_input: Further input can be sent to a running call.
        oauth_token: A function can be given its caller's Hugging Face token.
        cancel: What cancelling a running generator achieves on the server.
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
    """An adapter's answer to "is this endpoint yours?".

    Attributes:
        score: 0 is no; the highest wins. 100 is what the server names itself, above it a better way;
            below 40 is only for those who ask for it by name.
        reason: For `explain()`.
        warning: Logged once if the adapter is chosen, such as that the server is newer than the adapter.
    """

    score: int
    reason: str
    warning: str = ""


@attrs.frozen(kw_only=True)
class DiscoveryContext:
    """What the discovery of an adapter is given.

    Attributes:
        base: What the caller typed, as an absolute URL without a slash at its end.
        auth: User and password, where the caller gave them.
        settings: The keywords of `connect` that are the adapter's own; none but those it lists.
    """

    base: str
    auth: tuple[str, str] | None = attrs.field(default=None, repr=False)
    settings: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    limits: Limits = attrs.field(factory=Limits)


class Adapter(abc.ABC):
    """One protocol. Stateless; one instance serves all apps.

    Attributes:
        name: What callers write in ``protocol=``.
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
        """Whether the adapter has a discovery of its own, because its servers are not Gradio apps.

        Then ``connect(token=)`` is a key of the server itself, and files of a call come with their content,
        as there is no place to upload them to.
        """
        return type(self).discover is not Adapter.discover

    def discover(self, context: DiscoveryContext) -> Handshake:
        """Return the sequence that finds out what there is to call, for servers that are no Gradio apps.

        It is asked only where a caller names this adapter, and no other, in ``connect(protocol=)``.  What
        calls need to know of it goes into `AppConfig.settings`.

        Raises:
            LocalProtocolError: A setting has a value that makes no sense.
        """
        raise NotImplementedError(f"{self.name} leaves the discovery to Gradio's handshake")

    @abc.abstractmethod
    def match(self, config: AppConfig, endpoint: Endpoint) -> Match:
        """Return whether this protocol can call an endpoint of an app, and why or why not."""

    @abc.abstractmethod
    def capabilities(self, config: AppConfig) -> Capabilities:
        """Return what the protocol can do on this server."""

    def session(self, context: SessionContext) -> Session:
        """Return a new session."""
        return Session(context, self.exchange)

    def check(self, config: AppConfig, invocation: Invocation) -> None:
        """Refuse what this version of Gradio cannot do, before anything is sent.

        Values are checked elsewhere, as they must be JSON; an adapter with a discovery of its own is given
        them as they are, and checks them here.

        Raises:
            UnsupportedProtocol: The message says what is missing and what to do instead.
        """
        if invocation.event_data is not None and not self.capabilities(config).event_data:
            raise UnsupportedProtocol(
                f"{self.name} on Gradio {config.version or 'of this age'} has no event_data (3.21+ has).",
                phase=Phase.JOIN,
                adapter=self.name,
            )
        if invocation.oauth_token is not None and not self.capabilities(config).oauth_token:
            raise UnsupportedProtocol(
                f"{self.name} on Gradio {config.version or 'of this age'} takes no oauth_token (the queue "
                "and /call of 6.21+ do). Nothing was sent.",
                phase=Phase.JOIN,
                adapter=self.name,
            )
