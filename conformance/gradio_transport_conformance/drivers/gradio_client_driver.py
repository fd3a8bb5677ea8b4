# SPDX-License-Identifier: Apache-2.0
"""A driver of gradio_client, 0.6.1 to the current version: answers the tasks of the conformance run.

Run it with the Python that has the gradio_client to grade.  It imports nothing but the standard library and
that client, so that the environment needs no other package.  Tasks come as JSON lines on standard input,
answers leave on standard output.

The driver uses the documented API of the client, and reports its results.  Unsupported features are answered
with ``cannot``; wrong results are reported unchanged.
"""

from __future__ import annotations

import asyncio
import base64
import concurrent.futures
import importlib
import inspect
import json
import os
import platform
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Iterator, Sequence, TextIO, cast  # noqa: UP035 - old clients need old Pythons

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

# Here, because it reads the environment when it is imported. By name, as no type checker knows all versions.
gradio_client: Any = importlib.import_module("gradio_client")
SKIP_COMPONENTS: Any = importlib.import_module("gradio_client.utils").SKIP_COMPONENTS

PROTOCOL = 1
POLL_SECONDS = 0.002
LONGEST_TEXT = 5000
"""Characters of an error's text: what servers send as an error may be anything."""
CLOSE_SECONDS = 3.0
"""Seconds that the end waits for clients to be closed."""

KINDS = {
    "AppError": "app",
    "AuthenticationError": "refused",
    "ValidationError": "refused",
    "QueueError": "refused",
    "TooManyRequestsError": "refused",
    "HTTPStatusError": "refused",
    "HTTPError": "refused",
    "InvalidAPIEndpointError": "usage",
    "CancelledError": "cancelled",
    "TimeoutError": "timeout",
    "TimeoutException": "timeout",
    "Timeout": "timeout",
    "TransportError": "lost",
    "WebSocketException": "lost",
    "ConnectionError": "lost",
}
"""Class of an exception -> kind of the error. The first class in the order of inheritance decides."""

EVENTS = {
    "IN_QUEUE": "estimation",
    "PROCESSING": "process_starts",
    "ITERATING": "process_generating",
    "PROGRESS": "progress",
    "LOG": "log",
    "FINISHED": "process_completed",
}
"""Status of a job -> name of the event in the driver protocol."""


def json_components() -> set[str]:
    """Return the types of components whose outputs the client returns as files of JSON, as 0.6 does."""
    try:
        found: Any = importlib.import_module("gradio_client.serializing").COMPONENT_MAPPING
    except (ImportError, AttributeError):
        return set()
    return {str(name) for name, kind in found.items() if kind.__name__ == "JSONSerializable"}


def installed_version() -> str:
    """Return the version of the client."""
    return str(gradio_client.__version__)


def accepts(name: str) -> bool:
    """Return whether the client's constructor has a parameter."""
    return name in inspect.signature(gradio_client.Client.__init__).parameters


def features() -> list[str]:
    """Return what this version of the client has an interface for."""
    found = ["cancel", "files", "fn_index", "parallel", "sessions", "yields"]
    if accepts("auth"):
        found.append("auth")
    if hasattr(gradio_client.client.Job, "__aiter__"):
        found.append("events")
    return sorted(found)


def describe_error(error: BaseException, phase: str) -> dict[str, Any]:
    """Return an exception of the client as an error of the protocol.

    An exception without a meaning of its own (a ``KeyError`` in a reply without the expected field, say) is
    ``lost`` after the call was sent, because the client could not use the answer, and ``usage`` before.

    Args:
        error: What the client raised.
        phase: ``connect``, ``submit`` or ``result``: which method raised it. Before 1.3 the client
            raises ``ValueError`` for an error of the app, for a refused login and for wrong arguments alike.
    """
    names = [kind.__name__ for kind in type(error).__mro__]
    kind = next((KINDS[name] for name in names if name in KINDS), None)
    text = str(error)[:LONGEST_TEXT]
    if kind is None and type(error) is KeyError and "Could not find 'data' key" in text:
        # The client's text for any answer without outputs; a refusal has its own text.
        kind = "refused" if "'detail'" in text else "lost"
    if kind is None and type(error) is ValueError:
        if text.startswith("Unexpected message") and '"detail"' in text:
            kind = "refused"
        elif text.startswith(("Server stopped", "Unexpected message")):
            kind = "lost"
        elif text.startswith("Expected "):
            kind = "usage"
        else:
            kind = {"connect": "refused", "submit": "usage", "result": "app"}[phase]
    return {
        "error": {
            "kind": kind or ("usage" if phase == "submit" else "lost"),
            "message": text,
            "type": type(error).__name__,
        }
    }


