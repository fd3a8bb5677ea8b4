# SPDX-License-Identifier: Apache-2.0
"""The requests of a trace as a shell script of curl commands, which runs against the server.

Values of the recorded run are replaced: the session hash, the event id (taken from the reply to the join),
the paths of uploaded files. Files, passwords and redacted headers, which a trace does not contain, are
environment variables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

import attrs

from ...errors import LocalProtocolError
from ...protocol.frames import Frame, Kind
from ...protocol.known_secrets import REDACTED
from ..conversation import conversations
from ..reader import Trace
from . import functions
from .text import (
    SESSION,
    Replacements,
    Variable,
    body_parts,
    comment,
    json_comment,
    quoted,
    url_parts,
    word,
)

_WORDS = re.compile(r"[^A-Z0-9]+")

_ADDED_BY_CURL = frozenset({"accept", "content-type", "content-length", "cookie", "host", "user-agent"})

_MOST_HEADERS = 20
"""Bound of the redacted headers that become variables."""

_MOST_STEPS = 10_000

_TOKENS = {
    "HF_TOKEN": "a Hugging Face token that may use the Space",
    "AUTHORIZATION": "the value of the header authorization, such as Bearer TOKEN",
}

_FRESH = "session=$(fresh)"


@attrs.define
class _Call:
    """A call of the trace, with the frames of it that a script needs."""

    number: int
    session: int
    key: str
    endpoint: str
    fn_index: int | None
    data: Sequence[Any]
    start: int
    requests: dict[str, list[Frame]] = attrs.field(factory=dict[str, list[Frame]])
    positions: dict[int, int] = attrs.field(factory=dict[int, int])
    event: str = ""
    attached: bool = False
    cancelled: int | None = None

    def of(self, channel: str) -> list[Frame]:
        """Return the requests of one of its channels."""
        return self.requests.get(channel, [])


@attrs.define
class _Session:
    alias: str
    source: str
    adapter: str


@attrs.define
class _Variable:
    """A variable of the environment."""

    name: str
    what: str
    required: bool = True


class _Script:
    """The parts of a script, in the order in which they are found."""

    def __init__(self) -> None:
        self.variables: dict[str, _Variable] = {}
        self.functions: list[str] = []
        self.lines: list[str] = []

    def use(self, *texts: str) -> None:
        """Include shell functions."""
        self.functions += [text for text in texts if text not in self.functions]

    def need(self, name: str, what: str, *, required: bool = True) -> Variable:
        """Declare a variable of the environment."""
        self.variables.setdefault(name, _Variable(name, what, required))
        return Variable(name)

    def add(self, *lines: str) -> None:
        """Add lines."""
        self.lines += lines


def curl_script(trace: Trace, *, call: int | None = None, base: str | None = None) -> str:
    """Return the requests of a trace as a shell script.

    Args:
        trace: The trace.
        call: Number of the only call to include, from 1.
        base: URL of the server to run against, in place of the recorded one.

    Raises:
        LocalProtocolError: The trace has no such call, or no request.
    """
    return _Builder(trace, base).build(call)


class _Builder:
    def __init__(self, trace: Trace, base: str | None) -> None:
        self._trace = trace
        self._script = _Script()
        self._sessions: dict[int, _Session] = {}
        self._calls = self._find_calls()
        self._bases: dict[str, Variable] = {}
        self._given = base
        self._paths: dict[str, Variable] = {}
        self._secrets = 0

    # --- what the trace has --------------------------------------------------------------------------

    def _find_calls(self) -> list[_Call]:
        calls: dict[tuple[int, str], _Call] = {}
        for number, frame in enumerate(self._trace.frames):
            payload = frame.payload
            key, _, channel = frame.channel.partition(".")
            call = calls.get((frame.session, key))
            if frame.kind is Kind.SESSION:
                self._sessions[frame.session] = _Session(
                    str(payload.get("session_hash", "")),
                    str(payload.get("source") or "").rstrip("/"),
                    str(payload.get("adapter", "")),
                )
            elif frame.kind is Kind.CALL:
                calls[frame.session, key] = _new_call(len(calls) + 1, number, frame)
            elif call is None or frame.retried:
                continue
            elif frame.kind in (Kind.REQUEST, Kind.WS_OPEN):
                call.requests.setdefault(channel, []).append(frame)
                call.positions[id(frame)] = number
            elif frame.kind is Kind.RESPONSE and channel in ("join", "push"):
                call.event = _event_id(payload.get("body")) or call.event
            elif frame.kind is Kind.CANCEL and call.cancelled is None:
                call.cancelled = number
        return list(calls.values())

    # --- the script ----------------------------------------------------------------------------------

    def build(self, number: int | None) -> str:
        calls = self._calls if number is None else self._calls[number - 1 : number] if number > 0 else []
        if number is not None and not calls:
            raise LocalProtocolError(
                f"The trace has no call {number}; it has {_count(len(self._calls), 'call')}."
            )
        self._declare_bases(calls)
        self._log_in(calls)
        if calls:
            self._upload(calls)
            self._add_calls(calls)
        else:
            self._add_discovery()
        if not self._script.lines:
            raise LocalProtocolError("The trace has no requests to make a script of.")
        return self._text(calls)

    def _declare_bases(self, calls: Sequence[_Call]) -> None:
        found = [self._sessions[call.session].source for call in calls if call.session in self._sessions]
        sources = [one for one in dict.fromkeys(found) if _is_http(one)] or [_discovered(self._trace)]
        for place, source in enumerate(sources):
            name = "BASE" if not place else f"BASE_{place + 1}"
            self._bases[source] = Variable(name)

    def _replacements(self, call: _Call | None) -> Replacements:
        session = self._sessions.get(call.session) if call else None
        source = session.source if session else next(iter(self._bases))
        return Replacements(
            session=session.alias if session else "",
            event=call.event if call else "",
            base=(source, self._bases.get(source, Variable("BASE"))),
            paths=self._paths,
            secret=lambda: self._secret(call),
        )

    def _secret(self, call: _Call | None) -> Variable:
        self._secrets += 1
        where = f"call {call.number}, {comment(call.endpoint)}" if call else "a request"
        self._script.use(functions.JSON_TEXT)
        return self._script.need(f"SECRET_{self._secrets}", f"a text that was redacted in {where}")

    def _log_in(self, calls: Sequence[_Call]) -> None:
        frames = self._trace.frames
        login = next((one for one in frames if one.channel == "login" and one.kind is Kind.REQUEST), None)
        if login is None:
            return
        for source in self._bases:
            replacements = attrs.evolve(self._replacements(None), base=(source, self._bases[source]))
            url = url_parts(str(login.payload["url"]), replacements)
            if url is not None:
                self._script.use(functions.LOGIN)
                self._script.need("GRADIO_USER", "the user of the app's own login")
                self._script.need("GRADIO_PASSWORD", "its password")
                self._script.add(
                    "", "# Log in. The cookies of the reply are sent from here on.", f"login {word(url)}"
                )

    def _upload(self, calls: Sequence[_Call]) -> None:
        """Upload the files whose paths the calls name."""
        wanted = [one for call in calls for frames in call.requests.values() for one in frames]
        # One text, because each of many uploads is looked for in all of them.
        text = b"\0".join(one.payload.get("body") or b"" for one in wanted)
        files = 0
        for request, reply in _uploads(self._trace.frames):
            paths = [one for one in _paths(reply.payload.get("body")) if _holds(text, one)]
            url = url_parts(str(request.payload["url"]), self._replacements(None))
            if not paths or url is None:
                continue
            every = _paths(reply.payload.get("body"))
            names: list[str] = []
            for described in _files(request.payload.get("files"), len(every)):
                files += 1
                names.append(f"FILE_{files}")
                self._script.need(names[-1], f"path of a file to send in place of {described}")
            self._script.use(functions.UPLOAD)
            words = " ".join(f'"${name}"' for name in names)
            self._script.add("", f"# Upload {_count(len(names), 'file')}.", f"upload {word(url)} {words}")
            for place, (path, name) in enumerate(zip(every, names, strict=False), 1):
                variable = Variable(name.replace("FILE", "path"))
                self._paths[path] = variable
                self._script.add(f"{variable.name}=$(uploaded {place})")

    def _add_discovery(self) -> None:
        for frame in self._trace.frames:
            if frame.channel == "discover" and frame.kind is Kind.REQUEST and not frame.retried:
                url = url_parts(str(frame.payload["url"]), self._replacements(None))
                if url is not None:
                    self._script.add(f"get {word(url)}", "show_reply")
        if self._script.lines:
            self._script.lines[:0] = [
                "",
                "# The trace has no calls. These are the requests of the discovery.",
            ]

    def _add_calls(self, calls: Sequence[_Call]) -> None:
        session = 0
        messages = _message_positions(self._trace, {(call.session, call.key) for call in calls})
        for call in calls:
            if call.session != session:
                session = call.session
                self._script.add(
                    "", f"# Session {session} of the recording, with its own session hash.", _FRESH
                )
            fn_index = "" if call.fn_index is None else f" (fn_index {call.fn_index})"
            self._script.add(
                "", f"# Call {call.number}: {comment(call.endpoint)}{fn_index}, with these arguments:"
            )
            self._script.add(f"#   {json_comment(call.data)}", f"say {quoted(f'call {call.number}')}")
            _CallLines(self._script, call, self._replacements(call), messages, self._trace).add()
        if not any(SESSION.word() in line for line in self._script.lines):
            self._script.lines = [line for line in self._script.lines if line != _FRESH]

    def _text(self, calls: Sequence[_Call]) -> str:
        self._headers(calls)
        lines = ["#!/bin/sh", *self._description(calls), functions.START.rstrip("\n")]
        lines += [""]
        for place, (source, variable) in enumerate(self._bases.items()):
            default = self._given if self._given is not None and not place else source
            name = variable.name
            if default:
                lines += [f'[ -n "${{{name}:-}}" ] || {name}={quoted(default)}']
            else:
                lines += [f'need {name} "${{{name}:-}}" {quoted("the URL of the app")}']
            lines += [f"{name}=${{{name}%/}}"]
        lines += [
            f'need {one.name} "${{{one.name}:-}}" {quoted(one.what)}'
            for one in self._script.variables.values()
            if one.required
        ]
        used = [functions.SETUP, *self._script.functions]
        lines += [text.rstrip("\n") for text in used]
        return "\n".join([*lines, *self._header_lines, *self._script.lines, functions.END.rstrip("\n"), ""])

    def _headers(self, calls: Sequence[_Call]) -> None:
        """Make variables of the headers that were redacted."""
        self._header_lines: list[str] = []
        requests = [one for call in calls for frames in call.requests.values() for one in frames]
        requests = requests or [one for one in self._trace.frames if one.kind is Kind.REQUEST]
        for name in sorted(_redacted_headers(requests))[:_MOST_HEADERS]:
            if name == "authorization":
                self._script.need(self._token(), _TOKENS[self._token()])
                self._header_lines.append(_header_of(self._token()))
                continue
            variable = f"HEADER_{_WORDS.sub('_', name.upper())}"
            self._script.need(variable, f"the value of the header {name}")
            self._header_lines.append(f'header {quoted(name)} "${variable}"')
        if self._header_lines:
            self._header_lines[:0] = ["", "# Headers that were redacted."]
        # A trace of this library does not show which credentials and extra headers it was given.
        token = self._token()
        if token not in self._script.variables:
            self._script.need(token, _TOKENS[token], required=False)
            self._header_lines += ["", f'[ -z "${{{token}:-}}" ] || {_header_of(token)}']
        self._script.need("HEADERS", "path of a file with more headers, one a line", required=False)
        self._header_lines.append('[ -z "${HEADERS:-}" ] || cat "$HEADERS" >>"$work/headers"')

    def _token(self) -> str:
        host = urlsplit(next(iter(self._bases))).hostname or ""
        return "HF_TOKEN" if host.endswith(".hf.space") else "AUTHORIZATION"

    def _description(self, calls: Sequence[_Call]) -> Iterator[str]:
        version = self._trace.meta.get("gradio")
        adapters = dict.fromkeys(
            self._sessions[one.session].adapter for one in calls if one.session in self._sessions
        )
        by = f" by {comment(', '.join(adapters))}" if adapters else ""
        yield f"# Requests of {_count(len(calls), 'call')}, recorded with {_server(version)}{by}."
        yield "# Made by `gradio-transport trace curl`. stdout has replies and messages, stderr the steps."
        if len(calls) > 1:
            yield "# The calls are made one after another, also where they were made at once."
        yield "#"
        yield "# Variables of the environment:"
        for place, (source, variable) in enumerate(self._bases.items()):
            default = self._given if self._given is not None and not place else source
            yield f"#   {variable.name}: URL of the app" + (
                f"; without it, {comment(default)}" if default else ""
            )
        for one in self._script.variables.values():
            yield f"#   {one.name}: {one.what}" + (" (needed)" if one.required else "")
        yield "#   MAX_TIME: seconds that a request or stream may take; without it, any time"


class _CallLines:
    """The lines of one call, by the requests that it made."""

    def __init__(
        self,
        script: _Script,
        call: _Call,
        replacements: Replacements,
        messages: Mapping[tuple[int, str], Sequence[int]],
        trace: Trace,
    ) -> None:
        self._script = script
        self._call = call
        self._replacements = replacements
        self._messages = messages.get((call.session, call.key), ())
        self._trace = trace

    def add(self) -> None:
        """Add the lines."""
        call = self._call
        if call.attached:
            self._skip("Another program joined it, and its event cannot be joined again.")
        elif call.of("push"):
            self._polling()
        elif call.of("socket"):
            self._websocket()
        elif call.of("stream") and _is_join_stream(call.of("stream")[0]):
            self._join_stream()
        elif call.of("join") and call.of("stream"):
            self._named_call()
        elif call.of("join"):
            self._queue()
        elif call.of("chat"):
            self._chat()
        elif call.requests:
            self._plain()
        else:
            self._skip("It sent no request.")

    def _skip(self, why: str) -> None:
        self._script.add(f"# Left out. {why}", f"say {quoted('  left out: ' + why)}")

    def _url(self, frame: Frame) -> str | None:
        """Return the URL of a request as a word. Requests to other addresses are left out."""
        parts = url_parts(str(frame.payload["url"]), self._replacements)
        if parts is None:
            self._skip("A request of it goes to another address than the app's.")
            return None
        return word(parts)

    def _body(self, frame: Frame) -> str:
        return word(body_parts(frame.payload.get("body") or b"", self._replacements))

    def _post(self, frame: Frame, indent: str = "") -> None:
        url = self._url(frame)
        if url is not None:
            self._script.add(f"{indent}post {url} {self._body(frame)}")

    # --- by protocol ---------------------------------------------------------------------------------

    def _plain(self) -> None:
        self._script.add("# Each request is answered at once; a generator answers each with its next value.")
        for frames in self._call.requests.values():
            for frame in frames:
                self._post(frame)
                self._script.add("show_reply")

    def _polling(self) -> None:
        self._script.use(functions.ENDED, functions.POLL)
        push = self._call.of("push")[0]
        url = self._url(push)
        if url is None:
            return
        status = word(url_parts(_sibling(push, "push", "status"), self._replacements) or [""])
        self._script.add("# Step 1: join the queue. The reply has the hash of the job.")
        self._script.add(f"post {url} {self._body(push)}", "job=$(field hash)")
        self._script.add("# Step 2: ask for the state of the job until it ends.", f"poll {status}")

    def _queue(self) -> None:
        self._script.use(functions.ENDED, functions.STREAM, functions.QUEUE, functions.FOLLOW_QUEUE)
        join = self._call.of("join")[0]
        url = self._url(join)
        if url is None:
            return
        stream = word(
            [
                *(url_parts(_sibling(join, "join", "data"), self._replacements) or []),
                "?session_hash=",
                SESSION,
            ]
        )
        self._script.add("# Step 1: join the queue. The reply has the event id.")
        self._script.add(f"post {url} {self._body(join)}", "event=$(field event_id)")
        self._script.add("# Step 2: read the messages of the session until those of the call end.")
        self._on_message()
        self._script.add(f"open_stream {stream}", "follow_queue")

    def _join_stream(self) -> None:
        self._script.use(functions.ENDED, functions.STREAM, functions.QUEUE, functions.FOLLOW_JOIN)
        url = self._url(self._call.of("stream")[0])
        if url is None:
            return
        self._script.add("# Step 1: join the queue with the stream. Its message send_data has the event id.")
        self._script.add("# Step 2: send the data in a second request, while the stream is open.")
        data = self._call.of("data")
        if data:
            self._call.event = self._call.event or _event_id(data[0].payload.get("body"))
            self._replacements = attrs.evolve(self._replacements, event=self._call.event)
            self._script.add("send_data() {")
            self._post(data[0], "    ")
            self._script.add("}")
        else:
            self._script.add("send_data() { :; }")
        self._on_message()
        self._script.add(f"open_stream {url}", "follow_join")

    def _named_call(self) -> None:
        self._script.use(functions.ENDED, functions.STREAM, functions.FOLLOW_CALL)
        join, stream = self._call.of("join")[0], self._call.of("stream")[0]
        url, events = self._url(join), self._url(stream)
        if url is None or events is None:
            return
        self._script.add("# Step 1: start the call. The reply has the event id.")
        self._script.add(f"post {url} {self._body(join)}", "event=$(field event_id)")
        self._script.add("# Step 2: read the events of the call until it ends.")
        self._on_message()
        self._script.add(f"open_stream {events}", "follow_call")

    def _chat(self) -> None:
        request = self._call.of("chat")[0]
        url = self._url(request)
        if url is None:
            return
        if not request.payload.get("stream"):
            self._script.add(f"post {url} {self._body(request)}", "show_reply")
            return
        self._script.use(functions.ENDED, functions.STREAM, functions.FOLLOW_CHAT)
        self._script.add("# Send the conversation, and read the answer as it comes.")
        self._script.add(f"printf '%s' {self._body(request)} >\"$work/body\"")
        self._script.add(
            f"open_stream {url} -H 'content-type: application/json' --data-binary @\"$work/body\"",
            "follow_chat",
        )

    def _websocket(self) -> None:
        """Use the direct route of the server: curl before 8.11 cannot speak websockets, and scripts never."""
        self._script.add("# It was made over a websocket, which curl cannot speak.")
        route = self._direct_route()
        base, _ = self._replacements.base
        url = url_parts(f"{base}{route}", self._replacements)
        data = self._sent_data()
        if data is None or url is None:
            self._skip("curl cannot speak websockets, and the trace does not have what was sent.")
            return
        self._script.use(functions.ENDED, functions.STEPS)
        self._script.add(
            "# This is the direct route of the same server, which passes the queue by; an app may close it."
        )
        self._script.add("# A generator answers each request with its next value.")
        most = self._count_before(self._call.cancelled) if self._call.cancelled is not None else _MOST_STEPS
        body = word(body_parts(data, self._replacements))
        self._script.add(f"post_steps {word(url)} {body} {max(most, 1)}")

    def _direct_route(self) -> str:
        version = _version(self._trace.meta.get("gradio"))
        if version < (3, 0, 13):
            return "/api/predict/"
        name = self._call.endpoint.strip("/")
        known = (
            name
            if re.fullmatch(r"[\w.-]+", name, re.ASCII) and self._call.endpoint.startswith("/")
            else "predict"
        )
        return f"/{'run' if version >= (3, 9) else 'api'}/{known}"

    def _sent_data(self) -> bytes | None:
        """Return the text with which the data was sent on the websocket."""
        channel = f"{self._call.key}.socket"
        for frame in self._trace.frames:
            if (frame.session, frame.channel, frame.kind) != (self._call.session, channel, Kind.WS_TEXT):
                continue
            text = str(frame.payload["text"])
            if frame.direction.value == "out" and '"data"' in text:
                return text.encode("utf-8", "replace")
        return None

    # --- what was sent while the call ran ------------------------------------------------------------

    def _on_message(self) -> None:
        """Add the function that sends, after as many messages as then, what was sent while the call ran."""
        call = self._call
        sent = [
            one for channel, frames in call.requests.items() if channel.startswith("send-") for one in frames
        ]
        cancels = [one for channel in ("cancel", "reset") for one in call.of(channel)]
        steps: dict[int, list[Frame]] = {}
        for frame in sent:
            steps.setdefault(self._count_before(call.positions[id(frame)]), []).append(frame)
        if not steps and call.cancelled is None:
            self._script.add("on_message() { :; }")
            return
        self._script.add("on_message() {", "    case $messages in")
        stop = None if call.cancelled is None else self._count_before(call.cancelled)
        for count in sorted({*steps, *(() if stop is None else (stop,))}):
            self._script.add(f"        {count})")
            for frame in steps.get(count, []):
                self._post(frame, " " * 12)
            if count == stop:
                self._script.add("            # It was cancelled here.")
                for frame in cancels:
                    self._post(frame, " " * 12)
                self._script.add("            outcome=cancelled")
            self._script.add("            ;;")
        self._script.add("    esac", "}")

    def _count_before(self, frame: int | None) -> int:
        return sum(1 for place in self._messages if frame is not None and place < frame)


def _new_call(number: int, start: int, frame: Frame) -> _Call:
    payload = frame.payload
    fn_index, data = payload.get("fn_index"), payload.get("data")
    return _Call(
        number,
        frame.session,
        frame.channel,
        str(payload.get("endpoint") or f"fn_index {fn_index}"),
        fn_index if isinstance(fn_index, int) else None,
        cast("Sequence[Any]", data) if isinstance(data, list) else [],
        start,
        attached=payload.get("event_id") is not None,
    )


def _message_positions(trace: Trace, wanted: set[tuple[int, str]]) -> dict[tuple[int, str], list[int]]:
    """Return the numbers of the frames with the messages of each call."""
    return {
        (one.session, one.key): [entry.frame for entry in one.messages if entry.what != "heartbeat"]
        for one in conversations(trace)
        if (one.session, one.key) in wanted
    }


def _uploads(frames: Sequence[Frame]) -> Iterator[tuple[Frame, Frame]]:
    """Yield the requests of uploads with their replies."""
    waiting: list[Frame] = []
    for frame in frames:
        if frame.channel == "upload" and not frame.retried:
            if frame.kind is Kind.REQUEST:
                waiting.append(frame)
            elif frame.kind in (Kind.RESPONSE, Kind.ERROR) and waiting:
                request = waiting.pop(0)
                if frame.kind is Kind.RESPONSE:
                    yield request, frame


def _files(files: Any, count: int) -> Iterator[str]:
    known: Sequence[Any] = cast("Sequence[Any]", files) if isinstance(files, list) else []
    for place in range(count):
        one = known[place] if place < len(known) else None
        if isinstance(one, dict):
            described = cast("dict[str, Any]", one)
            yield f"{comment(str(described.get('name')))} ({comment(str(described.get('size')))} bytes)"
        else:
            yield "a file"


def _paths(body: bytes | None) -> list[str]:
    value = _json(body)
    paths = cast("list[Any]", value) if isinstance(value, list) else []
    return [path for path in paths if isinstance(path, str) and path]


def _holds(text: bytes, path: str) -> bool:
    return path.encode("utf-8", "replace") in text


def _event_id(body: bytes | None) -> str:
    value = _json(body)
    if not isinstance(value, dict):
        return ""
    found = cast("dict[str, Any]", value).get("event_id")
    return found if isinstance(found, str) else ""


def _json(body: bytes | None) -> Any:
    try:
        return json.loads(body or b"null")
    except (ValueError, RecursionError):
        return None


def _redacted_headers(requests: Sequence[Frame]) -> set[str]:
    found: set[str] = set()
    for frame in requests:
        headers: Mapping[str, Any] = frame.payload.get("headers") or {}
        for name, value in headers.items():
            plain = str(name).lower()
            if (
                REDACTED in str(value)
                and plain not in _ADDED_BY_CURL
                and re.fullmatch(r"[a-z0-9_-]{1,60}", plain)
            ):
                found.add(plain)
    return found


def _header_of(variable: str) -> str:
    value = f'"Bearer ${variable}"' if variable == "HF_TOKEN" else f'"${variable}"'
    return f"header authorization {value}"


def _is_join_stream(frame: Frame) -> bool:
    return urlsplit(str(frame.payload["url"])).path.endswith("/queue/join")


def _sibling(frame: Frame, here: str, there: str) -> str:
    """Return the URL of a route beside that of a request."""
    url = str(frame.payload["url"]).partition("?")[0]
    head, _, tail = url.rpartition(f"/{here}")
    return f"{head}/{there}{tail}"


def _discovered(trace: Trace) -> str:
    """Return the address of an app that was discovered, and not called."""
    urls = (str(one.payload["url"]) for one in trace.frames if one.kind is Kind.REQUEST)
    return next(
        (url.partition("?")[0].removesuffix("/config").rstrip("/") for url in urls if _is_http(url)), ""
    )


def _is_http(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def _version(version: Any) -> tuple[int, ...]:
    numbers = re.match(r"(\d{1,4})(?:\.(\d{1,4}))?(?:\.(\d{1,4}))?", str(version or ""))
    return tuple(int(one or 0) for one in numbers.groups()) if numbers else (3, 50, 2)


def _server(version: Any) -> str:
    return f"Gradio {comment(str(version))}" if version else "a server"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


__all__ = ["curl_script"]
