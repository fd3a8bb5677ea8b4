# SPDX-License-Identifier: Apache-2.0
"""Comparison of two recordings of the same calls, grouped by layer.

Values that differ from run to run (times, ids, ports, heartbeats, the number of queue estimates) are made
equal first. The differences that remain are changes of the server or of this library. The same change in many
places is one difference with a count: a new prefix of all routes, a key of every message.
"""

from __future__ import annotations

import enum
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

import attrs

from ..app.config import AppConfig, Endpoint, Parameter
from ..errors import GradioTransportError, list_texts, one_line
from ..protocol.frames import Kind
from .comparable import OPAQUE, VOLATILE, excerpt, key_order, normalise, normalise_text, shape, value_changes
from .conversation import Conversation, Entry, conversations
from .reader import Trace
from .replay.discoveries import Discoveries
from .timeline.reading import CallTimeline, Outcome, Step, timeline

REPEATED = frozenset({"estimation", "progress"})
"""Messages that servers merge or repeat depending on time; a run of them counts as one."""

IGNORED = frozenset({"heartbeat", "alive?"})
"""Messages, and whole conversations, that depend on time alone."""

_COMPARED_VALUES = ("protocol", "api_prefix", "enable_queue", "connect_heartbeat", "max_file_size")
"""Keys of a config whose values are compared: those that decide how calls are made."""

_NAMED_KEYS = 12
"""The most keys that a line names. `Difference.keys` has all."""

_NAMED_PLACES = 3

_COMPARED_OUTPUTS = 100
"""Outputs of a call that are compared, besides the last."""

_ENDPOINTS = "endpoints"
"""The starts of lines about added and removed endpoints."""

_NAMES = re.compile(r"(?<=/file=).*|(?<=[?&]fn_index=)\d+", re.DOTALL)
"""The parts of a route that belong to the app, not to the protocol."""

_NO_NAME = re.compile(r"[^\w-]")
_OF_A_TYPE = re.compile(r"\bcomponents\.[\w-]+\[\]")

T = TypeVar("T")


class Layer(enum.StrEnum):
    """The part of a conversation with a difference, from the outside to the inside."""

    META = "meta"
    """The trace itself: version and adapter."""
    CONFIG = "config"
    """The app: its endpoints, and the keys of /config and /info."""
    REQUESTS = "requests"
    """Requests, replies, streams and sockets: their number, paths, statuses and keys."""
    MESSAGES = "messages"
    """The messages of the flow, and their keys."""
    VALUES = "values"
    """Arguments, outputs, errors, and values in messages."""


