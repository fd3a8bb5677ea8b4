# SPDX-License-Identifier: Apache-2.0
"""The state that all routes of a re-enacting server share: the app, the sessions, and the findings."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs
from aiohttp import web

from .app import Choice, Endpoint, RecordedApp, origin_of, rendered
from .encoding import with_full_values
from .generation import Generation
from .likeness import CallKey
from .outcomes import Outcome, Reply, Way
from .playing import Event, OffTape, Session, Sessions, Waiting, new_id

OFF_TAPE_STATUS = 501
"""Status of a request for which the recording has no reply."""

MOST_NOTES = 1000
"""The largest number of findings, and of requests off tape."""

CREDENTIALS = ("admin", "secret")
"""User and password of the canonical app with a login."""

_MOST_UPLOADED_BYTES = 64 * 1024 * 1024


@attrs.define
class Notes:
    """The observations of a client.

    Attributes:
        findings: Its faults.
        off_tape: Requests for which the recording has no reply.
        reencoded: Calls that were recorded over another protocol than the client used.
    """

    findings: list[str] = attrs.field(factory=list[str])
    off_tape: list[str] = attrs.field(factory=list[str])
    reencoded: list[str] = attrs.field(factory=list[str])

    def add(self, notes: list[str], text: str) -> None:
        """Record a text once."""
        if text not in notes and len(notes) < MOST_NOTES:
            notes.append(text)


@attrs.define
class Job:
    """A call of the polling queue.

    Attributes:
        replies: The replies to its polls, in order.
    """

    replies: list[Mapping[str, Any]]


@attrs.define(eq=False)
class Stage:
    """A server that re-enacts an app.

    Attributes:
        origin: Scheme, host and port of its address.
        cookies: Name and value of the cookies of a login.
        uploaded: The uploaded files, by path.
        config_requests: The number of requests for the config, by the client address of the connection.
    """

    generation: Generation
    app: RecordedApp
    origin: str = ""
    sessions: Sessions = attrs.field(factory=Sessions)
    notes: Notes = attrs.field(factory=Notes)
    token: str = attrs.field(factory=new_id)
    uploaded: dict[str, bytes] = attrs.field(factory=dict[str, bytes])
    asked: Counter[str] = attrs.field(factory=Counter[str])
    heartbeats: Counter[str] = attrs.field(factory=Counter[str])
    open_sockets: int = 0
    waiting: dict[str, Waiting] = attrs.field(factory=dict[str, Waiting])
    jobs: dict[str, Job] = attrs.field(factory=dict[str, "Job"])

    @property
    def base(self) -> str:
        """The address of the app: under the path that the recorded one had."""
        return self.origin + self.app.path

    # --- what is written down --------------------------------------------------------------------------

    def find(self, text: str) -> None:
        """Record a fault of the client."""
        self.notes.add(self.notes.findings, text)

    def miss(self, text: str) -> None:
        """Record a request for which the recording has no reply."""
        self.notes.add(self.notes.off_tape, text)

    def off_tape(self, text: str) -> web.Response:
        """Record a request for which the recording has no reply, and return the reply that says so."""
        self.miss(text)
        return self.json({"detail": f"Off tape: {text}"}, OFF_TAPE_STATUS)

    # --- replies ---------------------------------------------------------------------------------------

    def json(self, value: Any, status: int = 200) -> web.Response:
        """Return a JSON reply as the web server writes it."""
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return web.Response(body=self.rename(text.encode()), status=status, content_type="application/json")

    def as_recorded(self, reply: Reply) -> web.Response:
        """Return a recorded reply, with this server's address in it."""
        headers = {"content-type": reply.content_type} if reply.content_type else {}
        return web.Response(body=self.rename(reply.body), status=reply.status, headers=headers)

    def text(self, text: str, status: int) -> web.Response:
        """Return a plain text reply."""
        return web.Response(text=text, status=status, content_type="text/plain", charset="utf-8")

    def crash(self) -> web.Response:
        """Return the reply to a request that makes the server raise."""
        if self.generation.shows_tracebacks:
            return self.text("Traceback (most recent call last):\n", 500)
        return self.text("Internal Server Error", 500)

    def rename(self, data: bytes) -> bytes:
        """Return data with this server's address in place of the recorded ones."""
        for recorded in self.app.bases:
            data = data.replace(recorded.encode(), self.base.encode())
            # The server's own path may differ from the path that its clients use.
            data = data.replace(origin_of(recorded).encode(), self.origin.encode())
        return data

    def recorded(self, text: str) -> str:
        """Return a client's data with the recorded address in place of this server's."""
        return text.replace(self.base, self.app.bases[0]) if self.app.bases else text

    def write(self, message: Mapping[str, Any]) -> str:
        """Return the text of a message."""
        return self.rename(self.generation.write(message).encode()).decode()

    # --- calls -----------------------------------------------------------------------------------------

    def endpoint(
        self, fn_index: int | None, api_name: str | None = None, session: Session | None = None
    ) -> Endpoint | None:
        """Return the endpoint that a call names, or None. Those of ``gr.render`` are of one session."""
        found = self.app.find(fn_index, api_name)
        if found is None or found.fn_index not in self.app.rendered:
            return found
        return found if session is not None and found.fn_index in session.rendered else None

    def choose(
        self, endpoint: Endpoint, body: Mapping[str, Any], way: Way, session: Session | None, how: str = ""
    ) -> Outcome:
        """Return the answer to a call of a session, whose history matters if the function has State.

        Raises:
            OffTape: The recording has no reply.
        """
        data = self.app.arguments(endpoint, body, "call_v2" if how.startswith("POST /call/v2") else "")
        key = self.app.key(endpoint, data, body)
        history = session.history(key) if session is not None else []
        found = self.app.choose(endpoint, key, way, history)
        if found is None:
            raise OffTape(self._missing(endpoint, key, way, history))
        limit = self.app.limit(key)
        if limit is not None and self.sessions.under_way() >= limit.calls:
            return attrs.evolve(found.outcome, refusal=limit.refusal)
        self._note(found, endpoint, way)
        # If a queue has a maximum size, calls take the recorded time, so that it can be full.
        return attrs.evolve(found.outcome, seconds=found.outcome.duration) if limit else found.outcome

    def _note(self, found: Choice, endpoint: Endpoint, way: Way) -> None:
        if found.reencoded:
            name = endpoint.api_name or endpoint.fn_index
            self.notes.add(self.notes.reencoded, f"{name} by {way}: {found.reencoded}")

    @staticmethod
    def _missing(endpoint: Endpoint, key: CallKey, way: Way, history: list[str]) -> str:
        name = f"/{endpoint.api_name}" if endpoint.api_name else f"function {endpoint.fn_index}"
        after = f" after {len(history)} calls" if endpoint.states and history else ""
        return f"calls {name} by {way} with {key.data:.200}{after}"

    def begin(self, outcome: Outcome, fn_index: int, session: Session, event_id: str = "") -> Event:
        """Return a call that is played from now on."""
        event = Event(event_id or new_id(), fn_index, session.session_hash, outcome, self.app.uploads)
        session.events[event.id] = event
        session.pending.add(event.id)
        session.known = True
        session.rendered |= {one.fn_index for one in rendered(outcome, self.generation)}
        return event

    def is_generator(self, event: Event) -> bool:
        """Return whether the function of a call yields, by the config."""
        endpoint = self.app.endpoints.get(event.fn_index)
        return endpoint is not None and endpoint.generator

    def without_diffs(self, outcome: Outcome) -> Outcome:
        """Return an outcome with full values, for a client that asked for the simple format.

        Raises:
            OffTape: A recorded edit cannot be applied.
        """
        messages = with_full_values(outcome.messages)
        if messages is None:
            raise OffTape(f"requests full values of {outcome.name!r}, whose edits cannot be applied")
        self.notes.add(self.notes.reencoded, f"{outcome.name} with full values: recorded as edits")
        return attrs.evolve(outcome, messages=tuple(messages))

    def wait_for_data(self) -> Waiting:
        """Return a call of 4.0 to 4.8 whose data has not arrived yet."""
        waiting = Waiting(new_id(), asyncio.get_running_loop().create_future())
        self.waiting[waiting.id] = waiting
        return waiting

    # --- files -----------------------------------------------------------------------------------------

    def keep(self, name: str, content: bytes) -> str:
        """Keep an uploaded file, and return its path."""
        folder = hashlib.sha256(content).hexdigest()
        path = f"/tmp/gradio/{folder}/{self.clean(name)}"  # noqa: S108 - a path of the client's view alone
        if sum(map(len, self.uploaded.values())) + len(content) <= _MOST_UPLOADED_BYTES:
            self.uploaded[path] = content
        return path

    def clean(self, name: str) -> str:
        """Return a file name as this version keeps it. source: the gradio_client of the server."""
        name = name.replace("\\", "/").rpartition("/")[2]
        if self.generation.keeps_file_names:
            return re.sub(r'[<>:"/\\|?*\x00-\x1f]', "", name)
        return "".join(one for one in name if one.isalnum() or one in "._- ")


__all__ = ["CREDENTIALS", "Job", "OFF_TAPE_STATUS", "Notes", "Stage"]
