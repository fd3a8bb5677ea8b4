# SPDX-License-Identifier: Apache-2.0
"""Options of the test run."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--gradio",
        action="append",
        default=[],
        metavar="VERSION[,VERSION...]",
        help="Gradio versions for -m live, or 'all'; they are installed and booted as needed",
    )


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
