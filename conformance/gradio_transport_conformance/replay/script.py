# SPDX-License-Identifier: Apache-2.0
"""The script of a trace that is played as a server: a request in, a recorded reply out. Pure, no I/O.

A trace has the session hashes and the port of its recording; clients have their own.  A new hash is mapped to
a recorded session, and the replies to it contain its own hash and this server's address.  Messages that were
recorded after a second call must not be sent before that call is made again: each part of a stream waits for
the requests that were recorded before it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import attrs

from gradio_transport.protocol.commands import Ending
from gradio_transport.trace import Trace

from .recording import Hear, Part, RecordedRequest, RecordedSession, RecordedSocket, Recording, Say
from .renaming import COOKIE, Names, rename_bytes, rename_headers, rename_parts

_SAME_BODY = 3
"""The similarity of a request to one with the same body."""

_SAME_CALL = 2
"""The similarity to one that calls the same function with the same data."""

_SOCKET_HASHES = ("session_hash", "hash")
"""Names of the session hash on websockets. For a polling client, ``hash`` is the name of a job."""


@attrs.frozen
class Reply:
    """A reply, with the client's own session hash and address.

    Attributes:
        status: None to break the connection without a reply.
        ending: None to keep it open until the client disconnects.
        ready: Whether all requests that a part waits for have arrived, or are no longer expected.
        overtaken: Whether, for each request that a part waits for, a later one of its path has arrived.
        give_up: Stop waiting for overtaken requests.
        refusal: The reason if the request is refused because it was not recorded.
    """

    status: int | None
    headers: Mapping[str, str]
    parts: Sequence[Part]
    ending: Ending | None
    stream: bool
    ready: Callable[[Part], bool] = lambda _: True
    overtaken: Callable[[Part], bool] = lambda _: True
    give_up: Callable[[Part], None] = lambda _: None
    refusal: str = ""


@attrs.define(eq=False)
class _Run:
    """One playing of a recorded session."""

    session: RecordedSession
    session_hash: str | None = None
    heard: set[int] = attrs.field(factory=set[int])
    given_up: set[int] = attrs.field(factory=set[int])

    def follows_heard(self, recorded: RecordedRequest) -> bool:
        """Return whether the preceding request has arrived, such as the join before the stream of a call."""
        return recorded.number == 0 or recorded.number - 1 in self.heard

    def is_ready(self, part: Part) -> bool:
        """Return whether the requests that a part waits for have arrived, or are no longer expected."""
        return not self._missing(part)

    def is_overtaken(self, part: Part) -> bool:
        """Return whether the missing requests were overtaken by others of their path."""
        return all(self._is_overtaken(number) for number in self._missing(part))

    def give_up(self, part: Part) -> None:
        """Stop waiting for the missing requests."""
        self.given_up |= self._missing(part)

    def _missing(self, part: Part) -> set[int]:
        return set(part.after) - self.heard - self.given_up

    def _is_overtaken(self, number: int) -> bool:
        missing = self.session.requests[number]
        return any(
            one.number > number and (one.method, one.path) == (missing.method, missing.path)
            for one in self.session.requests
            if one.number in self.heard
        )


class ReplayScript:
    """Answers requests with the recorded replies. Pure and not thread-safe: a host has a lock.

    Requests of one method and path are answered in the recorded order; a request whose body equals the
    recorded one is preferred.  A session that sends more requests than recorded starts again from the first.

    Args:
        trace: The recording.
        base: The address that clients use; replaces the recorded one.
        strict: Answer a request that differs from the recorded ones, also in its body, with status 500 and a
            text that names the next recorded one. Then only the discovery may be repeated.
    """

    def __init__(self, trace: Trace, base: str = "", *, strict: bool = False) -> None:
        recording = Recording(trace)
        self.base = base
        self._strict = strict
        self._recorded_base = recording.base
        self._shown_base = recording.shown or recording.base
        self._discovery = _Run(recording.sessions.pop(0))
        self._sessions = list(recording.sessions.values())
        self._aliases = [one.alias for one in self._sessions if one.alias]
        self._runs: list[_Run] = []
        self._sockets = [one for session in self._sessions for one in session.sockets]
        self._used: dict[int, WebSocketScript] = {}
        self._logged_in = False

    def request(self, method: str, target: str, body: bytes = b"", cookie: str = "") -> Reply:
        """Return the reply to a request; 404 if no similar one was recorded.

        If the recorded server first refused a request, and answered it after a login, the cookie decides.
        """
        parts = urlsplit(target)
        self._logged_in = COOKIE in cookie
        asked = _ClientRequest(method, unquote(parts.path), parts.query, self._with_recorded_address(body))
        run, recorded = self._find_discovery(asked) or self._find_in_session(asked) or (None, None)
        if self._strict and (recorded is None or run is None or asked.similarity(recorded) < _SAME_BODY):
            return _refusal(500, f"{asked} was not recorded here. Expected: {self._describe_expected(run)}.")
        if run is None or recorded is None:
            return _refusal(404, "Not Found")
        run.heard.add(recorded.number)
        names = self._names(run.session.alias, run.session_hash)
        return Reply(
            recorded.status,
            rename_headers(recorded.headers, names),
            rename_parts(recorded.parts, names),
            recorded.ending,
            recorded.stream,
            run.is_ready,
            run.is_overtaken,
            run.give_up,
        )

    def websocket(self, target: str) -> WebSocketScript | None:
        """Return the script of a websocket, or None if none was recorded."""
        path = unquote(urlsplit(target).path)
        alike = [one for one in self._sockets if one.path == path]
        if not alike:
            return None
        if all(id(one) in self._used for one in alike):
            for one in alike:
                del self._used[id(one)]
        return WebSocketScript(alike, self._used, self._names, strict=self._strict)

    def _names(self, alias: str, session_hash: str | None) -> Names:
        bases = sorted({self._shown_base, self._recorded_base} - {""}, key=len, reverse=True)
        names = dict.fromkeys(bases if self.base else (), self.base)
        return names | ({alias: session_hash} if alias and session_hash else {})

    def _find_discovery(self, asked: _ClientRequest) -> tuple[_Run, RecordedRequest] | None:
        every = self._discovery.session.requests
        alike = [one for one in every if asked.has_same_path(one, self._aliases)]
        statuses = {one.status for one in alike}
        if 401 in statuses and statuses != {401}:
            # The reply does not depend on the order, but on whether the client has logged in.
            alike = [one for one in alike if (one.status != 401) is self._logged_in]
        if alike and all(one.number in self._discovery.heard for one in alike):
            self._discovery.heard -= {one.number for one in alike}
        found = next((one for one in alike if one.number not in self._discovery.heard), None)
        return (self._discovery, found) if found is not None else None

    def _find_in_session(self, asked: _ClientRequest) -> tuple[_Run, RecordedRequest] | None:
        for run in reversed(self._runs):
            if asked.may_belong_to(run.session_hash):
                found = self._best(run, asked)
                if found is not None:
                    return run, found
        return self._find_in_new_run(asked)

    def _find_in_new_run(self, asked: _ClientRequest) -> tuple[_Run, RecordedRequest] | None:
        begun = [run.session for run in self._runs] if self._strict else []
        left = [session for session in self._sessions if not _count(begun, session)]
        fresh = [_Run(session) for session in left]
        found = [(run, one) for run in fresh if (one := self._best(run, asked)) is not None]
        if not found:
            return None
        played = [run.session for run in self._runs]
        run, recorded = min(
            found,
            key=lambda pair: (
                -asked.similarity(pair[1]),
                _count(played, pair[0].session),
            ),
        )
        run.session_hash = asked.session_hash_like(recorded, run.session.alias)
        self._runs.append(run)
        return run, recorded

    def _with_recorded_address(self, body: bytes) -> bytes:
        return body.replace(self.base.encode(), self._shown_base.encode()) if self.base else body

    def _describe_expected(self, run: _Run | None) -> str:
        """Return the next recorded request, of a session that has started if there is one."""
        begun = [run, *reversed(self._runs)] if run is not None else list(reversed(self._runs))
        fresh = [_Run(one) for one in self._sessions if not _count([each.session for each in begun], one)]
        for one in (*begun, *fresh):
            for recorded in one.session.requests:
                if recorded.number not in one.heard:
                    said = _RequestContent(recorded.query, recorded.body or b"")
                    return f"{recorded.method} {recorded.path}{said}"
        return "no request any more"

    @staticmethod
    def _best(run: _Run, asked: _ClientRequest) -> RecordedRequest | None:
        alike = [
            one for one in run.session.requests if asked.has_same_path(one) and one.number not in run.heard
        ]
        return max(alike, key=lambda one: (asked.similarity(one), run.follows_heard(one)), default=None)


def _count(sessions: Sequence[RecordedSession], session: RecordedSession) -> int:
    return sum(one is session for one in sessions)


class _ClientRequest:
    """A request of a client."""

    def __init__(self, method: str, path: str, query: str, body: bytes) -> None:
        self._method = method
        self._path = path
        self._said = _RequestContent(query, body)
        self.session_hash = self._said.session_hash

    def __str__(self) -> str:
        return f"{self._method} {self._path}{self._said}"

    def has_same_path(self, recorded: RecordedRequest, aliases: Sequence[str] = ()) -> bool:
        """Return whether it has the recorded path, ignoring a session hash at its end, as in heartbeats."""
        if self._method != recorded.method:
            return False
        start, _, last = recorded.path.rpartition("/")
        if last in aliases:
            return self._path.rpartition("/")[0] == start
        return self._path == recorded.path

    def may_belong_to(self, session_hash: str | None) -> bool:
        """Return whether it may belong to a session; some protocols number their calls in the hash."""
        mine = self.session_hash
        return mine is None or mine == session_hash or mine.startswith(f"{session_hash}-")

    def similarity(self, recorded: RecordedRequest) -> int:
        """Return 3 for the same request, 2 for the same call, 1 for one of the same function, else 0."""
        return self._said.similarity(_RequestContent(recorded.query, recorded.body or b""))

    def session_hash_like(self, recorded: RecordedRequest, alias: str) -> str | None:
        """Return the session hash without the suffix that the recorded one has."""
        theirs = _RequestContent(recorded.query, recorded.body or b"").session_hash
        number = theirs.removeprefix(alias) if theirs and alias else ""
        return self.session_hash.removesuffix(number) if self.session_hash else None


class _RequestContent:
    """The content of a request in its query and body, or of a text on a websocket."""

    def __init__(self, query: str, body: bytes, hashes: Sequence[str] = ("session_hash",)) -> None:
        self._query = query
        self._body = body
        self._value = {**{name: one[0] for name, one in parse_qs(query).items()}, **_object(body)}
        named = next((self._value[name] for name in hashes if name in self._value), None)
        self.session_hash = named if isinstance(named, str) and named else None

    def __str__(self) -> str:
        query = f"?{self._query}" if self._query else ""
        return f"{query} {self._body.decode('utf-8', 'replace')}".rstrip()

    @property
    def has_data(self) -> bool:
        """Whether it has the arguments of a call."""
        return "data" in self._value

    def similarity(self, recorded: _RequestContent) -> int:
        here, then = self.session_hash, recorded.session_hash
        mine = self
        if here and then:
            body = self._body.replace(here.encode(), then.encode())
            mine = _RequestContent(self._query.replace(here, then), body, ())
        if mine._value == recorded._value:
            return _SAME_BODY
        if "fn_index" not in mine._value or mine._value["fn_index"] != recorded._value.get("fn_index"):
            return 0
        same = "data" in mine._value and all(
            mine._value.get(name) == recorded._value.get(name) for name in ("data", "event_data")
        )
        return _SAME_CALL if same else 1


def _refusal(status: int, detail: str) -> Reply:
    body = json.dumps({"detail": detail}, separators=(",", ":")).encode()
    kind = {"content-type": "application/json"}
    return Reply(status, kind, [Part(0.0, body)], Ending.CLEAN, False, refusal=detail)


def _object(body: bytes | str) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


class WebSocketScript:
    """One websocket being played. The recorded one is chosen when the client names its function."""

    def __init__(
        self,
        alike: Sequence[RecordedSocket],
        used: dict[int, WebSocketScript],
        names: Callable[[str, str | None], Names],
        *,
        strict: bool = False,
    ) -> None:
        self._alike = alike
        self._strict = strict
        self._used = used
        self._naming = names
        self._session_hash: str | None = None
        self._place = 0
        self._recorded = next(one for one in alike if id(one) not in used)
        used[id(self._recorded)] = self
        self._decided = False

    @property
    def refusal(self) -> int | None:
        """Status to refuse the handshake with."""
        return self._recorded.refusal

    @property
    def closing(self) -> tuple[bool, int | None]:
        """Whether the server ends the socket, and its close code; None to break it without a close frame."""
        return self._recorded.closes, self._recorded.code

    def next(self) -> Say | Hear | None:
        """Return the next step, or None at the end."""
        if self._place >= len(self._recorded.steps):
            return None
        step = self._recorded.steps[self._place]
        self._place += 1
        if isinstance(step, Hear):
            return step
        names = self._naming(self._recorded.alias, self._session_hash)
        return Say(step.delay, rename_bytes(step.text.encode("utf-8", "replace"), names).decode())

    def text_received(self, text: str) -> str:
        """Accept the text that a `Hear` waited for; return the reason if it is refused."""
        said = _RequestContent("", text.encode("utf-8", "replace"), _SOCKET_HASHES)
        self._session_hash = said.session_hash or self._session_hash
        here = self._place - 1
        best = max(
            (one for one in self._alike if one is self._recorded or self._may_take(one)),
            key=lambda one: (self._fits(one, here, said), one is self._recorded, id(one) not in self._used),
        )
        if best is not self._recorded:
            self._take(best)
        self._decided = self._decided or said.has_data
        if not self._strict or self._fits(best, here, said) >= _SAME_BODY:
            return ""
        expected = _RequestContent("", _heard(best, here), _SOCKET_HASHES)
        return f"{str(said).strip()} was not recorded here. Expected: {str(expected).strip()}."

    def _may_take(self, recorded: RecordedSocket) -> bool:
        """Return whether a recorded socket is free, or its user can be given this one's instead."""
        holder = self._used.get(id(recorded))
        if holder is None:
            return True
        kinds = [type(step) for step in recorded.steps[: holder._place]]
        mine = [type(step) for step in self._recorded.steps[: holder._place]]
        return not holder._decided and kinds == mine

    def _take(self, recorded: RecordedSocket) -> None:
        holder = self._used.pop(id(recorded), None)
        del self._used[id(self._recorded)]
        if holder is not None:
            holder._recorded = self._recorded
            self._used[id(self._recorded)] = holder
        self._used[id(recorded)] = self
        self._recorded = recorded

    def _fits(self, recorded: RecordedSocket, here: int, said: _RequestContent) -> int:
        kinds = [type(step) for step in self._recorded.steps[: here + 1]]
        if [type(step) for step in recorded.steps[: here + 1]] != kinds:
            return -1
        return said.similarity(_RequestContent("", _heard(recorded, here), _SOCKET_HASHES))


def _heard(recorded: RecordedSocket, place: int) -> bytes:
    """Return the text of a step."""
    return recorded.steps[place].text.encode("utf-8", "replace")


__all__ = ["ReplayScript", "Reply", "WebSocketScript"]
