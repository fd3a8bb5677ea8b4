# SPDX-License-Identifier: Apache-2.0
"""Texts that the page of an app translates: ``__i18n__{"__type__": ..., "key": ...}`` (``gr.I18n``)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, cast

_MARK = "__i18n__"

_LOCALES = 100
"""The most locales that are searched for a key. An app has a few, and each mark needs a search."""

_DECODER = json.JSONDecoder()


def is_translated(text: str) -> bool:
    """Return whether the page translates a text, or a part of it."""
    return _MARK in text


def translate(text: str, translations: Any) -> str:
    """Return a text with each mark of a translation replaced by what the page would show in English.

    Args:
        text: A text of the app's config.
        translations: ``i18n_translations`` of the config, texts by key by locale. Without English, the first
            locale that has the key is used. A key of Gradio's own texts, which only the page has, is replaced
            by its last part.
    """
    start, *marked = text.split(_MARK)
    return start + "".join(_replace(part, translations) for part in marked)


def _replace(text: str, translations: Any) -> str:
    """Return the text after a mark with its JSON replaced, or unchanged if it is not JSON."""
    try:
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return _MARK + text
    key = _mapping(value).get("key")
    if not isinstance(key, str):
        return _MARK + text
    return next(_texts(key, translations), _last_part(key)) + text[end:]


def _texts(key: str, translations: Any) -> Iterator[str]:
    """Yield the texts of a key, English first."""
    locales = _mapping(translations)
    for locale in ("en", *islice(locales, _LOCALES)):
        text = _mapping(locales.get(locale)).get(key)
        if isinstance(text, str):
            yield text


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _last_part(key: str) -> str:
    """Return the last part of ``"chat_interface.additional_inputs"`` as words; any other key as it is."""
    prefix, _, name = key.rpartition(".")
    return name.replace("_", " ").capitalize() if prefix.isidentifier() and name else key
