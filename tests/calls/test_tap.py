# SPDX-License-Identifier: Apache-2.0
"""The line between a session and the world: what taps see, and what errors learn of it."""

from __future__ import annotations

import json
import signal
import sys
import threading
import tracemalloc
from typing import Any

import pytest

from gradio_transport.adapter.exchange import Exchange, Invocation, Output, SessionContext
from gradio_transport.adapter.session import Session
from gradio_transport.app.config import AppConfig, Endpoint
from gradio_transport.calls.tap import RING_FRAMES, TappedSession, Taps
from gradio_transport.errors import AppError, ConnectError, LocalProtocolError, Phase, StreamLost
from gradio_transport.events import Failed, Heartbeat, Joined, ProcessCompleted
from gradio_transport.protocol.commands import (
    Closed,
    DropStream,
    DropWebSocket,
    Ending,
    OpenStream,
    OpenWebSocket,
    Request,
    Response,
    SendRequest,
    SendText,
    WakeAt,
)
from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.protocol.known_secrets import KnownSecrets
from gradio_transport.protocol.multipart import FilePart, Multipart
from gradio_transport.protocol.urls import AppURLs

URL = "http://app/x?token=secret"


class Everything(Exchange):
    """A call that asks for one of each command."""

    def start(self, now: float) -> Output:
        self.event_id = "e1"
        stream, socket = self.channel("stream"), self.channel("socket")
        return Output(
            [Joined(event_id="e1")],
            [
                SendRequest(self.channel("join"), Request.post_json(URL, {"a": 1}), Phase.JOIN),
                OpenStream(stream, Request.get(URL)),
                OpenWebSocket(socket, "ws://app/y?token=secret"),
                SendText(socket, "hello"),
                WakeAt(self.key, 5.0),
                DropStream(stream),
                DropWebSocket(socket),
            ],
        )

    def reply(self, command: Any, response: Response, now: float) -> Output:
        return Output([Heartbeat()])

    def message(self, message: Any, now: float) -> Output:
        error = AppError(message["error"]) if "error" in message else None
        return Output([ProcessCompleted(success=error is None, error=error, raw=message)])

    def websocket_opened(self, now: float) -> Output:
        return Output([Heartbeat()])

    def wake(self, now: float) -> Output:
        return Output([Heartbeat()])

    def send(self, data: Any, now: float) -> Output:
        return Output(commands=[SendText(self.channel("socket"), json.dumps(list(data)))])

    def finish_input(self, now: float) -> Output:
        return Output(commands=[SendText(self.channel("socket"), "end")])


class Line:
    """A wire with a clock that ticks, and everything its tap has seen."""

    def __init__(self, *, tapped: bool = True, **invocation: Any) -> None:
        self.now = 0.0
        self.frames: list[Frame] = []
        self.taps = Taps(self.tick, [self.frames.append] if tapped else ())
        config = AppConfig(version="6.31.0", release=(6, 31, 0), protocol="sse_v3")
        context = SessionContext(config=config, urls=AppURLs("http://app"), session_hash="hash")
        self.wire = TappedSession(Session(context, Everything), self.taps, "every")
        self.call = self.wire.open(
            Invocation(endpoint=Endpoint(name="/x", fn_index=3), data=["d"], **invocation)
        )

    def tick(self) -> float:
        self.now += 1.0
        return self.now

    def seen(self) -> list[tuple[Direction, Kind]]:
        return [(frame.direction, frame.kind) for frame in self.frames]


def test_every_command_leaves_a_frame_and_a_wake_only_when_it_comes() -> None:
    line = Line()
    line.wire.start(line.call)
    out = [frame.kind for frame in line.frames if frame.direction is Direction.OUT]
    assert out == [Kind.REQUEST, Kind.REQUEST, Kind.WS_OPEN, Kind.WS_TEXT, Kind.STREAM_CLOSE, Kind.WS_CLOSE]
    line.wire.wake(line.call.channel("x"))
    assert line.seen()[-1] == (Direction.LOCAL, Kind.WAKE)


