# SPDX-License-Identifier: Apache-2.0
"""A server that calls every parameter a file: it gets none that the caller did not make one, by any face."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from faces import FACES, with_app
from scripted import CONFIG, INFO, Reply, Scripted, scripted

import gradio_transport as gt
from gradio_transport.cli.app import commands
from gradio_transport.client import AsyncClient, Client

SECRET = "the content of a file of the caller"
COMPONENTS = ("image", "file", "gallery", "multimodaltextbox", "json", "textbox")
VERSIONS = ("6.31.0", "4.0.2", "3.50.2", "3.1.0")
FILE_DATA = {"properties": {"path": {"type": "string"}}, "type": "object"}

Call = Callable[[str, Any], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text(SECRET)
    return path


def disguised(way: str, path: str, url: str) -> list[Any]:
    """Return values that look like files and were not made one.

    By the familiar clients a dict with the mark of a file and without a URL was made one: those that a server
    gives have a URL.
    """
    meta = {"_type": "gradio.FileData"}
    data = {"path": path, "meta": meta, "orig_name": "a.txt"}
    if "client" in way:
        data["url"] = "/file=a.txt"
        meta = {}
    return [
        path, f"@{path}", url, {"path": path}, data, [path], [data], {"image": data, "caption": path},
        {"text": path, "files": [path]}, {"text": f"@{path}", "files": [data]}, {"path": url, "meta": meta},
        {"url": f"file://{path}", "meta": meta}, {"name": path, "is_file": True, "data": None},
    ]  # fmt: skip


def by_face(face: str) -> Call:
    def call(url: str, value: Any) -> None:
        async def use(app: Any, wait: Any) -> None:
            await wait(app.call("/direct", value))

        with_app(face, url, use, retry=gt.RetryPolicy.none())

    return call


def by_client(url: str, value: Any) -> None:
    with Client(url, verbose=False) as client:
        client.predict(value, api_name="/direct")


def by_async_client(url: str, value: Any) -> None:
    async def main() -> None:
        async with AsyncClient(url, verbose=False) as client:
            await client.predict(value, api_name="/direct")

    asyncio.run(main())


def by_words(*words: str) -> None:
    CliRunner().invoke(commands, words)


def by_predict(url: str, value: Any) -> None:
    by_words("predict", url, "/direct", json.dumps([value]))


def by_json(url: str, value: Any) -> None:
    CliRunner().invoke(commands, ["call", url, "/direct", "--json", "-"], input=json.dumps([value]))


def by_a_word_behind_dashes(url: str, value: Any) -> None:
    by_words("call", url, "/direct", "--", value if isinstance(value, str) else json.dumps(value))


def by_a_word(url: str, value: Any) -> None:
    word = value if isinstance(value, str) else json.dumps(value)
    if not word.startswith("@"):  # so files are marked there
        by_words("call", url, "/direct", word)


CALLS: dict[str, Call] = {
    **{face: by_face(face) for face in (*FACES, "sync+httpx2", "asyncio+httpx2")},
    "client": by_client,
    "async client": by_async_client,
    "predict": by_predict,
    "--json": by_json,
    "--": by_a_word_behind_dashes,
    "word": by_a_word,
}


@contextlib.contextmanager
def lying(version: str, component: str) -> Iterator[Scripted]:
    """Serve an app whose only parameter is said to be that component."""
    prefix = "/gradio_api" if version >= "5" else ""
    kind = {"type": component, "props": {"label": "text"}}
    config = CONFIG | {"version": version, "api_prefix": prefix}
    config["components"] = [{"id": 1, **kind}, {"id": 2, "type": "textbox", "props": {}}]
    parameter = {"parameter_name": "text", "label": "text", "component": component, "type": FILE_DATA}
    parameter["python_type"] = {"type": "filepath"}
    info = INFO["named_endpoints"] | {"/direct": {"parameters": [parameter], "returns": [{"label": "out"}]}}

    def take(reply: Reply) -> None:
        reply.json({"data": ["taken"]})

    with scripted() as server:
        server.config = config
        told = {"named_endpoints": info, "unnamed_endpoints": {}}
        server.scripts |= {
            f"{prefix}/info": lambda reply: reply.json(told),
            f"{prefix}/run/direct": take,
            f"{prefix}/run/direct/": take,
            f"{prefix}/api/direct": take,
            f"{prefix}/api/direct/": take,
            f"{prefix}/upload": lambda reply: reply.json(["/tmp/up/x"]),
        }
        yield server


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", CALLS)
def test_a_server_that_calls_a_text_a_file_gets_no_file(way: str, version: str, path: Path) -> None:
    component = COMPONENTS[(list(CALLS).index(way) + VERSIONS.index(version)) % len(COMPONENTS)]
    with lying(version, component) as server, scripted() as inside:
        for value in disguised(way, str(path), f"{inside.url}/secret"):
            with contextlib.suppress(gt.GradioTransportError, ValueError, TypeError):
                CALLS[way](server.url, value)
        sent = str(server.seen)
        assert SECRET not in sent
        assert base64.b64encode(SECRET.encode()).decode() not in sent
        assert "direct" in sent  # some of them went as the values that they are
        assert not [asked for asked, _ in server.seen if asked.endswith("/upload")]
        assert inside.seen == []
        with contextlib.suppress(gt.GradioTransportError):  # the server is one that takes files
            by_face("sync")(server.url, gt.handle_file(path))
        sent = str(server.seen)
        assert "/upload" in sent or "base64" in sent or component in ("gallery", "multimodaltextbox")
