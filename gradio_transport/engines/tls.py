# SPDX-License-Identifier: Apache-2.0
"""TLS contexts, shared where they can be."""

from __future__ import annotations

import ssl
from functools import lru_cache

from .libraries import load
from .settings import HTTPSettings


@lru_cache(maxsize=8)
def _default_context(library: str, trust_env: bool) -> ssl.SSLContext:
    # Loading the CA bundle takes about 40 ms of CPU, so all transports of a process share the result.
    context: ssl.SSLContext = load(library).create_ssl_context(trust_env=trust_env)
    return context


@lru_cache(maxsize=1)
def _context_without_trust() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def ssl_context(settings: HTTPSettings, scheme: str) -> ssl.SSLContext:
    """Return the TLS context for a scheme; for plain http one without CAs, which is cheap."""
    if isinstance(settings.verify, ssl.SSLContext):
        return settings.verify
    if settings.verify is False:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context
    if scheme != "https":
        return _context_without_trust()
    if isinstance(settings.verify, str):
        return ssl.create_default_context(cafile=settings.verify)
    return _default_context(settings.library, settings.trust_env)