def test_every_input_leaves_a_frame_before_the_machine_sees_it() -> None:
    line = Line()
    line.wire.start(line.call)
    join = line.frames[-6].payload
    assert (join["method"], join["url"], join["body"], join["phase"]) == ("POST", URL, b'{"a":1}', "join")
    line.wire.reply(SendRequest("1.join", Request.get(URL), Phase.JOIN), Response(200, body=b"yes", url=URL))
    line.wire.stream_opened("1.stream", Response(200))
    line.wire.data_received("1.stream", b": hello\n\n")
    line.wire.websocket_opened("1.socket")
    line.wire.send(line.call, ["more"])
    line.wire.finish_input(line.call)
    line.wire.text_received("1.socket", "{}")
    line.wire.closed("1.socket", Closed(Ending.CLEAN, 1000, "bye"))
    assert line.seen()[-10:] == [
        (Direction.IN, Kind.RESPONSE),
        (Direction.IN, Kind.RESPONSE_HEAD),
        (Direction.IN, Kind.CHUNK),
        (Direction.IN, Kind.WS_ACCEPT),
        (Direction.LOCAL, Kind.SEND),
        (Direction.OUT, Kind.WS_TEXT),
        (Direction.LOCAL, Kind.FINISH),
        (Direction.OUT, Kind.WS_TEXT),
        (Direction.IN, Kind.WS_TEXT),
        (Direction.IN, Kind.END),
    ]
    assert line.frames[-1].payload == {"ending": "clean", "code": 1000, "reason": "bye"}


def test_what_a_caller_asked_for_is_part_of_the_trace() -> None:
    line = Line(event_data={"index": 1}, trigger_id=7, oauth_token="hf_x")
    line.wire.start(line.call)
    call = next(frame for frame in line.frames if frame.kind is Kind.CALL)
    assert call.payload == {
        "endpoint": "/x",
        "fn_index": 3,
        "data": ["d"],
        "event_data": {"index": 1},
        "trigger_id": 7,
        "oauth_token": "hf_x",
    }


def test_a_form_is_shown_by_its_files_and_not_their_content() -> None:
    line = Line()
    form = Multipart([FilePart("files", "a.txt", b"content", 7)])
    line.taps.command(SendRequest("upload", Request("POST", URL, {}, form), Phase.UPLOAD), 0)
    assert line.frames[-1].payload["files"] == [{"name": "a.txt", "size": 7}]
    assert line.frames[-1].payload["body"] is None


def test_an_error_of_a_call_learns_adapter_time_last_event_and_last_frames() -> None:
    line = Line()
    line.wire.start(line.call)
    line.wire.websocket_opened("1.socket")
    line.wire.text_received("1.socket", "not json")
    error = StreamLost("gone")
    turn = line.wire.failed(SendRequest("1.join", Request.get(URL), Phase.JOIN), error)
    assert turn.deliveries == []  # the text that was no JSON has ended it already
    line = Line()
    line.wire.start(line.call)
    line.wire.websocket_opened("1.socket")
    (delivery,) = line.wire.abandon(line.call, error).deliveries
    assert isinstance(delivery.event, Failed)
    assert error.adapter == "every"
    assert error.elapsed is not None
    assert error.elapsed > 0
    assert isinstance(error.last_event, Heartbeat)
    (note,) = error.__notes__
    assert "POST http://app/x" in note
    assert "secret" not in note
    assert "gone" in note


def test_what_an_error_knows_already_is_left() -> None:
    line = Line()
    line.wire.start(line.call)
    last = Joined(event_id="other")
    error = StreamLost("gone", adapter="own", elapsed=0.25, last_event=last)
    line.wire.abandon(line.call, error)
    assert (error.adapter, error.elapsed, error.last_event) == ("own", 0.25, last)


def test_an_error_of_the_app_gets_no_frames_and_a_value_no_error() -> None:
    line = Line()
    line.wire.start(line.call)
    (delivery,) = line.wire.text_received("1.socket", '{"error": "why"}').deliveries
    assert isinstance(delivery.event, ProcessCompleted)
    assert delivery.event.error is not None
    assert delivery.event.error.adapter == "every"
    assert not hasattr(delivery.event.error, "__notes__")
    line = Line()
    line.wire.start(line.call)
    (delivery,) = line.wire.text_received("1.socket", "{}").deliveries
    assert isinstance(delivery.event, ProcessCompleted)
    assert delivery.event.error is None


