# SPDX-License-Identifier: Apache-2.0
"""Writes the tables of docs/wire/ from the schemas of the messages, when the pages are built.

A page has a line ``% messages: GROUP``, or ``% shared objects``, in the place of its tables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from gradio_transport_conformance.wire import messages

Schema = Mapping[str, Any]

ROOT = Path(__file__).parents[1]

FILES = ROOT / "conformance" / "gradio_transport_conformance" / "wire" / "schemas"
"""What the pages are made from."""

MARK = re.compile(r"^% (?:messages: ([\w-]+)|shared objects)$", re.MULTILINE)

_HEAD = ("Field", "Type", "Gradio", "Meaning", "Source")

_BREAK = "\n\n"

_CODE = "https://github.com/gradio-app/gradio/blob"


def with_messages(page: str) -> str:
    """Return the text of a page with its tables in the place of the mark."""
    return MARK.sub(lambda found: _group(found[1]) if found[1] else _shared(), page)


def _group(group: str) -> str:
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FILES.glob("*.json"))}
    return "\n".join(_section(one) for one in found.values() if one.get("x-group") == group)


def _shared() -> str:
    return "\n".join(_section(one) for one in messages.shared().values())


def _section(found: Schema) -> str:
    """Return a message: who sends it and where, what it means, its fields, the sources."""
    return "\n\n".join(part for part in _section_parts(found) if part) + "\n"


def _section_parts(found: Schema) -> Iterator[str]:
    yield f"## {found['title']}"
    yield found["description"]
    yield "\n".join(_facts(found))
    forms = found.get("oneOf") or found.get("anyOf") or [found]
    for form in forms:
        if len(forms) > 1 and "title" in form:
            versions = messages.version_range(form)
            yield f"**{form['title'].capitalize()}**{f', Gradio {versions}' if versions else ''}:"
        yield from _tables(form, of_gradio="x-group" not in found or "x-since" in found)
        if not form.get("properties"):
            remark = f" {form['description']}" if form is not found and "description" in form else ""
            yield f"The value: {_type(form)}.{remark}"
    sources = ", ".join(map(_source, found.get("x-sources", ())))
    yield f"Sources: {sources}." if sources else ""


def _facts(found: Schema) -> Iterator[str]:
    if "x-from" not in found:
        return
    yield f"- From the {found['x-from']}: {_with_code(found['x-place'])}"
    versions = messages.version_range(found)
    if versions:
        yield f"- Gradio {versions}"
    name = found["$id"].rpartition("/")[2]
    yield f"- [JSON Schema](../../{FILES.relative_to(ROOT).as_posix()}/{name})"


def _with_code(place: str) -> str:
    """Return where a message is sent, with the requests as code."""
    return re.sub(r"((?:GET|POST|ws) [^\s,;:]+|\bP/\S+?(?=[,;]?(?:\s|$)))", r"`\1`", place)


def _tables(part: Schema, *, of_gradio: bool, path: str = "", within: str = "all") -> Iterator[str]:
    """Yield the table of an object's fields, and one for each object in it.

    Args:
        part: The object.
        of_gradio: Whether Gradio versions are shown.
        path: Where the object is in its message.
        within: The Gradio versions that have it, in words.
    """
    fields = part.get("properties", {})
    shown = [place for place, head in enumerate(_HEAD) if of_gradio or head != "Gradio"]
    if fields:
        rows = (_HEAD, ["---"] * len(_HEAD), *_rows(part, within))
        table = "\n".join(f"| {' | '.join(row[place] for place in shown)} |" for row in rows)
        yield f"{f'Fields of `{path}`:{_BREAK}' if path else ''}:::{{container}} fields\n{table}\n:::"
    for name, field in fields.items():
        for suffix, inner in _objects_in(field):
            versions = _short_range(inner) or _short_range(field) or within
            below = f"{path}.{name}{suffix}".removeprefix(".")
            yield from _tables(inner, of_gradio=of_gradio, path=below, within=versions)


def _rows(part: Schema, within: str) -> Iterator[Sequence[str]]:
    required = part.get("required", ())
    for name, field in part["properties"].items():
        always = name in required or field.get("x-required")
        kind = _type(field) if always else f"{_type(field)}, optional"
        yield (
            f"`{name}`",
            kind,
            _short_range(field) or within,
            field["description"],
            _source(field["x-source"]),
        )


def _short_range(part: Schema) -> str:
    """Return the Gradio versions that have a field, as short as a cell wants: 4.9+."""
    return messages.version_range(part).replace(" and later", "+")


def _objects_in(field: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield the schemas that a field's value may have, and what a path to them has behind its name."""
    yield "", field
    yield from (("", one) for one in field.get("anyOf", ()))
    items = field.get("items")
    if isinstance(items, dict):
        yield from (("[]", one) for one in (items, *items.get("anyOf", ()), *items.get("oneOf", ())))
    if isinstance(field.get("additionalProperties"), dict):
        yield ".*", field["additionalProperties"]


def _type(part: Schema) -> str:
    """Return the type of a value in words."""
    if "$ref" in part:
        return _link(part["$ref"])
    if "const" in part:
        return f"`{json.dumps(part['const'])}`"
    if "enum" in part:
        return _or([f"`{json.dumps(value)}`" for value in part["enum"]])
    for key in ("anyOf", "oneOf"):
        if key in part:
            return _or([_alternative(one) for one in part[key]])
    kinds = part.get("type", "any")
    return _or([_kind(kind, part) for kind in ([kinds] if isinstance(kinds, str) else kinds)])


def _alternative(part: Schema) -> str:
    remarks = [part["title"]] if "title" in part and "$ref" not in part else []
    versions = _short_range(part)
    remarks += [versions] if versions else []
    return f"{_type(part)} ({', '.join(remarks)})" if remarks else _type(part)


def _kind(kind: str, part: Schema) -> str:
    if kind == "array" and part.get("items"):
        return f"array of {_type(part['items'])}"
    return kind


def _or(kinds: Sequence[str]) -> str:
    return " or ".join(dict.fromkeys(kinds))


def _link(reference: str) -> str:
    """Return a link to the table of what a schema refers to."""
    name = reference.rpartition("/")[2].removesuffix(".json")
    if not reference.startswith(messages.SHARED):
        group = messages.schema(name)["x-group"]
        return f"[{name}]({group}.md#{name})"
    title = messages.shared()[name]["title"]
    return f"[{title}](shared.md#{title.replace(' ', '-')})"


def _source(source: str) -> str:
    """Return a link to a file of Gradio at a release, or to a page."""
    if source.startswith("https:"):
        return f"[{urlsplit(source).hostname}]({source})"
    tag, _, file = source.partition(":")
    version = re.sub(r"^(v|gradio@)", "", tag)
    return f"[{version} {file.rpartition('/')[2]}]({_CODE}/{quote(tag)}/{file})"
