# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace show``, over recorded traces and over traces made here."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from growth import check_growth
from kit import slow_traces
from rich.cells import cell_len
from tracing import BASE, Program, message, output, program, reply, sse

import gradio_transport_conformance
from gradio_transport.cli.app import commands
from gradio_transport.cli.terminal import Terminal
from gradio_transport.cli.trace import follow as following
from gradio_transport.cli.trace.brief import arguments, brief, newest, pretty, size, took
from gradio_transport.cli.trace.live import LivePrinter
from gradio_transport.cli.trace.printing import PIPE_COLUMNS
from gradio_transport.errors import TimeoutExpired
from gradio_transport.protocol.commands import Ending
from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import TraceWriter, read_trace, timeline

KIT = Path(gradio_transport_conformance.__file__).parent / "traces"
COMMAND = (sys.executable, "-m", "gradio_transport", "trace", "show")

Save = Callable[[Program], Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Return what writes the frames of a program as a trace, and returns its path."""

    def save(made: Program, name: str = "made.jsonl") -> Path:
        with TraceWriter(tmp_path / name, redact=False, meta={"gradio": "6.31.0"}) as tap:
            for frame in made.frames:
                tap(frame)
        return tmp_path / name

    return save


def run(*words: object, **options: Any) -> Result:
    runner = CliRunner(catch_exceptions=False)
    return runner.invoke(commands, ["trace", "show", *map(str, words)], **options)


def show(*words: object) -> str:
    result = run(*words)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def lines(*words: object) -> list[str]:
    return show(*words).splitlines()


def kit(name: str) -> Path:
    return KIT / f"{name}.jsonl"


def in_a_terminal(*words: object, columns: int = 80) -> str:
    """Run the command in a terminal, and return what was drawn."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        [*COMMAND, *map(str, words)],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**environment, "TERM": "xterm-256color"},
    )
    os.close(slave)
    drawn = bytearray()
    with contextlib.suppress(OSError):  # Linux ends a terminal whose other side is closed with an error
        while chunk := os.read(master, 65536):
            drawn += chunk
    os.close(master)
    assert process.wait() == 0
    return drawn.decode()


