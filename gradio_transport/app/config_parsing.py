# SPDX-License-Identifier: Apache-2.0
"""Parsing of ``/config``, ``/info`` and the page of any Gradio version into an `AppConfig`."""

from __future__ import annotations

import itertools
import json
import re
from collections import ChainMap
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, cast

import attrs

from ..errors import NotAGradioApp, Phase, excerpt
from ..protocol.urls import without_userinfo
from .config import AppConfig, Component, Endpoint, EndpointList, JSONObject
from .endpoint_parsing import SKIPPED_TYPES, EndpointParser, UnparsedComponents, UnparsedDependency
from .json_fields import to_integer, to_object, to_objects, to_text
from .parameter_parsing import derive_parameters, with_aliases, with_optional
from .translations import translate

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


def _size(value: Any) -> int | None:
    size = to_integer(value)
    return None if size is None or size < 0 else size


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
    keys = to_object(value)
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
    config = to_object(raw)
    if "dependencies" not in config:
        return _parse_interface(config)
    version = to_text(config.get("version")).strip()
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

    They are parsed when they are first used. No endpoint makes that fail, however malformed it is.

    Raises:
        NotAGradioApp: It has more functions, inputs and outputs than any app.
    """
    if "dependencies" not in app.raw:
        return app
    dependencies = to_objects(app.raw.get("dependencies"))
    slots = _count_slots(dependencies)
    if slots > _MAX_SLOTS:
        raise NotAGradioApp(
            f"The config names {slots:,} functions, inputs and outputs; the limit is {_MAX_SLOTS:,}. Check "
            "the URL.",
            phase=Phase.DISCOVER,
        )
    described: JSONObject | None = info if _is_info(info) else None
    components = UnparsedComponents(app.raw, app)
    parser = EndpointParser(app, components, described or {})
    endpoints = [UnparsedDependency(place, raw, parser) for place, raw in enumerate(dependencies)]
    return attrs.evolve(app, info=described, endpoints=EndpointList(endpoints), components=components)


def _is_info(info: Any) -> bool:
    """Return whether a JSON value has the form of ``/info``: endpoints in two groups, one optional."""
    groups = [to_object(info).get(group, {}) for group in ("named_endpoints", "unnamed_endpoints")]
    return any(groups) and all(isinstance(group, dict) for group in groups)


def with_rendered(app: AppConfig, *drawn: JSONObject) -> AppConfig:
    """Return the config of a session after ``gr.render`` (4.31+, docs/wire.md §1.7).

    Parts of the app with the same ``render_id`` are replaced. The new endpoints exist only for that session.

    Args:
        app: The config.
        drawn: The render results, each with its own ``render_id``. Only the first ones are used, up to the
            limit.
    """
    components: dict[int, Component] = {}
    by_id = ChainMap(components, cast("MutableMapping[int, Component]", app.components))
    endpoints: dict[int, Endpoint] = {}
    numbers: set[int | None] = set()
    slots = 0
    for rendered in drawn:
        dependencies = to_objects(rendered.get("dependencies"))
        slots += _count_slots(dependencies)
        if slots > _MAX_SLOTS:
            break
        numbers.add(to_integer(rendered.get("render_id")))
        components |= UnparsedComponents(rendered, app)
        parser = EndpointParser(app, by_id)
        # Parsed at once, because a later drawing may replace the components.
        for place, raw in enumerate(dependencies):
            endpoint = UnparsedDependency(place, raw, parser).parse()
            endpoints[endpoint.fn_index] = endpoint
    numbers.discard(None)
    kept = [
        one
        for one in app.endpoints.outlines
        if one.fn_index not in endpoints and to_integer(one.raw.get("rendered_in")) not in numbers
    ]
    return attrs.evolve(app, endpoints=EndpointList([*kept, *endpoints.values()]), components=by_id)


def _count_slots(dependencies: Sequence[JSONObject]) -> int:
    slots = len(dependencies)
    for raw in dependencies:
        for key in ("inputs", "outputs"):
            ids = raw.get(key)
            if isinstance(ids, list):
                slots += len(cast("list[object]", ids))
    return slots


def _parse_scalars(config: JSONObject) -> dict[str, Any]:
    return {
        "protocol": to_text(config.get("protocol")) or None,
        "api_prefix": _api_prefix(to_text(config.get("api_prefix"))),
        "root": without_userinfo(to_text(config.get("root"))),
        "title": translate(to_text(config.get("title")), config.get("i18n_translations")),
        "space_id": to_text(config.get("space_id")) or None,
        "username": to_text(config.get("username")) or None,
        "app_id": to_integer(config.get("app_id")),
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
    protocol = to_text(config.get("protocol"))
    if protocol:
        return _PROTOCOL_RELEASES.get(protocol, (4, 22))
    if "app_id" in config:
        return (3, 42)
    if "space_id" in config:
        return (3, 36)
    dependencies = to_objects(config.get("dependencies"))
    for key, release in _DEPENDENCY_RELEASES.items():
        if any(key in dependency for dependency in dependencies):
            return release
    for key, release in _CONFIG_RELEASES.items():
        if key in config:
            return release
    return (3, 0)


def _parse_interface(config: JSONObject) -> AppConfig:
    """Parse the config of 2.x: one Interface, one function (docs/wire.md §1.2)."""

    def components(key: str) -> tuple[Component, ...]:
        return tuple(
            Component(place, kind or "unknown", raw, kind in SKIPPED_TYPES)
            for place, raw in enumerate(to_objects(config.get(key)))
            for kind in (to_text(raw.get("name")),)
        )

    version = to_text(config.get("version")).strip()
    inputs, outputs = components("input_components"), components("output_components")
    endpoint = Endpoint(
        name="/predict",
        fn_index=0,
        parameters=with_aliases(with_optional(derive_parameters(inputs), inputs)),
        returns=derive_parameters(outputs),
        inputs=inputs,
        outputs=outputs,
        queue=config.get("queue") is True,
        generator=False,
        description=to_text(config.get("description")),
    )
    return AppConfig(
        version=version,
        release=parse_release(version) or ((2, 3) if "queue" in config else (2, 0)),
        title=to_text(config.get("title")),
        enable_queue=config.get("queue") is True,
        endpoints=(endpoint,),
        raw=config,
    )
