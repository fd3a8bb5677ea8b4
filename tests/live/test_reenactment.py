# SPDX-License-Identifier: Apache-2.0
"""The re-enacting server answers simple requests as the real one does: status, headers that count, body."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from probes import Answer, Probe, ask, comparable, probes

from conformance.servers import Server
from gradio_transport_conformance.reenact import serve

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

HEADERS = ("allow", "location", "content-type")
PAGES = ("/", "/theme.css", "/favicon.ico", "/manifest.json")
"""What a server makes up for browsers: their text is not compared."""

BODIES_OF_THE_RECORDING = ("/config", "/info")
"""The apps of the recording and of today are the same, but for ids and what the machine has."""


def compared(probe: Probe, answer: Answer, url: str) -> Mapping[str, object]:
    headers = {
        name: value.replace(url, "http://server")
        for name, value in answer.headers.items()
        if name in HEADERS or name.startswith("access-control")
    }
    found: dict[str, object] = {"status": answer.status, "headers": headers}
    path = probe.path.removeprefix("/gradio_api").rstrip("/") or "/"
    if probe.method == "POST" and "/heartbeat/" in probe.path:
        return found  # read up to the length of a heartbeat
    if answer.status != 200 or path not in (*PAGES, *BODIES_OF_THE_RECORDING):
        text = comparable(answer.body, url)
        # Whose files the frames are is no matter.
        text = re.sub(r"(?s)^Traceback \(most recent call last\):.*", "Traceback", text)
        found |= {"body": text, "whole": answer.whole}
    return found


def test_simple_requests_get_the_same_answers(server: Server) -> None:
    place = server.scenario("hello")
    differences: list[str] = []
    with serve(server.version, ["hello", "direct_hello"]) as served:
        url = served.url_of("hello")
        for probe in probes(server.version, place.fn_index):
            if server.version == "4.9.0" and "999" in (probe.body or ""):
                continue  # it takes such a call, and its queue never goes on
            real = compared(probe, ask(place.url, probe), place.url)
            ours = compared(probe, ask(url, probe), url)
            if real != ours:
                differences.append(f"{probe}: {ours} instead of {real}")
    assert differences == []
    assert served.off_tape == []
