# SPDX-License-Identifier: Apache-2.0
"""Parsing of ``/config``, ``/info`` and the page of any Gradio version into an `AppConfig`."""

from __future__ import annotations

import itertools
import json
import keyword
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Literal, cast

import attrs

from ..errors import NotAGradioApp, Phase, excerpt
from ..protocol.urls import without_userinfo
from .config import AppConfig, Component, Endpoint, JSONObject, Parameter, Visibility
from .translations import is_translated, translate

_VISIBILITIES: Mapping[str, Visibility] = MappingProxyType(
    {"public": "public", "undocumented": "undocumented", "private": "private"}
)


_OAUTH_TOKEN: Mapping[str, Literal["required", "optional"]] = MappingProxyType(
    {"required": "required", "optional": "optional"}
)


_LONGEST_ALIAS = 60
"""The longest label that becomes a keyword. A longer one is a sentence, which is not practical to type."""


_SKIPPED_TYPES = frozenset({"state", "variable"})


# /info omits layout from 3.37 on, without a skip_api flag until 4.0.
_SKIPPED_TYPES_3_37 = _SKIPPED_TYPES | {
    "row", "column", "tabs", "tab", "tabitem", "form", "box", "accordion", "group", "interpretation",
    "dataset",
}  # fmt: skip


_GRADIO_CONFIG = re.compile(r"window\.(?:gradio_)?config\s*=\s*(?=\{)")

_PLACES_IN_PAGE = 20
"""The most places of a page where a config is tried.

Each may be parsed to the end of the page, and its error counts the lines before it.
"""

_MAX_SLOTS = 100_000
"""The most functions, inputs and outputs of an app in total; the largest known apps have about 10,000.

Each becomes an object, and a config can name one in a few bytes.
"""


_SEGMENT = re.compile(r"[A-Za-z0-9._~-]+")
"""A path segment that every HTTP library sends unchanged (RFC 3986 §2.3)."""


_PROTOCOL_RELEASES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"sse": (4, 0), "sse_v1": (4, 9), "sse_v2": (4, 17), "sse_v2.1": (4, 21), "sse_v3": (4, 22)}
)


# The version that introduced each key, newest first (docs/wire.md §1.3, §1.5), to guess an unreadable
# version.
_DEPENDENCY_RELEASES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "collects_event_data": (3, 21),
        "types": (3, 20),
        "every": (3, 8, 1),
        "batch": (3, 7),
        "cancels": (3, 6),
    }
)


_CONFIG_RELEASES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"show_api": (3, 3, 1), "show_error": (3, 1, 6), "is_space": (3, 1, 5), "version": (3, 0, 6)}
)


def _object(value: Any) -> JSONObject:
    return cast("JSONObject", value) if isinstance(value, dict) else {}


def _objects(value: Any) -> list[JSONObject]:
    return [_object(item) for item in cast("list[object]", value)] if isinstance(value, list) else []


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _size(value: Any) -> int | None:
    size = _integer(value)
    return None if size is None or size < 0 else size


def _integers(value: Any) -> tuple[int, ...]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    return tuple(item for item in items if isinstance(item, int) and not isinstance(item, bool))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def parse_release(version: str) -> tuple[int, ...] | None:
    """Return ``"3.16.2"`` as ``(3, 16, 2)``; None for texts such as ``"main-abc"`` or for no version."""
    found = re.match(r"\s*v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?", version)
    return tuple(int(part) for part in found.groups() if part is not None) if found else None


def config_from_page(html: str) -> JSONObject | None:
    """Return ``window.gradio_config`` (2.x before 2.6: ``window.config``) of a page, or None."""
    # Every place, not only the first, because an app's own script or text may contain the words too.
    for found in itertools.islice(_GRADIO_CONFIG.finditer(html), _PLACES_IN_PAGE):
        with suppress(ValueError, RecursionError):
            return cast("JSONObject", json.JSONDecoder().raw_decode(html, found.end())[0])
    return None


def requires_login(config: JSONObject) -> bool:
    """Return whether this is the stub that a protected app sends without a login (docs/wire.md §1.1)."""
    return config.get("auth_required") is True


