# SPDX-License-Identifier: Apache-2.0
"""A pickle of a transport is a description of it: it connects anew, and holds no secret."""

from __future__ import annotations

import copy
import pickle
import ssl
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from scripted import Scripted, scripted

import gradio_transport as gt
from gradio_transport.adapter.registry import Registry, default_registry
from gradio_transport.engines.httpcore_sync import HTTPEngine
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.trace import Frame


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def test_an_unpickled_transport_connects_when_it_is_used(server: Scripted) -> None:
    limits, timeouts = gt.Limits(workers=2), gt.Timeouts(total=5)
    with gt.connect(
        server.url, protocol="sse_v3", limits=limits, timeouts=timeouts, tap=print_nothing
    ) as app:
        stored, before = pickle.dumps(app), app.session_hash
    asked = len(server.seen)
    with pickle.loads(stored) as again:
        assert repr(again) == f"<Transport of {server.url}, not connected>"
        assert len(server.seen) == asked
        assert again.call("/hello", "x") == ["Hello, x!"]
        assert again.session_hash != before
        options = again._app.options
        assert (options.limits, options.timeouts, options.protocol) == (limits, timeouts, "sse_v3")
        assert options.tap is None
        assert pickle.dumps(again) == stored
    assert repr(again).endswith("closed>")


def print_nothing(_: Frame) -> None:
    """A tap is alive, so it stays behind."""


def test_an_unpickled_transport_that_is_never_used_costs_nothing(server: Scripted) -> None:
    with gt.connect(server.url) as app:
        stored = pickle.dumps(app)
    asked = len(server.seen)
    pickle.loads(stored).close()
    del app
    _ = pickle.loads(stored)
    del _
    assert len(server.seen) == asked


def test_another_process_connects_by_a_pickle(server: Scripted) -> None:
    with gt.connect(server.url) as app:
        stored = pickle.dumps(app)
    script = f"import pickle\nwith pickle.loads({stored!r}) as app: print(app.call('/hello', 'there'))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20)
    assert (done.stdout, done.stderr) == ("['Hello, there!']\n", "")


# What is given -> what the error names. Each value contains "sesame" where it is a secret.
LEFT_OUT: dict[str, tuple[dict[str, Any], str]] = {
    "token": ({"token": "hf_sesame"}, "token"),
    "headers": ({"headers": {"x-key": "sesame"}}, "headers"),
    "context": ({"verify": ssl.create_default_context()}, "verify"),
    "engine": ({"engine": HTTPEngine(HTTPSettings())}, "engine"),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_secrets_and_live_objects_are_in_no_pickle_and_the_error_says_so(server: Scripted, name: str) -> None:
    arguments, named = LEFT_OUT[name]
    if "token" in arguments:
        arguments = {**arguments, "token_origin": server.url}
    with gt.connect(server.url, **arguments) as app:
        stored = pickle.dumps(app)
    assert b"sesame" not in stored
    again = pickle.loads(stored)
    with pytest.raises(gt.errors.LocalProtocolError, match=named) as caught:
        again.call("/hello", "x")
    assert f"connect({server.url!r}" in str(caught.value)
    again.close()


@pytest.mark.parametrize(
    ("source", "arguments", "named"),
    [
        ("http://user:sesame@127.0.0.1:1/a@b", {}, "password"),
        ("http://127.0.0.1:1/?token=sesame", {}, "the query of its URL"),
        ("http://127.0.0.1:1/?token=sesame", {"auth": ("user", "sesame")}, "auth"),
        ("http://127.0.0.1:1", {"proxy": "http://user:sesame@127.0.0.1:2"}, "proxy"),
        ("http://127.0.0.1:1", {"headers": {"cookie": "sesame"}}, "headers"),
    ],
)
def test_async_transports_keep_their_secrets_too(source: str, arguments: dict[str, Any], named: str) -> None:
    stored = pickle.dumps(gt.connect_async(source, **arguments))
    assert b"sesame" not in stored
    again = pickle.loads(stored)

    async def enter() -> None:
        async with again:
            pass

    with pytest.raises(gt.errors.LocalProtocolError, match=named):
        anyio.run(enter)


def test_a_registry_of_ones_own_is_left_out(server: Scripted) -> None:
    from gradio_transport.calls.app import App
    from gradio_transport.calls.description import Description
    from gradio_transport.calls.options import Options

    own = Registry([default_registry.get("direct")])
    description = Description.of(App(server.url, Options(registry=own)), own_engine=False)
    assert description.left_out == ("registry",)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_unpickled_async_transport_connects_when_it_is_entered(server: Scripted, backend: str) -> None:
    async def main() -> list[Any]:
        async with gt.connect_async(server.url, limits=gt.Limits(workers=2)) as app:
            stored = pickle.dumps(app)
            async with pickle.loads(stored) as again:
                assert again._app.options == app._app.options
                assert again.session_hash != app.session_hash
                return await again.call("/hello", "x")

    assert anyio.run(main, backend=backend) == ["Hello, x!"]


def test_a_copy_is_the_transport_itself(server: Scripted) -> None:
    with gt.connect(server.url) as app:
        assert copy.copy(app) is app
        assert copy.deepcopy({"app": app})["app"] is app
    unused = gt.connect_async(server.url)
    assert copy.copy(unused) is unused
    assert copy.deepcopy(unused) is unused


def test_sessions_and_calls_are_not_pickled(server: Scripted) -> None:
    with gt.connect(server.url) as app:
        call = app.submit("/hello", "x")
        call.result(5)
        for one in (app.session(), call):
            with pytest.raises(TypeError, match="cannot be pickled"):
                pickle.dumps(one)
