# SPDX-License-Identifier: Apache-2.0
"""Replacement of arguments and outputs in frames by placeholders of the same type and length.

A replay gets the recorded replies and makes its requests from the recorded arguments. So the same value
becomes the same placeholder everywhere, and the parts that Gradio itself reads are kept: the marks of files
and updates, and the operations and paths of edits. The placeholder of a concatenation is the concatenation of
the placeholders, so that edits still fit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

import attrs

from ..protocol.frames import Direction, Frame, Kind
from ..protocol.known_secrets import REDACTED
from .replay.discoveries import DISCOVERY_CHANNELS

_CHARACTER = "x"

_KEPT: Mapping[str, frozenset[str]] = {
    "_type": frozenset({"gradio.FileData"}),
    "__type__": frozenset({"update", "generic_update"}),
    "role": frozenset({"user", "assistant", "system", "tool"}),
    "type": frozenset({"text", "file", "component"}),
}
"""Members of values that Gradio reads."""

_OPERATIONS = frozenset({"replace", "append", "add", "delete"})
"""Of edits (docs/wire.md §5.5)."""

_VALUES = frozenset({"data", "event_data"})
"""Keys of requests, messages and replies that hold values of the app and its callers."""

_DEPTH = 200

_SHORTEST_ECHO = 3
"""Characters from which on a chosen argument is looked for in outputs."""

_MOST_TEXTS = 200
"""Texts of chosen arguments that are looked for in outputs."""

_FILE = re.compile(r"(?<=/file=).*|(?<=/stream/).*", re.DOTALL)

_LINE = re.compile(rb"\r\n|\n|\r")


@attrs.define
class Counts:
    """The number of replaced values."""

    values: int = 0
    files: int = 0


class Placeholders:
    """A rewriter of the frames of one trace, in order.

    Args:
        chosen: Of each endpoint number, the places of the arguments that are replaced, and their names; None
            replaces all arguments, and outputs too.

    Attributes:
        texts: The texts of chosen arguments. In outputs they are replaced too, but not where edits cut them.
    """

    def __init__(self, chosen: Mapping[int, Mapping[int, str]] | None) -> None:
        self._chosen = chosen
        self.counts = Counts()
        self.texts: dict[str, None] = {}
        self._places: dict[tuple[int, str], Mapping[int, str]] = {}
        self._adapters: dict[int, str] = {}
        self._streams: dict[tuple[int, str], _Events] = {}

    def frame(self, frame: Frame) -> Frame:
        """Return a frame with placeholders; of a stream what is complete."""
        payload = dict(frame.payload)
        place = frame.session, frame.channel.partition(".")[0]
        match frame.kind:
            case Kind.SESSION:
                self._adapters[frame.session] = str(payload["adapter"])
            case Kind.CALL:
                self._note_call(place, payload)
                payload["data"] = self._arguments(place, payload["data"])
                if self._chosen is None and "event_data" in payload:
                    payload["event_data"] = self._value(payload["event_data"])
            case Kind.SEND:
                payload["data"] = self._arguments(place, payload["data"])
            case Kind.REQUEST:
                self._request(frame, place, payload)
            case Kind.WS_TEXT if frame.direction is Direction.OUT:
                payload["text"] = self._json_text(payload["text"], lambda value: self._sent(place, value))
            case _ if frame.session or self._chosen is None:
                self._received(frame, payload)
            case _:
                pass
        return attrs.evolve(frame, payload=payload)

    def rest(self, frame: Frame) -> bytes:
        """Return what is left of a stream that ends with a frame: the beginning of an event."""
        events = self._streams.pop((frame.session, frame.channel), None)
        return b"" if events is None else events.rest()

    # --- what is sent --------------------------------------------------------------------------------

    def _note_call(self, place: tuple[int, str], payload: Mapping[str, Any]) -> None:
        number = payload.get("fn_index")
        if self._chosen is not None and isinstance(number, int):
            self._places[place] = self._chosen.get(number, {})

    def _arguments(self, place: tuple[int, str], data: Any) -> Any:
        if self._chosen is None:
            return self._value(data)
        if not isinstance(data, list):
            return data
        chosen = self._places.get(place, {})
        return [
            self._value(value, remember=True) if number in chosen else value
            for number, value in enumerate(cast("list[Any]", data))
        ]

    def _sent(self, place: tuple[int, str], value: Any) -> Any:
        """Return the body of a request, which has the arguments by their place, or by their name."""
        if not isinstance(value, dict):
            return value
        body = dict(cast("dict[str, Any]", value))
        adapter = self._adapters.get(place[0], "")
        if adapter == "call_v2" and "data" not in body:
            names = set(self._places.get(place, {}).values())
            return {
                name: self._value(one)
                if name != "session_hash" and (self._chosen is None or name in names)
                else one
                for name, one in body.items()
            }
        if "data" in body:
            body["data"] = self._arguments(place, body["data"])
        if self._chosen is None:
            if "event_data" in body:
                body["event_data"] = self._value(body["event_data"])
            if adapter == "openai_chat" and "messages" in body:
                body["messages"] = self._value(body["messages"])
        return body

    def _request(self, frame: Frame, place: tuple[int, str], payload: dict[str, Any]) -> None:
        if frame.session:
            payload["body"] = self._json(payload.get("body"), lambda value: self._sent(place, value))
        elif self._chosen is None and frame.channel not in DISCOVERY_CHANNELS:
            payload["url"] = _FILE.sub(lambda found: _CHARACTER * len(found[0]), str(payload["url"]))
            payload["body"] = self._json(payload.get("body"), self._values_of)
            if isinstance(payload.get("files"), list):
                payload["files"] = [self._value(one) for one in payload["files"]]
                self.counts.files += len(payload["files"])

    # --- what is received ----------------------------------------------------------------------------

    def _received(self, frame: Frame, payload: dict[str, Any]) -> None:
        match frame.kind:
            case Kind.WS_TEXT:
                payload["text"] = self._json_text(payload["text"], self._values_of)
            case Kind.RESPONSE if frame.session:
                payload["body"] = self._json(payload.get("body"), self._values_of)
            case Kind.RESPONSE if frame.channel not in DISCOVERY_CHANNELS:
                payload["body"] = self._json(payload.get("body"), self._output)
            case Kind.RESPONSE_HEAD if not frame.session:
                payload["url"] = _FILE.sub(
                    lambda found: _CHARACTER * len(found[0]), str(payload.get("url", ""))
                )
                payload["headers"] = {
                    name: REDACTED if name.lower() == "content-disposition" else value
                    for name, value in payload.get("headers", {}).items()
                }
            case Kind.CHUNK if frame.session:
                events = self._streams.setdefault(
                    (frame.session, frame.channel), _Events(self._values_of, self._output)
                )
                payload["data"] = events.feed(payload["data"])
            case Kind.CHUNK if frame.channel != "heartbeat":
                self.counts.files += 1
                payload["data"] = _CHARACTER.encode() * len(payload["data"])
            case _:
                pass

    def _values_of(self, value: Any) -> Any:
        """Return a message or reply with placeholders for the values in it."""
        if isinstance(value, list):  # an event of /call: the values alone
            return self._output(cast("list[Any]", value))
        if not isinstance(value, dict):
            return value
        message = dict(cast("dict[str, Any]", value))
        for key in _VALUES & message.keys():
            if not _is_status(message, key):
                message[key] = self._output(message[key])
        output = message.get("output")
        if isinstance(output, dict):
            message["output"] = self._values_of(cast("dict[str, Any]", output))
        if isinstance(message.get("choices"), list):
            message["choices"] = [self._choice(one) for one in cast("list[Any]", message["choices"])]
        drawn = message.get("render_config")
        if isinstance(drawn, dict):
            message["render_config"] = self._drawn(cast("dict[str, Any]", drawn))
        return message

    def _choice(self, choice: Any) -> Any:
        """Return a choice of a chat completion, whose text is in a separate object."""
        if not isinstance(choice, dict):
            return choice
        return {
            key: self._output(value) if key in ("delta", "message") else value
            for key, value in cast("dict[str, Any]", choice).items()
        }

    def _drawn(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return what gr.render drew, with placeholders for the values of its components."""
        components: Any = config.get("components")
        shown: list[Any] = []
        for one in cast("list[Any]", components) if isinstance(components, list) else []:
            component: Any = one
            props = cast("dict[str, Any]", one).get("props") if isinstance(one, dict) else None
            if isinstance(props, dict) and "value" in props:
                members = cast("dict[str, Any]", props)
                component = {
                    **cast("dict[str, Any]", one),
                    "props": {**members, "value": self._output(members["value"])},
                }
            shown.append(component)
        return {**config, "components": shown} if shown else dict(config)

    def _output(self, value: Any) -> Any:
        """Return an output: a placeholder, or without the chosen arguments if it echoes them."""
        return self._value(value) if self._chosen is None else self._without_echo(value)

    def _without_echo(self, value: Any, depth: int = 0) -> Any:
        if depth > _DEPTH:
            return value
        if isinstance(value, str):
            for text in self.texts:
                if text in value:
                    value = value.replace(text, _CHARACTER * len(text))
            return value
        if isinstance(value, list):
            return [self._without_echo(item, depth + 1) for item in cast("list[Any]", value)]
        if isinstance(value, Mapping):
            return {
                key: item if _is_kept(key, item) else self._without_echo(item, depth + 1)
                for key, item in cast("Mapping[str, Any]", value).items()
            }
        return value

    # --- values --------------------------------------------------------------------------------------

    def _value(self, value: Any, depth: int = 0, *, remember: bool = False) -> Any:
        if depth > _DEPTH:
            return None
        if isinstance(value, str):
            self.counts.values += bool(value)
            if remember and len(value) >= _SHORTEST_ECHO and len(self.texts) < _MOST_TEXTS:
                self.texts[value] = None
            return _CHARACTER * len(value)
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int):
            self.counts.values += 1
            return int("9" * min(len(str(abs(value))), 18)) if abs(value) < 10**18 else 10**18 - 1
        if isinstance(value, float):
            self.counts.values += 1
            return 9.5
        if isinstance(value, list):
            items = cast("list[Any]", value)
            if _is_edit(items):
                return [items[0], items[1], self._value(items[2], depth + 1, remember=remember)]
            return [self._value(item, depth + 1, remember=remember) for item in items]
        if isinstance(value, Mapping):
            return {
                key: item if _is_kept(key, item) else self._value(item, depth + 1, remember=remember)
                for key, item in cast("Mapping[str, Any]", value).items()
            }
        return value

    def _json(self, body: bytes | None, change: Callable[[Any], Any]) -> bytes | None:
        """Return the JSON of a body with placeholders; a body that is no JSON as it is."""
        if not body:
            return body
        text = self._json_text(body.decode("utf-8", "surrogateescape"), change)
        try:
            return text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:  # half of a surrogate pair, which JSON can escape
            return text.encode("utf-8", "surrogatepass")

    @staticmethod
    def _json_text(text: str, change: Callable[[Any], Any]) -> str:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return _compact(change(value))


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _is_kept(key: str, value: Any) -> bool:
    return key in _KEPT and isinstance(value, str) and value in _KEPT[key]


