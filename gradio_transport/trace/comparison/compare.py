# SPDX-License-Identifier: Apache-2.0
"""Comparison of two recordings of the same calls, grouped by layer.

Values that differ from run to run (times, ids, ports, heartbeats, the number of queue estimates) are made
equal first. The differences that remain are changes of the server or of this library. The same change in many
places is one difference with a count: a new prefix of all routes, a key of every message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, cast

from ...errors import list_texts, one_line
from ...protocol.frames import Kind
from ..conversation import Conversation
from ..reader import Trace
from ..timeline.reading import CallTimeline, Step
from .comparable import excerpt, key_order, value_changes
from .difference import Collector, Difference, Layer
from .endpoints import compare_endpoints
from .pairs import pairs
from .shapes import Shapes, compare_shapes, discovery_shapes
from .side import Item, Side

_COMPARED_OUTPUTS = 100
"""Outputs of a call that are compared, besides the last."""


def compare_traces(old: Trace, new: Trace) -> list[Difference]:
    """Return what changed in a newer trace of the same calls, by layer."""
    return _Comparison(Side(old), Side(new)).run()


def diff_traces(old: Trace, new: Trace) -> list[str]:
    """Return what changed in a newer trace of the same calls, one line for each change."""
    return [str(difference) for difference in compare_traces(old, new)]


class _Comparison:
    def __init__(self, old: Side, new: Side) -> None:
        self._old = old
        self._new = new
        self._found = Collector()
        self._messages: tuple[Shapes, Shapes] = (Shapes(), Shapes())

    def run(self) -> list[Difference]:
        self._compare_meta()
        if self._old.config is not None and self._new.config is not None:
            compare_endpoints(self._found, self._old.config, self._new.config)
        self._compare_prefixes()
        for left, right in pairs(self._old.conversations, self._new.conversations, _name):
            if left is None or right is None:
                one = left or right
                assert one is not None  # noqa: S101 - pairs have one side at least
                change = "is gone" if right is None else "is new"
                layer = Layer.REQUESTS
                self._found.add(layer, f"{one_line(one.title)} {change}")
                continue
            self._compare_conversation(left, right)
        compare_shapes(self._found, Layer.MESSAGES, *self._messages)
        return self._found.differences()

    # --- meta and config -----------------------------------------------------------------------------

    def _compare_meta(self) -> None:
        old, new = self._old.trace.meta, self._new.trace.meta
        for key in ("gradio", "adapter"):
            if old.get(key) != new.get(key):
                before, after = _shown_meta(old.get(key)), _shown_meta(new.get(key))
                self._found.add(Layer.META, f"{key} {before} became {after}")

    def _compare_prefixes(self) -> None:
        old, new = self._old, self._new
        if old.prefix == new.prefix or not old.base or not new.base:
            return
        count = sum(frame.kind in (Kind.REQUEST, Kind.WS_OPEN) for frame in new.trace.frames)
        before, after = (one_line(side.prefix) or "empty" for side in (old, new))
        requests = "1 request" if count == 1 else f"{count:,} requests"
        self._found.add(Layer.REQUESTS, f"the prefix of routes was {before}, is {after} ({requests})")

    # --- conversations -------------------------------------------------------------------------------

    def _compare_conversation(self, old: Conversation, new: Conversation) -> None:
        left, right = self._old.items(old), self._new.items(new)
        where = one_line(new.title) if new.session or new.key else ""
        self._compare_flow(left, right, where)
        for item, side in ((left, self._messages[0]), (right, self._messages[1])):
            side.add(one for one in item if one.message)
        with_values = bool(new.session)
        shapes = Shapes(), Shapes()
        for one, other in pairs(left, right, lambda item: item.what):
            if one is None or other is None:
                continue
            if one.status != other.status:
                self._found.add(
                    Layer.REQUESTS,
                    f"{one.what} was {one.status or 'none'}, is {other.status or 'none'}",
                    where,
                )
            if not one.message:
                shapes[0].add([one])
                shapes[1].add([other])
            if with_values:
                self._compare_values(one, other, where)
        if new.session == 0 and not new.key:
            shapes = tuple(discovery_shapes(one) for one in shapes)  # type: ignore[assignment]
        layer = Layer.REQUESTS if new.session or new.key else Layer.CONFIG
        compare_shapes(self._found, layer, *shapes)
        if with_values and new.key:
            self._compare_outcome(old, new, where)

    def _compare_flow(self, old: Sequence[Item], new: Sequence[Item], where: str) -> None:
        """Compare which requests and messages there are, and their order."""
        for is_message, layer in ((False, Layer.REQUESTS), (True, Layer.MESSAGES)):
            before = [item.what for item in old if item.message is is_message]
            after = [item.what for item in new if item.message is is_message]
            if before == after:
                continue
            counts, others = Counter(before), Counter(after)
            for change, names in (
                ("gone", {name: count for name, count in counts.items() if name not in others}),
                ("new", {name: count for name, count in others.items() if name not in counts}),
            ):
                requests = {name.partition("?")[0] for name in names}
                # What is there, or not, because its request is, need not be told.
                listed = [name for name in names if _of_request(name) not in requests]
                if listed:
                    self._found.add(layer, f"{change}: {list_texts(listed)}", where)
            for name, count in counts.items():
                if name in others and others[name] != count and _of_request(name) is None:
                    self._found.add(layer, f"{name}: there were {count:,}, are {others[name]:,}", where)
            if counts == others:
                what = "messages" if is_message else "requests and replies"
                self._found.add(layer, f"{what} are in another order", where)

    def _compare_values(self, old: Item, new: Item, where: str) -> None:
        """Compare the values of what is in both; keys that came or went are told by the shapes."""
        left, right = old.value, new.value
        if old.message or old.what.startswith("the reply to"):
            left, right = _without_output(left), _without_output(right)
        elif isinstance(left, dict) and isinstance(right, dict):
            # The call has the arguments too, and each app its numbers.
            left = _without(cast("dict[str, Any]", left), _OF_CALL)
            right = _without(cast("dict[str, Any]", right), _OF_CALL)
        what = "arguments" if old.what == "call" else old.what
        self._add_values(what, left, right, where, with_keys=False)
        if (
            isinstance(left, dict)
            and isinstance(right, dict)
            and not key_order(cast("dict[str, Any]", left), cast("dict[str, Any]", right))
        ):
            layer = Layer.MESSAGES if old.message else Layer.REQUESTS
            self._found.add(layer, f"{what}: the keys are in another order", where)

    def _add_values(self, what: str, old: Any, new: Any, where: str, *, with_keys: bool = True) -> None:
        for change in value_changes(old, new):
            subject = f"{what}: {one_line(change.path)}" if change.path else what
            if change.key is not None:
                if not with_keys:
                    continue
                self._found.add_key(Layer.VALUES, subject, change.is_new, change.key, 1)
            else:
                self._found.add_value(f"{subject} {change.text}", subject, where)

    def _compare_outcome(self, old: Conversation, new: Conversation, where: str) -> None:
        """Compare what the caller gets: outputs and errors, in whatever way they were encoded."""
        left, right = self._old.call(old), self._new.call(new)
        if left is None or right is None:
            return
        outputs = list(zip(_outputs(left), _outputs(right), strict=False))
        # A difference is reported once, so the rest of a long stream is not checked.
        for one, other in outputs[:_COMPARED_OUTPUTS] + outputs[max(_COMPARED_OUTPUTS, len(outputs) - 1) :]:
            if one.data != other.data:
                self._add_values(
                    "outputs", self._old.normalise(one.data), self._new.normalise(other.data), where
                )
        before, after = self._old.failure(left), self._new.failure(right)
        if before != after:
            was, now = ("no error" if one is None else excerpt(one) for one in (before, after))
            self._found.add(Layer.VALUES, f"it ended with {was}, ends with {now}", where)


def _outputs(call: CallTimeline) -> list[Step]:
    """Return the events with outputs that are known whole."""
    names = ("process_generating", "process_streaming", "process_completed")
    return [step for step in call.events if step.event in names and step.data is not None]


_OF_CALL = frozenset({"data", "fn_index"})
_OUTPUTS = frozenset({"data", "error", "render_config"})


def _without(value: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    return {key: one for key, one in value.items() if key not in keys}


def _without_output(value: Any) -> Any:
    """Return a message without its outputs, which are compared as the caller gets them."""
    if not isinstance(value, dict):
        return value
    message = _without(cast("dict[str, Any]", value), ("data",))
    if isinstance(message.get("output"), dict):
        message["output"] = _without(cast("dict[str, Any]", message["output"]), _OUTPUTS)
    return message


def _name(conversation: Conversation) -> Hashable:
    if conversation.session and conversation.key:
        return "call", conversation.endpoint
    return "session" if conversation.session else conversation.key


_OF_A_REQUEST = ("the reply to ", "the end of ", "the closing of ", "the failure of ")


def _of_request(name: str) -> str | None:
    """Return the request that a reply or an end is of, or None."""
    start = next((start for start in _OF_A_REQUEST if name.startswith(start)), None)
    return None if start is None else name[len(start) :]


def _shown_meta(value: Any) -> str:
    if isinstance(value, list):
        return one_line(", ".join(map(str, cast("list[Any]", value)))) or "none"
    return "none" if value is None else one_line(str(value))


__all__ = ["compare_traces", "diff_traces"]
