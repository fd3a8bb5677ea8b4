# SPDX-License-Identifier: Apache-2.0
"""Environments of their own, made by uv: an import is only as dear as what lies beside it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACE = Path(__file__).parent / ".environments"

PACKAGES: dict[str, list[str]] = {
    "gradio_client": ["gradio_client==2.7.2"],
    "transport": ["-e", f"{ROOT}[aiohttp]", "uvloop; sys_platform != 'win32'"],
}


def python(name: str) -> str:
    """Return the interpreter of an environment, which is made if it is not there."""
    place = PLACE / name
    interpreter = place / "bin" / "python"
    if not interpreter.exists():
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        _uv("venv", "-q", "-p", version, str(place))
        _uv("pip", "install", "-q", "--compile-bytecode", "-p", str(interpreter), *PACKAGES[name])
    return str(interpreter)


def _uv(*arguments: str) -> None:
    subprocess.run(["uv", *arguments], check=True, timeout=600)


def environment_of(driver: str) -> str:
    """Return the name of the environment that a driver runs in."""
    return "gradio_client" if driver == "gradio_client" else "transport"


def versions(name: str) -> dict[str, str]:
    """Return what is installed in an environment."""
    command = ["uv", "pip", "freeze", "-p", python(name), "--exclude-editable"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    pairs = (line.partition("==") for line in done.stdout.splitlines() if "==" in line)
    return {name: version for name, _, version in pairs}