class Deadline:
    """The time that the steps of a group may take.

    Args:
        seconds: Of the task.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left, 0 when it is over."""
        return max(0.0, self._end - time.monotonic())

    def answer(self) -> dict[str, Any]:
        """Return the answer of a step that is not done by then."""
        message = f"The client gave no result within {self.seconds:g} s; the driver stopped waiting."
        return {"error": {"kind": "timeout", "message": message, "type": "Deadline"}}


class Endpoint:
    """One function in the app's config."""

    def __init__(self, client: Any, step: dict[str, Any]) -> None:
        config = client.config
        components = {one["id"]: one for one in config["components"]}
        self._dependency = self._find(config["dependencies"], step)
        outputs = [components.get(one, {}) for one in self._dependency.get("outputs", [])]
        self.outputs = [one for one in outputs if not one.get("skip_api", one.get("type") in SKIP_COMPONENTS)]

    @staticmethod
    def _find(dependencies: list[dict[str, Any]], step: dict[str, Any]) -> dict[str, Any]:
        name = (step.get("endpoint") or "").lstrip("/")
        for position, one in enumerate(dependencies):
            number = one.get("id", position)
            if one.get("api_name") == name if name else number == step.get("fn_index"):
                return one
        return {}

    @property
    def is_generator(self) -> bool:
        """Whether it yields, as the config says, which some servers of 3.x say wrongly of a chat."""
        return bool(self._dependency.get("types", {}).get("generator", True))

    def values(self, result: Any) -> list[Any]:
        """Return a result as the list of its outputs: the client unpacks a single one."""
        if len(self.outputs) == 1:
            return [result]
        return list(cast("Sequence[Any]", result)) if isinstance(result, (list, tuple)) else [result]

    def is_json_file(self, place: int) -> bool:
        """Return whether the client returns an output as a file with its JSON, as 0.x does on 3.x servers."""
        if place >= len(self.outputs):
            return False
        output = self.outputs[place]
        if "serializer" in output:
            return bool(output["serializer"] == "JSONSerializable")
        # Older servers leave it to the client.
        return str(output.get("type")) in json_components()


