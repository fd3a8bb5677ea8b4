# SPDX-License-Identifier: Apache-2.0
"""Hosts a re-enacting server: aiohttp on an event loop in a thread, and the traffic as frames."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import partial

from aiohttp import web

from gradio_transport.protocol.commands import Ending
from gradio_transport.protocol.frames import Direction, Frame, Kind

from .routes import Router
from .stage import Stage
from .streams import kept_by

MOST_BODY_BYTES = 256 * 1024 * 1024
MOST_KEPT_BYTES = 16 * 1024 * 1024
"""Limit of the bodies in a host's frames, in bytes."""


class Host:
    """One server on the loopback."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.frames: list[Frame] = []
        self._kept = 0
        self._number = 0
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner | None = None
        self._router = Router(stage)

    async def _start(self, host: str, port: int) -> None:
        app = web.Application(client_max_size=MOST_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, handle_signals=False, shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        place = self._runner.addresses[0]
        self.stage.origin = f"http://{place[0]}:{place[1]}"

    async def _stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        tasks = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        channel = f"request-{self._number}"
        self._number += 1
        body = await request.read() if request.method in ("POST", "PUT") and not _is_form(request) else b""
        url = f"{self.stage.origin}{request.path_qs}"
        payload = {"method": request.method, "url": url, "headers": dict(request.headers), "body": body}
        is_socket = request.headers.get("upgrade", "").lower() == "websocket"
        keep = partial(self._keep, channel)
        kept_by.set(keep)
        keep(Direction.OUT, Kind.WS_OPEN if is_socket else Kind.REQUEST, payload, len(body))
        try:
            response = await self._router.handle(request)
        except BaseException as error:
            is_gone = isinstance(error, asyncio.CancelledError)  # the client
            ending = Ending.LOCAL if is_gone else Ending.RESET
            keep(Direction.IN, Kind.END, {"ending": ending.value}, 0)
            raise
        if isinstance(response, web.Response):
            text = response.body if isinstance(response.body, bytes) else b""
            reply = {"status": response.status, "headers": dict(response.headers), "body": text, "url": url}
            keep(Direction.IN, Kind.RESPONSE, reply, len(text))
        else:
            end = Kind.WS_CLOSE if is_socket else Kind.END
            keep(Direction.IN, end, {"ending": Ending.CLEAN.value}, 0)
        return response

    def _keep(
        self, channel: str, direction: Direction, kind: Kind, payload: Mapping[str, object], size: int
    ) -> None:
        if self._kept + size <= MOST_KEPT_BYTES:
            self._kept += size + 200
            self.frames.append(Frame(time.monotonic(), direction, kind, channel, payload))

    @contextmanager
    def serving(self, host: str, port: int) -> Generator[None, None, None]:
        """Serve until the block is left."""
        started = threading.Event()
        failures: list[BaseException] = []

        def run() -> None:
            asyncio.set_event_loop(self._loop)
            try:
                self._loop.run_until_complete(self._start(host, port))
            except BaseException as error:  # noqa: BLE001 - raised by the other thread
                failures.append(error)
                started.set()
                return
            started.set()
            self._loop.run_forever()
            self._loop.run_until_complete(self._stop())

        thread = threading.Thread(target=run, name="reenact", daemon=True)
        thread.start()
        started.wait()
        if failures:
            thread.join()
            self._loop.close()
            raise failures[0]
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()


def _is_form(request: web.Request) -> bool:
    return request.content_type in ("multipart/form-data", "application/x-www-form-urlencoded")


__all__ = ["Host"]