def is_config(value: Any) -> bool:
    """Return whether a JSON value is the config of a Gradio app of any version."""
    keys = _object(value)
    return isinstance(keys.get("dependencies"), list) or isinstance(keys.get("input_components"), list)


def parse_config(raw: Any, info: Any = None, *, url: str = "") -> AppConfig:
    """Return the config of an app.

    Args:
        raw: The JSON of ``/config``.
        info: The JSON of ``/info``, if the server has it (3.26+).
        url: Its source, for the error.

    Raises:
        NotAGradioApp: The JSON is not a config.
    """
    return with_endpoints(parse_outline(raw, url=url), info)


def parse_outline(raw: Any, *, url: str = "") -> AppConfig:
    """Return the app-level part of the JSON of ``/config``: from 3.0 on, everything but the endpoints.

    Raises:
        NotAGradioApp: The JSON is not a config.
    """
    if not is_config(raw):
        raise NotAGradioApp(
            f"The config from {url or 'the server'} is not that of a Gradio app: "
            f"{excerpt(raw)!r}. Check the URL.",
            phase=Phase.DISCOVER,
        )
    config = _object(raw)
    if "dependencies" not in config:
        return _parse_interface(config)
    version = _text(config.get("version")).strip()
    release = parse_release(version) or _derive_release(config)
    return AppConfig(
        version=version,
        release=release,
        enable_queue=config.get("enable_queue") is True,
        connect_heartbeat=config.get("connect_heartbeat", (4, 25) <= release < (4, 29)) is True,
        raw=config,
        **_parse_scalars(config),
    )


def with_endpoints(app: AppConfig, info: Any = None) -> AppConfig:
    """Return an outline with its endpoints, as the config and the JSON of ``/info`` describe them.

    Raises:
        NotAGradioApp: It has more functions, inputs and outputs than any app.
    """
    if "dependencies" not in app.raw:
        return app
    slots = _count_slots(app.raw)
    if slots > _MAX_SLOTS:
        raise NotAGradioApp(
            f"The config names {slots:,} functions, inputs and outputs; the limit is {_MAX_SLOTS:,}. Check "
            "the URL.",
            phase=Phase.DISCOVER,
        )
    app = attrs.evolve(app, info=info if _is_info(info) else None)
    components = _parse_components(app.raw, app)
    endpoints = tuple(
        _parse_endpoint(place, dependency, components, app, _object(app.info))
        for place, dependency in enumerate(_objects(app.raw.get("dependencies")))
    )
    return attrs.evolve(app, endpoints=endpoints, components=components)


def _is_info(info: Any) -> bool:
    """Return whether a JSON value has the form of ``/info``: endpoints in two groups, one optional."""
    groups = [_object(info).get(group, {}) for group in ("named_endpoints", "unnamed_endpoints")]
    return any(groups) and all(isinstance(group, dict) for group in groups)


def with_rendered(app: AppConfig, *drawn: JSONObject) -> AppConfig:
    """Return the config of a session after ``gr.render`` (4.31+, docs/wire.md §1.7).

    Parts of the app with the same ``render_id`` are replaced. The new endpoints exist only for that session.

    Args:
        app: The config.
        drawn: The render results, each with its own ``render_id``. Only the first ones are used, up to the
            limit.
    """
    components = dict(app.components)
    endpoints: dict[int, Endpoint] = {}
    numbers: set[int | None] = set()
    slots = 0
    for rendered in drawn:
        slots += _count_slots(rendered)
        if slots > _MAX_SLOTS:
            break
        numbers.add(_integer(rendered.get("render_id")))
        components |= _parse_components(rendered, app)
        for place, dependency in enumerate(_objects(rendered.get("dependencies"))):
            endpoint = _parse_endpoint(place, dependency, components, app, {})
            endpoints[endpoint.fn_index] = endpoint
    numbers.discard(None)
    kept = tuple(
        endpoint
        for endpoint in app.endpoints
        if endpoint.fn_index not in endpoints and _integer(endpoint.raw.get("rendered_in")) not in numbers
    )
    return attrs.evolve(app, endpoints=(*kept, *endpoints.values()), components=components)


