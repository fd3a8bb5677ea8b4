# SPDX-License-Identifier: Apache-2.0
"""Every shipped trace against its adapter: as recorded, cut in every way, and cancelled everywhere."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path

import attrs
import pytest
from kit import slow_traces

from gradio_transport.adapter.registry import Registry
from gradio_transport.errors import StreamLost
from gradio_transport.events import Estimation, Failed, Joined
from gradio_transport.protocol.frames import Kind
from gradio_transport.trace import Severity, Trace, lint_trace, read_trace, replay
from gradio_transport_conformance.cases import all_cases
from gradio_transport_conformance.replay import machine as replaying
from gradio_transport_conformance.replay.machine import (
    check,
    check_case,
    check_chunkings,
    check_decoder,
    check_every_split,
    compare_with_sseclient,
    locate_endpoints,
    replay_as_recorded,
    shipped_traces,
)
from gradio_transport_conformance.traces import folder, shipped_trace, traces, versions
from gradio_transport_sse.v3 import SSEv3

TRACES = shipped_traces()


def names(version: str) -> set[str]:
    return {path.stem for path in traces(version)}


CUT_IN_EVERY_WAY = frozenset({"chat", "count", "late_error", "log", "render", "siblings", "stream_input"})
"""Cases with streams of different kinds. The others, on each version, are cut in one way."""


@pytest.mark.parametrize("path", TRACES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_trace_replays_however_it_is_cut_or_cancelled(path: Path) -> None:
    chunkings = None if path.stem in CUT_IN_EVERY_WAY else 1
    assert check(read_trace(path), chunkings=chunkings) == []


@pytest.mark.parametrize("version", versions())
def test_servers_say_nothing_that_nobody_knows(version: str, pytestconfig: pytest.Config) -> None:
    chosen = [path for path in slow_traces(pytestconfig, 5) if path.parent.name == version]
    assert chosen
    found = [finding for path in chosen for finding in lint_trace(read_trace(path))]
    assert [str(one) for one in found if one.severity is not Severity.NOTE] == []


@pytest.mark.parametrize("version", versions())
def test_a_small_trace_may_be_split_at_every_point(version: str) -> None:
    trace = read_trace(shipped_trace(f"{version}/hello"))
    result, _ = replay_as_recorded(trace)
    assert check_every_split(trace, result) == []


def test_every_version_has_a_trace_of_every_case_that_it_allows() -> None:
    assert len(versions()) >= 22
    shipped = {
        version: {path.stem for path in paths}
        for version, paths in groupby(TRACES, lambda one: one.parent.name)
    }
    for version, cases in shipped.items():
        possible = {
            case.name for case in all_cases() if case.unsupported(version) is None and case.applies(version)
        }
        assert cases <= possible
        assert {"hello", "add", "slow", "state"} <= cases


@pytest.mark.parametrize("version", [one for one in versions() if "queue_rank" in names(one)])
def test_the_place_of_a_waiting_call_falls_to_0(version: str) -> None:
    calls = replay(read_trace(shipped_trace(f"{version}/queue_rank"))).events.values()
    ranks = [[event.rank for event in call if isinstance(event, Estimation)] for call in calls]
    assert [call == sorted(call, reverse=True) and call[-1] == 0 for call in ranks] == [True] * 3
    assert sorted(call[0] for call in ranks)[-1] > 0  # one at least had to wait


class TestShipped:
    def test_oldest_first(self) -> None:
        assert versions().index("2.9.4") < versions().index("3.16.2") < versions().index("4.9.0")
        assert versions().index("4.9.0") < versions().index("4.16.0")
        assert [path.parent.name for path in traces()] == sorted(
            (path.parent.name for path in traces()), key=versions().index
        )

    @pytest.mark.parametrize("name", ["6.31.0/count", "6.31.0/count.jsonl"])
    def test_by_name(self, name: str) -> None:
        assert read_trace(shipped_trace(name)).meta["case"] == "count"

    @pytest.mark.parametrize(
        ("name", "known"),
        [
            ("6.31.0/nothing_like_it", "hello"),
            ("0.1/count", "6.31.0"),
            ("", "6.31.0"),
            ("../cases", "6.31.0"),
        ],
    )
    def test_one_that_is_not_there(self, name: str, known: str) -> None:
        with pytest.raises(LookupError, match=f"no traces?.*{known}"):
            shipped_trace(name)

    @pytest.mark.parametrize("version", ["0.1", "..", ""])
    def test_a_version_that_is_not_there(self, version: str) -> None:
        with pytest.raises(LookupError, match=r"no traces.*6\.31\.0"):
            folder(version)


class Forgetful(SSEv3):
    """Does not close the stream of a cancelled call."""

    class exchange(SSEv3.exchange):  # noqa: N801
        def cancel(self, now, *, siblings):
            return attrs.evolve(super().cancel(now, siblings=siblings), commands=[], events=[])


class CutSensitive(SSEv3):
    """Loses a message that comes in more than one chunk."""

    def session(self, context):
        session = super().session(context)
        received = session.data_received

        def data_received(channel, data, now):
            return received(channel, data if data.endswith(b"\n\n") else data[:-1], now)

        session.data_received = data_received
        return session


class Chatty(SSEv3):
    """Says that it has joined twice."""

    class exchange(SSEv3.exchange):  # noqa: N801
        def reply(self, command, response, now):
            output = super().reply(command, response, now)
            return attrs.evolve(output, events=[*output.events, Joined(), Joined()])


class Talkative(SSEv3):
    """Asks another thing than was recorded."""

    class exchange(SSEv3.exchange):  # noqa: N801
        def start(self, now):
            output = super().start(now)
            (join,) = output.commands
            request = attrs.evolve(join.request, body=join.request.body + b" ")
            request = attrs.evolve(request, url=f"{request.url}?more")
            return attrs.evolve(output, commands=[attrs.evolve(join, request=request)])


class TestChecks:
    """What they are for: each finds the adapter that has that fault."""

    @pytest.fixture
    def trace(self) -> Trace:
        return read_trace(shipped_trace("6.31.0/count"))

    def test_the_right_adapter(self, trace) -> None:
        assert check(trace, registry=Registry([SSEv3()])) == []

    @pytest.mark.parametrize(
        ("adapter", "problem"),
        [
            (Forgetful(), "cancelled at 2, left open: "),
            (CutSensitive(), "byte by byte: "),
            (Chatty(), "cannot be replayed: FlowViolation: Joined is not allowed"),
            (Talkative(), "after frame 5: expected request 1.join POST /gradio_api/queue/join"),
        ],
        ids=lambda one: type(one).__name__,
    )
    def test_a_faulty_one(self, trace, adapter, problem) -> None:
        found = check(trace, registry=Registry([adapter]))
        assert any(problem in one for one in found), found[:5]

    def test_a_few_chunkings_are_those_of_the_trace(self, trace, monkeypatch) -> None:
        tried: list[str] = []
        monkeypatch.setattr(replaying, "_compare", lambda _trace, _expected, how, *_: tried.append(how) or [])
        expected = replay(trace)
        for case in ("count", "count", "chat"):
            check_chunkings(attrs.evolve(trace, meta={**trace.meta, "case": case}), expected, count=2)
        assert tried[:2] == tried[2:4] != tried[4:]
        assert len(tried) == 6

    def test_an_adapter_that_nobody_has(self, trace) -> None:
        (problem,) = check(trace, registry=Registry([]))
        assert problem.startswith("cannot be replayed")

    def test_what_the_case_does_not_say(self, trace) -> None:
        frames = [
            attrs.evolve(frame, payload={"data": frame.payload["data"].replace(b'"0 1 2"', b'"0 1 3"')})
            if frame.kind is Kind.CHUNK
            else frame
            for frame in trace.frames
        ]
        changed = attrs.evolve(trace, frames=frames)
        (problem,) = check_case(changed, replay(changed))
        assert problem.startswith("count: ")
        assert "0 1 3" in problem

    def test_a_trace_of_no_case(self, trace) -> None:
        assert check_case(attrs.evolve(trace, meta={}), replay(trace)) == []
        assert locate_endpoints(attrs.evolve(trace, meta={})) == {}

    def test_a_call_that_never_ends(self, trace) -> None:
        number = next(number for number, frame in enumerate(trace.frames) if frame.kind is Kind.CHUNK)
        cut = attrs.evolve(trace, frames=trace.frames[:number], truncated=True)
        _, problems = replay_as_recorded(cut)
        assert problems == ["call (1, '1') ended 0 times"]

    def test_decoders_that_disagree(self, trace, monkeypatch) -> None:
        monkeypatch.setattr(replaying, "_parse_with_sseclient", lambda data: [])
        (problem,) = compare_with_sseclient(trace)
        assert problem.startswith("sseclient-py reads 0 events")

    def test_a_decoder_that_minds_a_cut(self, trace, monkeypatch) -> None:
        monkeypatch.setattr(replaying, "_decode", lambda *chunks: [len(chunks)])
        assert len(check_decoder(trace)) == sum(map(len, replaying.streams(trace))) - 1

    def test_the_error_of_a_failed_call_is_seen(self) -> None:
        trace = read_trace(shipped_trace("6.31.0/raise_error"))
        (observed,) = replaying.observe_replay(trace, replay(trace))
        assert observed.error is not None
        lost = replay(trace)
        (key,) = lost.events
        lost.events[key] = [Failed(error=StreamLost("gone"))]
        (problem,) = check_case(trace, lost)
        assert "StreamLost" in problem

    def test_where_the_endpoints_were(self, trace) -> None:
        (where,) = locate_endpoints(trace).values()
        config = json.loads(trace.frames[1].payload["body"])
        assert where.api_name == "/count"
        assert config["dependencies"][where.fn_index]["api_name"] == "count"
