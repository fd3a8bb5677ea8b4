# SPDX-License-Identifier: Apache-2.0
"""The requests of a trace as a shell script of curl commands, which runs against the server.

Values of the recorded run are replaced: the session hash, the event id (taken from the reply to the join),
the paths of uploaded files. Files, passwords and redacted headers, which a trace does not contain, are
environment variables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

import attrs

from ...errors import LocalProtocolError
from ...protocol.frames import Frame, Kind
from ...protocol.known_secrets import REDACTED
from ..reader import Trace
from . import functions
from .bodies import uploaded_paths
from .call_lines import CallLines
from .calls import ScriptCall, find_calls, message_positions
from .parts import ScriptParts
from .text import SESSION, Replacements, Variable, comment, json_comment, quoted, url_parts, word

_WORDS = re.compile(r"[^A-Z0-9]+")

_ADDED_BY_CURL = frozenset({"accept", "content-type", "content-length", "cookie", "host", "user-agent"})

_MOST_HEADERS = 20
"""Bound of the redacted headers that become variables."""

_TOKENS = {
    "HF_TOKEN": "a Hugging Face token that may use the Space",
    "AUTHORIZATION": "the value of the header authorization, such as Bearer TOKEN",
}

_FRESH = "session=$(fresh)"


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
        self._script = ScriptParts()
        self._calls, self._sessions = find_calls(trace)
        self._bases: dict[str, Variable] = {}
        self._given = base
        self._paths: dict[str, Variable] = {}
        self._secrets = 0

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

    def _declare_bases(self, calls: Sequence[ScriptCall]) -> None:
        found = [self._sessions[call.session].source for call in calls if call.session in self._sessions]
        sources = [one for one in dict.fromkeys(found) if _is_http(one)] or [_discovered(self._trace)]
        for place, source in enumerate(sources):
            name = "BASE" if not place else f"BASE_{place + 1}"
            self._bases[source] = Variable(name)

    def _replacements(self, call: ScriptCall | None) -> Replacements:
        session = self._sessions.get(call.session) if call else None
        source = session.source if session else next(iter(self._bases))
        return Replacements(
            session=session.alias if session else "",
            event=call.event if call else "",
            base=(source, self._bases.get(source, Variable("BASE"))),
            paths=self._paths,
            secret=lambda: self._secret(call),
        )

    def _secret(self, call: ScriptCall | None) -> Variable:
        self._secrets += 1
        where = f"call {call.number}, {comment(call.endpoint)}" if call else "a request"
        self._script.use(functions.JSON_TEXT)
        return self._script.need(f"SECRET_{self._secrets}", f"a text that was redacted in {where}")

    def _log_in(self, calls: Sequence[ScriptCall]) -> None:
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

    def _upload(self, calls: Sequence[ScriptCall]) -> None:
        """Upload the files whose paths the calls name."""
        wanted = [one for call in calls for frames in call.requests.values() for one in frames]
        # One text, because each of many uploads is looked for in all of them.
        text = b"\0".join(one.payload.get("body") or b"" for one in wanted)
        files = 0
        for request, reply in _uploads(self._trace.frames):
            paths = [one for one in uploaded_paths(reply.payload.get("body")) if _holds(text, one)]
            url = url_parts(str(request.payload["url"]), self._replacements(None))
            if not paths or url is None:
                continue
            every = uploaded_paths(reply.payload.get("body"))
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

    def _add_calls(self, calls: Sequence[ScriptCall]) -> None:
        session = 0
        messages = message_positions(self._trace, {(call.session, call.key) for call in calls})
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
            CallLines(self._script, call, self._replacements(call), messages, self._trace).add()
        if not any(SESSION.word() in line for line in self._script.lines):
            self._script.lines = [line for line in self._script.lines if line != _FRESH]

    def _text(self, calls: Sequence[ScriptCall]) -> str:
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

    def _headers(self, calls: Sequence[ScriptCall]) -> None:
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

    def _description(self, calls: Sequence[ScriptCall]) -> Iterator[str]:
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


def _holds(text: bytes, path: str) -> bool:
    return path.encode("utf-8", "replace") in text


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


def _discovered(trace: Trace) -> str:
    """Return the address of an app that was discovered, and not called."""
    urls = (str(one.payload["url"]) for one in trace.frames if one.kind is Kind.REQUEST)
    return next(
        (url.partition("?")[0].removesuffix("/config").rstrip("/") for url in urls if _is_http(url)), ""
    )


def _is_http(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def _server(version: Any) -> str:
    return f"Gradio {comment(str(version))}" if version else "a server"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


__all__ = ["curl_script"]