class TaskRun:
    """One task: its clients, its files, its answers.

    Attributes:
        answers: One for each step that is done, by the number of the step.
    """

    def __init__(self, task: dict[str, Any]) -> None:
        self._task = task
        self._folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="gradio-client-driver-")))
        self._clients: dict[tuple[str, str], Any] = {}
        self.deadline = Deadline(0.0)
        self.answers: dict[int, dict[str, Any]] = {}

    def play(self) -> list[dict[str, Any]]:
        """Play the groups in order, the steps of one at once; return an answer for each step."""
        number = 0
        hung = False
        for group in self._task["groups"]:
            numbers = range(number, number + len(group))
            number += len(group)
            self.deadline = Deadline(float(self._task.get("deadline") or 20.0))
            hung = hung or not self._play_in_time(group, numbers)
            for one in numbers:
                self.answers.setdefault(one, self.deadline.answer())
        return [self.answers[one] for one in range(number)]

    def _play_in_time(self, group: list[dict[str, Any]], numbers: range) -> bool:
        """Play a group; return whether the client returned in time."""
        failures: list[BaseException] = []

        def play() -> None:
            try:
                self._play_group(group, numbers)
            except BaseException as error:  # noqa: BLE001 - it is raised in the main thread
                failures.append(error)

        # Not all requests of the client are bounded, so that the thread may stay behind.
        thread = threading.Thread(target=play, daemon=True)
        thread.start()
        thread.join(self.deadline.left() + 0.5)
        if failures:
            raise failures[0]  # a fault of this driver: what the client raises is an answer by then
        return not thread.is_alive()

    def _play_group(self, group: list[dict[str, Any]], numbers: range) -> None:
        for step in group:  # first, for connecting takes longer than some calls
            self._connect(step)
        started = [(number, step, self._start(step)) for number, step in zip(numbers, group)]  # noqa: B905
        for number, step, job in started:
            self.answers[number] = job if isinstance(job, dict) else self._finish(step, *job)

    def close(self) -> None:
        """Close the clients and remove the files."""
        for client in self._clients.values():
            if hasattr(client, "close"):
                client.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, step: dict[str, Any]) -> Any:
        """Submit a step; return its job with the endpoint, or an answer if it cannot be submitted."""
        reason = self._reason_why_not(step)
        if reason:
            return {"cannot": reason}
        client = self._clients[self._place(step)]
        if isinstance(client, Exception):
            return describe_error(client, "connect")
        try:
            data = [self._argument(one) for one in step["data"]]
            name = {"api_name": step["endpoint"]} if step.get("endpoint") else {"fn_index": step["fn_index"]}
            return client.submit(*data, **name), Endpoint(client, step)
        except Exception as error:  # noqa: BLE001 - whatever the client raises is its answer
            return describe_error(error, "submit")

    def _reason_why_not(self, step: dict[str, Any]) -> str:
        if self._task.get("protocol") not in (None, "auto"):
            return "gradio_client chooses the protocol by the app's config"
        if step.get("component_function"):
            return "gradio_client has no method for a component's own functions"
        if step.get("event_data") is not None:
            return "gradio_client has no parameter for event data"
        if step.get("send") is not None:
            return "gradio_client cannot send more inputs to a running call"
        if step.get("keep") or "$kept" in json.dumps(step["data"]):
            return "gradio_client gives local copies of files, not the server's files"
        if "gradio.FileData" in json.dumps(step["data"]):
            return "gradio_client takes the data of a server's file for a local file, and uploads that"
        if self._task.get("credentials") and not accepts("auth"):
            return f"gradio_client {installed_version()} has no login"
        return ""

    def _place(self, step: dict[str, Any]) -> tuple[str, str]:
        """Return the address and the session of a step: a client has one of each."""
        return str(step.get("url") or self._task["url"]), str(step.get("session") or "main")

    def _connect(self, step: dict[str, Any]) -> None:
        """Make the client of a step's session, or keep what it raised."""
        place = self._place(step)
        if place in self._clients or self._reason_why_not(step):
            return
        options: dict[str, Any] = {"verbose": False}
        if self._task.get("credentials"):
            login = self._task["credentials"]
            options["auth"] = (login["username"], login["password"])
        if accepts("analytics_enabled"):
            options["analytics_enabled"] = False
        options["download_files" if accepts("download_files") else "output_dir"] = str(self._folder)
        try:
            self._clients[place] = gradio_client.Client(place[0], **options)
        except Exception as error:  # noqa: BLE001 - whatever the client raises is its answer
            self._clients[place] = error

    def _argument(self, value: Any) -> Any:
        """Return an argument with its files on the disk, in the form that this version takes."""
        if isinstance(value, list):
            return [self._argument(one) for one in cast("list[Any]", value)]
        if not isinstance(value, dict):
            return value
        mapping = cast("dict[str, Any]", value)
        if "$file" not in mapping:
            return {key: self._argument(one) for key, one in mapping.items()}
        file = mapping["$file"]
        path = Path(tempfile.mkdtemp(dir=self._folder)) / Path(file["name"]).name
        path.write_bytes(base64.b64decode(file["base64"]))
        # Before 0.11 a path is all that is needed: the client knows which components take files.
        form: Any = getattr(gradio_client, "handle_file", None) or getattr(gradio_client, "file", str)
        return form(str(path))

    def _finish(self, step: dict[str, Any], job: Any, endpoint: Endpoint) -> dict[str, Any]:
        wanted, cancelled = step.get("cancel_after"), False
        while not job.done():
            if not self.deadline.left():
                return {**self.deadline.answer(), "yields": self._yields(job, endpoint)}
            if wanted is not None and not cancelled and self._has_come(job, int(wanted)):
                job.cancel()
                cancelled = True
            time.sleep(POLL_SECONDS)
        try:
            answer: dict[str, Any] = {"value": self._values(job.result(timeout=0), endpoint)}
        except (Exception, concurrent.futures.CancelledError) as error:  # noqa: BLE001 - the same
            answer = describe_error(error, "result")
        answer["yields"] = self._yields(job, endpoint)
        if hasattr(job, "__aiter__"):
            answer["events"] = asyncio.run(self._events(job))
        return answer

    @staticmethod
    def _has_come(job: Any, count: int) -> bool:
        """Return whether this number of yields has arrived; for 0 yields, whether the function runs."""
        if count:
            return len(job.outputs()) >= count
        return job.status().code.name in ("PROCESSING", "ITERATING", "PROGRESS")

    def _yields(self, job: Any, endpoint: Endpoint) -> list[Any]:
        outputs = list(job.outputs())
        if not endpoint.is_generator and len(outputs) < 2:
            return []  # `outputs()` also holds the one output of a function that does not yield
        return [self._values(one, endpoint) for one in outputs]

    @staticmethod
    async def _events(job: Any) -> list[str]:
        found: list[str] = []
        async for update in job:
            code = getattr(update, "code", None)
            if code is not None and code.name in EVENTS:
                found.append(EVENTS[code.name])
            if getattr(update, "final", False):
                break
        return found

    def _values(self, result: Any, endpoint: Endpoint) -> list[Any]:
        return [
            json.loads(Path(value).read_text("utf-8"))
            if endpoint.is_json_file(place) and isinstance(value, str) and self._is_ours(value)
            else self._portable(value)
            for place, value in enumerate(endpoint.values(result))
        ]

    def _is_ours(self, text: str) -> bool:
        """Return whether a text is the path of something that the client downloaded."""
        # Longer ones are no paths, and the operating system refuses to look.
        if not text.startswith(str(self._folder)) or len(text) > 4000 or "\0" in text:
            return False
        return os.path.exists(text)

    def _portable(self, value: Any) -> Any:
        """Return a value of the client with its files by content."""
        if isinstance(value, dict):
            return {str(key): self._portable(one) for key, one in cast("dict[Any, Any]", value).items()}
        if isinstance(value, (list, tuple)):
            return [self._portable(one) for one in cast("Sequence[Any]", value)]
        if isinstance(value, str) and self._is_ours(value):
            return self._gallery(value) if os.path.isdir(value) else _file(value)
        if value is None or isinstance(value, (str, int, float, bool)):
            return value
        return str(value)  # an exception among the yields, as the client returns it

    def _gallery(self, folder: str) -> list[Any]:
        """Return the images of a gallery, which the client returns as a folder with their captions (0.x)."""
        captions = json.loads((Path(folder) / "captions.json").read_text("utf-8"))
        return [self._portable(path) for path in captions]


