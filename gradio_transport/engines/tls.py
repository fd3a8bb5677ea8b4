# SPDX-License-Identifier: Apache-2.0
"""TLS contexts, shared by the transports of a process.

A context takes 40 to 70 ms of CPU and about 800 kB, because it loads the CA bundle.
"""

from __future__ import annotations

import os
import ssl
from functools import lru_cache

from .libraries import load
from .settings import HTTPSettings


@lru_cache(maxsize=8)
def _default_context(library: str, trust_env: bool) -> ssl.SSLContext:
    context: ssl.SSLContext = load(library).create_ssl_context(trust_env=trust_env)
    return context


@lru_cache(maxsize=8)
def _context_of_bundle(path: str, version: tuple[int, ...]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=path)


@lru_cache(maxsize=1)
def _context_without_checks() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@lru_cache(maxsize=1)
def _context_without_trust() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def ssl_context(settings: HTTPSettings, scheme: str) -> ssl.SSLContext:
    """Return the TLS context for a scheme; for plain http one without CAs, which is cheap.

    Raises:
        OSError: The CA bundle cannot be read.
    """
    if isinstance(settings.verify, ssl.SSLContext):
        return settings.verify
    if scheme != "https":
        return _context_without_trust()
    if settings.verify is False:
        return _context_without_checks()
    if isinstance(settings.verify, str):
        found = os.stat(settings.verify)  # a changed bundle is loaded again
        version = found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
        return _context_of_bundle(settings.verify, version)
    return _default_context(settings.library, settings.trust_env)
