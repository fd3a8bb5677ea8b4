# SPDX-License-Identifier: Apache-2.0
"""Talk to a chat app in the terminal, and show each reply as it grows.

python chat.py http://127.0.0.1:7860
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import gradio_transport as gt


def text_of(value: Any) -> str:
    """Return the text of a reply: chats return a text, or a text with files."""
    return str(value.get("text", "")) if isinstance(value, dict) else str(value)


def pieces(call: gt.Call) -> Iterator[str]:
    """Yield what is new in each event of a reply that grows."""
    shown = ""
    for event in call:
        match event:
            case gt.ProcessGenerating(data=[value, *_]) | gt.ProcessCompleted(success=True, data=[value, *_]):
                text = text_of(value)
                # A reply that was rewritten begins again on a new line.
                yield text.removeprefix(shown) if text.startswith(shown) else f"\n{text}"
                shown = text
            case _:
                pass
    call.result()  # raises what ended the call, if it failed


def main() -> None:
    """Read messages from standard input until its end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("app", help="URL, or owner/name of a Space")
    parser.add_argument("--endpoint", default="/chat")
    given = parser.parse_args()
    with gt.connect(given.app) as app:
        print("> ", end="", flush=True)
        for line in sys.stdin:
            try:
                for piece in pieces(app.submit(given.endpoint, line.strip())):
                    print(piece, end="", flush=True)
            except gt.GradioTransportError as error:
                print(f"({error})", end="")
            print("\n> ", end="", flush=True)


if __name__ == "__main__":
    main()
