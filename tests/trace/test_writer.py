# SPDX-License-Identifier: Apache-2.0
"""Writing traces: the format, what is remembered of the program, and that nothing ever reaches the driver."""

from __future__ import annotations

import base64
import json
import logging
import os
import stat
import subprocess
import sys
import threading

import pytest
from tracing import BASE, CONFIG, HASH, Program, chunk, program

from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import TraceWriter, environment_tap, read_trace


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def frames(path):
    return [line for line in lines(path) if line["kind"] != "meta"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "trace.jsonl"


class TestFormat:
    def test_the_first_line_names_the_format_and_what_was_taken_out(self, path):
        TraceWriter(path, meta={"case": "hello"}).close()
        (meta,) = lines(path)
        assert meta["format"] == "gradio-transport-trace"
        assert meta["version"] == 1
        assert meta["case"] == "hello"
        assert "session hashes" in meta["redacted"]

    def test_without_redaction_nothing_is_said_to_be_taken_out(self, path):
        TraceWriter(path, redact=False).close()
        assert lines(path)[0]["redacted"] == []

    def test_every_frame_is_one_line_in_order(self, path):
        with TraceWriter(path) as tap:
            made = program(tap)
        assert [(line["dir"], line["kind"]) for line in frames(path)] == [
            (frame.direction, frame.kind) for frame in made.frames
        ]

    def test_time_counts_from_the_first_frame_in_microseconds(self, path):
        with TraceWriter(path) as tap:
            tap(Frame(1000.0, Direction.OUT, Kind.STREAM_CLOSE, "stream", {}, 1))
            tap(Frame(1000.12345678, Direction.OUT, Kind.STREAM_CLOSE, "stream", {}, 1))
        assert [line["t"] for line in frames(path)] == [0.0, 0.123457]

    def test_text_stands_as_it_is(self, path):
        with TraceWriter(path) as tap:
            tap(chunk("data: é\n\n".encode()))
        assert "data: é" in path.read_text(encoding="utf-8")

    def test_a_chunk_that_cuts_a_character_in_two_is_base64(self, path):
        whole = "data: é\n\n".encode()
        with TraceWriter(path, redact=False) as tap:
            tap(chunk(whole[:7]))
            tap(chunk(whole[7:]))
        data = [base64.b64decode(line["data"]["base64"]) for line in frames(path)]
        assert data == [whole[:7], whole[7:]]

    def test_later_meta_lines_name_adapter_version_and_source(self, path):
        with TraceWriter(path) as tap:
            program(tap)
        meta = read_trace(path).meta
        assert (meta["adapter"], meta["gradio"], meta["source"]) == (["sse_v3"], "6.31.0", BASE)

    def test_the_source_is_written_without_user_and_password(self, path):
        with TraceWriter(path) as tap:
            Program(tap, base="https://me:open-sesame@example.org/app").discover().session()
        assert "open-sesame" not in path.read_text(encoding="utf-8")
        assert read_trace(path).meta["source"] == "https://example.org/app"

    def test_what_the_caller_says_of_the_version_is_not_overruled(self, path):
        with TraceWriter(path, meta={"gradio": "a fork"}) as tap:
            program(tap)
        assert read_trace(path).meta["gradio"] == "a fork"

    @pytest.mark.parametrize("config", [CONFIG | {"version": 3}, {"dependencies": [], "components": []}])
    def test_a_server_that_does_not_say_its_version(self, path, config):
        with TraceWriter(path) as tap:
            Program(tap).discover(config)
        assert "gradio" not in read_trace(path).meta

    def test_numbers_of_sessions_are_those_of_the_trace(self, path):
        with TraceWriter(path) as tap:
            for number in (7, 9, 7):
                tap(Frame(0.0, Direction.OUT, Kind.STREAM_CLOSE, "stream", {}, number))
        assert [line["session"] for line in frames(path)] == [1, 2, 1]

    def test_half_a_surrogate_pair_in_a_text_is_written(self, path):
        with TraceWriter(path) as tap:
            tap(Frame(0.0, Direction.IN, Kind.WS_TEXT, "1.ws", {"text": "\ud83d"}, 1))
            tap(Frame(0.0, Direction.IN, Kind.WS_TEXT, "1.ws", {"text": "after"}, 1))
        assert [frame.payload["text"] for frame in read_trace(path).frames] == ["\ud83d", "after"]

    def test_a_value_that_json_cannot_hold_is_named(self, path):
        with TraceWriter(path) as tap:
            tap(Frame(0.0, Direction.LOCAL, Kind.CALL, "1", {"data": [object()], "fn_index": 0}, 1))
        assert frames(path)[0]["data"] == ["<object>"]


class TestFiles:
    def test_every_line_is_on_disk_when_the_tap_returns(self, path):
        tap = TraceWriter(path)
        tap(chunk(b"data: 1\n\n"))
        assert len(lines(path)) == 2
        tap.close()

    def test_an_existing_file_is_appended_to(self, path):
        for _ in range(2):
            with TraceWriter(path) as tap:
                program(tap)
        assert len(read_trace(path).frames) == 2 * len(program().frames)

    def test_what_a_crash_left_unfinished_stays_a_line_of_its_own(self, path):
        with TraceWriter(path) as tap:
            tap(chunk(b"data: 1\n\n"))
        path.write_bytes(path.read_bytes()[:-9])
        with TraceWriter(path) as tap:
            tap(chunk(b"data: 2\n\n"))
        assert [frame.payload["data"] for frame in read_trace(path).frames] == [b"data: 2\n\n"]

    def test_large_bodies_are_kept_once_where_a_directory_is_given(self, tmp_path):
        config = CONFIG | {"css": "x" * 5000}
        for name in ("one", "two"):
            with TraceWriter(tmp_path / f"{name}.jsonl", bodies=tmp_path / "bodies") as tap:
                Program(tap).discover(config)
        assert len(list((tmp_path / "bodies").iterdir())) == 1
        body = read_trace(tmp_path / "two.jsonl").frames[1].payload["body"]
        assert json.loads(body) == config

    def test_a_file_that_cannot_be_opened_is_told_at_once(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            TraceWriter(tmp_path / "missing" / "trace.jsonl")

    def test_a_full_disk_ends_the_trace_and_not_the_program(self, path, caplog):
        tap = TraceWriter(path)
        with open("/dev/full", "wb", buffering=0) as full:
            os.dup2(full.fileno(), tap._file.fileno())
            program(tap)
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert "ends here" in caplog.text
        tap.close()

    def test_a_frame_that_makes_no_sense_ends_the_trace_and_not_the_program(self, path, caplog):
        with TraceWriter(path) as tap:
            tap(Frame(0.0, Direction.IN, Kind.CHUNK, "stream", {}, 1))
            tap(chunk(b"data: 1\n\n"))
        assert frames(path) == []
        assert len(caplog.records) == 1

    def test_closing_twice_and_writing_after_it_do_nothing(self, path):
        tap = TraceWriter(path)
        tap.close()
        tap.close()
        tap(chunk(b"data: 1\n\n"))
        assert frames(path) == []

    def test_a_writer_that_nobody_closes_warns_of_nothing(self, path):
        program(TraceWriter(path))  # ResourceWarning would be an error here
        assert frames(path)

    def test_many_threads_share_a_writer(self, path):
        with TraceWriter(path) as tap:
            threads = [
                threading.Thread(
                    target=lambda number=number: [
                        tap(chunk(b"data: 1\n\n", session=number)) for _ in range(50)
                    ]
                )
                for number in range(1, 9)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert len(frames(path)) == 400


@pytest.mark.skipif(os.name == "nt", reason="rights and links as POSIX has them")
class TestOtherUsers:
    def test_traces_and_bodies_are_readable_by_the_user_alone(self, tmp_path, path, monkeypatch):
        monkeypatch.setenv("GRADIO_TRANSPORT_TRACE", str(tmp_path / "traces"))
        before = os.umask(0)
        try:
            program(environment_tap())
            with TraceWriter(path, bodies=tmp_path / "bodies") as tap:
                Program(tap).discover(CONFIG | {"title": "x" * 5000})
        finally:
            os.umask(before)
        files = [path, *(tmp_path / "traces").iterdir(), *(tmp_path / "bodies").iterdir()]
        assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 3

    def test_a_link_is_not_written_through(self, tmp_path, path):
        path.symlink_to(tmp_path / "victim")
        with pytest.raises(OSError, match="link"):
            TraceWriter(path)
        assert not (tmp_path / "victim").exists()

    def test_the_name_in_the_directory_of_the_environment_is_not_to_be_guessed(self, tmp_path, monkeypatch):
        monkeypatch.setenv("GRADIO_TRANSPORT_TRACE", str(tmp_path))
        monkeypatch.setattr("time.strftime", lambda form: "now")
        monkeypatch.setattr("gradio_transport.trace.environment._numbers", iter([1, 1]))
        for _ in range(2):
            environment_tap().close()
        assert len(list(tmp_path.iterdir())) == 2


class TestEnvironment:
    def test_unset_means_no_tap(self, monkeypatch):
        monkeypatch.delenv("GRADIO_TRANSPORT_TRACE", raising=False)
        assert environment_tap() is None

    def test_every_tap_writes_a_fresh_file_of_the_directory(self, monkeypatch, tmp_path):
        monkeypatch.setenv("GRADIO_TRANSPORT_TRACE", str(tmp_path / "new" / "traces"))
        for _ in range(2):
            program(environment_tap())
        files = sorted((tmp_path / "new" / "traces").iterdir())
        assert len(files) == 2
        assert all(str(os.getpid()) in file.name and read_trace(file).frames for file in files)
        assert all(HASH not in file.read_text(encoding="utf-8") for file in files)

    def test_a_directory_that_cannot_be_made_is_logged(self, monkeypatch, tmp_path, caplog):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("GRADIO_TRANSPORT_TRACE", str(tmp_path / "file" / "traces"))
        assert environment_tap() is None
        assert "no trace is written" in caplog.text

    def test_importing_the_package_imports_no_http_library(self):
        code = "import gradio_transport.trace, sys; print('httpx' in sys.modules)"
        assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