def _count_slots(config: JSONObject) -> int:
    dependencies = _objects(config.get("dependencies"))
    named = (raw.get(key) for raw in dependencies for key in ("inputs", "outputs"))
    return len(dependencies) + sum(len(cast("list[object]", ids)) for ids in named if isinstance(ids, list))


def _parse_scalars(config: JSONObject) -> dict[str, Any]:
    return {
        "protocol": _text(config.get("protocol")) or None,
        "api_prefix": _api_prefix(_text(config.get("api_prefix"))),
        "root": without_userinfo(_text(config.get("root"))),
        "title": translate(_text(config.get("title")), config.get("i18n_translations")),
        "space_id": _text(config.get("space_id")) or None,
        "username": _text(config.get("username")) or None,
        "app_id": _integer(config.get("app_id")),
        "max_file_size": _size(config.get("max_file_size")),
    }


def _api_prefix(given: str) -> str:
    """Return the prefix of the API's routes; empty for a value that is not a path below the app's own.

    With ``..`` in it, uploads and calls with their headers would go to another app of the same host.
    """
    prefix = given.strip("/")
    segments = prefix.split("/")
    below = all(_SEGMENT.fullmatch(segment) and segment.strip(".") for segment in segments)
    return f"/{prefix}" if below else ""


def _derive_release(config: JSONObject) -> tuple[int, ...]:
    """Guess a release from other signs, if the version is missing or invalid (docs/wire.md §1.3)."""
    if config.get("api_prefix"):
        return (5, 0)
    protocol = _text(config.get("protocol"))
    if protocol:
        return _PROTOCOL_RELEASES.get(protocol, (4, 22))
    if "app_id" in config:
        return (3, 42)
    if "space_id" in config:
        return (3, 36)
    dependencies = _objects(config.get("dependencies"))
    for key, release in _DEPENDENCY_RELEASES.items():
        if any(key in dependency for dependency in dependencies):
            return release
    for key, release in _CONFIG_RELEASES.items():
        if key in config:
            return release
    return (3, 0)


def _parse_components(config: JSONObject, app: AppConfig) -> dict[int, Component]:
    skipped = _SKIPPED_TYPES_3_37 if app.at_least(3, 37) else _SKIPPED_TYPES
    found: dict[int, Component] = {}
    for raw in _objects(config.get("components")):
        number, kind = _integer(raw.get("id")), _text(raw.get("type"))
        if number is not None:
            skip = raw.get("skip_api")
            found[number] = Component(
                number,
                kind or "unknown",
                _parse_props(_object(raw.get("props")), app),
                app.skips and (skip if isinstance(skip, bool) else kind.lower() in skipped),
            )
    return found


def _parse_props(props: JSONObject, app: AppConfig) -> JSONObject:
    label = _text(props.get("label"))
    if not is_translated(label):
        return props
    return {**props, "label": translate(label, app.raw.get("i18n_translations"))}


def _parse_endpoint(
    place: int, raw: JSONObject, components: Mapping[int, Component], app: AppConfig, info: JSONObject
) -> Endpoint:
    number, queue, kinds = _integer(raw.get("id")), raw.get("queue"), _object(raw.get("types"))
    name, fn_index = _parse_name(raw), place if number is None else number
    inputs = _find_components(raw.get("inputs"), components)
    outputs = _find_components(raw.get("outputs"), components)
    described = _find_endpoint_info(name, fn_index, inputs, info)
    typed = app.at_least(4, 0)
    backend = raw.get("backend_fn") is not False and kinds.get("cancel") is not True
    return Endpoint(
        name=name,
        fn_index=fn_index,
        parameters=_add_aliases(
            _parse_parameters(_objects(described.get("parameters")), inputs, typed=typed)
            if described
            else _derive_parameters(inputs, with_default=app.at_least(4, 23))
        ),
        returns=_parse_parameters(_objects(described.get("returns")), outputs, typed=typed)
        if described
        else _derive_parameters(outputs),
        inputs=inputs,
        outputs=outputs,
        queue=queue if isinstance(queue, bool) else app.at_least(4, 0) or app.enable_queue,
        backend_fn=backend,
        generator=_is_generator(kinds),
        batch=raw.get("batch") is True,
        cancels=_integers(raw.get("cancels")),
        connection="stream" if raw.get("connection") == "stream" else "sse",
        collects_event_data=raw.get("collects_event_data") is True,
        visibility=_parse_visibility(raw, listed=_is_listed(name, fn_index, info)),
        oauth_token=_OAUTH_TOKEN.get(_text(described.get("oauth_token"))),
        description=_text(described.get("description")) or _text(raw.get("api_description")),
        info_failure=app.info_failure,
        raw=raw,
    )


