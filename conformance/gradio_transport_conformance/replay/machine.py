# SPDX-License-Identifier: Apache-2.0
"""Checks that replay a trace to an adapter without I/O, with its bytes split in many ways.

Every function returns the problems it found, as texts; an empty list means success.  To check another
adapter, pass a registry that has it under the name in the traces.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from functools import partial
from pathlib import Path

import attrs

from gradio_transport.adapter.registry import Registry, default_registry
from gradio_transport.errors import GradioTransportError
from gradio_transport.events import Cancelled, Failed, ProcessCompleted
from gradio_transport.protocol.frames import Kind
from gradio_transport.protocol.sse import ServerSentEvent, SSEDecoder
from gradio_transport.trace import Replay, Trace, differences, replay
from gradio_transport.trace.replay.replayer import Rechunk

from ..cases import Case, Step, find_case
from ..grading import Grade, Observed, grade
from ..traces import traces

RANDOM_CUTS = 3
"""The number of random chunkings of each trace; they are seeded, so that a failure can be repeated."""

SMALL_TRACE_BYTES = 3000
"""A trace with fewer bytes of streams is also split at every point of them."""

STRIDE = 16
"""The number of such replays, and the size of their chunks: each point is a border of chunks in one of them.

A replay for each point would take ten minutes for all shipped traces (`check_every_split` does it for one
trace).  It would show little more: adapters receive events, and the decoder is split at every point.
"""


def shipped_traces() -> list[Path]:
    """Return the files of all traces of the kit."""
    return traces()


def check(trace: Trace, *, registry: Registry = default_registry, chunkings: int | None = None) -> list[str]:
    """Return the problems of all checks except `check_every_split`, which takes long.

    Args:
        trace: The trace to replay.
        registry: The adapters.
        chunkings: The number of ways to split the streams, different ones for each trace; by default all of
            them, and then the decoder is also checked with a split at every point.
    """
    try:
        result, found = replay_as_recorded(trace, registry=registry)
    except GradioTransportError as error:
        return [f"cannot be replayed: {type(error).__name__}: {error}"]
    return [
        *found,
        *check_chunkings(trace, result, registry=registry, count=chunkings),
        *check_cancellations(trace, result, registry=registry),
        *(check_decoder(trace) if chunkings is None else ()),
        *compare_with_sseclient(trace),
        *check_case(trace, result),
    ]


# --- replays -----------------------------------------------------------------------------------------


def replay_as_recorded(trace: Trace, *, registry: Registry = default_registry) -> tuple[Replay, list[str]]:
    """Replay a trace as it is: the recorded commands, in the order of the flow, with no channel left open.

    Raises:
        FlowViolation: A message was out of order.
        TraceError: The trace lacks data that a replay needs.
    """
    result = replay(trace, registry=registry, strict=True)
    return result, _problems(result) + _count_ends(result)


def check_chunkings(
    trace: Trace,
    expected: Replay,
    *,
    seed: int = 0,
    registry: Registry = default_registry,
    count: int | None = None,
) -> list[str]:
    """Replay a trace in one piece, byte by byte, in random chunks, and if it is small split at every point.

    With a `count`, only this number of splits is tried, chosen by the trace's version and case.
    """
    size = stream_size(trace)
    ways: dict[str, Rechunk] = (
        {"in one piece": _keep_whole, "byte by byte": _split_into_bytes} if size else {}
    )
    for number in range(seed, seed + RANDOM_CUTS if size else seed):
        dice = random.Random(number)  # noqa: S311 - repeatable, not secret
        ways[f"seed {number}"] = partial(_split_randomly, dice)
    for offset in range(1, STRIDE + 1 if 0 < size < SMALL_TRACE_BYTES else 1):
        ways[f"cut after {offset} and then each {STRIDE} bytes"] = partial(_split_every, offset)
    if count is not None and count < len(ways):
        dice = random.Random(f"{version_of(trace)}/{trace.meta.get('case')}")  # noqa: S311 - repeatable
        ways = {how: ways[how] for how in dice.sample(list(ways), count)}
    return [problem for how, way in ways.items() for problem in _compare(trace, expected, how, way, registry)]


def check_every_split(trace: Trace, expected: Replay, *, registry: Registry = default_registry) -> list[str]:
    """Replay a trace once for each point of its streams, split in two there. For small traces."""
    longest = max((len(data) for data in streams(trace)), default=0)
    return [
        problem
        for point in range(1, longest)
        for problem in _compare(trace, expected, f"split at {point}", partial(_split_at, point), registry)
    ]


def check_cancellations(
    trace: Trace, expected: Replay, *, registry: Registry = default_registry
) -> list[str]:
    """Cancel every call before each input: each ends exactly once, and no channel stays open."""
    problems: list[str] = []
    for place in range(expected.inputs + 1):
        result = replay(trace, registry=registry, cancel_at=place)
        problems += [f"cancelled at {place}, {one}" for one in _problems(result) + _count_ends(result)]
    return problems


def _compare(trace: Trace, expected: Replay, how: str, rechunk: Rechunk, registry: Registry) -> list[str]:
    try:
        result = replay(trace, registry=registry, rechunk=rechunk, strict=True)
    except GradioTransportError as error:
        return [f"{how}: {type(error).__name__}: {error}"]
    return [f"{how}: {one}" for one in _problems(result) + differences(expected, result)]


def _problems(result: Replay) -> list[str]:
    problems = [str(mismatch) for mismatch in result.mismatches]
    problems += [f"call {key}: {one}" for key, found in result.deviations.items() for one in found]
    return problems + [f"left open: {channel}" for channel in result.outstanding]


def _count_ends(result: Replay) -> list[str]:
    return [
        f"call {key} ended {ends} times"
        for key, events in result.events.items()
        if (ends := sum(event.terminal for event in events)) != 1
    ]


# --- chunks ------------------------------------------------------------------------------------------


def _keep_whole(data: bytes) -> Sequence[bytes]:
    return [data]


def _split_into_bytes(data: bytes) -> Sequence[bytes]:
    return [data[place : place + 1] for place in range(len(data))]


def _split_at(point: int, data: bytes) -> Sequence[bytes]:
    return [data[:point], data[point:]]


def _split_every(offset: int, data: bytes) -> Sequence[bytes]:
    return [data[max(place, 0) : place + STRIDE] for place in range(offset - STRIDE, len(data), STRIDE)]


def _split_randomly(dice: random.Random, data: bytes) -> Sequence[bytes]:
    if len(data) < 2:
        return [data]
    points = sorted(dice.sample(range(1, len(data)), min(len(data) - 1, dice.randint(1, 12))))
    return [data[start:end] for start, end in zip([0, *points], [*points, len(data)], strict=True)]


def stream_size(trace: Trace) -> int:
    """Return the number of bytes of the sessions' streams in a trace; files and heartbeats do not count."""
    chunks = (frame for frame in trace.frames if frame.session and frame.kind is Kind.CHUNK)
    return sum(len(frame.payload["data"]) for frame in chunks)


