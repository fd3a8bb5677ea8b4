# SPDX-License-Identifier: Apache-2.0
"""The text of a web page, for messages that quote what a server or a proxy before it shows to people."""

from __future__ import annotations

import html
import re

from .commands import Response

_READ_BYTES = 20_000
"""How much of a reply is read: the reason of a refusal comes first."""

_MARKUP = re.compile(r"(<!--|-->|<[^<>]*>)")

_UNSEEN = re.compile(r"<(script|style|noscript|template|svg)\b", re.IGNORECASE)


def is_web_page(response: Response) -> bool:
    """Return whether a reply is HTML, which no route of a Gradio app answers a refusal with."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "text/html" or (not kind and response.body[:_READ_BYTES].lstrip()[:1] == b"<")


def readable_text(response: Response) -> str:
    """Return what a person reads of the beginning of a reply: the text of a web page, any other as it is."""
    text = response.body[:_READ_BYTES].decode("utf-8", "replace")
    return _page_text(text) if is_web_page(response) else text


def _page_text(page: str) -> str:
    """Return the words of a page outside of markup, scripts and styles.

    Why not `html.parser`: in some versions of Python a page of 20 kB that is made for it takes it seconds.
    """
    words: list[str] = []
    end = ""  # of what is not seen
    for part in _MARKUP.split(page):
        if end:
            end = "" if part.lower().startswith(end) else end
        elif unseen := _UNSEEN.match(part):
            end = f"</{unseen[1].lower()}"
        elif part == "<!--":
            end = "-->"
        elif not _MARKUP.fullmatch(part):
            found = _unescape(part).split()
            # The heading of an error page mostly repeats its title.
            words += [] if found and words[-len(found) :] == found else found
    return " ".join(words)


def _unescape(text: str) -> str:
    try:
        return html.unescape(text)
    except ValueError:  # the number of a character, with more digits than Python converts
        return text
