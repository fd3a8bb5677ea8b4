# SPDX-License-Identifier: Apache-2.0
"""Simple requests that every client might send, and what a server answered: to compare two servers."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import attrs

from gradio_transport_conformance.cases import numbers

UNKNOWN = "feedfacefeedfacefeedfacefeedface"
"""An id that no server gave."""

_JSON = {"content-type": "application/json"}
_SECONDS = 3.0


@attrs.frozen
class Probe:
    """A request.

    Attributes:
        size: How many bytes of the body are read; a stream that stays open is left after them.
    """

    method: str
    path: str
    body: str | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    size: int = 100_000

    def __str__(self) -> str:
        origin = f" from {self.headers['origin']}" if "origin" in self.headers else ""
        return f"{self.method} {self.path} {self.body or ''}{origin}".strip()


@attrs.frozen
class Answer:
    """What a server answered.

    Attributes:
        status: None where the connection broke before.
        whole: Whether the body ended as it should.
    """

    status: int | None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    body: str = ""
    whole: bool = True


def post(path: str, value: Any, **fields: Any) -> Probe:
    """Return a POST of a JSON value."""
    return Probe("POST", path, json.dumps(value), _JSON, **fields)


def probes(version: str, fn_index: int) -> Iterator[Probe]:
    """Yield the requests for a server of a version.

    Args:
        fn_index: Number of the endpoint ``hello``.
    """
    api = "/gradio_api" if numbers(version) >= (5, 0, 0) else ""
    join = f"{api}/queue/join"
    hello = {"data": ["Ada"], "fn_index": fn_index, "session_hash": "probe"}
    for method in ("HEAD", "GET"):
        for path in ("/", "/nope", "/nope/nope", "/config", f"{api}/info"):
            yield Probe(method, path)
    for path in ("/", "/nope", "/nope/nope", "/config", f"{api}/info"):
        yield Probe("POST", path)
        yield Probe("OPTIONS", path)
    for path in (
        "/config/", "/info", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json", "/login",
        "/login_check", "/logout", f"{api}/startup-events", f"{api}/app_id", f"{api}/queue/status",
        f"{api}/user", f"{api}/token", f"{api}/login_check", f"{api}/", f"{api}/nope", f"{api}/config",
    ):  # fmt: skip
        yield Probe("GET", path)
    for path in ("/queue/join", "/queue/data", "/run/hello", "/call/hello", "/info", "/upload"):
        yield post(f"/nope{path}", hello)
    for origin in ("http://127.0.0.1:1", "http://localhost:7860", "https://example.com", "null"):
        yield Probe("GET", "/config", headers={"origin": origin})
        yield Probe("OPTIONS", join, headers={"origin": origin, "access-control-request-method": "POST"})
    yield Probe("GET", f"{api}/heartbeat/{UNKNOWN}", size=13)
    yield Probe("HEAD", f"{api}/heartbeat/{UNKNOWN}")
    yield Probe("POST", f"{api}/heartbeat/{UNKNOWN}")
    for query in ("", f"?session_hash={UNKNOWN}"):
        yield Probe("GET", f"{api}/queue/data{query}")
    yield Probe("GET", join)
    for path in (join, f"{api}/queue/data", f"{api}/run/hello", f"{api}/call/hello", f"{api}/api/predict",
                 f"{api}/cancel", f"{api}/reset", f"{api}/call/v2/hello", f"{api}/api/queue/push/",
                 f"{api}/api/queue/status/", f"{api}/component_server"):  # fmt: skip
        for body in ("{", "", "[]", "{}", '"x"'):
            yield Probe("POST", path, body, _JSON)
        yield Probe("POST", path, "x=1", {"content-type": "application/x-www-form-urlencoded"})
        yield Probe("PUT", path, "{}", _JSON)
    for change in (
        {"session_hash": None}, {"fn_index": None}, {"data": None}, {"data": "x"}, {"fn_index": "x"},
        {"session_hash": 7},
    ):  # fmt: skip
        yield post(join, hello | change)
    for name in hello:
        yield post(join, {key: value for key, value in hello.items() if key != name})
    yield post(f"{api}/queue/data", hello | {"event_id": UNKNOWN})
    yield post(f"{api}/reset", {"event_id": UNKNOWN})
    yield post(f"{api}/reset", {"session_hash": UNKNOWN, "fn_index": 0})
    yield post(f"{api}/cancel", {"session_hash": UNKNOWN, "fn_index": 0, "event_id": UNKNOWN})
    for path in ("run/nope", "api/nope", "call/nope"):
        yield post(f"{api}/{path}", {"data": ["Ada"]})
    yield post(f"{api}/run/hello", {"data": "x"})
    yield post(f"{api}/run/hello/", {"data": ["Ada"]})
    yield Probe("GET", f"{api}/run/hello")
    yield Probe("GET", f"{api}/call/hello/{UNKNOWN}")
    yield Probe("GET", f"{api}/call/nope/{UNKNOWN}")
    yield Probe("GET", f"{api}/call/hello")
    yield post(f"{api}/call/v2/nope", {"x": 1})
    yield post(f"{api}/call/v2/hello", {"nope": 1})
    yield post(f"{api}/stream/{UNKNOWN}", hello)
    yield Probe("POST", f"{api}/stream/{UNKNOWN}", "{", _JSON)
    yield post(f"{api}/stream/{UNKNOWN}/close", {})
    yield Probe("POST", f"{api}/upload", "", {})
    yield post(f"{api}/upload", {})
    for name in ("files", "other"):
        form = f'--b\r\ncontent-disposition: form-data; name="{name}"; filename="x y(1).txt"\r\n\r\nx\r\n--b--\r\n'
        yield Probe("POST", f"{api}/upload", form, {"content-type": "multipart/form-data; boundary=b"})
    yield Probe("GET", f"{api}/upload")
    for path in ("/nope", "nope", "/etc/hostname", "../nope", "https://example.com/x"):
        yield Probe("GET", f"{api}/file={path}")
    yield Probe("GET", f"{api}/file/nope")
    yield post(
        f"{api}/component_server", {"session_hash": "x", "component_id": 99999, "fn_name": "x", "data": 1}
    )
    yield post(f"{api}/api/queue/status/", {"hash": UNKNOWN})
    yield Probe(
        "POST", "/login", "username=a&password=b", {"content-type": "application/x-www-form-urlencoded"}
    )
    yield Probe("POST", "/login", "{}", _JSON)
    # What works, on each path.
    yield post(f"{api}/run/hello", {"data": ["Ada"]})
    yield post(f"{api}/api/hello", {"data": ["Ada"]})
    yield post(f"{api}/api/predict", {"data": ["Ada"], "fn_index": fn_index})
    yield post(f"{api}/api/predict/", {"data": ["Ada"], "fn_index": fn_index, "session_hash": "probe"})
    # Last, because some servers do not recover from it.
    yield post(f"{api}/api/predict", {"data": ["x"], "fn_index": 999})
    yield post(f"{api}/run/hello", {"data": ["x"], "fn_index": 999})
    yield post(join, hello | {"fn_index": 999})


def ask(url: str, probe: Probe) -> Answer:
    """Send a request, and return the answer."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=_SECONDS)) as connection:
        try:
            body = None if probe.body is None else probe.body.encode()
            connection.request(probe.method, parts.path + probe.path, body, dict(probe.headers))
            response = connection.getresponse()
        except (OSError, http.client.HTTPException):
            return Answer(None)
        received, whole = b"", True
        try:
            while len(received) < probe.size:
                part = response.read1(min(65536, probe.size - len(received)))
                if not part:
                    # read1() does not notice a body that is cut off.
                    whole = response.isclosed() or not response.length
                    break
                received += part
        except TimeoutError:
            whole = False
        except (OSError, http.client.HTTPException):
            whole = False
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, received.decode("utf-8", "replace"), whole)


def comparable(text: str, url: str) -> str:
    """Return a body without what differs between any two servers."""
    text = text.replace(url, "http://server")
    text = re.sub(r"[0-9a-f]{32,64}", "<id>", text)
    text = re.sub(r"/tmp/[^\"/]+(/[^\"/]+)*/", "<folder>/", text)
    text = re.sub(r'"app_id":\d+', '"app_id":0', text)
    # How long calls took, and what a server expects of the next ones by that; None before the first.
    text = re.sub(
        r'("(?:avg_event_(?:concurrent_)?process_time|rank_eta|queue_eta)":\s*)(?:null|[-\d.e]+)',
        r"\g<1>0",
        text,
    )
    return re.sub(r'("(?:average_duration|avg_duration|duration)s?":\s*)(\[?)[-\d.e]+', r"\g<1>\g<2>0", text)


def free_port() -> int:
    """Return a port of the loopback that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
