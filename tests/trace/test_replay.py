# SPDX-License-Identifier: Apache-2.0
"""Replaying traces: the machines must say again what they said, however the bytes are cut, and finish what
they began wherever they are cancelled."""

from __future__ import annotations

import json
import random
from importlib import resources
from pathlib import Path

import attrs
import pytest
from tracing import BASE, MESSAGES, Program, message, output, program, reply, sse

import gradio_transport_conformance
from gradio_transport.adapter.contract import Adapter, Capabilities, Match
from gradio_transport.adapter.exchange import Exchange, Invocation, Output
from gradio_transport.adapter.registry import Registry
from gradio_transport.app.handshake import discover
from gradio_transport.calls.tap import TappedSession
from gradio_transport.errors import (
    AuthenticationRequired,
    ConnectError,
    EventTooLarge,
    FlowViolation,
    Phase,
    StreamLost,
    TimeoutExpired,
)
from gradio_transport.events import Cancelled, Failed, Joined, ProcessCompleted
from gradio_transport.policy import Limits
from gradio_transport.protocol.commands import Ending, OpenWebSocket, Request, SendRequest, SendText, WakeAt
from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.protocol.messages import decode
from gradio_transport.trace import (
    ReplayMismatch,
    Trace,
    TraceError,
    TraceWriter,
    describe,
    differences,
    read_trace,
    replay,
)
from gradio_transport_sse.v3 import SSEv3

TRACES = Path(str(resources.files(gradio_transport_conformance))) / "traces"
SAMPLED = ("hello", "count", "cancel_generator")
RECORDED = [path for path in sorted(TRACES.glob("*/*.jsonl")) if path.stem in SAMPLED]
"""Of every version a few; the conformance suite replays them all."""


def one_byte_at_a_time(data):
    return [data[place : place + 1] for place in range(len(data))]


def in_pieces(seed):
    chance = random.Random(seed)

    def split(data):
        places = sorted(chance.sample(range(len(data) + 1), min(len(data), 5)))
        return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]

    return split


def trace_of(made, **more):
    return Trace({}, tuple(made.frames), **more)


def without(trace, number):
    return attrs.evolve(trace, frames=[*trace.frames[:number], *trace.frames[number + 1 :]])


def changed(trace, kind, direction=None, **payload):
    """Return the trace with another payload in the first frame of a kind that has its fields."""
    number = next(
        number
        for number, frame in enumerate(trace.frames)
        if frame.kind is kind and frame.session and direction in (None, frame.direction)
    )
    frame = trace.frames[number]
    new = attrs.evolve(frame, payload={**frame.payload, **payload})
    return attrs.evolve(trace, frames=[*trace.frames[:number], new, *trace.frames[number + 1 :]])


@pytest.fixture
def trace():
    return trace_of(program())


