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

FILES = Path(messages.__file__).parent / "schemas"
"""What the pages are made from."""

MARK = re.compile(r"^% (?:messages: ([\w-]+)|shared objects)$", re.MULTILINE)

_HEAD = ("Field", "Type", "Gradio", "Meaning", "Source")

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
        rows = list(_rows(form))
        yield _table(rows, of_gradio="x-group" not in found or "x-since" in found) if rows else ""
        if not rows and "properties" not in form:
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


def _table(rows: Sequence[Sequence[str]], *, of_gradio: bool) -> str:
    """Return a table of fields; without the versions where they are not of Gradio."""
    lines = [_HEAD, ["---"] * len(_HEAD), *rows]
    return "\n".join(
        f"| {' | '.join(cell for cell, head in zip(line, _HEAD, strict=True) if of_gradio or head != 'Gradio')} |"
        for line in lines
    )


def _rows(part: Schema, path: str = "") -> Iterator[Sequence[str]]:
    """Yield the rows of an object's fields, each followed by those of the objects in it."""
    required = part.get("required", ())
    for name, field in part.get("properties", {}).items():
        always = name in required or field.get("x-required")
        kind = _type(field) if always else f"{_type(field)}, optional"
        versions = messages.version_range(field) or "all"
        yield f"`{path}{name}`", kind, versions, field["description"], _source(field["x-source"])
        yield from _rows(field, f"{path}{name}.")
        for alternative in field.get("anyOf", ()):
            yield from _rows(alternative, f"{path}{name}.")
        if isinstance(field.get("items"), dict):
            yield from _rows(field["items"], f"{path}{name}[].")
            for alternative in (*field["items"].get("anyOf", ()), *field["items"].get("oneOf", ())):
                yield from _rows(alternative, f"{path}{name}[].")
        if isinstance(field.get("additionalProperties"), dict):
            yield from _rows(field["additionalProperties"], f"{path}{name}.\\*.")


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
    versions = messages.version_range(part)
    kind = f"{_type(part)}" if "title" not in part or "$ref" in part else f"{_type(part)} ({part['title']})"
    return f"{kind} ({versions})" if versions else kind


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
