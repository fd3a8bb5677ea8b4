# SPDX-License-Identifier: Apache-2.0
"""A chat with a real OpenAI-compatible server (llama.cpp) and a small model, by both faces.

pytest -m live tests/live/test_chat.py      skipped where its environment is not made: conformance/servers/README.md
"""

from __future__ import annotations

import itertools
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

import gradio_transport as gt
from conformance.servers import environments
from conformance.servers.chat import CONTEXT_TOKENS, KEY, MODEL

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

SCRIPT = Path(environments.__file__).with_name("chat.py")
BOOT_SECONDS = 120.0


@pytest.fixture(scope="module")
def chat() -> Iterator[dict[str, Any]]:
    """Return the arguments of `connect` for a booted server."""
    python = environments.root() / "chat" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no environment at {python.parents[1]}: see conformance/servers/README.md")
    command = [str(python), str(SCRIPT)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        overdue = threading.Timer(BOOT_SECONDS, server.kill)
        overdue.start()
        address = server.stdout.readline().strip()
        overdue.cancel()
        assert address, "the server did not come up"
        yield {"source": f"{address}/v1", "protocol": "openai_chat", "token": KEY}
        server.stdin.close()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def test_an_answer_grows_and_its_usage_is_known(chat: dict[str, Any]) -> None:
    with gt.connect(**chat) as app:
        assert app.config.title == MODEL, "the only model is found"
        events = list(app.submit("/chat", "What is the capital of France?"))
    kinds = [type(event).__name__ for event in events]
    assert kinds[:3] == ["Joined", "ProcessStarts", "ProcessGenerating"]
    assert kinds[-1] == "ProcessCompleted"
    texts = [event.data[0] for event in events if isinstance(event, gt.ProcessGenerating)]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts))
    (*_, last) = events
    assert isinstance(last, gt.ProcessCompleted)
    assert last.data == [texts[-1]]
    assert last.raw is not None
    assert last.raw["usage"]["completion_tokens"] >= len(texts)


def test_in_one_piece_with_history_and_a_file(chat: dict[str, Any]) -> None:
    with gt.connect(**chat, streaming=False, system_message="Answer with one word.") as app:
        call = app.submit(
            "/chat",
            {"text": "What colour is the sky?", "files": [{"path": "a.txt", "data": b"The sky is green."}]},
            [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}],
        )
        (text,) = call.result(timeout=120)
        assert text
        assert call.last_event is not None
        assert call.last_event.raw is not None
        assert call.last_event.raw["usage"]["prompt_tokens"] > 30


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_by_tasks_and_cancelled(chat: dict[str, Any], backend: str) -> None:
    async def run() -> None:
        async with gt.connect_async(**chat) as app:
            assert (await app.call("/chat", "Say hello."))[0]
            call = app.submit("/chat", "Tell a very long story.")
            async for event in call:
                if isinstance(event, gt.ProcessGenerating):
                    break
            assert await call.cancel() is gt.events.Achieved.UNKNOWN
            assert (await app.call("/chat", "Say hello."))[0], "the server is free for the next"

    anyio.run(run, backend=backend)


def test_what_it_refuses(chat: dict[str, Any]) -> None:
    with pytest.raises(gt.AuthenticationRequired):
        gt.connect(**{**chat, "token": "wrong"})
    with pytest.raises(gt.EndpointNotFound, match=f"Did you mean '{MODEL}'"):
        gt.connect(**chat, model="smolm")
    with gt.connect(**chat, file_types="image") as app:
        with pytest.raises(gt.errors.InvalidPayload, match="longer than the context"):
            app.call("/chat", "word " * (CONTEXT_TOKENS * 2))
        image = {"path": "a.png", "data": b"no model here can see"}
        with pytest.raises(gt.GradioTransportError, match="image"):
            app.call("/chat", {"text": "What is it?", "files": [image]})
