# SPDX-License-Identifier: Apache-2.0
"""Options of the test run."""

import asyncio
import signal

import pytest
from browser import browser, pytest_exception_interact, tab  # noqa: F401  (two fixtures and a hook)
from security_page import named_tests


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--gradio",
        action="append",
        default=[],
        metavar="VERSION[,VERSION...]",
        help="Gradio versions for -m live, or 'all'; they are installed and booted as needed",
    )
    parser.addoption(
        "--whole-kit",
        action="store_true",
        help="play every trace of the kit where each takes long, and every fault on every face; without it every "
        "fifth, ninth or twentieth trace, and each cell of the fault bench on one face",
    )
    parser.addoption(
        "--uvloop",
        action="store_true",
        help="run everything of asyncio on uvloop, which must be installed (pip install uvloop)",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--uvloop"):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    # A shell starts background jobs (`pytest &`, `nohup`) with SIGINT ignored, and children inherit that: the
    # tests that interrupt a program of their own would wait for nothing.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that `docs/security.md` names, so that ``-m attack`` plays them all and counts them."""
    attacks = {f"{module}::{name}" for module, name in named_tests()}
    for item in items:
        test = item.nodeid.partition("[")[0]
        if test in attacks or test.rpartition("::")[0] in attacks:  # a class stands for all of its tests
            item.add_marker(pytest.mark.attack)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