def _is_edit(items: list[Any]) -> bool:
    """Return whether a list is an edit: operation, path and value."""
    if len(items) != 3 or not isinstance(items[1], list):
        return False
    return isinstance(items[0], str) and items[0] in _OPERATIONS


def _is_status(message: Mapping[str, Any], key: str) -> bool:
    """Return whether ``data`` is a place or an error instead of a value, in a reply of the polling queue."""
    return key == "data" and "status" in message and not isinstance(message[key], dict)


class _Events:
    """The events of one stream, rewritten when they are complete.

    Lines of data become one line, since an event is one JSON value. Other lines are kept.
    """

    def __init__(self, change: Callable[[Any], Any], hide: Callable[[Any], Any]) -> None:
        self._change = change
        self._hide = hide
        self._held: list[bytes] = []
        self._data: list[bytes] = []
        self._others: list[bytes] = []
        self._after_return = False

    def feed(self, data: bytes) -> bytes:
        """Process bytes, and return the complete events."""
        if self._after_return and data:
            data, self._after_return = data.removeprefix(b"\n"), False
        self._held.append(data)
        if b"\n" not in data and b"\r" not in data:
            return b""
        self._after_return = data.endswith(b"\r")  # what follows may be the other half of a line end
        lines = _LINE.split(b"".join(self._held))
        self._held = [lines.pop()]
        return b"".join(self._line(line) for line in lines)

    def _line(self, line: bytes) -> bytes:
        if line.startswith(b"data"):
            name, _, value = line.partition(b":")
            if name == b"data":
                self._data.append(value.removeprefix(b" "))
                return b""
        if line:
            self._others.append(line)
            return b""
        return self._event() + b"\n"

    def _event(self) -> bytes:
        data, others = self._data, self._others
        self._data, self._others = [], []
        shown = b"".join(line + b"\n" for line in others)
        if not data:
            return shown
        text = b"\n".join(data).decode("utf-8", "replace")
        try:
            changed = _compact(self._change(json.loads(text)))
        except (ValueError, RecursionError):
            changed = text if text.strip() in ("[DONE]", "ALIVE", "") else str(self._hide(text))
        return shown + b"data: " + changed.encode("utf-8", "surrogatepass") + b"\n"

    def rest(self) -> bytes:
        """Return an event that is not complete, with a placeholder for all of its data."""
        held = b"".join(self._held)
        shown = b"".join(line + b"\n" for line in self._others)
        size = sum(map(len, self._data)) + len(held)
        self._held, self._data, self._others = [], [], []
        if not size:
            return shown
        return shown + b"data: " + _CHARACTER.encode() * size


__all__ = ["Counts", "Placeholders"]
