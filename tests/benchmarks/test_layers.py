# SPDX-License-Identifier: Apache-2.0
"""The layer of a function in the tables of function calls."""

from __future__ import annotations

import asyncio
import selectors
from types import ModuleType

import aiohttp.client
import anyio._backends._asyncio
import h11._connection
import pytest

import gradio_transport.adapter.exchange
import gradio_transport.aio.call
import gradio_transport.calls.app
import gradio_transport.engines.aiohttp_async
import gradio_transport.events
import gradio_transport_sse
from benchmarks.layers import layer_of
from gradio_transport.protocol.commands import Request


@pytest.mark.parametrize(
    ("module", "layer"),
    [
        (gradio_transport.aio.call, "interface"),
        (gradio_transport.calls.app, "call"),
        (gradio_transport.adapter.exchange, "protocol"),
        (gradio_transport.events, "protocol"),
        (gradio_transport_sse, "protocol"),
        (gradio_transport.engines.aiohttp_async, "engine"),
        (aiohttp.client, "HTTP"),
        (h11._connection, "HTTP"),
        (anyio._backends._asyncio, "loop"),
        (asyncio, "loop"),
        (selectors, "loop"),
        (pytest, "rest"),
    ],
)
def test_a_function_belongs_to_the_layer_of_its_file(module: ModuleType, layer: str) -> None:
    assert layer_of(module.__file__) == layer


def test_a_method_that_attrs_generates_belongs_to_the_layer_of_its_class() -> None:
    assert layer_of(Request.__init__.__code__.co_filename) == "protocol"