def _endpoint_info(name: str | None, fn_index: int, info: JSONObject) -> Any:
    key, number = ("named_endpoints", name) if name is not None else ("unnamed_endpoints", str(fn_index))
    return _object(info.get(key)).get(number)


def _is_listed(name: str | None, fn_index: int, info: JSONObject) -> bool:
    """Return whether ``/info`` lists an endpoint; without ``/info`` there is no list."""
    return not info or _endpoint_info(name, fn_index, info) is not None


def _find_endpoint_info(
    name: str | None, fn_index: int, inputs: Sequence[Component], info: JSONObject
) -> JSONObject:
    """Return the entry of an endpoint in ``/info``, or an empty one if it belongs to another of that name."""
    described = _object(_endpoint_info(name, fn_index, info))
    parameters = _drop_skipped(_objects(described.get("parameters")), inputs)
    return described if len(parameters) == sum(not slot.skipped for slot in inputs) else {}


def _is_generator(kinds: JSONObject) -> bool | None:
    """Return whether a function yields; None if the server does not report it (before 3.20)."""
    if "generator" not in kinds:
        return None
    return kinds["generator"] is True or kinds.get("continuous") is True


def _parse_name(raw: JSONObject) -> str | None:
    name = _text(raw.get("api_name")).strip("/")
    return f"/{name}" if name else None


def _parse_visibility(raw: JSONObject, *, listed: bool) -> Visibility:
    named = _VISIBILITIES.get(_text(raw.get("api_visibility")))
    if named is None and raw.get("api_name") is False:
        named = "private"
    if named is None:
        named = "undocumented" if raw.get("show_api") is False else "public"
    return "undocumented" if named == "public" and not listed else named


def _find_components(ids: Any, components: Mapping[int, Component]) -> tuple[Component, ...]:
    # Dangling ids keep their slot: the length of `data` must stay exact.
    return tuple(components.get(number, Component(number)) for number in _integers(ids))


def _parse_parameters(
    listed: list[JSONObject], slots: Sequence[Component], *, typed: bool
) -> tuple[Parameter, ...]:
    """Return the parameters or returns of an endpoint, as ``/info`` describes them.

    Args:
        listed: The list of ``/info``.
        slots: The components.
        typed: Whether its types are those of the wire. Before 4.0 they are those of Gradio's own client: a
            JSON file for JSON, a directory for a gallery.
    """
    visible = [(place, slot) for place, slot in enumerate(slots) if not slot.skipped]
    described = _drop_skipped(listed, slots)
    return tuple(
        _parse_parameter(raw if typed else _drop_types(raw), place, slot)
        for raw, (place, slot) in zip(described, visible, strict=False)
    )


def _derive_parameters(slots: Sequence[Component], *, with_default: bool = False) -> tuple[Parameter, ...]:
    """Derive the parameters from the components only, for servers or endpoints without ``/info``."""
    return tuple(
        _derive_parameter(place, slot, with_default=with_default)
        for place, slot in enumerate(slots)
        if not slot.skipped
    )


