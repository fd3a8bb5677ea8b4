# SPDX-License-Identifier: Apache-2.0
"""TLS: each defect of a certificate, by real handshakes."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from examined import examined, text
from heartbeats import app
from scripted import Scripted

from gradio_transport.doctor import tls
from gradio_transport.doctor.report import Result
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.errors import ConnectError, TimeoutExpired
from gradio_transport.policy import Timeouts
from gradio_transport_conformance.faults.certificates import authority_pem, server_context


@contextlib.contextmanager
def over_tls(context: ssl.SSLContext, **config: Any) -> Iterator[Scripted]:
    with app(**config) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        yield server


def https(server: Scripted) -> str:
    return server.url.replace("http://", "https://")


@pytest.fixture
def trusting(tmp_path: Path) -> HTTPSettings:
    """Settings that trust the authority of the servers here."""
    file = tmp_path / "ca.pem"
    file.write_bytes(authority_pem())
    return HTTPSettings(verify=str(file))


def test_a_proper_certificate(trusting: HTTPSettings) -> None:
    with over_tls(server_context("proper")) as server:
        report = examined(https(server), http=trusting, until="gradio")

    step = report.step("tls")
    assert step.result is Result.OK, text(step)
    assert "TLSv1.3" in text(step)
    assert "The certificate is for 127.0.0.1" in text(step) or "localhost" in text(step)
    assert report.step("gradio").result is Result.OK


@pytest.mark.parametrize(
    ("kind", "says", "advises"),
    [
        ("expired", "certificate has expired", "must renew the certificate"),
        ("to come", "not yet valid", "The clock of this machine shows"),
        ("elsewhere", "mismatch", "It is not valid for 127.0.0.1. Use one of its names: elsewhere.example."),
        ("unknown", "unable to get local issuer", "This machine does not know its authority"),
        ("self-signed", "self-signed certificate", "The certificate is self-signed"),
    ],
)
def test_a_defect(trusting: HTTPSettings, kind: str, says: str, advises: str) -> None:
    with over_tls(server_context(kind)) as server:
        report = examined(https(server), http=trusting)

    step = report.step("tls")
    assert step.result is Result.FAILURE
    assert says in text(step).replace("self signed", "self-signed")
    assert advises in text(step)
    assert "It was issued by" in text(step)
    assert isinstance(report.error, ConnectError)
    assert report.step("gradio").blocked_by == "tls"


def test_a_network_that_opens_tls() -> None:
    authority = trustme.CA(organization_name="Zscaler Inc.", organization_unit_name="Zscaler Root CA")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with over_tls(context) as server:
        step = examined(https(server), until="tls").step("tls")

    assert "Zscaler Inc. decrypts the connections of this network or machine" in text(step)
    assert "SSL_CERT_FILE" in text(step)


def test_a_certificate_that_ends_soon(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    soon = datetime.now(UTC) + timedelta(days=3, hours=1)
    authority.issue_cert("127.0.0.1", not_after=soon).configure_cert(context)
    file = tmp_path / "ca.pem"
    file.write_bytes(authority.cert_pem.bytes())
    with over_tls(context) as server:
        step = examined(https(server), http=HTTPSettings(verify=str(file)), until="tls").step("tls")

    assert step.result is Result.WARNING
    assert "It expires in 3 days" in text(step)


def test_what_is_not_checked_is_looked_at_all_the_same() -> None:
    with over_tls(server_context("expired")) as server:
        report = examined(https(server), http=HTTPSettings(verify=False), until="gradio")

    step = report.step("tls")
    assert step.result is Result.WARNING
    assert "It would be refused" in text(step)
    assert report.step("gradio").result is Result.OK


def test_a_server_without_tls() -> None:
    with app() as server:
        report = examined(https(server), until="tls")

    step = report.step("tls")
    assert step.result is Result.FAILURE
    assert f"does not encrypt on this port. Use {server.url}" in text(step)


def test_tls_where_plain_http_was_asked_for(trusting: HTTPSettings) -> None:
    with over_tls(server_context("proper")) as server:
        step = examined(server.url, http=trusting, until="gradio").step("gradio")

    assert step.result is Result.FAILURE
    assert "https://" in text(step)


@pytest.mark.parametrize(
    ("issuer", "expected"),
    [
        ("Zscaler Intermediate Root CA", True),
        ("mitmproxy", True),
        ("Let's Encrypt (R3)", False),
        ("Reset Authority", False),
        ("ESET SSL Filter CA", True),
    ],
)
def test_issuers_that_open_tls(issuer: str, expected: bool) -> None:
    assert bool(tls.interceptor(issuer)) is expected


def test_a_port_that_does_not_answer_to_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        report = examined(url, timeouts=Timeouts(connect=0.4))

    step = report.step("tls")
    assert step.result is Result.FAILURE
    assert "there is no TLS reply" in text(step)
    assert isinstance(report.error, TimeoutExpired)