class TestEvents:
    def test_a_replay_gives_the_events_of_the_call(self):
        made = program()
        replayed = replay(trace_of(made))
        replayed.check()
        assert replayed.events == {(made.wire.number, "1"): made.events}
        assert list(replayed.endpoints.values()) == ["/count"]
        assert replayed.deviations == {(made.wire.number, "1"): []}

    @pytest.mark.parametrize("rechunk", [one_byte_at_a_time, in_pieces(1), in_pieces(2), lambda data: [data]])
    def test_events_do_not_depend_on_the_chunks(self, trace, rechunk):
        replayed = replay(trace, rechunk=rechunk)
        replayed.check()
        assert differences(replay(trace), replayed) == []
        assert replayed.events == replay(trace).events

    def test_adjacent_chunks_are_joined_before_they_are_split(self, trace):
        given: list[bytes] = []
        replay(trace, rechunk=lambda data: [given.append(data) or data])
        assert given == [sse(*MESSAGES)]

    def test_chunks_are_not_joined_over_what_came_between(self):
        made = Program().discover().session().call("x").chunks(b"data: ")
        first = made.exchange
        made.call("y", event_id="other").chunks(sse(*MESSAGES)[6:]).end()
        given: list[bytes] = []
        replayed = replay(trace_of(made), rechunk=lambda data: [given.append(data) or data])
        replayed.check()
        assert given == [b"data: ", sse(*MESSAGES)[6:]]
        assert isinstance(replayed.events[made.wire.number, first.key][-1], ProcessCompleted)

    def test_calls_of_several_sessions_are_kept_apart(self):
        made = program()
        made.session("other-hash").call("y").chunks(sse(*MESSAGES[:2])).cancel()
        replayed = replay(trace_of(made))
        replayed.check()
        first, second = replayed.events.values()
        assert isinstance(first[-1], ProcessCompleted)
        assert isinstance(second[-1], Cancelled)

    def test_the_newest_discovery_counts(self):
        made = program().discover().session("other-hash").call("y").chunks(sse(*MESSAGES)).end()
        replay(trace_of(made)).check()

    def test_an_error_of_this_side_is_fed_too(self):
        made = Program().discover().session().call("x").chunks(sse(*MESSAGES[:2]))
        made.took(made.wire.abandon(made.exchange, TimeoutExpired("too slow", setting="total", seconds=1)))
        replayed = replay(trace_of(made))
        replayed.check()
        assert isinstance(made.events[-1], Failed)
        assert [describe(one) for one in made.events] == [
            describe(one) for one in replayed.events.popitem()[1]
        ]

    def test_a_request_without_reply_is_fed_too(self):
        made = Program().discover().session()
        made.call("x")
        exchange = made.wire.open(made.exchange.invocation)
        (join,) = made.took(made.wire.start(exchange))
        made.took(made.wire.failed(join, ConnectError("refused")))
        replayed = replay(trace_of(made))
        replayed.check()
        (failed,) = replayed.events[made.wire.number, "2"]
        assert isinstance(failed.error, ConnectError)

    def test_an_error_that_nobody_knows_any_more_is_a_lost_stream(self):
        made = Program().discover().session().call("x")
        made.took(made.wire.abandon(made.exchange, StreamLost("gone")))
        for name in ("OfTomorrow", "Phase", "annotations"):
            trace = changed(trace_of(made), Kind.ERROR, error=name)
            (events,) = replay(trace).events.values()
            assert isinstance(events[-1].error, StreamLost)

    def test_a_loss_is_a_loss_again(self):
        made = Program().discover().session().call("x").chunks(sse(*MESSAGES[:2])).end(Ending.RESET)
        (events,) = replay(trace_of(made)).events.values()
        assert isinstance(events[-1].error, StreamLost)

    def test_limits_can_be_given(self, trace):
        (events,) = replay(trace, limits=Limits(max_event_bytes=64)).events.values()
        assert isinstance(events[-1].error, EventTooLarge)


class TestStrict:
    def test_deviations_are_listed(self):
        made = program(messages=[MESSAGES[1], MESSAGES[1], *MESSAGES[4:]])
        replayed = replay(trace_of(made))
        assert list(replayed.deviations.values()) == [["ProcessStarts in state running"]]

    def test_or_raised(self):
        made = program(messages=[MESSAGES[1], MESSAGES[1], *MESSAGES[4:]])
        with pytest.raises(FlowViolation):
            replay(trace_of(made), strict=True)