# --- the decoder -------------------------------------------------------------------------------------


def streams(trace: Trace) -> list[bytes]:
    """Return the bytes of each event stream of a trace."""
    found: list[bytearray] = []
    latest: dict[tuple[int, str], bytearray] = {}
    for frame in trace.frames:
        key = frame.session, frame.channel
        if frame.kind is Kind.RESPONSE_HEAD and frame.session:
            latest[key] = bytearray()
            found.append(latest[key])
        elif frame.kind is Kind.CHUNK and key in latest:
            latest[key] += frame.payload["data"]
    return [bytes(one) for one in found]


def check_decoder(trace: Trace) -> list[str]:
    """Decode each small stream in two parts, split at every point: the same events."""
    return [
        f"split at {point}, the stream decodes to other events"
        for data in streams(trace)
        if len(data) < SMALL_TRACE_BYTES
        for whole in (_decode(data),)
        for point in range(1, len(data))
        if _decode(data[:point], data[point:]) != whole
    ]


def compare_with_sseclient(trace: Trace) -> list[str]:
    """Parse the streams with sseclient-py too, an independent parser of the format."""
    problems: list[str] = []
    for data in streams(trace):
        decoder = SSEDecoder()
        ours = [(event.event, event.data) for event in decoder.feed(data)]
        # It yields an event that was cut off, which the standard forbids.
        theirs = _parse_with_sseclient(data[: len(data) - len(decoder.close())])
        if ours != theirs:
            problems.append(f"sseclient-py reads {len(theirs)} events, other than the decoder's {len(ours)}")
    return problems


