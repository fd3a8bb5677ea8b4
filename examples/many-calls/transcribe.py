# SPDX-License-Identifier: Apache-2.0
"""Transcribe the audio files below a folder by a Gradio app, and go on where an earlier run ended.

python transcribe.py http://127.0.0.1:7860 recordings texts --endpoint /transcribe
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gradio_transport import bulk


def transcribe(app: str, endpoint: str, recordings: Path, texts: Path) -> list[bulk.Outcome]:
    """Write a text for each recording; return the outcomes of those that have none."""
    rows = [[path] for path in sorted(recordings.rglob("*.wav"))]
    texts.mkdir(exist_ok=True)
    missing: list[bulk.Outcome] = []
    for outcome in bulk.map(app, endpoint, rows, files=[0], journal=texts / "run.sqlite"):
        if outcome.values is None:
            missing.append(outcome)
        else:
            text = texts / outcome.row[0].relative_to(recordings).with_suffix(".txt")
            text.parent.mkdir(parents=True, exist_ok=True)
            text.write_text(str(outcome.values[0]), encoding="utf-8")
    return missing


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("app")
    parser.add_argument("recordings", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--endpoint", default="/transcribe")
    given = parser.parse_args()
    for outcome in transcribe(given.app, given.endpoint, given.recordings, given.texts):
        sys.stderr.write(f"{outcome.row[0]}: {outcome.state}: {outcome.error}\n")


if __name__ == "__main__":
    main()
