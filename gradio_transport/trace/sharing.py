# SPDX-License-Identifier: Apache-2.0
"""`redact_trace`: write a copy of a trace with more redacted, to share it.

The writer always redacts, even if the trace was written without redaction. It also removes what the caller
names: texts in every encoding, arguments by name, or all values.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import attrs

from ..errors import GradioTransportError, LocalProtocolError
from ..files.private import NEW, SAFE_FLAGS
from ..protocol.frames import Direction, Frame, Kind
from ..protocol.known_secrets import SHORTEST_SECRET, KnownSecrets
from .lint import Finding, secret_findings
from .placeholders import Counts, Placeholders
from .reader import Trace, read_trace
from .redaction import DESCRIPTION
from .replay.discoveries import Discoveries
from .replay.replayer import replay
from .writer import TraceWriter

_OWN_META = frozenset({"format", "version", "redacted"})


@attrs.frozen
class Redaction:
    """The result of a redaction.

    Attributes:
        path: The new trace.
        secrets: The number of occurrences of each given text in the old trace, in any encoding.
        values: The number of values and file chunks that became placeholders.
        arguments: Names of arguments that no endpoint of the trace has.
        left: Remaining possible secrets.
        problem: Why the new trace does not replay as the old one; empty if it does.
    """

    path: Path
    secrets: tuple[int, ...] = ()
    values: Counts = attrs.field(factory=Counts)
    arguments: tuple[str, ...] = ()
    left: Sequence[Finding] = ()
    problem: str = ""


def redact_trace(
    trace: Trace,
    path: str | os.PathLike[str],
    *,
    secrets: Sequence[str] = (),
    arguments: Sequence[str] = (),
    values: bool = False,
) -> Redaction:
    """Write a trace to a new file, with more redacted.

    Args:
        trace: The trace.
        path: The new file, which must not exist.
        secrets: Texts to remove, in every encoding.
        arguments: Names or labels of parameters whose arguments and echoes are replaced.
        values: Replace all arguments and outputs by placeholders of their type. Errors, logs and the app's
            config stay.

    Raises:
        FileExistsError: The file already exists.
        LocalProtocolError: The new trace could not be written completely.
    """
    target = Path(path)
    chosen, unknown = ({}, ()) if values else _choose(trace, arguments)
    makers = [Placeholders(None)] if values else []
    if chosen:
        makers.append(Placeholders(chosen))
    frames = list(_rewritten(trace, makers))
    echoed = [text for maker in makers for text in maker.texts if len(text) >= SHORTEST_SECRET]
    os.close(os.open(target, NEW | SAFE_FLAGS, 0o600))  # so that the writer appends to no other file
    try:
        _write(trace, frames, target, [*secrets, *echoed], values=values)
        written = read_trace(target)
        if _count(written.frames) != _count(frames):
            raise LocalProtocolError(
                f"The trace {target.name} could not be written completely. Check whether the disk is full."
            )
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return Redaction(
        target,
        tuple(_occurrences(trace, secrets)),
        Counts(sum(maker.counts.values for maker in makers), sum(maker.counts.files for maker in makers)),
        tuple(unknown),
        list(secret_findings(written)),
        _replay_problem(trace, written),
    )


def _count(frames: Sequence[Frame]) -> int:
    """Return the number of frames, but for those of bytes, which may be fewer."""
    return sum(frame.kind is not Kind.CHUNK for frame in frames)


def _rewritten(trace: Trace, makers: Sequence[Placeholders]) -> Iterator[Frame]:
    """Yield the frames with placeholders."""
    for original in trace.frames:
        frame = original
        for maker in makers:
            if frame.kind in (Kind.END, Kind.STREAM_CLOSE):
                rest = maker.rest(frame)
                if rest and frame.direction is Direction.IN:
                    yield Frame(
                        frame.t, Direction.IN, Kind.CHUNK, frame.channel, {"data": rest}, frame.session
                    )
            frame = maker.frame(frame)
        if frame.kind is not Kind.CHUNK or frame.payload["data"]:
            yield frame


def _write(
    trace: Trace, frames: Sequence[Frame], target: Path, secrets: Sequence[str], *, values: bool
) -> None:
    kept = {key: value for key, value in trace.meta.items() if key not in _OWN_META}
    adapters: Any = kept.pop("adapter", None)
    if isinstance(adapters, list):  # the writer looks for each of them
        kept["adapter"] = [str(name) for name in cast("list[Any]", adapters)]
    removed = [*DESCRIPTION, *(["arguments and outputs"] if values else [])]
    start = frames[0].t if frames else 0.0
    with TraceWriter(target, secrets=secrets, meta={"redacted": removed, **kept}) as tap:
        for frame in frames:
            # The first frame need not be the earliest: threads write them.
            tap(attrs.evolve(frame, t=frame.t - start) if start else frame)


def _choose(trace: Trace, arguments: Sequence[str]) -> tuple[dict[int, dict[int, str]], tuple[str, ...]]:
    """Return the places and names of the named arguments, by endpoint; and the names that are of none."""
    if not arguments:
        return {}, ()
    wanted = {name.strip().lower(): name for name in arguments}
    missing = dict(wanted)
    chosen: dict[int, dict[int, str]] = defaultdict(dict)
    try:
        discoveries = Discoveries(trace).found
    except GradioTransportError:
        discoveries = []
    for discovery in discoveries:
        for endpoint in discovery.config.endpoints:
            visible = iter(endpoint.parameters)
            slots = endpoint.inputs or [None] * len(endpoint.parameters)
            for place, slot in enumerate(slots):
                parameter = None if slot is not None and slot.skipped else next(visible, None)
                if parameter is None:
                    continue
                for name in (parameter.name, parameter.alias, parameter.label):
                    if name and name.strip().lower() in wanted:
                        chosen[endpoint.fn_index][place] = parameter.name
                        missing.pop(name.strip().lower(), None)
    return dict(chosen), tuple(missing.values())


def _occurrences(trace: Trace, secrets: Sequence[str]) -> Iterator[int]:
    """Yield how often each text stands in a trace, also where chunks of a stream cut it."""
    texts = list(_texts(trace))
    for secret in secrets:
        known = KnownSecrets([secret.strip()], shortest=1)
        yield sum(len(known.spans(text)) for text in texts) if secret.strip() else 0


def _texts(trace: Trace) -> Iterator[str]:
    streams: dict[tuple[int, str], list[bytes]] = defaultdict(list)
    for frame in trace.frames:
        if frame.kind is Kind.CHUNK:
            streams[frame.session, frame.channel].append(frame.payload["data"])
            continue
        yield from _texts_of(frame.payload)
    for parts in streams.values():
        yield b"".join(parts).decode("utf-8", "replace")


def _texts_of(value: Any) -> Iterator[str]:
    waiting: list[Any] = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, bytes):
            yield one.decode("utf-8", "replace")
        elif isinstance(one, Mapping):
            waiting += one.values()  # pyright: ignore[reportUnknownMemberType]
        elif isinstance(one, list | tuple):
            waiting += one  # pyright: ignore[reportUnknownArgumentType]


def _replay_problem(old: Trace, new: Trace) -> str:
    """Return why a trace does not replay as another, or an empty string."""
    try:
        before = replay(old, light=True)
    except GradioTransportError:
        return ""  # nothing to lose
    try:
        after = replay(new, light=True)
    except GradioTransportError as error:
        return error.message
    if len(after.mismatches) > len(before.mismatches):
        return str(after.mismatches[0])
    # In their order, because the writer renumbers the sessions.
    for (key, events), others in zip(before.events.items(), after.events.values(), strict=False):
        if [type(event) for event in events] != [type(event) for event in others]:
            return f"call {key[1]} of session {key[0]} has other events"
    return "" if len(before.events) == len(after.events) else "a call is missing"


__all__ = ["Redaction", "redact_trace"]
