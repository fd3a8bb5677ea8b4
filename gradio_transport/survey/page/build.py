# SPDX-License-Identifier: Apache-2.0
"""`Page`: collects results one by one, and builds the page at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any, Final

from ...trace.page.assembly import PageSource, assemble, read_part
from ...trace.page.blocks import Blocks, encode_block
from ..result import Reason, SurveyResult

VERSION: Final = 1
"""The version of the data format, which the script of the page checks."""

GENERATOR: Final = "gradio-transport survey"

SHARED_SCRIPTS: Final = ("text.js", "blocks.js")

MEANINGS: Final = {
    Reason.ANSWERS: "It can be called",
    Reason.LOGIN: "It requires a login",
    Reason.SLEEPING: "The Space sleeps; it was not woken",
    Reason.STARTING: "The Space is being built or starts",
    Reason.NOT_RUNNING: "The Space is paused, stopped or broken",
    Reason.NO_SPACE: "The Hub shows no such Space",
    Reason.HUB: "The Hub did not answer",
    Reason.RATE_LIMITED: "Too many requests",
    Reason.UNKNOWN_HOST: "The host has no address",
    Reason.REFUSED: "No program listens there",
    Reason.UNREACHABLE: "No connection",
    Reason.PROXY: "The proxy cannot be used",
    Reason.TLS: "TLS fails, or the certificate is not trusted",
    Reason.REDIRECTS: "It redirects endlessly, or to an untrusted origin",
    Reason.NO_REPLY: "It accepts the connection but does not reply",
    Reason.SERVER_ERROR: "The app, or a proxy in front of it, is broken",
    Reason.NOT_GRADIO: "It is not a Gradio app",
    Reason.UNREADABLE: "Its reply cannot be read",
    Reason.NO_ADAPTER: "No adapter supports its protocol",
    Reason.DEADLINE: "It took too long",
    Reason.NOT_A_SOURCE: "Neither a URL nor the name of a Space",
    Reason.UNEXPECTED: "A bug in this library, or a lost worker",
}


class Page:
    """The page of a survey. Results are kept compressed until it is written, in about 100 bytes each."""

    def __init__(self) -> None:
        self._apps = Blocks()

    def add(self, result: SurveyResult) -> None:
        """Add the result of an app."""
        self._apps.add(
            {name: value for name, value in result.as_json().items() if value not in (None, "", [])}
        )

    def parts(self, *, complete: bool = True) -> Iterator[str]:
        """Yield the page in parts, in order.

        Args:
            complete: Whether the results cover all sources.
        """
        self._apps.flush()
        index: dict[str, Any] = {
            "version": VERSION,
            "made": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
            "complete": complete,
            "reasons": {reason.value: [MEANINGS[reason], reason.is_passing] for reason in Reason},
            "blocks": self._apps.starts,
        }
        source = PageSource(
            template=_read("page.html"),
            style="\n".join([read_part("base.css"), _read("survey.css")]),
            script="\n".join([*map(read_part, SHARED_SCRIPTS), _read("survey.js")]),
            title=f"Survey of {self._apps.count:,} apps",
            generator=GENERATOR,
        )
        blocks = [("index", encode_block(json.dumps(index)))]
        blocks += [(f"apps-{number}", text) for number, text in enumerate(self._apps.encoded)]
        yield from assemble(source, blocks)

    def write(self, path: str | Path, *, complete: bool = True) -> None:
        """Write the page to a file.

        Raises:
            OSError: It cannot be written.
        """
        with Path(path).open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(self.parts(complete=complete))


def _read(name: str) -> str:
    return resources.files(__name__.rpartition(".")[0]).joinpath(name).read_text(encoding="utf-8")


__all__ = ["Page"]