class TestCalls:
    def test_a_call_is_shown_with_its_outcome_requests_events_and_times(self) -> None:
        shown = lines(kit("6.31.0/count"))
        assert re.fullmatch(r".*count\.jsonl: Gradio 6\.31\.0 by sse_v3, 1 session, 1 call, 299 ms", shown[0])
        assert shown[1] == "discovery: 2 requests, 328 kB, 64 ms"
        assert re.fullmatch(r"call 1  /count\(3\) +completed in 200 ms", shown[3])
        assert shown[4].strip() == "join 47 ms, queue 53 ms, stream 99 ms"
        assert re.fullmatch(r"   0\.080  → POST /gradio_api/queue/join +200     47 B     46 ms", shown[5])
        assert shown[6].strip() == '{"data": [3], "fn_index": 18}'
        assert re.fullmatch(r"   0\.127  → GET  /gradio_api/queue/data +200   stream     47 ms", shown[7])
        texts = [re.sub(r" +", " ", line).strip() for line in shown[8:]]
        assert texts == [
            "0.179 ← estimation place 1 of 1 +52 ms",
            "0.179 ← process_starts +0 ms",
            '0.180 ← process_generating 1 ["0"] +0 ms',
            '0.224 ← process_generating 2 ["0 1"] +44 ms',
            '0.275 ← process_generating 3 ["0 1 2"] +51 ms',
            '0.279 ← process_completed ["0 1 2"] +4 ms',
            "0.279 ← close_stream +1 ms",
            "0.280 • the stream ended 7 events 1.5 kB +1 ms",
        ]

    def test_an_error_is_told_in_the_title_and_whole_below_it(self, save: Save) -> None:
        text = "Traceback:\n  line 1\n  line 2 " + "x" * 150
        failed = message("process_completed", output={"error": text}, success=False)
        shown = show(save(program(messages=[failed])))
        assert re.search(r"call 1  /count\(\"x\"\) +AppError after", shown)
        assert "✗ Traceback:\n            line 1\n            line 2 " + "x" * 150 in shown

    def test_a_text_of_many_lines_is_bounded(self, save: Save) -> None:
        failed = message(
            "process_completed", output={"error": "\n".join(map(str, range(500)))}, success=False
        )
        shown = lines("--no-lint", save(program(messages=[failed])))
        assert len(shown) < 50
        assert any(line.strip() == "and 480 lines more" for line in shown)

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("2.9.4/hello", ["/api/queue/push/", "place 1", "COMPLETE", '["Hello, Ada!"]']),
            ("3.50.2/count", ["WS   /queue/join", "→ send", "process_generating 3", "socket closed here"]),
            ("4.0.2/count", ["/queue/data", "send_data", "process_generating 3"]),
            (
                "6.31.0/cancel_generator",
                ["cancelled after 253 ms", "the caller cancels", "/gradio_api/cancel"],
            ),
            ("6.31.0/crash", ["AppError after", "canonical crash"]),
            ("6.31.0/login", ["with a login"]),
            ("6.31.0/files", ["/gradio_api/upload", 'file "one.txt", 5 B']),
            ("6.31.0/call_count", ["generating 2", "complete", "stream closed here"]),
            ("6.31.0/stream_input", ['input  ["two"]', "end of the input", "process_streaming"]),
            ("6.31.0/direct", ["POST /gradio_api/run/", "reply"]),
            ("4.0.2/gallery", ["GET  /file="]),
            ("3.2/queue_position", ["call 3, session 3", "Timeout after 20.01 s", "┆ nothing for 19.98 s"]),
        ],
    )
    def test_every_generation_is_shown(self, name: str, words: list[str]) -> None:
        shown = show(kit(name))
        assert [word for word in words if word not in shown] == []

    def test_what_is_beside_the_calls_is_shown_in_time(self) -> None:
        shown = show(kit("6.31.0/files"))
        assert shown.index("/gradio_api/upload") < shown.index("call 1") < shown.index("queue/join")
        assert "heartbeat" not in shown

    def test_a_failed_discovery_is_shown_with_its_requests(self, save: Save) -> None:
        made = Program()
        request = {"method": "GET", "url": f"{BASE}/config", "headers": {}, "body": None, "phase": "discover"}
        made.taps.show(Direction.OUT, Kind.REQUEST, "discover", 0, request)
        made.taps.response("discover", 0, reply({"detail": "no"}, 502))
        shown = show(save(made))
        assert re.search(r"→ GET  /config +502", shown)
        assert '{"detail": "no"}' in shown

    def test_a_discovery_that_got_no_reply_says_why(self, save: Save) -> None:
        made = Program()
        request = {"method": "GET", "url": f"{BASE}/config", "headers": {}, "body": None, "phase": "discover"}
        made.taps.show(Direction.OUT, Kind.REQUEST, "discover", 0, request)
        made.taps.failure(
            "discover", 0, TimeoutExpired("nothing within 5 s", setting="discover", seconds=5.0)
        )
        assert "TimeoutExpired: nothing within 5 s" in show("--no-lint", save(made))

    def test_why_a_discovery_failed_is_told(self, save: Save) -> None:
        made = Program()
        payload = {"error": "NotAGradioApp", "message": "it is a web page"}
        made.taps.show(Direction.LOCAL, Kind.ERROR, "discover", 0, payload)
        assert "✗ NotAGradioApp: it is a web page" in show("--no-lint", save(made))

    def test_what_recorded_it_is_told(self, tmp_path: Path) -> None:
        meta = {"library": "gradio-transport 9.9", "python": "3.11", "recorder": "proxy"}
        with TraceWriter(tmp_path / "proxied.jsonl", meta=meta) as tap:
            program(tap)
        shown = show("--discovery", tmp_path / "proxied.jsonl")
        assert ", recorded by a proxy" in shown.splitlines()[0]
        assert "library gradio-transport 9.9, python 3.11" in shown

    def test_every_try_of_a_request_is_shown(self, save: Save) -> None:
        made = Program().discover().session()
        made.frames += [
            Frame(200.0, Direction.LOCAL, Kind.CALL, "1", {"endpoint": "/count", "fn_index": 0, "data": []}, 1),
            *(
                frame
                for attempt in (1, 2)
                for frame in (
                    Frame(200.0 + attempt, Direction.OUT, Kind.REQUEST, "1.join", {
                        "method": "POST", "url": f"{BASE}/queue/join", "phase": "join",
                        **({"attempt": attempt} if attempt > 1 else {}),
                    }, 1),
                    Frame(200.5 + attempt, Direction.IN, Kind.RESPONSE, "1.join", {
                        "status": 503, "headers": {}, "body": b"{}", "attempt": attempt,
                    }, 1),
                )
            ),
        ]  # fmt: skip
        shown = show("--no-lint", save(made))
        assert "(try 2)" in shown
        assert shown.count("sent again by the library") == 2

    def test_messages_of_no_call_are_shown_apart(self, save: Save) -> None:
        shown = show("--no-lint", save(program(messages=[message("process_starts", "nobody")])))
        assert "of no call\n" in shown
        assert shown.index("of no call\n") < shown.index("process_starts")

    def test_a_chat_is_shown_with_what_each_chunk_adds(self, save: Save) -> None:
        made = Program().discover().session()
        call = {"endpoint": "/chat", "fn_index": 0, "data": ["hi", []]}
        asked = {"method": "POST", "url": f"{BASE}/chat/completions", "phase": "stream", "stream": True}
        said = [{"content": "Hel"}, {"content": "lo "}, {}]
        chunks = [{"id": "x", "choices": [{"index": 0, "delta": delta}]} for delta in said]
        number = made.wire.number
        made.frames += [
            Frame(200.0, Direction.LOCAL, Kind.CALL, "1", call, number),
            Frame(200.0, Direction.OUT, Kind.REQUEST, "1.chat", asked, number),
            Frame(200.0, Direction.IN, Kind.RESPONSE_HEAD, "1.chat", {"status": 200, "headers": {}}, number),
            Frame(201.0, Direction.IN, Kind.CHUNK, "1.chat", {"data": sse(*chunks)}, number),
            Frame(201.0, Direction.IN, Kind.CHUNK, "1.chat", {"data": b"data: [DONE]\n\n"}, number),
        ]
        texts = [re.sub(r" +", " ", line) for line in lines("--no-lint", "--events", save(made))]
        assert [text.partition("← ")[2].rpartition(" +")[0] for text in texts[-4:]] == [
            'chunk 1 "Hel"',
            'chunk 2 "lo "',
            'chunk {"choices": [{"index": 0, "delta": {}}]}',
            '[DONE] "[DONE]"',
        ]

    def test_a_trace_without_calls_is_not_empty(self, save: Save) -> None:
        assert "GET  /config" in show(save(Program().discover()))


