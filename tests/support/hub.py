# SPDX-License-Identifier: Apache-2.0
"""A Hugging Face Hub on loopback, with one Space whose app is a server of the test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from scripted import Reply, Scripted, scripted

TOKEN = "hf_s3cretTokenOfTests"


class Hub:
    """A Hub with one Space, ``ann/app``; what it says of it is `space`."""

    def __init__(self, server: Scripted, host: str) -> None:
        self.server = server
        self.host = host
        self.space: dict[str, Any] = {}
        self.stage = "RUNNING"
        self.runtime: dict[str, Any] = {}
        self.is_private = False
        server.below["/api/spaces/"] = self.answer

    def answer(self, reply: Reply) -> None:
        if self.is_private and reply.headers.get("authorization") != f"Bearer {TOKEN}":
            reply.json({"error": "Invalid username or password."}, 401)
            return
        if reply.path == "/api/spaces/by-subdomain/ann-app":
            reply.json({"id": "ann/app"})
            return
        if not reply.path.startswith("/api/spaces/ann/app"):
            reply.json({"error": "Repository not found"}, 404, **{"x-error-code": "RepoNotFound"})
            return
        runtime = {
            "stage": self.stage,
            "hardware": {"current": "cpu-basic", "requested": None},
            **self.runtime,
        }
        if reply.path.endswith("/runtime"):
            reply.json(runtime)
            return
        reply.json(
            {
                "id": "ann/app",
                "host": self.host,
                "private": self.is_private,
                "sdk": "gradio",
                "runtime": runtime,
                **self.space,
            }
        )


@contextlib.contextmanager
def hub_of(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Serve a Hub until the end of the block, and have all of this process ask it."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    with scripted() as hub_server:
        monkeypatch.setenv("HF_ENDPOINT", hub_server.url)
        monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
        yield Hub(hub_server, server.url)