def _file(path: str) -> dict[str, Any]:
    content = base64.b64encode(Path(path).read_bytes()).decode()
    return {"$file": {"name": Path(path).name, "base64": content}}


def messages(source: TextIO) -> Iterator[dict[str, Any]]:
    """Yield the messages of the host."""
    for line in source:
        if line.strip():
            yield json.loads(line)


def main() -> None:
    """Answer tasks until standard input ends."""
    wire, sys.stdout = sys.stdout, sys.stderr  # the client's own output must not get between the messages
    closing: list[threading.Thread] = []
    for message in messages(sys.stdin):
        if message["type"] == "hello":
            answer: dict[str, Any] = {
                "type": "hello",
                "protocol": PROTOCOL,
                "name": "gradio_client",
                "version": installed_version(),
                "language": f"Python {platform.python_version()}",
                "features": features(),
            }
            run = None
        elif message["type"] == "task":
            run = TaskRun(message)
            answer = {"type": "answer", "id": message["id"], "steps": run.play()}
        else:
            continue
        wire.write(json.dumps(answer) + "\n")
        wire.flush()
        if run is not None:
            # Closing waits for the heartbeat, up to 1 s for each client.
            closing.append(threading.Thread(target=run.close, daemon=True))
            closing[-1].start()
    for thread in closing:
        thread.join(CLOSE_SECONDS)
    os._exit(0)  # threads of clients that hang must not hold the driver


if __name__ == "__main__":
    main()