class TestEndings:
    def test_a_cut_off_stream(self, save: Save) -> None:
        made = Program().discover().session().call("x").chunks(b"data: {").end(Ending.RESET)
        shown = show(save(made))
        assert "✗ the connection broke in the middle of an event (7 B of it came)" in shown
        assert "StreamLost after" in shown
        assert "diagnosis: " in shown

    def test_a_silence(self, save: Save) -> None:
        made = Program().discover().session().call("x").chunks(sse(message("process_starts")))
        silent = Frame(made.frames[-1].t + 3, Direction.IN, Kind.END, "stream", {
            "ending": "idle", "code": None, "reason": "timed out",
        }, made.wire.number)  # fmt: skip
        made.frames.append(silent)
        shown = show(save(made))
        assert "┆ nothing for 3.00 s, not even a heartbeat" in shown
        assert re.search(r"✗ stream closed here: .*Timeouts\(idle=.*\+3\.00 s", shown)
        assert "┆" not in show("--silence", "5", save(made, "again.jsonl"))  # type: ignore[call-arg]

    def test_what_this_side_gave_up(self, save: Save) -> None:
        made = Program().discover().session().call("x")
        made.took(made.wire.abandon(made.exchange, TimeoutExpired("too slow", setting="total", seconds=1.0)))
        assert "✗ abandoned: TimeoutExpired: too slow" in show(save(made))

    def test_a_call_that_does_not_end(self, save: Save) -> None:
        assert "unfinished after" in show(save(Program().discover().session().call("x")))


