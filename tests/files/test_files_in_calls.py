# SPDX-License-Identifier: Apache-2.0
"""Files among the arguments of a call: every protocol, every face, wherever in the arguments they are."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from faces import FACES, with_app

import gradio_transport as gt
from gradio_transport.trace import Direction, Frame
from gradio_transport_conformance.faults.cases import Cell, Expectation, Fault
from gradio_transport_conformance.faults.protocols import PROTOCOLS, VALUE, Protocol
from gradio_transport_conformance.faults.server import serve_fault
from gradio_transport_http import polling

PLACES = ("/tmp/gradio/2/first.txt", "/tmp/gradio/2/second.txt")
CALLED = {name: one for name, one in PROTOCOLS.items() if one.kind != "chat" and not one.alone}
"""Chats have files of other forms: tests/adapters/test_chat.py."""

CONTENT = b"0123456789 is what the file holds"
FIRST, SECOND = (gt.handle_file(CONTENT, name=name) for name in ("first.txt", "second.txt"))

ARGUMENTS: dict[str, tuple[Any, int]] = {
    "no file": (None, 0),
    "a file": (FIRST, 1),
    "a list of files": ([FIRST, SECOND], 2),
    "a file deep in a dict": ({"here": [{"there": FIRST}], "text": "x"}, 1),
}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(polling, "FIRST_POLL_SECONDS", 0.02)


def served(protocol: Protocol, count: int) -> Cell:
    """Return a cell without a fault, whose uploads are of so many files."""
    reply = {"json": list(PLACES[:count])}
    fault = Fault(name="none", at=("upload",), expect=Expectation(value=True), reply=reply)
    return Cell(fault=fault, protocol=protocol, phase="upload")


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("argument", ARGUMENTS)
@pytest.mark.parametrize("protocol", CALLED.values(), ids=lambda one: one.name)
def test_files_are_placed_before_the_call_is_sent(protocol: Protocol, argument: str, face: str) -> None:
    value, count = ARGUMENTS[argument]
    frames: list[Frame] = []

    async def use(app: Any, wait: Any) -> Any:
        return await wait(app.call(0, value)), await wait(app.submit(0, value).result())

    with serve_fault(served(protocol, count)) as server:
        outputs = with_app(
            face,
            server.url,
            use,
            protocol=protocol.adapter,
            tap=frames.append,
            timeouts=gt.Timeouts(total=10),
        )
    assert outputs == (VALUE, VALUE)
    sent = "".join(str(frame.payload) for frame in frames if frame.direction is Direction.OUT)
    assert sent.count(base64.b64encode(CONTENT).decode()) + sent.count('"/tmp/gradio/') == 2 * count
