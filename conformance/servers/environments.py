# SPDX-License-Identifier: Apache-2.0
"""One virtual environment for each version, created once by uv, outside the repository.

An environment is complete if its stamp exists and names the lock it was created from. An incomplete
environment, or one from an older lock, is created again.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .errors import InstallFailed, InterpreterMissing
from .matrix import Entry

STAMP = "gradio-transport.json"
UV_SECONDS = 900


def root() -> Path:
    """The directory of the environments: `GRADIO_TRANSPORT_SERVERS`, or one in the user's cache."""
    chosen = os.environ.get("GRADIO_TRANSPORT_SERVERS")
    if chosen:
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "gradio-transport" / "servers"


def directory(entry: Entry) -> Path:
    return root() / entry.version


def interpreter(entry: Entry) -> Path:
    """The Python inside the environment of `entry`."""
    return directory(entry) / "bin" / "python"


def _stamp(entry: Entry) -> dict[str, str]:
    return {"python": entry.python, "lock": hashlib.sha256(entry.lock.read_bytes()).hexdigest()}


def is_installed(entry: Entry) -> bool:
    """Whether the environment of `entry` is complete and was created from the current lock."""
    try:
        written = json.loads((directory(entry) / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(written == _stamp(entry))


def install(entry: Entry) -> bool:
    """Create the environment of `entry` unless it is complete; return whether it was created."""
    with _alone(entry):
        if is_installed(entry):
            return False
        python = _find_interpreter(entry)
        # uv does not clear a directory that is not a complete environment, such as after an interruption.
        shutil.rmtree(directory(entry), ignore_errors=True)
        _fill(directory(entry), python, f"Gradio {entry.version}", "--requirement", str(entry.lock))
        (directory(entry) / STAMP).write_text(json.dumps(_stamp(entry)), encoding="utf-8")
        return True


def remove(entry: Entry) -> None:
    """Delete the environment of `entry`, complete or not."""
    with _alone(entry):
        shutil.rmtree(directory(entry), ignore_errors=True)


@contextmanager
def _alone(entry: Entry) -> Iterator[None]:
    """Hold the version's lock file, so that two test runs do not create the same environment at once."""
    root().mkdir(parents=True, exist_ok=True)
    with (root() / f".{entry.version}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _find_interpreter(entry: Entry) -> str:
    found = _run([*_uv_command(), "python", "find", "--no-project", entry.python])
    if found.returncode != 0:
        raise InterpreterMissing(entry.version, entry.python)
    return found.stdout.strip()


def make(place: Path, *requirements: str) -> Path:
    """Create an environment of this Python's version in an empty directory, and return its interpreter."""
    _fill(place, sys.executable, place.name, *requirements)
    return place / "bin" / "python"


def _fill(place: Path, python: str, what: str, *requirements: str) -> None:
    target = ["--quiet", "--python", str(place / "bin" / "python")]
    for arguments in (
        ["venv", "--quiet", "--python", python, str(place)],
        ["pip", "install", *target, *requirements],
    ):
        done = _run([*_uv_command(), *arguments])
        if done.returncode != 0:
            said = "\n".join(done.stderr.splitlines()[-30:])
            raise InstallFailed(f"uv {arguments[0]} failed for {what}:\n{said}")


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=UV_SECONDS, env=_uv_environment(), check=False
        )
    except subprocess.TimeoutExpired as expired:
        raise InstallFailed(f"uv took longer than {UV_SECONDS} s: {' '.join(command)}") from expired


def _uv_command() -> list[str]:
    if importlib.util.find_spec("uv") is not None:
        return [sys.executable, "-m", "uv"]
    found = shutil.which("uv")
    if found is None:
        raise InstallFailed("uv was found neither as a module of this Python nor on PATH")
    return [found]


def _uv_environment() -> Mapping[str, str]:
    """The environment for uv: no downloads of interpreters, and the ones of pyenv made visible."""
    # uv would find an active virtual environment first, whatever its version.
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    environment["UV_PYTHON_DOWNLOADS"] = "never"
    versions = _pyenv_versions()
    if versions:
        environment["PYENV_VERSION"] = ":".join(versions)
    return environment


def _pyenv_versions() -> list[str]:
    """The newest installed interpreter of each minor version, or none without pyenv.

    The shims of pyenv refuse to run a version that is installed but not selected.
    """
    pyenv = shutil.which("pyenv")
    if pyenv is None:
        return []
    listed = subprocess.run([pyenv, "versions", "--bare"], capture_output=True, text=True, check=False)
    newest: dict[tuple[int, int], tuple[int, str]] = {}
    for name in listed.stdout.split():
        release = re.fullmatch(r"(3)\.(\d+)\.(\d+)", name)
        if release:
            major, minor, patch = (int(number) for number in release.groups())
            newest[major, minor] = max(newest.get((major, minor), (-1, "")), (patch, name))
    return [name for _, (_, name) in sorted(newest.items(), reverse=True)]