class TestFindings:
    def test_lint_and_diagnosis_are_where_they_belong(self, save: Save) -> None:
        messages = [
            message("brand_new"),
            message("process_completed", output={"error": "why"}, success=False),
        ]
        path = save(program(messages=messages))
        shown = show(path)
        assert shown.index("call 1") < shown.index("! call 1 of session 1, /count: warning: the message")
        assert shown.index("call 1") < shown.index("diagnosis: The app's function raised an error")
        assert "diagnosis:" not in show("--no-lint", path)


class TestSelection:
    def test_one_call(self) -> None:
        shown = show("--call", 2, kit("3.2/queue_position"))
        assert [word for word in ("call 1,", "call 2,", "call 3,") if word in shown] == ["call 2,"]
        assert "discovery" not in shown

    def test_several_calls(self) -> None:
        shown = show("--call", 1, "--call", 3, kit("3.2/queue_position"))
        assert [word for word in ("call 1,", "call 2,", "call 3,") if word in shown] == ["call 1,", "call 3,"]

    def test_events_alone(self) -> None:
        shown = lines("--events", kit("6.31.0/count"))
        assert all("←" in line for line in shown[3:])
        assert len(shown) == 10

    def test_channels_and_phases_alone(self) -> None:
        shown = show("--only", "join", kit("6.31.0/count"))
        assert "queue/join" in shown
        assert "queue/data" not in shown
        shown = show("--only", "stream, upload", kit("6.31.0/files"))
        assert "queue/data" in shown
        assert "/upload" in shown
        assert "queue/join" not in shown

    def test_the_discovery(self) -> None:
        shown = show("--discovery", kit("6.31.0/count"))
        assert "GET  /gradio_api/info" in shown
        assert "/gradio_api/heartbeat/" in shown

    @pytest.mark.parametrize(
        ("words", "text"),
        [
            (["--call", "9"], "--call 9"),
            (["--only", "nonsense"], "--only nonsense"),
            (["--silence", "0"], "--silence"),
            (["--follow", "--frames"], "--follow takes one file"),
        ],
    )
    def test_what_the_trace_does_not_have_is_bad_usage(self, words: list[str], text: str) -> None:
        result = run(*words, kit("6.31.0/count"))
        assert result.exit_code == 2
        assert text in result.stderr

    def test_frames_have_headers_and_pretty_bodies(self) -> None:
        shown = show("--frames", "--call", 1, kit("6.31.0/count"))
        assert "→ request  1.join  session 1" in re.sub(r" +", " ", shown).replace(
            " 1.join", "  1.join"
        ).replace(" session", "  session")
        assert "            content-type: application/json\n" in shown
        assert '              "fn_index": 18,\n' in shown
        assert '                    "msg": "process_starts",\n' in shown
        assert "/config" not in shown

    def test_all_frames_are_shown(self) -> None:
        shown = show("--frames", kit("6.31.0/count"))
        trace = read_trace(kit("6.31.0/count"))
        assert [int(number) for number in re.findall(r"  frame (\d+)$", shown, re.MULTILINE)] == list(
            range(len(trace.frames))
        )
        assert "characters in all" in shown


