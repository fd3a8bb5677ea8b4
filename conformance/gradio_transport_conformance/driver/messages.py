# SPDX-License-Identifier: Apache-2.0
"""The messages of the driver protocol, as data. `reading` turns the lines of a driver into them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Any, cast

import attrs

PROTOCOL = 1
"""The version of the driver protocol. It changes when an old driver would misunderstand a new host."""

FEATURES: Mapping[str, str] = {
    "apps": "call several apps in one task, as before Gradio 3.0, where each function is an app of its own",
    "auth": "log in with a user and a password",
    "authority": "trust the certificate authority that a task names",
    "cancel": "cancel a running call",
    "component": "call a function of a component, such as the `ls` of a FileExplorer",
    "event_data": "pass event data",
    "events": "report the messages of a call",
    "files": "upload files, and read those of the outputs",
    "fn_index": "call an endpoint that has no name",
    "limits": "set limits on the data that a server may send",
    "parallel": "have several calls in progress at once",
    "session_endpoints": "call endpoints that exist only in a session, as created by gr.render",
    "sessions": "keep several sessions apart",
    "streaming": "send chunks to a running call",
    "yields": "report every output of a generator",
}
"""Features that a client may support. ``protocol:NAME`` means that a caller can select that protocol."""

ERROR_KINDS: Mapping[str, str] = {
    "app": "the function of the app raised an error",
    "refused": "the server refused the call",
    "lost": "no usable answer arrived: the connection broke, or the bytes were invalid",
    "timeout": "no answer arrived in time",
    "cancelled": "the caller cancelled the call",
    "usage": "the client refused the call before it sent anything",
}


@attrs.frozen(kw_only=True)
class DriverHello:
    """A driver's description of itself, sent when it starts.

    Attributes:
        name: The client that it drives.
        version: Version of the client.
        language: Language or runtime, with its version.
        features: The features that the client supports: names of `FEATURES`, and ``protocol:NAME``.
    """

    name: str
    version: str = ""
    language: str = ""
    features: frozenset[str] = frozenset()
    protocol: int = PROTOCOL


@attrs.frozen(kw_only=True)
class TaskStep:
    """One call to make.

    Attributes:
        endpoint: Name, with its slash; None: it has only a number.
        fn_index: Number; None: only the session has the endpoint.
        data: The arguments. ``{"$file": {"name": ..., "base64": ...}}`` stands for a file of the caller,
            ``{"$kept": 0}`` for the first file that earlier steps kept.
        session: Label of the session: steps with different labels share no state.
        cancel_after: Cancel after this number of yields; 0: as soon as the function runs; None: never.
        send: Chunks to send to the running call, one after each answer of the server.
        keep: Whether the files of the outputs are kept for later steps.
        component_id: Call a function of this component instead.
        component_function: Name of that function; `data` holds its only argument.
        url: Address of the app, if it differs from the task's.
    """

    endpoint: str | None
    fn_index: int | None
    data: Sequence[Any]
    event_data: Any = None
    session: str = "main"
    cancel_after: int | None = None
    send: Sequence[Sequence[Any]] | None = None
    keep: bool = False
    component_id: int | None = None
    component_function: str | None = None
    url: str | None = None


@attrs.frozen(kw_only=True)
class Task:
    """A task for a driver, against one server.

    Attributes:
        url: Address of the app.
        groups: The steps; those of a group run concurrently, the groups one after the other.
        deadline: Seconds that a step may take. When they have passed, the driver should answer `timeout`.
        credentials: User and password, if the app requires them.
        protocol: Protocol to use; ``auto``: the client chooses.
        limits: Bounds of `gradio_transport.Limits` to set; only for clients with the feature `limits`.
        timeouts: Deadlines of `gradio_transport.Timeouts` to set, for clients that have such settings.
        authority: Path of a CA certificate to trust.
    """

    id: str
    url: str
    groups: Sequence[Sequence[TaskStep]]
    deadline: float = 20.0
    credentials: tuple[str, str] | None = None
    protocol: str = "auto"
    limits: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    timeouts: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    authority: str | None = None

    @property
    def steps(self) -> list[TaskStep]:
        """The steps in order."""
        return [step for group in self.groups for step in group]

    def needed_features(self) -> frozenset[str]:
        """Return the features that a client must have for the task."""
        steps = self.steps
        needed = {
            "apps": len({step.url or self.url for step in steps} | {self.url}) > 1,
            "auth": self.credentials is not None,
            "authority": self.authority is not None,
            "cancel": any(step.cancel_after is not None for step in steps),
            "component": any(step.component_function is not None for step in steps),
            "event_data": any(step.event_data is not None for step in steps),
            "files": any(step.keep or _has_files([step.data, step.event_data]) for step in steps),
            "fn_index": any(step.endpoint is None and step.component_function is None for step in steps),
            "limits": bool(self.limits),
            "parallel": any(len(group) > 1 for group in self.groups),
            f"protocol:{self.protocol}": self.protocol != "auto",
            "session_endpoints": any(
                step.fn_index is None and step.component_function is None for step in steps
            ),
            "sessions": len({step.session for step in steps}) > 1,
            "streaming": any(step.send is not None for step in steps),
        }
        return frozenset(name for name, is_needed in needed.items() if is_needed)

    def as_json(self) -> dict[str, Any]:
        """Return the message."""
        message: dict[str, Any] = attrs.asdict(self)
        if self.credentials is not None:
            message["credentials"] = {"username": self.credentials[0], "password": self.credentials[1]}
        for optional in ("limits", "timeouts", "authority"):
            if not message[optional]:
                del message[optional]
        for step in (step for group in message["groups"] for step in group):
            if step["url"] is None:
                del step["url"]
        return {"type": "task", **message}


def _has_files(value: Any) -> bool:
    if isinstance(value, dict):
        found = cast("dict[str, Any]", value)
        return "$file" in found or "$kept" in found or any(map(_has_files, found.values()))
    return isinstance(value, list | tuple) and any(map(_has_files, cast("Sequence[Any]", value)))


@attrs.frozen(kw_only=True)
class StepError:
    """Why a step has no value.

    Attributes:
        kind: One of `ERROR_KINDS`.
        message: Its text.
        type: The name of its class in the client, if there is one.
    """

    kind: str
    message: str = ""
    type: str | None = None


@attrs.frozen(kw_only=True)
class StepAnswer:
    """The answer to a step: a value, an error, or the reason why the client does not support it.

    Attributes:
        value: The output values. Files in them are ``{"$file": {"name": ..., "base64": ...}}``.
        yields: The outputs before the result; None: the client does not report them.
        events: The names of the messages; None: the client does not report them.
        statuses: The client's own progress messages.
        cannot: Why the client does not support it.
    """

    value: Sequence[Any] | None = None
    yields: Sequence[Sequence[Any]] | None = None
    events: Sequence[str] | None = None
    statuses: Sequence[str] | None = None
    error: StepError | None = None
    cannot: str | None = None


@attrs.frozen(kw_only=True)
class TaskAnswer:
    """The answer to a task: one entry for each step, in their order."""

    id: str
    steps: Sequence[StepAnswer]


@attrs.frozen(kw_only=True)
class CannotTask:
    """The refusal of a task that the client does not support."""

    id: str
    reason: str


def encode_line(message: Mapping[str, Any]) -> bytes:
    """Return a message as a line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def hello_message() -> dict[str, Any]:
    """Return the first message of a host."""
    return {"type": "hello", "protocol": PROTOCOL}


def schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the JSON Schema of each message, with its name."""
    folder = resources.files(__name__.rpartition(".")[0]) / "schemas"
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        if file.name.endswith(".json"):
            yield file.name.removesuffix(".json"), json.loads(file.read_text("utf-8"))


__all__ = [
    "ERROR_KINDS", "FEATURES", "PROTOCOL", "CannotTask", "DriverHello", "StepAnswer", "StepError", "Task",
    "TaskAnswer", "TaskStep", "encode_line", "hello_message", "schemas",
]  # fmt: skip
