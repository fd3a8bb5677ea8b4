# SPDX-License-Identifier: Apache-2.0
"""Labels that the page translates."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gradio_transport.app.config_parsing import parse_config, with_rendered
from gradio_transport.app.translations import is_translated, translate

TEXTS = {"de": {"name": "Name", "hi": "Hallo"}, "en": {"name": "Your name"}, "fr": None, "it": {"name": 3}}


def marked(key: Any) -> str:
    return f"__i18n__{json.dumps({'__type__': 'translation_metadata', 'key': key})}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain", "plain"),
        (marked("name"), "Your name"),
        (marked("hi"), "Hallo"),
        (f"1. {marked('name')}: {marked('hi')}!", "1. Your name: Hallo!"),
        (marked("nowhere"), "nowhere"),
        (marked("chat_interface.additional_inputs"), "Additional inputs"),
        (marked("Wait. Then go."), "Wait. Then go."),
        (marked(3), marked(3)),
        ("__i18n__", "__i18n__"),
        ("__i18n__[1] x", "__i18n__[1] x"),
        ("__i18n__{broken", "__i18n__{broken"),
        ("__i18n__" + "[" * 100_000, "__i18n__" + "[" * 100_000),
    ],
)
def test_a_mark_is_shown_as_its_text(text: str, shown: str) -> None:
    assert translate(text, TEXTS) == shown
    assert is_translated(text) == ("__i18n__" in text)


@pytest.mark.parametrize("translations", [None, [], "x", {"en": "x"}, {"en": {"name": None}}])
def test_without_texts_the_key_is_shown(translations: Any) -> None:
    assert translate(marked("name"), translations) == "name"


CONFIG: dict[str, Any] = {
    "version": "6.31.0",
    "protocol": "sse_v3",
    "title": marked("name"),
    "i18n_translations": TEXTS,
    "components": [{"id": 1, "type": "textbox", "props": {"label": marked("name"), "lines": 1}}],
    "dependencies": [{"id": 0, "api_name": "f", "inputs": [1], "outputs": [1]}],
}
VALUE = {"label": marked("name"), "type": {"type": "string"}}
INFO = {"named_endpoints": {"/f": {"parameters": [VALUE], "returns": [VALUE]}}}


@pytest.mark.parametrize("info", [None, INFO])
def test_an_app_that_is_translated_has_its_labels(info: Any) -> None:
    config = parse_config(CONFIG, info)
    endpoint = config.endpoint("/f")
    assert (endpoint.parameters[0].label, endpoint.returns[0].label) == ("Your name", "Your name")
    assert (config.title, config.components[1].props) == ("Your name", {"label": "Your name", "lines": 1})
    assert config.raw is CONFIG


def test_what_is_drawn_later_is_translated_as_well() -> None:
    drawn = {"components": [{"id": 2, "type": "textbox", "props": {"label": marked("hi")}}]}
    assert with_rendered(parse_config(CONFIG), drawn).components[2].label == "Hallo"


def test_a_label_of_the_endpoint_alone_is_kept() -> None:
    info = {"named_endpoints": {"/f": {"parameters": [{"label": "own"}], "returns": [{}]}}}
    endpoint = parse_config(CONFIG, info).endpoint("/f")
    assert [one.label for one in (*endpoint.parameters, *endpoint.returns)] == ["own", "Your name"]
