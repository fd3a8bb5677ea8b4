# SPDX-License-Identifier: Apache-2.0
"""A recorded app: its config and files as recorded, and the outcomes of its traces' calls. No I/O."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, cast
from urllib.parse import urlsplit

import attrs

from gradio_transport.protocol.frames import Frame, Kind
from gradio_transport.trace import Trace

from ..replay.recording import RecordedRequest, Recording
from .encoding import encode, with_nan
from .generation import Generation
from .likeness import CallKey, FileIdentity, Uploads, call_key
from .outcomes import Outcome, Reply, Way, outcomes

NOT_A_NUMBER = "not_a_number"
"""The function of the canonical app that returns NaN."""


@attrs.frozen
class Endpoint:
    """A function of the app.

    Attributes:
        states: Positions of its State inputs.
        inputs: The number of its inputs; None if the config does not say.
        cancels: Numbers of the functions whose calls it cancels.
    """

    fn_index: int
    api_name: str | None
    states: tuple[int, ...]
    inputs: int | None
    generator: bool
    queued: bool
    cancels: tuple[int, ...] = ()


@attrs.frozen
class Choice:
    """The answer to a call.

    Attributes:
        reencoded: The protocol of the recording, if the client used another one.
    """

    outcome: Outcome
    reencoded: str = ""


@attrs.frozen
class Limit:
    """A queue with a maximum size, from 4.9 on. Before 4.9, a message says that it is full; see `opening`.

    Attributes:
        calls: The number of calls that it accepts at once, running and waiting.
        refusal: The reply to one more call.
    """

    calls: int
    refusal: Reply


@attrs.define
class RecordedApp:
    """One app, from all of its traces.

    Attributes:
        bases: The addresses that it had.
        config: Its config, as recorded; None if no trace has it.
        login_body: The body that it sends instead of the config without a login, up to 2.6.
        protected: Whether it requires a login.
        samples: Calls of other traces, whose first messages can be used for other calls; see `template`.
        rendered: Numbers of the functions that ``gr.render`` makes, which exist only in one session.
    """

    generation: Generation
    samples: Sequence[Outcome] = ()
    bases: list[str] = attrs.field(factory=list[str])
    config: Mapping[str, Any] | None = None
    config_body: bytes = b""
    login_body: bytes = b""
    info: dict[str, Reply] = attrs.field(factory=dict[str, Reply])
    files: dict[str, RecordedRequest] = attrs.field(factory=dict[str, RecordedRequest])
    component_calls: list[tuple[Mapping[str, Any], RecordedRequest]] = attrs.field(
        factory=list[tuple[Mapping[str, Any], RecordedRequest]]
    )
    uploads: Uploads = attrs.field(factory=Uploads)
    protected: bool = False
    endpoints: dict[int, Endpoint] = attrs.field(factory=dict[int, Endpoint])
    rendered: set[int] = attrs.field(factory=set[int])
    _outcomes: dict[CallKey, list[tuple[Outcome, tuple[str, ...]]]] = attrs.field(
        factory=dict[CallKey, list[tuple[Outcome, tuple[str, ...]]]]
    )
    _turns: dict[int, list[Outcome]] = attrs.field(factory=dict[int, list[Outcome]])
    _taken: Counter[int] = attrs.field(factory=Counter[int])
    _used: Counter[tuple[CallKey, str]] = attrs.field(factory=Counter[tuple[CallKey, str]])

    @classmethod
    def of(
        cls, generation: Generation, traces: Iterable[tuple[str, Trace]], samples: Sequence[Outcome] = ()
    ) -> RecordedApp:
        """Return the app of named traces."""
        app = cls(generation, samples)
        kept = list(traces)
        for _, trace in kept:
            app._take_app(trace)
        for name, trace in kept:
            app._take_calls(name, trace)
        return app

    # --- the app ---------------------------------------------------------------------------------------

    def _take_app(self, trace: Trace) -> None:
        recording = Recording(trace)
        if recording.base not in self.bases:
            self.bases.append(recording.base)
        for session in recording.sessions.values():
            for request in session.requests:
                self._take_request(request)
        for asked, reply in _uploads(trace.frames):
            for path, identity in zip(reply, asked, strict=False):
                self.uploads.add_recorded(path, identity)

    def _take_request(self, request: RecordedRequest) -> None:
        body = b"".join(part.data for part in request.parts)
        path = request.path.removeprefix(self.generation.prefix)
        if (request.method == "POST" and path == "/login") or request.status == 401:
            self.protected = True
        if request.path.rstrip("/") == "/config" and request.status == 200 and self.config is None:
            found = _object(body)
            if found.get("auth_required"):
                self.protected, self.login_body = True, body
                return
            self.config_body, self.config = body, found
            self.endpoints = {one.fn_index: one for one in _endpoints(self.config, self.generation)}
        elif path == "/info" and request.status not in (None, 401):
            kind = {str(key).lower(): str(value) for key, value in request.headers.items()}.get(
                "content-type"
            )
            self.info.setdefault(request.query, Reply(request.status or 200, kind or "", body))
        elif path.startswith("/file") and request.method == "GET":
            self.files.setdefault(path, request)
        elif path.rstrip("/") == "/component_server":
            self.component_calls.append((_object(request.body or b""), request))

    @property
    def path(self) -> str:
        """The path that the app was under, without a slash at its end."""
        return urlsplit(self.bases[0]).path.rstrip("/") if self.bases else ""

    # --- the calls -------------------------------------------------------------------------------------

    def _take_calls(self, name: str, trace: Trace) -> None:
        histories: dict[tuple[int, int], list[str]] = {}
        for outcome in outcomes(trace, name):
            for one in rendered(outcome, self.generation):
                if one.fn_index not in self.endpoints:
                    self.endpoints[one.fn_index] = one
                    self.rendered.add(one.fn_index)
            endpoint = self.find(outcome.fn_index, outcome.api_name)
            self._turns.setdefault(-1, []).append(outcome)
            if endpoint is None:
                continue
            key = self.key(endpoint, self.arguments(endpoint, outcome.body, outcome.adapter), outcome.body)
            # The polling queue of 2.x loses the session: all of its callers share one.
            alone = self.generation.blocks or outcome.way is not Way.POLLING
            history = histories.setdefault((outcome.session if alone else 0, endpoint.fn_index), [])
            self._outcomes.setdefault(key, []).append((outcome, tuple(history)))
            history.append(key.data)
            self._turns.setdefault(endpoint.fn_index, []).append(outcome)

    def find(self, fn_index: int | None, api_name: str | None = None) -> Endpoint | None:
        """Return the endpoint of a number, or else of a name, or None."""
        if not self.generation.blocks:
            return self.endpoints.get(0)
        if fn_index is not None:
            return self.endpoints.get(fn_index)
        name = (api_name or "").removeprefix("v2/").strip("/")
        return next((one for one in self.endpoints.values() if name and one.api_name == name), None)

    def arguments(self, endpoint: Endpoint, body: Mapping[str, Any], adapter: str = "") -> list[Any]:
        """Return the data of a call; for /call/v2 its named arguments in the order of the parameters."""
        if adapter == "call_v2":
            return [body.get(name, default) for name, default in self.parameters(endpoint)]
        data = body.get("data")
        return list(cast("list[Any]", data)) if isinstance(data, list) else []

    def parameters(self, endpoint: Endpoint) -> list[tuple[str, Any]]:
        """Return the names of an endpoint's parameters and their defaults, as /info has them."""
        return [
            (str(one.get("parameter_name")), one.get("parameter_default"))
            for one in self._described(endpoint)
        ]

    def required_parameters(self, endpoint: Endpoint) -> set[str]:
        """Return the names of the parameters that have no default."""
        return {
            str(one.get("parameter_name"))
            for one in self._described(endpoint)
            if not one.get("parameter_has_default")
        }

    def _described(self, endpoint: Endpoint) -> list[dict[str, Any]]:
        """Return the parameters of an endpoint, as /info has them."""
        body = next((one.body for one in self.info.values() if one.status == 200), b"")
        named = _object(body).get("named_endpoints", {}).get(f"/{endpoint.api_name}", {})
        return list(named.get("parameters", []))

    def mentions(self, path: str) -> bool:
        """Return whether the recorded server named a file."""
        return any(path in json.dumps(one.messages) for found in self._outcomes.values() for one, _ in found)

    def key(self, endpoint: Endpoint, data: Sequence[Any], body: Mapping[str, Any]) -> CallKey:
        """Return the key of a call."""
        states = endpoint.states if endpoint.inputs in (None, len(data)) else ()
        known = data if endpoint.inputs is None else data[: max(endpoint.inputs, 0)]
        return call_key(endpoint.fn_index, known, body.get("event_data"), states, self.uploads)

    def choose(self, endpoint: Endpoint, key: CallKey, way: Way, history: Sequence[str]) -> Choice | None:
        """Return the answer to a call over a protocol, or None if the recording has none.

        The history is the data of the session's earlier calls of the function. It matters if the function has
        State.
        """
        found = [
            (outcome, before)
            for outcome, before in self._outcomes.get(key, [])
            if (not endpoint.states or before == tuple(history)) and not _is_full(outcome)
        ]
        if self.limit(key) is not None:
            found = [(outcome, before) for outcome, before in found if not self._is_turned_away(outcome)]
        choices = [choice for outcome, _ in found if (choice := self._as(endpoint, outcome, way)) is not None]
        # What was recorded in this way counts first, and of that what has an end.
        best = [one for one in choices if not one.reencoded] or choices
        best = [one for one in best if not one.outcome.cancelled] or best
        if not best:
            return None
        number = self._used[key, way]
        self._used[key, way] += 1
        return best[number % len(best)]

    def limit(self, key: CallKey) -> Limit | None:
        """Return the number of calls that the queue accepted before it was full, or None if it never was."""
        found = [outcome for outcome, _ in self._outcomes.get(key, [])]
        refusals = [one.refusal for one in found if one.refusal is not None and self._is_turned_away(one)]
        taken = sum(one.refusal is None for one in found)
        return Limit(taken, refusals[0]) if taken and refusals else None

    def _is_turned_away(self, outcome: Outcome) -> bool:
        """Return whether the join of a call was refused because the queue was full."""
        full = 500 if self.generation.refuses_joins_plainly else 503
        return outcome.way is Way.STREAM and outcome.refusal is not None and outcome.refusal.status == full

    def opening(self, endpoint: Endpoint | None, way: Way) -> Sequence[Mapping[str, Any]]:
        """Return the messages to a call whose data the server does not know yet; the last may end the call.

        The server knows at most the function of such a call. Each call gets the messages of one recorded
        call, in the recorded order.
        """
        number = -1 if endpoint is None else endpoint.fn_index
        turns = [one for one in self._turns.get(number, self._turns.get(-1, [])) if one.way is way]
        if not turns:
            template = self.template(way)
            return () if template is None else template.messages[: template.before_data]
        found = turns[self._taken[number] % len(turns)]
        self._taken[number] += 1
        return found.messages if _is_full(found) else found.messages[: found.before_data]

    def _as(self, endpoint: Endpoint, outcome: Outcome, way: Way) -> Choice | None:
        if outcome.way is way:
            return Choice(outcome)
        template = self.template(way)
        encoded = encode(outcome, way, self.generation, generator=endpoint.generator, template=template)
        if encoded is not None and self._says_nan(endpoint, outcome, way):
            encoded = with_nan(encoded)
        return None if encoded is None else Choice(encoded, f"{outcome.name}, recorded by {outcome.way}")

    def _says_nan(self, endpoint: Endpoint, outcome: Outcome, way: Way) -> bool:
        """Return whether a call has NaN where the recording has null. seen: 4.44.1, 6.31.0, not 4.22.0.

        From 4.24 on orjson writes the stream, which makes it null, and Python's json the events of /call.
        """
        differs = outcome.way is Way.STREAM and way is Way.CALL and self.generation.compact
        return differs and endpoint.api_name == NOT_A_NUMBER

    def template(self, way: Way) -> Outcome | None:
        """Return a complete call, recorded over a protocol, as a template of the first messages."""
        own = (one for found in self._outcomes.values() for one, _ in found)
        every = chain(own, self.samples)
        return next((one for one in every if one.way is way and one.complete and len(one.messages) > 2), None)


