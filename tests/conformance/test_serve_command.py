# SPDX-License-Identifier: Apache-2.0
"""``serve`` and ``faults serve``, which a browser or a debugger is pointed at, and the template of a driver."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

import gradio_transport as gt
from gradio_transport_conformance.cli.app import commands
from gradio_transport_conformance.driver.host import Driver
from gradio_transport_conformance.driver.messages import Task, TaskStep, schemas
from gradio_transport_conformance.drivers import template
from gradio_transport_conformance.grading import Grade
from gradio_transport_conformance.run.clients import ClientPlayer
from gradio_transport_conformance.run.selection import plan_cases, select_cases
from gradio_transport_conformance.run.serving import ServeMode


@contextmanager
def command(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a command that serves until Ctrl-C; yields its first line."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gradio_transport_conformance", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline(), process
    finally:
        process.kill()
        process.communicate(timeout=20)


def interrupt(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Interrupt a command as Ctrl-C does; return its exit status and the rest of what it printed."""
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=20)
    assert errors == ""
    return process.returncode, said


def url_in(line: str) -> str:
    return re.findall(r"https?://\S+", line)[0]


class TestServe:
    def test_a_case_is_served_until_ctrl_c_and_what_the_client_did_wrong_is_printed(self) -> None:
        with command("serve", "6.31.0", "hello") as (line, process):
            assert line.startswith("Gradio 6.31.0, hello, as messages: http://127.0.0.1:")
            with gt.connect(url_in(line)) as app:
                assert app.call("/hello", "Ada") == ["Hello, Ada!"]
                with pytest.raises(gt.ServerRefused, match="Off tape"):
                    app.call("/hello", "Grace")
            status, said = interrupt(process)
        assert status == 0
        assert said == 'off tape: calls /hello by the queue\'s stream with ["Grace"]\n'

    @pytest.mark.parametrize(
        ("arguments", "shown"),
        [
            (("3.2", "all"), "Gradio 3.2, all, as messages: "),
            (("6", "hello", "--serve", "bytes"), "Gradio 6.31.0, hello, as bytes: "),
        ],
    )
    def test_all_cases_and_bytes_are_served(self, arguments: tuple[str, ...], shown: str) -> None:
        with command("serve", *arguments) as (line, process):
            assert line.startswith(shown)
            with gt.connect(url_in(line)) as app:
                assert app.call("/hello", "Ada") == ["Hello, Ada!"]
            assert interrupt(process) == (0, "")

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            (("6.31.0", "all", "--serve", "bytes"), "--serve bytes serves one case at a time"),
            (("7", "hello"), "Version 7 was not recorded. The recorded versions are 2.3.6, 2.9.4"),
            (("6.31.0", "helo"), "The kit has no trace 'helo' of Gradio 6.31.0. Did you mean 'hello'"),
            (("6.31.0", "hello", "--port", "70000"), "70000 is not in the range"),
        ],
    )
    def test_what_cannot_be_served(self, arguments: tuple[str, ...], problem: str) -> None:
        said = CliRunner().invoke(commands, ["serve", *arguments])
        assert (said.exit_code, problem in said.output) == (2, True), said.output

    @pytest.mark.parametrize("mode", ["bytes", "messages"])
    def test_a_port_that_is_taken(self, mode: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            said = CliRunner().invoke(commands, ["serve", "6.31.0", "hello", "--port", port, "--serve", mode])
        assert (said.exit_code, f"Port {port} cannot be used" in said.output) == (1, True), said.output


class TestFaultsServe:
    def test_a_fault_is_served_until_ctrl_c(self) -> None:
        with command("faults", "serve", "sse_v3 | join | 503 with json") as (line, process):
            assert line.startswith("sse_v3 | join | 503 with json: http://127.0.0.1:")
            with gt.connect(url_in(line)) as app, pytest.raises(gt.ServerRefused) as caught:
                app.call("/count", "x")
            assert caught.value.status == 503
            assert process.stdout is not None
            explained = process.stdout.readline()
            assert interrupt(process) == (0, "")
        assert explained == "Call function 0, /count, with 'x'. Expected: ServerRefused\n"

    def test_the_authority_to_trust_is_named(self) -> None:
        with command("faults", "serve", "sse_v3 | join | an expired certificate") as (line, process):
            assert url_in(line).startswith("https://")
            assert process.stdout is not None
            process.stdout.readline()
            trust = process.stdout.readline()
            assert trust.startswith("Trust the certificates of ")
            authority = Path(trust.removeprefix("Trust the certificates of ").strip())
            assert "BEGIN CERTIFICATE" in authority.read_text("ascii")
            with (
                pytest.raises(gt.ConnectError, match="certificate has expired"),
                gt.connect(url_in(line), verify=str(authority)) as app,
            ):
                app.call("/count", "x")
            assert interrupt(process)[0] == 0
        assert not authority.exists()

    def test_a_fault_that_there_is_not(self) -> None:
        said = CliRunner().invoke(commands, ["faults", "serve", "sse_v3 | join | bad luck"])
        assert (said.exit_code, "There is no fault" in said.output) == (2, True)


class TestTemplate:
    """A copy of the template, which is where a driver begins."""

    @pytest.fixture
    def program(self, tmp_path: Path) -> list[str]:
        return [sys.executable, str(shutil.copy(template.__file__, tmp_path / "driver.py"))]

    def test_it_says_hello_and_that_it_cannot(self, program: list[str]) -> None:
        with Driver(program) as driver:
            hello = driver.start()
            assert (hello.name, hello.features) == ("my_client", frozenset())
            step = TaskStep(endpoint="/hello", fn_index=0, data=["Ada"])
            answer = driver.run(Task(id="a", url="http://127.0.0.1:1", groups=[[step], [step]]))
        assert [one.cannot for one in answer.steps] == ["this is the template"] * 2

    def test_its_cells_are_no_pass(self, program: list[str]) -> None:
        player = ClientPlayer(program, ServeMode.MESSAGES)
        try:
            cells = [player.play_case(cell) for cell in plan_cases(["6.31.0"], select_cases("hello,file_in"))]
        finally:
            player.close()
        assert {cell.column: (cell.grade, cell.reason) for cell in cells} == {
            "hello": (Grade.CANNOT, "this is the template"),
            "file_in": (Grade.CANNOT, "the client has no files"),
        }

    def test_one_call_makes_cells_right(self, program: list[str], tmp_path: Path) -> None:
        """The second step of the guide."""
        path = Path(program[1])
        text = path.read_text("utf-8")
        call = 'import gradio_transport as gt\n    with gt.connect(task["url"]) as app:\n'
        call += '        return {"value": app.call(step["endpoint"], *step["data"])}'
        assert 'return {"cannot": "this is the template"}' in text
        path.write_text(text.replace('return {"cannot": "this is the template"}', call), "utf-8")
        player = ClientPlayer(program, ServeMode.MESSAGES)
        try:
            cells = [player.play_case(cell) for cell in plan_cases(["6.31.0"], select_cases("hello,count"))]
        finally:
            player.close()
        assert [(cell.grade, cell.reason) for cell in cells] == [(Grade.PASS, "")] * 2

    def test_its_files_are_those_of_the_protocol(self) -> None:
        message = {"type": "answer", "id": "a", "steps": [{"value": [template.file_answer("a.txt", b"hi")]}]}
        jsonschema.validate(message, dict(schemas())["answer"])
        assert message["steps"][0]["value"] == [{"$file": {"name": "a.txt", "base64": "aGk="}}]
