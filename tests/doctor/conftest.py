# SPDX-License-Identifier: Apache-2.0
"""Every test here has no proxy in its environment, and short waits."""

import os

import pytest

from gradio_transport.doctor import connections, network, streams


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in ("SSL_CERT_FILE", "GRADIO_TRANSPORT_TRACE"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(streams, "FIRST_BYTE_SECONDS", 0.6)
    monkeypatch.setattr(streams, "_SOCKET_SECONDS", 0.6)
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.02)
    monkeypatch.setattr(network, "CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(network, "NEAR_PORTS", range(0))