def test_a_cancellation_and_a_failed_request_are_shown() -> None:
    line = Line()
    line.wire.start(line.call)
    line.wire.failed(SendRequest("1.join", Request.get(URL), Phase.JOIN), ConnectError("refused"))
    (shown,) = [frame.payload for frame in line.frames if frame.kind is Kind.ERROR]
    assert shown == {"error": "ConnectError", "message": "refused"}
    line = Line()
    line.wire.start(line.call)
    turn = line.wire.cancel(line.call)
    assert [type(one.event).__name__ for one in turn.deliveries] == ["Cancelled"]
    assert (Direction.LOCAL, Kind.CANCEL) in line.seen()


def test_notes_show_each_kind_of_frame_in_one_short_line() -> None:
    line = Line()
    line.wire.start(line.call)
    line.taps.response("1.join", line.wire.number, Response(503))
    line.taps.show(Direction.IN, Kind.CHUNK, "1.stream", line.wire.number, {}, b"\xff" + b"x" * 500)
    line.taps.show(Direction.IN, Kind.WS_TEXT, "1.socket", line.wire.number, {}, "{}")
    line.taps.chunk("file", b"never remembered")
    line.taps.end("file", Closed(Ending.RESET, None, "cut"))
    note = line.taps.note(line.wire.number)
    for part in ("HTTP 503", "(501 in all)", "ws-text {}", "ws-open", "reset cut", "GET http://app/x"):
        assert part in note, part
    assert "secret" not in note
    assert "never remembered" not in note
    assert max(map(len, note.splitlines())) < 200


def test_notes_are_the_same_without_a_tap() -> None:
    notes: list[str] = []
    for tapped in (True, False):
        line = Line(tapped=tapped)
        line.wire.start(line.call)
        line.taps.response("1.join", line.wire.number, Response(503))
        line.wire.data_received("1.stream", b"data: {}\n\n")
        line.wire.closed("1.stream", Closed(Ending.RESET, None, "cut"))
        notes.append(line.taps.note(line.wire.number))
    assert notes[0] == notes[1]
    assert "reset cut" in notes[0]


def test_a_session_without_frames_has_an_empty_note() -> None:
    assert Taps(lambda: 0.0).note(1) == ""


def test_an_error_before_the_first_frame_has_no_note() -> None:
    error = ConnectError("The Hub cannot be reached.")
    Taps(lambda: 0.0).discovery_failure(error, {})
    assert not hasattr(error, "__notes__")


def test_only_so_many_frames_are_remembered() -> None:
    taps = Taps(lambda: 0.0)
    for _ in range(RING_FRAMES * 3):
        taps.show(Direction.IN, Kind.CHUNK, "c", 1, {"data": b"x"})
    assert len(taps.ring) == RING_FRAMES


def test_a_note_is_written_while_other_threads_go_on() -> None:
    taps, stop = Taps(lambda: 0.0), threading.Event()

    def go_on() -> None:
        while not stop.is_set():
            taps.show(Direction.IN, Kind.CHUNK, "c", 1, {"data": b"x"})

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    other = threading.Thread(target=go_on)
    other.start()
    try:
        assert all("chunk" in note or not note for note in (taps.note(1) for _ in range(300)))
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        other.join(20)
    assert not other.is_alive()


def test_remembered_frames_do_not_keep_what_is_large() -> None:
    taps = Taps(lambda: 0.0)
    tracemalloc.start()
    try:
        for _ in range(RING_FRAMES):
            taps.show(Direction.IN, Kind.CHUNK, "c", 1, {}, b"x" * 100_000)
            taps.show(Direction.IN, Kind.WS_TEXT, "c", 1, {}, "x" * 100_000)
        assert tracemalloc.get_traced_memory()[0] < RING_FRAMES * 2_000
    finally:
        tracemalloc.stop()
    assert "x… (100,000 in all)" in taps.note(1)


