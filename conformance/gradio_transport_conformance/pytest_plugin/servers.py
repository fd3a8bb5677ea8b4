# SPDX-License-Identifier: Apache-2.0
"""`gradio_server`: serves recordings to a test, and reports the requests that were not recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, cast

import attrs
import pytest

from gradio_transport.protocol.frames import Kind
from gradio_transport.trace import Trace, TraceError, read_trace

from ..replay.player import Heard
from ..replay.recording import Recording
from ..replay.script import ReplayScript
from ..replay.server import serve
from ..traces import shipped_trace
from .cassette_script import CassetteScript
from .contents import HEARTBEAT
from .report import describe, wrap
from .versions import GradioVersion, serve_version

_BESIDES = ("", "/theme.css", "/favicon.ico", "/manifest.json", "/startup-events")
"""Paths that clients request in addition to their calls, and do not need."""

_PREFIX = "/gradio_api"


class Served(Protocol):
    """A server of a test that reports the problems of its requests."""

    def take_problems(self) -> str:
        """Return the problems since the last call, as lines for a report; empty if there are none."""
        ...


@attrs.define(eq=False)
class GradioServer:
    """A recording that is served.

    Attributes:
        url: Its URL.
        requests: Every received request, as ``(method, target, status)``; ``target`` is path and query. The
            status is None if the connection was broken, as recorded.
    """

    url: str
    _name: str
    _heard: list[Heard]
    _script: CassetteScript | None
    _functions: Mapping[int, str]
    _advice: str = ""
    _seen: int = 0

    def __str__(self) -> str:
        return self.url

    def url_of(self, case: str) -> str:
        """Return the address: a recording has one app. See `GradioVersion.url_of`."""
        return self.url

    @property
    def requests(self) -> list[tuple[str, str, int | None]]:
        """Every received request."""
        return [(one.method, one.target, one.status) for one in self._heard]

    def take_problems(self) -> str:
        """Return the problems since the last call, as lines for a report."""
        if self._script is not None:
            found = self._script.findings[self._seen :]
            self._seen += len(found)
            if not found:
                return ""
            title = wrap(f"{self._name} has no such request:")
            return "\n".join([title, describe(found, self._functions), self._advice]).rstrip()
        new = self._heard[self._seen :]
        self._seen += len(new)
        lost = [one for one in new if one.refusal and not _is_beside(one)]
        lines = [f"  {one.method} {one.target.rstrip('?')}" for one in dict.fromkeys(lost)]
        title = wrap(f"{self._name} has no reply to:")
        return "\n".join([title, *(line[:76] for line in lines)]) if lines else ""


class ServeRecording:
    """The fixture `gradio_server`: call it to serve a recording until the test ends.

    ```python
    def test_it_counts(gradio_server):
        server = gradio_server("6.31.0", "count")      # recorded from a real Gradio 6.31.0
        server = gradio_server("recordings/app.jsonl")  # recorded from your own app, beside the test file
        run_my_program(server.url)
    ```
    """

    def __init__(self, folder: Path, stack: ExitStack, keep: list[Served]) -> None:
        self._folder = folder
        self._stack = stack
        self._keep = keep

    def __call__(
        self, recording: str | Path, case: str | None = None, *, strict: bool = False, speed: float = 0.0
    ) -> GradioServer | GradioVersion:
        """Serve a recording on the loopback.

        Args:
            recording: A Gradio version of the kit, or the path of a trace: relative to the test file.
            case: The name of a case of the kit; only with a version. Without a case, all cases of the
                version are served at once, message by message: calls are answered in any order, any number
                of times.
            strict: Refuse a request whose arguments are not the recorded ones, and fail the test. Otherwise
                it gets the most similar reply, and only a request for which there is no reply fails the test.
            speed: 1.0 keeps the recorded pace, 2.0 is twice as fast, 0 (the default) does not wait.
        """
        __tracebackhide__ = True
        if case is None and is_version(str(recording)):
            if strict or speed:
                raise pytest.UsageError(
                    f"gradio_server({str(recording)!r}) serves all cases, which have no order and no pace: "
                    "strict and speed need a case."
                )
            return self._serve_version(str(recording))
        name, trace = self._find(recording, case)
        return self.serve(name, trace, strict=strict, speed=speed)

    def _serve_version(self, version: str) -> GradioVersion:
        __tracebackhide__ = True
        try:
            server = self._stack.enter_context(serve_version(version))
        except LookupError as error:
            raise pytest.UsageError(f"gradio_server: {error.args[0]}") from None
        except ImportError as error:
            raise pytest.UsageError(f"gradio_server: {error}") from None
        self._keep.append(server)
        return server

    def serve(
        self, name: str, trace: Trace, *, strict: bool, speed: float = 0.0, advice: str = ""
    ) -> GradioServer:
        """Serve a trace until the test ends; `advice` is the end of the report of problems."""
        script = CassetteScript(trace) if strict else None
        heard: list[Heard] = []
        running = serve(script or ReplayScript(trace), speed=speed, log=heard.append)
        url = self._stack.enter_context(running).url
        server = GradioServer(url, name, heard, script, function_names(trace), advice)
        self._keep.append(server)
        return server

    def _find(self, recording: str | Path, case: str | None) -> tuple[str, Trace]:
        __tracebackhide__ = True
        if case is None and not str(recording).endswith(".jsonl"):
            raise pytest.UsageError(
                f"gradio_server({str(recording)!r}) names no recording. Name a version and a case, as in "
                'gradio_server("6.31.0", "count"), a version alone for all of its cases, or the path of a '
                "trace that ends in .jsonl."
            )
        if case is not None and str(recording).endswith(".jsonl"):
            raise pytest.UsageError(
                f"gradio_server({str(recording)!r}, {case!r}): a trace has no cases. Leave the case out."
            )
        try:
            path = self._folder / recording if case is None else shipped_trace(f"{recording}/{case}")
            return f"The recording {recording if case is None else f'{recording}/{case}'}", read_trace(path)
        except LookupError as error:
            raise pytest.UsageError(f"gradio_server: {error.args[0]}") from None
        except (OSError, TraceError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise pytest.UsageError(f"gradio_server cannot serve {self._folder / recording}: {why}") from None


def is_version(text: str) -> bool:
    """Return whether a text is a Gradio version, and not the path of a trace."""
    return re.fullmatch(r"\d+(\.\w+)*", text) is not None and not text.endswith(".jsonl")


def function_names(trace: Trace) -> dict[int, str]:
    """Return the names of an app's functions by number, as its recorded config has them."""
    for request in Recording(trace).sessions[0].requests:
        if request.path.endswith("/config") and request.status == 200:
            return _names_in(b"".join(part.data for part in request.parts))
    calls = [frame.payload for frame in trace.frames if frame.kind is Kind.CALL]
    return {call["fn_index"]: str(call["endpoint"]) for call in calls if call.get("endpoint")}


def _names_in(config: bytes) -> dict[int, str]:
    try:
        listed = cast("list[Any]", json.loads(config)["dependencies"])
        named = ((one.get("id", number), one.get("api_name")) for number, one in enumerate(listed))
        return {number: f"/{name}" for number, name in named if isinstance(name, str)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _is_beside(heard: Heard) -> bool:
    path = heard.target.partition("?")[0].removeprefix(_PREFIX).rstrip("/")
    is_asset = path.startswith(("/assets/", "/static/"))
    return heard.method in ("HEAD", "OPTIONS") or HEARTBEAT in path or is_asset or path in _BESIDES


__all__ = ["GradioServer", "ServeRecording", "Served", "function_names"]
