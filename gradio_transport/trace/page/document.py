# SPDX-License-Identifier: Apache-2.0
"""The data of a trace's page, as JSON: an index of rows, and blocks with the content of frames.

The script of the page reads no other data, and `VERSION` changes with its form. The index has what the list
and the overview need, in columns, because a large trace has 100,000 rows. Contents are compressed in blocks,
and the page decodes a block when one of its frames is selected.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from ...events import UNKNOWN_OUTPUT
from ...protocol.frames import Direction
from ..reader import Trace
from ..timeline.reading import CallTimeline, Silence, Step, StepKind, Timeline
from .blocks import Blocks, compact_json, encode_block
from .contents import Contents
from .row_text import frame_text, row_name, row_text
from .text import brief_list, cut, json_text, plain_text

VERSION: Final = 1

_LONGEST_NAME: Final = 400
_LONGEST_MESSAGE: Final = 10_000
"""Characters of what the index has of a hostile server. The frames have all of it."""

_KINDS: Final = [*StepKind, "silence"]
_DIRECTIONS: Final = list(Direction)
_FLAGS: Final = {"failed": 1, "edited": 2, "shared": 4, "retried": 8}

_OTHER_TITLES: Final = {"upload": "Uploads", "file": "Downloads", "heartbeat": "Heartbeat", "login": "Login"}


@attrs.define
class Document:
    """All that a page holds.

    Attributes:
        index: The text of the index.
        frames: The content of each frame.
        bodies: Large texts, to which frames refer by number.
    """

    index: str
    frames: Blocks
    bodies: Blocks


@attrs.frozen
class Remark:
    """A diagnosis or a finding of the check, and where it belongs.

    Attributes:
        severity: ``"diagnosis"``, ``"error"``, ``"warning"`` or ``"note"``.
        where: The place, as a text.
        what: The text.
        hint: What to do about it.
        session: The session of the call that it is about.
        key: The key of that call; an empty string if it is about none.
        frames: The numbers of the frames that it is about.
    """

    severity: str
    where: str
    what: str
    hint: str = ""
    session: int = 0
    key: str = ""
    frames: Sequence[int] = ()


def make_document(
    trace: Trace, line: Timeline, name: str, remarks: Sequence[Remark], *, checked: bool = True
) -> Document:
    """Return the data of a page.

    Args:
        trace: The trace.
        line: Its calls in time.
        name: Its name, to show.
        remarks: Its diagnoses, and the findings of its check.
        checked: Whether it was checked.
    """
    return _Maker(trace, line).make(name, remarks, checked)


class _Columns:
    """A table in columns."""

    def __init__(self, *names: str) -> None:
        self.values: dict[str, list[Any]] = {name: [] for name in names}

    def add(self, **values: Any) -> None:
        for name, column in self.values.items():
            column.append(values[name])


class _Maker:
    def __init__(self, trace: Trace, line: Timeline) -> None:
        self._trace = trace
        self._line = line
        self._strings: dict[str, int] = {}
        self._contents = Contents()
        self._groups: list[dict[str, Any]] = []
        self._group_of_frame: dict[int, int] = {}
        self._group_of_call: dict[tuple[int, str], int] = {}
        self._rows = _Columns(
            "group", "kind", "direction", "t", "end", "took", "name", "channel", "text", "status", "size",
            "gap", "frame", "reply", "last", "message", "values", "flags",
        )  # fmt: skip

    def make(self, name: str, remarks: Sequence[Remark], checked: bool) -> Document:
        trace, line = self._trace, self._line
        self._add_groups()
        columns = self._add_frames()
        index = {
            "version": VERSION,
            "trace": {
                "file": name,
                "gradio": plain_text(trace.meta.get("gradio"))[:_LONGEST_NAME],
                "adapters": [name[:_LONGEST_NAME] for name in line.adapters],
                "source": next((session.source for session in line.sessions if session.source), ""),
                "recorder": " ".join(
                    plain_text(trace.meta.get(key)) for key in ("recorder", "library")
                ).strip(),
                "calls": len(line.calls),
                "sessions": len(line.sessions),
                "frames": len(trace.frames),
                "start": _time(line.start),
                "end": _time(line.end),
                "truncated": trace.truncated,
                "meta": json_text(trace.meta),
            },
            "groups": self._groups,
            "rows": self._rows.values,
            "frames": columns.values,
            "checked": checked,
            "findings": [self._finding(one) for one in remarks],
            "strings": list(self._strings),
        }
        frames, bodies = self._contents.finish()
        index["blocks"] = {"frames": frames.starts, "bodies": bodies.starts}
        return Document(compact_json(index), frames, bodies)

    # --- groups and their rows -------------------------------------------------------------------------

    def _add_groups(self) -> None:
        line = self._line
        self._add_group("discovery", "Discovery", line.discovery)
        calls: defaultdict[int, list[CallTimeline]] = defaultdict(list)
        for call in line.calls:
            calls[call.session].append(call)
        for session in line.sessions:
            text = " ".join(part for part in (session.adapter, session.source) if part)
            frame = session.frame
            self._add_group(
                "session",
                f"Session {session.number}",
                session.steps,
                text,
                session=session.number,
                frame=frame,
            )
            for call in calls.pop(session.number, ()):
                self._add_call(call)
        for rest in calls.values():  # of sessions whose beginning is not in the trace
            for call in rest:
                self._add_call(call)
        others: defaultdict[str, list[Step]] = defaultdict(list)
        for step in line.others:
            others[step.channel].append(step)
        for channel, steps in others.items():
            self._add_group("other", _OTHER_TITLES.get(channel, channel or "Other traffic"), steps)

    def _add_call(self, call: CallTimeline) -> None:
        silences = list(call.silences())
        number = self._add_group(
            "call", f"Call {call.number} {call.display_name}", call.steps, f"({brief_list(call.arguments)})",
            number=call.number,
            session=call.session,
            adapter=call.adapter[:_LONGEST_NAME],
            outcome=call.outcome.value,
            error=call.error[:_LONGEST_NAME],
            message=call.message[:_LONGEST_MESSAGE],
            event_id=(call.event_id or "")[:_LONGEST_NAME],
            frame=call.frame,
            start=_time(call.start),
            end=_time(call.end),
            values=self._last_values(call),
            phases=[[span.name, _time(span.start), _time(span.end)] for span in call.phases],
            silences=[[_time(one.start), _time(one.seconds), one.heartbeats] for one in silences],
            quiet={one.before: one for one in silences},
        )  # fmt: skip
        self._group_of_call[call.session, call.key] = number

    def _last_values(self, call: CallTimeline) -> str | int | None:
        """Return the last output values of a call whose messages do not have them as a list, as JSON."""
        listed = any(step.data is not None or not step.kept for step in call.steps)
        return None if listed or call.data is None else self._contents.stored(json_text(call.data))

    def _add_group(
        self,
        kind: str,
        title: str,
        steps: Sequence[Step],
        text: str = "",
        quiet: Mapping[int, Silence] | None = None,
        **fields: Any,
    ) -> int:
        number = len(self._groups)
        first = len(self._rows.values["t"])
        for place, step in enumerate(steps):
            if quiet and place in quiet:
                self._add_silence(number, quiet[place])
            self._add_row(number, step)
        if quiet and len(steps) in quiet:
            self._add_silence(number, quiet[len(steps)])
        count = len(self._rows.values["t"]) - first
        if not count and kind != "call":
            return number
        times = self._rows.values["t"][first:], self._rows.values["end"][first:]
        group: dict[str, Any] = {
            "kind": kind, "title": title[:_LONGEST_NAME], "text": cut(text), "first": first, "count": count,
            "number": None, "session": 0, "adapter": "", "outcome": "", "error": "", "message": "",
            "event_id": "", "values": None, "frame": None, "phases": [], "silences": [],
            "start": min(times[0], default=0.0), "end": max(times[1], default=0.0),
        }  # fmt: skip
        self._groups.append(group | fields)
        return number

    def _add_silence(self, group: int, silence: Silence) -> None:
        beats = silence.heartbeats
        self._rows.add(
            group=group,
            kind=_KINDS.index("silence"),
            direction=_DIRECTIONS.index(Direction.LOCAL),
            t=_time(silence.start),
            end=_time(silence.start + silence.seconds),
            took=_time(silence.seconds),
            name=self._string(f"nothing for {silence.seconds:.2f} s"),
            channel=self._string(""),
            text=f"only {beats} heartbeat{'s' if beats > 1 else ''}" if beats else "not even a heartbeat",
            status=None, size=None, gap=None, frame=None, reply=None, last=None, message=None, values=0,
            flags=0,
        )  # fmt: skip

    def _add_row(self, group: int, step: Step) -> None:
        stream = step.stream if step.kind is StepKind.REQUEST else None
        end = step.end
        if stream is not None:
            end = max(end, self._line.end if stream.end is None else stream.end)
        flags = {
            "failed": step.failed or bool(step.message and step.kind is StepKind.EVENT),
            "edited": _is_edited(step),
            "shared": step.shared,
            "retried": step.retried,
        }
        if not step.shared:  # a shared stream is in every call of its session, and belongs to none of them
            for frame in step.frames:
                self._group_of_frame.setdefault(frame, group)
        size = step.reply_size if step.kind is StepKind.REQUEST else step.size
        self._rows.add(
            group=group,
            kind=_KINDS.index(step.kind),
            direction=_DIRECTIONS.index(step.direction),
            t=_time(step.t),
            end=_time(end),
            took=None if step.seconds is None else _time(step.seconds),
            name=self._string(row_name(step)),
            channel=self._string(step.channel),
            text=row_text(step),
            status=step.status,
            size=stream.size if stream is not None else size,
            gap=_time(step.gap),
            frame=step.frame,
            reply=step.reply_frame,
            last=None if stream is None else stream.end_frame,
            message=self._contents.own_message(self._trace.frames[step.frame], step),
            values=int(step.data is not None or step.edited or not step.kept),
            flags=sum(_FLAGS[name] for name, is_set in flags.items() if is_set),
        )

    # --- frames ----------------------------------------------------------------------------------------

    def _add_frames(self) -> _Columns:
        columns = _Columns("t", "kind", "direction", "channel", "session", "text", "status", "size", "group")
        for number, frame in enumerate(self._trace.frames):
            status = frame.payload.get("status")
            columns.add(
                t=_time(frame.t),
                kind=self._string(frame.kind.value),
                direction=_DIRECTIONS.index(frame.direction),
                channel=self._string(frame.channel),
                session=frame.session,
                text=frame_text(frame),
                status=status if isinstance(status, int) else None,
                size=self._contents.add(frame),
                group=self._group_of_frame.get(number),
            )
        return columns

    # --- findings --------------------------------------------------------------------------------------

    def _finding(self, remark: Remark) -> list[Any]:
        group = self._group_of_call.get((remark.session, remark.key)) if remark.key else None
        where, what = remark.where[:_LONGEST_NAME], remark.what[:_LONGEST_MESSAGE]
        return [remark.severity, where, what, remark.hint[:_LONGEST_MESSAGE], group, list(remark.frames)]

    def _string(self, text: str) -> int:
        return self._strings.setdefault(text[:_LONGEST_NAME], len(self._strings))


def _is_edited(step: Step) -> bool:
    """Return whether a message carries edits, also of values that the trace does not have."""
    return step.edited or any(value is UNKNOWN_OUTPUT for value in step.data or ())


def _time(t: float) -> float:
    return round(t, 6)


def texts(document: Document) -> Iterable[tuple[str, str]]:
    """Yield the identifier and the text of each block of the page."""
    yield "index", encode_block(document.index)
    for name, blocks in (("frames", document.frames), ("bodies", document.bodies)):
        for number, text in enumerate(blocks.encoded):
            yield f"{name}-{number}", text


__all__ = ["VERSION", "Document", "Remark", "make_document", "texts"]
