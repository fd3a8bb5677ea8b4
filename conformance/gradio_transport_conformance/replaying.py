# SPDX-License-Identifier: Apache-2.0
"""The first floor of the suite: what a trace must give when it is replayed, however its bytes are cut.

Every function returns the problems it found, as texts; none is right.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from importlib import resources
from itertools import groupby
from pathlib import Path

from gradio_transport.frames import Frame, Kind
from gradio_transport.sse import SSEDecoder
from gradio_transport.trace import Replay, Trace, differences, read_trace, replay

RANDOM_CUTS = 3
"""Random chunkings of each trace; seeded, so that a failure can be repeated."""


def shipped_traces() -> list[Path]:
    """Return the files of all traces of the kit."""
    folder = Path(str(resources.files("gradio_transport_conformance") / "traces"))
    return sorted(folder.glob("*/*.jsonl"))


def shipped_trace(name: str) -> Trace:
    """Return a trace of the kit by version and case, such as ``"6.31.0/count"``."""
    folder = Path(str(resources.files("gradio_transport_conformance") / "traces"))
    return read_trace(folder / f"{name}.jsonl")


def as_recorded(trace: Trace) -> tuple[Replay, list[str]]:
    """Replay a trace as it is: the recorded commands, in the order of the flow, nothing left open."""
    result = replay(trace)
    problems = [str(mismatch) for mismatch in result.mismatches]
    problems += [f"{key}: {one}" for key, found in result.deviations.items() for one in found]
    problems += [f"left open: {channel}" for channel in result.outstanding]
    return result, problems + _ends(result)


def rechunked(trace: Trace, expected: Replay, *, seed: int = 0) -> list[str]:
    """Replay a trace one byte at a time, and in random chunks."""
    problems = _differing(trace, expected, "byte by byte", lambda data: [bytes([one]) for one in data])
    for number in range(RANDOM_CUTS):
        dice = random.Random(seed + number)  # noqa: S311 - repeatable, not secret
        problems += _differing(
            trace, expected, f"seed {seed + number}", lambda data, dice=dice: _cut(data, dice)
        )
    return problems


def split_everywhere(trace: Trace, expected: Replay) -> list[str]:
    """Replay a trace once for each point of its streams, split in two there. For small traces."""
    longest = max((len(data) for data in _joined(trace)), default=0)
    return [
        problem
        for point in range(1, longest)
        for problem in _differing(
            trace, expected, f"split at {point}", lambda data, point=point: [data[:point], data[point:]]
        )
    ]


def cancelled_everywhere(trace: Trace, expected: Replay) -> list[str]:
    """Cancel every call before each input: each ends exactly once, and nothing stays open."""
    problems: list[str] = []
    for place in range(expected.inputs + 1):
        result = replay(trace, cancel_at=place)
        problems += [f"cancelled at {place}, left open: {channel}" for channel in result.outstanding]
        problems += [f"cancelled at {place}, {problem}" for problem in _ends(result)]
    return problems


def read_by_sseclient(trace: Trace) -> list[str]:
    """Have the streams parsed by sseclient-py too, an independent reader of the same language."""
    import sseclient

    problems: list[str] = []
    for data in _joined(trace):
        if not data.endswith(b"\n\n"):
            continue  # sseclient-py hands a cut-off event over as whole
        ours = [(event.event, event.data) for event in SSEDecoder().feed(data)]
        theirs = [(event.event, event.data) for event in sseclient.SSEClient(iter([data])).events()]
        if ours != theirs:
            problems.append(f"sseclient-py reads {len(theirs)} events differently from our {len(ours)}")
    return problems


def _differing(trace: Trace, expected: Replay, how: str, rechunk: object) -> list[str]:
    result = replay(trace, rechunk=rechunk)  # type: ignore[arg-type]
    return [f"{how}: {difference}" for difference in differences(expected, result)]


def _ends(result: Replay) -> list[str]:
    return [
        f"call {key} ended {ends} times"
        for key, events in result.events.items()
        if (ends := sum(event.terminal for event in events)) != 1
    ]


def _cut(data: bytes, dice: random.Random) -> Sequence[bytes]:
    if len(data) < 2:
        return [data]
    points = sorted(dice.sample(range(1, len(data)), min(len(data) - 1, dice.randint(1, 12))))
    return [data[start:end] for start, end in zip([0, *points], [*points, len(data)], strict=True)]


def _joined(trace: Trace) -> Iterator[bytes]:
    """Yield the bytes of each stream of a trace."""

    def stream(frame: Frame) -> tuple[int, str]:
        return frame.session, frame.channel

    relevant = (Kind.RESPONSE_HEAD, Kind.CHUNK)
    frames = sorted((frame for frame in trace.frames if frame.kind in relevant), key=stream)
    for _, group in groupby(frames, stream):
        data = b""
        for frame in group:
            if frame.kind is Kind.RESPONSE_HEAD:
                if data:
                    yield data
                data = b""
            else:
                data += frame.payload["data"]
        if data:
            yield data
