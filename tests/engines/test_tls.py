# SPDX-License-Identifier: Apache-2.0
"""TLS contexts."""

from __future__ import annotations

import ssl

import pytest

from gradio_transport.engines import tls
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.engines.tls import ssl_context
from gradio_transport_conformance.faults.certificates import authority_pem


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


def test_transports_without_verification_share_their_context():
    first, second = (ssl_context(HTTPSettings(verify=False), "https") for _ in range(2))
    assert first is second


def test_transports_share_the_context_of_a_bundle_until_it_changes(tmp_path):
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(authority_pem())
    first, second = (ssl_context(HTTPSettings(verify=str(bundle)), "https") for _ in range(2))
    assert first is second
    assert len(first.get_ca_certs()) == 1
    bundle.write_bytes(authority_pem() + b"\n")
    assert ssl_context(HTTPSettings(verify=str(bundle)), "https") is not first
    bundle.unlink()
    with pytest.raises(OSError, match="No such file"):
        ssl_context(HTTPSettings(verify=str(bundle)), "https")


@pytest.mark.parametrize("verify", [False, "nowhere.pem"])
def test_plain_http_needs_no_context_of_its_own(verify):
    assert ssl_context(HTTPSettings(verify=verify), "http") is ssl_context(HTTPSettings(), "http")


def test_plain_http_loads_no_authorities_and_trusts_none():
    context = ssl_context(HTTPSettings(), "http")
    assert context.get_ca_certs() == []
    assert context.verify_mode is ssl.CERT_REQUIRED
