# SPDX-License-Identifier: Apache-2.0
"""The shipped drivers of other clients: what they report, what they say they cannot, and that they come back."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gradio_transport_conformance.driver.host import Driver
from gradio_transport_conformance.driver.messages import CannotTask, Task, TaskAnswer, TaskStep
from gradio_transport_conformance.drivers import (
    DriverUnavailable,
    command_for,
    environments,
    is_name,
    shipped,
)
from gradio_transport_conformance.grading import Grade
from gradio_transport_conformance.run.clients import ClientPlayer
from gradio_transport_conformance.run.results import CellResult
from gradio_transport_conformance.run.selection import plan_cases, select_cases
from gradio_transport_conformance.run.serving import ServeMode

ROOT = Path(__file__).parents[2]
DRIVERS = ROOT / "conformance" / "gradio_transport_conformance" / "drivers"
BROKEN = Path(__file__).with_name("broken_driver.py")
EXAMPLE = ROOT / "examples" / "client-in-node" / "driver.mjs"
VERSION = "6.31.0"


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip a test where a program is missing; with ``CI=true`` it fails, because `.ci/run` installs them."""
    missing = [one for one in programs if shutil.which(one) is None]
    is_optional = os.environ.get("CI") != "true"
    return pytest.mark.skipif(
        bool(missing) and is_optional, reason=f"{' and '.join(missing)} is not installed"
    )


needs_node = needs("node")
needs_npm = needs("node", "npm")
needs_curl = needs("curl", "jq")
installs = pytest.mark.slow  # the client comes from a registry

GRADIO_CLIENT = [sys.executable, str(DRIVERS / "gradio_client_driver.py")]
CURL = ["sh", str(DRIVERS / "curl" / "driver.sh")]
NODE_EXAMPLE = ["node", str(EXAMPLE)]

COMMANDS = [
    pytest.param(GRADIO_CLIENT, id="gradio_client"),
    pytest.param(CURL, id="curl", marks=needs_curl),
    pytest.param(NODE_EXAMPLE, id="example", marks=needs_node),
]

ON_REQUEST = [
    pytest.param("gradio_client==0.6.1", "3.50.2", id="gradio_client-0.6.1"),
    pytest.param("gradio_client==0.7.0", "4.0.2", id="gradio_client-0.7.0"),
    pytest.param("gradio_client==1.3.0", "4.44.1", id="gradio_client-1.3.0"),
    pytest.param("@gradio/client@0.5.2", "3.50.2", id="gradio-client-js-0.5.2", marks=needs_npm),
    pytest.param("@gradio/client", "6.31.0", id="gradio-client-js", marks=needs_npm),
]

pytestmark = pytest.mark.timeout(180)  # several processes start, on a machine that may be busy

CASES = "count,crash,file_in,state"
MORE_CASES = "hello,late_error,file_out,files,pair,two_generators,large"


def play(command: str | list[str], cases: str, version: str = VERSION) -> list[CellResult]:
    player = ClientPlayer(command, ServeMode.MESSAGES)
    try:
        return [player.play_case(cell) for cell in plan_cases([version], select_cases(cases))]
    finally:
        player.close()


def assert_right(cells: list[CellResult], count: int) -> None:
    assert [(cell.name, cell.reason) for cell in cells if cell.grade is not Grade.PASS] == []
    assert len(cells) == count


class TestAnswers:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_values_errors_files_and_sessions_are_reported(self, command):
        assert_right(play(command, CASES), 4)

    @pytest.mark.slow
    @pytest.mark.parametrize("command", COMMANDS)
    def test_more_of_them_are_reported(self, command):
        assert_right(play(command, MORE_CASES), 7)

    @pytest.mark.parametrize("command", [COMMANDS[2]])
    def test_a_running_call_is_cancelled(self, command):
        assert_right(play(command, "cancel_generator,cancel_then_call"), 2)

    def test_what_gradio_client_makes_of_a_cancellation_is_reported_as_it_is(self):
        # Two of its own threads race, and once in many times the other one wins.
        cells = (play(GRADIO_CLIENT, "cancel_generator")[0] for _ in range(5))
        assert any(cell.grade is Grade.FAIL and "KeyError" in cell.reason for cell in cells)

    @installs
    @pytest.mark.parametrize(("name", "version"), ON_REQUEST)
    def test_other_versions_are_installed_and_report_too(self, name, version):
        assert_right(play(name, CASES, version), 4)

    @installs
    @pytest.mark.parametrize(
        ("name", "case", "version"),
        [
            pytest.param("gradio_client==0.6.1", "chat_interface_streaming", "3.50.2", id="yields"),
            pytest.param("gradio_client==0.6.1", "chat", "3.16.2", id="json"),
            pytest.param("gradio_client==0.7.0", "cancel_generator", "4.0.2", id="reset"),
            pytest.param("@gradio/client@0.5.2", "image", "3.50.2", id="image", marks=needs_node),
            pytest.param("@gradio/client", "stream_input", "6.31.0", id="chunks", marks=needs_node),
        ],
    )
    def test_what_a_version_does_in_a_way_of_its_own_is_right(self, name, case, version):
        assert_right(play(name, case, version), 1)


