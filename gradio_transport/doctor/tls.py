# SPDX-License-Identifier: Apache-2.0
"""TLS: the server's certificate, and why it is not trusted."""

from __future__ import annotations

import re
import ssl
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import attrs

from ..engines.bounds import Bounds
from ..engines.libraries import load_core
from ..engines.settings import HTTPSettings
from ..engines.sockets import SocketBackend
from ..engines.tunnels import open_connection
from ..errors import ConnectError, GradioTransportError, Phase, TimeoutExpired, list_texts
from ..policy import Timeouts
from ..protocol.commands import Request, SendRequest
from .certificate import Certificate, UnreadableError, read_certificate
from .patient import Patient, milliseconds, since
from .report import Finding, failure, ok, skipped, warning

SOON = timedelta(days=14)
"""Remaining validity of a certificate below which there is a warning."""

# Error codes of OpenSSL (X509_V_ERR_*).
_NOT_YET_VALID, _EXPIRED = 9, 10
_SELF_SIGNED, _UNKNOWN_ROOT, _UNKNOWN_ISSUER, _NO_ISSUER = 18, 19, 20, 21
_WRONG_NAME, _WRONG_ADDRESS = 62, 64

INTERCEPTORS = (
    "zscaler", "netskope", "fortinet", "fortigate", "palo alto", "blue coat", "bluecoat", "mcafee",
    "umbrella", "sophos", "kaspersky", "avast", "eset", "bitdefender", "mitmproxy", "charles proxy",
    "fiddler",
    "portswigger", "squid", "forcepoint", "websense", "check point", "barracuda", "watchguard", "sonicwall",
    "untangle", "cloudflare for teams", "cato networks", "iboss", "smoothwall", "adguard",
)  # fmt: skip
"""Words in the issuer's name of programs that decrypt the connections of a network or machine."""

_INTERCEPTOR = re.compile(rf"\b(?:{'|'.join(INTERCEPTORS)})\b", re.IGNORECASE)


def check_tls(patient: Patient) -> Finding:
    """Do the TLS handshake as every request does, and read the certificate."""
    if patient.scheme != "https":
        return skipped("The URL has http://, which is not encrypted.")
    began = time.monotonic()
    try:
        der, version = _shake_hands(patient, patient.options.http)
    except GradioTransportError as error:
        return _untrusted(patient, error)
    patient.times["TCP and TLS"] = since(began)
    seen = [f"{version}, in {milliseconds(since(began))} with the connection."]
    certificate = _read(der)
    if certificate is None:
        return ok(*seen, "The certificate cannot be read here.")
    seen += _describe(certificate)
    if patient.options.http.verify is False:
        return _unchecked(patient, seen)
    left = certificate.ends - datetime.now(UTC)
    if left < SOON:
        return warning(*seen, advice=f"It expires in {left.days} days. Its owner must renew it.")
    return ok(*seen)


def _unchecked(patient: Patient, seen: list[str]) -> Finding:
    """Check the certificate anyway, so that the user knows the risk."""
    seen.append("The certificate is not checked, as you asked (--insecure, verify=False).")
    try:
        _shake_hands(patient, attrs.evolve(patient.options.http, verify=True))
    except GradioTransportError as error:
        code = _verify_code(error)
        reason = "" if code is None else f": {code.verify_message}"
        return warning(*seen, f"It would be refused{reason}.", advice="Do not send secrets over it.")
    return warning(*seen, "It would be accepted.", advice="Omit --insecure: it is not needed.")


def _shake_hands(patient: Patient, settings: HTTPSettings) -> tuple[bytes, str]:
    """Connect, and return the server's certificate and the version of TLS.

    Raises:
        ConnectError: There is no connection, or its certificate is not trusted.
        TimeoutExpired: The handshake took too long.
    """
    url = f"wss{patient.app.base.removeprefix('https')}"
    command = SendRequest("tls", Request.get(patient.app.base), Phase.DISCOVER)
    timeouts = patient.options.timeouts
    patience = patient.app.patience(command, timeouts.replace(connect=_connect_seconds(timeouts)))
    backend = SocketBackend(load_core(settings.library).WriteError)
    stream = open_connection(url, settings, patience, Bounds(patience), backend, patient.routes)
    try:
        tls = stream.get_extra_info("ssl_object")
        return tls.getpeercert(True) or b"", tls.version() or "TLS"
    finally:
        stream.close()


