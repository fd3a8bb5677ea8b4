# SPDX-License-Identifier: Apache-2.0
"""A program that makes one call over sse_v3, without any I/O, for the tests of traces."""

from __future__ import annotations

import itertools
import json

from gradio_transport.adapter.exchange import Invocation, SessionContext
from gradio_transport.app.handshake import discover
from gradio_transport.calls.tap import TappedSession, Taps
from gradio_transport.protocol.commands import Closed, Ending, Response, SendRequest
from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport_sse.v3 import SSEv3

BASE = "http://127.0.0.1:7860"
HASH = "a1b2c3d4e5"
EVENT = "0123456789abcdef0123456789abcdef"

CONFIG = {
    "version": "6.31.0",
    "protocol": "sse_v3",
    "api_prefix": "/gradio_api",
    "enable_queue": True,
    "root": BASE,
    "username": "admin",
    "app_id": 1234567890123456789,
    "components": [{"id": 1, "type": "textbox", "props": {}}, {"id": 2, "type": "textbox", "props": {}}],
    "dependencies": [
        {"id": 0, "inputs": [1], "outputs": [2], "api_name": "count", "queue": True, "backend_fn": True},
    ],
}


def message(kind, event_id=EVENT, **more):
    return {"msg": kind, "event_id": event_id, **more}


def output(*data):
    return {"data": list(data), "is_generating": False, "duration": 0.25}


MESSAGES = (
    message("estimation", rank=0, queue_size=1, rank_eta=None),
    message("process_starts", eta=0.5),
    message("process_generating", output=output("é 1"), success=True),
    message("process_generating", output=output([["append", [], ", ü 2"]]), success=True),
    message("process_completed", output=output("é 1, ü 2"), success=True),
    {"msg": "close_stream", "event_id": None},
)


def sse(*messages):
    return "".join(f"data: {json.dumps(one, ensure_ascii=False)}\n\n" for one in messages).encode()


def reply(value, status=200, **headers):
    return Response(status, {"content-type": "application/json", **headers}, json.dumps(value).encode())


class Program:
    """Drives a wire by hand and shows everything to a tap; its clock ticks with every frame."""

    def __init__(self, tap=None, base=BASE) -> None:
        self.frames: list[Frame] = []
        self.events: list = []
        taps = [self.frames.append] if tap is None else [self.frames.append, tap]
        ticks = itertools.count(100)
        self.base = base
        self.taps = Taps(lambda: next(ticks) / 8, taps)
        self.wire: TappedSession

    def discover(self, config=CONFIG):
        sequence = discover(self.base)
        command = next(sequence)
        while True:
            self.taps.command(command, 0)
            response = reply(config if command.request.url.endswith("/config") else {"named_endpoints": {}})
            self.taps.response(command.channel, 0, response)
            try:
                command = sequence.send(response)
            except StopIteration as stop:
                self.found = stop.value
                return self

    def session(self, session_hash=HASH):
        context = SessionContext(config=self.found.config, urls=self.found.urls, session_hash=session_hash)
        adapter = SSEv3()
        self.wire = TappedSession(adapter.session(context), self.taps, adapter.name)
        return self

    def took(self, turn):
        self.events += [delivery.event for delivery in turn.deliveries]
        return turn.commands

    def call(self, *data, event_id=EVENT, **more):
        self.exchange = self.wire.open(
            Invocation(endpoint=self.found.config.endpoints[0], data=list(data), **more)
        )
        (join,) = self.took(self.wire.start(self.exchange))
        assert isinstance(join, SendRequest)
        for command in self.took(self.wire.reply(join, reply({"event_id": event_id}))):
            head = Response(200, {"content-type": "text/event-stream"})
            self.took(self.wire.stream_opened(command.channel, head))
        return self

    def chunks(self, *chunks):
        for chunk in chunks:
            self.took(self.wire.data_received("stream", chunk))
        return self

    def end(self, ending=Ending.CLEAN):
        self.took(self.wire.closed("stream", Closed(ending)))
        return self

    def cancel(self):
        for command in self.took(self.wire.cancel(self.exchange)):
            self.took(self.wire.reply(command, reply({"success": True})))
        return self


def program(tap=None, data=("x",), messages=MESSAGES, **more):
    """Make one whole call: discovery, join, stream, end."""
    made = Program(tap).discover().session().call(*data, **more)
    return made.chunks(*(sse(one) for one in messages)).end()


def chunk(data, session=1, channel="stream", t=0.0):
    return Frame(t, Direction.IN, Kind.CHUNK, channel, {"data": data}, session)
