# SPDX-License-Identifier: Apache-2.0
"""The errors of starting a server.

ServersError
 +-- UnknownVersion        the matrix has no such version
 +-- InterpreterMissing    the version needs a Python that this machine lacks: skip it, and report that
 +-- InstallFailed         the environment could not be created
 +-- BootFailed            the server did not start, or not in time; has the end of its log
 +-- VariantUnavailable    that Gradio version cannot serve that variant
 +-- ScenarioUnavailable   that Gradio version has no such endpoint in that variant
"""

from __future__ import annotations


class ServersError(Exception):
    """Base of all errors of this package."""


class UnknownVersion(ServersError):
    """The matrix has no such version."""


class InterpreterMissing(ServersError):
    """The version needs a Python interpreter that was not found. uv is never asked to download one."""

    def __init__(self, version: str, python: str) -> None:
        super().__init__(f"Gradio {version} runs on Python {python}, which was not found")
        self.version = version
        self.python = python


class InstallFailed(ServersError):
    """The environment of a version could not be created; the text ends with the output of uv."""


class BootFailed(ServersError):
    """The server did not start, or not in time."""

    def __init__(self, message: str, log_tail: str = "") -> None:
        super().__init__(f"{message}\n{log_tail}" if log_tail else message)
        self.log_tail = log_tail


class VariantUnavailable(ServersError):
    """That Gradio version cannot serve that variant; the text gives the reason."""


class ScenarioUnavailable(ServersError):
    """The variant has no such endpoint on this version."""
