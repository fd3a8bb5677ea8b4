# SPDX-License-Identifier: Apache-2.0
"""The data of a trace's page, as JSON: an index of rows, and blocks with the content of frames.

The script of the page reads no other data, and `VERSION` changes with its form. The index has what the list
and the overview need, in columns, because a large trace has 100,000 rows. Contents are compressed in blocks,
and the page decodes a block when one of its frames is selected.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

import attrs

from ...events import UNKNOWN_OUTPUT
from ...protocol.frames import Direction, Frame, Kind
from ..reader import Trace
from ..timeline.model import url_target
from ..timeline.reading import CallTimeline, Silence, Step, StepKind, Timeline

VERSION: Final = 1

_BLOCK_CHARACTERS: Final = 256 * 1024
"""Size of a block before compression. A selected frame costs a block to decode: some milliseconds."""

_BODY_CHARACTERS: Final = 2048
"""Texts from this size on are stored apart, each once: a config is in a trace for each discovery."""

_PREVIEW: Final = 120
"""Characters of a row's text."""

_LONGEST_NAME: Final = 400
_LONGEST_MESSAGE: Final = 10_000
"""Characters of what the index has of a hostile server. The frames have all of it."""

_DECODED: Final = 100_000
"""Characters of a message that is decoded for its row; of a larger one the row shows the beginning."""

_KINDS: Final = [*StepKind, "silence"]
_DIRECTIONS: Final = list(Direction)
_FLAGS: Final = {"failed": 1, "edited": 2, "shared": 4, "retried": 8}

_OTHER_TITLES: Final = {"upload": "Uploads", "file": "Downloads", "heartbeat": "Heartbeat", "login": "Login"}

_BODY: Final[Mapping[Kind, str]] = {
    Kind.REQUEST: "body",
    Kind.RESPONSE: "body",
    Kind.CHUNK: "data",
    Kind.WS_TEXT: "text",
}
"""The payload field with a frame's content."""

_MESSAGE: Final = re.compile(r'"msg"\s*:\s*"([^"\\]{1,60})"')
"""The name of a message, at its beginning."""

_ENVELOPE: Final = frozenset({"msg", "event_id"})

_NAMED: Final = 200
"""Characters in which the name of a message is looked for."""

# Made once: `json.dumps` with options makes an encoder for each call.
_compact: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_written: Final = json.JSONEncoder(ensure_ascii=False, default=str).encode


class Blocks:
    """Records of JSON in compressed blocks.

    Attributes:
        starts: Number of the first record of each block.
        encoded: The blocks: base64 of zlib data, whose alphabet needs no escapes in HTML.
        count: How many records were added.
    """

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.encoded: list[str] = []
        self.count = 0
        self._waiting: list[str] = []
        self._size = 0

    def add(self, record: object) -> int:
        """Add a record, and return its number."""
        text = _compact(record)
        if not self._waiting:
            self.starts.append(self.count)
        self._waiting.append(text)
        self._size += len(text)
        self.count += 1
        if self._size >= _BLOCK_CHARACTERS:
            self.flush()
        return self.count - 1

    def flush(self) -> None:
        """End the block."""
        if self._waiting:
            self.encoded.append(encode_block(f"[{','.join(self._waiting)}]"))
            self._waiting = []
            self._size = 0


