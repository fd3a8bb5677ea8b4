# SPDX-License-Identifier: Apache-2.0
"""The machine of every adapter, fed with whatever the contract allows in whatever order.

What is checked is what drivers rely on: each call ends once and says nothing afterwards, nothing is raised
but what the contract says, commands name channels that are there, and an ended call leaves none open.

``GRADIO_TRANSPORT_EXAMPLES=20 pytest tests/adapter/test_machines.py`` tries twenty times as often.
"""

from __future__ import annotations

import itertools
import json
from typing import Any, ClassVar

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from properties import tried

from gradio_transport.adapter.exchange import Exchange, Invocation, SessionContext
from gradio_transport.adapter.registry import default_registry
from gradio_transport.adapter.session import Session, Turn
from gradio_transport.adapter.shared_session import STREAM
from gradio_transport.app.config import AppConfig, Component, Endpoint
from gradio_transport.app.config_parsing import parse_release
from gradio_transport.errors import (
    ConnectError,
    GradioTransportError,
    Phase,
    StreamLost,
    TimeoutExpired,
    TransportError,
    UnsupportedProtocol,
)
from gradio_transport.events import Event
from gradio_transport.policy import Limits
from gradio_transport.protocol.commands import (
    Closed,
    Command,
    DropStream,
    DropWebSocket,
    Ending,
    OpenStream,
    OpenWebSocket,
    Response,
    SendRequest,
    SendText,
    WakeAt,
)
from gradio_transport.protocol.urls import AppURLs
from gradio_transport_openai.chat import ChatSettings

MACHINES = [
    ("sse", "4.8.0"), ("sse_v1", "4.16.0"), ("sse_v2", "4.20.1"), ("sse_v2.1", "4.44.1"), ("sse_v3", "4.22.0"),
    ("sse_v3", "6.31.0"), ("websocket", "3.1.5"), ("websocket", "3.3"), ("websocket", "3.50.2"),
    ("direct", "2.9.4"), ("direct", "6.31.0"), ("polling", "2.3.6"), ("polling", "2.9.4"),
    ("polling", "3.0.20"), ("call", "4.44.1"), ("call", "6.31.0"), ("call_v2", "6.31.0"),
    ("openai_chat", "streamed"), ("openai_chat", "whole"),
]  # fmt: skip

