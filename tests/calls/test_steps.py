# SPDX-License-Identifier: Apache-2.0
"""What a face does for the steps that are one call of an engine, or of what it has opened."""

from __future__ import annotations

from typing import Any

import pytest

from gradio_transport.calls import steps
from gradio_transport.engines.base import Patience
from gradio_transport.errors import Phase
from gradio_transport.protocol.commands import Request

PATIENCE = Patience(1, 2, "join", Phase.JOIN, 1000)
REQUEST = Request.get("http://app/")


class Told:
    """An engine, a stream or a socket that returns how it was called."""

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: (name, *arguments)


TOLD = Told()


@pytest.mark.parametrize(
    ("step", "called"),
    [
        (steps.Open(REQUEST, PATIENCE), ("stream", REQUEST, PATIENCE)),
        (
            steps.OpenSocket("ws://app", {"a": "b"}, PATIENCE, 9),
            ("websocket", "ws://app", {"a": "b"}, PATIENCE, 9),
        ),
        (steps.ReadWhole(TOLD, 3), ("read", 3)),
        (steps.Receive(TOLD, 4), ("receive", 4)),
        (steps.SendOn(TOLD, "text"), ("send", "text")),
    ],
)
def test_an_operation_is_one_call(step: steps.Operation, called: tuple[Any, ...]) -> None:
    assert step.perform(TOLD) == called


def test_an_operation_of_no_kind_does_nothing() -> None:
    with pytest.raises(NotImplementedError):
        steps.Operation().perform(TOLD)
