# SPDX-License-Identifier: Apache-2.0
"""An app that is restarted while a transport is connected to it: no call runs another function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from faces import FACES, with_app
from scripted import CONFIG, NAMES, Reply, Scripted, scripted

import gradio_transport as gt
from gradio_transport.calls import app_identity

APP_ID = "/gradio_api/app_id"
DATA = "/gradio_api/queue/data"
JOIN = "/gradio_api/queue/join"
REVERSED = tuple(reversed(NAMES))

each_face = pytest.mark.parametrize("face", FACES)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def reordered(app_id: int | None = 2, **changes: Any) -> dict[str, Any]:
    """Return the config of an app with the same functions under other numbers."""
    dependencies = [
        {**CONFIG["dependencies"][NAMES.index(name)], "id": number} for number, name in enumerate(REVERSED)
    ]
    config = {**CONFIG, "dependencies": dependencies, "app_id": app_id, **changes}
    return {key: value for key, value in config.items() if value is not None}


def without(name: str) -> dict[str, Any]:
    config = reordered()
    return {**config, "dependencies": [one for one in config["dependencies"] if one["api_name"] != name]}


def asked(server: Scripted, path: str) -> int:
    return sum(one == path for one, _ in server.seen)


@each_face
def test_a_call_after_a_restart_runs_the_function_of_its_name(server: Scripted, face: str) -> None:
    async def use(app, wait):
        first = await wait(app.call("/hello", "a"))
        server.restart(reordered(), REVERSED)
        return first, await wait(app.call("/hello", "b")), await wait(app.call("/hello", "c"))

    assert with_app(face, server.url, use) == (["Hello, a!"], ["Hello, b!"], ["Hello, c!"])
    assert asked(server, "/config") == 2


@each_face
def test_a_call_by_number_runs_the_function_that_had_it(server: Scripted, face: str) -> None:
    number = NAMES.index("hello")

    async def use(app, wait):
        await wait(app.call(number, "a"))
        server.restart(reordered(), REVERSED)
        return await wait(app.call(number, "b"))

    assert with_app(face, server.url, use) == ["Hello, b!"]


@each_face
def test_a_call_beside_the_queue_runs_the_function_of_its_name(server: Scripted, face: str) -> None:
    def direct(reply: Reply) -> None:
        name = server.names[reply.body["fn_index"]]
        reply.json({"data": [f"{name} ran"]})

    server.scripts = {"/gradio_api/run/direct": direct}

    async def use(app, wait):
        first = await wait(app.call("/direct", "a"))
        server.restart(reordered(), (*REVERSED[:-2], "hello", "count"))
        return first, await wait(app.call("/direct", "b"))

    assert with_app(face, server.url, use) == (["direct ran"], ["direct ran"])


@each_face
def test_an_endpoint_that_is_gone_is_not_called(server: Scripted, face: str) -> None:
    async def use(app, wait):
        await wait(app.call("/hello", "a"))
        server.restart(without("hello"), REVERSED)
        with pytest.raises(
            gt.errors.AppChanged, match=r"restarted.*no longer has it.*/hello was not called"
        ) as caught:
            await wait(app.call("/hello", "b"))
        return caught.value, await wait(app.call("/count", "c"))

    error, counted = with_app(face, server.url, use)
    assert (error.phase, error.may_have_run, error.retryable) == (gt.errors.Phase.JOIN, False, False)
    assert counted == ["0 1"]
    assert asked(server, JOIN) == 2


@each_face
def test_an_endpoint_with_other_parameters_is_not_called(server: Scripted, face: str) -> None:
    config = reordered(
        components=[{"id": 1, "type": "slider", "props": {}}, {"id": 2, "type": "textbox", "props": {}}]
    )

    async def use(app, wait):
        await wait(app.call("/hello", "a"))
        server.restart(config, REVERSED)
        with pytest.raises(gt.errors.AppChanged, match=r"other parameters for it: /hello\(text"):
            await wait(app.call("/hello", "b"))

    with_app(face, server.url, use)
    assert asked(server, JOIN) == 1


@each_face
def test_a_repeatable_call_is_submitted_again_to_the_function_of_its_name(
    server: Scripted, face: str
) -> None:
    def lose(reply: Reply) -> None:
        server.scripts = {}
        reply.stream()
        reply.chunk(b": a reply\n\n")  # without a byte the stream would be asked for again
        server.restart(reordered(), REVERSED)

    server.scripts = {DATA: lose}
    options = gt.CallOptions(repeatable=True)

    async def use(app, wait):
        return await wait(app.call("/hello", "a", options=options))

    retry = gt.RetryPolicy(attempts=3, base=0.01)
    assert with_app(face, server.url, use, retry=retry) == ["Hello, a!"]
    hashes = [body["session_hash"] for path, body in server.seen if path == JOIN]
    assert len(hashes) == len(set(hashes)) == 2


@each_face
def test_a_restart_ends_the_session_that_it_made_the_server_forget(server: Scripted, face: str) -> None:
    async def use(app, wait):
        await wait(app.call("/hello", "a"))
        server.restart({**CONFIG, "app_id": 2})
        await wait(app.call("/hello", "b"))

    with_app(face, server.url, use)
    hashes = [body["session_hash"] for path, body in server.seen if path == JOIN]
    assert len(set(hashes)) == 2


@each_face
def test_an_app_without_an_id_is_the_same_while_its_functions_are(server: Scripted, face: str) -> None:
    server.config = {key: value for key, value in CONFIG.items() if key != "app_id"}

    async def use(app, wait):
        await wait(app.call("/hello", "a"))
        server.restart(server.config)
        await wait(app.call("/hello", "b"))
        server.restart(reordered(None), REVERSED)
        return await wait(app.call("/hello", "c"))

    assert with_app(face, server.url, use) == ["Hello, c!"]
    first, second, third = [body["session_hash"] for path, body in server.seen if path == JOIN]
    assert first == second != third


@each_face
def test_calls_on_connections_that_stay_open_ask_nothing(server: Scripted, face: str) -> None:
    async def use(app, wait):
        for _ in range(20):
            await wait(app.call("/hello", "a"))

    with_app(face, server.url, use)
    assert (asked(server, APP_ID), asked(server, "/config")) == (0, 1)


@each_face
def test_calls_at_once_ask_once(server: Scripted, face: str) -> None:
    async def use(app, wait):
        server.restart(CONFIG)
        calls = [app.submit("/hello", number) for number in range(8)]
        return [await wait(call.result()) for call in calls]

    assert len(with_app(face, server.url, use)) == 8
    assert (asked(server, APP_ID), asked(server, "/config")) == (1, 1)


def break_stream(reply: Reply) -> None:
    reply.stream()
    reply.reset()


def refuse(reply: Reply) -> None:
    reply.json({"detail": "why"}, 500)


@each_face
@pytest.mark.parametrize(("path", "script"), [(DATA, break_stream), (JOIN, Reply.reset), (JOIN, refuse)])
def test_a_call_after_something_broke_asks(
    server: Scripted, face: str, path: str, script: Callable[[Reply], None]
) -> None:
    async def use(app, wait):
        server.scripts = {path: script}
        with pytest.raises(gt.errors.GradioTransportError):
            await wait(app.call("/hello", "a"))
        server.scripts = {}
        return await wait(app.call("/hello", "b"))

    assert with_app(face, server.url, use) == ["Hello, b!"]
    assert asked(server, APP_ID) == 1


@each_face
def test_a_call_asks_after_some_seconds_because_a_proxy_may_hide_a_restart(
    server: Scripted, face: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(app, wait):
        await wait(app.call("/hello", "a"))
        server.config, server.names = reordered(), REVERSED  # no connection breaks
        monkeypatch.setattr(app_identity, "CONFIRMED_SECONDS", 0.0)
        return await wait(app.call("/hello", "b"))

    assert with_app(face, server.url, use) == ["Hello, b!"]


@each_face
def test_an_app_that_is_gone_is_an_error_of_the_discovery(server: Scripted, face: str) -> None:
    async def use(app, wait):
        await wait(app.call("/hello", "a"))
        server.scripts = {
            APP_ID: lambda reply: reply.json({}, 502),
            "/config": lambda reply: reply.json({}, 502),
        }
        server.restart(CONFIG)
        with pytest.raises(gt.errors.GradioTransportError) as caught:
            await wait(app.call("/hello", "b"))
        return caught.value

    error = with_app(face, server.url, use)
    assert (error.phase, error.status, error.may_have_run) == (gt.errors.Phase.DISCOVER, 502, False)
    assert asked(server, JOIN) == 1


@each_face
def test_the_deadline_of_a_call_includes_the_question(server: Scripted, face: str) -> None:
    options = gt.CallOptions(timeouts=gt.Timeouts(total=0.3))

    async def use(app, wait):
        await wait(app.call("/hello", "a"))
        server.scripts = {APP_ID: Reply.hold}
        server.restart(CONFIG)
        with pytest.raises(gt.errors.TimeoutExpired, match="total"):
            await wait(app.call("/hello", "b", options=options))

    with_app(face, server.url, use)
    assert asked(server, JOIN) == 1


@each_face
def test_the_function_of_a_component_that_is_another_one_now_is_not_called(
    server: Scripted, face: str
) -> None:
    server.scripts = {"/gradio_api/component_server/": lambda reply: reply.json("ran")}
    config = reordered(components=[{"id": 1, "type": "fileexplorer", "props": {}}, CONFIG["components"][1]])

    async def use(app, wait):
        first = await wait(app.component_server(1, "ls"))
        server.restart({**CONFIG, "app_id": 3})
        second = await wait(app.component_server(1, "ls"))
        server.restart(config, REVERSED)
        with pytest.raises(
            gt.errors.AppChanged, match="component 1 is now a fileexplorer instead of a textbox"
        ):
            await wait(app.component_server(1, "ls"))
        return first, second

    assert with_app(face, server.url, use) == ("ran", "ran")
    assert asked(server, "/gradio_api/component_server/") == 2
