# SPDX-License-Identifier: Apache-2.0
"""The driver protocol: its schemas, the reading of what a driver writes, and the host of its process."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gradio_transport_conformance.driver.host import Driver
from gradio_transport_conformance.driver.messages import (
    CannotTask,
    DriverHello,
    Task,
    TaskAnswer,
    TaskStep,
    hello_message,
    schemas,
)
from gradio_transport_conformance.driver.process import DriverFailure
from gradio_transport_conformance.driver.reading import InvalidMessage, find_files, read_line
from gradio_transport_conformance.run.selection import plan_cases, select_cases
from gradio_transport_conformance.run.tasks import make_task

SCHEMAS = dict(schemas())

FILE = {"$file": {"name": "a.txt", "base64": "aGk="}}


def is_valid(name: str, message: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(SCHEMAS[name]).is_valid(message))


def answer(**step: Any) -> dict[str, Any]:
    return {"type": "answer", "id": "a", "steps": [step]}


class TestSchemas:
    @pytest.mark.parametrize("name", list(SCHEMAS))
    def test_each_is_a_schema(self, name: str) -> None:
        jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])

    def test_what_the_host_says_is_valid(self) -> None:
        assert is_valid("host_hello", hello_message())

    @pytest.mark.parametrize("version", ["2.9.4", "3.50.2", "6.31.0"])
    def test_the_task_of_each_case_is_valid(self, version: str) -> None:
        url = "http://127.0.0.1:1"
        for cell in plan_cases([version], select_cases("all")):
            if cell.case.unsupported(version) is None:
                task = make_task(cell.case, version, url, {}).as_json()
                jsonschema.validate(json.loads(json.dumps(task)), SCHEMAS["task"])

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("hello", {"type": "hello", "protocol": 1, "name": "mine", "features": ["cancel"]}),
            ("cannot", {"type": "cannot", "id": "a", "reason": "no files"}),
            ("cannot", {"type": "cannot", "id": "a"}),
            ("answer", answer(value=[1, FILE], yields=[[1]], events=["log"], statuses=["in a queue"])),
            ("answer", answer(error={"kind": "app", "message": "no", "type": "ValueError"}, yields=None)),
            ("answer", answer(cannot="no session")),
        ],
    )
    def test_what_is_valid_is_read(self, name: str, message: Any) -> None:
        assert is_valid(name, message)
        assert read_line(json.dumps(message).encode()) is not None

    @pytest.mark.parametrize(
        ("name", "message", "problem"),
        [
            ("hello", {"type": "hello", "protocol": 2, "name": "mine"}, "has version 2"),
            ("hello", {"type": "hello", "protocol": 1}, "name: expected a string"),
            ("hello", {"type": "hello", "protocol": 1, "name": "x", "features": [1]}, "array of strings"),
            ("cannot", {"type": "cannot"}, "id: expected a string"),
            ("answer", {"type": "answer", "id": "a"}, "steps: expected an array"),
            ("answer", {"type": "answer", "id": "a", "steps": [1]}, r"steps\[0\]: expected an object"),
            ("answer", answer(), "got none of them"),
            ("answer", answer(value=[], cannot="no"), "got value and cannot"),
            ("answer", answer(value={"a": 1}), "value: expected an array"),
            ("answer", answer(value=[], yields=[1]), "array of arrays"),
            ("answer", answer(error={"kind": "bad luck"}), "'bad luck' is not one of app, refused"),
        ],
    )
    def test_what_is_not_valid_is_refused(self, name: str, message: Any, problem: str) -> None:
        assert not is_valid(name, message)
        with pytest.raises(InvalidMessage, match=problem):
            read_line(json.dumps(message).encode())

    @pytest.mark.parametrize("file", [{"name": "a"}, {"name": "a", "base64": "%%%"}, {"base64": ""}, None])
    def test_a_file_without_its_content_is_refused(self, file: Any) -> None:
        with pytest.raises(InvalidMessage, match=r"\$file"):
            read_line(json.dumps(answer(value=[[{"$file": file}]])).encode())


class TestReading:
    @pytest.mark.parametrize(
        "line",
        [
            b"", b"Loading model...", b"\xff\xfe", b"[1]", b"{}", b'{"type": "gossip"}', b'{"type": 1}', b"null",
            b"[" * 100_000, b'{"type":' * 10_000, b"\x00",
        ],
    )  # fmt: skip
    def test_stray_output(self, line: bytes) -> None:
        assert read_line(line) is None

    def test_files_are_found_in_order(self) -> None:
        other = {"$file": {"name": "b", "base64": ""}}
        found = find_files([1, [FILE], {"video": other}])
        assert [(one.name, one.content) for one in found] == [("a.txt", b"hi"), ("b", b"")]


class TestFeatures:
    @pytest.mark.parametrize(
        ("step", "needed"),
        [
            ({}, set()),
            ({"endpoint": None}, {"fn_index"}),
            ({"fn_index": None}, {"session_endpoints"}),
            ({"cancel_after": 0}, {"cancel"}),
            ({"data": [{"deep": [FILE]}]}, {"files"}),
            ({"data": [{"$kept": 0}]}, {"files"}),
            ({"event_data": {"index": 0}}, {"event_data"}),
            ({"send": [[1]]}, {"streaming"}),
            ({"url": "http://other"}, {"apps"}),
            ({"endpoint": None, "component_function": "ls", "component_id": 3}, {"component"}),
        ],
    )
    def test_what_a_step_needs(self, step: dict[str, Any], needed: set[str]) -> None:
        one = TaskStep(**{"endpoint": "/a", "fn_index": 1, "data": [], **step})
        assert Task(id="a", url="http://x", groups=[[one]]).needed_features() == needed

    def test_what_a_task_needs(self) -> None:
        steps = [TaskStep(endpoint="/a", fn_index=1, data=[], session=one) for one in "xy"]
        task = Task(
            id="a", url="http://x", groups=[steps], protocol="call", credentials=("u", "p"), limits={"a": 1}
        )
        assert task.needed_features() == {"parallel", "sessions", "protocol:call", "auth", "limits"}


SCRIPT = """
import json, os, subprocess, sys, time
mode = sys.argv[1]
def say(message): print(json.dumps(message), flush=True)
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "hello":
        if mode == "no hello": time.sleep(600)
        if mode == "wrong hello": say({"type": "hello", "protocol": 7, "name": "x"})
        print("Loading...", flush=True)
        say({"type": "hello", "protocol": 1, "name": "script", "features": ["cancel"]})
        continue
    if mode == "die": sys.exit("I am dying")
    if mode == "killed": os.kill(os.getpid(), 9)
    if mode == "deaf": time.sleep(600)
    if mode == "closes": os.close(1); time.sleep(600)
    if mode == "child":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print(child.pid, file=sys.stderr, flush=True); time.sleep(600)
    if mode == "flood":
        while True: say({"type": "answer", "id": "other", "steps": []})
    if mode == "noise":
        while True: print("x" * 1000, file=sys.stderr); print("y" * 1000)
    if mode == "long":
        for _ in range(70): sys.stdout.write("x" * 1_048_576)
        print(flush=True)
    say({"type": "answer", "id": message["id"], "steps": [{"value": ["done"]}]})
