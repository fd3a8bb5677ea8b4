# SPDX-License-Identifier: Apache-2.0
"""Certificates of the fault bench, made when they are needed, so that the package contains no private key."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeAlias

_lock = threading.RLock()
"""Makes concurrent callers get the same authority."""

NAMES = ("127.0.0.1", "::1", "localhost")
"""The hosts that a proper certificate names."""

Trust: TypeAlias = Any
"""The module ``trustme``, without its types."""


def _import_trustme() -> Trust:
    try:
        import trustme
    except ImportError:
        raise RuntimeError(
            "Faults of TLS need the package trustme: pip install 'gradio-transport[conformance]'."
        ) from None
    return trustme


@lru_cache(maxsize=1)
def _authority() -> Any:
    return _import_trustme().CA()


def authority_pem() -> bytes:
    """Return the certificate, as PEM, of the authority that a client of the bench must trust."""
    with _lock:
        pem: bytes = _authority().cert_pem.bytes()
    return pem


_KINDS: Mapping[str, Callable[[], Any]] = {
    "proper": lambda: _authority().issue_cert(*NAMES),
    "unknown": lambda: _import_trustme().CA().issue_cert(*NAMES),
    "expired": lambda: _authority().issue_cert(*NAMES, not_after=datetime(2020, 1, 1, tzinfo=UTC)),
    "to come": lambda: _authority().issue_cert(*NAMES, not_before=datetime(2200, 1, 1, tzinfo=UTC)),
    "elsewhere": lambda: _authority().issue_cert("elsewhere.example"),
}


def server_context(kind: str) -> ssl.SSLContext:
    """Return the TLS context of a server whose certificate is ``proper``, or has one defect.

    Args:
        kind: ``proper``, ``self-signed``, ``unknown`` (its authority), ``expired``, ``to come`` (not valid
            yet) or ``elsewhere`` (it names another host).
    """
    with _lock:
        return _server_context(kind)


@lru_cache(maxsize=8)
def _server_context(kind: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if kind == "self-signed":
        alone = _import_trustme().CA()
        with alone.private_key_pem.tempfile() as key, alone.cert_pem.tempfile() as certificate:
            context.load_cert_chain(certificate, key)
    else:
        _KINDS[kind]().configure_cert(context)
    return context


__all__ = ["authority_pem", "server_context"]
