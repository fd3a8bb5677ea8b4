# SPDX-License-Identifier: Apache-2.0
"""The arguments after the endpoint: values by position, ``name=value``, or a JSON file.

The meaning of a word depends only on how you type it, never on what the server says about its parameters:
``@PATH`` is a file, ``@@text`` is a text that begins with ``@``, and after ``--`` every word is a literal
value. See `files`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

import click

from ..app.config import AppConfig, Endpoint, Parameter
from ..errors import ValidationFailed, did_you_mean, list_texts
from ..files.inputs import holds_files
from ..files.paths import takes_files, wants_files
from ..files.shapes import check_shapes
from .coerce import CoercionError, coerce, strict_json
from .failures import Misuse
from .files import MARK, file_argument, json_argument, refuse_text

LITERAL = "\0"
"""Marks a word as a literal value. No word of a command line can contain this character."""

_NEGATIVE_NUMBER = re.compile(r"-\.?[0-9]")


class Arguments(click.Command):
    """A command whose values may be negative numbers, and any text after ``--``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Mark the values that click would read as options.

        Why not click's ``ignore_unknown_options``: it would also accept misspelt options as values.

        Raises:
            UsageError: An option is unknown. If it stands among the values, the message says how to pass it
                as one.
        """
        words = list(self._mark_literals(args))
        try:
            return super().parse_args(ctx, words.copy())
        except click.NoSuchOption as error:
            if not self._stands_among_values(ctx, words):
                raise
            hint = "To pass a value that begins with -, put -- before the values."
            raise click.UsageError(f"{error.format_message()} {hint}", error.ctx) from None

    def _stands_among_values(self, ctx: click.Context, words: list[str]) -> bool:
        """Return whether the first unknown option comes after the arguments that are not values."""
        resilient = self.context_class(self, parent=ctx, resilient_parsing=True)
        _, before, _ = self.make_parser(resilient).parse_args(words)  # it stops where parsing would raise
        others = [one for one in self.params if isinstance(one, click.Argument) and one.nargs == 1]
        return len(before) >= len(others)

    def _mark_literals(self, words: Sequence[str]) -> Iterator[str]:
        options = [option for option in self.params if isinstance(option, click.Option)]
        takers = {
            name for option in options if not option.is_flag and not option.count for name in option.opts
        }
        literal, previous = False, ""
        for word in words:
            negative = _NEGATIVE_NUMBER.match(word) is not None and previous not in takers
            yield LITERAL + word if literal or negative else word
            literal, previous = literal or word == "--", word


def strip_mark(word: str) -> str:
    """Return a word as it was typed."""
    return word.removeprefix(LITERAL)


def parse_arguments(endpoint: Endpoint, words: Sequence[str]) -> tuple[list[Any], dict[str, Any]]:
    """Return words as the arguments of a call, by position and by name.

    Raises:
        Misuse: A value is not of its parameter's type, or a name is unknown.
    """
    named = endpoint.by_keyword
    positional: list[Any] = []
    keywords: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if word.startswith(LITERAL):  # checked first, because a server may have a parameter with such a name
            parameter = _at(endpoint, len(positional))
            positional.append(_plain_value(endpoint, parameter, strip_mark(word), typed=False))
        elif equals and name in named:
            value = _value(endpoint, named[name], text)
            keywords[name] = value if name not in keywords else _join(endpoint, name, keywords[name], value)
        elif _looks_like_keyword(name, text):
            raise Misuse(_unknown_name(endpoint, name, word))
        else:
            positional.append(_value(endpoint, _at(endpoint, len(positional)), word))
    return positional, keywords


def _at(endpoint: Endpoint, place: int) -> Parameter | None:
    return endpoint.parameters[place] if place < len(endpoint.parameters) else None


def _join(endpoint: Endpoint, name: str, first: Any, second: Any) -> Any:
    """Return the files of both values of a parameter that takes several, such as a list or a text with files.

    Raises:
        Misuse: One is not a file.
    """
    if holds_files([first, second]):
        if isinstance(first, list) and isinstance(second, list):
            return [*cast("list[Any]", first), *cast("list[Any]", second)]
        if isinstance(first, dict) and isinstance(second, dict):
            texts, files = cast("dict[str, Any]", first), cast("dict[str, Any]", second)
            with contextlib.suppress(KeyError, TypeError):
                return {key: texts[key] + files[key] for key in ("text", "files")}
    raise Misuse(f"{endpoint.display_name}: {name} is given twice.")


def _looks_like_keyword(name: str, text: str) -> bool:
    # "a==b" and the padding of Base64 are values.
    return name.isidentifier() and bool(text) and not text.startswith("=")


def _unknown_name(endpoint: Endpoint, name: str, word: str) -> str:
    hint = did_you_mean(name, list(endpoint.by_keyword))
    return (
        f"{endpoint.display_name} has no parameter {name!r}.{hint} Signature: {endpoint.short_signature}. "
        f"To pass the text {word!r} itself, put -- before the values."
    )


def _value(endpoint: Endpoint, parameter: Parameter | None, word: str) -> Any:
    if parameter is None:  # too many values: `check` raises, with the signature
        return word
    if word.startswith(MARK) and not word.startswith(2 * MARK):
        return file_argument(endpoint, parameter, word)
    text = word[1:] if word.startswith(MARK) else word
    return _plain_value(endpoint, parameter, text, typed=text is word)


def _plain_value(endpoint: Endpoint, parameter: Parameter | None, text: str, *, typed: bool) -> Any:
    """Return the value of a text, by the type of its parameter; for `typed` see `json_argument`."""
    if parameter is None:
        return text
    if takes_files(parameter):
        return _value_with_files(endpoint, parameter, text, typed=typed)
    try:
        return json_argument(endpoint, parameter, coerce(text, parameter.schema), typed=typed)
    except CoercionError as error:
        raise Misuse(
            f"{endpoint.display_name}: {parameter.name} {error}. Signature: {endpoint.short_signature}."
        ) from error


def _value_with_files(endpoint: Endpoint, parameter: Parameter, text: str, *, typed: bool) -> Any:
    if text == "null" or (text == "" and wants_files(parameter)):
        return None
    if text.lstrip().startswith(("{", "[") if wants_files(parameter) else "{"):
        try:
            return json_argument(endpoint, parameter, strict_json(text), typed=typed)
        except ValueError as error:
            raise Misuse(f"{endpoint.display_name}: {parameter.name} is not JSON: {error}.") from error
    if not wants_files(parameter):  # a text with files, such as a chat message
        return {"text": text, "files": []}
    if text.startswith("data:"):
        return text
    raise refuse_text(endpoint, parameter, text)


def arguments_from_json(text: bytes, what: str = "The file of --json") -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a call from JSON: a list by position, or an object by name.

    Raises:
        Misuse: The text is not JSON, or neither a list nor an object.
    """
    try:
        value = strict_json(text.decode())
    except ValueError as error:
        raise Misuse(f"{what} is not JSON: {error}.") from error
    if isinstance(value, list):
        return cast("list[Any]", value), {}
    if isinstance(value, dict):
        return [], cast("dict[str, Any]", value)
    raise Misuse(f"{what} must be a list of values, or an object of values by name.")


