# SPDX-License-Identifier: Apache-2.0
"""websocket-client and aiohttp saying on the legacy websocket what must be said, and nothing else."""

from __future__ import annotations

import json
import secrets
import urllib.request
from typing import Any

from . import Driver


class Sync(Driver):
    async def open(self) -> None:
        import websocket

        self.connect = websocket.create_connection
        self.session = secrets.token_hex(8)
        for path in ("/config", "/info"):
            with urllib.request.urlopen(self.url + path) as reply:
                json.load(reply)

    async def close(self) -> None:
        pass

    async def call(self, value: str) -> Any:
        socket = self.connect(self.url.replace("http:", "ws:") + "/queue/join", skip_utf8_validation=True)
        who = {"fn_index": 0, "session_hash": self.session}
        while True:
            message = json.loads(socket.recv())
            match message["msg"]:
                case "send_hash":
                    socket.send(json.dumps(who))
                case "send_data":
                    socket.send(json.dumps({"data": [value], **who}))
                case "process_completed":
                    socket.shutdown()
                    return message["output"]["data"][0]


class Aiohttp(Driver):
    loop = True

    async def open(self) -> None:
        import aiohttp

        self.client = aiohttp.ClientSession()
        self.session = secrets.token_hex(8)
        for path in ("/config", "/info"):
            async with self.client.get(self.url + path) as reply:
                await reply.json()

    async def close(self) -> None:
        await self.client.close()

    async def call(self, value: str) -> Any:
        who = {"fn_index": 0, "session_hash": self.session}
        async with self.client.ws_connect(self.url + "/queue/join") as socket:
            while True:
                message = json.loads(await socket.receive_str())
                match message["msg"]:
                    case "send_hash":
                        await socket.send_str(json.dumps(who))
                    case "send_data":
                        await socket.send_str(json.dumps({"data": [value], **who}))
                    case "process_completed":
                        return message["output"]["data"][0]
