# SPDX-License-Identifier: Apache-2.0
"""The attributes of a client that programs of the Gradio Python client read and set."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from fake_gradio import FakeGradio, config, fake_gradio
from packaging.version import Version
from scripted import CONFIG, Reply, Scripted, scripted

import gradio_transport as gt
from gradio_transport.client import AsyncClient, Client
from gradio_transport.client import client as client_module
from gradio_transport.client.attributes import KEPT_SESSIONS, AppAttributes
from gradio_transport.client.settings import SettingError
from gradio_transport.files.private import usual_directory

SECONDS = 20.0


@pytest.fixture
def server() -> Iterator[FakeGradio]:
    with fake_gradio() as server:
        yield server


@pytest.fixture
def client(server: FakeGradio) -> Iterator[Client]:
    with Client(server.url, download_files=False, headers={"X-Given": "1"}) as client:
        yield client


def sent(server: FakeGradio) -> dict[str, str]:
    """Return the headers of the latest join, names in lower case."""
    headers = [headers for path, headers, _ in server.requests if path.endswith("join")][-1]
    return {name.lower(): value for name, value in headers.items()}


def test_config_is_the_app_s_json(client: Client) -> None:
    assert client.config == config()
    assert json.loads(json.dumps(client.config)) == config()
    assert client.config["dependencies"][0]["api_name"] == "hello"
    assert client.config.get("nothing") is None
    assert client.app_config.version == "6.31.0"


def test_a_change_of_the_config_stays_and_changes_no_call(client: Client) -> None:
    client.config["dependencies"].clear()
    client.config["mine"] = 1
    assert (client.config["dependencies"], client.config["mine"]) == ([], 1)
    assert copy.deepcopy(client.config) == client.config
    assert client.predict("you", api_name="/hello") == "Hello, you!"


def test_what_a_client_is_connected_to(client: Client, server: FakeGradio) -> None:
    assert (client.src, client.url) == (f"{server.url}/", server.url)
    assert (client.protocol, client.app_version) == ("sse_v3", Version("6.31.0"))
    assert client.app_version > Version("4.29.0")
    assert (client.space_id, client.token, client.hf_token) == (None, None, None)


@pytest.mark.parametrize(
    ("version", "known"),
    [("3.50.2", "3.50.2"), ("4.0.0-beta.15", "4.0.0b15"), ("main-abc", "4.22"), (5, "4.22")],
)
def test_the_version_is_one_that_can_be_compared(version: Any, known: str) -> None:
    with scripted() as server:
        server.config = CONFIG | {"version": version, "api_prefix": ""}
        server.scripts["/info"] = lambda reply: reply.json({})
        with Client(server.url) as client:
            assert client.app_version == Version(known)


def test_before_4_0_the_protocol_is_ws() -> None:
    with scripted() as server:
        raw = {name: value for name, value in CONFIG.items() if name not in ("protocol", "api_prefix")}
        server.config = raw | {"version": "3.50.2"}
        with Client(server.url) as client:
            assert client.protocol == "ws"


def test_a_space_has_its_name_and_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    space = gt.spaces.Space("owner/name", "https://owner-name.hf.space", "RUNNING")
    seen: list[Any] = []

    def connect(source: str, *, token: str | None, **arguments: Any) -> gt.Transport:
        seen.append((source, token))
        return gt.connect(source, token=token, engine=engine, **arguments)

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["x-hf-authorization"] == "Bearer hf_mine"
        found = CONFIG if request.url.path == "/config" else {}
        return httpx.Response(200, json=found)

    engine = httpx.Client(transport=httpx.MockTransport(answer))
    monkeypatch.setattr(gt.spaces, "resolve", lambda *_, **__: space)
    monkeypatch.setattr(client_module, "connect", connect)
    with Client("owner/name", "hf_mine") as client:
        assert (client.space_id, client.token) == ("owner/name", "hf_mine")
        assert client.src == "https://owner-name.hf.space/"
        assert client.headers["x-hf-authorization"] == "Bearer hf_mine"
        with pytest.raises(SettingError, match="you cannot remove it"):
            del client.headers["x-hf-authorization"]
        assert client.headers["x-hf-authorization"] == "Bearer hf_mine"


def test_output_dir_is_where_files_go(
    server: FakeGradio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    with Client(server.url, download_files=tmp_path) as client:
        assert client.output_dir == str(tmp_path)
    with Client(server.url, download_files=False) as client:
        assert client.output_dir == str(usual_directory())
    with Client(server.url, output_dir=tmp_path) as client:  # its name before 1.0
        assert client.output_dir == str(tmp_path)
        assert client._files.saves
    with Client(server.url, output_dir=str(tmp_path), download_files=True) as client:
        assert client.output_dir == str(tmp_path)
    with Client(server.url, output_dir=tmp_path, download_files=False) as client:
        assert not client._files.saves
    with pytest.raises(SettingError, match="the same setting"):
        Client(server.url, output_dir=tmp_path, download_files=tmp_path)
    with pytest.raises(SettingError, match="the same setting"):
        AsyncClient(server.url, output_dir=tmp_path, download_files=str(tmp_path))


# --- headers and cookies ----------------------------------------------------------------------------------


def test_headers_are_those_that_are_sent(client: Client, server: FakeGradio) -> None:
    assert client.headers == {"x-given": "1", "x-gradio-user": "api"}
    assert client.headers["X-Given"] == "1"
    assert "X-GIVEN" in client.headers
    assert isinstance(client.headers, dict)
    assert httpx.Headers(client.headers)["x-given"] == "1"


def test_a_header_may_be_set_and_removed(client: Client, server: FakeGradio) -> None:
    client.headers["X-One"] = "1"
    client.headers.update({"x-two": "2", "x-three": "3"})
    headers = client.headers
    headers |= {"x-four": "4"}
    assert headers.pop("X-Three") == "3"
    del client.headers["x-given"]
    client.predict("x", api_name="/hello")
    assert {name: value for name, value in sent(server).items() if name.startswith("x-")} == {
        "x-gradio-user": "api", "x-one": "1", "x-two": "2", "x-four": "4",
    }  # fmt: skip
    with pytest.raises(KeyError):
        del client.headers["x-given"]


@pytest.mark.parametrize(("name", "value"), [("x-a", "1\r\nx-b: 2"), ("x a", "1"), ("x-gradio-user", "me")])
def test_a_header_that_cannot_be_sent_is_refused(client: Client, name: str, value: str) -> None:
    before = dict(client.headers)
    with pytest.raises(gt.errors.LocalProtocolError):
        client.headers[name] = value
    assert client.headers == before


@pytest.mark.parametrize("name", ["x-gradio-user", "X-Gradio-User", "X-GRADIO-USER"])
def test_an_app_can_tell_a_program_from_people_whatever_the_caller_gives(
    server: FakeGradio, name: str
) -> None:
    given = {name: "me"}
    with Client(server.url, headers=given, httpx_kwargs={"headers": given}) as client:
        client.predict("x", api_name="/hello", headers=given)
        assert sent(server)["x-gradio-user"] == "api"
        client.submit("x", api_name="/hello", headers=given).result(SECONDS)
        assert sent(server)["x-gradio-user"] == "api"

    async def main() -> None:
        async with AsyncClient(server.url, headers=given) as client:
            await client.predict("x", api_name="/hello", headers=given)

    anyio.run(main)
    assert sent(server)["x-gradio-user"] == "api"


def test_cookies_are_those_given_and_those_the_server_has_set() -> None:
    def config_with_cookie(reply: Reply) -> None:
        reply.json(CONFIG, set_cookie="route=a; Path=/")

    with scripted() as server:
        server.scripts["/config"] = config_with_cookie
        with Client(server.url, httpx_kwargs={"cookies": {"given": "1"}}) as client:
            assert client.cookies == {"given": "1", "route": "a"}
            assert isinstance(client.cookies, dict)
            client.cookies["given"] = "2"
            client.cookies["mine"] = "3"
            del client.cookies["route"]
            client.predict("x", api_name="/hello")
            assert cookie_of(server) == "given=2; mine=3"
            client.cookies = {"only": "4"}
            client.predict("x", api_name="/hello")
            assert cookie_of(server) == "only=4"
            with pytest.raises(gt.errors.LocalProtocolError):
                client.cookies["a"] = "b; c"


def cookie_of(server: Scripted) -> str | None:
    return [headers.get("cookie") for path, headers in server.asked if path.endswith("join")][-1]


def test_a_cookie_of_a_session_gives_way_to_one_that_is_set() -> None:
    def join(reply: Reply) -> None:
        event = {"event_id": "event1"}
        stream = reply.server.messages(reply.body["session_hash"])
        stream.put({"msg": "process_starts", **event})
        stream.put({"msg": "process_completed", "output": {"data": ["x"]}, "success": True, **event})
        reply.json(event, set_cookie="route=session; Path=/")

    with scripted() as server:
        server.scripts["/gradio_api/queue/join"] = join
        with Client(server.url) as client:
            client.predict("x", api_name="/hello")
            assert client.cookies == {"route": "session"}
            client.cookies["route"] = "mine"
            assert client.cookies == {"route": "mine"}
            client.cookies.clear()
            assert client.cookies == {}


# --- the session --------------------------------------------------------------------------------------------


def test_the_session_may_be_named_and_calls_under_way_go_on(client: Client, server: FakeGradio) -> None:
    first = client.session_hash
    job = client.submit(api_name="/forever")
    assert next(job) == "on and on"
    client.session_hash = "mine"
    client.session_hash = "mine"
    assert client.session_hash == "mine"
    assert client.predict("you", api_name="/hello") == "Hello, you!"
    hashes = [body["session_hash"] for path, _, body in server.requests if path.endswith("join")]
    assert hashes == [first, "mine"]
    assert not job.done()
    assert job.cancel()


def test_sessions_that_were_left_are_closed_in_time(client: Client) -> None:
    job = client.submit(api_name="/forever")
    assert next(job) == "on and on"
    left = [client._session]
    for number in range(KEPT_SESSIONS + 3):
        client.session_hash = f"session{number}"
        left.append(client._session)
    assert [one._core.closed for one in left[:5]] == [False, True, True, False, False]
    assert not job.done()
    assert job.cancel()


@pytest.mark.parametrize("value", ["", None, 5])
def test_a_session_has_a_name(client: Client, value: Any) -> None:
    before = client.session_hash
    with pytest.raises(SettingError, match="session_hash"):
        client.session_hash = value
    assert client.session_hash == before


# --- the async client ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_async_client_has_the_same_attributes(server: FakeGradio, backend: str) -> None:
    async def main() -> None:
        async with AsyncClient(server.url) as client:
            assert (client.config["version"], client.src) == ("6.31.0", f"{server.url}/")
            client.session_hash = "mine"
            client.headers["x-one"] = "1"
            await client.predict("x", api_name="/hello")
            assert sent(server)["x-one"] == "1"
            assert client.endpoints[0].api_name == "/hello"
            job = client.submit("x", api_name="/hello")
            await job
            assert job.event_id is not None
            run = client.endpoints[1].make_end_to_end_fn(client.new_helper(1))
            assert await run(1, 2) == 3
        joins = [body["session_hash"] for path, _, body in server.requests if path.endswith("join")]
        assert set(joins) == {"mine"}

    anyio.run(main, backend=backend)


def test_an_attribute_says_that_the_client_is_not_connected() -> None:
    client = AsyncClient("http://127.0.0.1:9")
    for name in ("config", "src", "headers", "endpoints"):
        with pytest.raises(gt.errors.LocalProtocolError, match="async with"):
            getattr(client, name)


def test_both_clients_have_all_attributes() -> None:
    names = {name for name, value in vars(AppAttributes).items() if isinstance(value, property)}
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(fake_gradio()).url
        client = stack.enter_context(Client(url))
        assert {name for name in names if hasattr(client, name)} == names
    assert names >= {
        "src",
        "headers",
        "cookies",
        "token",
        "output_dir",
        "space_id",
        "app_version",
        "protocol",
    }
