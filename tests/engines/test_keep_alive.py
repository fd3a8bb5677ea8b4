# SPDX-License-Identifier: Apache-2.0
"""Hosts that close connections under the next request are asked on fresh ones for a while."""

from __future__ import annotations

import pytest

from gradio_transport.engines import keep_alive
from gradio_transport.engines.keep_alive import DISTRUST_SECONDS, KeptConnections


def test_a_host_is_trusted_until_it_closes_a_connection_and_again_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(keep_alive.time, "monotonic", lambda: now)
    kept = KeptConnections()
    assert kept.are_trusted("http://app:7860/queue/join")
    kept.distrust("http://app:7860/queue/data?session_hash=x")
    assert not kept.are_trusted("http://app:7860/queue/join")
    assert kept.are_trusted("https://app:7860/queue/join")
    assert kept.are_trusted("http://app:7861/queue/join")
    now += DISTRUST_SECONDS
    assert kept.are_trusted("http://app:7860/queue/join")