"""

STEP = TaskStep(endpoint="/a", fn_index=1, data=[])
TASK = Task(id="a", url="http://127.0.0.1:1", groups=[[STEP]], deadline=0.5)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # What has ended and was not waited for counts as ended.
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


class TestHost:
    @pytest.fixture
    def drive(self, tmp_path: Path) -> Iterator[Any]:
        path = tmp_path / "script.py"
        path.write_text(SCRIPT)
        started: list[Driver] = []

        def start(mode: str, start_seconds: float = 30.0) -> Driver:
            command = [sys.executable, str(path), mode]
            started.append(Driver(command, start_seconds=start_seconds, grace_seconds=0.3))
            return started[-1]

        yield start
        for driver in started:
            driver.close()

    def test_a_task_is_answered(self, drive: Any) -> None:
        driver = drive("well")
        hello = driver.start()
        assert isinstance(hello, DriverHello)
        assert (hello.name, hello.features) == ("script", {"cancel"})
        for _ in range(2):
            answered = driver.run(TASK)
            assert isinstance(answered, TaskAnswer)
            assert answered.steps[0].value == ["done"]
        assert driver.output == "Loading..."

    def test_a_task_that_the_client_has_no_feature_for_is_not_sent(self, drive: Any) -> None:
        task = Task(id="a", url="http://x", groups=[[TaskStep(endpoint=None, fn_index=1, data=[])]])
        answered = drive("die").run(task)
        assert answered == CannotTask(id="a", reason="the client has no fn_index")

    @pytest.mark.parametrize(
        ("mode", "cause", "text"),
        [
            ("die", "dead", "ended with status 1"),
            ("killed", "dead", "was ended by signal 9"),
            ("closes", "dead", "closed its standard output"),
            ("deaf", "hung", "did not answer within 0.8 s"),
            ("flood", "hung", "did not answer"),
            ("noise", "hung", "did not answer"),
        ],
    )
    def test_a_failure_is_told_and_the_driver_is_started_again(
        self, mode: str, cause: str, text: str, drive: Any
    ) -> None:
        driver = drive(mode)
        for _ in range(2):
            with pytest.raises(DriverFailure, match=text) as raised:
                driver.run(TASK)
            assert raised.value.cause == cause
        assert len(raised.value.output) < 40_000

    def test_what_a_dying_driver_says_is_kept(self, drive: Any) -> None:
        with pytest.raises(DriverFailure) as raised:
            drive("die").run(TASK)
        assert raised.value.output == "Loading...\nI am dying"

    def test_a_line_that_is_too_long_is_refused(self, drive: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        driver = drive("long")
        driver.start()
        with pytest.raises(DriverFailure, match="a line of more than 64 MB"):
            driver.run(Task(id="a", url="http://x", groups=[[STEP]], deadline=20))

    def test_the_children_of_a_driver_end_with_it(self, drive: Any) -> None:
        driver = drive("child")
        with pytest.raises(DriverFailure, match="did not answer") as raised:
            driver.run(Task(id="a", url="http://x", groups=[[STEP]], deadline=3))
        child = int(raised.value.output.split()[-1])
        ends = time.monotonic() + 5
        while is_running(child) and time.monotonic() < ends:
            time.sleep(0.01)
        assert not is_running(child)

    @pytest.mark.parametrize(
        ("mode", "text"),
        [("no hello", "did not answer within 1 s"), ("wrong hello", "the driver has version 7")],
    )
    def test_a_driver_that_does_not_say_hello(self, mode: str, text: str, drive: Any) -> None:
        with pytest.raises(DriverFailure, match=text):
            drive(mode, 1.0 if mode == "no hello" else 30.0).start()

    def test_a_program_that_there_is_not(self) -> None:
        with pytest.raises(DriverFailure, match="cannot be started"):
            Driver("no-such-program --at all").start()
        with pytest.raises(ValueError, match="is empty"):
            Driver("")
