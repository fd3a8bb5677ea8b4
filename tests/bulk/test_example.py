"""The worked example of the page "Many calls", with a server that plays a recording of Gradio 6.31.0."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

from gradio_transport_conformance.play import make_wave_file
from gradio_transport_conformance.reenact import serve

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "examples" / "many-calls" / "transcribe.py"


def test_a_folder_is_transcribed_once(tmp_path: Path) -> None:
    recordings, texts = tmp_path / "recordings", tmp_path / "texts"
    for speaker in ("one", "two", "three"):
        (recordings / speaker).mkdir(parents=True)
        # The recorded app took this file, and gave one back.
        (recordings / speaker / "sound.wav").write_bytes(make_wave_file(0.1))
    with serve("6.31.0", ["audio"]) as served:
        for _ in range(2):
            done = subprocess.run(
                [sys.executable, str(PROGRAM), served.url_of("audio"), str(recordings), str(texts), "--endpoint", "/audio"],
                capture_output=True, text=True, timeout=50, check=True,
            )  # fmt: skip
            assert done.stderr == ""
        assert served.off_tape == []
    for speaker in ("one", "two", "three"):
        assert "gradio.FileData" in (texts / speaker / "sound.txt").read_text()


def test_the_page_shows_the_program() -> None:
    page = (ROOT / "docs" / "many-calls.md").read_text(encoding="utf-8")
    assert "../examples/many-calls/transcribe.py" in page
    assert callable(runpy.run_path(str(PROGRAM), run_name="example")["transcribe"])
