# SPDX-License-Identifier: Apache-2.0
"""Finding an app whose server, or a proxy before it, answers some of the questions alone: on every face."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from faces import FACES, with_app
from scripted import Reply, scripted

import gradio_transport as gt
from gradio_transport.errors import ValidationFailed

EVERY_FACE = pytest.mark.parametrize("face", FACES)


def refuse(reply: Reply) -> None:
    reply.text("Internal Server Error", 500, "text/plain")


def break_off(reply: Reply) -> None:
    reply.stream("application/json")
    reply.chunk(b'{"named_endpoints": ')
    reply.cut()


@EVERY_FACE
@pytest.mark.parametrize("script", [refuse, break_off])
def test_without_an_info_calls_go_on_and_log_and_errors_say_why(
    face: str, script: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def use(app: Any, wait: Any) -> str:
        assert await wait(app.call("/hello", "x")) == ["Hello, x!"]
        with pytest.raises(ValidationFailed) as caught:
            await wait(app.call("/hello", text="x"))
        return str(caught.value)

    with scripted() as server, caplog.at_level(logging.WARNING, "gradio_transport"):
        server.scripts["/gradio_api/info"] = script
        says = with_app(face, server.url, use, retry=gt.RetryPolicy.none())
    assert "/gradio_api/info" in says
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "/gradio_api/info" in caplog.text