def with_files(
    endpoint: Endpoint, positional: Sequence[Any], keywords: dict[str, Any], *, typed: bool
) -> tuple[list[Any], dict[str, Any]]:
    """Return arguments from JSON, with the files that are marked in it; see `json_argument`."""
    known = endpoint.by_keyword
    places = [*endpoint.parameters, *[None] * len(positional)]
    return (
        [
            json_argument(endpoint, place, value, typed=typed)
            for value, place in zip(positional, places, strict=False)
        ],
        {
            name: json_argument(endpoint, known.get(name), value, typed=typed)
            for name, value in keywords.items()
        },
    )


def beside_json(
    endpoint: Endpoint, given: tuple[Sequence[Any], dict[str, Any]], words: Sequence[str]
) -> tuple[list[Any], dict[str, Any]]:
    """Return arguments from the JSON of ``--json`` and from the words beside it, which have names.

    Raises:
        Misuse: A word has no name, or its name is also in the JSON.
    """
    positional, keywords = with_files(endpoint, *given, typed=False)
    more, named = parse_arguments(endpoint, words)
    if more:
        raise Misuse("Beside --json, arguments are given by name: name=value.")
    twice = sorted(keywords.keys() & named.keys())
    if twice:
        raise Misuse(f"{endpoint.display_name}: {list_texts(twice)} is given twice.")
    return positional, keywords | named


def check(config: AppConfig, endpoint: Endpoint, positional: Sequence[Any], keywords: dict[str, Any]) -> None:
    """Raise for missing or surplus arguments, and for files in a shape that the endpoint does not accept.

    Why not leave it to the call: the exit status must differ from that of a refusal by the server.

    Raises:
        Misuse: They do not fit the endpoint.
    """
    try:
        check_shapes(endpoint, endpoint.bind(positional, keywords), config)
    except ValidationFailed as error:
        raise Misuse(error.message) from error
