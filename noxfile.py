# SPDX-License-Identifier: Apache-2.0
"""The tasks of a contributor: ``nox -l`` lists them, ``nox -s test -- -k retry`` runs one with options."""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "docs", "test"]

PYTEST = ["pytest", "-n", "3", "-q"]


def install(session: nox.Session, extras: str = "dev") -> None:
    """Install the library from here, editable, as its README says."""
    session.install("-e", f".[{extras}]")


@nox.session
def test(session: nox.Session) -> None:
    """Run the tests, as the README does."""
    install(session)
    session.run(*PYTEST, *session.posargs)


@nox.session(name="tests", python=["3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    """Run the tests on one Python: ``nox -s tests-3.13``."""
    install(session)
    session.run(*PYTEST, *session.posargs)


@nox.session
def uvloop(session: nox.Session) -> None:
    """Run the tests with uvloop as the event loop of asyncio."""
    install(session)
    session.install("uvloop")
    session.run(*PYTEST, "--uvloop", *session.posargs)


@nox.session
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest versions that ``pyproject.toml`` allows for direct dependencies."""
    # pip has no such resolution, so this needs uv, whatever backend nox made the environment with.
    # Without gradio-client, which would raise huggingface_hub; tests that need it are skipped.
    overrides = Path(session.create_tmp()) / "overrides.txt"
    overrides.write_text("gradio-client; python_version < '3'\n", encoding="utf-8")
    session.install("--resolution", "lowest-direct", "--overrides", str(overrides), "-e", ".[dev]")
    session.run(*PYTEST, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Run what CI checks before the tests."""
    install(session)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell")
    session.run("mypy")
    session.run("pyright")
    session.run("lint-imports")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the pages into ``docs/_build/html``; a warning is an error."""
    install(session, "docs")
    session.run(
        "sphinx-build", "-n", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html", *session.posargs
    )


@nox.session
def live(session: nox.Session) -> None:
    """Run the cases against real Gradio servers: ``nox -s live -- --gradio 6.31.0,3.50.2``."""
    install(session)
    session.run(
        "pytest", "-q", "-m", "live", "tests/live", *(session.posargs or ["--gradio", "6.31.0,3.50.2"])
    )


@nox.session
def bench(session: nox.Session) -> None:
    """Measure side by side with gradio_client; needs a quiet machine."""
    install(session)
    session.install("--group", "bench")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def mutants(session: nox.Session) -> None:
    """Change one module in each possible way, and list the changes that its tests do not notice.

    ``nox -s mutants -- gradio_transport/app/credentials.py tests/app/test_credentials.py``
    """
    module, *tests = session.posargs
    copy = Path(session.create_tmp()) / "copy"  # cosmic-ray changes files where they are
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(
        ".", copy, ignore=shutil.ignore_patterns(".git", ".nox", ".venv", "__pycache__", "_build")
    )
    (copy / "mutants.toml").write_text(
        f"""
[cosmic-ray]
module-path = "{module}"
timeout = 30.0
excluded-modules = []
test-command = "pytest -q -x -p no:cacheprovider {" ".join(tests)}"
[cosmic-ray.distributor]
name = "local"
[cosmic-ray.filters.operators-filter]
exclude-operators = ["core/ReplaceBinaryOperator_BitOr_.*"]
""",  # BitOr: nearly always the | of an annotation, which is never evaluated
        encoding="utf-8",
    )
    session.chdir(copy)
    session.install("-e", ".[dev]", "cosmic-ray>=8.4")
    session.run("cosmic-ray", "init", "mutants.toml", "mutants.sqlite")
    session.run("cr-filter-operators", "mutants.sqlite", "mutants.toml")
    session.run("cosmic-ray", "exec", "mutants.toml", "mutants.sqlite")
    session.run("cr-report", "--surviving-only", "--show-diff", "mutants.sqlite")