@attrs.frozen
class Difference:
    """A change from the older trace to the newer.

    Attributes:
        what: The change, without its place.
        count: The number of messages, requests, components or values with it.
        where: The calls, sessions or channels that have it; empty if it belongs to none.
        keys: All the keys that are new, or gone, if it is about keys.
    """

    layer: Layer
    what: str
    count: int = 1
    where: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The change and where it is."""
        if not self.where:
            return self.what
        named = "; ".join(self.where[:_NAMED_PLACES])
        more = len(self.where) - _NAMED_PLACES
        times = f", {self.count} times" if self.count > len(self.where) else ""
        if more > 0:
            return f"{self.what} (in {len(self.where)} places: {named}; ...{times})"
        return f"{self.what} ({named}{times})"

    def __str__(self) -> str:
        return f"{self.layer.value}: {self.text}"


def compare_traces(old: Trace, new: Trace) -> list[Difference]:
    """Return what changed in a newer trace of the same calls, by layer."""
    return _Comparison(_Side(old), _Side(new)).run()


def diff_traces(old: Trace, new: Trace) -> list[str]:
    """Return what changed in a newer trace of the same calls, one line for each change."""
    return [str(difference) for difference in compare_traces(old, new)]


# --- one trace -------------------------------------------------------------------------------------------


@attrs.frozen
class _Item:
    """An entry of a conversation, made comparable.

    Attributes:
        what: Its name. That of a reply names its request too.
        status: Of a reply, or how a stream ended.
        order: Its place among the entries.
    """

    what: str
    value: Any
    message: bool
    status: str = ""
    order: int = 0


class _Side:
    """One of the two traces."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.config: AppConfig | None = None
        try:
            found = Discoveries(trace).found
            self.config = found[0].config if found else None
        except GradioTransportError:  # of another client, or damaged
            pass
        self._calls = {(call.session, call.key): call for call in timeline(trace).calls}
        self.base = self._base()
        self.prefix = self._prefix()
        self.conversations = [one for one in conversations(trace) if one.key not in IGNORED]

    def call(self, conversation: Conversation) -> CallTimeline | None:
        """Return the call of a conversation."""
        return self._calls.get((conversation.session, conversation.key))

    def failure(self, call: CallTimeline) -> str | None:
        """Return how a call failed, or None if it did not."""
        if not call.error and call.outcome in (Outcome.COMPLETED, Outcome.UNFINISHED):
            return None
        return cast("str", self.normalise(f"{call.error or call.outcome.value}: {call.message}".rstrip(": ")))

    def _base(self) -> str:
        for frame in self.trace.frames:
            if frame.kind is Kind.SESSION and frame.payload.get("source"):
                return str(frame.payload["source"])
            if frame.kind is Kind.REQUEST and frame.channel == "discover":
                return str(frame.payload["url"]).partition("?")[0].removesuffix("/config")
        return ""

    def _prefix(self) -> str:
        """Return what is before the routes of the API: the path of the app, and its prefix."""
        _, _, rest = self.base.partition("://")
        path = f"/{rest.partition('/')[2]}".rstrip("/")
        return path + (self.config.api_prefix if self.config is not None else "")

    def route(self, what: str) -> str:
        """Return the name of a request without the prefix of the server."""
        method, blank, target = what.partition(" ")
        app_path = self.prefix.removesuffix(self.config.api_prefix) if self.config is not None else ""
        for prefix in (self.prefix, app_path):
            if prefix and target.startswith(f"{prefix}/"):
                return f"{method}{blank}{target[len(prefix) :]}"
        return what

    def normalise(self, value: Any) -> Any:
        """Return a value in which all that differs from run to run, and by the prefix, is equal."""
        return self._without_prefix(normalise(value))

    def _without_prefix(self, value: Any) -> Any:
        if not self.prefix:
            return value
        if isinstance(value, str):
            return value.replace(f"{self.prefix}/file=", "/file=")
        if isinstance(value, list):
            return [self._without_prefix(item) for item in cast("list[Any]", value)]
        if isinstance(value, dict):
            return {key: self._without_prefix(item) for key, item in cast("dict[str, Any]", value).items()}
        return value

    def items(self, conversation: Conversation) -> list[_Item]:
        """Return the entries of a conversation, made comparable."""
        found: list[_Item] = []
        asked: dict[str, str] = {}
        for order, entry in enumerate(conversation.entries):
            if entry.message and entry.what in IGNORED:
                continue
            item = self._item(entry, order, asked)
            if found and item.what in REPEATED and found[-1].what == item.what:
                found.pop()
            found.append(item)
        return found

    def _item(self, entry: Entry, order: int, asked: dict[str, str]) -> _Item:
        if entry.message:
            return _Item(one_line(entry.what), self.normalise(entry.value), True, order=order)
        frame = self.trace.frames[entry.frame]
        what = _NAMES.sub("", normalise_text(self.route(entry.what)))
        if frame.kind is Kind.SESSION:
            return _Item("session", None, False, order=order)
        if frame.kind in (Kind.REQUEST, Kind.WS_OPEN):
            asked[frame.channel] = what.partition("?")[0].replace(" (attempt", "")
            return _Item(what, self.normalise(entry.value), False, order=order)
        request = asked.get(frame.channel, frame.channel)
        if frame.kind in (Kind.RESPONSE, Kind.RESPONSE_HEAD):
            status = str(frame.payload["status"])
            return _Item(f"the reply to {request}", self.normalise(entry.value), False, status, order)
        if frame.kind is Kind.WS_ACCEPT:
            return _Item(f"the reply to {request}", None, False, "accepted", order)
        if frame.kind in (Kind.WS_CLOSE, Kind.STREAM_CLOSE):
            return _Item(f"the closing of {request}", None, False, order=order)
        if frame.kind is Kind.END:
            what, _, ending = entry.what.partition(" ")
            return _Item(f"the end of {request}", None, False, ending, order)
        if frame.kind is Kind.ERROR:
            return _Item(f"the failure of {request}", None, False, self._failure(entry), order)
        return _Item(what, self.normalise(entry.value), False, order=order)

    @staticmethod
    def _failure(entry: Entry) -> str:
        return f"{entry.what.removeprefix('error ')}: {normalise_text(str(entry.value))}"


