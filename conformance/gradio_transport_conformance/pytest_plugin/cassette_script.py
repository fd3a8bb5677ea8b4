# SPDX-License-Identifier: Apache-2.0
"""A strict replay: a request that was not recorded is refused, and recorded as a finding."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import attrs

from gradio_transport.protocol.commands import Ending
from gradio_transport.protocol.frames import Frame, Kind
from gradio_transport.trace import Trace

from ..replay.recording import Hear, Part, RecordedRequest, Recording, Say
from ..replay.script import ReplayScript, Reply, WebSocketScript
from .contents import HEARTBEAT, SOCKET_HASHES, Content, ContentReader, hash_in, similarity

WEBSOCKET = "WS"
"""The method of a text on a websocket."""


@attrs.frozen
class Unrecorded:
    """A request of a client that was not recorded.

    Attributes:
        method: `WEBSOCKET` for a text on a websocket.
        sent: The request.
        nearest: The most similar recorded request of the same method and path; None: there is none.
        times: How often this exact request was recorded; it was sent more often.
        waiting: The next recorded request that was not sent, or an empty string.
    """

    method: str
    sent: Content
    nearest: Content | None = None
    times: int = 0
    waiting: str = ""


@attrs.define
class _Entry:
    """A recorded request, and whether it was sent."""

    method: str
    content: Content
    query: str
    said: bytes
    path: str
    is_discovery: bool = False
    heard: bool = False


class CassetteScript:
    """Answers the requests that were recorded, each as often as it was. Not thread-safe: a host has a lock.

    Args:
        trace: The recording.

    Attributes:
        findings: The requests that were not recorded.
    """

    def __init__(self, trace: Trace) -> None:
        trace = without_own_discovery(trace)
        recording = Recording(trace)
        aliases = [one.alias for one in recording.sessions.values()]
        self._script = ReplayScript(trace)
        self._reader = ContentReader([recording.base, recording.shown], aliases)
        self._aliases = [one for one in aliases if one]
        self.findings: list[Unrecorded] = []
        self._entries: list[_Entry] = []
        for number, session in recording.sessions.items():
            for request in session.requests:
                self._entries.append(self._entry(request, is_discovery=number == 0))
            for recorded in session.sockets:
                texts = [step.text for step in recorded.steps if isinstance(step, Hear)]
                self._entries += [self._text_entry(recorded.path, text) for text in texts]

    def _entry(self, request: RecordedRequest, *, is_discovery: bool) -> _Entry:
        body = request.body or b""
        target = f"{request.path}?{request.query}" if request.query else request.path
        content = self._reader.read(target, body, request.files)
        return _Entry(request.method, content, request.query, body, request.path, is_discovery)

    def _text_entry(self, path: str, text: str) -> _Entry:
        said = text.encode("utf-8", "replace")
        return _Entry(WEBSOCKET, self._reader.read(path, said, (), SOCKET_HASHES), "", said, path)

    @property
    def base(self) -> str:
        """The address that clients know."""
        return self._script.base

    @base.setter
    def base(self, url: str) -> None:
        self._script.base = url
        self._reader.addresses.add(url)

    def request(self, method: str, target: str, body: bytes = b"", cookie: str = "") -> Reply:
        """Return the recorded reply, or status 500 for a request that was not recorded."""
        sent = self._reader.read(target, body)
        entry = self._find(method, sent)
        if entry is not None:
            entry.heard = True
            query, said = self._with_hash_of_client(entry, hash_in(target, body))
            return self._script.request(
                method, f"{entry.path}?{query}" if query else entry.path, said, cookie
            )
        if HEARTBEAT in sent.path:
            # A heartbeat is recorded only if the calls took long enough.
            return _refusal(404, "Not Found")
        self._note(method, sent)
        return _refusal(500, f"{method} {sent.path} was not recorded like this. The test's report says more.")

    def websocket(self, target: str) -> CassetteSocket | None:
        """Return the script of a websocket, or None if none was recorded."""
        script = self._script.websocket(target)
        if script is None:
            self._note(WEBSOCKET, self._reader.read(target, b""))
        return None if script is None else CassetteSocket(script, self, target)

    def text(self, target: str, text: str) -> str | None:
        """Return the recorded text that a text on a websocket is, or None."""
        said = text.encode("utf-8", "replace")
        sent = self._reader.read(target, said, (), SOCKET_HASHES)
        entry = self._find(WEBSOCKET, sent)
        if entry is None:
            self._note(WEBSOCKET, sent)
            return None
        entry.heard = True
        return self._with_hash_of_client(entry, hash_in("", said, SOCKET_HASHES))[1].decode(
            "utf-8", "replace"
        )

    def _find(self, method: str, sent: Content) -> _Entry | None:
        alike = self._alike(method, sent)
        fitting = [one for one in alike if sent.fits(one.content)]
        left = [one for one in fitting if not one.heard]
        # Clients may request the config and the files any number of times, and with another query.
        again = [one for one in (*fitting, *alike) if one.is_discovery and method == "GET"]
        return next(iter((*left, *again)), None)

    def _alike(self, method: str, sent: Content) -> list[_Entry]:
        return [one for one in self._entries if (one.method, one.content.path) == (method, sent.path)]

    def _note(self, method: str, sent: Content) -> None:
        alike = self._alike(method, sent)
        left = [one for one in alike if not one.heard] or alike
        nearest = max(left, key=lambda one: similarity(sent, one.content), default=None)
        times = sum(sent.fits(one.content) for one in alike)
        waiting = next((one for one in self._entries if not one.heard and not one.is_discovery), None)
        self.findings.append(
            Unrecorded(
                method,
                sent,
                nearest.content if nearest is not None else None,
                times,
                f"{waiting.method} {waiting.content.path}" if waiting is not None else "",
            )
        )

    def _with_hash_of_client(self, entry: _Entry, session_hash: str | None) -> tuple[str, bytes]:
        """Return a recorded query and body with the client's session hash.

        With the recorded values, and not the sent ones, the script finds it even if parts were redacted.
        """
        query, said = entry.query, entry.said
        for alias in self._aliases if session_hash else ():
            query = query.replace(alias, str(session_hash))
            said = said.replace(alias.encode(), str(session_hash).encode())
        return query, said


class CassetteSocket:
    """A websocket of a cassette."""

    def __init__(self, script: WebSocketScript, cassette: CassetteScript, target: str) -> None:
        self._script = script
        self._cassette = cassette
        self._target = target

    @property
    def refusal(self) -> int | None:
        """Status to refuse the handshake with."""
        return self._script.refusal

    @property
    def closing(self) -> tuple[bool, int | None]:
        """Whether the server ends the socket, and its close code; None to break it without a close frame."""
        return self._script.closing

    def next(self) -> Say | Hear | None:
        """Return the next step, or None at the end."""
        return self._script.next()

    def text_received(self, text: str) -> str:
        """Accept the text that a `Hear` waited for; return the reason if it is refused."""
        recorded = self._cassette.text(self._target, text)
        return self._script.text_received(recorded) if recorded is not None else "The text was not recorded."


def without_own_discovery(trace: Trace) -> Trace:
    """Return a trace without the recording proxy's own requests, if the client made the same ones.

    An app with a login refuses both. If both were played, the client would be refused twice.
    """
    if trace.meta.get("recorder") != "proxy":
        return trace
    asked = [_path(one) for one in trace.frames if one.kind is Kind.REQUEST and not one.session]
    kept: list[Frame] = []
    dropping, seen = False, set[str]()
    for frame in trace.frames:
        if frame.session or frame.channel != "discover":
            kept.append(frame)
            continue
        if frame.kind is Kind.REQUEST:
            path = _path(frame)
            dropping = path not in seen and asked.count(path) > 1
            seen.add(path)
        if not dropping:
            kept.append(frame)
    return attrs.evolve(trace, frames=tuple(kept))


def _path(frame: Frame) -> str:
    return urlsplit(str(frame.payload["url"])).path


def _refusal(status: int, detail: str) -> Reply:
    body = json.dumps({"detail": detail}).encode()
    headers = {"content-type": "application/json"}
    return Reply(status, headers, [Part(0.0, body)], Ending.CLEAN, False, refusal=detail)


__all__ = ["WEBSOCKET", "CassetteScript", "CassetteSocket", "Unrecorded", "without_own_discovery"]
