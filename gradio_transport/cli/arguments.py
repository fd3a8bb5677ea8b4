# SPDX-License-Identifier: Apache-2.0
"""The arguments after the endpoint: values by position, ``name=value``, or a JSON file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

import click

from ..app.config import AppConfig, Endpoint, Parameter
from ..errors import ValidationFailed, did_you_mean
from ..files.paths import takes_files, wants_files
from ..files.shapes import check_shapes
from .coerce import CoercionError, coerce, strict_json
from .failures import Misuse
from .files import MARK, file_argument, files_in_json

LITERAL = "\0"
"""Marks a word that is a value, whatever it looks like. No word of a command line can contain it."""

_NEGATIVE_NUMBER = re.compile(r"-\.?[0-9]")


class Arguments(click.Command):
    """A command whose values may be negative numbers, and anything at all after ``--``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Mark the values that click would read as options.

        click has a setting that passes unknown options on, but it would pass misspelt ones on as well.
        """
        return super().parse_args(ctx, list(self._mark_literals(args)))

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
        if equals and name in named:
            if name in keywords:
                raise Misuse(f"{endpoint.display_name}: {name} is given twice.")
            keywords[name] = _value(endpoint, named[name], text)
        elif _looks_like_keyword(name, text):
            raise Misuse(_unknown_name(endpoint, name, word))
        else:
            place = len(positional)
            known = endpoint.parameters[place] if place < len(endpoint.parameters) else None
            positional.append(_value(endpoint, known, strip_mark(word)))
    return positional, keywords


def _looks_like_keyword(name: str, text: str) -> bool:
    # "a==b" and the padding of Base64 are values.
    return name.isidentifier() and bool(text) and not text.startswith("=")


def _unknown_name(endpoint: Endpoint, name: str, word: str) -> str:
    hint = did_you_mean(name, list(endpoint.by_keyword))
    return (
        f"{endpoint.display_name} has no parameter {name!r}.{hint} Signature: {endpoint.short_signature}. "
        f"To pass the text {word!r} itself, put -- before the values."
    )


def _value(endpoint: Endpoint, parameter: Parameter | None, text: str) -> Any:
    if parameter is None:  # too many: `check` raises, with the signature
        return text
    if wants_files(parameter) or (text.startswith(MARK) and os.path.exists(text.removeprefix(MARK))):
        return file_argument(endpoint, parameter, text)
    if takes_files(parameter):  # a text with files, such as that of a chat
        is_text = text != "null" and not text.lstrip().startswith(("{", MARK))
        return {"text": text, "files": []} if is_text else file_argument(endpoint, parameter, text)
    try:
        return coerce(text, parameter.schema)
    except CoercionError as error:
        raise Misuse(
            f"{endpoint.display_name}: {parameter.name} {error}. Signature: {endpoint.short_signature}."
        ) from error


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
    endpoint: Endpoint, positional: Sequence[Any], keywords: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Return arguments from JSON, with the files that they name."""
    known = endpoint.by_keyword
    places = [*endpoint.parameters, *[None] * len(positional)]
    return (
        [files_in_json(endpoint, value, place) for value, place in zip(positional, places, strict=False)],
        {name: files_in_json(endpoint, value, known.get(name)) for name, value in keywords.items()},
    )


def check(config: AppConfig, endpoint: Endpoint, positional: Sequence[Any], keywords: dict[str, Any]) -> None:
    """Raise for missing or surplus arguments, and for files in another shape than the endpoint takes.

    Checked here and not by the call, so that the exit status differs from that of a refusal by the server.

    Raises:
        Misuse: They do not fit the endpoint.
    """
    try:
        check_shapes(endpoint, endpoint.bind(positional, keywords), config)
    except ValidationFailed as error:
        raise Misuse(error.message) from error