def test_a_late_call_and_its_fetch_are_part_of_the_trace() -> None:
    line = Line(late=True, event_id="e")
    line.wire.start(line.call)
    call = next(frame for frame in line.frames if frame.kind is Kind.CALL)
    assert (call.payload["late"], call.payload["event_id"]) == (True, "e")
    line.wire.fetch(line.call)
    assert (Direction.LOCAL, Kind.FETCH) in line.seen()


def test_an_end_from_this_side_says_whether_the_server_is_told() -> None:
    for tell in (False, True):
        line = Line()
        line.wire.start(line.call)
        line.wire.abandon(line.call, LocalProtocolError("late"), tell=tell)
        (shown,) = [frame.payload for frame in line.frames if frame.kind is Kind.ERROR]
        assert shown.get("tell", False) is tell


def test_a_tap_that_is_added_sees_every_further_frame() -> None:
    first: list[Frame] = []
    late: list[Frame] = []
    taps = Taps(lambda: 0.0, [first.append])
    taps.show(Direction.LOCAL, Kind.WAKE, "1", 1, {})
    taps.add(late.append)
    taps.show(Direction.LOCAL, Kind.CANCEL, "1", 1, {})
    assert [frame.kind for frame in first] == [Kind.WAKE, Kind.CANCEL]
    assert [frame.kind for frame in late] == [Kind.CANCEL]


def test_a_tap_that_raises_is_named() -> None:
    def broken(frame: Frame) -> None:
        raise ValueError("mine")

    with pytest.raises(LocalProtocolError, match=r"The tap .*broken raised ValueError: mine") as caught:
        Taps(lambda: 0.0, [broken]).end("file", Closed(Ending.CLEAN))
    assert isinstance(caught.value.__cause__, ValueError)


def test_what_a_signal_handler_raises_within_a_tap_is_not_the_taps() -> None:
    def handler(number: int, frame: Any) -> None:
        raise ValueError("of the handler")

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(ValueError, match="of the handler"):
            Taps(lambda: 0.0, [lambda frame: signal.raise_signal(signal.SIGUSR1)]).end(
                "file", Closed(Ending.CLEAN)
            )
    finally:
        signal.signal(signal.SIGUSR1, before)


class TestSecretsInNotes:
    SECRET = "s3cret-text-of-mine"

    def note(self, *chunks: str, channel: str = "stream") -> list[str]:
        taps = Taps(lambda: 1.0, secrets=KnownSecrets([self.SECRET]))
        for place, data in enumerate(chunks):
            taps.show(Direction.IN, Kind.CHUNK, channel, 1, {}, data.encode())
            if place == 0:  # another stream between
                taps.show(Direction.IN, Kind.CHUNK, "other", 1, {}, b"beat")
        return [line.rsplit("chunk", 1)[1].strip() for line in taps.note(1).split("\n") if channel in line]

    def test_one_that_is_cut_into_chunks_stands_in_none_of_them(self) -> None:
        assert self.note("you said s3c", "ret-text", "-of-mine, did you") == [
            "you said REDACTED",
            "",
            ", did you",
        ]

    def test_nor_does_a_part_of_one_beside_what_is_not_kept(self) -> None:
        first, second = self.note("a" * 390 + self.SECRET[:-6], self.SECRET[-6:] + " and more")
        assert first.startswith("a" * 100 + "…")
        assert second == "REDACTED and more"

    def test_texts_of_other_frames_are_hidden_too(self) -> None:
        taps = Taps(lambda: 1.0, secrets=KnownSecrets([self.SECRET]))
        taps.show(Direction.IN, Kind.ERROR, "1.join", 1, {}, f"no {self.SECRET}")
        taps.show(Direction.IN, Kind.WS_TEXT, "1.ws", 1, {}, self.SECRET)
        assert self.SECRET not in taps.note(1)
        assert taps.note(1).count("REDACTED") == 2

    def test_frames_name_them_for_taps_that_write(self) -> None:
        frames: list[Frame] = []
        secrets = KnownSecrets([self.SECRET])
        Taps(lambda: 1.0, [frames.append], secrets).chunk("file", b"x")
        assert frames[0].secrets is secrets
        assert self.SECRET not in repr(frames)
