# SPDX-License-Identifier: Apache-2.0
"""Traces of calls that go wrong, frame by frame, at times that a test chooses."""

from __future__ import annotations

import json

from tracing import BASE, CONFIG, EVENT, message, output, sse

from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import Trace

ESTIMATION = message("estimation", rank=0, queue_size=1, rank_eta=None)
STARTS = message("process_starts", eta=None)
CLOSE = {"msg": "close_stream", "event_id": None}
HEARTBEAT = {"msg": "heartbeat", "event_id": None}
HTML = {"content-type": "text/html", "server": "nginx/1.24.0"}


def generating(text, duration=0.5):
    return message("process_generating", output=output(text) | {"duration": duration}, success=True)


def completed(text, duration=0.5):
    return message("process_completed", output=output(text) | {"duration": duration}, success=True)


class Story:
    """The frames of one call of /count on an app of some version."""

    def __init__(self, version="6.31.0", adapter="sse_v3", base=BASE, **config) -> None:
        self.frames: list[Frame] = []
        self.base, self.adapter, self.version = base, adapter, version
        self.config = (
            CONFIG | {"version": version, "root": base, "protocol": adapter, "username": None} | config
        )
        self.prefix = "/gradio_api" if version >= "5" else ""
        self.config["api_prefix"] = self.prefix

    def add(self, t, kind, channel="", direction=Direction.IN, session=1, **payload):
        self.frames.append(Frame(t, direction, kind, channel, payload, session))
        return self

    def asks(self, t, method, path, channel, session=1, **more):
        url = f"{self.base}{path}"
        headers = {"content-type": "application/json"} if "body" in more else {}
        payload = {"method": method, "url": url, "headers": headers, "phase": "", "body": None} | more
        return self.add(t, Kind.REQUEST, channel, Direction.OUT, session, **payload)

    def replies(self, t, channel, body, status=200, session=1, headers=None, path=""):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = headers or {"content-type": "application/json", "server": "uvicorn"}
        url = self.base + path
        return self.add(
            t, Kind.RESPONSE, channel, session=session, status=status, headers=headers, url=url, body=data
        )

    def fails(self, t, channel, error, text, session=1):
        return self.add(t, Kind.ERROR, channel, session=session, error=error, message=text)

    def discovers(self):
        info = f"{self.prefix}/info"
        self.asks(0.0, "GET", "/config", "discover", 0, phase="discover")
        self.replies(0.1, "discover", self.config, session=0, path="/config")
        self.asks(0.1, "GET", info, "discover", 0, phase="discover")
        return self.replies(0.2, "discover", {"named_endpoints": {}}, session=0, path=info)

    def calls(self, t=1.0, **more):
        self.discovers()
        source = {"adapter": self.adapter, "session_hash": "session-1", "source": self.base}
        self.add(t, Kind.SESSION, "", Direction.LOCAL, **source)
        call = {"endpoint": "/count", "fn_index": 0, "data": ["x"], **more}
        return self.add(t, Kind.CALL, "1", Direction.LOCAL, **call)

    def joins(self, t=1.0):
        body = b'{"data":["x"],"fn_index":0,"session_hash":"session-1"}'
        return self.asks(t, "POST", f"{self.prefix}/queue/join", "1.join", phase="join", body=body)

    def joined(self, t=1.1):
        return self.joins(t - 0.1).replies(t, "1.join", {"event_id": EVENT})

    def opens(self, t=1.1, head=0.1):
        path = f"{self.prefix}/queue/data?session_hash=session-1"
        self.asks(t, "GET", path, "stream", phase="stream", stream=True)
        if head is None:
            return self
        headers = {"content-type": "text/event-stream"}
        return self.add(
            t + head, Kind.RESPONSE_HEAD, "stream", status=200, headers=headers, url=self.base + path
        )

    def streams(self, t=1.1):
        """Join the call and open its stream."""
        return self.calls().joined(t).opens(t)

    def says(self, t, *messages, channel="stream"):
        return self.add(t, Kind.CHUNK, channel, data=sse(*messages))

    def ends(self, t, ending="reset", code=None, channel="stream", reason=""):
        return self.add(t, Kind.END, channel, ending=ending, code=code, reason=reason)

    def gives_up(self, t, error, text):
        return self.add(t, Kind.ERROR, "1", Direction.LOCAL, error=error, message=text)

    def socket(self, t=1.0):
        """Open a websocket for the call, as for servers of 3.x."""
        self.add(t, Kind.WS_OPEN, "1.socket", Direction.OUT, url="ws://127.0.0.1:7860/queue/join", headers={})
        return self.add(t + 0.1, Kind.WS_ACCEPT, "1.socket")

    def hears(self, t, *messages):
        for one in messages:
            self.add(
                t,
                Kind.WS_TEXT,
                "1.socket",
                text=json.dumps({k: v for k, v in one.items() if k != "event_id"}),
            )
        return self

    def trace(self, truncated=False):
        meta = {"gradio": self.version, "adapter": [self.adapter]}
        return Trace(meta, tuple(self.frames), truncated)
