# SPDX-License-Identifier: Apache-2.0
"""A whole recording: discovery, proxy, trace."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import anyio
import pytest
import trustme
from aiohttp import web
from proxied import serving
from scripted import CONFIG, INFO, Scripted, scripted

import gradio_transport as gt
from gradio_transport.errors import LocalProtocolError, UntrustedRedirect
from gradio_transport.protocol.frames import Frame, Kind
from gradio_transport.recording import RecordingOptions, RecordingServer, default_path, record
from gradio_transport.recording.recorder import FILE_BYTES
from gradio_transport.trace import Severity, lint_trace, read_trace, replay


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def fetch(url: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, body, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_a_recording_has_the_calls_of_a_client(server: Scripted, tmp_path: Path) -> None:
    path, frames = tmp_path / "x.jsonl", list[Frame]()
    with record(server.url, path, RecordingOptions(tap=frames.append)) as recording:
        assert recording.app_url == server.url
        with gt.connect(recording.url) as app:
            assert app.call("/hello", "you") == ["Hello, you!"]
            assert app.call("/direct", "x") == ["x"]
            with pytest.raises(gt.AppError, match="why"):
                app.call("/raise_error", "x")
    trace = read_trace(path)
    assert [frame.payload["endpoint"] for frame in trace.frames if frame.kind is Kind.CALL] == [
        "/hello", "/direct", "/raise_error",
    ]  # fmt: skip
    assert len(frames) == len(trace.frames)
    assert replay(trace).mismatches == []
    assert [one for one in lint_trace(trace) if one.severity is not Severity.NOTE] == []
    assert (trace.meta["recorder"], trace.meta["gradio"]) == ("proxy", "6.31.0")


def test_the_config_is_recorded_before_any_client_comes(server: Scripted, tmp_path: Path) -> None:
    with record(server.url, tmp_path / "x.jsonl") as recording:
        host = recording.url.removeprefix("http://")
    trace = read_trace(tmp_path / "x.jsonl")
    urls = [frame.payload["url"] for frame in trace.frames if frame.kind is Kind.REQUEST]
    assert urls == [f"{server.url}/config", f"{server.url}/gradio_api/info"]
    # The app is asked as clients ask it, so that the addresses in the config are those that clients get.
    asked = [headers for path, headers in server.asked if path == "/config"]
    assert [headers["x-forwarded-host"] for headers in asked] == [host]
    assert [headers["x-forwarded-proto"] for headers in asked] == ["http"]


def test_a_page_of_an_app_that_names_another_address_stays_within_the_proxy(
    server: Scripted, tmp_path: Path
) -> None:
    server.config = {**CONFIG, "root": "https://public.example/app"}
    page = '<script>window.gradio_config = {"root": "https://public.example/app"};</script>'
    server.scripts["/"] = lambda reply: reply.text(page)
    with record(server.url, tmp_path / "x.jsonl") as recording:
        for url in (recording.url, recording.url.replace("127.0.0.1", "localhost")):
            assert json.loads(fetch(f"{url}/config")[1])["root"] == url
            assert fetch(f"{url}/")[1].decode() == page.replace("https://public.example/app", url)
    assert (tmp_path / "x.jsonl").read_text().count("https://public.example/app") == 1 + 2 + 2


@pytest.mark.parametrize("root", ["", "/app", "http://127.0.0.1:{port}"])
def test_an_app_that_takes_the_proxy_for_its_address_is_passed_on_byte_by_byte(
    server: Scripted, tmp_path: Path, root: str
) -> None:
    body = json.dumps({"text": f"{server.url}/file=x"}).encode()
    server.scripts["/x"] = lambda reply: reply.text(body.decode(), kind="application/json")

    def config(reply):  # what Gradio does with the header
        named = reply.headers["x-forwarded-host"].rpartition(":")[2]
        reply.json({**CONFIG, "root": root.format(port=named)})

    server.scripts["/config"] = config
    with record(server.url, tmp_path / "x.jsonl") as recording:
        assert fetch(f"{recording.url}/x")[1] == body


def test_an_app_below_a_path_is_below_the_same_path(server: Scripted, tmp_path: Path) -> None:
    for name in ("config", "gradio_api/info", "gradio_api/queue/join", "gradio_api/queue/data"):
        server.scripts[f"/some/app/{name}"] = server.default(f"/{name}")
    with record(f"{server.url}/some/app/", tmp_path / "x.jsonl") as recording:
        assert recording.url.endswith("/some/app")
        with gt.connect(recording.url) as app:
            assert app.call("/hello", "you") == ["Hello, you!"]
    trace = read_trace(tmp_path / "x.jsonl")
    assert replay(trace).mismatches == []
    assert {frame.payload["source"] for frame in trace.frames if frame.kind is Kind.SESSION} == {
        f"{server.url}/some/app"
    }


def test_an_app_with_a_login_is_recorded_once_a_client_has_logged_in(
    server: Scripted, tmp_path: Path
) -> None:
    def config(reply):
        if "access-token=secret-of-the-app" in reply.headers.get("cookie", ""):
            reply.json(CONFIG)
        else:
            reply.json({"detail": "Not authenticated"}, 401)

    server.scripts["/config"] = config
    cookie = "access-token=secret-of-the-app; HttpOnly; Path=/"
    server.scripts["/login"] = lambda reply: reply.json({"success": True}, set_cookie=cookie)

    async def serve() -> bool:
        async with RecordingServer(server.url, tmp_path / "x.jsonl") as running:
            return await anyio.to_thread.run_sync(call, running)

    def call(running: RecordingServer) -> bool:
        with gt.connect(running.url, auth=("me", "my-password")) as app:
            assert app.call("/hello", "you") == ["Hello, you!"]
        return running.login

    assert anyio.run(serve) is True
    text = (tmp_path / "x.jsonl").read_text()
    assert "secret-of-the-app" not in text
    assert "my-password" not in text
    assert replay(read_trace(tmp_path / "x.jsonl")).mismatches == []
    with record(server.url, tmp_path / "y.jsonl", RecordingOptions(auth=("me", "my-password"))) as recording:
        assert fetch(f"{recording.url}/config")[0] == 401  # the proxy's login is not the client's


def test_what_the_user_gave_is_sent_and_not_written(server: Scripted, tmp_path: Path) -> None:
    options = RecordingOptions(headers={"X-Api-Key": "key-of-mine"}, secrets=["a-name-of-mine"])
    server.scripts["/gradio_api/run/direct"] = lambda reply: reply.json(
        {"data": [reply.headers["x-api-key"] + " a-name-of-mine"]}
    )
    with record(server.url, tmp_path / "x.jsonl", options) as recording, gt.connect(recording.url) as app:
        assert app.call("/direct", "x") == ["key-of-mine a-name-of-mine"]
    text = (tmp_path / "x.jsonl").read_text()
    assert "-of-mine" not in text
    with record(
        server.url, tmp_path / "y.jsonl", RecordingOptions(headers=options.headers, redact=False)
    ) as made:
        assert fetch(f"{made.url}/config")[0] == 200
    assert "key-of-mine" in (tmp_path / "y.jsonl").read_text()


def test_the_session_of_a_heartbeat_is_an_alias_too(server: Scripted, tmp_path: Path) -> None:
    with record(server.url, tmp_path / "x.jsonl") as recording:
        api = f"{recording.url}/gradio_api"
        fetch(f"{api}/heartbeat/q8d0xk2m7p1")  # a browser opens it before its first call
        body = json.dumps({"data": ["you"], "fn_index": 0, "session_hash": "q8d0xk2m7p1"}).encode()
        assert fetch(f"{api}/queue/join", body, **{"Content-Type": "application/json"})[0] == 200
        assert fetch(f"{api}/queue/data?session_hash=q8d0xk2m7p1")[0] == 200
    text = (tmp_path / "x.jsonl").read_text()
    assert "q8d0xk2m7p1" not in text
    assert "/heartbeat/session-1" in text
    assert replay(read_trace(tmp_path / "x.jsonl")).mismatches == []


def test_a_token_is_for_hugging_face_or_an_origin_that_was_named(server: Scripted, tmp_path: Path) -> None:
    with (
        pytest.raises(LocalProtocolError, match="token_origin"),
        record(server.url, tmp_path / "x.jsonl", RecordingOptions(token="hf_abcdefghijklmnop")),
    ):
        pass
    options = RecordingOptions(token="hf_abcdefghijklmnop", token_origin=server.url)
    with record(server.url, tmp_path / "y.jsonl", options) as recording:
        fetch(f"{recording.url}/x")
        fetch(f"{recording.url}/x", Authorization="Bearer of-the-client")
        status, said = fetch(f"{recording.url}/x", Origin="https://evil.example")
        assert (status, b"only pages of its own origin" in said) == (403, True)
    seen = [headers.get("authorization") for path, headers in server.asked if path == "/x"]
    assert seen == ["Bearer hf_abcdefghijklmnop", "Bearer of-the-client"]


def test_a_page_of_another_port_reaches_an_app_of_this_machine_but_brings_no_token(
    server: Scripted, tmp_path: Path
) -> None:
    page = {"Origin": "http://localhost:5173"}
    server.scripts["/x"] = lambda reply: reply.text("x")
    with record(server.url, tmp_path / "x.jsonl") as recording:
        assert fetch(f"{recording.url}/x", **page)[0] == 200
    with record(server.url, tmp_path / "y.jsonl", RecordingOptions(headers={"x-key": "mine"})) as recording:
        assert fetch(f"{recording.url}/x", **page)[0] == 403
    assert [headers["origin"] for path, headers in server.asked if path == "/x"] == [page["Origin"]]


def test_user_and_password_of_the_url_are_sent(server: Scripted, tmp_path: Path) -> None:
    source = server.url.replace("//", "//me:my-password@")
    with record(source, tmp_path / "x.jsonl") as recording:
        assert "my-password" not in recording.app_url + recording.url
        fetch(f"{recording.url}/x")
    assert [headers["authorization"] for path, headers in server.asked if path == "/x"] == [
        "Basic bWU6bXktcGFzc3dvcmQ="
    ]
    assert "my-password" not in (tmp_path / "x.jsonl").read_text()


def test_an_app_that_redirects_to_another_origin_is_refused(server: Scripted, tmp_path: Path) -> None:
    server.scripts["/config"] = lambda reply: reply.json({}, 302, location="http://other.example/config")
    with pytest.raises(UntrustedRedirect), record(server.url, tmp_path / "x.jsonl"):
        pass


def test_a_port_in_use_and_a_file_that_cannot_be_written(server: Scripted, tmp_path: Path) -> None:
    with (
        pytest.raises(LocalProtocolError, match=f"port {server.server_port}: Address already in use"),
        record(server.url, tmp_path / "x.jsonl", RecordingOptions(port=server.server_port)),
    ):
        pass
    with pytest.raises(OSError, match="missing"), record(server.url, tmp_path / "missing" / "x.jsonl"):
        pass
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    with pytest.raises(gt.ConnectError), record(f"http://127.0.0.1:{port}", tmp_path / "y.jsonl"):
        pass


def test_a_recording_ends_with_streams_that_are_open(server: Scripted, tmp_path: Path) -> None:
    with record(server.url, tmp_path / "x.jsonl") as recording, gt.connect(recording.url) as app:
        call = app.submit("/forever", "x")
        assert any(
            isinstance(event, gt.events.ProcessGenerating) for event in iter(lambda: next(iter(call)), None)
        )
        call.cancel()
    trace = read_trace(tmp_path / "x.jsonl")
    assert not trace.truncated
    assert [frame.payload["endpoint"] for frame in trace.frames if frame.kind is Kind.CALL] == ["/forever"]


def test_a_large_file_is_forwarded_whole_and_recorded_in_part(server: Scripted, tmp_path: Path) -> None:
    content = "0123456789" * (FILE_BYTES // 5)
    server.scripts["/gradio_api/file=/tmp/x"] = lambda reply: reply.text(
        content, kind="application/octet-stream"
    )
    with record(server.url, tmp_path / "x.jsonl") as recording:
        assert fetch(f"{recording.url}/gradio_api/file=/tmp/x") == (200, content.encode())
    trace = read_trace(tmp_path / "x.jsonl")
    assert sum(len(frame.payload["data"]) for frame in trace.frames if frame.kind is Kind.CHUNK) == FILE_BYTES
    assert [one for one in lint_trace(trace) if one.severity is not Severity.NOTE] == []


def test_the_error_of_the_block_passes(server: Scripted, tmp_path: Path) -> None:
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), record(server.url, tmp_path / "x.jsonl"):
        raise ZeroDivisionError
    assert threading.active_count() <= before + 1  # a thread of the server may still write


def test_without_aiohttp_the_extra_is_named(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "sys.modules['aiohttp'] = None\n"
        "from gradio_transport.recording import record\n"
        "from gradio_transport.errors import UnsupportedProtocol\n"
        "try:\n"
        "    with record('http://127.0.0.1:9', 'x.jsonl'): pass\n"
        "except UnsupportedProtocol as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=50, check=False
    )
    assert "pip install 'gradio-transport[aiohttp]'" in done.stdout
    assert not (tmp_path / "x.jsonl").exists()


@pytest.mark.parametrize(
    ("source", "beginning"),
    [
        ("http://127.0.0.1:7860/app", "127.0.0.1-7860-2"),
        ("https://me:password@host.example", "host.example-2"),
        ("owner/name", "owner-name-2"),
        ("http://[::1]:7860", "1--7860-2"),
    ],
)
def test_the_default_name(source: str, beginning: str) -> None:
    name = str(default_path(source))
    assert name.startswith(beginning)
    assert name.endswith(".jsonl")
    assert "/" not in name


class TestTLS:
    """An app that is reached by TLS, behind a proxy that speaks plain http."""

    @pytest.fixture
    def authority(self, tmp_path: Path) -> trustme.CA:
        made = trustme.CA()
        made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        return made

    def use(self, authority: trustme.CA, path: Path, verify: bool | str) -> tuple[str, list[str]]:
        """Return the address of the app, and the cookies that a client of the proxy gets."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            if request.path == "/x":
                return web.Response(headers={"Set-Cookie": "a=1; Secure; SameSite=None"})
            known = {"/config": CONFIG, "/gradio_api/info": INFO}
            return web.json_response(known.get(request.path, {}))

        async def main() -> tuple[str, list[str]]:
            async with (
                serving(handle, context) as origin,
                RecordingServer(origin, path, RecordingOptions(verify=verify)) as running,
                aiohttp.ClientSession() as session,
                session.get(f"{running.url}/x") as reply,
            ):
                return running.app_url, reply.headers.getall("set-cookie")

        return anyio.run(main)

    def test_a_certificate_is_checked(self, authority: trustme.CA, tmp_path: Path) -> None:
        with pytest.raises(gt.ConnectError, match=r"(?i)certificate"):
            self.use(authority, tmp_path / "x.jsonl", True)

    @pytest.mark.parametrize("named", [True, False])
    def test_by_a_bundle_that_is_named_or_not_at_all(
        self, authority: trustme.CA, tmp_path: Path, named: bool
    ) -> None:
        verify = str(tmp_path / "ca.pem") if named else False
        app_url, cookies = self.use(authority, tmp_path / "x.jsonl", verify)
        assert app_url.startswith("https://127.0.0.1:")
        assert cookies == ["a=1"]
