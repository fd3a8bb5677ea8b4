# SPDX-License-Identifier: Apache-2.0
"""A driver of this library: its sync and asyncio interfaces, and the client of the Gradio docs.

``python gradio_transport_driver.py --face sync|asyncio|client`` reads tasks as JSON lines on standard input
and writes answers on standard output.  It imports nothing of the kit: it is a driver like any other.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import platform
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import AsyncExitStack
from importlib.metadata import version as distribution_version
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import gradio_transport as gt
from gradio_transport.calls.options import CallOptions
from gradio_transport.client import Client, Job
from gradio_transport.client import handle_file as handle_path
from gradio_transport.errors import LocalProtocolError
from gradio_transport.events import UNKNOWN_OUTPUT
from gradio_transport.files.outputs import ServerFile

PROTOCOL = 1

COMMON = ["auth", "authority", "cancel", "files", "fn_index", "parallel", "sessions", "yields"]
WITH_EVENTS = [
    *COMMON, "apps", "component", "event_data", "events", "limits", "session_endpoints", "streaming",
    *(f"protocol:{name}" for name in ("call", "call_v2", "direct", "openai_chat")),
]  # fmt: skip


def kind_of_error(error: BaseException) -> str:
    """Return the kind of an error in the driver protocol."""
    match error:
        case CancelledError() | asyncio.CancelledError():
            return "cancelled"
        case gt.AppError():
            return "app"
        case TimeoutError():
            return "timeout"
        case gt.errors.ServerRefused():
            return "refused" if error.status is not None or error.may_have_run else "usage"
        case LocalProtocolError() | gt.errors.UnsupportedProtocol() | TypeError() | ValueError():
            return "usage"
        case _:
            return "lost"


def describe_error(error: BaseException) -> dict[str, Any]:
    """Return an error as the driver protocol has it."""
    return {"kind": kind_of_error(error), "message": str(error), "type": type(error).__name__}


def event_name(event: gt.Event) -> str:
    """Return an event's name on the wire."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()


def encoded_file(name: str, content: bytes) -> dict[str, Any]:
    """Return a file as the driver protocol has it."""
    return {"$file": {"name": name, "base64": base64.b64encode(content).decode()}}


def fill_in(value: Any, kept: Sequence[Any], make: Callable[[str, bytes], Any]) -> Any:
    """Return an argument with what stands for files replaced by files."""
    if isinstance(value, list):
        return [fill_in(one, kept, make) for one in cast("list[Any]", value)]
    match value:
        case {"$file": {"name": name, "base64": content}}:
            return make(str(name), base64.b64decode(content))
        case {"$kept": number}:
            return kept[int(number)]
        case dict():
            mapping = cast("dict[str, Any]", value)
            return {key: fill_in(one, kept, make) for key, one in mapping.items()}
        case _:
            return value


def files_of(value: Any) -> list[ServerFile]:
    """Return the files in an output."""
    if isinstance(value, ServerFile):
        return [value]
    inner: Sequence[Any] = ()
    if isinstance(value, list):
        inner = cast("list[Any]", value)
    elif isinstance(value, dict):
        inner = list(cast("dict[str, Any]", value).values())
    return [file for one in inner for file in files_of(one)]


def replace(value: Any, contents: Mapping[int, dict[str, Any]]) -> Any:
    """Return an output as JSON, with the content of its files where it is known."""
    if isinstance(value, ServerFile):
        return contents.get(id(value)) or {"file": value.name}
    if isinstance(value, list):
        return [replace(one, contents) for one in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: replace(one, contents) for key, one in cast("dict[str, Any]", value).items()}
    return "(unknown)" if value is UNKNOWN_OUTPUT else value


