# SPDX-License-Identifier: Apache-2.0
"""What messages quote of web pages."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradio_transport.errors import Phase
from gradio_transport.protocol.commands import Response
from gradio_transport.protocol.refusals import refusal
from gradio_transport.protocol.web_page import is_web_page, readable_text

HTML = {"content-type": "text/html"}


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1>nginx</body></html>",
         "502 Bad Gateway nginx"),
        ("<style>p {color: red}</style><script>alert('<p>x')</script><p>No &lt;interface&gt; is&nbsp;running",
         "No <interface> is running"),
        ("<svg><title>logo</title></svg></svg>Hello<!-- unseen -->", "Hello"),
        ("no page", "no page"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_text_of_a_page_is_what_a_person_sees(page: str, text: str) -> None:
    assert readable_text(Response(500, HTML, page.encode())) == text


@pytest.mark.parametrize("part", ["<", "<!", "<a ", "<a b='", "&", "</", "<script>", "<!--", "word "])
def test_a_long_page_is_read_in_part(part: str) -> None:
    began = time.process_time()
    assert len(readable_text(Response(500, HTML, part.encode() * 300_000))) <= 20_000
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("headers", "body", "page"),
    [
        (HTML, b"", True),
        ({"content-type": "Text/HTML; charset=utf-8"}, b"x", True),
        ({}, b"\n <!doctype html>", True),
        ({}, b"plain", False),
        ({"content-type": "application/json"}, b"<html>", False),
    ],
)
def test_a_page_is_told_by_its_type_or_its_first_character(
    headers: dict[str, str], body: bytes, page: bool
) -> None:
    assert is_web_page(Response(500, headers, body)) is page


@given(st.binary(max_size=200))
def test_any_body_has_a_text(body: bytes) -> None:
    assert isinstance(readable_text(Response(500, HTML, body)), str)
    assert readable_text(Response(500, {"content-type": "text/plain"}, body)) == body.decode(
        "utf-8", "replace"
    )


def test_a_refusal_quotes_the_text_and_keeps_the_page_as_its_body() -> None:
    page = b"<html><title>Building</title><body>Please wait.</body></html>"
    error = refusal(Response(503, HTML, page), Phase.DISCOVER)
    assert error.message == "The server answered: Building Please wait."
    assert error.body == page.decode()


def test_the_number_of_a_character_may_be_of_any_length() -> None:
    text = f"&#{'1' * 5000}; x"
    assert readable_text(Response(500, HTML, text.encode())) == text


def test_a_part_of_a_page_without_words_repeats_nothing() -> None:
    assert readable_text(Response(500, HTML, b"a <b><i>a</i></b>")) == "a"
