# SPDX-License-Identifier: Apache-2.0
"""Engines over an HTTP client of the caller's: what they promise, and the errors of the libraries in ours."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator

import attrs
import httpx
import httpx2
import pytest
from faces import with_app
from scripted import Reply, Scripted, scripted

import gradio_transport as gt
from gradio_transport.engines import client_common as common
from gradio_transport.engines.base import Patience, StreamEnded
from gradio_transport.engines.client_async import AsyncClientEngine
from gradio_transport.engines.client_sync import ClientEngine
from gradio_transport.engines.content_coding import Unpacker
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.errors import (
    ConnectError,
    EventTooLarge,
    LocalProtocolError,
    Phase,
    StreamLost,
    TimeoutExpired,
)
from gradio_transport.protocol.commands import Ending, Request, Response

URL = "http://app:7860/join?token=secret"
PATIENCE = Patience(3, 7, "join", Phase.JOIN, 100)
DOWNLOAD = attrs.evolve(PATIENCE, phase=Phase.DOWNLOAD, setting="download")

modules = pytest.mark.parametrize("module", [httpx, httpx2])


@modules
@pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
@pytest.mark.parametrize(
    ("given", "adds"),
    [
        ({}, False),
        ({"headers": {"User-Agent": "mine", "accept": "text/html"}}, False),
        ({"timeout": 1, "follow_redirects": True, "base_url": "http://app"}, False),
        ({"headers": {"X-Key": "1"}}, True),
        ({"cookies": {"a": "1"}}, True),
        ({"auth": ("ann", "secret")}, True),
        ({"params": {"key": "1"}}, True),
    ],
)
def test_what_a_client_adds_to_each_request_is_known(module, kind, given, adds):
    assert common.adds_headers(getattr(module, kind)(**given)) is adds


class TestErrors:
    def translate(self, error, patience=PATIENCE, module=httpx):
        with (
            pytest.raises(Exception) as caught,
            common.translate_errors(module, Request("GET", URL), patience),
        ):
            raise error
        assert "secret" not in str(caught.value)
        return caught.value

    @modules
    def test_no_connection_in_time_names_its_setting_and_may_be_tried_again(self, module):
        error = self.translate(module.ConnectTimeout("late"), module=module)
        assert isinstance(error, TimeoutExpired)
        assert (error.setting, error.seconds, error.retryable) == ("connect", 3, True)

    @modules
    def test_a_reply_that_does_not_begin_may_not_be_asked_for_again(self, module):
        error = self.translate(module.ReadTimeout("late"), module=module)
        assert isinstance(error, TimeoutExpired)
        assert (error.setting, error.seconds, error.retryable) == ("join", 7, False)
        assert self.translate(module.ReadTimeout("late"), DOWNLOAD, module).retryable is True

    @modules
    def test_a_request_that_gets_no_connection_of_the_pool_was_not_sent(self, module):
        error = self.translate(module.PoolTimeout("full"), module=module)
        assert (error.setting, error.retryable) == ("join", True)

    @modules
    def test_a_connection_that_cannot_be_made_and_one_that_broke(self, module):
        assert isinstance(self.translate(module.ConnectError("refused"), module=module), ConnectError)
        error = self.translate(module.ReadError("reset by peer"), module=module)
        assert isinstance(error, StreamLost)
        assert (
            error.message
            == "The connection to http://app:7860/join broke before a reply arrived: reset by peer."
        )

    def test_a_bad_certificate_is_not_tried_again(self):
        bad = httpx.ConnectError("failed")
        bad.__cause__ = ssl.SSLCertVerificationError("self-signed")
        assert self.translate(bad).retryable is False
        assert self.translate(httpx.ConnectError("refused")).retryable is not False

    def test_errors_of_ours_pass(self):
        ours = LocalProtocolError("The file changed.")
        assert self.translate(ours) is ours
        assert isinstance(self.translate(OSError("no descriptor")), ConnectError)


def fail(error):
    if error is not None:
        raise error


class TestBodies:
    def end(self, error=None, unpacking=None):
        with pytest.raises(StreamEnded) as caught, common.translate_body_errors(httpx, unpacking):
            fail(error)
        return caught.value.closed.ending

    def test_silence_and_a_reset_end_a_stream_differently(self):
        assert self.end(httpx.ReadTimeout("late")) is Ending.IDLE
        assert self.end(httpx.ReadError("reset")) is Ending.RESET
        assert self.end(RuntimeError("closed")) is Ending.RESET

    def test_damaged_coding_is_the_reason_even_if_the_connection_ends_cleanly(self):
        unpacking = Unpacker(Response(200, {"content-encoding": "gzip"}))
        assert list(unpacking.feed(b"no gzip at all")) == []
        assert self.end(unpacking=unpacking) is Ending.RESET
        assert self.end(httpx.ReadTimeout("late"), unpacking) is Ending.RESET

    def test_a_clean_end_raises_nothing(self):
        passed = []
        with common.translate_body_errors(httpx, None):
            passed.append(True)
        assert passed


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


@pytest.fixture(params=["sync", "asyncio", "trio"])
def face(request) -> str:
    return request.param


def play(face, server, use, **options):
    """Use an app over a client of one's own."""
    if face == "sync":
        with httpx.Client() as client:
            return with_app(face, server.url, use, engine=client, **options)

    async def main():
        async with (
            httpx.AsyncClient() as client,
            gt.connect_async(server.url, engine=client, **options) as app,
        ):
            return await use(app, awaited)

    async def awaited(value):
        return await value

    import anyio

    return anyio.run(main, backend=face)


