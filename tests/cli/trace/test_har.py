# SPDX-License-Identifier: Apache-2.0
"""``trace har`` and ``trace import``."""

import json
import tracemalloc
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gradio_transport.cli.app import commands
from gradio_transport.trace import read_trace, replay
from gradio_transport_conformance.traces import shipped_trace, traces

COUNT = str(shipped_trace("6.31.0/count"))


def run(*arguments: str, text: str | None = None) -> Result:
    return CliRunner(catch_exceptions=False).invoke(commands, ["trace", *arguments], input=text)


def test_there_and_back(tmp_path: Path) -> None:
    har, trace = tmp_path / "x.har", tmp_path / "x.jsonl"
    written = run("har", COUNT, "-o", str(har))
    assert written.exit_code == 0, written.output
    assert (
        f"Wrote {har}" in written.stderr.replace("\n  ", " ").replace("\n", "")
        or str(har.name) in written.stderr
    )
    assert written.stdout == ""
    made = run("import", str(har), "-o", str(trace))
    assert made.exit_code == 0, made.output
    assert "1 call of http://127.0.0.1" in " ".join(made.stderr.split())
    assert replay(read_trace(trace)).mismatches == []
    assert read_trace(trace).meta["imported"].startswith("gradio-transport ")


def test_a_trace_in_place_of_a_har_is_told_with_the_command_for_it(tmp_path: Path) -> None:
    made = run("import", COUNT, "-o", str(tmp_path / "x.jsonl"))
    assert made.exit_code == 2
    assert "is already a trace. Show it with gradio-transport trace show" in " ".join(made.stderr.split())
    assert not (tmp_path / "x.jsonl").exists()


def test_a_trace_that_is_damaged_later_leaves_no_half_file(tmp_path: Path) -> None:
    path, har = tmp_path / "x.jsonl", tmp_path / "x.har"
    path.write_text(Path(COUNT).read_text(encoding="utf-8").replace('"file":', '"none":') + "{}\n[]\n")
    assert run("har", str(path), "-o", str(har)).exit_code == 2
    assert not har.exists()


def test_a_long_trace_is_not_kept_in_memory(tmp_path: Path) -> None:
    url, count = "http://127.0.0.1:7860/file", 1_500
    lines = ['{"kind":"meta","format":"gradio-transport-trace","version":1}']
    for number in range(count):
        head = f'{{"t":{number},"channel":"file","url":"{url}"'
        lines.append(f'{head},"dir":"out","kind":"request","method":"GET"}}')
        lines.append(f'{head},"dir":"in","kind":"response","status":200,"body":"{"x" * 4_000}"}}')
    path = tmp_path / "long.jsonl"
    path.write_text("\n".join(lines) + "\n")
    tracemalloc.start()
    try:
        assert run("har", str(path), "-o", str(tmp_path / "long.har")).exit_code == 0
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000
    assert len(json.loads((tmp_path / "long.har").read_text())["log"]["entries"]) == count


def test_pipes(tmp_path: Path) -> None:
    har = run("har", COUNT)
    assert json.loads(har.stdout)["log"]["version"] == "1.2"
    assert har.stderr == ""
    made = run("import", "-", "-o", str(tmp_path / "x.jsonl"), text=har.stdout)
    assert made.exit_code == 0, made.output
    assert "from standard input" in " ".join(made.stderr.split())


def test_an_existing_file_is_not_touched(tmp_path: Path) -> None:
    har, trace = tmp_path / "x.har", tmp_path / "x.jsonl"
    har.write_text(run("har", COUNT).stdout)
    trace.write_text("mine")
    made = run("import", str(har), "-o", str(trace))
    assert made.exit_code == 2
    assert "exists already" in made.stderr
    assert trace.read_text() == "mine"


def test_warnings_name_what_is_missing(tmp_path: Path) -> None:
    document = json.loads(run("har", COUNT).stdout)
    entries = [one for one in document["log"]["entries"] if "/config" not in one["request"]["url"]]
    for entry in entries:
        if entry["request"]["url"].endswith("/queue/join"):
            del entry["response"]["content"]["text"]
    document["log"]["entries"] = entries
    made = run("import", "-", "-o", str(tmp_path / "x.jsonl"), text=json.dumps(document))
    assert made.exit_code == 0
    said = " ".join(made.stderr.split())
    assert "warning: the file lacks the app's config" in said
    assert "(POST /gradio_api/queue/join) lacks the reply." in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("import", COUNT, "-o", "no.jsonl"), "is not a HAR file"),
        (("import", "missing.har", "-o", "no.jsonl"), "missing.har"),
        (("har", "missing.jsonl"), "missing.jsonl"),
        (("import", COUNT), "Missing option"),
    ],
)
def test_bad_usage(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = run(*arguments)
    assert made.exit_code in (1, 2)
    assert message in " ".join(made.output.split())
    assert list(tmp_path.iterdir()) == []


def test_help_has_an_example() -> None:
    for command in ("har", "import"):
        shown = run(command, "--help")
        assert "Example:" in shown.output
        assert max(map(len, shown.output.splitlines())) <= 80


def test_every_version_can_be_exported() -> None:
    for version in ("2.3.6", "3.0.2", "3.16.2", "4.0.2", "4.21.0", "5.50.0", "6.13.0"):
        made = run("har", str(traces(version)[0]))
        assert made.exit_code == 0
        assert json.loads(made.stdout)["log"]["entries"]