def _add_aliases(parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Give each unnamed parameter a second keyword from its label, if that is unique.

    Servers before 4.23 send only labels: neither config nor ``/info`` has the function's signature.
    """
    aliases = [_identifier(parameter.label) if parameter.is_numbered else "" for parameter in parameters]
    uses = Counter([*(parameter.name for parameter in parameters), *aliases])
    return tuple(
        attrs.evolve(parameter, alias=alias) if alias and uses[alias] == 1 else parameter
        for parameter, alias in zip(parameters, aliases, strict=True)
    )


def _identifier(label: str) -> str:
    """Return a label as a keyword, such as ``"top_k"`` for "Top K", or an empty string."""
    if len(label) > _LONGEST_ALIAS:
        return ""
    # Normalized, because Python does that with the keywords of a call (its reference, §2.3).
    text = unicodedata.normalize("NFKC", label).lower()
    words = re.findall(r"\w+", text)
    name = "_".join(words).strip("_")
    return name if name.isidentifier() and not keyword.iskeyword(name) else ""


def _derive_parameter(place: int, slot: Component, *, with_default: bool) -> Parameter:
    from .schema import python_type, schema_of

    schema = schema_of(slot.type, slot.props)
    value = slot.props.get("value")
    return Parameter(
        name=f"param_{place}",
        label=slot.label,
        schema=schema,
        python_type=python_type(schema),
        component=slot.type,
        has_default=with_default and value is not None,
        default=value if with_default else None,
    )


def _drop_skipped(described: list[JSONObject], slots: Sequence[Component]) -> list[JSONObject]:
    """Remove State, which ``/info`` of 3.26 to 3.36 describes like any input."""
    if len(described) != len(slots):
        return described
    return [parameter for parameter, slot in zip(described, slots, strict=True) if not slot.skipped]


def _drop_types(raw: JSONObject) -> JSONObject:
    return {key: value for key, value in raw.items() if key in ("label", "component", "example_input")}


def _parse_parameter(raw: JSONObject, place: int, slot: Component) -> Parameter:
    schema, python = _object(raw.get("type")), _object(raw.get("python_type"))
    python_type = _text(python.get("type")) or _text(raw.get("type_python"))
    if not schema or not python_type:
        derived = _derive_parameter(place, slot, with_default=False)
        schema, python_type = schema or derived.schema, python_type or derived.python_type
    return Parameter(
        name=_text(raw.get("parameter_name")) or f"param_{place}",
        label=_parse_label(raw, slot),
        schema=schema,
        python_type=python_type,
        description=_text(python.get("description")) or _text(raw.get("type_description")),
        component=_text(raw.get("component")) or slot.type,
        # Without the key (before 4.23) the server applies no defaults, even if the component shows one.
        has_default=raw.get("parameter_has_default") is True,
        default=raw.get("parameter_default"),
        example=raw.get("example_input"),
    )


def _parse_label(raw: JSONObject, slot: Component) -> str:
    """Return the label of ``/info``, or the component's if the page translates it."""
    label = _text(raw.get("label"))
    return slot.label if is_translated(label) else label or slot.label


def _mark_optional(parameters: Sequence[Parameter], slots: Sequence[Component]) -> tuple[Parameter, ...]:
    """Make an optional input of 2.x optional here, with null, which its server expects."""
    visible = [slot for slot in slots if not slot.skipped]
    return tuple(
        attrs.evolve(parameter, has_default=True) if slot.props.get("optional") is True else parameter
        for parameter, slot in zip(parameters, visible, strict=True)
    )


def _parse_interface(config: JSONObject) -> AppConfig:
    """Parse the config of 2.x: one Interface, one function (docs/wire.md §1.2)."""

    def components(key: str) -> tuple[Component, ...]:
        return tuple(
            Component(place, kind or "unknown", raw, kind in _SKIPPED_TYPES)
            for place, raw in enumerate(_objects(config.get(key)))
            for kind in (_text(raw.get("name")),)
        )

    version = _text(config.get("version")).strip()
    inputs, outputs = components("input_components"), components("output_components")
    endpoint = Endpoint(
        name="/predict",
        fn_index=0,
        parameters=_add_aliases(_mark_optional(_derive_parameters(inputs), inputs)),
        returns=_derive_parameters(outputs),
        inputs=inputs,
        outputs=outputs,
        queue=config.get("queue") is True,
        generator=False,
        description=_text(config.get("description")),
    )
    return AppConfig(
        version=version,
        release=parse_release(version) or ((2, 3) if "queue" in config else (2, 0)),
        title=_text(config.get("title")),
        enable_queue=config.get("queue") is True,
        endpoints=(endpoint,),
        raw=config,
    )
