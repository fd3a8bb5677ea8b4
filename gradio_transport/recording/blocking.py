# SPDX-License-Identifier: Apache-2.0
"""`record`: a recording proxy in a thread, for programs without an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Generator
from concurrent.futures import Future
from pathlib import Path

import attrs

from .server import RecordingOptions, RecordingServer


@attrs.frozen
class Recording:
    """A recording in progress.

    Attributes:
        url: URL of the proxy, for clients.
        path: The trace file, which is complete at the end of the block.
        app_url: URL of the app.
    """

    url: str
    path: Path
    app_url: str


@contextlib.contextmanager
def record(
    source: str, path: str | Path, options: RecordingOptions | None = None
) -> Generator[Recording, None, None]:
    """Record the traffic of any client with an app, until the end of the block.

    ```python
    with record("http://127.0.0.1:7860", "browser.jsonl") as recording:
        subprocess.run(["node", "client.mjs", recording.url])
    ```

    Args:
        source: URL of the app, or the name of a Space, ``owner/name``.
        path: The trace file; see `gradio_transport.trace.TraceWriter`.
        options: Options of the recording.

    Raises:
        GradioTransportError: As `gradio_transport.connect`.
        UnsupportedProtocol: aiohttp is not installed.
        LocalProtocolError: The port is in use.
        OSError: The trace cannot be written.
    """
    started: Future[Recording] = Future()
    stopping: Future[asyncio.Event] = Future()
    loop_of: Future[asyncio.AbstractEventLoop] = Future()

    async def serve() -> None:
        stop = asyncio.Event()
        loop_of.set_result(asyncio.get_running_loop())
        stopping.set_result(stop)
        async with RecordingServer(source, path, options) as server:
            started.set_result(Recording(server.url, server.path, server.app_url))
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            if started.done():
                ended.set_exception(error)
            else:
                started.set_exception(error)
        else:
            ended.set_result(None)

    ended: Future[None] = Future()
    thread = threading.Thread(target=run, name="gradio-transport-record", daemon=True)
    thread.start()
    try:
        recording = started.result()
    except BaseException:
        if not started.done():  # the caller was interrupted
            loop_of.result().call_soon_threadsafe(stopping.result().set)
        raise
    try:
        yield recording
    finally:
        loop_of.result().call_soon_threadsafe(stopping.result().set)
        thread.join()
        ended.result()


__all__ = ["Recording", "record"]
