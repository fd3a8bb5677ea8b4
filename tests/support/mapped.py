"""Runs of `bulk.map` in processes that tests kill."""

from __future__ import annotations

import json
from pathlib import Path

from gradio_transport import bulk


def run_to(settings: str, output: str) -> None:
    """Map numbers over ``/hello``, and write the index, state and values of each row as a JSON line."""
    given = json.loads(settings)
    rows = ([str(number)] for number in range(given.pop("count")))
    with Path(output).open("w", encoding="utf-8") as file:
        for outcome in bulk.map(given.pop("url"), "/hello", rows, **given):
            file.write(json.dumps([outcome.index, outcome.state, outcome.values]) + "\n")
            file.flush()