class TestMismatches:
    def test_the_first_one_names_what_was_expected_and_what_was_said(self, trace):
        replayed = replay(changed(trace, Kind.REQUEST, url=f"{BASE}/gradio_api/queue/leave"))
        (mismatch,) = replayed.mismatches
        assert "/gradio_api/queue/leave" in mismatch.expected
        assert "/gradio_api/queue/join" in mismatch.actual
        assert trace.frames[mismatch.frame].kind is Kind.CALL
        with pytest.raises(ReplayMismatch, match=r"expected .*leave.*, got .*join") as caught:
            replayed.check()
        assert caught.value.mismatches == (mismatch,)

    @pytest.mark.parametrize(
        "payload",
        [
            {"method": "PUT"},
            {"url": f"{BASE}/gradio_api/queue/join?x=1"},
            {"body": b'{"data": ["y"], "fn_index": 0, "session_hash": "a1b2c3d4e5"}'},
            {"body": b"no JSON"},
            {"body": None},
            {"headers": {"content-type": "text/plain"}},
            {"stream": True},
        ],
    )
    def test_every_part_of_a_request_counts(self, trace, payload):
        assert len(replay(changed(trace, Kind.REQUEST, **payload)).mismatches) == 1

    @pytest.mark.parametrize(
        "payload",
        [
            {"url": "https://elsewhere:1/gradio_api/queue/join"},
            {"body": b'{ "session_hash":"a1b2c3d4e5","fn_index": 0, "data": ["x"]}'},
            {"headers": {"content-type": "application/json", "x-new": "1"}},
            {"phase": "upload"},
        ],
    )
    def test_host_spelling_and_other_headers_do_not(self, trace, payload):
        assert replay(changed(trace, Kind.REQUEST, **payload)).mismatches == []

    def test_a_command_that_was_not_recorded(self, trace):
        number = next(n for n, frame in enumerate(trace.frames) if frame.payload.get("stream"))
        (mismatch,) = replay(without(trace, number)).mismatches
        assert mismatch.expected == "no command"
        assert "queue/data" in mismatch.actual

    def test_a_command_that_does_not_come(self, trace):
        surplus = Frame(99.0, Direction.OUT, Kind.STREAM_CLOSE, "stream", {}, trace.frames[-1].session)
        (mismatch,) = replay(attrs.evolve(trace, frames=[*trace.frames, surplus])).mismatches
        assert (mismatch.expected, mismatch.actual) == ("stream-close stream", "no command")

    def test_one_mismatch_does_not_bring_others_with_it(self, trace):
        once = changed(trace, Kind.REQUEST, method="PUT")
        assert len(replay(once).mismatches) == 1

    def test_long_ones_are_cut(self):
        made = program(data=["x" * 5000])
        (mismatch,) = replay(changed(trace_of(made), Kind.REQUEST, method="PUT")).mismatches
        assert len(str(mismatch)) < 800

    def test_a_discovery_that_asks_for_something_else(self):
        made = program()
        frames = [
            attrs.evolve(frame, payload={**frame.payload, "url": f"{BASE}/information"})
            if frame.kind is Kind.REQUEST and str(frame.payload["url"]).endswith("/info")
            else frame
            for frame in made.frames
        ]
        (mismatch,) = replay(Trace({}, frames)).mismatches
        assert "/information" in mismatch.expected
        assert "/gradio_api/info" in mismatch.actual

    def test_what_was_cut_off_is_not_missed(self, trace):
        number = next(n for n, frame in enumerate(trace.frames) if frame.payload.get("stream"))
        cut = attrs.evolve(trace, frames=trace.frames[:number])
        assert replay(attrs.evolve(cut, truncated=True)).mismatches == []
        assert replay(cut).mismatches == []  # a program may have crashed between two lines too


class TestEveryCut:
    def test_a_trace_can_be_replayed_up_to_every_frame(self, trace):
        for number in range(len(trace.frames)):
            replay(Trace({}, trace.frames[:number], truncated=True)).check()


class TestDiscovery:
    def test_a_refused_login_is_listed(self):
        made = Program()
        steps = discover(BASE, ("me", "wrong"))
        command = next(steps)
        for answer in (reply({"auth_required": True}), reply({"detail": "no"}, status=400)):
            made.taps.command(command, 0)
            made.taps.response(command.channel, 0, answer)
            try:
                command = steps.send(answer)
            except AuthenticationRequired:
                break
        replayed = replay(trace_of(made))
        assert [type(error) for error in replayed.refusals] == [AuthenticationRequired]
        assert replayed.mismatches == []

    def test_one_that_broke_off_does_not_spoil_the_next(self):
        broken = Program()
        broken.taps.command(SendRequest("discover", Request.get(f"{BASE}/config"), Phase.DISCOVER), 0)
        made = program()
        replay(Trace({}, [*broken.frames, *made.frames])).check()

    def test_one_without_an_info_is_replayed_as_it_was(self):
        made = program()
        frames = [
            attrs.evolve(frame, kind=Kind.ERROR, payload={"error": "StreamLost", "message": "It broke off."})
            if frame.kind is Kind.RESPONSE and str(made.frames[number - 1].payload["url"]).endswith("/info")
            else frame
            for number, frame in enumerate(made.frames)
        ]
        replay(Trace({}, frames)).check()

    def test_one_whose_server_was_gone_is_listed(self):
        made = Program()
        command = SendRequest("discover", Request.get(f"{BASE}/config"), Phase.DISCOVER)
        made.taps.command(command, 0)
        made.taps.failure(command.channel, 0, ConnectError("Cannot connect."))
        assert [type(error) for error in replay(trace_of(made)).refusals] == [ConnectError]

    def test_a_session_without_its_discovery_cannot_be_replayed(self, trace):
        with pytest.raises(TraceError, match="discovery"):
            replay(attrs.evolve(trace, frames=[one for one in trace.frames if one.session]))

    def test_nor_can_frames_without_their_session(self, trace):
        with pytest.raises(TraceError, match="never opened"):
            replay(attrs.evolve(trace, frames=[f for f in trace.frames if f.kind is not Kind.SESSION]))

    def test_nor_can_a_call_of_what_the_config_does_not_have(self, trace):
        with pytest.raises(TraceError, match="fn_index 7"):
            replay(changed(trace, Kind.CALL, fn_index=7))

    def test_nor_can_a_call_that_is_numbered_otherwise(self, trace):
        frames = [attrs.evolve(f, channel="2") if f.kind is Kind.CALL else f for f in trace.frames]
        with pytest.raises(TraceError, match="number '1'"):
            replay(attrs.evolve(trace, frames=frames))

    def test_nor_can_a_cancellation_of_no_call(self, trace):
        cancel = Frame(99.0, Direction.LOCAL, Kind.CANCEL, "9", {}, trace.frames[-1].session)
        with pytest.raises(TraceError, match="'9'"):
            replay(attrs.evolve(trace, frames=[*trace.frames, cancel]))

    def test_nor_can_an_input_of_no_known_kind(self, trace):
        odd = Frame(99.0, Direction.IN, Kind.WS_OPEN, "9", {}, trace.frames[-1].session)
        with pytest.raises(TraceError, match="not an input"):
            replay(attrs.evolve(trace, frames=[*trace.frames, odd]))