def _is_full(outcome: Outcome) -> bool:
    return bool(outcome.messages) and outcome.messages[-1].get("msg") == "queue_full"


def rendered(outcome: Outcome, generation: Generation) -> Iterator[Endpoint]:
    """Yield the functions that a call made with ``gr.render``."""
    for message in outcome.messages:
        output = message.get("output")
        drawn = cast("dict[str, Any]", output).get("render_config") if isinstance(output, dict) else None
        if isinstance(drawn, dict):
            yield from _endpoints(cast("dict[str, Any]", drawn), generation)


def _endpoints(config: Mapping[str, Any], generation: Generation) -> Iterator[Endpoint]:
    if not generation.blocks:
        inputs = cast("list[dict[str, Any]]", config.get("input_components", []))
        states = tuple(place for place, one in enumerate(inputs) if one.get("name") == "state")
        yield Endpoint(0, "predict", states, len(inputs), False, bool(config.get("queue")))
        return
    kinds = {one["id"]: one["type"] for one in cast("list[dict[str, Any]]", config.get("components", []))}
    for place, one in enumerate(cast("list[dict[str, Any]]", config.get("dependencies", []))):
        inputs_ = cast("list[int]", one.get("inputs", []))
        states = tuple(number for number, each in enumerate(inputs_) if kinds.get(each) == "state")
        queue = one.get("queue")
        queued = bool(config.get("enable_queue")) if queue is None else bool(queue)
        generator = bool(cast("dict[str, Any]", one.get("types") or {}).get("generator"))
        name = one.get("api_name")
        yield Endpoint(
            int(one.get("id", place)), name if isinstance(name, str) else None, states, len(inputs_),
            generator, queued, tuple(cast("list[int]", one.get("cancels") or ())),
        )  # fmt: skip


def _uploads(frames: Iterable[Frame]) -> Iterator[tuple[list[FileIdentity], list[str]]]:
    """Yield the files of each upload, and their paths on the server."""
    asked: list[FileIdentity] = []
    for frame in frames:
        if frame.session or not urlsplit(str(frame.payload.get("url", ""))).path.endswith("/upload"):
            continue
        if frame.kind is Kind.REQUEST:
            files = cast("list[dict[str, Any]]", frame.payload.get("files") or [])
            asked = [FileIdentity(str(one["name"]), int(one["size"])) for one in files]
        elif frame.kind is Kind.RESPONSE and frame.payload["status"] == 200:
            try:
                yield asked, [str(one) for one in json.loads(frame.payload.get("body") or b"[]")]
            except ValueError:
                continue


def _object(text: bytes | str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


__all__ = ["Choice", "Endpoint", "Limit", "RecordedApp", "origin_of", "rendered"]
