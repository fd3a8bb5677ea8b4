# SPDX-License-Identifier: Apache-2.0
"""The pytest plug-in: recorded and faulty Gradio servers for tests of programs that call Gradio apps.

pytest loads this module at each start, so it imports nothing but pytest: fixtures import what they need.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from .adapters import AdapterConformance

if TYPE_CHECKING:
    from .faults import ServeFault
    from .servers import Served, ServeRecording

_SERVED: pytest.StashKey[list[Served]] = pytest.StashKey()
"""The servers of a test that report problems of its requests."""

_PASSED: pytest.StashKey[bool] = pytest.StashKey()
"""Whether the test function of a test passed."""

_RECORDED = "gradio_recorded_cassette"
"""The property of a test that recorded one, which reports carry, from another process too (xdist)."""

_CASSETTES: pytest.StashKey[list[str]] = pytest.StashKey()
"""All cassettes that were recorded in this run."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("gradio", "Gradio apps (gradio-transport)")
    group.addoption(
        "--gradio-record",
        choices=("once", "none", "all"),
        default=None,
        help="Record missing cassettes (once), no cassettes (none), or all of them again (all). "
        "By default the setting gradio_record, or once.",
    )
    parser.addini("gradio_record", "Which cassettes to record: once, none or all.", default="once")
    parser.addini("gradio_source", "URL of the app, or name of the Space, from which cassettes are recorded.")


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark."""
    config.stash[_CASSETTES] = []
    config.addinivalue_line(
        "markers",
        "gradio_cassette(name=None, *, source=None, secrets=()): gradio_url is a recording proxy before the "
        "app `source` on the first run, and replays what was recorded on each later one.",
    )


@pytest.fixture
def gradio_server(request: pytest.FixtureRequest) -> Generator[ServeRecording, None, None]:
    """Serve recordings: call it with a version and a case, or a trace file; the result has a .url."""
    from .servers import ServeRecording

    with ExitStack() as stack:
        yield ServeRecording(request.path.parent, stack, request.node.stash.setdefault(_SERVED, []))
    _fail_for_problems(request.node)


@pytest.fixture
def gradio_fault(request: pytest.FixtureRequest) -> Generator[ServeFault, None, None]:
    """Serve an app that misbehaves in one way: call it with a fault; the result has a .url."""
    from .faults import ServeFault

    with ExitStack() as stack:
        yield ServeFault(stack)


@pytest.fixture
def gradio_url(request: pytest.FixtureRequest) -> Generator[str, None, None]:
    """URL of the app of a test that is marked with gradio_cassette, recorded once and then replayed."""
    from .cassettes import find_cassette, record_cassette, replay_cassette
    from .servers import ServeRecording

    item: pytest.Item = request.node
    mark = item.get_closest_marker("gradio_cassette")
    if mark is None:
        raise pytest.UsageError(
            "gradio_url needs the mark @pytest.mark.gradio_cassette on the test: it names the recording."
        )
    cassette = find_cassette(item, mark)
    if cassette.is_recorded(_mode(item.config)) or cassette.shown in item.config.stash[_CASSETTES]:
        with ExitStack() as stack:
            serve = ServeRecording(request.path.parent, stack, item.stash.setdefault(_SERVED, []))
            yield replay_cassette(cassette, serve).url
        _fail_for_problems(item)
        return
    with record_cassette(cassette, lambda: item.stash.get(_PASSED, False)) as url:
        yield url
    if item.stash.get(_PASSED, False):
        item.config.stash[_CASSETTES].append(cassette.shown)
        item.user_properties.append((_RECORDED, cassette.shown))


def _mode(config: pytest.Config) -> str:
    mode = str(config.getoption("--gradio-record") or config.getini("gradio_record"))
    if mode not in ("once", "none", "all"):
        raise pytest.UsageError(f"The setting gradio_record is {mode!r}; it can be once, none or all.")
    return mode


# --- reports -----------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a test for requests that were not recorded, and report them with the error that they caused."""
    try:
        yield
    except BaseException as error:
        problems = "" if isinstance(error, pytest.skip.Exception) else _problems(item)
        if problems:
            error.add_note(f"\n{problems}")
        raise
    _fail_for_problems(item)
    item.stash[_PASSED] = True


def _fail_for_problems(item: pytest.Item) -> None:
    problems = _problems(item)
    if problems:
        pytest.fail(problems, pytrace=False)


def _problems(item: pytest.Item) -> str:
    """Return the problems of a test's requests that were not reported yet."""
    served = item.stash.setdefault(_SERVED, [])
    return "\n".join(filter(None, (one.take_problems() for one in served)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the cassettes that were recorded."""
    reports = terminalreporter.getreports("")
    properties = [pair for one in reports for pair in getattr(one, "user_properties", ())]
    names = dict.fromkeys(str(value) for name, value in properties if name == _RECORDED)
    if names:
        terminalreporter.section("recorded cassettes")
        for name in names:
            terminalreporter.write_line(name)


__all__ = ["AdapterConformance"]