class TestCancellation:
    def test_wherever_it_comes_every_call_ends_and_nothing_is_left_undone(self):
        made = program().call("again", event_id="second").chunks(sse(message("process_starts", "second")))
        trace = trace_of(made)
        for place in range(replay(trace).inputs + 1):
            replayed = replay(trace, cancel_at=place)
            replayed.check()
            for events in replayed.events.values():
                assert sum(event.terminal for event in events) == 1

    def test_a_stream_that_is_left_open_is_named(self):
        trace, registry = own_stream(forgetful=True)
        places = range(replay(trace, registry=registry).inputs)
        left = {
            text for place in places for text in replay(trace, registry=registry, cancel_at=place).outstanding
        }
        assert any("is open" in text for text in left)

    def test_a_request_after_the_end_is_named(self):
        class Eager(SSEv3):
            class exchange(SSEv3.exchange):  # noqa: N801
                def cancel(self, now, *, siblings=False):
                    made = super().cancel(now, siblings=siblings)
                    again = Request.get("http://h/again")
                    made.commands += [
                        SendRequest(self.channel("again"), again, Phase.JOIN),
                        OpenWebSocket(self.channel("ws"), "ws://h/again"),
                    ]
                    return made

        replayed = replay(trace_of(program()), registry=Registry([Eager()]), cancel_at=5)
        assert any("http://h/again was asked for" in text for text in replayed.outstanding)
        assert any("ws://h/again was opened" in text for text in replayed.outstanding)

    def test_a_call_that_goes_on_is_named(self):
        class Deaf(SSEv3):
            class exchange(SSEv3.exchange):  # noqa: N801
                def cancel(self, now, *, siblings=False):
                    return Output()

        replayed = replay(trace_of(program()), registry=Registry([Deaf()]), cancel_at=4)
        assert [text for text in replayed.outstanding if "goes on" in text] == []  # its completion still came
        made = Program().discover().session().call("x")
        replayed = replay(trace_of(made), registry=Registry([Deaf()]), cancel_at=4)
        assert replay(trace_of(made), registry=Registry([Deaf()])).outstanding == []
        with pytest.raises(ReplayMismatch, match="goes on"):
            replayed.check()


class SocketCall(Exchange):
    """A call over a websocket of its own, for what no shared stream has."""

    forgetful = False

    def start(self, now):
        return Output(commands=[OpenWebSocket(self.channel("ws"), "ws://h/queue/join?a=1")])

    def reply(self, command, response, now):
        return Output([Failed(error=StreamLost(f"HTTP {response.status}"))])

    def websocket_opened(self, now):
        hello = SendText(self.channel("ws"), '{"hash": 1}')
        return Output([Joined()], [hello, WakeAt(self.channel("ws"), now + 1)])

    def wake(self, now):
        return Output(commands=[SendText(self.channel("ws"), '{"awake": true}')])

    def message(self, message, now):
        return Output([decode(message)])

    def finish(self):
        return [] if self.forgetful else super().finish()


class Socket(Adapter):
    name = "sse_v3"
    exchange = SocketCall

    def match(self, config, endpoint):
        return Match(100, "test")

    def capabilities(self, config):
        return Capabilities()


class ForgetfulSocket(Socket):
    class exchange(SocketCall):  # noqa: N801
        forgetful = True


