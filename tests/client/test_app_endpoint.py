# SPDX-License-Identifier: Apache-2.0
"""``client.endpoints``, and the functions that ``gr.load`` makes of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from fake_gradio import FUNCTIONS, FakeGradio, fake_gradio
from scripted import CONFIG, INFO, Reply, Scripted, completed, scripted

from gradio_transport.client import AsyncClient, Client, Status
from gradio_transport.client.app_endpoint import Endpoint
from gradio_transport.client.errors import AppError, ArgumentError
from gradio_transport.client.settings import SettingError


@pytest.fixture
def server() -> Iterator[FakeGradio]:
    with fake_gradio() as server:
        yield server


@pytest.fixture
def client(server: FakeGradio) -> Iterator[Client]:
    with Client(server.url, download_files=False) as client:
        yield client


def test_endpoints_are_told_by_number(client: Client, server: FakeGradio) -> None:
    assert list(client.endpoints) == list(range(len(FUNCTIONS) + 1))
    add = client.endpoints[1]
    assert isinstance(add, Endpoint)
    assert (add.fn_index, add.api_name, add.is_valid, add.backend_fn) == (1, "/add", True, True)
    assert (add.api_visibility, add.protocol, add.root_url) == ("public", "sse_v3", f"{server.url}/")
    assert add.parameters_info is not None
    assert [one["parameter_name"] for one in add.parameters_info] == ["a", "b"]
    assert add.dependency["api_name"] == "add"
    assert (add.client, repr(add)) == (client, f"<Endpoint /add of {server.url}/>")


def test_private_and_unnamed_endpoints_are_told_apart(client: Client) -> None:
    private, unnamed = client.endpoints[12], client.endpoints[13]
    assert (private.is_valid, private.api_visibility, private.parameters_info) == (False, "private", None)
    assert (unnamed.is_valid, unnamed.api_name) == (True, None)


def test_an_endpoint_that_is_closed_to_the_api_has_false_for_a_name() -> None:
    with scripted() as server:
        server.config = CONFIG | {"dependencies": [{"id": 0, "api_name": False, "inputs": [], "outputs": []}]}
        with Client(server.url) as client:
            assert client.endpoints[0].api_name is False


def test_an_endpoint_can_be_called_as_a_function(client: Client, server: FakeGradio) -> None:
    helper = client.new_helper(0, headers={"x-mine": "1"})
    assert (helper.event_id, helper.job.outputs, helper.job.latest_status.code) == (None, [], Status.STARTING)
    run = client.endpoints[0].make_end_to_end_fn(helper)
    assert run("you") == "Hello, you!"
    assert helper.job.outputs == ["Hello, you!"]
    assert helper.event_id is not None
    headers = next(headers for path, headers, _ in server.requests if path.endswith("join"))
    assert {name.lower(): value for name, value in headers.items()}["x-mine"] == "1"
    failing = client.endpoints[8].make_end_to_end_fn(client.new_helper(8))
    with pytest.raises(AppError, match="the app failed"):
        failing()
    with pytest.raises(ArgumentError):
        run()
    with pytest.raises(SettingError, match="fn_index=99"):
        client.new_helper(99)


UPLOAD = "/gradio_api/upload"


@pytest.mark.parametrize("face", ["sync", "asyncio", "trio"])
def test_only_such_a_function_takes_files_from_the_directory_of_uploads(
    face: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    stored, other = tmp_path / "uploads" / "a.txt", tmp_path / "other.txt"
    stored.parent.mkdir()
    for path in (stored, other):
        path.write_text(f"content of {path.name}")
    meta = {"_type": "gradio.FileData"}
    upload = {"path": str(stored), "url": "/gradio_api/proxy=http://app/file=a.txt", "meta": meta}
    sent: list[str] = []

    async def call(function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        returned = function(*arguments, **options)
        if inspect.isawaitable(returned):
            await returned
        sent.append(body_of(server)["data"][0]["path"])

    async def use(client: Client | AsyncClient) -> None:
        run = client.endpoints[0].make_end_to_end_fn(client.new_helper(0))
        await call(run, upload)
        await call(run, {"path": str(other), "meta": meta})
        await call(client.predict, upload, api_name="/hello")

    async def main() -> None:
        if face == "sync":
            with Client(server.url) as client:
                await use(client)
        else:
            async with AsyncClient(server.url) as async_client:
                await use(async_client)

    with scripted() as server:
        server.config = CONFIG | {
            "components": [{"id": number, "type": "file", "props": {}} for number in (1, 2)]
        }
        server.scripts[UPLOAD] = lambda reply: reply.json(["/tmp/up/0"])
        server.scripts["/gradio_api/queue/join"] = join
        anyio.run(main, backend="trio" if face == "trio" else "asyncio")
        (body,) = [body for path, body in server.seen if path == UPLOAD]
    assert b"content of a.txt" in body
    assert sent == ["/tmp/up/0", str(other), str(stored)]


# --- an app that is relayed ------------------------------------------------------------------------------


COMPONENTS = [
    {"id": 1, "type": "textbox", "props": {"label": "Text"}},
    {"id": 2, "type": "state", "props": {}, "skip_api": True},
]


@pytest.fixture
def stateful() -> Iterator[Scripted]:
    """An app whose function takes and gives a State besides."""
    dependency = {**CONFIG["dependencies"][0], "inputs": [2, 1], "outputs": [1, 2]}
    asks = {**CONFIG["dependencies"][1], "collects_event_data": True}
    with scripted() as server:
        server.config = CONFIG | {"components": COMPONENTS, "dependencies": [dependency, asks]}
        server.scripts["/gradio_api/info"] = lambda reply: reply.json(INFO)
        server.scripts["/gradio_api/queue/join"] = join
        yield server


def join(reply: Reply) -> None:
    event: dict[str, Any] = {"event_id": f"event{len(reply.server.seen)}"}
    stream = reply.server.messages(reply.body["session_hash"])
    stream.put({"msg": "estimation", "rank": 0, **event})
    stream.put({"msg": "process_starts", **event})
    message = completed("said")
    message["output"]["data"] = ["said", None]
    stream.put({**message, **event})
    reply.json(event)


def body_of(server: Scripted) -> Any:
    return [body for path, body in server.seen if path.endswith("join")][-1]


def test_state_is_left_out_for_callers(stateful: Scripted) -> None:
    with Client(stateful.url) as client:
        assert client.predict("x", api_name="/hello") == "said"
        assert body_of(stateful)["data"] == [None, "x"]


def test_a_relay_gets_and_gives_a_value_for_every_component(stateful: Scripted) -> None:
    with Client(stateful.url, _skip_components=False) as client:
        run = client.endpoints[0].make_end_to_end_fn(client.new_helper(0))
        assert run(["state"], "x") == ("said", None)
        assert body_of(stateful)["data"] == [["state"], "x"]
        assert client.predict(None, "x", api_name="/hello") == ("said", None)


def test_a_relay_can_tell_what_happened_in_the_page(stateful: Scripted) -> None:
    with Client(stateful.url, _skip_components=False) as client:
        run = client.endpoints[1].make_end_to_end_fn(client.new_helper(1))
        run("x", event_data={"index": 1}, api_name="/count")
        assert body_of(stateful)["event_data"] == {"index": 1}