class TestCannot:
    @pytest.mark.parametrize(
        ("command", "reasons"),
        [
            pytest.param(
                GRADIO_CLIENT,
                {
                    "on_select": "event_data",
                    "file_back": "local copies",
                    "call_hello": "protocol:call",
                    "no_such_file": "uploads",
                },
                id="gradio_client",
            ),
            pytest.param(
                CURL,
                {"stream_input": "streaming", "cancel_plain": "does not say"},
                id="curl",
                marks=needs_curl,
            ),
        ],
    )
    def test_what_a_client_has_no_means_for_is_said(self, command, reasons):
        cells = play(command, ",".join(reasons))
        assert [cell.grade for cell in cells] == [Grade.CANNOT] * len(reasons)
        for cell in cells:
            assert reasons[cell.column] in cell.reason


def step(endpoint: str, *data: object) -> TaskStep:
    return TaskStep(endpoint=endpoint, fn_index=0, data=data)


@contextmanager
def silent_server() -> Iterator[str]:
    """A server that accepts connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


class TestDeadline:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_a_server_that_never_answers_is_a_timeout(self, command):
        with Driver(command) as driver, silent_server() as url:
            driver.start()
            answer = driver.run(Task(id="x", url=url, groups=[[step("/hello", "Ada")]], deadline=1.0))
        assert isinstance(answer, TaskAnswer)
        assert answer.steps[0].error is not None
        assert answer.steps[0].error.kind == "timeout"

    @pytest.mark.parametrize("command", COMMANDS)
    def test_a_port_where_nothing_listens_is_lost(self, command):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Driver(command) as driver:
            answer = driver.run(Task(id="x", url=url, groups=[[step("/hello", "Ada")]]))
        assert not isinstance(answer, CannotTask)
        assert [one.error and one.error.kind for one in answer.steps] == ["lost"]


MUTATIONS = [
    pytest.param(
        DRIVERS / "gradio_client_driver.py",
        {
            'answer = describe_error(error, "result")': 'answer = {"value": (self._yields(job, endpoint) or [[""]])[-1]}',
            'str(step.get("session") or "main")': '"main"',
        },
        id="gradio_client",
    ),
    pytest.param(
        DRIVERS / "curl" / "driver.sh",
        {
            "error app ": 'tail -n 1 "$2/yields" | grep . || echo "[]" # ',
            '(.session // "main" | @uri)': '"main"',
        },
        id="curl",
        marks=needs_curl,
    ),
    pytest.param(
        EXAMPLE,
        {
            "return { ...describe(error), yields };": 'return { value: yields.at(-1) ?? [""], yields };',
            "return this.sessions.get(label);": "return this.app;",
        },
        id="example",
        marks=needs_node,
    ),
]
"""The code of a driver, and what is put in its place: errors are swallowed, in favour of the last yield if there is
one, and all steps are played in one session."""

FINDING = "crash,late_error,state"
"""The cases that find an error that is swallowed, a last yield in place of the result, and a session that leaks."""


class TestBugsOfDrivers:
    """Bugs that are put into a driver are found by the run."""

    @pytest.mark.parametrize(("driver", "bugs"), MUTATIONS)
    def test_they_are_found(self, driver, bugs, tmp_path):
        folder = tmp_path / "driver"
        shutil.copytree(driver.parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
        mutated = mutate(driver, bugs, folder)
        program = {".py": sys.executable, ".sh": "sh", ".mjs": "node"}[driver.suffix]
        assert_found(play([program, mutated], FINDING))

    @pytest.mark.parametrize("face", ["asyncio", "client"])  # of the sync interface: test_run.py
    def test_they_are_found_in_this_library_s(self, face):
        driver = DRIVERS / "gradio_transport_driver.py"
        assert_found(play([sys.executable, str(BROKEN), str(driver), "is careless", face], FINDING))

    @installs
    @needs_npm
    def test_they_are_found_in_that_of_the_client_in_javascript(self, tmp_path):
        node, driver, package = command_for("@gradio/client")
        bugs = {
            "failure = statusError(event);": "last ??= [''];",
            'step.session ?? "main"]': '"main"]',
        }
        mutated = mutate(Path(driver), bugs, tmp_path)
        assert_found(play([node, mutated, package], FINDING))


def assert_found(cells: list[CellResult]) -> None:
    assert [(cell.column, cell.grade) for cell in cells if cell.grade is not Grade.FAIL] == []
    assert len(cells) == 3


def mutate(driver: Path, bugs: dict[str, str], folder: Path) -> str:
    text = driver.read_text("utf-8")
    for code, bug in bugs.items():
        assert code in text
        text = text.replace(code, bug)
    (folder / driver.name).write_text(text, "utf-8")
    return str(folder / driver.name)


class TestEnvironments:
    def test_names_and_commands_are_told_apart(self):
        assert all(map(is_name, shipped()))
        assert is_name("gradio_client")
        assert is_name("@gradio/client")
        assert not is_name("node driver.mjs")
        assert not is_name("gradio_client==2.7.2; true")

    def test_an_unknown_name_is_refused_with_those_that_are_known(self):
        with pytest.raises(
            ValueError, match=r"No driver is shipped for 'gradio'.*gradio_client==2.7.2.*curl"
        ):
            command_for("gradio")

    def test_the_pinned_versions_are_one(self):
        pinned = json.loads((DRIVERS / "gradio_js" / "package.json").read_text("utf-8"))["dependencies"]
        versions = {f"@gradio/client@{pin.rpartition('@')[2]}" for pin in pinned.values()}
        assert versions == {name for name in shipped() if name.startswith("@gradio")}
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        (in_tests,) = [
            one for one in project["optional-dependencies"]["dev"] if one.startswith("gradio-client")
        ]
        assert in_tests.replace("gradio-client", "gradio_client") in shipped()

    def test_a_lock_names_no_registry(self):
        assert "://" not in (DRIVERS / "gradio_js" / "package-lock.json").read_text("utf-8")

    def test_the_client_that_is_installed_here_needs_no_environment(self, monkeypatch, tmp_path):
        monkeypatch.setenv("GRADIO_TRANSPORT_DRIVERS", str(tmp_path / "none"))
        assert command_for("gradio_client==2.7.2") == GRADIO_CLIENT
        assert not (tmp_path / "none").exists()

    @pytest.mark.parametrize("name", ["@gradio/client", "curl"])
    def test_a_missing_program_is_named(self, name, monkeypatch, tmp_path):
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(DriverUnavailable, match=r"^(node|curl) is not installed, or not on PATH"):
            command_for(name)

    @needs_node
    def test_a_package_of_npm_is_installed_once(self, monkeypatch, tmp_path):
        monkeypatch.setenv("GRADIO_TRANSPORT_DRIVERS", str(tmp_path / "cache"))
        script(tmp_path / "npm", f'echo "$@" >> {tmp_path}/calls; mkdir -p node_modules/@gradio/client')
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        commands = [command_for("@gradio/client@1.19.0") for _ in range(2)]
        assert commands[0] == commands[1]
        assert Path(commands[0][-1]).is_dir()
        (call,) = (tmp_path / "calls").read_text("utf-8").splitlines()
        assert call == "install --ignore-scripts --no-audit --no-fund @gradio/client@1.19.0"

    @needs_node
    def test_a_failed_installation_says_why_and_leaves_nothing(self, monkeypatch, tmp_path):
        monkeypatch.setenv("GRADIO_TRANSPORT_DRIVERS", str(tmp_path / "cache"))
        script(tmp_path / "npm", "echo no such version >&2; exit 7")
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        with pytest.raises(DriverUnavailable, match=r"ended with status 7:\nno such version"):
            command_for("@gradio/client@1.19.0")
        assert list((tmp_path / "cache").iterdir()) == []

    def test_environments_are_kept_in_the_cache(self, monkeypatch, tmp_path):
        monkeypatch.delenv("GRADIO_TRANSPORT_DRIVERS", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert environments.cache_folder() == tmp_path / "gradio-transport" / "drivers"


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    path.chmod(0o755)
