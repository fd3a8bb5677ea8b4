# SPDX-License-Identifier: Apache-2.0
"""Parsing of the endpoints and components of an app, each when it is first used.

An app may have thousands, of which a program calls a few. What they are is in the JSON of ``/config`` and
``/info``, which the config keeps anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

import attrs

from .config import AppConfig, Component, Endpoint, JSONObject, Visibility
from .json_fields import to_integer, to_integers, to_object, to_objects, to_text
from .parameter_parsing import derive_parameters, parse_parameters, with_aliases, without_skipped
from .translations import is_translated, translate

_VISIBILITIES: Mapping[str, Visibility] = MappingProxyType(
    {"public": "public", "undocumented": "undocumented", "private": "private"}
)


_OAUTH_TOKEN: Mapping[str, Literal["required", "optional"]] = MappingProxyType(
    {"required": "required", "optional": "optional"}
)


SKIPPED_TYPES = frozenset({"state", "variable"})
"""Types of components that have no value for callers, on every version."""


# /info omits layout from 3.37 on, without a skip_api flag until 4.0.
_SKIPPED_TYPES_3_37 = SKIPPED_TYPES | {
    "row", "column", "tabs", "tab", "tabitem", "form", "box", "accordion", "group", "interpretation",
    "dataset",
}  # fmt: skip


@attrs.define(eq=False, repr=False)
class UnparsedComponents(Mapping[int, Component]):
    """The components of a config by id, each parsed when it is first used.

    Attributes:
        config: The JSON that lists them.
        app: The app-level part of the config.
    """

    config: JSONObject
    app: AppConfig
    _parsed: dict[int, Component] = attrs.field(factory=dict[int, Component], init=False)

    @cached_property
    def _by_id(self) -> Mapping[int, JSONObject]:
        numbered = ((to_integer(raw.get("id")), raw) for raw in to_objects(self.config.get("components")))
        return {number: raw for number, raw in numbered if number is not None}

    def __getitem__(self, number: int) -> Component:
        found = self._parsed.get(number)
        # `setdefault` keeps one component for all threads.
        return found or self._parsed.setdefault(number, self._parse(number, self._by_id[number]))

    def _parse(self, number: int, raw: JSONObject) -> Component:
        kind, skip, app = to_text(raw.get("type")), raw.get("skip_api"), self.app
        skipped = _SKIPPED_TYPES_3_37 if app.at_least(3, 37) else SKIPPED_TYPES
        return Component(
            number,
            kind or "unknown",
            _parse_props(to_object(raw.get("props")), app),
            app.skips and (skip if isinstance(skip, bool) else kind.lower() in skipped),
        )

    def __contains__(self, number: object) -> bool:
        return number in self._by_id

    def __iter__(self) -> Iterator[int]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    def __repr__(self) -> str:
        return repr(dict(self))


def _parse_props(props: JSONObject, app: AppConfig) -> JSONObject:
    label = to_text(props.get("label"))
    if not is_translated(label):
        return props
    return {**props, "label": translate(label, app.raw.get("i18n_translations"))}


@attrs.frozen(eq=False)
class EndpointParser:
    """The data that an endpoint's fields come from, besides its own JSON.

    Attributes:
        app: The app-level part of the config.
        components: The components by id.
        info: The JSON of ``/info``, or an empty object.
    """

    app: AppConfig
    components: Mapping[int, Component]
    info: JSONObject = attrs.field(factory=dict[str, Any])

    def parse(self, one: UnparsedDependency) -> Endpoint:
        """Return an endpoint."""
        app, raw, info = self.app, one.raw, self.info
        queue, kinds = raw.get("queue"), to_object(raw.get("types"))
        inputs = _find_components(raw.get("inputs"), self.components)
        outputs = _find_components(raw.get("outputs"), self.components)
        described = _find_endpoint_info(one.name, one.fn_index, inputs, info)
        typed = app.at_least(4, 0)
        return Endpoint(
            name=one.name,
            fn_index=one.fn_index,
            parameters=with_aliases(
                parse_parameters(to_objects(described.get("parameters")), inputs, typed=typed)
                if described
                else derive_parameters(inputs, with_default=app.at_least(4, 23))
            ),
            returns=parse_parameters(to_objects(described.get("returns")), outputs, typed=typed)
            if described
            else derive_parameters(outputs),
            inputs=inputs,
            outputs=outputs,
            queue=queue if isinstance(queue, bool) else typed or app.enable_queue,
            backend_fn=one.backend_fn,
            generator=_is_generator(kinds),
            batch=raw.get("batch") is True,
            cancels=to_integers(raw.get("cancels")),
            connection="stream" if raw.get("connection") == "stream" else "sse",
            collects_event_data=raw.get("collects_event_data") is True,
            visibility=one.visibility,
            oauth_token=_OAUTH_TOKEN.get(to_text(described.get("oauth_token"))),
            description=to_text(described.get("description")) or to_text(raw.get("api_description")),
            info_failure=app.info_failure,
            raw=raw,
        )


@attrs.define(eq=False)
class UnparsedDependency:
    """An endpoint as the config lists it; see `UnparsedEndpoint`.

    Attributes:
        place: Its place in the list.
        raw: Its JSON.
    """

    place: int
    raw: JSONObject
    _parser: EndpointParser = attrs.field(repr=False)
    _endpoint: Endpoint | None = attrs.field(default=None, init=False, repr=False)

    @property
    def name(self) -> str | None:
        """Its name with a slash, or None."""
        name = to_text(self.raw.get("api_name")).strip("/")
        return f"/{name}" if name else None

    @property
    def fn_index(self) -> int:
        """Its number: the ``id``, or before 4.32 the place."""
        number = to_integer(self.raw.get("id"))
        return self.place if number is None else number

    @property
    def backend_fn(self) -> bool:
        """Whether the server has a function to call."""
        raw = self.raw
        return raw.get("backend_fn") is not False and to_object(raw.get("types")).get("cancel") is not True

    @property
    def visibility(self) -> Visibility:
        """Whether it is documented, or at least callable."""
        raw = self.raw
        given = _VISIBILITIES.get(to_text(raw.get("api_visibility")))
        if given is None and raw.get("api_name") is False:
            given = "private"
        if given is None:
            given = "undocumented" if raw.get("show_api") is False else "public"
        if given == "public" and not _is_listed(self.name, self.fn_index, self._parser.info):
            return "undocumented"
        return given

    def parse(self) -> Endpoint:
        """Return the endpoint: the same one each time, unless two threads parse it first."""
        if self._endpoint is None:
            self._endpoint = self._parser.parse(self)
        return self._endpoint


def _endpoint_info(name: str | None, fn_index: int, info: JSONObject) -> Any:
    key, number = ("named_endpoints", name) if name is not None else ("unnamed_endpoints", str(fn_index))
    return to_object(info.get(key)).get(number)


def _is_listed(name: str | None, fn_index: int, info: JSONObject) -> bool:
    """Return whether ``/info`` lists an endpoint; without ``/info`` there is no list."""
    return not info or _endpoint_info(name, fn_index, info) is not None


def _find_endpoint_info(
    name: str | None, fn_index: int, inputs: Sequence[Component], info: JSONObject
) -> JSONObject:
    """Return the entry of an endpoint in ``/info``, or an empty one if it belongs to another of that name."""
    described = to_object(_endpoint_info(name, fn_index, info))
    parameters = without_skipped(to_objects(described.get("parameters")), inputs)
    return described if len(parameters) == sum(not slot.skipped for slot in inputs) else {}


def _is_generator(kinds: JSONObject) -> bool | None:
    """Return whether a function yields; None if the server does not report it (before 3.20)."""
    if "generator" not in kinds:
        return None
    return kinds["generator"] is True or kinds.get("continuous") is True


def _find_components(ids: Any, components: Mapping[int, Component]) -> tuple[Component, ...]:
    # Dangling ids keep their slot: the length of `data` must stay exact.
    return tuple(
        components[number] if number in components else Component(number) for number in to_integers(ids)
    )