def connect_arguments(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `connect` for a task."""
    login = task["credentials"]
    return {
        "protocol": task["protocol"],
        "auth": (login["username"], login["password"]) if login else None,
        "timeouts": gt.Timeouts(**{"total": task["deadline"], **task.get("timeouts", {})}),
        "limits": gt.Limits(**task.get("limits", {})),
        "verify": task.get("authority", True),
    }


def endpoint_of(step: Mapping[str, Any]) -> str | int:
    """Return what to call: a name, or a number."""
    named: str | None = step["endpoint"]
    return int(step["fn_index"]) if named is None else named


def answer_error(error: BaseException, events: Sequence[gt.Event] | None = None) -> dict[str, Any]:
    """Return the answer for a step that failed."""
    return {"error": describe_error(error), **shown(events)}


def shown(events: Sequence[gt.Event] | None) -> dict[str, Any]:
    """Return the optional parts of an answer."""
    if events is None:
        return {}
    yields = [replace(event.data, {}) for event in events if isinstance(event, gt.ProcessGenerating)]
    return {"yields": yields, "events": [event_name(event) for event in events]}


def is_time_to_cancel(step: Mapping[str, Any], event: gt.Event, yields: int) -> bool:
    """Return whether a call must be cancelled at an event."""
    count = step["cancel_after"]
    if count == 0:
        return isinstance(event, gt.events.ProcessStarts)
    return count is not None and isinstance(event, gt.ProcessGenerating) and yields == count


class SyncTask:
    """A task, performed with the sync interface."""

    def __init__(self, task: Mapping[str, Any]) -> None:
        self._task = task
        self._apps: dict[str, gt.Transport] = {}
        self._sessions: dict[tuple[str, str], gt.Session] = {}
        self._kept: list[ServerFile] = []

    def run(self) -> list[dict[str, Any]]:
        """Return an answer for each step."""
        answers: list[dict[str, Any]] = []
        try:
            for group in self._task["groups"]:
                started = [(step, self._start(step)) for step in group]
                answers += [self._finish(step, call) for step, call in started]
        finally:
            for app in self._apps.values():
                app.close()
        return answers

    def _session(self, step: Mapping[str, Any]) -> gt.Session:
        url, label = step.get("url", self._task["url"]), step["session"]
        if url not in self._apps:
            self._apps[url] = gt.connect(url, **connect_arguments(self._task))
        if (url, label) not in self._sessions:
            self._sessions[url, label] = self._apps[url].session()
        return self._sessions[url, label]

    def _start(self, step: Mapping[str, Any]) -> gt.Call | dict[str, Any]:
        def make(name: str, content: bytes) -> Any:
            return gt.handle_file(content, name=name)

        data = fill_in(list(step["data"]), self._kept, make)
        options = CallOptions(event_data=fill_in(step["event_data"], self._kept, make))
        try:
            session = self._session(step)
            if step["component_function"] is not None:
                name, number = step["component_function"], step["component_id"]
                return {"value": [session.component_server(number, name, data[0])]}
            return session.submit(endpoint_of(step), *data, options=options)
        except Exception as error:  # noqa: BLE001 - every error is an answer
            return answer_error(error)

    def _finish(self, step: Mapping[str, Any], call: gt.Call | dict[str, Any]) -> dict[str, Any]:
        if isinstance(call, dict):
            return call
        events: list[gt.Event] = []
        chunks: Iterator[list[Any]] = iter(step["send"] or [])
        try:
            for event in call:
                events.append(event)
                yields = sum(isinstance(one, gt.ProcessGenerating) for one in events)
                if is_time_to_cancel(step, event, yields):
                    call.cancel()
                if step["send"] is not None and isinstance(event, gt.events.ProcessStreaming):
                    chunk = next(chunks, None)
                    call.finish() if chunk is None else call.send(*chunk)
            result = call.result()
            contents: dict[int, dict[str, Any]] = {}
            for file in cast("list[gt.RemoteFile]", files_of(result)):
                contents[id(file)] = encoded_file(file.name, file.read())
                if step["keep"]:
                    self._kept.append(file)
            return {"value": replace(result, contents), **shown(events)}
        except (Exception, CancelledError) as error:  # noqa: BLE001 - every error is an answer
            return answer_error(error, events)


class AsyncTask:
    """A task, performed with the asyncio interface."""

    def __init__(self, task: Mapping[str, Any]) -> None:
        self._task = task
        self._apps: dict[str, gt.AsyncTransport] = {}
        self._opened = AsyncExitStack()
        self._sessions: dict[tuple[str, str], gt.AsyncSession] = {}
        self._kept: list[ServerFile] = []

    def run(self) -> list[dict[str, Any]]:
        """Return an answer for each step."""
        return asyncio.run(self._run())

    async def _run(self) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = []
        async with self._opened:
            for group in self._task["groups"]:
                started = [(step, await self._start(step)) for step in group]
                answers += [await self._finish(step, call) for step, call in started]
        return answers

    async def _session(self, step: Mapping[str, Any]) -> gt.AsyncSession:
        url, label = step.get("url", self._task["url"]), step["session"]
        if url not in self._apps:
            app = gt.connect_async(url, **connect_arguments(self._task))
            self._apps[url] = await self._opened.enter_async_context(app)
        if (url, label) not in self._sessions:
            self._sessions[url, label] = self._apps[url].session()
        return self._sessions[url, label]

    async def _start(self, step: Mapping[str, Any]) -> gt.AsyncCall | dict[str, Any]:
        def make(name: str, content: bytes) -> Any:
            return gt.handle_file(content, name=name)

        data = fill_in(list(step["data"]), self._kept, make)
        options = CallOptions(event_data=fill_in(step["event_data"], self._kept, make))
        try:
            session = await self._session(step)
            if step["component_function"] is not None:
                name, number = step["component_function"], step["component_id"]
                return {"value": [await session.component_server(number, name, data[0])]}
            return session.submit(endpoint_of(step), *data, options=options)
        except Exception as error:  # noqa: BLE001 - every error is an answer
            return answer_error(error)

    async def _finish(self, step: Mapping[str, Any], call: gt.AsyncCall | dict[str, Any]) -> dict[str, Any]:
        if isinstance(call, dict):
            return call
        events: list[gt.Event] = []
        chunks: Iterator[list[Any]] = iter(step["send"] or [])
        try:
            async for event in call:
                events.append(event)
                yields = sum(isinstance(one, gt.ProcessGenerating) for one in events)
                if is_time_to_cancel(step, event, yields):
                    await call.cancel()
                if step["send"] is not None and isinstance(event, gt.events.ProcessStreaming):
                    chunk = next(chunks, None)
                    await (call.finish() if chunk is None else call.send(*chunk))
            result = await call.result()
            contents: dict[int, dict[str, Any]] = {}
            for file in cast("list[gt.AsyncRemoteFile]", files_of(result)):
                contents[id(file)] = encoded_file(file.name, await file.read())
                if step["keep"]:
                    self._kept.append(file)
            return {"value": replace(result, contents), **shown(events)}
        except (Exception, CancelledError) as error:  # noqa: BLE001 - every error is an answer
            return answer_error(error, events)


class ClientTask:
    """A task, performed with the client of the Gradio docs, whose interface reports less."""

    def __init__(self, task: Mapping[str, Any]) -> None:
        self._task = task
        self._clients: dict[str, Client] = {}
        self._kept: list[str] = []
        self._folder = Path()

    def run(self) -> list[dict[str, Any]]:
        """Return an answer for each step."""
        answers: list[dict[str, Any]] = []
        with TemporaryDirectory(prefix="driver-") as folder:
            self._folder = Path(folder).resolve()
            try:
                for group in self._task["groups"]:
                    started = [(step, self._start(step)) for step in group]
                    answers += [self._finish(step, job) for step, job in started]
            finally:
                for client in self._clients.values():
                    client.close()
        return answers

    def _client(self, label: str) -> Client:
        if label not in self._clients:
            given = connect_arguments(self._task)
            self._clients[label] = Client(
                self._task["url"],
                auth=given["auth"],
                timeouts=given["timeouts"],
                download_files=self._folder / "down",
                httpx_kwargs={"verify": given["verify"]},
                verbose=False,
            )
        return self._clients[label]

    def _write(self, name: str, content: bytes) -> Any:
        path = self._folder / "up" / str(len(list(self._folder.glob("up/*")))) / Path(name).name
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        return handle_path(path)

    def _start(self, step: Mapping[str, Any]) -> Job | dict[str, Any]:
        try:
            data = fill_in(list(step["data"]), [handle_path(one) for one in self._kept], self._write)
            client = self._client(step["session"])
            if step["endpoint"] is None:
                return client.submit(*data, fn_index=step["fn_index"])
            return client.submit(*data, api_name=step["endpoint"])
        except Exception as error:  # noqa: BLE001 - every error is an answer
            return answer_error(error)

    def _finish(self, step: Mapping[str, Any], job: Job | dict[str, Any]) -> dict[str, Any]:
        if isinstance(job, dict):
            return job
        try:
            if step["cancel_after"] is not None and not self._cancel(job, step["cancel_after"]):
                return {"cannot": "a job whose plain function runs already cannot be cancelled"}
            result = job.result()
        except (Exception, CancelledError) as error:  # noqa: BLE001 - every error is an answer
            return answer_error(error)
        value = list(cast("tuple[Any, ...]", result)) if isinstance(result, tuple) else [result]
        return {"value": [self._encode(one, keep=step["keep"]) for one in value]}

    @staticmethod
    def _cancel(job: Job, count: int) -> bool:
        if count == 0:
            ends = time.monotonic() + 5
            while job.status().code.name != "PROCESSING" and time.monotonic() < ends:
                time.sleep(0.02)
        else:
            next(islice(job, count - 1, None), None)
        return job.cancel()

    def _encode(self, value: Any, *, keep: bool) -> Any:
        """Return an output with the content of the files that the client has downloaded."""
        if isinstance(value, str) and value.startswith(str(self._folder)):
            path = Path(value)
            if path.is_file():
                if keep:
                    self._kept.append(value)
                return encoded_file(path.name, path.read_bytes())
        if isinstance(value, list | tuple):
            return [self._encode(one, keep=keep) for one in cast("Sequence[Any]", value)]
        if isinstance(value, dict):
            mapping = cast("dict[str, Any]", value)
            return {key: self._encode(one, keep=keep) for key, one in mapping.items()}
        return cast("Any", value)


FACES: Mapping[str, tuple[type[SyncTask | AsyncTask | ClientTask], list[str]]] = {
    "sync": (SyncTask, WITH_EVENTS),
    "asyncio": (AsyncTask, WITH_EVENTS),
    "client": (ClientTask, [name for name in COMMON if name != "yields"]),
}
"""The classes that perform tasks, and the features of the driver."""


def write(message: Mapping[str, Any]) -> None:
    """Write a message as a line."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Answer the messages of the host until its output ends."""
    parser = argparse.ArgumentParser(description="A driver of gradio-transport for the conformance run.")
    parser.add_argument("--face", choices=list(FACES), default="sync")
    face = parser.parse_args().face
    run, features = FACES[face]
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "hello":
            write(
                {
                    "type": "hello",
                    "protocol": PROTOCOL,
                    "name": f"gradio-transport ({face})",
                    "version": distribution_version("gradio-transport"),
                    "language": f"Python {platform.python_version()}",
                    "features": features,
                }
            )
        elif message["type"] == "task":
            write({"type": "answer", "id": message["id"], "steps": run(message).run()})


if __name__ == "__main__":
    main()
