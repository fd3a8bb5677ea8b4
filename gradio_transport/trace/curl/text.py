# SPDX-License-Identifier: Apache-2.0
"""Texts of a trace as words and comments of a POSIX shell.

A trace may come from a hostile server or client. A word is single-quoted, which only a single quote can end;
a comment is one line. So the shell never runs a text of a trace as code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import quote

import attrs

from ...errors import STEERING, one_line
from ...protocol.known_secrets import REDACTED

LONGEST_COMMENT = 160
"""Characters of a text of the trace in a comment."""

_URL_CHARACTERS = "%/:?#[]@!$&'()*+,;=~-._"

_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
"""A string of a JSON text. Without its end too, so that no text is scanned twice."""

_CANNOT_BE_QUOTED = re.compile(r"[\x00\ud800-\udfff]")


@attrs.frozen
class Variable:
    """A variable of the script in a text.

    Attributes:
        name: Its name.
        filter: The shell function that escapes its value, if it needs one.
    """

    name: str
    filter: str = ""

    def word(self) -> str:
        """Return it as a part of a word."""
        return f'"$({self.filter} "${self.name}")"' if self.filter else f'"${self.name}"'


Part: TypeAlias = str | Variable


def quoted(text: str) -> str:
    """Return text as one word that the shell takes literally."""
    return "'" + _CANNOT_BE_QUOTED.sub("?", text).replace("'", "'\\''") + "'"


def word(parts: Iterable[Part]) -> str:
    """Return parts as one word."""
    pieces: list[str] = []
    literal = ""
    for part in parts:
        if isinstance(part, str):
            literal += part
            continue
        if literal:
            pieces.append(quoted(literal))
        pieces.append(part.word())
        literal = ""
    if literal or not pieces:
        pieces.append(quoted(literal))
    return "".join(pieces)


def comment(text: str) -> str:
    """Return a text of the trace for a comment: one bounded line that does not steer a terminal."""
    line = one_line(text[: 4 * LONGEST_COMMENT])
    return line if len(line) <= LONGEST_COMMENT else f"{line[:LONGEST_COMMENT]}…"


def json_comment(value: Any) -> str:
    """Return a value as JSON for a comment."""
    return comment(json.dumps(value, ensure_ascii=False, default=repr))


@attrs.frozen
class Replacements:
    """The parts of a recorded request that are variables of the script.

    Attributes:
        session: The recorded session hash.
        event: The recorded event id of the call, if it has one.
        base: The recorded address of the app, and the variable for it.
        paths: Path of an uploaded file on the recorded server -> the variable for its path on this one.
        secret: Returns the variable for a text that was redacted.
    """

    session: str
    event: str
    base: tuple[str, Variable]
    paths: Mapping[str, Variable]
    secret: Callable[[], Variable]


SESSION = Variable("session")
EVENT = Variable("event")


def url_parts(url: str, replacements: Replacements) -> list[Part] | None:
    """Return a URL below the app's address, or None if it is not below it."""
    base, variable = replacements.base
    if not base or not (url == base or url.startswith((f"{base}/", f"{base}?"))):
        return None
    return [variable, *_named(quote(url[len(base) :], safe=_URL_CHARACTERS, errors="replace"), replacements)]


def _named(text: str, replacements: Replacements) -> list[Part]:
    """Return text with the session hash and the event id replaced where a URL has them."""
    parts: list[Part] = [text]
    for marker, value, variable in (
        ("session_hash=", replacements.session, SESSION),
        ("/", replacements.event, EVENT),
        ("event_id=", replacements.event, EVENT),
    ):
        if value:
            parts = [piece for part in parts for piece in _split(part, marker, value, variable)]
    return parts


def _split(part: Part, marker: str, value: str, variable: Variable) -> Sequence[Part]:
    if isinstance(part, Variable):
        return [part]
    found: list[Part] = []
    pieces = part.split(marker + value)
    for number, piece in enumerate(pieces):
        if number:
            found += [marker, variable]
        found.append(piece)
    return found


def body_parts(body: bytes, replacements: Replacements) -> list[Part]:
    """Return a JSON body with what belongs to the recorded run replaced."""
    text = body.decode("utf-8", "replace")
    return list(_body_parts(text, replacements))


def _body_parts(text: str, replacements: Replacements) -> Iterator[Part]:
    place = 0
    key = previous = ""
    for found in _JSON_STRING.finditer(text):
        between = text[place : found.start()]
        yield STEERING.sub(" ", between)
        place = found.end()
        key = previous if between.strip() == ":" else ""
        previous = _decoded(found[0])
        yield from _string_parts(found[0], previous, key, replacements)
    yield STEERING.sub(" ", text[place:])


def _string_parts(token: str, value: str, key: str, replacements: Replacements) -> Iterator[Part]:
    base, base_variable = replacements.base
    session, event = replacements.session, replacements.event
    if key in ("session_hash", "event_id") and session and (value + "-").startswith(session + "-"):
        yield from ('"', SESSION, f'{_encoded(value[len(session) :])}"')
    elif key == "event_id" and event and value == event:
        yield from ('"', EVENT, '"')
    elif value == REDACTED:
        yield from ('"', attrs.evolve(replacements.secret(), filter="json_text"), '"')
    elif key == "url" and base and value.startswith(f"{base}/"):
        yield from ('"', base_variable, *_with_paths(value[len(base) :], replacements), '"')
    elif value in replacements.paths:
        yield from ('"', replacements.paths[value], '"')
    else:
        yield STEERING.sub(_json_escape, token)


def _with_paths(text: str, replacements: Replacements) -> Iterator[Part]:
    for path, variable in replacements.paths.items():
        if text.endswith(path):
            yield from (_encoded(text.removesuffix(path)), variable)
            return
    yield _encoded(text)


def _decoded(token: str) -> str:
    try:
        value = json.loads(token, strict=False)
    except ValueError:
        return ""
    return value if isinstance(value, str) else ""


def _encoded(text: str) -> str:
    return STEERING.sub(_json_escape, json.dumps(text, ensure_ascii=False)[1:-1])


def _json_escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


__all__ = [
    "EVENT", "SESSION", "Part", "Replacements", "Variable", "body_parts", "comment", "json_comment", "quoted",
    "url_parts", "word",
]  # fmt: skip
