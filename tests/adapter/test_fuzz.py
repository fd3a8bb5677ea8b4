# SPDX-License-Identifier: Apache-2.0
"""Whatever a server says, in whatever order: every adapter ends each call once, and raises nothing.

The tests run a bounded number of examples.  For as long as you like, with a new seed each time:

    python -m tests.adapter.test_fuzz --seconds 600
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from typing import Any

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st
from properties import tried

from gradio_transport.adapter.exchange import Exchange, Invocation, SessionContext
from gradio_transport.adapter.registry import default_registry
from gradio_transport.adapter.session import Turn
from gradio_transport.app.config import AppConfig, Component, Endpoint
from gradio_transport.app.config_parsing import parse_release
from gradio_transport.calls.tap import RING_FRAMES, TappedSession, Taps
from gradio_transport.errors import ConnectError, GradioTransportError, LocalProtocolError, StreamLost
from gradio_transport.events import Event
from gradio_transport.policy import Limits
from gradio_transport.protocol.commands import (
    Closed,
    DropStream,
    DropWebSocket,
    Ending,
    OpenStream,
    OpenWebSocket,
    Response,
    SendRequest,
    WakeAt,
)
from gradio_transport.protocol.urls import AppURLs
from gradio_transport_openai.chat import ChatSettings

MACHINES = [
    ("sse", "4.8.0"), ("sse_v1", "4.16.0"), ("sse_v2", "4.20.1"), ("sse_v2.1", "4.44.1"), ("sse_v3", "6.31.0"),
    ("websocket", "3.1.5"), ("websocket", "3.3"), ("websocket", "3.50.2"), ("direct", "2.9.4"),
    ("direct", "6.31.0"), ("polling", "2.9.4"), ("polling", "3.0.20"), ("call", "4.44.1"), ("call", "6.31.0"),
    ("call_v2", "6.31.0"), ("openai_chat", "streamed"), ("openai_chat", "whole"),
]  # fmt: skip

MESSAGES = [
    "send_hash", "send_data", "estimation", "queue_full", "process_starts", "progress", "log",
    "process_generating", "process_streaming", "process_completed", "heartbeat", "close_stream",
    "server_stopped", "unexpected_error", "alive?", "?",
]  # fmt: skip
KEYS = [
    "data", "error", "is_generating", "iterator", "hash", "status", "rank", "queue_size", "rank_eta", "duration",
    "title", "visible", "success", "progress_data", "message", "session_not_found", "detail", "event_id",
    "queue_position", "avg_event_process_time", "time_limit", "changed_state_ids", "render_config",
]  # fmt: skip
CHAT_KEYS = [
    "choices", "code", "content", "delta", "error", "finish_reason", "function", "id", "index", "message", "name",
    "arguments", "object", "reasoning", "refusal", "role", "text", "tool_calls", "type", "usage",
]  # fmt: skip
IDS = st.sampled_from(["e1", "e2", "e3", "", "../x", "\x00", "\ud800"])

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.sampled_from([10**30, -(10**400)])
    | st.floats()
    | st.text(max_size=5)
)
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["replace", "append", "add", "delete", "?"]),
        st.lists(st.integers(-2, 3) | st.text(max_size=2), max_size=3),
        SCALARS,
    ).map(list),
    max_size=2,
)
VALUES = st.recursive(
    SCALARS
    | EDITS
    | st.sampled_from(["PENDING", "QUEUED", "COMPLETE", "FAILED", "404: Session not found.", "['x'"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)
OUTPUTS = st.dictionaries(
    st.sampled_from(["data", "error", "duration", "is_generating"]), VALUES | EDITS.map(lambda one: [one])
)
OBJECTS = st.builds(
    lambda msg, event_id, output, rest: {**rest, **msg, **event_id, **output},
    st.fixed_dictionaries({"msg": st.sampled_from(MESSAGES)}) | st.just({}),
    st.fixed_dictionaries({"event_id": IDS}) | st.just({}),
    st.fixed_dictionaries({"output": OUTPUTS | VALUES}) | st.just({}),
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3),
)
CHAT_VALUES = st.recursive(
    SCALARS | st.sampled_from(["assistant", "stop", "length", "content_filter", "tool_calls", "function"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(CHAT_KEYS), inner, max_size=4)
    ),
    max_leaves=8,
)
CHAT_CHUNKS = st.builds(
    lambda name, delta, finish, rest: {
        "id": name,
        "choices": [{"index": 0, "delta": delta, "message": delta, "finish_reason": finish}],
        **rest,
    },
    SCALARS,
    st.dictionaries(st.sampled_from(CHAT_KEYS), CHAT_VALUES, max_size=3),
    st.none() | SCALARS | st.just("stop"),
    st.dictionaries(st.sampled_from(["usage", "object", "error", "model"]), CHAT_VALUES, max_size=2),
)
TEXTS = (
    (OBJECTS | VALUES | CHAT_CHUNKS | CHAT_VALUES).map(json.dumps)
    | st.text(max_size=20)
    | st.just("[DONE]")
    | st.sampled_from(["[" * 100_000, '{"a":' * 600 + "1" + "}" * 600, "NaN", "", "9" * 5000])
)
NAMED = st.sampled_from(
    [
        "",
        "event: generating\n",
        "event: complete\n",
        "event: error\n",
        "event: heartbeat\n",
        "event: ?\n",
        ":\n",
    ]
)
BYTES = st.builds(
    lambda name, text: f"{name}data: {text}\n\n".encode("utf-8", "replace"), NAMED, TEXTS
) | st.binary(max_size=30)
RESPONSES = st.builds(
    lambda status, headers, body: Response(status, headers, body, "http://app/x"),
    st.sampled_from([200, 200, 200, 200, 204, 302, 400, 401, 404, 413, 422, 429, 500, 503]),
    st.dictionaries(
        st.sampled_from(["retry-after", "location", "content-type", "date"]),
        st.sampled_from(["5", "http://[half", "/login", "text/html", "Wed, 21 Oct 2015 07:28:00 GMT"]),
    ),
    st.builds(lambda event_id: json.dumps({"event_id": event_id}).encode(), IDS)
    | st.builds(lambda key, value: json.dumps({key: value}).encode(), st.sampled_from(KEYS), VALUES)
    | CHAT_CHUNKS.map(lambda one: json.dumps(one).encode())
    | TEXTS.map(lambda text: text.encode("utf-8", "replace"))
    | st.binary(max_size=20),
)
CLOSINGS = st.builds(
    Closed,
    st.sampled_from(list(Ending)),
    st.none() | st.sampled_from([1000, 1001, 1006, 1008, 1011, 4000, 99999]),
    st.text(max_size=5),
)
STEPS = st.lists(
    st.tuples(st.just("submit"))
    | st.tuples(st.just("reply"), RESPONSES)
    | st.tuples(st.just("reply"), RESPONSES)
    | st.tuples(st.just("open"))
    | st.tuples(st.just("say"), BYTES, TEXTS)
    | st.tuples(st.just("say"), BYTES, TEXTS)
    | st.tuples(st.just("close"), CLOSINGS)
    | st.tuples(st.just("fail"), st.booleans())
    | st.tuples(st.just("wake"))
    | st.tuples(st.just("send"), VALUES)
    | st.tuples(st.just("finish"))
    | st.tuples(st.just("cancel")),
    max_size=40,
)


class World:
    """A driver without I/O, whose server is whatever the steps say. The oldest of a kind comes first."""

    def __init__(self, protocol: str, version: str) -> None:
        config = AppConfig(
            version=version,
            release=parse_release(version) or (),
            protocol=protocol,
            enable_queue=True,
            api_prefix="/gradio_api" if version.startswith(("5", "6")) else "",
        )
        if protocol == "openai_chat":
            settings = ChatSettings(model="m", streaming=version == "streamed")
            config = AppConfig(release=(), settings=settings)
        slots = (Component(1, "textbox"), Component(2, "state", skipped=True))
        self.endpoint = Endpoint(name="/x", fn_index=0, inputs=slots, outputs=slots, queue=True)
        context = SessionContext(
            config=config,
            urls=AppURLs("http://app", config.api_prefix),
            session_hash="hash",
            limits=Limits(max_event_bytes=10_000, max_parked_messages=5),
        )
        self.frames = 0
        self.taps = Taps(lambda: 0.0, [self._count])
        self.wire = TappedSession(
            default_registry.get(protocol).session(context), self.taps, protocol, number=1
        )
        self.calls: list[Exchange] = []
        self.heard: dict[Exchange, list[Event]] = {}
        self.requests: list[SendRequest | OpenStream | OpenWebSocket] = []
        self.streams: list[str] = []
        self.sockets: list[str] = []
        self.wakes: list[str] = []

    def _count(self, frame: object) -> None:
        self.frames += 1

    def play(self, steps: list[tuple[Any, ...]]) -> None:
        self.do("submit")
        for step in steps:
            self.do(*step)
        for call in self.calls:
            self.take(self.wire.abandon(call, StreamLost("the test is over")))
        self.judge()

    def do(self, what: str, *given: Any) -> None:
        getattr(self, f"_{what}")(*given)

    def take(self, turn: Turn) -> None:
        for delivery in turn.deliveries:
            self.heard.setdefault(delivery.exchange, []).append(delivery.event)
        for command in turn.commands:
            if isinstance(command, SendRequest | OpenStream | OpenWebSocket):
                self.requests.append(command)
            elif isinstance(command, DropStream | DropWebSocket):
                self._dropped(command.channel)
            elif isinstance(command, WakeAt):
                self.wakes.append(command.channel)

    def _dropped(self, channel: str) -> None:
        self.requests = [
            one for one in self.requests if one.channel != channel or isinstance(one, SendRequest)
        ]
        for held in (self.streams, self.sockets):
            if channel in held:
                held.remove(channel)
                self.take(self.wire.closed(channel, Closed(Ending.LOCAL)))

    def _submit(self) -> None:
        if not self.wire.session.usable or len(self.calls) > 5:
            return
        call = self.wire.open(Invocation(endpoint=self.endpoint, data=["a", []]))
        self.calls.append(call)
        self.take(self.wire.start(call))

    def _reply(self, response: Response) -> None:
        if self.requests:
            self.take(self.wire.reply(self.requests.pop(0), response))

    def _open(self) -> None:
        for place, command in enumerate(self.requests):
            if isinstance(command, OpenStream | OpenWebSocket):
                del self.requests[place]
                if isinstance(command, OpenStream):
                    self.streams.append(command.channel)
                    self.take(self.wire.stream_opened(command.channel, Response(200)))
                else:
                    self.sockets.append(command.channel)
                    self.take(self.wire.websocket_opened(command.channel))
                return

    def _say(self, data: bytes, text: str) -> None:
        if self.streams:
            self.take(self.wire.data_received(self.streams[0], data))
        if self.sockets:
            self.take(self.wire.text_received(self.sockets[0], text))

    def _close(self, closed: Closed) -> None:
        for held in (self.streams, self.sockets):
            if held:
                self.take(self.wire.closed(held.pop(0), closed))

    def _fail(self, refused: bool) -> None:
        if self.requests:
            error = ConnectError("refused") if refused else StreamLost("cut")
            self.take(self.wire.failed(self.requests.pop(0), error))

    def _wake(self) -> None:
        if self.wakes:
            self.take(self.wire.wake(self.wakes.pop(0)))

    def _send(self, value: Any) -> None:
        self._give(lambda: self.wire.send(self.calls[-1], [value, None]))

    def _finish(self) -> None:
        self._give(lambda: self.wire.finish_input(self.calls[-1]))

    def _give(self, give: Any) -> None:
        try:
            self.take(give())
        except GradioTransportError:  # a caller who asks for what cannot be is told so
            return

    def _cancel(self) -> None:
        self.take(self.wire.cancel(self.calls[len(self.calls) // 2]))

    def judge(self) -> None:
        for call in self.calls:
            heard = self.heard.get(call, [])
            ends = [place for place, event in enumerate(heard) if event.terminal]
            assert ends == [len(heard) - 1], [type(event).__name__ for event in heard]
            error = getattr(heard[-1], "error", None)
            assert error is None or isinstance(error, GradioTransportError)
            assert not isinstance(error, LocalProtocolError) or call.context.config.protocol.startswith(
                "call"
            )
            str(error)
        assert self.wire.session.active == ()
        assert len(self.taps.ring) <= RING_FRAMES


@pytest.mark.parametrize(("protocol", "version"), MACHINES, ids=lambda one: one)
@tried(60)
@given(STEPS)
def test_whatever_comes_each_call_ends_once(
    protocol: str, version: str, steps: list[tuple[Any, ...]]
) -> None:
    World(protocol, version).play(steps)


def test_every_adapter_is_fuzzed() -> None:
    assert {protocol for protocol, _ in MACHINES} == set(default_registry.names())


def _round(number: int, protocol: str, version: str) -> None:
    @seed(number)
    @tried(500, database=None)
    @given(STEPS)
    def play(steps: list[tuple[Any, ...]]) -> None:
        World(protocol, version).play(steps)

    play()


def _long_run(seconds: float) -> None:
    end = time.monotonic() + seconds
    rounds = 0
    while time.monotonic() < end:
        number = random.randrange(2**32)
        for protocol, version in MACHINES:
            _round(number, protocol, version)
        rounds += 1
        sys.stdout.write(f"round {rounds} (seed {number}): {len(MACHINES)} machines hold\n")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=60.0)
    _long_run(arguments.parse_args().seconds)
