# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between asking for a server and talking to it.

ServersError
 +-- UnknownVersion        the matrix has no such version
 +-- InterpreterMissing    the version needs a Python that this machine lacks: skip it, and say so
 +-- InstallFailed         the environment could not be made
 +-- BootFailed            the server did not come up, or not in time; carries the end of its log
 +-- VariantUnavailable    that generation of Gradio cannot serve that variant
 +-- ScenarioUnavailable   that generation of Gradio has no such endpoint in that variant
"""

from __future__ import annotations


class ServersError(Exception):
    """Base of everything this package raises."""


class UnknownVersion(ServersError):
    """The matrix has no such version."""


class InterpreterMissing(ServersError):
    """The version needs a Python interpreter that was not found. uv is never asked to download one."""

    def __init__(self, version: str, python: str) -> None:
        super().__init__(f"Gradio {version} runs on Python {python}, which was not found")
        self.version = version
        self.python = python


class InstallFailed(ServersError):
    """The environment of a version could not be made; the text ends with what uv said."""


class BootFailed(ServersError):
    """The server did not come up, or not in time."""

    def __init__(self, message: str, log_tail: str = "") -> None:
        super().__init__(f"{message}\n{log_tail}" if log_tail else message)
        self.log_tail = log_tail


class VariantUnavailable(ServersError):
    """That generation of Gradio cannot serve that variant; the text says why."""


class ScenarioUnavailable(ServersError):
    """The variant has no such endpoint on this version."""