class TestFiles:
    def test_several_files(self) -> None:
        shown = show(kit("6.31.0/count"), kit("3.50.2/count"))
        assert "by sse_v3" in shown
        assert "by websocket" in shown

    def test_standard_input(self) -> None:
        text = "".join(
            line + "\n"
            for line in kit("2.9.4/hello").read_text().splitlines()
        )  # fmt: skip
        result = run("-", input=text)
        assert result.exit_code == 0
        assert result.stdout.startswith("standard input: Gradio 2.9.4 by polling")

    def test_a_file_that_ends_within_a_line(self, tmp_path: Path) -> None:
        path = tmp_path / "cut.jsonl"
        path.write_text(kit("2.9.4/hello").read_text()[:-20])
        assert "cut off within a line" in lines(path)[0]

    def test_what_is_no_trace_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "page.html").write_text("<html>")
        assert run(tmp_path / "page.html").exit_code == 2
        assert run(tmp_path / "nothing").exit_code == 2

    def test_json_is_one_object_for_each_file(self) -> None:
        first, second = map(json.loads, lines("--json", kit("6.31.0/count"), kit("6.31.0/crash")))
        (call,) = first["calls"]
        assert (call["endpoint"], call["outcome"], call["data"]) == ("/count", "completed", ["0 1 2"])
        assert [step["name"] for step in call["steps"]][:3] == ["call", "POST", "GET"]
        edited = [step["data"] for step in call["steps"] if step.get("edited")]
        assert edited == [["0 1"], ["0 1 2"]]
        assert [span["name"] for span in call["phases"]] == ["join", "queue", "run", "stream"]
        assert [step["name"] for step in first["discovery"]] == ["GET", "GET"]
        assert second["calls"][0]["error"] == "AppError"
        assert second["calls"][0]["diagnoses"]


class TestTerminal:
    @pytest.mark.parametrize("columns", [80, 120])
    def test_no_line_is_wider_than_the_terminal(self, columns: int) -> None:
        names = [
            "6.31.0/count",
            "4.44.1/count",
            "3.50.2/count",
            "6.31.0/files",
            "3.2/queue_position",
            "6.31.0/crash",
        ]
        drawn = in_a_terminal(*map(kit, names), columns=columns)
        assert "\x1b[" in drawn
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn).replace("\r", "")
        assert max(map(cell_len, plain.splitlines())) <= columns
        assert plain.count("completed in") >= 4

    def test_a_pipe_gets_no_colours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FORCE_COLOR", "1")
        shown = show(kit("6.31.0/crash"))
        assert "\x1b" not in shown
        assert max(map(len, shown.splitlines()[1:6])) <= PIPE_COLUMNS

    def test_steering_text_is_shown_and_not_obeyed(self, save: Save) -> None:
        evil = "\x1b[2J\x1b]0;owned\x07\u202e\r\n\n\x9b31m"
        messages = [
            message("log", log=evil, level=evil, title=evil),
            message(evil, more={evil: evil}),
            message("process_generating", output=output(evil, {evil: [evil]}), success=True),
            message("process_completed", output={"error": evil, "title": evil}, success=False),
        ]
        made = program(messages=messages, data=[evil])
        for words in ([], ["--frames"], ["--json"], ["--follow"]):
            given = {"input": None} if words != ["--follow"] else {"input": save(made).read_bytes()}
            result = run(*words, "-" if words == ["--follow"] else save(made), **given)
            assert result.exit_code == 0
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", result.stdout), words


class TestBrief:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ({"a": [1, None, True], "b": {"c": "é"}}, '{"a": [1, null, true], "b": {"c": "é"}}'),
            ([], "[]"),
            ({}, "{}"),
            (float("nan"), "nan"),
            ("a\nb", '"a\\nb"'),
            (10**500, "an integer of 1661 bits"),
        ],
    )
    def test_values_are_json(self, value: object, text: str) -> None:
        assert brief(value, 100) == text

    def test_long_ones_are_cut(self) -> None:
        assert brief(["x" * 100], 10) == '["xxxxxxx…'
        assert cell_len(brief("漢" * 100, 11)) <= 11

    def test_large_ones_cost_what_is_shown(self) -> None:
        check_growth(
            lambda value: brief(value, 40), [["x" * 10_000]] * 2_500, [["x" * 10_000]] * 10_000, times=2
        )

    def test_deep_ones_need_no_stack(self) -> None:
        deep: Any = []
        for _ in range(100_000):
            deep = [deep]
        assert brief(deep, 10) == "[[[[[[[[[…"
        assert pretty(deep, 10) == ["[[[[[[[[[…"]
        while deep:  # the garbage collector needs a stack for it
            deep = deep.pop()

    def test_texts_and_chats_are_shown_with_their_ends(self) -> None:
        assert newest(["a" * 100 + "end"], 20).endswith('end"]')
        chat = [{"role": "assistant", "content": "b" * 100 + "end"}]
        assert newest([chat], 20).endswith('end"]')
        assert newest([1, "x"], 40) == '[1, "x"]'

    def test_arguments_are_as_between_parentheses(self) -> None:
        assert arguments(["Ada", 3], 40) == '"Ada", 3'
        assert arguments({"name": "Ada"}, 40) == '{"name": "Ada"}'
        assert arguments(None, 40) == ""

    def test_sizes_and_times(self) -> None:
        assert [size(count) for count in (0, 999, 1000, 12_345, 999_999, 5 * 10**9)] == [
            "0 B", "999 B", "1.0 kB", "12 kB", "1.0 MB", "5.0 GB",
        ]  # fmt: skip
        assert [took(seconds) for seconds in (0.0, 0.0472, 1, 59.999, 125)] == [
            "0 ms", "47 ms", "1.00 s", "60.00 s", "2 min 5 s",
        ]  # fmt: skip


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def printer(clock: Clock) -> LivePrinter:
    return LivePrinter(Terminal(), clock=clock)


