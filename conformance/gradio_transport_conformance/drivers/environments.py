# SPDX-License-Identifier: Apache-2.0
"""Environments of other clients: created when they are first needed, outside the repository, and kept."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

_INSTALL_SECONDS = 600.0


class DriverUnavailable(Exception):
    """A program that a driver needs is missing, or its client cannot be installed; the text says which."""


def cache_folder() -> Path:
    """Return where the environments are."""
    chosen = os.environ.get("GRADIO_TRANSPORT_DRIVERS")
    if chosen:
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "gradio-transport" / "drivers"


def find_program(name: str, hint: str) -> str:
    """Return the path of a program.

    Raises:
        DriverUnavailable: It is not installed.
    """
    found = shutil.which(name)
    if found is None:
        raise DriverUnavailable(f"{name} is not installed, or not on PATH. {hint}")
    return found


def python_with(package: str, version: str) -> Path:
    """Return a Python that has a version of a package.

    It is the running one if that has it, else one of a virtual environment.

    Raises:
        DriverUnavailable: It cannot be installed.
    """
    if _installed_version(package) == version:
        return Path(sys.executable)
    folder = cache_folder() / f"{package}-{version}"

    def fill(place: Path) -> None:
        python = _python_of(place)
        requirement = f"{package}=={version}"
        if importlib.util.find_spec("uv") is not None or shutil.which("uv"):
            uv = [sys.executable, "-m", "uv"] if importlib.util.find_spec("uv") else ["uv"]
            _run([*uv, "venv", "--quiet", "--python", sys.executable, str(place)])
            _run([*uv, "pip", "install", "--quiet", "--python", str(python), requirement])
        else:
            _run([sys.executable, "-m", "venv", str(place)])
            _run([str(python), "-m", "pip", "install", "--quiet", requirement])

    return _python_of(_made(folder, fill))


def node_package(source: Path, version: str) -> Path:
    """Return the folder of a version of @gradio/client.

    Args:
        source: Folder with the `package.json` that pins the shipped versions, and its lock.
        version: Those are installed together, as locked; any other one has a folder of its own.

    Raises:
        DriverUnavailable: npm is missing, or it cannot be installed.
    """
    pinned: dict[str, str] = json.loads((source / "package.json").read_text("utf-8"))["dependencies"]
    places = {pin.rpartition("@")[2]: name for name, pin in pinned.items()}
    name = places.get(version, "@gradio/client")
    npm = ["--ignore-scripts", "--no-audit", "--no-fund"]

    def fill(place: Path) -> None:
        program = find_program("npm", "It comes with Node.")
        place.mkdir()
        if version in places:
            for file in ("package.json", "package-lock.json"):
                shutil.copy(source / file, place / file)
            _run([program, "ci", *npm], place)
        else:
            (place / "package.json").write_text('{"private": true}', "utf-8")
            _run([program, "install", *npm, f"@gradio/client@{version}"], place)

    lock = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()
    label = f"locked-{lock[:12]}" if version in places else version
    return _made(cache_folder() / f"gradio-client-js-{label}", fill) / "node_modules" / name


def _installed_version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _python_of(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _made(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Return a folder that is created under another name and then renamed, so that it is never incomplete."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            fill(making / "environment")
            with suppress(OSError):  # another process was first
                (making / "environment").rename(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return folder


def _run(command: Sequence[str], folder: Path | None = None) -> None:
    # uv would take the environment that is active, whichever is named.
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    try:
        done = subprocess.run(  # noqa: S603 - the programs are found by name, the versions are checked
            list(command),
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DriverUnavailable(f"{' '.join(command)} failed: {error}") from error
    if done.returncode != 0:
        said = "\n".join((done.stderr or done.stdout).splitlines()[-20:])
        raise DriverUnavailable(f"{' '.join(command)} ended with status {done.returncode}:\n{said}")


__all__ = ["DriverUnavailable", "cache_folder", "find_program", "node_package", "python_with"]
