# SPDX-License-Identifier: Apache-2.0
"""The text of a web page, for messages that quote a page of a server or a proxy."""

from __future__ import annotations

import html
import re

from .commands import Response

_READ_BYTES = 20_000
"""Bytes of a reply that are read: the reason of a refusal is at its start."""

_MARKUP = re.compile(r"(<!--|-->|<[^<>]*>)")

_UNSEEN = re.compile(r"<(script|style|noscript|template|svg)\b", re.IGNORECASE)


def is_web_page(response: Response) -> bool:
    """Return whether a reply is HTML, which no route of a Gradio app uses for a refusal."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "text/html" or (not kind and response.body[:_READ_BYTES].lstrip()[:1] == b"<")


def readable_text(response: Response) -> str:
    """Return the readable start of a reply: the text of a web page, or any other text unchanged."""
    text = response.body[:_READ_BYTES].decode("utf-8", "replace")
    return _page_text(text) if is_web_page(response) else text


def _page_text(page: str) -> str:
    """Return the words of a page outside of markup, scripts and styles.

    Why not `html.parser`: in some versions of Python a crafted page of 20 kB takes seconds.
    """
    words: list[str] = []
    end = ""  # of invisible parts
    for part in _MARKUP.split(page):
        if end:
            end = "" if part.lower().startswith(end) else end
        elif unseen := _UNSEEN.match(part):
            end = f"</{unseen[1].lower()}"
        elif part == "<!--":
            end = "-->"
        elif not _MARKUP.fullmatch(part):
            found = _unescape(part).split()
            # The heading of an error page usually repeats its title.
            words += [] if found and words[-len(found) :] == found else found
    return " ".join(words)


def _unescape(text: str) -> str:
    try:
        return html.unescape(text)
    except ValueError:  # a character number with more digits than Python converts
        return text