def test_calls_streams_and_uploads_go_over_the_client(server, face):
    server.scripts["/gradio_api/upload"] = lambda reply: reply.json(["/tmp/a.txt"])

    async def use(app, wait):
        return [
            await wait(app.call("/hello", value)) for value in ("x", gt.handle_file(b"content", name="a"))
        ]

    greeting, uploaded = play(face, server, use)
    assert greeting == ["Hello, x!"]
    assert "/tmp/a.txt" in uploaded[0]


def test_a_body_that_drips_is_bounded(server, face):
    def drips(reply: Reply) -> None:
        reply.stream("application/json")
        while not reply.server.released.wait(0.02):
            reply.chunk(b" ")

    server.scripts["/gradio_api/run/direct"] = drips

    async def use(app, wait):
        began = time.monotonic()
        with pytest.raises(TimeoutExpired) as caught:
            await wait(app.call("/direct", "x"))
        return time.monotonic() - began, caught.value.setting

    seconds, setting = play(face, server, use, timeouts=gt.Timeouts(total=0.4))
    assert seconds < 3
    assert setting == "total"


def test_a_body_that_is_too_large_is_refused(server, face):
    server.scripts["/gradio_api/run/direct"] = lambda reply: reply.json({"data": ["x" * 5000]})

    async def use(app, wait):
        with pytest.raises(EventTooLarge):
            await wait(app.call("/direct", "x"))

    play(face, server, use, limits=gt.Limits(max_response_bytes=1000))


def test_a_connection_is_not_used_again_behind_a_server_error(server):
    server.scripts["/gradio_api/run/direct"] = lambda reply: reply.json({"error": None}, 500)
    patience = Patience(5, 5, "join", Phase.COMPLETE, 1000)
    request = Request("POST", f"{server.url}/gradio_api/run/direct", body=b"{}")
    with httpx.Client() as client:
        engine = ClientEngine(HTTPSettings(), client)
        stream = engine.stream(request, patience)
        sock = stream._response.extensions["network_stream"].get_extra_info("socket")
        stream.read()
        stream.close()
        assert (
            client.get(f"{server.url}/config").extensions["network_stream"].get_extra_info("socket")
            is not sock
        )
        engine.close()


def test_a_closed_engine_sends_nothing(server):
    patience = Patience(5, 5, "join", Phase.JOIN, 1000)
    with httpx.Client() as client:
        engine = ClientEngine(HTTPSettings(), client)
        engine.close()
        with pytest.raises(LocalProtocolError, match="closed"):
            engine.request(Request("GET", server.url), patience)
    assert server.seen == []


def test_in_a_child_of_fork_the_client_is_refused(server):
    patience = Patience(5, 5, "join", Phase.JOIN, 1000)
    with httpx.Client() as client:
        engine = ClientEngine(HTTPSettings(), client)
        engine.reset_after_fork()
        with pytest.raises(LocalProtocolError, match="belongs to the parent"):
            engine.request(Request("GET", server.url), patience)


def test_a_client_that_has_read_the_reply_already_is_taken_as_it_is():
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text="content", request=request)

    patience = Patience(5, 5, "join", Phase.JOIN, 1000)
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        response = ClientEngine(HTTPSettings(), client).request(Request("GET", "http://app/"), patience)
    assert response.body == b"content"

    async def main():
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            engine = AsyncClientEngine(HTTPSettings(), client)
            return await engine.request(Request("GET", "http://app/"), patience)

    import anyio

    assert anyio.run(main).body == b"content"
