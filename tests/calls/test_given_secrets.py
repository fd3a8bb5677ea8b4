# SPDX-License-Identifier: Apache-2.0
"""Everything that a caller gives and that may be a secret is known as one, and nothing else."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from gradio_transport.app.config import Component, Endpoint, Parameter
from gradio_transport.calls.given_secrets import given_secrets, leaf_texts, secret_places
from gradio_transport.calls.options import Options
from gradio_transport.engines.settings import HTTPSettings

URL = "http://127.0.0.1:7860"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("source", "options"),
    [
        (URL, {"headers": {"x-secret": "s3cret-text"}}),
        (URL, {"headers": {"Authorization": "Bearer s3cret-text"}}),
        (URL, {"cookies": {"a": "s3cret-text"}}),
        (URL, {"token": "s3cret-text"}),
        (URL, {"auth": ("ann", "s3cret-text")}),
        (URL, {"settings": {"api_key": ["s3cret-text"]}}),
        (URL, {"http": HTTPSettings(proxy="http://ann:s3cret-text@proxy:1")}),
        ("http://ann:s3cret-text@host", {}),
        ("ann:s3cret-text@host", {}),
        ("http://ann:s3cret%2Dtext@host", {}),
        (f"{URL}/?__sign=s3cret-text&x=1", {}),
        (f"{URL}/?x=s3cret%2Dtext", {}),
    ],
)
def test_it_is_known(source: str, options: dict[str, Any]) -> None:
    assert given_secrets(Options(**options), source).hide("you sent s3cret-text") == "you sent REDACTED"


def test_a_login_is_known_as_the_header_that_is_made_of_it() -> None:
    header = b64encode(b"ann:s3cret-text").decode()
    for secrets in (
        given_secrets(Options(auth=("ann", "s3cret-text")), URL),
        given_secrets(Options(), "http://ann:s3cret-text@host"),
    ):
        shown = secrets.hide(f"ann, {header}")
        assert shown == "ann, REDACTED"


def test_the_proxies_of_the_environment_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://ann:s3cret-text@proxy:1")
    assert given_secrets(Options(), URL).hide("s3cret-text") == "REDACTED"


@pytest.mark.parametrize("source", ["owner/space", "@", "http://[@", "http://ann@host/?__theme=system", URL])
def test_where_there_is_none_nothing_is_hidden(source: str) -> None:
    options = Options(
        auth=("annabelle", "x"), headers={"user-agent": "mozilla"}, settings={"model": "parrot"}
    )
    text = "annabelle mozilla parrot system 127.0.0.1 owner/space host"
    assert given_secrets(options, source).hide(text) == text


def test_where_there_is_none_nothing_is_looked_for() -> None:
    assert not given_secrets(Options(headers={"user-agent": "mozilla", "x-a": "b"}), f"{URL}/?x=y")


def test_inputs_are_secrets_by_name_label_or_kind() -> None:
    slots = [
        Component(1, "state", skipped=True),
        Component(2, "textbox"),
        Component(3, "textbox", {"type": "password"}),
        Component(4, "textbox"),
        Component(5, "number"),
    ]
    parameters = [
        Parameter(name="text"),
        Parameter(name="param_1"),
        Parameter(name="api_key"),
        Parameter(name="n", label="Your password"),
    ]
    assert secret_places(
        Endpoint(name="/x", fn_index=0, inputs=tuple(slots), parameters=tuple(parameters))
    ) == [2, 3, 4]
    assert secret_places(Endpoint(name="/x", fn_index=0, parameters=tuple(parameters))) == [2, 3]


def test_the_texts_and_numbers_of_a_value_are_its_leaves() -> None:
    assert list(leaf_texts({"a": ["b", (1, 2.5, True, None)], "c": "d"})) == ["b", "1", "2.5", "d"]
