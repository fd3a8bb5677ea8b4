# SPDX-License-Identifier: Apache-2.0
"""The run of the suite against drivers, deliberately broken ones among them, faces and adapters."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from gradio_transport_conformance.cli.app import commands
from gradio_transport_conformance.grading import Grade
from gradio_transport_conformance.page import build_page
from gradio_transport_conformance.run.clients import ClientPlayer
from gradio_transport_conformance.run.results import RunResults, read_json
from gradio_transport_conformance.run.selection import plan_cases, select_cases, select_versions
from gradio_transport_conformance.run.serving import ServeMode
from gradio_transport_conformance.traces import shipped_trace

KIT = Path(__file__).parents[2] / "conformance" / "gradio_transport_conformance"
DRIVER = KIT / "drivers" / "gradio_transport_driver.py"
BROKEN = Path(__file__).with_name("broken_driver.py")

VERSION = "6.31.0"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(commands, ["run", "--quiet", "--versions", VERSION, *arguments])


def broken(bug: str) -> str:
    return shlex.join([sys.executable, str(BROKEN), str(DRIVER), bug])


class TestBrokenDrivers:
    """What a check is worth shows when it finds the bug that was put in."""

    @pytest.mark.parametrize(
        ("bug", "case", "cause"),
        [
            ("swallows errors", "raise_error", "no AppError was raised"),
            ("returns only the last yield", "count", "other yields"),
            ("shares one session", "state", "sessions are shared"),
            ("returns a wrong value", "hello", "other outputs"),
            ("says that everything is cancelled", "hello", "an error instead of a result: cancelled"),
            ("never cancels", "cancel_plain", "no CancelledError was raised"),
            ("answers an unknown kind of error", "raise_error", "invalid"),
            ("leaves steps out", "state", "invalid"),
            ("dies", "hello", "dead"),
        ],
    )
    def test_each_bug_is_found(self, bug: str, case: str, cause: str, tmp_path: Path) -> None:
        said = run("--client", broken(bug), "--cases", case, "--json", str(tmp_path / "results.json"))
        assert said.exit_code == 1, said.output
        (cell,) = read_json(tmp_path / "results.json").cells
        assert (cell.grade, cell.cause) == (Grade.FAIL, cause), cell.reason
        assert cause in said.output

    @pytest.mark.parametrize("bug", ["writes stray output", "answers another task"])
    def test_stray_output_does_no_harm(self, bug: str) -> None:
        said = run("--client", broken(bug), "--cases", "hello,count")
        assert said.exit_code == 0, said.output
        assert "2 right, 0 wrong" in said.output

    def test_what_a_client_cannot_is_counted_and_is_no_pass(self, tmp_path: Path) -> None:
        json_path = tmp_path / "results.json"
        said = run("--client", broken("cannot do anything"), "--cases", "hello", "--json", str(json_path))
        assert said.exit_code == 0
        assert "0 right, 0 wrong, 1 cannot" in said.output
        assert read_json(json_path).cells[0].grade is Grade.CANNOT

    def test_a_driver_that_hangs_is_graded_and_started_again(self) -> None:
        plan = plan_cases([VERSION], select_cases("hello,add"))
        player = ClientPlayer(broken("hangs"), ServeMode.MESSAGES, deadline=0.3, grace=0.2)
        try:
            results = [player.play_case(cell) for cell in plan]
        finally:
            player.close()
        assert [(cell.grade, cell.cause) for cell in results] == [(Grade.FAIL, "hung")] * 2

    def test_the_output_of_a_driver_that_dies_is_shown(self) -> None:
        said = run("--client", broken("dies"), "--cases", "hello,add", "--jobs", "1")
        assert said.exit_code == 1
        assert "2 wrong" in said.output
        assert "output: I cannot go on" in said.output


class TestOwnDriver:
    @pytest.mark.parametrize(
        ("face", "right"),
        [
            ("sync", "8 right, 0 wrong in"),
            ("asyncio", "8 right, 0 wrong in"),
            ("client", "6 right, 0 wrong, 2 cannot in"),
        ],
    )
    def test_it_is_right(self, face: str, right: str) -> None:
        command = shlex.join([sys.executable, str(DRIVER), "--face", face])
        cases = "count,state,login,cancel_plain,file_out,siblings,raise_error,on_select"
        said = run("--client", command, "--cases", cases, "--jobs", "2")
        assert right in said.output
        assert said.exit_code == 0

    def test_it_is_right_in_faults(self) -> None:
        command = shlex.join([sys.executable, str(DRIVER)])
        patterns = ["sse_v3 | join | 503 with json", "websocket C | stream | *reset*", "call stream"]
        arguments = [part for pattern in patterns[:2] for part in ("--faults", pattern)]
        said = run("--client", command, "--cases", "none", *arguments, "--jobs", "2")
        assert said.exit_code == 0, said.output
        assert " 0 wrong" in said.output

    def test_an_app_is_told_from_a_failure_on_the_way(self) -> None:
        arguments = ["--cases", "none", "--faults", "sse_v3 | join | 503 with json"]
        said = run("--client", broken("swallows errors"), *arguments)
        assert said.exit_code == 1
        assert "a value instead of ServerRefused" in said.output

    def test_several_apps_of_one_task(self) -> None:
        command = shlex.join([sys.executable, str(DRIVER)])
        said = run("--client", command, "--versions", "2.9.4", "--cases", "siblings")
        assert "1 right, 0 wrong" in said.output


class TestFaces:
    @pytest.mark.parametrize("face", ["sync", "trio", "aiohttp"])
    @pytest.mark.parametrize("mode", ["bytes", "messages"])
    def test_each_is_right(self, face: str, mode: str) -> None:
        said = run("--face", face, "--serve", mode, "--cases", "count,list_directory", "--jobs", "2")
        assert "2 right, 0 wrong" in said.output, said.output

    def test_faults_are_graded_in_full(self) -> None:
        said = run("--face", "sync", "--cases", "none", "--faults", "direct | join | 503 with html")
        assert "1 right, 0 wrong" in said.output, said.output


class TestAdapters:
    def test_a_right_one(self) -> None:
        adapter = ["--adapter", "gradio_transport_sse.v3:SSEv3"]
        said = run(*adapter, "--cases", "count,direct", "--faults", "sse_v3 | join | 503 with json")
        assert said.exit_code == 0, said.output
        assert "2 right, 0 wrong, 1 unsupported" in said.output
        assert "gradio_transport_sse.v3:SSEv3 (sse_v3)" in said.output

    def test_a_faulty_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "deaf_adapter.py").write_text(
            "from gradio_transport_sse.v3 import SSEv3\n"
            "from gradio_transport.adapter import Output\n"
            "class DeafExchange(SSEv3.exchange):\n"
            "    def message(self, *arguments, **named):\n"
            "        super().message(*arguments, **named)\n"
            "        return Output()\n"
            "class Deaf(SSEv3):\n"
            "    exchange = DeafExchange\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        said = run("--adapter", "deaf_adapter:Deaf", "--cases", "hello")
        assert said.exit_code == 1, said.output
        said = run(
            "--adapter", "deaf_adapter:Deaf", "--cases", "none", "--faults", "sse_v3 | join | 503 with json"
        )
        assert "it is not installed" in said.output

    def test_traces_of_their_own(self, tmp_path: Path) -> None:
        adapter = ["--adapter", "gradio_transport_websocket.websocket:WebSocketQueue"]
        said = run(*adapter, "--traces", str(shipped_trace("3.4.1/hello")))
        assert "1 right, 0 wrong" in said.output
        said = run(*adapter, "--traces", str(shipped_trace("3.1.4/hello")))
        assert said.exit_code == 1
        assert "no call of it went by websocket" in said.output
        (tmp_path / "no_trace.jsonl").write_text("nothing\n")
        assert "0 right, 1 wrong" in run(*adapter, "--traces", str(tmp_path)).output

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("nothing", "Pass a module and a class"),
            ("no_such_module:Adapter", "cannot be imported"),
            ("json:JSONDecoder", "not a subclass"),
        ],
    )
    def test_what_is_no_adapter(self, name: str, why: str) -> None:
        said = run("--adapter", name)
        assert (said.exit_code, why in said.output) == (2, True)


class TestKnownFailures:
    def test_a_failure_that_is_known_does_not_fail_the_run(self, tmp_path: Path) -> None:
        listed = tmp_path / "known.txt"
        listed.write_text(f"# our client\n{VERSION}/raise_* # it swallows errors\n")
        arguments = ["--client", broken("swallows errors"), "--known-failing", str(listed)]
        said = run(*arguments, "--cases", "raise_error,hello")
        assert said.exit_code == 0, said.output
        assert "1 right, 0 wrong, 1 known" in said.output
        assert "it swallows errors" in said.output

    @pytest.mark.parametrize(
        ("entry", "problem"),
        [
            (f"{VERSION}/hello", "passes, but is listed as failing"),
            (f"{VERSION}/helo", "no cell of this run is named '6.31.0/helo'"),
        ],
    )
    def test_a_stale_list_fails_the_run(self, entry: str, problem: str, tmp_path: Path) -> None:
        listed = tmp_path / "known.txt"
        listed.write_text(entry)
        said = run("--face", "sync", "--cases", "hello", "--known-failing", str(listed))
        assert said.exit_code == 1
        assert problem in said.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    paths = [part for kind in ("json", "junit", "html") for part in (f"--{kind}", str(folder / f"r.{kind}"))]
    said = run(
        "--client", broken("swallows errors"), "--cases", "raise_error,hello,login", "--record", *paths
    )
    assert said.exit_code == 1, said.output
    return folder


class TestReports:
    def results(self, folder: Path) -> RunResults:
        return read_json(folder / "r.json")

    def test_the_json_says_all_that_a_page_needs(self, folder: Path) -> None:
        results = self.results(folder)
        assert (results.way, results.serve, results.complete) == ("client", "messages", True)
        assert results.client.startswith("gradio-transport (sync)")
        cell = next(cell for cell in results.cells if cell.column == "raise_error")
        assert cell.expected == ["raise_error(\"x\") raises AppError with 'canonical failure' in its text"]
        assert cell.source.startswith("cases/errors.yaml, raise_error: gr.Error")
        assert cell.task is not None
        assert cell.task["groups"][0][0]["endpoint"] == "/raise_error"
        assert cell.answer["steps"] == [{"value": []}]

    def test_the_traffic_is_kept_without_the_password(self, folder: Path) -> None:
        traces = {cell.column: cell.trace or "" for cell in self.results(folder).cells}
        assert json.loads(traces["hello"].splitlines()[0])["format"] == "gradio-transport-trace"
        assert "/queue/join" in traces["login"]
        frames = [json.loads(line) for line in traces["hello"].splitlines()[1:]]
        assert {"session", "call", "chunk", "end"} <= {frame["kind"] for frame in frames}
        assert '"secret"' not in traces["login"]

    def test_junit(self, folder: Path) -> None:
        suite = ET.parse(folder / "r.junit").getroot()[0]
        assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
        failed = [test.get("name") for test in suite if test.find("failure") is not None]
        assert failed == ["raise_error"]

    def test_the_page_is_that_of_the_results(self, folder: Path) -> None:
        assert (folder / "r.html").read_text("utf-8") == build_page([self.results(folder)])

    def test_a_file_that_holds_no_results(self, tmp_path: Path) -> None:
        other = tmp_path / "other.json"
        other.write_text('{"format": "another"}')
        with pytest.raises(ValueError, match="does not contain the results of a run"):
            read_json(other)


class TestSelection:
    @pytest.mark.parametrize(
        ("text", "first", "last", "count"),
        [
            ("3.50.2", "3.50.2", "3.50.2", 1),
            ("3.50.2,4..6", "3.50.2", "6.31.0", None),
            ("6", "6.0.2", "6.31.0", None),
            ("..2", "2.3.6", "2.9.4", None),
            ("4.44..5.0", "4.44.1", "5.0.2", None),
            ("6.13..", "6.13.0", "6.31.0", None),
            ("all", "2.3.6", "6.31.0", None),
        ],
    )
    def test_versions(self, text: str, first: str, last: str, count: int | None) -> None:
        found = select_versions(text)
        assert (found[0], found[-1]) == (first, last)
        assert count in (None, len(found))

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            (["--face", "sync", "--versions", "7"], "Version 7 was not recorded"),
            (["--face", "sync", "--versions", "new"], "'new' is not a version"),
            (["--face", "sync", "--cases", "conut"], "There is no case 'conut'. Did you mean 'count'"),
            (["--face", "sync", "--faults", "bad luck"], "There is no fault 'bad luck'"),
            (
                ["--face", "sync", "--client", "x"],
                "pass one of --client, --driver-port, --adapter and --face",
            ),
            ([], "pass one of --client, --driver-port, --adapter and --face"),
            (["--client", "no-such-program"], "cannot be started"),
            (["--client", f"{sys.executable} -c 'import sys; sys.exit(\"no hello\")'"], "no hello"),
            (["--face", "sync", "--traces", "."], "--traces needs --adapter"),
            (["--face", "sync", "--cases", "none"], "Nothing is selected"),
        ],
    )
    def test_what_cannot_be_meant(self, arguments: list[str], problem: str) -> None:
        said = run(*arguments)
        assert (said.exit_code, problem in said.output) == (2, True), said.output


class TestOtherCommands:
    @pytest.fixture
    def invoke(self) -> Callable[..., Result]:
        return lambda *arguments: CliRunner().invoke(commands, list(arguments))

    def test_list(self, invoke: Callable[..., Result]) -> None:
        assert "gr.Error; its text" in invoke("list").output
        assert invoke("list", "--versions").output.splitlines()[-1] == VERSION
        assert "sse_v3 | join | 503 with json  ->  ServerRefused" in invoke("list", "--faults").output

    def test_show(self, invoke: Callable[..., Result]) -> None:
        said = invoke("show", f"{VERSION}/count").output
        assert 'count(3) returns ["0 1 2"]; yields [["0"], ["0 1"], ["0 1 2"]]' in said
        assert "POST /gradio_api/queue/join" in said

    def test_show_what_a_version_does_not_have(self, invoke: Callable[..., Result]) -> None:
        said = invoke("show", "count", "--version", "3.0.2")
        assert "Gradio 3.0.2 does not support it: no generators before 3.3." in said.output
        assert said.exit_code == 0

    def test_show_what_there_is_not(self, invoke: Callable[..., Result]) -> None:
        said = invoke("show", "conut")
        assert (said.exit_code, "no case 'conut'" in said.output) == (2, True)
