# SPDX-License-Identifier: Apache-2.0
"""Boots the real Gradio servers that the live tests ask for, one version at a time."""

from collections.abc import Iterator

import pytest

from conformance.servers import VARIANTS, InterpreterMissing, Server, matrix, running

DEFAULT_VERSIONS = ("6.31.0", "5.50.0", "4.44.1")


def versions(config: pytest.Config) -> list[str]:
    """Return the versions that the command line asks for."""
    named = [version for option in config.getoption("gradio") for version in option.split(",")]
    if named == ["all"]:
        return list(matrix())
    return named or list(DEFAULT_VERSIONS)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames:
        metafunc.parametrize("server", versions(metafunc.config), indirect=True, scope="session")


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    try:
        with running(request.param, variants=VARIANTS, skip_unavailable=True) as booted:
            yield booted
    except InterpreterMissing as missing:
        pytest.skip(f"Gradio {request.param}: {missing}")
