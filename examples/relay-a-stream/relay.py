# SPDX-License-Identifier: Apache-2.0
"""Pass the outputs of a Gradio app on as server-sent events, by an HTTP server of the standard library.

python relay.py http://127.0.0.1:7860 --port 8000
curl -N 'http://127.0.0.1:8000/count?n=3'
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from urllib.parse import parse_qs, urlsplit

import gradio_transport as gt

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


async def relay(app: gt.AsyncTransport, target: str, writer: asyncio.StreamWriter) -> None:
    """Call the endpoint of the path with the values of the query, and send each output as an event."""
    url = urlsplit(target)
    writer.write(HEAD)
    try:
        values = {name: json.loads(texts[0]) for name, texts in parse_qs(url.query).items()}
        call = app.submit(url.path, **values)
        try:
            async for event in call:
                if isinstance(event, gt.ProcessGenerating | gt.ProcessCompleted):
                    writer.write(f"data: {json.dumps(event.data)}\n\n".encode())
                    await writer.drain()  # raises when the reader has gone
            await call.result()
        finally:
            await call.cancel()  # does nothing if the call has ended
    except (gt.GradioTransportError, ValueError) as error:  # ValueError: a value of the query is not JSON
        writer.write(f"event: error\ndata: {json.dumps(str(error))}\n\n".encode())


async def serve(app_url: str, port: int) -> None:
    """Serve until the program is ended."""
    async with gt.connect_async(app_url) as app:

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.closing(writer), contextlib.suppress(ConnectionError):  # readers may leave
                request = await reader.readuntil(b"\r\n\r\n")
                await relay(app, request.decode("latin-1").split(" ")[1], writer)

        server = await asyncio.start_server(answer, "127.0.0.1", port)
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("app", help="URL, or owner/name of a Space")
    parser.add_argument("--port", type=int, default=8000)
    given = parser.parse_args()
    asyncio.run(serve(given.app, given.port))