NAMES = ("e1", "e2", "\ud800/..")
OUTPUT = {"data": ["y", None], "is_generating": True, "duration": 0.1}
MESSAGES: list[dict[str, Any]] = [
    {"msg": "send_hash"}, {"msg": "send_data"}, {"msg": "heartbeat"}, {"msg": "close_stream"}, {"msg": "?"},
    {"msg": "estimation", "rank": 1, "queue_size": 2, "rank_eta": 0.5}, {"msg": "queue_full"},
    {"msg": "process_starts", "eta": None}, {"msg": "log", "log": "x", "level": "info"},
    {"msg": "progress", "progress_data": [{"index": 1, "length": 2, "unit": "steps"}]},
    {"msg": "process_generating", "success": True, "output": OUTPUT},
    {"msg": "process_generating", "success": True, "output": {"data": [[["append", [], "z"]], []]}},
    {"msg": "process_streaming", "success": True, "output": OUTPUT, "time_limit": 5},
    {"msg": "process_completed", "success": True, "output": {"data": ["y", None]}},
    {"msg": "process_completed", "success": False, "output": {"error": "why"}},
    {"msg": "process_completed", "success": True, "output": None},
    {"msg": "unexpected_error", "message": "404: Session not found.", "session_not_found": True},
    {"msg": "unexpected_error", "message": "why", "success": False}, {"msg": "server_stopped"},
]  # fmt: skip
CHUNKS = [
    {"id": "c1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "y"}, "finish_reason": None}]},
    {"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"id": "c1", "choices": [], "usage": {"total_tokens": 3}},
    {"error": {"message": "why", "type": "server_error", "code": None}},
]  # fmt: skip
TEXTS = [json.dumps(one) for one in (*MESSAGES, *CHUNKS)]
TEXTS += ["[DONE]", "null", '["y", null]', '"why"', '{"error": "why"}', "", "{", "[" * 600 + "]" * 600]
EVENTS = [
    "",
    "event: generating\n",
    "event: complete\n",
    "event: error\n",
    "event: heartbeat\n",
    "event: ping\n",
]
BODIES: list[Any] = [
    *({"event_id": name, "hash": name, "queue_position": 0} for name in NAMES),
    {"data": ["y", None], "is_generating": False}, {"data": ["y", None], "is_generating": True, "iterator": 3},
    {"error": "why"}, {"error": None}, {"status": "QUEUED", "data": 2}, {"status": "PENDING", "data": None},
    {"status": "NOT FOUND", "data": None}, {"status": "COMPLETE", "data": {"data": ["y", None]}},
    {"status": "FAILED", "data": '{"error": "why"}'}, {"status": "?"}, {"detail": "Queue is full."}, {}, [], "x",
    {"id": "c1", "choices": [{"index": 0, "message": {"content": "y"}, "finish_reason": "stop"}]},
]  # fmt: skip
STATUSES = [200] * 12 + [204, 302, 400, 401, 404, 413, 422, 429, 500, 503]

texts = st.sampled_from(TEXTS) | st.text(max_size=5)
replies = st.builds(
    lambda status, body, headers: Response(status, headers, json.dumps(body).encode(), "http://app/x"),
    st.sampled_from(STATUSES),
    st.sampled_from(BODIES),
    st.sampled_from([{}, {"retry-after": "5"}, {"content-type": "text/html"}]),
)
refusals = st.sampled_from([status for status in STATUSES if status != 200]).map(
    lambda status: Response(status, {}, b'{"detail": "no"}', "http://app/x")
)
failures = st.sampled_from(
    [
        lambda: ConnectError("refused", phase=Phase.JOIN),
        lambda: StreamLost("cut", phase=Phase.JOIN),
        lambda: TimeoutExpired("late", setting="join", phase=Phase.JOIN),
    ]
)
closings = st.builds(
    Closed,
    st.sampled_from([one for one in Ending if one is not Ending.LOCAL]),
    st.sampled_from([None, 1000, 4000]),
)


@attrs.define(eq=False)
class Opening:
    """What is being opened. What is closed meanwhile may be open before a driver notices."""

    command: OpenStream | OpenWebSocket
    given_up: bool = False

    @property
    def channel(self) -> str:
        return self.command.channel


class AnyLegalOrder(RuleBasedStateMachine):
    """A driver without I/O: it does what it is told to, and hears whatever may come of that, at any time."""

    protocol: ClassVar[str]
    version: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        config = self.config()
        slots = (Component(1, "textbox"), Component(2, "state", skipped=True))
        self.endpoint = Endpoint(name="/x", fn_index=0, inputs=slots, outputs=slots, queue=True)
        self.session: Session = default_registry.get(self.protocol).session(
            SessionContext(
                config=config,
                urls=AppURLs("http://app", config.api_prefix),
                session_hash="hash",
                limits=Limits(max_event_bytes=10_000, max_parked_messages=5),
            )
        )
        self.now = 0.0
        self.calls: list[Exchange] = []
        self.heard: dict[Exchange, list[Event]] = {}
        self.requests: list[SendRequest] = []
        self.opening: list[Opening] = []
        self.open: dict[str, OpenStream | OpenWebSocket] = {}
        self.dropped: list[str] = []
        """Channels that were closed on command; their readers have not said so yet."""
        self.wakes: list[str] = []
        self.forgotten = 0

    @classmethod
    def config(cls) -> AppConfig:
        if cls.protocol == "openai_chat":
            settings = ChatSettings(model="m", streaming=cls.version == "streamed")
            return AppConfig(release=(), settings=settings)
        return AppConfig(
            version=cls.version,
            release=parse_release(cls.version),
            protocol=cls.protocol,
            enable_queue=True,
            api_prefix="/gradio_api" if cls.version.startswith(("5", "6")) else "",
        )

    # --- what a driver does -----------------------------------------------------------------------------

    def take(self, turn: Turn) -> None:
        ended = {one.exchange for one in turn.deliveries if one.event.terminal}
        for delivery in turn.deliveries:
            events = self.heard.setdefault(delivery.exchange, [])
            assert not any(event.terminal for event in events), "something was said after the end"
            events.append(delivery.event)
        for command in turn.commands:
            self.check(command, ended)
            self.perform(command)
        for exchange in ended:
            assert exchange.state.final
            own = f"{exchange.key}."
            assert not [one for one in self.open if one.startswith(own)], "an ended call left a channel open"

    def check(self, command: Command, ended: set[Exchange]) -> None:
        key = command.channel.partition(".")[0]
        owner = next((one for one in self.calls if one.key == key), None)
        assert owner is not None or command.channel == STREAM, "a channel of nobody's"
        over = owner is not None and owner.state.final and owner not in ended
        closing = isinstance(command, DropStream | DropWebSocket)
        cancelling = isinstance(command, SendRequest) and command.phase is Phase.CANCEL
        assert not over or closing or cancelling, f"{command} after the end"
        opening = {one.channel for one in self.opening if not one.given_up}
        if closing:
            assert command.channel in self.open or command.channel in opening, "nothing there to close"
        elif isinstance(command, SendText):
            assert isinstance(self.open.get(command.channel), OpenWebSocket), "no socket to send on"
        elif isinstance(command, OpenStream | OpenWebSocket):
            assert command.channel not in self.open, "opened twice"
            assert command.channel not in opening, "opened twice"
        elif isinstance(command, SendRequest):
            assert command.channel not in {one.channel for one in self.requests}, "two replies on one channel"

    def perform(self, command: Command) -> None:
        if isinstance(command, SendRequest):
            self.requests.append(command)
        elif isinstance(command, OpenStream | OpenWebSocket):
            self.opening.append(Opening(command))
        elif isinstance(command, WakeAt):
            assert command.when >= self.now
            self.wakes.append(command.channel)
        elif isinstance(command, DropStream | DropWebSocket):
            if self.open.pop(command.channel, None) is not None:
                self.dropped.append(command.channel)
            for one in self.opening:
                one.given_up = one.given_up or one.channel == command.channel

    # --- what may happen --------------------------------------------------------------------------------

    @rule(late=st.booleans(), elsewhere=st.sampled_from([False, False, False, True]))
    def submit(self, late: bool, elsewhere: bool) -> None:
        adapter = default_registry.get(self.protocol)
        if not self.session.usable or len(self.calls) > 5:
            return
        invocation = Invocation(endpoint=self.endpoint, data=["a", []])
        if adapter.capabilities(self.session.context.config).late_attach:
            self.forgotten += elsewhere
            name = f"elsewhere{self.forgotten}" if elsewhere else None
            invocation = attrs.evolve(invocation, late=late and not elsewhere, event_id=name)
        call = self.session.open(invocation)
        self.calls.append(call)
        self.take(self.session.start(call, self.now))

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.requests)
    @rule(data=st.data(), reply=replies)
    def a_reply_comes(self, data: st.DataObject, reply: Response) -> None:
        command = data.draw(st.sampled_from(self.requests))
        self.requests.remove(command)
        self.take(self.session.reply(command, reply, self.now))

    @precondition(lambda self: self.requests or self.opening)
    @rule(data=st.data(), failure=failures)
    def no_reply_comes(self, data: st.DataObject, failure: Any) -> None:
        chosen = data.draw(st.sampled_from([*self.requests, *self.opening]))
        error: TransportError = failure()
        if isinstance(chosen, Opening):
            self.opening.remove(chosen)
            self.take(self.session.failed(chosen.command, error, self.now))
        else:
            self.requests.remove(chosen)
            self.take(self.session.failed(chosen, error, self.now))

    @precondition(lambda self: self.opening)
    @rule(data=st.data(), refusal=st.none() | refusals)
    def it_is_opened_or_refused(self, data: st.DataObject, refusal: Response | None) -> None:
        chosen = data.draw(st.sampled_from(self.opening))
        self.opening.remove(chosen)
        command = chosen.command
        if refusal is not None:
            self.take(self.session.reply(command, refusal, self.now))
            return
        if chosen.given_up:  # the driver drops it as soon as it looks
            self.dropped.append(command.channel)
        else:
            self.open[command.channel] = command
        if isinstance(command, OpenStream):
            self.take(self.session.stream_opened(command.channel, Response(200), self.now))
        else:
            self.take(self.session.websocket_opened(command.channel, self.now))

    @precondition(lambda self: self.open)
    @rule(
        data=st.data(),
        name=st.sampled_from(EVENTS),
        text=texts,
        event_id=st.sampled_from([None, *NAMES, "elsewhere1", "?"]),
        cut=st.integers(0, 60),
    )
    def something_is_said(
        self, data: st.DataObject, name: str, text: str, event_id: str | None, cut: int
    ) -> None:
        channel = data.draw(st.sampled_from(sorted(self.open)))
        if event_id is not None and text.startswith('{"msg"'):
            text = json.dumps(json.loads(text) | {"event_id": event_id})
        if isinstance(self.open[channel], OpenWebSocket):
            self.take(self.session.text_received(channel, text, self.now))
            return
        said = f"{name}data: {text}\n\n".encode("utf-8", "replace")
        for part in (said[:cut], said[cut:]):
            if channel in self.open:
                self.take(self.session.data_received(channel, part, self.now))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), closed=closings)
    def it_ends(self, data: st.DataObject, closed: Closed) -> None:
        channel = data.draw(st.sampled_from(sorted(self.open)))
        del self.open[channel]
        self.take(self.session.closed(channel, closed, self.now))

    @precondition(lambda self: self.dropped)
    @rule()
    def what_was_dropped_has_ended(self) -> None:
        channel = self.dropped.pop(0)
        if channel not in self.open:  # opened again meanwhile: then the news is swallowed
            self.take(self.session.closed(channel, Closed(Ending.LOCAL), self.now))

    @precondition(lambda self: self.wakes)
    @rule()
    def a_time_has_come(self) -> None:
        self.take(self.session.wake(self.wakes.pop(0), self.now))

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), what=st.sampled_from(["cancel", "fetch", "send", "finish_input"]))
    def the_caller_wants_something(self, data: st.DataObject, what: str) -> None:
        call = data.draw(st.sampled_from(self.calls))
        step = getattr(self.session, what)
        arguments = (call, ["b", None], self.now) if what == "send" else (call, self.now)
        try:
            turn = step(*arguments)
        except UnsupportedProtocol:
            assert what in ("send", "finish_input")
            return
        self.take(turn)
        assert what != "cancel" or call.state.final

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), cancel_commands=st.booleans())
    def a_deadline_expires(self, data: st.DataObject, cancel_commands: bool) -> None:
        call = data.draw(st.sampled_from(self.calls))
        error = TimeoutExpired("late", setting="total", phase=Phase.STREAM)
        self.take(self.session.abandon(call, error, tell_at=self.now if cancel_commands else None))
        assert call.state.final

    # --- what always holds ------------------------------------------------------------------------------

    @invariant()
    def ends_are_single_and_last_and_known(self) -> None:
        for call in self.calls:
            events = self.heard.get(call, [])
            ends = [place for place, event in enumerate(events) if event.terminal]
            assert ends == ([len(events) - 1] if call.state.final else [])
            error = getattr(events[-1], "error", None) if ends else None
            assert error is None or isinstance(error, GradioTransportError)
        assert set(self.session.active) == {call for call in self.calls if not call.state.final}

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        """A call goes on only where something is to come: a reply, a stream, a socket, a time or a fetch."""
        awaited = {one.channel for one in self.requests} | {one.channel for one in self.opening}
        awaited |= set(self.open) | set(self.wakes)
        for call in self.session.active:
            own = any(channel.partition(".")[0] == call.key for channel in awaited)
            assert own or STREAM in awaited or not call.fetched, f"{call} in {call.state}: nothing is to come"

    def teardown(self) -> None:
        for call in self.calls:
            self.take(self.session.abandon(call, StreamLost("the test is over")))
        self.ends_are_single_and_last_and_known()
        assert not [channel for channel in self.open if channel != STREAM]


@pytest.mark.parametrize(("protocol", "version"), MACHINES, ids=lambda one: one)
def test_any_legal_order_ends_each_call_once(protocol: str, version: str) -> None:
    machine = type("Machine", (AnyLegalOrder,), {"protocol": protocol, "version": version})
    run_state_machine_as_test(machine, settings=tried(40, stateful_step_count=40))


def test_every_adapter_has_its_machine_here() -> None:
    assert {protocol for protocol, _ in MACHINES} == set(default_registry.names())
    assert len(list(itertools.groupby(MACHINES))) == len(MACHINES)