class TestLive:
    def test_frames_are_shown_as_they_come(
        self, printer: LivePrinter, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for frame in program().frames:
            printer(frame)
        printer.close()
        texts = [re.sub(r" +", " ", line).strip() for line in capsys.readouterr().out.splitlines()]
        assert [text.partition(" ")[2] for text in texts if "call 1" in text][-1].startswith(
            "1.875 • call 1 completed"
        )
        assert [text for text in texts if "process_generating" in text] == [
            '1 1.625 ← process_generating ["é 1"] +125 ms',
            '1 1.750 ← process_generating ["é 1, ü 2"] +125 ms',
        ]

    def test_a_request_without_reply_is_shown_after_a_while(
        self, printer: LivePrinter, clock: Clock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        made = Program().discover().session().call("x")
        join = next(at for at, frame in enumerate(made.frames) if frame.channel.endswith(".join"))
        for frame in made.frames[: join + 1]:
            printer(frame)
        capsys.readouterr()
        printer.tick()
        assert capsys.readouterr().out == ""
        clock.now += 2
        printer.tick()
        printer.tick()
        assert re.search(r"POST /gradio_api/queue/join +no reply", capsys.readouterr().out)
        printer(made.frames[join + 1])
        assert re.search(r"POST /gradio_api/queue/join +200", capsys.readouterr().out)

    def test_a_silence_is_shown_while_it_lasts(
        self, printer: LivePrinter, clock: Clock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for frame in Program().discover().session().call("x").chunks(sse(message("process_starts"))).frames:
            printer(frame)
        capsys.readouterr()
        clock.now += 3
        printer.tick()
        printer.tick()
        assert re.fullmatch(r"  1 +4\.375  ┆ nothing for 3\.00 s so far\n", capsys.readouterr().out)

    def test_a_call_that_broke_is_told_at_once(
        self, printer: LivePrinter, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for frame in Program().discover().session().call("x").end(Ending.RESET).frames:
            printer(frame)
        assert "✗ call 1 StreamLost after" in capsys.readouterr().out

    def test_json_lines_are_for_programs(self, capsys: pytest.CaptureFixture[str]) -> None:
        printer = LivePrinter(Terminal(), as_json=True)
        for frame in program().frames:
            printer(frame)
        printer.say("a remark")
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [one["change"] for one in found if one["change"] != "step"] == ["call", "done"]
        assert [one["name"] for one in found if one.get("kind") == "event"][-1] == "close_stream"

    def test_stdout_may_belong_to_another_program(self, capsys: pytest.CaptureFixture[str]) -> None:
        printer = LivePrinter(Terminal(), to_stderr=True)
        for frame in program().frames:
            printer(frame)
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "call 1 completed" in shown.err


class Writer:
    """Stands in for `time.sleep`: does something to the file each time, and then presses Ctrl-C."""

    def __init__(self, *deeds: Callable[[], object]) -> None:
        self.deeds = list(deeds)

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= 1
        if not self.deeds:
            raise KeyboardInterrupt
        self.deeds.pop(0)()


@pytest.fixture
def whole(save: Save) -> bytes:
    return save(program()).read_bytes()


class TestFollow:
    def follow(self, path: Path, monkeypatch: pytest.MonkeyPatch, *deeds: Callable[[], object]) -> str:
        monkeypatch.setattr(following.time, "sleep", Writer(*deeds).sleep)
        result = run("--follow", path)
        assert result.exit_code == 130
        return result.stdout

    def test_what_is_added_is_shown(
        self, tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "growing.jsonl"
        path.write_bytes(whole[:700])

        def add() -> None:
            with path.open("ab") as file:
                file.write(whole[700:])

        shown = self.follow(path, monkeypatch, lambda: None, add, lambda: None)
        assert shown.count("call 1 completed") == 1
        assert shown.count("process_completed") == 1

    def test_a_truncated_file_is_told_and_read_again(
        self, tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "again.jsonl"
        path.write_bytes(whole + b"\n" * 100)
        shown = self.follow(path, monkeypatch, lambda: path.write_bytes(whole))
        assert "the file was truncated" in shown
        assert shown.count("call 1 completed") == 2

    def test_a_replaced_file_is_told_and_read(
        self, tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "rotated.jsonl"
        path.write_bytes(whole)
        other = tmp_path / "other.jsonl"
        other.write_bytes(whole)
        shown = self.follow(path, monkeypatch, path.unlink, lambda: None, lambda: other.rename(path))
        assert shown.count("the file was removed") == 1
        assert "the file was replaced" in shown
        assert shown.count("call 1 completed") == 2

    def test_a_pipe_is_followed_to_its_end(self, whole: bytes) -> None:
        result = run("--follow", "-", input=whole[:-30])
        assert result.exit_code == 0
        assert "call 1 completed" in result.stdout
        assert "the trace ends within a line" in result.stdout

    def test_what_is_no_trace_is_refused(self, tmp_path: Path) -> None:
        assert run("--follow", "-", input=b"hello\n").exit_code == 2
        assert run("--follow", tmp_path / "nothing").exit_code == 2

    def test_ctrl_c_ends_it(self, tmp_path: Path, whole: bytes) -> None:
        path = tmp_path / "growing.jsonl"
        path.write_bytes(whole)
        process = subprocess.Popen([*COMMAND, "--follow", str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        seen = b""
        while b"the stream ended" not in seen:
            seen += process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        process.stdout.close()


def test_the_help_has_an_example() -> None:
    shown = show("--help")
    assert "Example:\n    gradio-transport trace show count.jsonl\n" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_traces_of_the_kit_are_shown_whole(pytestconfig: pytest.Config) -> None:
    for path in slow_traces(pytestconfig, 5):
        check_shown(path, show("--no-lint", path))


def check_shown(path: Path, shown: str) -> None:
    line = timeline(read_trace(path))
    assert line.calls or "discovery" in shown, path
    for call in line.calls:
        assert re.search(rf"^call {call.number}(, session {call.session})?  ", shown, re.MULTILINE), path
    arrows = shown.count("  ← ")
    assert arrows == sum(len(call.events) for call in line.calls) + sum(
        step.kind.value == "event" and not step.shared and step.event != "heartbeat"
        for session in line.sessions
        for step in session.steps
    ), path


def test_lint_is_part_of_it_on_every_generation() -> None:
    for path in sorted(KIT.glob("*/count.jsonl")):
        assert "error:" not in show(path)


@pytest.mark.parametrize("words", [["--json"], ["--frames", "--call", "1"], ["--follow"]])
def test_the_other_views_have_something_of_every_generation(words: list[str]) -> None:
    """One trace in twelve: the views of frames and JSON are a hundred times as long."""
    for path in sorted(KIT.glob("*/*.jsonl"))[::12]:
        if words == ["--follow"]:
            result = run(*words, "-", input=b"".join(without_shared_bodies(path)))
        elif timeline(read_trace(path)).calls:
            result = run(*words, "--no-lint", path)
        assert result.exit_code == 0, (path, result.output)
        assert len(result.stdout) > 100, path


def without_shared_bodies(path: Path) -> Iterator[bytes]:
    """Yield the lines that a pipe can have: the bodies of the discovery are in files beside the trace."""
    for line in path.read_bytes().splitlines(keepends=True):
        if b'"body":{"file"' not in line:
            yield line
