# SPDX-License-Identifier: Apache-2.0
"""Assembly of a page with untrusted data: a template, a style, a script, and blocks of data.

The data comes from peers that may be hostile. It is in the page as base64 in blocks that no browser runs,
and the policy of the page (Content-Security-Policy) allows this script and this style by their hashes, and
nothing else: no other script, no request, no frame, no form.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Iterator
from importlib import resources

import attrs

_SLOT = re.compile(r"\{\{(\w+)\}\}")


@attrs.frozen(kw_only=True)
class PageSource:
    """The sources of a page, without its data.

    Attributes:
        template: HTML with the slots ``{{policy}}``, ``{{generator}}``, ``{{title}}``, ``{{style}}``,
            ``{{blocks}}`` and ``{{script}}``.
        style: CSS.
        script: JavaScript.
        title: The title, as text.
        generator: Name of the program that makes it.
    """

    template: str = attrs.field(repr=False)
    style: str = attrs.field(repr=False)
    script: str = attrs.field(repr=False)
    title: str
    generator: str


def read_part(name: str) -> str:
    """Return a file of this folder that pages share: ``base.css``, ``text.js``, ``blocks.js``."""
    return resources.files(__name__.rpartition(".")[0]).joinpath(name).read_text(encoding="utf-8")


def assemble(source: PageSource, blocks: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield a page in parts, in order.

    Args:
        source: What it is made of.
        blocks: The identifier and the text of each block; the text has base64 only.
    """
    slots = {
        "policy": html.escape(_policy(source.style, source.script)),
        "generator": source.generator,
        "title": html.escape(source.title),
        "style": source.style,
        "script": source.script,
    }
    # A template is split, and not filled in by replacement: no text is ever read twice.
    for place, part in enumerate(_SLOT.split(source.template)):
        if not place % 2:
            yield part
        elif part == "blocks":
            for identifier, text in blocks:
                yield f'<script type="text/plain" id="{identifier}">{text}</script>\n'
        else:
            yield slots[part]


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"


__all__ = ["PageSource", "assemble", "read_part"]