# --- both ------------------------------------------------------------------------------------------------


class _Collector:
    """Differences, the same ones folded into one."""

    def __init__(self) -> None:
        self._texts: dict[tuple[Layer, str], list[str]] = defaultdict(list)
        self._keys: dict[tuple[Layer, str, str], Counter[str]] = defaultdict(Counter)
        self._values: dict[str, str] = {}

    def add(self, layer: Layer, what: str, where: str = "") -> None:
        """Add a difference in one place."""
        self._texts[layer, what].append(where)

    def add_value(self, what: str, subject: str, where: str) -> None:
        """Add a change of a value; of more in the same place of messages only the first is told."""
        first = self._values.setdefault(subject, what)
        self.add(Layer.VALUES, first, where)

    def add_key(self, layer: Layer, subject: str, is_new: bool, key: str, count: int) -> None:
        """Add a key that is new, or gone, in so many places."""
        self._keys[layer, subject, "new" if is_new else "gone"][key] += count

    def differences(self) -> list[Difference]:
        """Return the differences, by layer and then in the order found."""
        layers = list(Layer)
        return [
            difference
            for layer in layers
            for difference in [
                *(_of_keys(*of, keys) for of, keys in self._keys.items() if of[0] is layer),
                *(_of_text(*of, places) for of, places in self._texts.items() if of[0] is layer),
            ]
        ]


def _of_keys(layer: Layer, subject: str, how: str, keys: Counter[str]) -> Difference:
    return Difference(layer, _keys_line(subject, how, keys), max(keys.values()), keys=tuple(keys))


def _of_text(layer: Layer, what: str, places: Sequence[str]) -> Difference:
    return Difference(layer, what, len(places), tuple(dict.fromkeys(place for place in places if place)))


def _keys_line(subject: str, how: str, keys: Counter[str]) -> str:
    """Return a line about keys; the count of those that are in fewer places than the others is named."""
    most = max(keys.values())
    named = [key if count == most else f"{key} ({count:,})" for key, count in keys.most_common(_NAMED_KEYS)]
    more = f" and {len(keys) - _NAMED_KEYS} more" if len(keys) > _NAMED_KEYS else ""
    word = "" if subject == _ENDPOINTS else "key " if len(keys) == 1 else "keys "
    times = f" ({most:,} times)" if most > 1 else ""
    return f"{subject}: {how} {word}{', '.join(one_line(name) for name in named)}{more}{times}"


