# SPDX-License-Identifier: Apache-2.0
"""Reads the schemas of the wire, whole or for one Gradio version."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final, TypeAlias, cast

Schema: TypeAlias = dict[str, Any]

SHARED: Final = "common"
"""The file with the parts that several messages have in common."""

GROUPS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "discovery": "Config, API info and login",
        "direct": "Direct calls",
        "polling": "The polling queue",
        "websocket": "The websocket",
        "sse": "Server-sent events",
        "messages": "Queue messages",
        "simple-api": "The simple API",
        "control": "Cancel, streaming inputs and heartbeat",
        "files": "Uploads",
        "chat": "Chat completions",
    }
)
"""The groups of messages (``x-group``), each with its title. Each is a page of docs/wire/."""

_LISTS: Final = ("anyOf", "oneOf")
_PLACES: Final = ("items", "additionalProperties")


def names(gradio: str | None = None) -> list[str]:
    """Return the names of the messages, or of those that a Gradio version sends or takes.

    Raises:
        LookupError: `gradio` is not one version.
    """
    if gradio is None:
        return list(_files())
    version = _version(gradio)
    return [name for name, found in _files().items() if "x-since" in found and _is_in(found, version)]


def schema(name: str, gradio: str | None = None) -> Schema:
    """Return the JSON Schema of a message. Other files that it refers to are put into its ``$defs``.

    Args:
        name: The message, as `names` has it.
        gradio: A Gradio version, such as ``"4.44.1"``. The schema then has only the fields of that version,
            and requires those that it always sends. None: the schema matches messages of all versions.

    Raises:
        LookupError: There is no such message, or that version does not have it. The text lists the choices.
    """
    files = _files()
    if name not in files:
        raise LookupError(f"There is no message {name!r}. The messages are: {', '.join(files)}.")
    if gradio is not None and name not in names(gradio):
        whose = version_range(files[name])
        whose = f"Gradio {whose}" if whose else "OpenAI-compatible servers only"
        raise LookupError(f"Gradio {gradio} has no message {name!r}: it exists in {whose}.")
    return _bundle(files[name], None if gradio is None else _version(gradio))


def shared() -> dict[str, Schema]:
    """Return the schemas of the parts that several messages have in common, by name."""
    return cast("dict[str, Schema]", json.loads(_text(SHARED))["$defs"])


def version_range(part: Mapping[str, Any]) -> str:
    """Return the Gradio versions that have a message, a field or a form, in words; empty: all.

    Args:
        part: A schema, with or without ``x-since`` and ``x-until``.
    """
    since, until = part.get("x-since", ""), part.get("x-until", "")
    if since and until:
        return since if since == until else f"{since} to {until}"
    return f"{since} and later" if since else f"up to {until}" if until else ""


@cache
def _files() -> dict[str, Schema]:
    folder = resources.files(__name__.rpartition(".")[0]) / "schemas"
    stems = sorted(one.name.removesuffix(".json") for one in folder.iterdir() if one.name.endswith(".json"))
    return {stem: json.loads(_text(stem)) for stem in stems if stem != SHARED}


def _text(name: str) -> str:
    return (resources.files(__name__.rpartition(".")[0]) / "schemas" / f"{name}.json").read_text("utf-8")


def _version(gradio: str) -> tuple[int, ...]:
    """Return the numbers of a version that a caller names.

    Raises:
        LookupError: It is not one version.
    """
    # "3" would mean 3.0, which had few of the messages of 3.x.
    if re.match(r"\d+\.\d", gradio) is None:
        raise LookupError(f"{gradio!r} is not one Gradio version. Pass a full one, such as 3.50.2.")
    return _parse(gradio)


def _parse(gradio: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", gradio)[:3])


def _is_in(part: Mapping[str, Any], version: tuple[int, ...]) -> bool:
    """Return whether a version has a part. ``x-until`` "4.10" includes 4.10.1, and "3" all of 3.x."""
    since, until = _parse(part.get("x-since", "")), _parse(part.get("x-until", ""))
    return version >= since and (not until or version[: len(until)] <= until)


def _bundle(found: Schema, version: tuple[int, ...] | None) -> Schema:
    """Return a copy without references to other files, for one version if one is given."""
    defs: dict[str, Schema] = {}

    def point_inside(part: Any) -> Any:
        if isinstance(part, list):
            return [point_inside(one) for one in cast("list[Any]", part)]
        if not isinstance(part, dict):
            return part
        copy = {key: point_inside(one) for key, one in cast("Schema", part).items()}
        if isinstance(copy.get("$ref"), str):
            target = copy["$ref"].rpartition("/")[2].removesuffix(".json")
            copy["$ref"] = f"#/$defs/{target}"
            if target not in defs:
                defs[target] = {}  # before its own references are followed
                defs[target] = point_inside(of_version(_referred(target)))
        return copy

    def of_version(part: Schema) -> Schema:
        return part if version is None else _of_version(part, version)

    bundled = point_inside(of_version(found))
    return {**bundled, "$defs": dict(sorted(defs.items()))} if defs else bundled


def _referred(target: str) -> Schema:
    whole = _files().get(target) or shared()[target]
    return {key: value for key, value in whole.items() if key not in ("$schema", "$id")}


def _of_version(part: Schema, version: tuple[int, ...]) -> Schema:
    """Return a schema without the parts of other versions."""
    kept = dict(part)
    if "properties" in part:
        there = {name: one for name, one in part["properties"].items() if _is_in(one, version)}
        kept["properties"] = {name: _of_version(one, version) for name, one in there.items()}
        always = [name for name, one in there.items() if one.get("x-required")]
        kept["required"] = [*part.get("required", ()), *always]
    for key in _LISTS:
        if key in part:
            kept[key] = [_of_version(one, version) for one in part[key] if _is_in(one, version)]
    for key in _PLACES:
        if isinstance(part.get(key), dict):
            kept[key] = _of_version(part[key], version)
    return kept


def parts(found: Schema) -> Iterator[Schema]:
    """Yield a schema and every schema within it."""
    yield found
    inner: list[Any] = [*found.get("properties", {}).values(), *found.get("$defs", {}).values()]
    for key in _LISTS:
        inner += found.get(key, [])
    inner += [found[key] for key in _PLACES if isinstance(found.get(key), dict)]
    for one in inner:
        yield from parts(one)


__all__ = ["GROUPS", "SHARED", "Schema", "names", "parts", "schema", "shared", "version_range"]