def encode_block(text: str) -> str:
    """Return the text of a block. JSON without letters beyond ASCII, so that halves of surrogates stay."""
    return base64.b64encode(zlib.compress(text.encode("ascii"), 4)).decode("ascii")


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
        self._bodies = Blocks()
        self._body_numbers: dict[str, int] = {}
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
        frames, columns = self._frames()
        index = {
            "version": VERSION,
            "trace": {
                "file": name,
                "gradio": _text(trace.meta.get("gradio"))[:_LONGEST_NAME],
                "adapters": [name[:_LONGEST_NAME] for name in line.adapters],
                "source": next((session.source for session in line.sessions if session.source), ""),
                "recorder": " ".join(_text(trace.meta.get(key)) for key in ("recorder", "library")).strip(),
                "calls": len(line.calls),
                "sessions": len(line.sessions),
                "frames": len(trace.frames),
                "start": _time(line.start),
                "end": _time(line.end),
                "truncated": trace.truncated,
                "meta": _json(trace.meta),
            },
            "groups": self._groups,
            "rows": self._rows.values,
            "frames": columns.values,
            "checked": checked,
            "findings": [self._finding(one) for one in remarks],
            "strings": list(self._strings),
        }
        self._bodies.flush()
        index["blocks"] = {"frames": frames.starts, "bodies": self._bodies.starts}
        return Document(_compact(index), frames, self._bodies)

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
            "call", f"Call {call.number} {call.display_name}", call.steps, f"({_brief_list(call.arguments)})",
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
        return None if listed or call.data is None else self._stored(_json(call.data))

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
            "kind": kind, "title": title[:_LONGEST_NAME], "text": _cut(text), "first": first, "count": count,
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
            name=self._string(_row_name(step)),
            channel=self._string(step.channel),
            text=_row_text(step),
            status=step.status,
            size=stream.size if stream is not None else size,
            gap=_time(step.gap),
            frame=step.frame,
            reply=step.reply_frame,
            last=None if stream is None else stream.end_frame,
            message=self._own_message(step),
            values=int(step.data is not None or step.edited or not step.kept),
            flags=sum(_FLAGS[name] for name, is_set in flags.items() if is_set),
        )

    def _own_message(self, step: Step) -> int | None:
        """Return the number of the text of a message that its frame alone does not give, or None."""
        if step.kind not in (StepKind.EVENT, StepKind.SENT):
            return None
        text = _decode(step.text) if isinstance(step.text, bytes) else step.text
        if text is None:
            text = _json(step.given)
        frame = self._trace.frames[step.frame]
        content = frame.payload.get(_BODY.get(frame.kind, ""))
        if frame.kind is Kind.CHUNK:
            same = _is_one_event(cast("bytes", content), text)
        else:
            same = content == text or (isinstance(content, bytes) and _decode(content) == text)
        return None if same else self._body(text)

    # --- frames ----------------------------------------------------------------------------------------

    def _frames(self) -> tuple[Blocks, _Columns]:
        blocks = Blocks()
        columns = _Columns("t", "kind", "direction", "channel", "session", "text", "status", "size", "group")
        for number, frame in enumerate(self._trace.frames):
            record, size = self._record(frame)
            blocks.add(record)
            status = frame.payload.get("status")
            columns.add(
                t=_time(frame.t),
                kind=self._string(frame.kind.value),
                direction=_DIRECTIONS.index(frame.direction),
                channel=self._string(frame.channel),
                session=frame.session,
                text=_frame_text(frame),
                status=status if isinstance(status, int) else None,
                size=size,
                group=self._group_of_frame.get(number),
            )
        blocks.flush()
        return blocks, columns

    def _record(self, frame: Frame) -> tuple[dict[str, Any], int | None]:
        """Return the content of a frame, and the size of its body."""
        record: dict[str, Any] = {"kind": frame.kind.value}
        size: int | None = None
        body = _BODY.get(frame.kind)
        fields: dict[str, str] = {}
        texts: dict[str, str] = {}
        for name, value in frame.payload.items():
            if name == body:
                size = self._add_body(record, value)
            elif name == "headers" and isinstance(value, Mapping):
                headers = cast("Mapping[object, object]", value)
                record["headers"] = {str(header): _text(one) for header, one in headers.items()}
            elif value is None or (
                isinstance(value, str | int | float) and len(_text(value)) < _BODY_CHARACTERS
            ):
                fields[name] = "" if value is None else _text(value)
            else:
                texts[name] = _json(value)
        record |= {"fields": fields} if fields else {}
        record |= {"json": {name: self._stored(text) for name, text in texts.items()}} if texts else {}
        return record, size

    def _add_body(self, record: dict[str, Any], value: object) -> int | None:
        if isinstance(value, str):
            record["body"] = self._stored(value)
            return len(value.encode("utf-8", "surrogatepass"))
        if not isinstance(value, bytes):
            return None
        try:
            record["body"] = self._stored(value.decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            record["base64"] = self._stored(base64.b64encode(value).decode("ascii"))
        return len(value)

    def _stored(self, text: str) -> str | int:
        return text if len(text) < _BODY_CHARACTERS else self._body(text)

    def _body(self, text: str) -> int:
        number = self._body_numbers.get(text)
        if number is None:
            number = self._body_numbers[text] = self._bodies.add(text)
        return number

    # --- findings --------------------------------------------------------------------------------------

    def _finding(self, remark: Remark) -> list[Any]:
        group = self._group_of_call.get((remark.session, remark.key)) if remark.key else None
        where, what = remark.where[:_LONGEST_NAME], remark.what[:_LONGEST_MESSAGE]
        return [remark.severity, where, what, remark.hint[:_LONGEST_MESSAGE], group, list(remark.frames)]

    def _string(self, text: str) -> int:
        return self._strings.setdefault(text[:_LONGEST_NAME], len(self._strings))


# --- texts of rows -------------------------------------------------------------------------------------


def _is_edited(step: Step) -> bool:
    """Return whether a message carries edits, also of values that the trace does not have."""
    return step.edited or any(value is UNKNOWN_OUTPUT for value in step.data or ())


def _row_name(step: Step) -> str:
    if step.kind is StepKind.REQUEST:
        return f"{step.name} {step.target}"
    if step.kind is StepKind.END:
        return f"end {step.name}"
    return step.name


def _row_text(step: Step) -> str:
    if step.error or (step.kind is StepKind.EVENT and step.message):
        return _cut(": ".join(part for part in (step.error, step.message) if part))
    match step.kind:
        case StepKind.REQUEST:
            names = ", ".join(f"{one.get('name')} ({one.get('size')} B)" for one in step.files)
            return names or _cut_body(step.text)
        case StepKind.EVENT:
            return _cut(_event_text(step))
        case StepKind.END:
            stream = step.stream
            parts = [] if stream is None else [_text(stream.code or ""), stream.reason]
            if stream is not None and stream.cut:
                parts.append(f"in the middle of an event, after {stream.cut} bytes of it")
            return _cut(" ".join(part for part in parts if part))
        case StepKind.LOCAL if step.text is None:
            return "" if step.given is None else _brief(step.given)
        case _:
            return _cut_body(step.text)


def _event_text(step: Step) -> str:
    """Return what a person wants to know of a message."""
    if step.text is None or len(step.text) > _DECODED:
        return _cut_body(step.text)
    value = step.value
    if not isinstance(value, dict):
        return _brief(value)
    message = cast("dict[str, Any]", value)
    if message.get("msg") == "estimation" and isinstance(message.get("rank"), int):
        return f"place {message['rank'] + 1} of {message.get('queue_size')}"
    if message.get("msg") == "log":
        return f"{message.get('level')}: {_text(message.get('log'))}"
    output = message.get("output")
    if isinstance(output, dict):
        return _output_text(cast("dict[str, Any]", output))
    rest = {key: value for key, value in message.items() if key not in _ENVELOPE and value is not None}
    return _brief(rest) if rest else ""


def _output_text(output: Mapping[str, Any]) -> str:
    data = output.get("data")
    return _brief(output) if data is None else _brief_list(data)


def _frame_text(frame: Frame) -> str:
    payload = frame.payload
    match frame.kind:
        case Kind.REQUEST | Kind.WS_OPEN:
            return _cut(f"{payload.get('method', '')} {url_target(str(payload.get('url', '')))}".strip())
        case Kind.RESPONSE | Kind.RESPONSE_HEAD:
            return _cut(url_target(str(payload.get("url", ""))))
        case Kind.CHUNK | Kind.WS_TEXT:
            body = payload[_BODY[frame.kind]][:_NAMED]
            text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
            named = _MESSAGE.search(text)
            return named[1] if named else _cut(text[:80])
        case Kind.END | Kind.WS_CLOSE:
            return _joined(payload, "ending", "code", "reason")
        case Kind.ERROR:
            return _joined(payload, "error", "message")
        case _:
            return _joined(payload, "adapter", "endpoint", "data", "error", "message")


def _joined(payload: Mapping[str, Any], *names: str) -> str:
    values = [payload[name] for name in names if payload.get(name) not in (None, "")]
    return _cut(" ".join(value if isinstance(value, str) else _brief(value) for value in values))


def _brief_list(value: object) -> str:
    """Return output values or arguments, without the brackets of their list."""
    text = _brief(value)
    return text[1:-1] if isinstance(value, list) and text.endswith("]") else text


def _brief(value: object) -> str:
    """Return the beginning of a value as JSON. Reads no more of it than is shown."""
    text = ""
    for part in _pieces(value, 6):
        text += part
        if len(text) > _PREVIEW:
            break
    return _cut(text)


def _pieces(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield _written(value[:_PREVIEW])
    elif isinstance(value, bytes):
        yield f"{len(value)} bytes"
    elif isinstance(value, dict | list | tuple) and depth == 0:
        yield "…"
    elif isinstance(value, dict):
        yield "{"
        for place, (key, one) in enumerate(cast("dict[Any, Any]", value).items()):
            yield f"{', ' if place else ''}{_written(str(key)[:_PREVIEW])}: "
            yield from _pieces(one, depth - 1)
        yield "}"
    elif isinstance(value, list | tuple):
        yield "["
        for place, one in enumerate(cast("Sequence[Any]", value)):
            yield ", " if place else ""
            yield from _pieces(one, depth - 1)
        yield "]"
    else:
        yield _written(value)


def _cut_body(body: object) -> str:
    """Return the beginning of a body on one line."""
    if isinstance(body, bytes):
        body = body[: 4 * _PREVIEW].decode("utf-8", "replace")
    return _cut(body) if isinstance(body, str) else ""


def _cut(text: str) -> str:
    line = " ".join(text[: 4 * _PREVIEW].split())
    return line if len(line) <= _PREVIEW and len(text) <= 4 * _PREVIEW else f"{line[:_PREVIEW]}…"


def _is_one_event(data: bytes, text: str) -> bool:
    """Return whether a chunk is one event with this data and nothing else."""
    if b"\r" in data or not data.endswith(b"\n\n") or data.count(b"\n\n") != 1 or data.startswith(b"\n"):
        return False
    lines = (line for line in data.split(b"\n") if line.startswith(b"data:"))
    own = b"\n".join(line[5:].removeprefix(b" ") for line in lines)
    return own == text.encode("utf-8", "surrogatepass") and _is_text(data)


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def _decode(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _json(value: object) -> str:
    """Return JSON as it was: NaN of Gradio 3.x stays NaN."""
    return _written(value)


def _text(value: object) -> str:
    return value if isinstance(value, str) else _json(value) if value is not None else ""


def _time(t: float) -> float:
    return round(t, 6)


def texts(document: Document) -> Iterable[tuple[str, str]]:
    """Yield the identifier and the text of each block of the page."""
    yield "index", encode_block(document.index)
    for name, blocks in (("frames", document.frames), ("bodies", document.bodies)):
        for number, text in enumerate(blocks.encoded):
            yield f"{name}-{number}", text


__all__ = ["VERSION", "Blocks", "Document", "Remark", "encode_block", "make_document", "texts"]
