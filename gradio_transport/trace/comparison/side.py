# SPDX-License-Identifier: Apache-2.0
"""One of two traces: its conversations, without the parts that differ from run to run."""

from __future__ import annotations

import re
from typing import Any, cast

import attrs

from ...app.config import AppConfig
from ...errors import GradioTransportError, one_line
from ...protocol.frames import Kind
from ..conversation import Conversation, Entry, conversations
from ..reader import Trace
from ..replay.discoveries import Discoveries
from ..timeline.reading import CallTimeline, Outcome, timeline
from .comparable import normalise, normalise_text

REPEATED = frozenset({"estimation", "progress"})
"""Messages that servers merge or repeat depending on time; a run of them counts as one."""

IGNORED = frozenset({"heartbeat", "alive?"})
"""Messages, and whole conversations, that depend on time alone."""

_NAMES = re.compile(r"(?<=/file=).*|(?<=[?&]fn_index=)\d+", re.DOTALL)
"""The parts of a route that belong to the app, not to the protocol."""


@attrs.frozen
class Item:
    """An entry of a conversation, made comparable.

    Attributes:
        what: Its name. That of a reply names its request too.
        status: Of a reply, or how a stream ended.
        order: Its place among the entries.
    """

    what: str
    value: Any
    message: bool
    status: str = ""
    order: int = 0


class Side:
    """One of the two traces."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.config: AppConfig | None = None
        try:
            found = Discoveries(trace).found
            self.config = found[0].config if found else None
        except GradioTransportError:  # of another client, or damaged
            pass
        self._calls = {(call.session, call.key): call for call in timeline(trace).calls}
        self.base = self._base()
        self.prefix = self._prefix()
        self.conversations = [one for one in conversations(trace) if one.key not in IGNORED]

    def call(self, conversation: Conversation) -> CallTimeline | None:
        """Return the call of a conversation."""
        return self._calls.get((conversation.session, conversation.key))

    def failure(self, call: CallTimeline) -> str | None:
        """Return how a call failed, or None if it did not."""
        if not call.error and call.outcome in (Outcome.COMPLETED, Outcome.UNFINISHED):
            return None
        return cast("str", self.normalise(f"{call.error or call.outcome.value}: {call.message}".rstrip(": ")))

    def _base(self) -> str:
        for frame in self.trace.frames:
            if frame.kind is Kind.SESSION and frame.payload.get("source"):
                return str(frame.payload["source"])
            if frame.kind is Kind.REQUEST and frame.channel == "discover":
                return str(frame.payload["url"]).partition("?")[0].removesuffix("/config")
        return ""

    def _prefix(self) -> str:
        """Return what is before the routes of the API: the path of the app, and its prefix."""
        _, _, rest = self.base.partition("://")
        path = f"/{rest.partition('/')[2]}".rstrip("/")
        return path + (self.config.api_prefix if self.config is not None else "")

    def route(self, what: str) -> str:
        """Return the name of a request without the prefix of the server."""
        method, blank, target = what.partition(" ")
        app_path = self.prefix.removesuffix(self.config.api_prefix) if self.config is not None else ""
        for prefix in (self.prefix, app_path):
            if prefix and target.startswith(f"{prefix}/"):
                return f"{method}{blank}{target[len(prefix) :]}"
        return what

    def normalise(self, value: Any) -> Any:
        """Return a value in which all that differs from run to run, and by the prefix, is equal."""
        return self._without_prefix(normalise(value))

    def _without_prefix(self, value: Any) -> Any:
        if not self.prefix:
            return value
        if isinstance(value, str):
            return value.replace(f"{self.prefix}/file=", "/file=")
        if isinstance(value, list):
            return [self._without_prefix(item) for item in cast("list[Any]", value)]
        if isinstance(value, dict):
            return {key: self._without_prefix(item) for key, item in cast("dict[str, Any]", value).items()}
        return value

    def items(self, conversation: Conversation) -> list[Item]:
        """Return the entries of a conversation, made comparable."""
        found: list[Item] = []
        asked: dict[str, str] = {}
        for order, entry in enumerate(conversation.entries):
            if entry.message and entry.what in IGNORED:
                continue
            item = self._item(entry, order, asked)
            if found and item.what in REPEATED and found[-1].what == item.what:
                found.pop()
            found.append(item)
        return found

    def _item(self, entry: Entry, order: int, asked: dict[str, str]) -> Item:
        if entry.message:
            return Item(one_line(entry.what), self.normalise(entry.value), True, order=order)
        frame = self.trace.frames[entry.frame]
        what = _NAMES.sub("", normalise_text(self.route(entry.what)))
        if frame.kind is Kind.SESSION:
            return Item("session", None, False, order=order)
        if frame.kind in (Kind.REQUEST, Kind.WS_OPEN):
            asked[frame.channel] = what.partition("?")[0].replace(" (attempt", "")
            return Item(what, self.normalise(entry.value), False, order=order)
        request = asked.get(frame.channel, frame.channel)
        if frame.kind in (Kind.RESPONSE, Kind.RESPONSE_HEAD):
            status = str(frame.payload["status"])
            return Item(f"the reply to {request}", self.normalise(entry.value), False, status, order)
        if frame.kind is Kind.WS_ACCEPT:
            return Item(f"the reply to {request}", None, False, "accepted", order)
        if frame.kind in (Kind.WS_CLOSE, Kind.STREAM_CLOSE):
            return Item(f"the closing of {request}", None, False, order=order)
        if frame.kind is Kind.END:
            what, _, ending = entry.what.partition(" ")
            return Item(f"the end of {request}", None, False, ending, order)
        if frame.kind is Kind.ERROR:
            return Item(f"the failure of {request}", None, False, self._failure(entry), order)
        return Item(what, self.normalise(entry.value), False, order=order)

    @staticmethod
    def _failure(entry: Entry) -> str:
        return f"{entry.what.removeprefix('error ')}: {normalise_text(str(entry.value))}"


__all__ = ["IGNORED", "REPEATED", "Item", "Side"]
