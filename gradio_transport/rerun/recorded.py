# SPDX-License-Identifier: Apache-2.0
"""The calls of a trace, with their outcomes: `recorded_calls`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from ..protocol.frames import Frame, Kind
from ..trace.conversation import conversations
from ..trace.outcomes import (
    Ending,
    Outcome,
    Recorded,
    recorded_outcomes,
)
from ..trace.reader import Trace
from .files import as_list


@attrs.frozen
class RecordedCall:
    """A call of a trace.

    Attributes:
        number: Its number from 1, in the order of start.
        start: Number of its first frame.
        end: Number of the frame that ended it, or None.
        chunks: The chunks of a streaming input after the first.
    """

    number: int
    session: int
    key: str
    name: str | None
    fn_index: int | None
    data: Sequence[Any]
    outcome: Outcome
    start: int
    end: int | None
    source: str = ""
    adapter: str = ""
    event_data: Any = None
    attached: bool = False
    chunks: Sequence[Sequence[Any]] = ()

    @property
    def display_name(self) -> str:
        """The displayed name of the endpoint."""
        return self.name or f"fn_index {self.fn_index}"


def recorded_calls(trace: Trace, recorded: Recorded | None = None) -> list[RecordedCall]:
    """Return the calls of a trace with their outcomes.

    Raises:
        TraceError: The trace lacks frames that a replay needs.
    """
    known = recorded_outcomes(trace) if recorded is None else recorded
    ends = {
        (one.session, one.key): max(entry.frame for entry in (one.messages or one.entries))
        for one in conversations(trace)
    }
    calls: list[RecordedCall] = []
    sources: dict[int, tuple[str, str]] = {}
    chunks: dict[tuple[int, str], list[Sequence[Any]]] = {}
    for number, frame in enumerate(trace.frames):
        key = frame.session, frame.channel
        if frame.kind is Kind.SESSION:
            payload = frame.payload
            sources[frame.session] = str(payload.get("source") or ""), str(payload.get("adapter") or "")
        elif frame.kind is Kind.SEND and key in chunks:
            chunks[key].append(as_list(frame.payload.get("data")))
        elif frame.kind is Kind.CALL:
            chunks[key] = []
            calls.append(
                _recorded_call(
                    len(calls) + 1, number, frame, known.outcomes.get(key, Outcome(Ending.UNFINISHED)),
                    ends.get(key), sources.get(frame.session, ("", "")), chunks[key],
                )
            )  # fmt: skip
    return calls


def _recorded_call(
    number: int,
    start: int,
    frame: Frame,
    outcome: Outcome,
    end: int | None,
    opened: tuple[str, str],
    chunks: Sequence[Sequence[Any]],
) -> RecordedCall:
    payload = frame.payload
    name, fn_index = payload.get("endpoint"), payload.get("fn_index")
    return RecordedCall(
        number=number,
        session=frame.session,
        key=frame.channel,
        name=name if isinstance(name, str) and name else None,
        fn_index=fn_index if isinstance(fn_index, int) else None,
        data=as_list(payload.get("data")),
        outcome=outcome,
        start=start,
        end=end if outcome.ending is not Ending.UNFINISHED else None,
        source=opened[0],
        adapter=opened[1],
        event_data=payload.get("event_data"),
        attached=payload.get("event_id") is not None,
        chunks=chunks,
    )
