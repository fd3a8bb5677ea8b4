# SPDX-License-Identifier: Apache-2.0
"""Routes, TLS contexts and errors that the engines share."""

from __future__ import annotations

import ssl

import attrs
import httpx
import httpx2
import pytest

from gradio_transport.engines import httpx_common as common
from gradio_transport.engines.base import Patience, StreamEnded
from gradio_transport.engines.content_coding import Unpacker
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.errors import (
    ConnectError,
    LocalProtocolError,
    Phase,
    RemoteProtocolError,
    StreamLost,
    TimeoutExpired,
    UnsupportedProtocol,
)
from gradio_transport.protocol.commands import Closed, Ending, Request, Response

URL = "http://app:7860/join?token=secret"
PATIENCE = Patience(3, 7, "join", Phase.JOIN, 100)
DOWNLOAD = attrs.evolve(PATIENCE, phase=Phase.DOWNLOAD, setting="download")

modules = pytest.mark.parametrize("module", [httpx, httpx2])


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class TestRoutes:
    def test_a_websocket_goes_the_way_of_its_http_scheme(self):
        routes = common.Routes(HTTPSettings())
        assert routes.find("ws://app/queue/join") == routes.find("http://app/x") == common.Route("http", None)
        assert routes.find("wss://app/queue/join") == common.Route("https", None)

    def test_the_proxy_is_that_of_the_scheme_or_else_that_of_all(self, monkeypatch):
        monkeypatch.setenv("https_proxy", "http://secure:1")
        monkeypatch.setenv("all_proxy", "any:2")
        routes = common.Routes(HTTPSettings())
        assert routes.find("https://app/").proxy == "http://secure:1"
        assert routes.find("http://app/").proxy == "http://any:2"

    def test_hosts_of_no_proxy_are_reached_directly(self, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://proxy:1")
        monkeypatch.setenv("no_proxy", "localhost,app")
        routes = common.Routes(HTTPSettings())
        assert routes.find("http://app:7860/x").proxy is None
        assert routes.find("http://other/x").proxy == "http://proxy:1"

    def test_the_setting_goes_before_the_environment_and_its_exceptions(self, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://proxy:1")
        monkeypatch.setenv("no_proxy", "app")
        assert common.Routes(HTTPSettings(proxy="http://own:3")).find("http://app/").proxy == "http://own:3"

    def test_an_origin_keeps_its_route_and_another_port_is_another_origin(self, monkeypatch):
        routes = common.Routes(HTTPSettings())
        assert routes.find("http://app:1/x").proxy is None
        monkeypatch.setenv("http_proxy", "http://proxy:1")
        assert routes.find("http://app:1/y").proxy is None
        assert routes.find("http://app:2/x").proxy == "http://proxy:1"


class TestTLS:
    def test_a_context_of_the_callers_is_used_for_every_scheme(self):
        own = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        settings = HTTPSettings(verify=own)
        assert common.ssl_context(settings, "https") is common.ssl_context(settings, "http") is own

    def test_the_default_is_shared_and_verifies(self):
        first, second = (common.ssl_context(HTTPSettings(), "https") for _ in range(2))
        assert first is second
        assert (first.check_hostname, first.verify_mode) == (True, ssl.CERT_REQUIRED)

    def test_without_verification_neither_name_nor_certificate_is_checked(self):
        context = common.ssl_context(HTTPSettings(verify=False), "https")
        assert (context.check_hostname, context.verify_mode) == (False, ssl.CERT_NONE)

    def test_plain_http_loads_no_authorities_and_trusts_none(self):
        context = common.ssl_context(HTTPSettings(), "http")
        assert context.get_ca_certs() == []
        assert context.verify_mode is ssl.CERT_REQUIRED


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
    def test_a_connection_that_cannot_be_made_and_one_that_broke(self, module):
        assert isinstance(self.translate(module.ConnectError("refused"), module=module), ConnectError)
        error = self.translate(module.ReadError("reset by peer"), module=module)
        assert isinstance(error, StreamLost)
        assert (
            error.message
            == "The connection to http://app:7860/join broke before an answer came: reset by peer."
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

    def test_the_seconds_of_a_whole_call_are_those_of_its_total(self):
        late = attrs.evolve(PATIENCE, connect_setting="total", total=100.0)
        error = common.connect_timeout("http://app", late)
        assert (error.setting, error.seconds) == ("total", 100.0)
        assert "100.0 s for the whole call" in error.message

    def test_the_reason_is_that_of_the_cause_if_the_error_has_none(self):
        empty = ValueError()
        assert common.reason(empty) == "ValueError"
        empty.__cause__ = OSError("No route to host.")
        assert common.reason(empty) == "No route to host"

    def test_a_body_that_was_silent_is_late_and_one_that_broke_is_lost(self):
        head, request = Response(200), Request("GET", URL)
        late = common.incomplete_body_error(request, PATIENCE, head, Closed(Ending.IDLE, reason="late"))
        lost = common.incomplete_body_error(request, PATIENCE, head, Closed(Ending.RESET, reason="reset"))
        assert isinstance(late, TimeoutExpired)
        assert isinstance(lost, StreamLost)
        assert lost.may_have_run is True
        assert "broke off: reset" in lost.message


def fail(error):
    if error is not None:
        raise error


class TestBodies:
    def end(self, error=None, unpacking=None):
        with pytest.raises(StreamEnded) as caught, common.translate_stream_errors(httpx, unpacking):
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
        with common.translate_stream_errors(httpx, None):
            passed.append(True)
        assert passed

    @pytest.mark.parametrize(
        ("status", "headers", "expected"),
        [
            (500, {"content-length": "12"}, 12),
            (503, {"content-length": "0"}, 0),
            (200, {"content-length": "12"}, None),
            (404, {"content-length": "12"}, None),
            (500, {}, None),
            (500, {"content-length": "-1"}, None),
            (500, {"content-length": "12", "content-encoding": "gzip"}, None),
        ],
    )
    def test_a_connection_is_dropped_behind_a_server_error_of_known_length(self, status, headers, expected):
        assert common.drop_after_bytes(Response(status, headers)) == expected

    def test_a_coding_that_was_not_requested_is_an_error_and_none_needs_no_decoder(self):
        assert common.unpacker(Response(200), PATIENCE) is None
        assert common.unpacker(Response(200, {"content-encoding": "gzip"}), PATIENCE) is not None
        with pytest.raises(RemoteProtocolError, match="'br'"):
            common.unpacker(Response(200, {"content-encoding": "br"}, url=URL), PATIENCE)


@modules
def test_a_request_has_our_codings_and_the_credentials_of_its_url(module):
    made = common.build_request(module, Request("GET", "http://me:p%40ss@app/x"), PATIENCE, None)
    assert made.headers["accept-encoding"] == "gzip, deflate"
    assert made.headers["authorization"] == "Basic bWU6cEBzcw=="
    assert made.extensions["timeout"] == {"connect": 3, "read": 7, "write": 7, "pool": 7}
    own = Request("GET", "http://me:p%40ss@app/x", {"authorization": "Bearer own"})
    assert common.build_request(module, own, PATIENCE, None).headers["authorization"] == "Bearer own"


def test_a_library_that_is_not_installed_is_named_with_its_extra():
    with pytest.raises(UnsupportedProtocol, match=r"gradio-transport\[httpx9\]"):
        common.load("httpx9")