class _Comparison:
    def __init__(self, old: _Side, new: _Side) -> None:
        self._old = old
        self._new = new
        self._found = _Collector()
        self._messages: tuple[_Shapes, _Shapes] = (_Shapes(), _Shapes())

    def run(self) -> list[Difference]:
        self._compare_meta()
        self._compare_endpoints()
        self._compare_prefixes()
        for left, right in _pairs(self._old.conversations, self._new.conversations, _name):
            if left is None or right is None:
                one = left or right
                assert one is not None  # noqa: S101 - pairs have one side at least
                change = "is gone" if right is None else "is new"
                layer = Layer.REQUESTS
                self._found.add(layer, f"{one_line(one.title)} {change}")
                continue
            self._compare_conversation(left, right)
        self._compare_shapes(Layer.MESSAGES, *self._messages)
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

    def _compare_endpoints(self) -> None:
        """Compare what the apps can do, as callers see it."""
        before, after = self._old.config, self._new.config
        if before is None or after is None:
            return
        for key in _COMPARED_VALUES:
            if key in before.raw and key in after.raw and before.raw[key] != after.raw[key]:
                old, new = excerpt(before.raw[key]), excerpt(after.raw[key])
                self._found.add(Layer.CONFIG, f"{key} was {old}, is {new}")
        names: list[tuple[bool, str]] = []
        for left, right in _pairs(before.endpoints, after.endpoints, _endpoint_name):
            if left is not None and right is not None:
                if left.backend_fn and right.backend_fn:
                    self._compare_endpoint(left, right)
            elif (one := left or right) is not None and one.name is not None and one.visibility != "private":
                names.append((right is not None, one.name))
        for is_new, name in names:
            self._found.add_key(Layer.CONFIG, _ENDPOINTS, is_new, name, 1)

    def _compare_endpoint(self, old: Endpoint, new: Endpoint) -> None:
        name = old.display_name
        for what, left, right in (
            ("parameters", old.parameters, new.parameters),
            ("returns", old.returns, new.returns),
        ):
            named = what == "parameters" and _are_named(left) and _are_named(right)
            before, after = _signature(left, named), _signature(right, named)
            if before != after:
                self._found.add(Layer.CONFIG, f"{name}: {what} were ({before}), are ({after})")
        if old.parameters and new.parameters and _are_named(old.parameters) != _are_named(new.parameters):
            self._found.add(
                Layer.CONFIG,
                "parameters have names"
                if _are_named(new.parameters)
                else ("parameters have numbers for names"),
                name,
            )
        for what in ("visibility", "queue", "batch", "connection"):
            before, after = getattr(old, what), getattr(new, what)
            if before != after:
                self._found.add(Layer.CONFIG, f"{what} was {before}, is {after}", name)

    # --- conversations -------------------------------------------------------------------------------

    def _compare_conversation(self, old: Conversation, new: Conversation) -> None:
        left, right = self._old.items(old), self._new.items(new)
        where = one_line(new.title) if new.session or new.key else ""
        self._compare_flow(left, right, where)
        for item, side in ((left, self._messages[0]), (right, self._messages[1])):
            side.add(one for one in item if one.message)
        with_values = bool(new.session)
        shapes = _Shapes(), _Shapes()
        for one, other in _pairs(left, right, lambda item: item.what):
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
            shapes = tuple(_discovery_shapes(one) for one in shapes)  # type: ignore[assignment]
        layer = Layer.REQUESTS if new.session or new.key else Layer.CONFIG
        self._compare_shapes(layer, *shapes)
        if with_values and new.key:
            self._compare_outcome(old, new, where)

    def _compare_flow(self, old: Sequence[_Item], new: Sequence[_Item], where: str) -> None:
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

    def _compare_shapes(self, layer: Layer, old: _Shapes, new: _Shapes) -> None:
        for subject, before in old.keys.items():
            after = new.keys.get(subject)
            if after is None:
                continue
            for keys, other, is_new in ((after, before, True), (before, after, False)):
                for key, types in keys.items():
                    if key not in other:
                        shown = _OF_A_TYPE.sub("components[]", subject)
                        self._found.add_key(layer, shown, is_new, key, types.total())
            for key, types in before.items():
                if key not in OPAQUE and key in after and set(types) != set(after[key]):
                    was, now = " or ".join(sorted(types)), " or ".join(sorted(after[key]))
                    shown = _OF_A_TYPE.sub("components[]", subject)
                    self._found.add(layer, f"{shown}: {one_line(key)} was {was}, is {now}")

    def _compare_values(self, old: _Item, new: _Item, where: str) -> None:
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
        pairs = list(zip(_outputs(left), _outputs(right), strict=False))
        # A difference is reported once, so the rest of a long stream is not checked.
        for one, other in pairs[:_COMPARED_OUTPUTS] + pairs[max(_COMPARED_OUTPUTS, len(pairs) - 1) :]:
            if one.data != other.data:
                self._add_values(
                    "outputs", self._old.normalise(one.data), self._new.normalise(other.data), where
                )
        before, after = self._old.failure(left), self._new.failure(right)
        if before != after:
            was, now = ("no error" if one is None else excerpt(one) for one in (before, after))
            self._found.add(Layer.VALUES, f"it ended with {was}, ends with {now}", where)


