# SPDX-License-Identifier: Apache-2.0
"""Calls recorded on an old Gradio, made again on a new one: will the callers of an app survive its upgrade?"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import gradio_transport as gt
from conformance.servers import Server, running
from gradio_transport.cli.app import commands
from gradio_transport.rerun import Inputs, Result, Status, plan, rerun
from gradio_transport.trace import TraceWriter, read_trace

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

OLD = ("3.50.2", "4.44.1")
NEW = "6.31.0"

SAME = {
    "/hello": ["Ada"], "/add": [2, 3], "/count": [3], "/pair": ["abc"], "/crash": ["x"], "/late_error": ["x"],
    "/progress": [2], "/large": [70000], "/file_out": ["some text"], "/direct": ["x"],
}  # fmt: skip
DIFFERENT = {"/chat": ["hi", 4], "/log": ["x"], "/video_out": []}


def record(server: Server, file: Path, path: Path) -> None:
    """Make the calls that an app's callers make, sessions, files and cancels among them."""
    with TraceWriter(path) as tap, gt.connect(server.url(), tap=tap, timeouts=gt.Timeouts(total=60)) as app:
        for name, arguments in (SAME | DIFFERENT).items():
            make(app, name, *arguments)
        make(app, "/file_in", gt.handle_file(file))
        for values in (("a", "b"), ("c",)):
            with app.session() as session:
                for value in values:
                    make(session, "/remember", value)
        at_once = [app.submit("/count", 2), app.submit("/count", 4)]
        for call in at_once:
            call.result()
        endless = app.submit("/forever")
        for _, event in zip(range(6), endless, strict=False):
            if isinstance(event, gt.ProcessGenerating):
                break
        endless.cancel()


def make(app: gt.Transport | gt.Session, name: str, *arguments: Any) -> None:
    with contextlib.suppress(gt.AppError):
        app.call(name, *arguments)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("recordings")
    file = folder / "one.txt"
    file.write_text("hello")
    for version in OLD:
        with running(version) as server:
            record(server, file, folder / f"{version}.jsonl")
    return {version: folder / f"{version}.jsonl" for version in OLD}


@pytest.fixture(scope="module")
def new(recordings: dict[str, Path]) -> Iterator[Server]:
    with running(NEW) as server:
        yield server


@pytest.mark.parametrize("version", OLD)
def test_an_upgrade(version: str, recordings: dict[str, Path], new: Server) -> None:
    path = recordings[version]
    with gt.connect(new.url(), timeouts=gt.Timeouts(total=60)) as app:
        planned = plan(
            read_trace(path), app.config, inputs=Inputs(files={"one.txt": path.parent / "one.txt"})
        )
        assert not any(one.skip for one in planned), [one.skip for one in planned if one.skip]
        results: list[Result] = list(rerun(app, planned))
    found = {result.planned.recorded.number: result for result in results}
    for number in sorted(found):
        result = found[number]
        name = result.planned.recorded.name
        expected = Status.DIFFERS if name in DIFFERENT else Status.SAME
        assert result.status is expected, (name, result.differences)
    remembered = [
        list(result.outcome.values)
        for _, result in sorted(found.items())
        if result.planned.recorded.name == "/remember" and result.outcome
    ]
    assert remembered == [["a"], ["a, b"], ["c"]]


@pytest.mark.parametrize("version", OLD)
def test_the_command(version: str, recordings: dict[str, Path], new: Server) -> None:
    path = recordings[version]
    words = [
        "trace",
        "rerun",
        str(path),
        "--on",
        new.url(),
        "--file",
        str(path.parent / "one.txt"),
        "--timeout",
        "60",
    ]
    result = CliRunner(catch_exceptions=False).invoke(commands, words)
    assert result.exit_code == 1
    assert f"{len(DIFFERENT)} differs" in result.stdout.splitlines()[-1], result.stdout