def _connect_seconds(timeouts: Timeouts) -> float:
    return min(timeouts.connect or 10.0, 10.0)


def _untrusted(patient: Patient, error: GradioTransportError) -> Finding:
    problem = _verify_code(error)
    if problem is None:
        return _no_tls(patient, error)
    certificate: Certificate | None = None
    without_checks = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    without_checks.check_hostname, without_checks.verify_mode = False, ssl.CERT_NONE
    with suppress(GradioTransportError):
        settings = attrs.evolve(patient.options.http, verify=without_checks)
        certificate = _read(_shake_hands(patient, settings)[0])
    seen = [f"The certificate is not trusted: {problem.verify_message}."]
    seen += [] if certificate is None else _describe(certificate)
    if certificate is not None and certificate.ends < datetime.now(UTC) and problem.verify_code != _EXPIRED:
        seen.append("It has also expired.")
    return failure(*seen, advice=_advice(patient, problem.verify_code, certificate), error=error)


def _no_tls(patient: Patient, error: GradioTransportError) -> Finding:
    cause: BaseException | None = error.__cause__
    advice = "See the message; the server or a proxy in front of it closed the connection."
    if isinstance(cause, ssl.SSLError):
        if "does not speak TLS" in error.message:
            advice = f"The server does not encrypt on this port. Use http{patient.app.base[5:]}."
        else:
            advice = (
                "Server and client have no version or cipher of TLS in common; the server must be updated."
            )
    elif isinstance(error, TimeoutExpired):
        advice = (
            "The port is open, but there is no TLS reply. Another service than https may listen on it, or a "
            "firewall lets only the connection through."
        )
    elif isinstance(error, ConnectError) and patient.proxy is not None:
        advice = "The proxy does not open a tunnel to that host and port. Ask its administrator."
    return failure(error.message, advice=advice, error=error)


def _verify_code(error: BaseException) -> ssl.SSLCertVerificationError | None:
    cause: BaseException | None = error
    for _ in range(10):
        if cause is None or isinstance(cause, ssl.SSLCertVerificationError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None


def _read(der: bytes) -> Certificate | None:
    try:
        return read_certificate(der)
    except UnreadableError:
        return None


def _describe(certificate: Certificate) -> list[str]:
    names = list_texts(certificate.names, most=6) or "no host"
    return [
        f"The certificate is for {names}.",
        f"It was issued by {certificate.issuer}.",
        f"It is valid from {certificate.begins:%Y-%m-%d} to {certificate.ends:%Y-%m-%d}.",
    ]


def interceptor(issuer: str) -> str:
    """Return the issuer's name if it is a program that decrypts TLS; else an empty string."""
    return issuer if _INTERCEPTOR.search(issuer) else ""


def _advice(patient: Patient, code: int, certificate: Certificate | None) -> list[str]:
    issuer = "" if certificate is None else certificate.issuer
    now = datetime.now(UTC)
    clock = f"The clock of this machine shows {now:%Y-%m-%d %H:%M} UTC. Correct it if that is wrong."
    trust = (
        "To trust it, set SSL_CERT_FILE to the file of its authority (in a program: verify='ca.pem'). "
        "--insecure skips all checks, and exposes your secrets on the network."
    )
    if code == _EXPIRED:
        return [clock, "If it is right, the owner of the server must renew the certificate."]
    if code == _NOT_YET_VALID:
        return [clock]
    if code in (_WRONG_NAME, _WRONG_ADDRESS):
        names = "" if certificate is None else list_texts(certificate.names, most=6)
        advice = f"It is not valid for {patient.host}. Use one of its names: {names}." if names else ""
        return [
            advice or f"It is not valid for {patient.host}.",
            "If the app does not have that name, the address leads to another server or a proxy.",
        ]
    if interceptor(issuer):
        return [
            (
                f"{issuer} decrypts the connections of this network or machine, and signs the certificates "
                f"itself."
            ),
            (
                "Ask its administrator for the file of its authority, and set SSL_CERT_FILE to it (in a "
                "program: verify=)."
            ),
        ]
    if code == _SELF_SIGNED:
        return ["The certificate is self-signed.", trust]
    if code in (_UNKNOWN_ROOT, _UNKNOWN_ISSUER, _NO_ISSUER):
        return [
            (
                "This machine does not know its authority. Possible reasons: a company's own authority, a "
                "network that decrypts TLS, or a server that does not send its intermediate certificate."
            ),
            trust,
        ]
    return [trust]