class _Shapes:
    """The keys of each subject's values, with their types and counts."""

    def __init__(self) -> None:
        self.keys: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))

    def add(self, items: Iterable[_Item]) -> None:
        """Count the keys of values."""
        for item in items:
            self.add_value(item.what, item.value)

    def add_value(self, subject: str, value: Any) -> None:
        """Count the keys of a value, under its subject and the path in it."""
        for path, key, kind in shape(_by_type(value)):
            self.keys[f"{subject}: {path}" if path else subject][key][kind] += 1
        if not isinstance(value, dict | list) and value is not None:
            self.keys[subject]["the body" if not isinstance(value, str) else "a text"][
                type(value).__name__
            ] += 1


def _by_type(value: Any) -> Any:
    """Return a config with its components by their type, because each type has its own keys."""
    if not isinstance(value, dict):
        return value
    config = cast("dict[str, Any]", value)
    components = config.get("components")
    if not isinstance(components, list) or "dependencies" not in config:
        return config
    groups: dict[str, list[Any]] = defaultdict(list)
    for one in cast("list[Any]", components):
        kind = cast("dict[str, Any]", one).get("type") if isinstance(one, dict) else None
        groups[_NO_NAME.sub("_", str(kind))].append(one)
    return config | {"components": groups}


def _outputs(call: CallTimeline) -> list[Step]:
    """Return the events with outputs that are known whole."""
    names = ("process_generating", "process_streaming", "process_completed")
    return [step for step in call.events if step.event in names and step.data is not None]


def _discovery_shapes(shapes: _Shapes) -> _Shapes:
    """Return the shapes of a discovery, named by what they are of."""
    named = _Shapes()
    for subject, keys in shapes.keys.items():
        named.keys[subject.removeprefix("the reply to GET ")] = keys
    return named


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


def _pairs(
    before: Iterable[T], after: Iterable[T], name: Callable[[T], Hashable]
) -> Iterator[tuple[T | None, T | None]]:
    """Pair what has the same name and is the same one of that name, in the order of the older."""
    waiting: dict[Hashable, list[T]] = defaultdict(list)
    for one in after:
        waiting[name(one)].append(one)
    for others in waiting.values():
        others.reverse()
    for one in before:
        same = waiting.get(name(one))
        yield one, (same.pop() if same else None)
    for others in waiting.values():
        yield from ((None, one) for one in reversed(others))


def _name(conversation: Conversation) -> Hashable:
    if conversation.session and conversation.key:
        return "call", conversation.endpoint
    return "session" if conversation.session else conversation.key


def _endpoint_name(endpoint: Endpoint) -> Hashable:
    return endpoint.name or endpoint.fn_index


def _are_named(parameters: Sequence[Parameter]) -> bool:
    return not any(parameter.is_numbered for parameter in parameters)


def _signature(parameters: Sequence[Parameter], named: bool) -> str:
    return list_texts(
        [(f"{parameter.keyword}: " if named else "") + parameter.component for parameter in parameters]
    )


_OF_A_REQUEST = ("the reply to ", "the end of ", "the closing of ", "the failure of ")


def _of_request(name: str) -> str | None:
    """Return the request that a reply or an end is of, or None."""
    start = next((start for start in _OF_A_REQUEST if name.startswith(start)), None)
    return None if start is None else name[len(start) :]


def _shown_meta(value: Any) -> str:
    if isinstance(value, list):
        return one_line(", ".join(map(str, cast("list[Any]", value)))) or "none"
    return "none" if value is None else one_line(str(value))


__all__ = [
    "IGNORED", "REPEATED", "VOLATILE", "Difference", "Layer", "compare_traces", "diff_traces", "normalise",
]  # fmt: skip
