# SPDX-License-Identifier: Apache-2.0
"""Real Gradio servers, started on this machine, to record conformance traces and to run tests.

    from conformance.servers import running

    with running("4.44.1", variants=("canonical", "auth")) as server:
        server.url("auth")                  # "http://127.0.0.1:41397"
        server.scenario("count").fn_index   # the number of /count on this version
        server.has("progress")              # whether it has /progress

Every version has an environment of its own, so nothing here ever imports Gradio. From a shell:
`python -m conformance.servers --help`.
"""

from .apps import VARIANTS
from .environments import install, is_installed, remove, root
from .errors import (
    BootFailed,
    InstallFailed,
    InterpreterMissing,
    ScenarioUnavailable,
    ServersError,
    UnknownVersion,
    VariantUnavailable,
)
from .matrix import Entry, find, matrix
from .running import Scenario, Server, running

__all__ = [
    # booting
    "running",
    "Server",
    "Scenario",
    "VARIANTS",
    # the matrix and its environments
    "matrix",
    "find",
    "Entry",
    "install",
    "is_installed",
    "remove",
    "root",
    # errors
    "ServersError",
    "UnknownVersion",
    "InterpreterMissing",
    "InstallFailed",
    "BootFailed",
    "VariantUnavailable",
    "ScenarioUnavailable",
]
