# SPDX-License-Identifier: Apache-2.0
"""``trace lint``, ``trace replay`` and ``trace diff``: what they print, and how they exit."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner
from kit import slow_traces
from stories import ESTIMATION, STARTS, Story
from tracing import MESSAGES, message, program

from gradio_transport.cli.app import commands
from gradio_transport.protocol.frames import Kind
from gradio_transport.trace import TraceWriter
from gradio_transport_conformance.traces import shipped_trace

COUNT = str(shipped_trace("6.31.0/count"))
OLD_COUNT = str(shipped_trace("4.44.1/count"))
CRASH = str(shipped_trace("6.31.0/crash"))


def run(*words, **options):
    return CliRunner(catch_exceptions=False).invoke(commands, ["trace", *map(str, words)], **options)


def write(path, frames):
    with TraceWriter(path, meta={"gradio": "6.31.0"}) as tap:
        for frame in frames:
            tap(frame)
    return path


@pytest.fixture
def unknown(tmp_path):
    """A trace with a message that nobody knows."""
    return write(tmp_path / "unknown.jsonl", program(messages=[message("of_tomorrow"), *MESSAGES]).frames)


@pytest.fixture
def other(tmp_path):
    """A trace that this version would send otherwise."""
    frames = [
        attrs.evolve(frame, payload={**frame.payload, "method": "PUT"})
        if frame.kind is Kind.REQUEST and frame.channel.endswith(".join")
        else frame
        for frame in program().frames
    ]
    return write(tmp_path / "other.jsonl", frames)


class TestLint:
    def test_a_clean_trace(self):
        result = run("lint", COUNT)
        assert result.exit_code == 0
        assert result.output == f"{COUNT}: Gradio 6.31.0 by sse_v3, 1 call, 0.3 s, no findings\n"

    def test_the_findings_are_told_apart(self, other, tmp_path):
        made = program(messages=[message("of_tomorrow"), *MESSAGES])
        with TraceWriter(tmp_path / "open.jsonl", redact=False) as tap:
            for frame in made.frames:
                tap(frame)
        result = run("lint", tmp_path / "open.jsonl", other)
        server, trace = result.output.index("Server\n"), result.output.index("The trace\n")
        library = result.output.index("This library\n")
        assert (
            server
            < result.output.index("warning: call 1 of session 1, /count: the message 'of_tomorrow'")
            < trace
        )
        assert trace < result.output.index("it holds what looks like a secret") < library
        assert result.output.index("error: frame") > library
        assert result.exit_code == 1

    def test_a_diagnosis_is_no_error(self):
        result = run("lint", CRASH)
        assert result.exit_code == 0
        assert "Diagnosis\n- call 1 of session 1, /crash: The app's function raised an error" in result.output
        assert "(frame 14)" in result.output

    def test_strict_takes_warnings_for_errors(self, unknown):
        assert run("lint", unknown).exit_code == 0
        assert run("lint", "--strict", unknown).exit_code == 1

    def test_json_has_everything_on_one_line_for_each_trace(self, unknown):
        result = run("lint", "--json", unknown, CRASH)
        first, second = map(json.loads, result.output.splitlines())
        (finding,) = [one for one in first["findings"] if one["severity"] == "warning"]
        assert (finding["source"], finding["call"], finding["session"]) == ("server", "1", 1)
        assert finding["frames"]
        assert finding["hint"]
        assert second["diagnoses"][0]["code"] == "app-error"
        assert second["diagnoses"][0]["frames"] == [14]

    def test_many_findings_are_cut(self, tmp_path):
        names = [message(f"kind{number}") for number in range(80)]
        path = write(tmp_path / "many.jsonl", program(messages=[*names, *MESSAGES]).frames)
        result = run("lint", path)
        assert "- and 30 more (--json has all)\n" in result.output

    def test_hostile_texts_steer_nothing(self, tmp_path):
        bad = message("\x1b[2J\nerror: forged")
        path = write(tmp_path / "bad.jsonl", program(messages=[bad, *MESSAGES]).frames)
        for words in (("lint",), ("lint", "--json"), ("replay", "--events"), ("diff", COUNT)):
            assert "\x1b" not in run(*words, path).output
            assert "\nerror: forged" not in run(*words, path).output

    def test_standard_input(self):
        with open(COUNT, encoding="utf-8") as file:
            text = "".join(line for line in file if '"file":' not in line)
        result = run("lint", "-", input=text)
        assert result.output.startswith("standard input: Gradio 6.31.0")
        assert "cannot be replayed" in result.output

    def test_what_is_no_trace(self, tmp_path):
        (tmp_path / "x.jsonl").write_text("hello")
        result = run("lint", tmp_path / "x.jsonl")
        assert result.exit_code == 2
        assert "is not a trace" in result.output
        assert run("lint", tmp_path / "missing.jsonl").exit_code != 0

    def test_the_files_that_can_be_read_are_checked_before_the_status_tells_of_the_others(self, tmp_path):
        (tmp_path / "x.jsonl").write_text("hello")
        result = run("lint", tmp_path / "missing.jsonl", COUNT, tmp_path / "x.jsonl", COUNT)
        assert result.exit_code == 2
        assert result.stdout.count("Gradio 6.31.0") == 2
        assert "missing.jsonl" in result.stderr
        assert "x.jsonl is not a trace" in " ".join(result.stderr.split())

    def test_every_command_says_that_a_trace_is_cut_off(self, tmp_path):
        path = tmp_path / "cut.jsonl"
        text = Path(COUNT).read_text(encoding="utf-8")
        path.write_text("".join(line for line in text[:-40].splitlines(True) if '"file":' not in line))
        for words in (["lint"], ["replay"], ["show"], ["redact"], ["page"]):
            result = run(*words, path)
            assert "cut off" in " ".join(result.output.split()), words

    def test_a_damaged_frame_is_named(self, tmp_path):
        head = '{"format":"gradio-transport-trace","version":1}\n'
        (tmp_path / "x.jsonl").write_text(
            head + '{"t":0,"dir":"out","kind":"request","method":1,"url":"x"}\n'
        )
        result = run("lint", tmp_path / "x.jsonl")
        assert result.exit_code == 2
        assert "'method' is missing or not of type str" in result.output


class TestReplay:
    def test_a_trace_that_replays(self):
        result = run("replay", COUNT)
        assert result.exit_code == 0
        assert ", replays exactly\n" in result.output
        assert "Call 1 of session 1, /count: 7 events, process_completed: done" in result.output

    def test_every_event(self):
        result = run("replay", "--events", COUNT)
        assert "\n- process_generating 0 1\n" in result.output
        assert "\n- estimation place 1 of 1 in the queue\n" in result.output

    def test_a_failure_is_among_the_events(self):
        cut = Path(__file__).parents[3] / "docs" / "debugging" / "cut.jsonl"
        assert "\n- failed StreamLost: The stream was cut off" in run("replay", "--events", str(cut)).output

    def test_mismatches(self, other):
        result = run("replay", other)
        assert result.exit_code == 1
        assert "1 mismatch\n" in result.output
        assert ": expected request 1.join PUT /gradio_api/queue/join" in result.output
        assert ", got request 1.join POST /gradio_api/queue/join" in result.output

    def test_json(self, other):
        result = run("replay", "--json", "--events", other, COUNT)
        first, second = map(json.loads, result.output.splitlines())
        assert first["mismatches"][0]["frame"] == 5
        (call,) = second["calls"]
        assert (call["endpoint"], call["over"], call["events"]) == ("/count", True, 7)
        assert [one["event"] for one in call["all"]][:3] == ["joined", "estimation", "process_starts"]
        assert second["mismatches"] == []

    def test_a_call_that_is_not_over_and_a_refused_discovery(self, tmp_path):
        story = Story().streams().says(1.3, ESTIMATION, STARTS)
        result = run("replay", write(tmp_path / "open.jsonl", story.frames))
        assert "3 events, not over" in result.output
        result = run("replay", shipped_trace("6.31.0/no_login"))
        assert "Discovery\n- AuthenticationRequired: " in result.output

    def test_what_cannot_be_replayed(self, tmp_path):
        frames = [frame for frame in program().frames if frame.session]
        path = write(tmp_path / "part.jsonl", frames)
        result = run("replay", path)
        assert result.exit_code == 1
        assert "cannot be replayed" in result.output
        assert "error: " in result.output
        assert json.loads(run("replay", "--json", path).output)["error"]["type"] == "TraceError"


class TestDiff:
    def test_traces_that_do_not_differ(self):
        result = run("diff", COUNT, COUNT)
        assert (result.exit_code, result.output) == (0, f"{COUNT} → {COUNT}: no difference\n")

    def test_differences_by_layer(self):
        result = run("diff", OLD_COUNT, COUNT)
        assert result.exit_code == 1
        lines = result.output.splitlines()
        assert [line for line in lines if not line.startswith("- ")][1:] == [
            "Trace",
            "Config",
            "Requests",
            "Messages",
        ]
        assert "- the prefix of routes was empty, is /gradio_api (5 requests)" in lines
        assert len(lines) < 30

    def test_one_layer(self):
        result = run("diff", OLD_COUNT, COUNT, "--only", "requests", "--only", "meta")
        assert result.output.splitlines()[1:] == [
            "Trace",
            "- gradio 4.44.1 became 6.31.0",
            "Requests",
            "- the prefix of routes was empty, is /gradio_api (5 requests)",
        ]
        assert run("diff", OLD_COUNT, COUNT, "--only", "values").exit_code == 0

    def test_json(self):
        document = json.loads(run("diff", "--json", OLD_COUNT, COUNT).output)
        assert document["old"] == OLD_COUNT
        keys = next(
            one for one in document["differences"] if one["layer"] == "messages" and one["count"] == 1
        )
        assert set(keys["keys"]) == {"title", "used_cache", "cache_duration", "avg_time"}

    def test_standard_input_once(self):
        assert run("diff", "-", "-").exit_code == 2


class TestHelp:
    @pytest.mark.parametrize("name", ["lint", "replay", "diff", "redact"])
    def test_it_has_an_example(self, name):
        result = run(name, "--help")
        assert f"Example:\n    gradio-transport trace {name} " in result.output
        assert max(map(len, result.output.splitlines())) <= 80


@pytest.mark.timeout(600)
@pytest.mark.parametrize("command", ["lint", "replay"])
def test_traces_of_the_kit(command, pytestconfig):
    check(command, slow_traces(pytestconfig, 20))


def check(command, paths):
    for start in range(0, len(paths), 100):
        some = paths[start : start + 100]
        result = run(command, *some)
        assert result.exit_code == 0
        assert sum(line.startswith(str(some[0].parents[1])) for line in result.output.splitlines()) == len(
            some
        )
