# SPDX-License-Identifier: Apache-2.0
"""Options of the test run."""

import signal

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--gradio",
        action="append",
        default=[],
        metavar="VERSION[,VERSION...]",
        help="Gradio versions for -m live, or 'all'; they are installed and booted as needed",
    )


def pytest_configure() -> None:
    # A shell starts background jobs (`pytest &`, `nohup`) with SIGINT ignored, and children inherit that: the
    # tests that interrupt a program of their own would wait for nothing.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
