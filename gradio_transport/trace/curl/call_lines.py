# SPDX-License-Identifier: Apache-2.0
"""The lines of one call, by the protocol with which it was made."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs

from ...protocol.frames import Frame, Kind
from ..reader import Trace
from . import functions
from .bodies import event_id
from .calls import ScriptCall
from .parts import ScriptParts
from .text import SESSION, Replacements, body_parts, quoted, url_parts, word

_MOST_STEPS = 10_000


class CallLines:
    """The lines of one call, by the requests that it made.

    Args:
        script: The script to which the lines are added.
        call: The call.
        replacements: The parts of its requests that are variables.
        messages: The numbers of the frames with messages, by session and key of the call.
        trace: The trace.
    """

    def __init__(
        self,
        script: ScriptParts,
        call: ScriptCall,
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
            self._call.event = self._call.event or event_id(data[0].payload.get("body"))
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


def _is_join_stream(frame: Frame) -> bool:
    return urlsplit(str(frame.payload["url"])).path.endswith("/queue/join")


def _sibling(frame: Frame, here: str, there: str) -> str:
    """Return the URL of a route beside that of a request."""
    url = str(frame.payload["url"]).partition("?")[0]
    head, _, tail = url.rpartition(f"/{here}")
    return f"{head}/{there}{tail}"


def _version(version: Any) -> tuple[int, ...]:
    numbers = re.match(r"(\d{1,4})(?:\.(\d{1,4}))?(?:\.(\d{1,4}))?", str(version or ""))
    return tuple(int(one or 0) for one in numbers.groups()) if numbers else (3, 50, 2)


__all__ = ["CallLines"]
