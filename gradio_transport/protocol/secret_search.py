# SPDX-License-Identifier: Apache-2.0
"""Search for possible secrets in a text: by the name of the value, by its place in a URL, by its form.

Why on texts instead of JSON values: most texts are parts of JSON, JSON inside JSON, or not JSON. The
replacement of a secret keeps JSON valid: a text stays a text, a number a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from .known_secrets import REDACTED, Span, replace_spans
from .secret_forms import FORMS, STEMS, Form, is_secret_name, is_text_name, shortest_secret

_NAME_CHARACTERS = 64

_MEMBER = re.compile(rf"""(["'])([^"'\\\n]{{1,{_NAME_CHARACTERS}}})(\\{{0,7}})\1\s{{0,64}}:\s{{0,64}}""")
"""The key of a member, in quotes that are escaped once per level of JSON inside JSON."""

_TEXTS = re.compile(r"""[\[\s]{0,64}b?\\{0,7}["']""")
"""The start of a string or of a list of strings."""

_TOKEN = re.compile(r"""\\+|["'\n]""")
_NUMBER = re.compile(r"-?\d[\d.eE+-]*")
_IN_LIST = re.compile(r"""(?<!\\)\\*+["']|[][{}\n]|-?\d[\d.eE+-]*""")

_OBJECT_CHARACTERS = 2000
"""The longest object under a secret name. In a longer one, the members' own names decide."""

_SCHEMA_KEYS = frozenset({"type", "$ref", "anyOf", "allOf", "title"})
"""An object with one of these keys describes a value, such as a JSON schema of a form."""

_LEVELS = range(4)
"""The most levels of percent-encoding: ``%3A``, ``%253A``, ..."""

_PARAMETER = re.compile(
    r"(?:[?&;#]|%(?:25){0,3}(?:3[Ff]|26|3[Bb]|23)|\\u0026|\\u003[fF])([\w.~%+\-\[\]]{1,48}?)"
    # Such as in `?token='abc'`. A quote that ends a string of JSON has no letter behind it.
    r"""(?:=(?:\\{0,7}["'](?=\w))?|%((?:25){0,3})3[Dd]|\\u003[dD])"""
)
_VALUE = re.compile(r"""(?:[^&#\s"'<>\\]|\\++/)*+""")
_ENCODED_VALUES = [
    re.compile(rf"""(?:(?!%(?:25){{0,{level}}}(?:2[236]|3[CcEe]|5[Cc]))[^&#\s"'<>\\])*+""")
    for level in _LEVELS
]

_SLASHES = r"(?:\\*+/|\\++u002[fF]|&#x2[fF];|&#47;|&sol;){2,}+"
_URL_START = re.compile(
    rf"""(?:(?::|\\u003[aA]|&#x3[aA];|&#58;)|(?P<without_scheme>^|(?<=["'(=,]))){_SLASHES}"""
)
"""The text before a user. Each spelling of a slash ends a user, so no text is read twice."""

# A quote belongs to it unless it ends a string of JSON; a backslash, unless it begins an escaped line end,
# slash, or what else ends it.
_ESCAPED = r"""
    | & (?! \#x2[fF]; | \#47; | sol; )
    | \\{0,7} " (?! [\s,:;)\]}\\<>] | $ )
    | \\++ (?! [/nrtu"'] )
    | (?:\\\\)++ (?= [nrt] )
    | \\++ u (?! 00 (?: [01] | 2[02379fF] | 3[cCeEfF] ) ) [0-9a-fA-F]{4}
"""
_QUOTE = r"""| \\{0,7} ' (?! [\s,:;)\]}\\<>] | $ )"""
_USER_INFO = re.compile(
    # A password may have what ends all else: angles, quotes. But `host:80'` and `host:80<` are no password.
    rf"""
    (?: (?: [^@:/?\#\s"'\\<>&] {_ESCAPED} {_QUOTE} )*+ : (?! \d*+ \\*+ ["'<>] )
        (?: [^@/?\#\s"'\\&] {_ESCAPED} | \\{{0,7}} ' (?! \s | $ ) )*+ @ )?+
    (?: (?: [^@/?\#\s"'\\<>&] {_ESCAPED} {_QUOTE} )*+ @ )*+
    """,
    re.VERBOSE,
)
_ENCODED_USER_INFO = [
    (
        f"%{percent}40",
        re.compile(
            rf"%{percent}3[Aa](?:%{percent}2[Ff]){{2,}}+"
            rf"((?:(?:(?!%(?:25){{0,{level}}}(?:0[ADad]|2[0-3Ff]|3[Ff]|40))[^&\s\"'<>\\/?#])*+%{percent}40)++)"
        ),
    )
    for level, percent in ((level, "25" * level) for level in _LEVELS)
]

_ALIAS = re.compile(r"session-\d+")
_REDACTED_NUMBER = re.compile(r"-?[9.eE+-]+")


class Found(NamedTuple):
    """A secret in a text, and its replacement.

    Attributes:
        what: A readable description.
        text: The secret.
    """

    start: int
    end: int
    replacement: str
    what: str
    text: str

    @property
    def span(self) -> Span:
        """The span to replace."""
        return Span(self.start, self.end, self.replacement)


def redacted_number(text: str) -> str:
    """Return a number of the same length that reveals nothing of the original."""
    return re.sub(r"\d", "9", text)


# --- by name ---------------------------------------------------------------------------------------------


def find_members(text: str, is_secret: Callable[[str], bool] = is_secret_name) -> Iterator[Found]:
    """Yield the values with the name of a secret in a text of JSON or of Python's repr."""
    place, read, ended = 0, 0, frozenset[int]()
    for start in _possible_keys(text):
        member = _MEMBER.match(text, start) if start >= place else None
        if member is None or not is_secret(member[2]):
            continue
        place = member.end()
        if is_text_name(member[2]) and not _TEXTS.match(text, place):
            continue
        what, escape = f"a value named {member[2]!r}", member[3]
        if text.startswith(("[", "{"), place):
            if place >= read or place in ended:
                found, end, inner = _in_container(text, place, what)
                yield from found
                if inner is None:
                    place = end
                else:
                    read, ended, place = end, inner, place + 1
        elif (string := _string_at(text, place, escape)) is not None:
            begin, end = string
            if _is_token_of_text(member[2], text, end):
                continue
            if text[begin:end] not in ("", REDACTED):
                yield Found(begin, end, REDACTED, what, text[begin:end])
            place = end
        elif (number := _NUMBER.match(text, place)) is not None:
            place = number.end()
            if not _REDACTED_NUMBER.fullmatch(number[0]):
                yield Found(number.start(), place, redacted_number(number[0]), what, number[0])


def _possible_keys(text: str) -> list[int]:
    """Return the starts of keys that may be names of secrets: the quotes before a part of such a name."""
    lowered = text.replace("İ", "I").lower()  # to keep the length: only that letter would become two
    places: set[int] = set()
    for stem in STEMS:
        found = lowered.find(stem)
        while found >= 0:
            first = max(0, found - _NAME_CHARACTERS)
            places.add(max(text.rfind('"', first, found), text.rfind("'", first, found)))
            found = lowered.find(stem, found + len(stem))
    places.discard(-1)
    return sorted(places)


def _is_token_of_text(name: str, text: str, end: int) -> bool:
    """Return whether a ``token`` is a part of gr.HighlightedText, not a secret."""
    return name == "token" and "class_or_confidence" in text[end : end + 40]


def _string_at(text: str, place: int, escape: str) -> tuple[int, int] | None:
    """Return the start and end of a string's content, for quotes with a level of escaping."""
    if text.startswith("b", place):  # of Python's bytes
        place += 1
    start = place + len(escape)
    if not text.startswith(escape, place) or text[start : start + 1] not in ('"', "'"):
        return None
    return start + 1, _string_end(text, start + 1, text[start], len(escape))


def _string_end(text: str, place: int, quote: str, escapes: int) -> int:
    """Return the end of a string's content: before its closing quote, or where the text breaks off.

    Inside, a backslash is written as twice as many as there are before the quotes, and two; and a quote has
    so many and one more before it.
    """
    run = 0
    for token in _TOKEN.finditer(text, place):
        if token[0][0] == "\\":
            run, after = len(token[0]), token.end()
            if text[after : after + 1] != quote:
                run = 0
        elif token[0] == "\n":
            return token.start()
        elif token[0] == quote:
            if run < escapes or run % (2 * (escapes + 1)) == escapes:
                return token.start() - min(run, escapes)
            run = 0
    return len(text)


def _in_container(text: str, start: int, what: str) -> tuple[list[Found], int, frozenset[int] | None]:
    """Return the secrets in the list or object under a secret name, and the end of the read part.

    A schema or a large object is skipped: its members have their own names. Of what it holds up to there, the
    third value says what ended, and may be read again: once, to its end. To read again what did not would
    take the square of its length.
    """
    found: list[Found] = []
    opened: list[int] = []
    ended: list[int] = []
    place = start
    is_object = text[start] == "{"
    while (token := _IN_LIST.search(text, place)) is not None:
        place = token.end()
        mark = token[0]
        if is_object and place - start > _OBJECT_CHARACTERS:
            return [], place, frozenset(ended)
        if mark in "[{":
            opened.append(token.start())
        elif mark in "]}":
            ended.append(opened.pop())
            if not opened:
                return found, place, None
        elif mark[-1] in "\"'":
            end = _string_end(text, place, mark[-1], len(mark) - 1)
            content, place = text[token.end() : end], min(len(text), end + len(mark))
            if text[place : place + 8].lstrip().startswith(":"):
                if content in _SCHEMA_KEYS:
                    return [], place, frozenset(ended)
            elif content not in ("", REDACTED):
                found.append(Found(token.end(), end, REDACTED, what, content))
        elif mark != "\n" and not _REDACTED_NUMBER.fullmatch(mark):
            found.append(Found(token.start(), place, redacted_number(mark), what, mark))
    return found, len(text), None


# --- by place in a URL -----------------------------------------------------------------------------------


def find_parameters(text: str) -> Iterator[Found]:
    """Yield the values of parameters of URLs that have the name of a secret."""
    place = 0
    while (parameter := _PARAMETER.search(text, place)) is not None:
        place = parameter.end()
        shortest = shortest_secret(parameter[1])
        if not shortest or text.startswith(REDACTED, place):
            continue
        # Only now: a value can hold other parameters. One that is read to its end is not read again.
        encoded = parameter[2]
        value = (_VALUE if encoded is None else _ENCODED_VALUES[len(encoded) // 2]).match(text, place)
        if value is not None and len(value[0]) >= shortest and not _ALIAS.fullmatch(value[0]):
            place = value.end()
            yield Found(value.start(), place, REDACTED, f"a parameter {parameter[1]!r} of a URL", value[0])


_USER_INFO_FOUND = "user and password of a URL"


def find_user_info(text: str) -> Iterator[Found]:
    """Yield user and password of URLs."""
    for start in _URL_START.finditer(text):
        found = _USER_INFO.match(text, start.end())
        # Without a scheme, `//me@you` is a remark or a path.
        if found is not None and found[0] and (start["without_scheme"] is None or ":" in found[0]):
            yield Found(found.start(), found.end(), "", _USER_INFO_FOUND, found[0])


def find_encoded_user_info(text: str, pattern: re.Pattern[str]) -> Iterator[Found]:
    """Yield user and password of URLs that are percent-encoded at the level of a pattern."""
    for found in pattern.finditer(text):
        yield Found(found.start(1), found.end(1), "", _USER_INFO_FOUND, found[1])


# --- by form ---------------------------------------------------------------------------------------------


def find_form(text: str, form: Form) -> Iterator[Found]:
    """Yield texts with a form of secrets."""
    group = form.pattern.groups
    for found in form.pattern.finditer(text):
        if form.check is None or form.check(found[group]):
            yield Found(found.start(group), found.end(group), REDACTED, form.name, found[group])


_MARKED = [(mark, form) for form in FORMS for mark in form.marks]

# --- all of them -----------------------------------------------------------------------------------------


def take_out(text: str, is_secret: Callable[[str], bool] = is_secret_name) -> tuple[str, list[Found]]:
    """Return a text without possible secrets, and the removed ones.

    Args:
        text: Any text.
        is_secret: Returns whether the name of a member means a secret.
    """
    searches: list[Callable[[str], Iterator[Found]]] = [partial(find_members, is_secret=is_secret)]
    if "=" in text or "3D" in text or "3d" in text:
        searches.append(find_parameters)
    if "@" in text:
        searches.append(find_user_info)
    # One by one, because the results of two of them can overlap.
    searches += [
        partial(find_encoded_user_info, pattern=pattern)
        for mark, pattern in _ENCODED_USER_INFO
        if mark in text
    ]
    # Rare marks are searched first, and each possible form only once.
    forms = dict.fromkeys(form for mark, form in _MARKED if mark in text)
    searches += [partial(find_form, form=form) for form in forms]
    taken: list[Found] = []
    for search in searches:
        found = list(search(text))
        if found:
            taken += found
            text = replace_spans(text, (one.span for one in found))
    return text, taken


__all__ = ["Found", "find_members", "redacted_number", "take_out"]