def _parse_with_sseclient(data: bytes) -> list[tuple[str, str]]:
    import sseclient

    return [(str(event.event), str(event.data)) for event in sseclient.SSEClient(iter([data])).events()]


def _decode(*chunks: bytes) -> list[ServerSentEvent]:
    decoder = SSEDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


# --- the case ----------------------------------------------------------------------------------------


@attrs.frozen
class EndpointLocation:
    """The location of an endpoint of the canonical app when a trace was recorded.

    Attributes:
        url: Address of the app at that time.
    """

    url: str
    fn_index: int
    api_name: str | None


def case_of(trace: Trace) -> Case | None:
    """Return the case that a trace was recorded from, or None."""
    try:
        return find_case(str(trace.meta.get("case", "")))
    except KeyError:
        return None


def steps_of(trace: Trace) -> list[Step]:
    """Return the steps of a trace's case, in the order in which they were started."""
    case = case_of(trace)
    return [step for group in case.steps_for(version_of(trace)) for step in group] if case else []


def version_of(trace: Trace) -> str:
    """Return the Gradio version that a trace was recorded from."""
    return str(trace.meta.get("gradio", ""))


def locate_endpoints(trace: Trace) -> Mapping[str, EndpointLocation]:
    """Return the locations of the endpoints of a trace's case; those that were never called are left out."""
    urls = {one.session: str(one.payload["source"]) for one in trace.frames if one.kind is Kind.SESSION}
    calls = [frame for frame in trace.frames if frame.kind is Kind.CALL]
    return {
        step.call: EndpointLocation(urls[call.session], call.payload["fn_index"], call.payload["endpoint"])
        for step, call in zip(steps_of(trace), calls, strict=False)
        if step.endpoint is None
    }


def check_case(trace: Trace, result: Replay) -> list[str]:
    """Grade a replay by its case; a trace without a case is always right."""
    case, observed = case_of(trace), observe_replay(trace, result)
    if case is None or not observed:
        return []
    graded = grade(case, version_of(trace), "replay", observed)
    return [f"{case.name}: {graded.reason}"] if graded.grade is Grade.FAIL else []


def observe_replay(trace: Trace, result: Replay) -> list[Observed]:
    """Return the results of the steps of a trace's case, as a caller sees them.

    A step that was refused before anything was sent is in no trace: it is left out.
    """
    steps = steps_of(trace)
    adapters = {one.session: str(one.payload["adapter"]) for one in trace.frames if one.kind is Kind.SESSION}
    observed = [
        Observed(
            step=step,
            # For a failure, callers see the exception, not the event.
            events=[event for event in result.events[key] if not isinstance(event, Failed)],
            error=_error(result, key),
            adapter=adapters[key[0]],
            deviations=result.deviations[key],
        )
        for step, key in zip(steps, result.events, strict=False)
    ]
    if result.refusals:
        observed += [Observed(step=step, error=result.refusals[0]) for step in steps[len(observed) :]]
    return observed


def _error(result: Replay, key: tuple[int, str]) -> BaseException | None:
    last = result.events[key][-1]
    if isinstance(last, Cancelled):
        return CancelledError(f"the call was cancelled ({last.achieved.value})")
    return last.error if isinstance(last, Failed | ProcessCompleted) else None


__all__ = [
    "RANDOM_CUTS", "SMALL_TRACE_BYTES", "STRIDE", "EndpointLocation", "replay_as_recorded", "check_case",
    "case_of", "check_cancellations", "check", "check_chunkings", "check_decoder", "check_every_split",
    "compare_with_sseclient", "locate_endpoints", "observe_replay", "shipped_traces", "steps_of",
    "stream_size", "streams", "version_of",
]  # fmt: skip
