# SPDX-License-Identifier: Apache-2.0
"""Requests and errors of the engines over httpcore."""

from __future__ import annotations

import ssl

import attrs
import httpcore
import httpcore2
import httpx
import pytest

from gradio_transport.engines import httpcore_common as common
from gradio_transport.engines.base import Patience, StreamEnded
from gradio_transport.engines.bounds import Bounds, BrokenError, LateError
from gradio_transport.engines.content_coding import Unpacker
from gradio_transport.engines.request_body import request_headers
from gradio_transport.engines.routes import Routes
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.errors import ConnectError, LocalProtocolError, Phase, StreamLost, TimeoutExpired
from gradio_transport.protocol.commands import Ending, Request, Response

URL = "http://app:7860/join?token=secret"
ROUTES = Routes(HTTPSettings())
PATIENCE = Patience(3, 7, "join", Phase.JOIN, 100)
DOWNLOAD = attrs.evolve(PATIENCE, phase=Phase.DOWNLOAD, setting="download")

libraries = pytest.mark.parametrize(("core", "library"), [(httpcore, "httpx"), (httpcore2, "httpx2")])


class TestRequests:
    @libraries
    def test_a_request_has_our_codings_and_the_credentials_of_its_url(self, core, library):
        made = common.build_request(core, library, Request("GET", "http://me:p%40ss@app:80/x?y=1"), {}, None)
        headers = dict(made.headers)
        assert headers[b"Host"] == b"app"
        assert headers[b"accept-encoding"] == b"gzip, deflate"
        assert headers[b"authorization"] == b"Basic bWU6cEBzcw=="
        assert b"Content-Length" not in headers
        assert (made.url.host, made.url.target) == (b"app", b"/x?y=1")

    @libraries
    def test_what_the_library_takes_for_no_url_is_an_error_of_the_connection(self, core, library):
        with pytest.raises(ValueError, match="it is not a URL") as caught:
            common.parse_url(library, "http://host/\x1b")
        assert caught.value.__cause__ is None
        request = Request("GET", "http://host/\x1b")
        bounds = Bounds(PATIENCE, is_form=False, joiner=None)
        ours = common.request_error(core, caught.value, request, PATIENCE, bounds, ROUTES)
        assert type(ours) is ConnectError

    def test_an_authorization_of_the_request_goes_before_that_of_its_url(self):
        own = Request("GET", "http://me:p%40ss@app/x", {"authorization": "Bearer own"})
        made = common.build_request(httpcore, "httpx", own, {}, None)
        assert dict(made.headers)[b"authorization"] == b"Bearer own"

    @pytest.mark.parametrize(
        "request_",
        [
            Request.get("http://app:7860/config"),
            Request.post_json("http://app:7860/join", {"data": ["x"]}),
            Request("POST", "https://app/cancel"),
            Request("GET", "http://app/file=/tmp/ü b.png", {"cookie": "a=1"}),
        ],
    )
    def test_the_wire_is_that_of_a_client_of_httpx(self, request_):
        made = common.build_request(httpcore, "httpx", request_, {}, request_.body)
        with httpx.Client() as client:
            expected = client.build_request(
                request_.method,
                request_.url,
                headers={"accept-encoding": "gzip, deflate", **request_headers(request_)},
                content=request_.body,
            )
        wire = {name.lower(): value for name, value in made.headers}
        assert wire == {name.lower(): value for name, value in expected.headers.raw}
        assert made.url.target == expected.url.raw_path

    def test_a_header_that_is_no_ascii_is_an_error(self):
        with pytest.raises(LocalProtocolError, match="'x' has characters outside ASCII"):
            common.build_request(httpcore, "httpx", Request("GET", URL, {"x": "ü"}), {}, None)


class TestErrors:
    def translate(self, error, patience=PATIENCE, core=httpcore, *, connected=False):
        bounds = Bounds(patience)
        if connected:
            bounds.begin_head()
        ours = common.request_error(core, error, Request("GET", URL), patience, bounds, ROUTES)
        assert "secret" not in str(ours)
        return ours

    def test_no_connection_in_time_names_its_setting_and_may_be_tried_again(self):
        error = self.translate(LateError())
        assert isinstance(error, TimeoutExpired)
        assert (error.setting, error.seconds, error.retryable) == ("connect", 3, True)

    def test_a_reply_that_does_not_begin_may_not_be_asked_for_again(self):
        error = self.translate(LateError(), connected=True)
        assert isinstance(error, TimeoutExpired)
        assert (error.setting, error.seconds, error.retryable) == ("join", 7, False)
        assert self.translate(LateError(), DOWNLOAD, connected=True).retryable is True

    @libraries
    def test_the_wait_for_a_free_connection_is_part_of_that_for_the_reply(self, core, library):
        error = self.translate(core.PoolTimeout(), core=core)
        assert (error.setting, error.retryable) == ("join", True)

    def test_what_breaks_once_there_is_a_connection_may_have_been_sent(self):
        assert isinstance(self.translate(RuntimeError("closed"), connected=True), StreamLost)
        assert isinstance(self.translate(RuntimeError("closed")), ConnectError)

    def test_a_connection_that_cannot_be_made_and_one_that_broke(self):
        refused = BrokenError(OSError("refused"))
        assert isinstance(self.translate(refused), ConnectError)
        error = self.translate(BrokenError(OSError("reset by peer")), connected=True)
        assert isinstance(error, StreamLost)
        assert (
            error.message
            == "The connection to http://app:7860/join broke before a reply arrived: reset by peer."
        )

    @libraries
    def test_the_errors_of_httpcore_are_taken_for_what_they_are(self, core, library):
        assert isinstance(self.translate(core.ProxyError("407"), core=core), ConnectError)
        assert isinstance(self.translate(core.UnsupportedProtocol("ftp"), core=core), ConnectError)
        assert isinstance(self.translate(core.RemoteProtocolError("bad"), core=core), StreamLost)

    def test_a_bad_certificate_is_not_tried_again(self):
        assert self.translate(BrokenError(ssl.SSLCertVerificationError("self-signed"))).retryable is False
        assert self.translate(BrokenError(OSError("refused"))).retryable is not False

    def test_errors_of_ours_and_of_the_program_pass(self):
        for error in (LocalProtocolError("The file changed."), ZeroDivisionError()):
            assert self.translate(error) is error
        assert isinstance(self.translate(OSError("no descriptor")), ConnectError)


def fail(error):
    if error is not None:
        raise error


class TestBodies:
    def end(self, error=None, unpacking=None):
        with pytest.raises(StreamEnded) as caught, common.translate_body_errors(httpcore, unpacking, None):
            fail(error)
        return caught.value.closed.ending

    def test_silence_and_a_reset_end_a_stream_differently(self):
        assert self.end(LateError()) is Ending.IDLE
        assert self.end(BrokenError(OSError("reset"))) is Ending.RESET
        assert self.end(httpcore.RemoteProtocolError("incomplete")) is Ending.RESET
        assert self.end(RuntimeError("closed")) is Ending.RESET

    def test_damaged_coding_is_the_reason_even_if_the_connection_ends_cleanly(self):
        unpacking = Unpacker(Response(200, {"content-encoding": "gzip"}))
        assert list(unpacking.feed(b"no gzip at all")) == []
        assert self.end(unpacking=unpacking) is Ending.RESET
        assert self.end(LateError(), unpacking) is Ending.RESET

    def test_a_clean_end_raises_nothing(self):
        passed = []
        with common.translate_body_errors(httpcore, None, None):
            passed.append(True)
        assert passed
