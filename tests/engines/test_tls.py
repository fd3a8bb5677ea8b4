# SPDX-License-Identifier: Apache-2.0
"""TLS contexts."""

from __future__ import annotations

import ssl

import pytest

from gradio_transport.engines import tls
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.engines.tls import ssl_context


def test_a_context_of_the_callers_is_used_for_every_scheme():
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    settings = HTTPSettings(verify=own)
    assert ssl_context(settings, "https") is ssl_context(settings, "http") is own


def test_the_default_is_shared_and_verifies():
    first, second = (ssl_context(HTTPSettings(), "https") for _ in range(2))
    assert first is second
    assert (first.check_hostname, first.verify_mode) == (True, ssl.CERT_REQUIRED)


def test_the_authorities_of_the_environment_count_unless_it_is_left_out(monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nowhere.pem"))
    tls._default_context.cache_clear()
    try:
        assert ssl_context(HTTPSettings(trust_env=False), "https").get_ca_certs()
        with pytest.raises(OSError, match="No such file"):
            ssl_context(HTTPSettings(), "https")
    finally:
        tls._default_context.cache_clear()


def test_without_verification_neither_name_nor_certificate_is_checked():
    context = ssl_context(HTTPSettings(verify=False), "https")
    assert (context.check_hostname, context.verify_mode) == (False, ssl.CERT_NONE)


def test_plain_http_loads_no_authorities_and_trusts_none():
    context = ssl_context(HTTPSettings(), "http")
    assert context.get_ca_certs() == []
    assert context.verify_mode is ssl.CERT_REQUIRED
