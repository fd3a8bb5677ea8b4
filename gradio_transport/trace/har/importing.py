# SPDX-License-Identifier: Apache-2.0
"""Import of one Gradio app's requests in a HAR file as a trace.

The calls are found by `Inference`, as in live traffic. A HAR has the times of each request, so the events are
processed in that order. Data that browsers omit is reported: bodies, and the end of a websocket.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit

import attrs

from ...adapter.registry import Registry, default_registry
from ...app.config_parsing import config_from_page, is_config
from ...errors import EventTooLarge, LocalProtocolError
from ...protocol.commands import Ending
from ...protocol.frames import Direction, Tap
from ...protocol.sse import SSEDecoder
from ...protocol.urls import base_url, origin, shown_url
from ..traffic.inference import Inference
from ..traffic.routes import Route, find_target, path_below
from .exporting import ENDINGS
from .reader import Har, HarEntry, HarError, HarMessage

_Event: TypeAlias = tuple[float, int, int, Callable[..., None], tuple[Any, ...]]
"""Time, number of the entry, place in it, and what the `Inference` is told."""

_API = re.compile(
    r"(?P<base>.*?)(?:/gradio_api)?/(?:queue/(?:join|data)|api/queue/(?:push|status)/?|(?:call|run)/[^/].*)",
    re.DOTALL,
)

_CALLS = frozenset(
    {Route.JOIN, Route.JOIN_STREAM, Route.PUSH, Route.DIRECT, Route.CALL, Route.CALL_V2, Route.SOCKET}
)

_NEEDED = frozenset(
    {
        Route.JOIN, Route.STREAM, Route.JOIN_STREAM, Route.PUSH, Route.STATUS, Route.DIRECT, Route.CALL,
        Route.CALL_V2, Route.CALL_STREAM, Route.CONFIG,
    }
)  # fmt: skip
"""Requests without whose reply a trace does not replay."""

_KNOWN_ERROR = re.compile(r"(?P<name>[A-Z][A-Za-z]{3,40}): (?P<message>.*)", re.DOTALL)

_LONGEST_CONFIG = 64 * 1024**2

_MOST_MISSING = 20
"""Missing bodies that are named; the others are counted."""


@attrs.define
class HarApp:
    """A Gradio app whose requests are in a HAR file.

    Attributes:
        url: Its base URL.
        requests: Number of requests to it.
        calls: Number of calls among them.
        has_config: Whether the file has its config, without which a trace is not replayed.
    """

    url: str
    requests: int = 0
    calls: int = 0
    has_config: bool = False

    def __str__(self) -> str:
        config = "" if self.has_config else ", without its config"
        return f"{self.url} ({_count(self.calls, 'call')}, {_count(self.requests, 'request')}{config})"


@attrs.define
class ImportReport:
    """The result of an import.

    Attributes:
        app: The app.
        calls: Number of calls found.
        missing: Bodies that a replay needs and the file lacks, one text for each.
        skipped: Counts of omitted entries, by reason.
        other: Requests to the app outside calls, by the first part of their path.
    """

    app: HarApp
    calls: int = 0
    missing: list[str] = attrs.field(factory=list[str])
    skipped: Counter[str] = attrs.field(factory=Counter[str])
    other: Counter[str] = attrs.field(factory=Counter[str])


def har_apps(har: Har) -> list[HarApp]:
    """Return the Gradio apps in a HAR file, with the most called first."""
    bases = dict.fromkeys([*_config_bases(har), *_route_bases(har)])
    apps = {base: HarApp(base) for base in bases}
    with_config = set(_config_bases(har))
    ordered = sorted(apps, key=len, reverse=True)
    for entry in har.entries:
        base = next((one for one in ordered if path_below(_http(entry.url), (one,)) is not None), None)
        if base is None:
            continue
        app = apps[base]
        app.requests += 1
        app.calls += _route(entry, base) in _CALLS
        app.has_config = base in with_config
    return sorted(apps.values(), key=lambda app: (-app.calls, -app.has_config))


def choose_app(har: Har, url: str | None = None) -> HarApp:
    """Return the app to import: the named one, or the only one with calls.

    Raises:
        HarError: There is no app, or more than one; the message lists them.
    """
    apps = har_apps(har)
    listed = "; ".join(map(str, apps[:10]))
    if url is not None:
        try:
            wanted = base_url(url)
        except LocalProtocolError as error:
            raise HarError(error.message) from None
        requests = sum(path_below(_http(entry.url), (wanted,)) is not None for entry in har.entries)
        if not requests:
            raise HarError(f"{har.name} has no traffic of {shown_url(url)}. It has: {listed or 'no app'}.")
        return next((app for app in apps if app.url == wanted), HarApp(wanted, requests))
    if not apps:
        raise HarError(
            f"{har.name} has no traffic of a Gradio app: {_count(len(har.entries), 'request')}, and none "
            "is to a queue or for a config of Gradio."
        )
    called = [app for app in apps if app.calls] or apps
    if len(called) > 1:
        raise HarError(f"{har.name} has several Gradio apps. Choose one with --app: {listed}.")
    return called[0]


def import_har(
    har: Har, tap: Tap, app: HarApp, *, registry: Registry = default_registry, keep_other: bool = False
) -> ImportReport:
    """Show the frames of an app's traffic to a tap, such as a `TraceWriter`.

    Args:
        har: The file.
        tap: Called with each frame.
        app: Which app; see `choose_app`.
        registry: The adapters to name.
        keep_other: Make frames of scripts, themes and other requests too.
    """
    inference = Inference(app.url, tap, registry=registry, keep_other=keep_other)
    report = ImportReport(app)
    told = _Telling(inference, app, report)
    own = [entry for entry in har.entries if path_below(_http(entry.url), (app.url,)) is not None]
    events = [event for entry in own for event in told.events(entry)]
    start = events[0][0] if events else 0.0
    start = min((event[0] for event in events), default=start)
    for time, number, _, function, arguments in sorted(events, key=itemgetter(0, 1, 2)):
        function(number, time - start, *arguments)
    inference.close()
    report.calls, report.skipped, report.other = inference.calls, inference.skipped, inference.other
    return report


class _Telling:
    """Makes events of entries, and notes what the entries lack."""

    def __init__(self, inference: Inference, app: HarApp, report: ImportReport) -> None:
        self._inference = inference
        self._app = app
        self._report = report

    def events(self, entry: HarEntry) -> Iterator[_Event]:
        """Yield what happened in an entry, in order."""
        steps = self._socket_steps(entry) if entry.is_socket else self._steps(entry)
        for place, (time, function, arguments) in enumerate(steps):
            yield time, entry.number, place, function, arguments

    def _steps(self, entry: HarEntry) -> Iterator[tuple[float, Callable[..., None], tuple[Any, ...]]]:
        told = self._inference
        route = _route(entry, self._app.url)
        has_reply = entry.status > 0
        if entry.method.upper() == "POST" and entry.request_body is None and route in _CALLS:
            self._lacks(entry, "what was sent")
        sent = entry.method, entry.url, entry.request_headers, entry.request_body, entry.files or None
        yield entry.start, told.request, sent
        end = entry.start + entry.duration
        if not has_reply:
            yield end, told.failed, _failure(entry.error)
            return
        begin = entry.start + entry.wait
        yield begin, told.response, (entry.status, entry.response_headers)
        pieces = list(self._pieces(entry, begin, end))
        is_empty = not pieces and entry.body is None and not entry.events
        if is_empty and route in _NEEDED and entry.status == 200:
            self._lacks(entry, "the reply")
        yield from ((time, told.data, (data,)) for time, data in pieces)
        ending = _ending(entry.error)
        last = max(end, pieces[-1][0] if pieces else end)
        if not entry.is_pending:
            yield last, told.end, (ending, "" if ending is not Ending.RESET else entry.error)

    def _pieces(self, entry: HarEntry, begin: float, end: float) -> Iterator[tuple[float, bytes]]:
        """Yield the bytes of a reply with their times, if the file has them."""
        events = [one for one in entry.events or () if one.data is not None]
        if events and all((one.time or 0.0) <= begin for one in events):
            # Chrome writes the start of the request as the time of each message of a `fetch`, so that says
            # nothing.
            events = [attrs.evolve(one, time=None) for one in events]
        is_needed = _route(entry, self._app.url) in _NEEDED
        if is_needed and entry.events and len(events) < len(entry.events):
            self._lacks(entry, "messages of the stream (exported without sensitive data)")
        if entry.body:
            yield from _timed(entry.body, events, begin, end)
        else:
            time = begin
            for event in events:
                time = max(time, event.time or end)
                yield time, _as_bytes(event)

    def _socket_steps(self, entry: HarEntry) -> Iterator[tuple[float, Callable[..., None], tuple[Any, ...]]]:
        told = self._inference
        yield entry.start, told.websocket_opened, (entry.url, entry.request_headers)
        end = entry.start + entry.duration
        begin = min(entry.start + entry.wait, end)
        messages = entry.messages or ()
        if entry.status not in (0, 101):
            yield begin, told.response, (entry.status, entry.response_headers)
            yield end, told.end, (Ending.CLEAN, "")
            return
        if not messages and entry.status == 0:
            yield end, told.failed, _failure(entry.error)
            return
        if entry.messages is None:
            self._lacks(entry, "the messages of the websocket")
        times = [one.time for one in messages if one.time is not None]
        time = min([begin, *times])
        yield time, told.websocket_accepted, ()
        for message in messages:
            time = max(time, message.time or time)
            if message.is_text and message.data is not None:
                direction = Direction.OUT if message.out else Direction.IN
                yield time, told.websocket_text, (direction, message.data)
        if not entry.is_pending:
            yield max(time, end), told.websocket_closed, _closing(entry)

    def _lacks(self, entry: HarEntry, what: str) -> None:
        if len(self._report.missing) < _MOST_MISSING:
            self._report.missing.append(f"{entry.title} lacks {what}")
        else:
            self._report.skipped["further bodies that the file lacks"] += 1


def _timed(
    body: bytes, events: Sequence[HarMessage], begin: float, end: float
) -> Iterator[tuple[float, bytes]]:
    """Yield a body in pieces, each with the time of the message that it completes."""
    if not events or any(event.time is None for event in events):
        yield end, body
        return
    start = 0
    decoder = SSEDecoder()
    time, count = begin, 0
    for line in re.finditer(rb"(?:\r\n|\n|\r){2}", body):
        piece = body[start : line.end()]
        start = line.end()
        try:
            completed = len(decoder.feed(piece))
        except EventTooLarge:
            break
        if completed and count < len(events):
            time = max(time, events[min(count + completed, len(events)) - 1].time or time)
        count += completed
        yield time, piece
    if start < len(body):
        yield max(time, end), body[start:]


def _as_bytes(event: HarMessage) -> bytes:
    name = "" if event.event == "message" else f"event: {_one_line(event.event)}\n"
    data = "".join(f"data: {line}\n" for line in re.split(r"\r\n|\n|\r", event.data or ""))
    return f"{name}{data}\n".encode("utf-8", "surrogatepass")


def _one_line(text: str) -> str:
    return re.sub(r"[\r\n]", " ", text)


def _closing(entry: HarEntry) -> tuple[int | None, str, Direction]:
    """Return how a websocket ended: code, reason and who closed it."""
    closing = entry.closing or {}
    reason = str(closing.get("reason") or "")[:1000]
    if closing.get("ending") == Ending.LOCAL.value:
        return None, reason, Direction.OUT
    code = closing.get("code")
    if closing:
        is_clean = closing.get("ending") == Ending.CLEAN.value
        return (code if isinstance(code, int) else 1005 if is_clean else None), reason, Direction.IN
    said = [one.data for one in entry.messages or () if not one.out and one.data is not None]
    if said and '"process_completed"' in said[-1][:200]:
        return 1000, "", Direction.IN
    return None, "the HAR file does not show how it ended", Direction.IN


def _ending(error: str) -> Ending:
    if not error:
        return Ending.CLEAN
    for ending, name in ENDINGS.items():
        if name in error:
            return ending
    lower = error.lower()
    if "abort" in lower or "cancel" in lower:  # NS_BINDING_ABORTED, net::ERR_ABORTED, (canceled)
        return Ending.LOCAL
    return Ending.RESET


def _failure(error: str) -> tuple[str, str]:
    """Return the error of this library, and its text, for what a browser says where no reply came."""
    known = _KNOWN_ERROR.fullmatch(error)
    if known is not None:
        return known["name"], known["message"]
    upper = error.upper()
    if any(word in upper for word in ("REFUSED", "NAME_NOT_RESOLVED", "UNREACHABLE", "CERT", "SSL")):
        return "ConnectError", f"The browser says: {error}"
    if "TIMED_OUT" in upper or "TIMEOUT" in upper:
        return "TimeoutExpired", f"The browser says: {error}"
    return "StreamLost", f"No reply is in the HAR file{f': {error}' if error else ''}."


# --- which apps there are ------------------------------------------------------------------------------


def _http(url: str) -> str:
    return re.sub(r"\Aws(?=s?://)", "http", url)


def _route(entry: HarEntry, base: str) -> Route:
    found = path_below(_http(entry.url), (base,))
    if found is None:
        return Route.OTHER
    route = find_target(entry.method.upper(), *found).route
    return Route.SOCKET if entry.is_socket and route is Route.JOIN_STREAM else route


def _config_bases(har: Har) -> Iterator[str]:
    """Yield the bases of the apps whose config is in the file."""
    for entry in har.entries:
        body = entry.body
        if entry.status != 200 or entry.method.upper() != "GET" or not body or len(body) > _LONGEST_CONFIG:
            continue
        config = _config(body)
        if config is not None:
            yield _base_of(entry.url, config)


def _config(body: bytes) -> Mapping[str, Any] | None:
    if body.lstrip()[:1] == b"{" and (b'"dependencies"' in body or b'"input_components"' in body):
        try:
            raw = json.loads(body)
        except (ValueError, RecursionError):
            return None
        return cast("Mapping[str, Any]", raw) if is_config(raw) else None
    if b"gradio_config" in body or b"window.config" in body:
        raw = config_from_page(body.decode("utf-8", "replace"))
        return raw if is_config(raw) else None
    return None


def _base_of(url: str, config: Mapping[str, Any]) -> str:
    """Return the base of an app whose config a URL has given: its root, if that is of the same host."""
    parts = urlsplit(url)
    page = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
    root = config.get("root")
    if isinstance(root, str) and root.startswith(("http://", "https://")):
        try:
            if origin(root) == origin(url) and f"{page}/".startswith(f"{root.rstrip('/')}/"):
                return root.rstrip("/")
        except LocalProtocolError:
            pass
    return page.removesuffix("/config")


def _route_bases(har: Har) -> Iterator[str]:
    """Yield the bases of the apps that are called in the file."""
    for entry in har.entries:
        parts = urlsplit(_http(entry.url))
        found = _API.fullmatch(parts.path)
        if found is not None:
            yield f"{parts.scheme}://{parts.netloc}{found['base']}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


__all__ = ["HarApp", "ImportReport", "choose_app", "har_apps", "import_har"]