def own_stream(*, forgetful=False, refused=False):
    """Return the trace of a call over a socket, with a registry for it."""
    adapter = (ForgetfulSocket if forgetful else Socket)()
    made = Program().discover().session()
    made.wire = TappedSession(adapter.session(made.wire.session.context), made.taps, adapter.name)
    exchange = made.wire.open(_invocation(made))
    (opened,) = made.took(made.wire.start(exchange))
    if refused:
        made.took(made.wire.reply(opened, reply({}, status=403)))
    else:
        made.took(made.wire.websocket_opened(opened.channel))
        made.took(made.wire.wake(opened.channel))
        for one in ({"msg": "process_starts"}, message("process_completed", output=output(1), success=True)):
            made.took(made.wire.text_received(opened.channel, json.dumps(one)))
    return trace_of(made), Registry([adapter])


def _invocation(made):
    return Invocation(endpoint=made.found.config.endpoints[0], data=[1])


class TestSockets:
    def test_a_call_over_a_socket(self):
        trace, registry = own_stream()
        replayed = replay(trace, registry=registry)
        replayed.check()
        (events,) = replayed.events.values()
        assert [type(one).__name__ for one in events] == ["Joined", "ProcessStarts", "ProcessCompleted"]

    def test_a_refused_handshake(self):
        trace, registry = own_stream(refused=True)
        replayed = replay(trace, registry=registry)
        replayed.check()
        (events,) = replayed.events.values()
        assert "403" in str(events[-1].error)

    @pytest.mark.parametrize(
        ("kind", "payload"),
        [(Kind.WS_OPEN, {"url": "ws://h/queue/leave?a=1"}), (Kind.WS_TEXT, {"text": '{"hash": 2}'})],
    )
    def test_what_is_said_to_it_counts(self, kind, payload):
        trace, registry = own_stream()
        assert len(replay(changed(trace, kind, Direction.OUT, **payload), registry=registry).mismatches) == 1

    def test_a_cancellation_closes_it(self):
        trace, registry = own_stream()
        for place in range(replay(trace, registry=registry).inputs):
            replay(trace, registry=registry, cancel_at=place).check()


class TestDifferences:
    def test_the_same_events_do_not_differ(self, trace):
        assert differences(replay(trace), replay(trace)) == []

    def test_the_first_event_that_differs_is_named(self, trace):
        other = trace_of(
            program(messages=[*MESSAGES[:4], message("process_completed", output=output("other"))])
        )
        other = attrs.evolve(other, frames=[attrs.evolve(f, session=min(f.session, 1)) for f in other.frames])
        trace = attrs.evolve(trace, frames=[attrs.evolve(f, session=min(f.session, 1)) for f in trace.frames])
        (difference,) = differences(replay(trace), replay(other))
        assert difference.startswith("call 1 of session 1, event 5: ProcessCompleted")
        assert "other" in difference

    def test_a_missing_event_is_nothing(self, trace):
        shorter = replay(attrs.evolve(trace, frames=trace.frames[:-4], truncated=True))
        (difference,) = differences(replay(trace), shorter)
        assert difference.endswith("/ nothing")

    def test_errors_count_although_events_leave_them_out(self):
        one, other = Failed(error=StreamLost("a")), Failed(error=StreamLost("b"))
        assert one == other
        assert describe(one) != describe(other)
        assert describe(one) != describe(Failed(error=ConnectError("a")))

    def test_not_a_number_equals_itself(self):
        assert describe(ProcessCompleted(data=[float("nan")])) == describe(
            ProcessCompleted(data=[float("nan")])
        )


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
class TestRecorded:
    """Traces of real servers."""

    def test_replays_exactly_in_one_piece_and_byte_by_byte(self, path):
        trace = read_trace(path)
        replayed, bytewise = replay(trace), replay(trace, rechunk=one_byte_at_a_time)
        replayed.check()
        bytewise.check()
        assert differences(replayed, bytewise) == []

    def test_nothing_is_left_undone_wherever_it_is_cancelled(self, path):
        trace = read_trace(path)
        for place in range(replay(trace).inputs + 1):
            replay(trace, cancel_at=place).check()

    def test_is_the_same_when_it_is_written_again(self, path, tmp_path):
        trace = read_trace(path)
        with TraceWriter(tmp_path / "again.jsonl", meta=trace.meta) as tap:
            for frame in trace.frames:
                tap(frame)
        again = read_trace(tmp_path / "again.jsonl")
        assert [f for f in again.frames if f.kind is not Kind.CHUNK] == [
            f for f in trace.frames if f.kind is not Kind.CHUNK
        ]
        assert differences(replay(trace), replay(again)) == []
