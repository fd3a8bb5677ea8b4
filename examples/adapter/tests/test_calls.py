# SPDX-License-Identifier: Apache-2.0
"""Calls to a real server, over both interfaces."""

import anyio
import pytest
from gradio_transport_shout.server import serving

import gradio_transport as gt


def test_the_adapter_is_chosen_and_calls():
    with serving(pause=0) as server, gt.connect(server.url) as app:
        assert app.protocol == "shout"
        assert app.call("/shout", "hello you") == ["HELLO YOU!"]
        yields = [
            event.data for event in app.submit("/shout", "a b") if isinstance(event, gt.ProcessGenerating)
        ]
        assert yields == [["A"], ["A B"]]


def test_an_error_of_the_function_is_raised():
    with (
        serving() as server,
        gt.connect(server.url) as app,
        pytest.raises(gt.AppError, match="I do not like"),
    ):
        app.call("/grumble", "mondays")


def test_a_cancelled_call_is_stopped_on_the_server():
    with serving(pause=30) as server, gt.connect(server.url) as app:
        call = app.submit("/shout", "never ending")
        assert next(event for event in call if isinstance(event, gt.ProcessGenerating)).data == ["NEVER"]
        call.cancel()
        assert server.calls["1"].wait(10)


def test_tasks_can_call_too():
    async def call(url):
        async with gt.connect_async(url) as app:
            return await app.call("/shout", "hello")

    with serving(pause=0) as server:
        assert anyio.run(call, server.url) == ["HELLO!"]
