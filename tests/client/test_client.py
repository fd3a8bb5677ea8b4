# SPDX-License-Identifier: Apache-2.0
"""The familiar client, against servers on loopback."""

import asyncio
import concurrent.futures
import contextvars
import io
import logging
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import attrs
import httpx
import pytest
from fake_gradio import FakeGradio, fake_gradio
from scripted import CONFIG, Reply, Scripted, completed, scripted

import gradio_transport as gt
from gradio_transport import spaces
from gradio_transport.app.config_parsing import parse_config
from gradio_transport.client import (
    AppError,
    ArgumentError,
    AsyncClient,
    Client,
    FileError,
    Job,
    OutputFile,
    QueueError,
    Status,
    ValidationError,
    file,
    handle_file,
)
from gradio_transport.client import aio as async_module
from gradio_transport.client import client as client_module
from gradio_transport.client.endpoints import bind_arguments, check_arguments, choose_endpoint
from gradio_transport.client.errors import JobTimeout
from gradio_transport.client.settings import SettingError
from gradio_transport.client.view_api import as_text

SECONDS = 20.0


@pytest.fixture
def server() -> Iterator[FakeGradio]:
    with fake_gradio() as server:
        yield server


@pytest.fixture
def client(server: FakeGradio) -> Iterator[Client]:
    with Client(server.url, download_files=False) as client:
        yield client


# --- calling --------------------------------------------------------------------------------------------


def test_one_output_is_a_value_and_several_are_a_tuple(client: Client) -> None:
    assert client.predict("you", api_name="/hello") == "Hello, you!"
    assert client.predict("ab", api_name="/pair") == ("AB", {"n": 2})


def test_arguments_go_by_position_by_name_and_by_default(client: Client) -> None:
    assert client.predict(1, 4, api_name="/add") == 5
    assert client.predict(b=4, a=1, api_name="/add") == 5
    assert client.predict(1, api_name="/add") == 3


def test_the_name_counts_over_the_number(client: Client) -> None:
    assert client.predict("you", api_name="/hello", fn_index=1) == "Hello, you!"
    assert client.predict(2, 3, fn_index=1) == 5


def test_the_only_endpoint_need_not_be_named() -> None:
    dependency = {"id": 3, "api_name": "only", "inputs": [], "outputs": []}
    hidden = {"id": 4, "api_name": "hidden", "show_api": False, "inputs": [], "outputs": []}
    browser = {"id": 5, "api_name": None, "backend_fn": False, "inputs": [], "outputs": []}
    raw = {"version": "5.50.0", "components": [], "dependencies": [hidden, dependency, browser]}
    assert choose_endpoint(parse_config(raw), None, None).name == "/only"
    unnamed = {**dependency, "api_name": None}
    assert (
        choose_endpoint(parse_config({**raw, "dependencies": [unnamed, browser]}), None, None).fn_index == 3
    )


@pytest.mark.parametrize(
    ("arguments", "keywords", "kind", "what"),
    [
        (("x",), {}, ValueError, "specify an `api_name` or `fn_index`.*api_name='/hello'"),
        (("x",), {"api_name": "/helo"}, ValueError, "Did you mean '/hello'"),
        (("x",), {"fn_index": 99}, ValueError, "fn_index=99.*api_name='/hello'"),
        (
            (),
            {"api_name": "/hello"},
            TypeError,
            "No value provided for required argument: name.*name: missing",
        ),
        (("x", "y"), {"api_name": "/hello"}, TypeError, "surplus, 1 are taken"),
        (("x", "y"), {"api_name": "/hello"}, ValueError, "surplus, 1 are taken"),
        (
            ("x",),
            {"api_name": "/hello", "nam": 1},
            TypeError,
            "`nam` is not a valid key-word.*Did you mean 'name'",
        ),
        (
            ("x",),
            {"api_name": "/hello", "name": 1},
            TypeError,
            "`name` is already set as a positional argument",
        ),
        (("x",), {"api_name": "/helo"}, ValueError, "Cannot find a function with `api_name`: /helo"),
        (("x",), {"fn_index": 99}, ValueError, "Invalid function index: 99"),
    ],
)
def test_a_wrong_call_says_what_is_wrong_and_is_not_sent(
    client: Client, server: FakeGradio, arguments: Any, keywords: Any, kind: type[Exception], what: str
) -> None:
    for call in (client.predict, client.submit):
        with pytest.raises(kind, match=what):
            call(*arguments, **keywords)
    assert not [path for path, _, _ in server.requests if path.endswith("join")]


@pytest.mark.parametrize(
    ("value", "endpoint", "kind", "what"),
    [
        ("x", "/add", ValueError, "'a' of /add takes float, which 'x' is not"),
        ([1], "/add", ValueError, "takes float"),
        (object(), "/hello", TypeError, "has the type object, which JSON does not have"),
        (b"x", "/hello", TypeError, r"handle_file\(value, name="),
    ],
)
def test_a_wrong_value_is_told_by_the_job_and_not_sent(
    client: Client, server: FakeGradio, value: Any, endpoint: str, kind: type[Exception], what: str
) -> None:
    called: list[Any] = []
    with pytest.raises(kind, match=what):
        client.predict(value, api_name=endpoint)
    job = client.submit(value, api_name=endpoint, result_callbacks=called.append)
    with pytest.raises(kind, match=what):
        job.result(SECONDS)

    async def main() -> None:
        async with AsyncClient(server.url) as asynchronous:
            job = asynchronous.submit(value, api_name=endpoint, result_callbacks=called.append)
            assert isinstance(await job.exception(SECONDS), kind)
            assert (job.event_id, job.running(), await job.outputs()) == (None, False, [])
            assert await job.cancel() is False

    anyio.run(main)
    assert called == []
    assert not [path for path, _, _ in server.requests if path.endswith("join")]


@pytest.mark.parametrize("keyword", ["param_0", "count"])
def test_a_value_is_checked_by_whichever_keyword_it_is_given(keyword: str) -> None:
    component = {"id": 1, "type": "number", "props": {"label": "Count"}}
    dependency = {"api_name": "f", "inputs": [1], "outputs": []}
    raw = {"version": "3.50.2", "components": [component], "dependencies": [dependency]}
    config = parse_config(raw)
    assert bind_arguments(config.endpoints[0], [], {keyword: 2}).values == [2]
    with pytest.raises(ValueError, match="takes float"):
        check_arguments(config, bind_arguments(config.endpoints[0], [], {keyword: "x"}))


def test_text_for_a_file_is_refused_with_the_way_to_pass_one() -> None:
    info = {
        "named_endpoints": {
            "/look": {"parameters": [{"parameter_name": "image", "python_type": {"type": "filepath"}}]}
        }
    }
    raw = {
        "version": "6.31.0",
        "components": [{"id": 1, "type": "image", "props": {}}],
        "dependencies": [{"id": 0, "api_name": "look", "inputs": [1], "outputs": []}],
    }
    config = parse_config(raw, info)
    endpoint = config.endpoint("/look")
    for given in ("/etc/hosts", Path("/etc/hosts")):
        with pytest.raises(ValidationError, match=r"pass handle_file\('/etc/hosts'\)"):
            check_arguments(config, bind_arguments(endpoint, [given], {}))
    with pytest.raises(ArgumentError, match=r"handle_file\(path\) for the file, or str\(path\) for its name"):
        check_arguments(config, bind_arguments(endpoint, [{"path": Path("/etc/hosts")}], {}))


def test_a_path_where_no_file_is_is_a_value_error(tmp_path: Path) -> None:
    for function in (handle_file, file):
        with pytest.raises(ValueError, match=r"missing.*path on this machine, or a URL"):
            function(tmp_path / "missing")
    assert issubclass(FileError, gt.errors.LocalProtocolError)


def test_what_is_no_path_is_said_to_be_none() -> None:
    for given in (5, io.BytesIO(b"x"), b"x", None):
        with pytest.raises(
            TypeError, match=r"takes a path .* got \w+.*gradio_transport.handle_file\(data, name="
        ):
            handle_file(given)  # type: ignore[arg-type]


def test_an_app_error_is_a_value_error(client: Client) -> None:
    with pytest.raises(AppError, match="the app failed") as caught:
        client.predict(api_name="/raise_error")
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, gt.AppError)
    assert caught.value.title == "Error"
    assert str(caught.value) == caught.value.args[0] == "the app failed"
    assert "[phase complete, adapter sse_v3, after" in repr(caught.value)
    (note,) = caught.value.__notes__
    assert note.startswith("[phase complete, adapter sse_v3, after")


def test_a_full_queue_is_a_queue_error(client: Client) -> None:
    with pytest.raises(QueueError):
        client.predict(api_name="/full")
    assert isinstance(client.submit(api_name="/full").exception(SECONDS), QueueError)


# --- jobs -----------------------------------------------------------------------------------------------


def test_a_job_gives_its_outputs_to_every_loop(client: Client) -> None:
    job = client.submit(3, api_name="/count")
    assert list(job) == ["0", "0 1", "0 1 2"]
    assert list(job) == job.outputs() == ["0", "0 1", "0 1 2"]
    assert job.result(SECONDS) == "0 1 2"
    assert job.done()
    assert not job.running()
    assert job.exception() is None
    assert (job.status().code, job.status().success) == (Status.FINISHED, True)


def test_the_next_output_of_a_job_is_had_one_by_one(client: Client) -> None:
    job = client.submit(3, api_name="/count")
    assert next(job) == "0"
    assert list(job) == ["0", "0 1", "0 1 2"]
    assert [next(job), next(job), next(job, "over")] == ["0 1", "0 1 2", "over"]
    failed = client.submit(api_name="/raise_error")
    with pytest.raises(AppError):
        next(failed)


def test_a_failed_job_raises_after_its_outputs(client: Client) -> None:
    job = client.submit(api_name="/raise_error")
    with pytest.raises(AppError):
        list(job)
    assert (job.status().code, job.status().success) == (Status.FINISHED, False)


def test_a_cancelled_job_keeps_its_outputs_and_has_no_result(client: Client, server: FakeGradio) -> None:
    job = client.submit(api_name="/forever")
    assert [job.cancel() for _ in job] == [True]
    assert job.cancel() is False
    assert job.cancelled()
    assert job.outputs() == ["on and on"]
    assert job.status().code is Status.CANCELLED
    for ask in (job.result, job.exception):
        with pytest.raises(concurrent.futures.CancelledError, match="/forever was cancelled"):
            ask(SECONDS)
    assert server.seen("/gradio_api/cancel")
    assert concurrent.futures.wait([job], SECONDS).not_done == set()


def test_a_function_that_runs_is_not_cancelled() -> None:
    with scripted() as server, Client(server.url) as client:
        server.scripts["/gradio_api/queue/join"] = lambda reply: start(server, reply)
        job = client.submit("x", api_name="/hello")
        job._wait(lambda: job.status().code is Status.PROCESSING, SECONDS)
        assert job.running()
        assert job.cancel() is False
        for stream in server._sessions.values():
            stream.put({**completed("done"), "event_id": "event1"})
        assert job.result(SECONDS) == "done"


def start(server: Scripted, reply: Reply) -> None:
    stream = server.messages(reply.body["session_hash"])
    stream.put({"msg": "estimation", "rank": 0, "event_id": "event1"})
    stream.put({"msg": "process_starts", "event_id": "event1"})
    reply.json({"event_id": "event1"})


def test_a_job_that_was_not_sent_yet_is_never_sent() -> None:
    with scripted() as server, Client(server.url, max_workers=1) as client:
        held = threading.Event()
        client._pool.submit(held.wait, SECONDS)
        job = client.submit("x", api_name="/hello")
        assert job.status().code is Status.STARTING
        assert job.cancel() is True
        held.set()
        assert client.submit("y", api_name="/hello").result(SECONDS) == "Hello, y!"
        joined = [body["data"] for path, body in server.seen if path.endswith("join")]
        assert joined == [["y"]]


def test_the_time_to_wait_for_a_result_is_bounded(client: Client) -> None:
    job = client.submit(api_name="/forever")
    with pytest.raises(TimeoutError, match="the job continues") as caught:
        job.result(timeout=0.05)
    assert isinstance(caught.value, gt.TimeoutExpired)
    assert not job.done()
    assert job.cancel() is True


def test_a_deadline_of_the_call_ends_a_job_that_is_waited_for() -> None:
    with scripted() as server, Client(server.url, timeouts=gt.Timeouts(total=0.2)) as client:
        for wait in (lambda job: job.result(SECONDS), list):
            with pytest.raises(JobTimeout, match="total"):
                wait(client.submit("x", api_name="/forever"))

        async def iterate() -> None:
            async for _ in client.submit("x", api_name="/forever"):
                pass

        with pytest.raises(JobTimeout, match="total"):
            asyncio.run(iterate())


def test_callbacks_get_the_outputs_as_arguments_in_order(client: Client) -> None:
    told: list[Any] = []
    called = threading.Event()

    def fail(*outputs: Any) -> None:
        told.append("failed")
        raise RuntimeError("of the caller")

    callbacks = [lambda *outputs: told.append(outputs), fail, lambda *outputs: called.set()]
    client.submit("ab", api_name="/pair", result_callbacks=callbacks)
    assert called.wait(SECONDS)
    assert told == [("AB", {"n": 2}), "failed"]


def test_callbacks_are_not_called_for_a_job_that_failed(client: Client) -> None:
    told: list[Any] = []
    ended = threading.Event()
    job = client.submit(api_name="/raise_error", result_callbacks=told.append)
    job.add_done_callback(lambda _: ended.set())
    assert ended.wait(SECONDS)
    assert told == []


def test_a_callback_may_call_the_app(client: Client) -> None:
    said: list[str] = []
    called = threading.Event()

    def again(greeting: str) -> None:
        said.append(client.predict(greeting, api_name="/hello"))
        called.set()

    client.submit("you", api_name="/hello", result_callbacks=again)
    assert called.wait(SECONDS)
    assert said == ["Hello, Hello, you!!"]


def test_the_status_tells_queue_progress_and_logs(client: Client) -> None:
    told: list[Any] = []
    job = client.submit(api_name="/chatty")
    heard = job._history.add

    job.result(SECONDS)
    for event in (
        gt.events.Joined(),
        gt.events.Estimation(rank=1, queue_size=2, rank_eta=3.0),
        gt.events.SendData(),
        gt.events.ProcessStarts(eta=1.5),
        gt.Progress(units=(gt.events.ProgressUnit(index=1, length=2),)),
        gt.Log(message="hi", level="info"),
        gt.events.Heartbeat(),
    ):
        heard(event)
        told.append(job._history.status)
    codes = [one.code.value for one in told]
    assert codes == ["JOINING_QUEUE", "IN_QUEUE", "SENDING_DATA", "PROCESSING", "PROGRESS", "LOG", "LOG"]
    assert (told[1].rank, told[1].queue_size, told[1].eta) == (1, 2, 3.0)
    assert told[4].progress_data[0].length == 2
    assert told[5].log == ("hi", "info")


def test_a_thousand_jobs_complete_without_a_thread_for_each() -> None:
    with scripted() as server, Client(server.url, max_workers=8) as client:
        before = {thread.name for thread in threading.enumerate()}
        jobs = [client.submit(str(number), api_name="/hello") for number in range(1000)]
        done = list(concurrent.futures.as_completed(jobs, timeout=50))
        assert {job.result() for job in done} == {f"Hello, {number}!" for number in range(1000)}
        ours = [
            thread.name
            for thread in threading.enumerate()
            if thread.name not in before and "process_request" not in thread.name
        ]
        assert len(ours) <= 8 + 4, ours


def test_closing_ends_what_is_under_way(server: FakeGradio) -> None:
    with Client(server.url) as client:
        job = client.submit(api_name="/forever")
        assert next(iter(job)) == "on and on"
    assert isinstance(job.exception(SECONDS), gt.GradioTransportError)
    late = client.submit("x", api_name="/hello")
    assert isinstance(late.exception(SECONDS), gt.errors.LocalProtocolError)
    client.close()


# --- a visitor's token --------------------------------------------------------------------------------------

VISITOR = {"x-ip-token": "visitor"}


def tokens(server: FakeGradio) -> list[str | None]:
    """Return the visitor's token of each call, in order."""
    lowered = [
        {name.lower(): value for name, value in headers.items()}
        for path, headers, _ in server.requests
        if path.endswith("join")
    ]
    return [headers.get("x-ip-token") for headers in lowered]


def test_every_verb_forwards_the_visitors_token_inside_the_block_only(
    client: Client, server: FakeGradio
) -> None:
    with gt.forward(VISITOR):
        client.predict("x", api_name="/hello")
        job = client.submit("x", api_name="/hello")
    assert job.result(SECONDS) == "Hello, x!"
    client.submit("x", api_name="/hello").result(SECONDS)
    client.predict("x", api_name="/hello")
    assert tokens(server) == ["visitor", "visitor", None, None]


def test_a_job_that_waits_for_a_thread_keeps_the_token_of_its_block(server: FakeGradio) -> None:
    with Client(server.url, max_workers=1) as client:
        held = threading.Event()
        client._pool.submit(held.wait, SECONDS)
        jobs: list[Job] = []
        for name in ("one", "two"):
            with gt.forward({"x-ip-token": name}):
                jobs.append(client.submit("x", api_name="/hello"))
        held.set()
        assert [job.result(SECONDS) for job in jobs] == ["Hello, x!"] * 2
    assert tokens(server) == ["one", "two"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_async_client_forwards_the_visitors_token(server: FakeGradio, backend: str) -> None:
    async def main() -> None:
        async with AsyncClient(server.url) as client:
            with gt.forward(VISITOR):
                await client.predict("x", api_name="/hello")
                job = client.submit("x", api_name="/hello")
            assert await job == "Hello, x!"
            await client.predict("x", api_name="/hello")

    anyio.run(main, backend=backend)
    assert tokens(server) == ["visitor", "visitor", None]


def test_a_thread_forwards_what_its_own_context_has(server: FakeGradio) -> None:
    with gt.connect(server.url) as app, concurrent.futures.ThreadPoolExecutor(1) as pool:
        with gt.forward(VISITOR):
            context = contextvars.copy_context()
            pool.submit(app.call, "/hello", "bare").result(SECONDS)
        pool.submit(context.run, app.call, "/hello", "copied").result(SECONDS)
        pool.submit(context.run, lambda: app.submit("/hello", "copied").result()).result(SECONDS)
    assert tokens(server) == [None, "visitor", "visitor"]


# --- event loops ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_job_is_iterated_in_an_event_loop(client: Client, backend: str) -> None:
    async def main() -> list[Any]:
        return [output async for output in client.submit(3, api_name="/count")]

    assert anyio.run(main, backend=backend) == ["0", "0 1", "0 1 2"]


def test_an_event_loop_awaits_a_job_as_a_future(client: Client) -> None:
    async def main() -> Any:
        return await asyncio.wrap_future(client.submit("you", api_name="/hello"))

    assert asyncio.run(main()) == "Hello, you!"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_async_client_has_the_same_shape(server: FakeGradio, backend: str) -> None:
    async def main() -> None:
        async with AsyncClient(server.url) as client:
            assert await client.predict("you", api_name="/hello") == "Hello, you!"
            told: list[Any] = []
            job = client.submit(
                "ab", api_name="/pair", result_callbacks=[lambda *outputs: told.append(outputs)]
            )
            assert await job == ("AB", {"n": 2})
            assert told == [("AB", {"n": 2})]
            assert [output async for output in client.submit(3, api_name="/count")] == ["0", "0 1", "0 1 2"]
            failed = client.submit(api_name="/raise_error")
            assert isinstance(await failed.exception(SECONDS), AppError)
            assert (failed.status().code, failed.status().success) == (Status.FINISHED, False)
            endless = client.submit(api_name="/forever")
            with pytest.raises(TimeoutError):
                await endless.result(timeout=0.05)
            async for output in endless:
                assert output == "on and on"
                assert await endless.cancel()
            assert endless.cancelled()
            assert endless.status().code is Status.CANCELLED
            with pytest.raises(concurrent.futures.CancelledError, match="/forever"):
                await endless
            assert await endless.outputs() == ["on and on"]
            with pytest.raises(ArgumentError):
                client.submit(api_name="/hello")

    anyio.run(main, backend=backend)


def test_leaving_the_async_client_ends_its_jobs(server: FakeGradio) -> None:
    async def main() -> None:
        async with AsyncClient(server.url) as client:
            job = client.submit(api_name="/forever")
            async for _ in job:
                break
        assert job.done()

    anyio.run(main)


# --- what a client is given -----------------------------------------------------------------------------


def test_nothing_is_printed_but_what_is_asked_for(
    server: FakeGradio, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gradio_transport.client")
    with Client(server.url) as client, Client(server.url, verbose=False):
        client.predict("x", api_name="/hello")
        assert client.view_api(return_format="str")
        assert client.view_api(print_info=False) is None
        assert capsys.readouterr().out == ""
        said = [one.message for one in caplog.records if one.name.startswith("gradio_transport.client")]
        assert said == [f"connected to {server.url} (Gradio 6.31.0)"]
        client.view_api()
        assert capsys.readouterr().out.startswith(server.url)


def test_the_text_has_a_line_for_each_value_however_much_the_server_says_of_it() -> None:
    docstring = "A file\n    of the app. More of it.\n\n    Attributes:\n        path: Its path."
    parameter = {
        "parameter_name": "file",
        "parameter_has_default": True,
        "parameter_default": "x" * 1000,
        "label": "a \x1b[31mfile",
        "type": {"type": "object"},
        "python_type": {"type": "dict(" + "key: str, " * 100 + ")", "description": docstring},
        "component": "File",
    }
    raw = {
        "version": "6.31.0",
        "components": [{"id": 1, "type": "file", "props": {}}],
        "dependencies": [{"id": 0, "api_name": "take", "inputs": [1], "outputs": []}],
    }
    info = {"named_endpoints": {"/take": {"parameters": [parameter], "returns": []}}}
    lines = as_text(parse_config(raw, info), "http://app", None).split("\n")
    taken = next(line for line in lines if "[File]" in line)
    assert taken.startswith("      [File] file: dict(key: str, ")
    assert taken.endswith("… (A file of the app.) - a \\x1b[31mfile")
    assert max(map(len, lines)) < 160
    assert len(lines) == 9


def test_headers_cookies_and_timeouts_reach_the_transport(server: FakeGradio) -> None:
    extra = {"timeout": 7, "headers": {"x-a": "1", "x-b": "1"}, "cookies": {"c": "d"}}
    with Client(server.url, headers={"X-B": "2"}, httpx_kwargs=extra) as client:
        client.predict("x", api_name="/hello", headers={"x-a": "3"})
        timeouts = client._settings.connect["timeouts"]
    sent = next(headers for path, headers, _ in server.requests if path.endswith("join"))
    lowered = {name.lower(): value for name, value in sent.items()}
    assert (lowered["x-a"], lowered["x-b"], lowered["cookie"]) == ("3", "2", "c=d")
    assert (timeouts.join, timeouts.connect, timeouts.idle, timeouts.no_heartbeat) == (7, 7, 7, 7)


@pytest.mark.parametrize(
    "arguments",
    [
        {"httpx_kwargs": {"mounts": None}},
        {"httpx_kwargs": {"auth": "user"}},
        {"httpx_kwargs": {"cert": "/nowhere.pem"}},
        {"httpx_kwargs": {"cert": ("a", "b", "c", "d")}},
        {"httpx_kwargs": {"proxy": httpx.Proxy("http://127.0.0.1:9", headers={"a": "b"})}},
        {"max_workers": 0},
        {"token": "a", "hf_token": "b"},
        {"download_files": 5},
    ],
)
def test_what_cannot_be_is_said_before_anything_is_sent(arguments: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        Client("http://127.0.0.1:9", **arguments)


def test_files_of_outputs_are_fetched_once_and_returned_as_paths(tmp_path: Path) -> None:
    def made(reply: Reply) -> None:
        reply.text("content", kind="text/plain")

    value = {"path": "/tmp/x/a.txt", "orig_name": "a.txt", "meta": {"_type": "gradio.FileData"}}
    config = {**CONFIG, "components": [{"id": 1, "type": "textbox"}, {"id": 2, "type": "chatbot"}]}
    with scripted() as server:
        server.scripts["/config"] = lambda reply: reply.json(config)
        server.scripts["/gradio_api/file=/tmp/x/a.txt"] = made
        server.scripts["/gradio_api/queue/join"] = lambda reply: answer(server, reply, [{"file": value}])
        with Client(server.url, download_files=tmp_path) as client:
            job = client.submit("x", api_name="/hello")
            (message,) = job.result(SECONDS)
            assert job.outputs() == list(job) == [[message]]
            assert Path(message["file"]).read_text() == "content"
            assert Path(message["file"]).parent == tmp_path
        with Client(server.url, download_files=False) as client:
            (message,) = client.predict("x", api_name="/hello")
            assert isinstance(message["file"], OutputFile)
        fetched = [path for path, _ in server.seen if "file=" in path]
        assert len(fetched) == 1


def test_outputs_without_files_are_new_copies_for_each_reader() -> None:
    config = {**CONFIG, "components": [{"id": 1, "type": "textbox"}, {"id": 2, "type": "json"}]}
    with scripted() as server:
        server.scripts["/config"] = lambda reply: reply.json(config)
        server.scripts["/gradio_api/queue/join"] = lambda reply: answer(server, reply, [{"a": [1], "b": {}}])
        with Client(server.url, download_files=False) as client:
            job = client.submit("x", api_name="/hello")
            (first,) = job.result(SECONDS)
            first["a"].append(2)
            first["b"]["c"] = 3
            assert job.outputs() == list(job) == [[{"a": [1], "b": {}}]]


@pytest.fixture
def file_server() -> Iterator[Scripted]:
    value = {"path": "/tmp/x/a.txt", "orig_name": "a.txt", "meta": {"_type": "gradio.FileData"}}
    config = {**CONFIG, "components": [{"id": 1, "type": "textbox"}, {"id": 2, "type": "file"}]}
    with scripted() as server:
        server.scripts["/config"] = lambda reply: reply.json(config)
        server.scripts["/gradio_api/file=/tmp/x/a.txt"] = lambda reply: reply.text("content")
        server.scripts["/gradio_api/queue/join"] = lambda reply: answer(server, reply, value)
        yield server


@pytest.mark.parametrize("named", [True, False])
def test_files_of_outputs_go_to_a_directory_of_the_users_own(
    file_server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "named") if named else "")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Client(file_server.url) as client:
        assert list(tmp_path.iterdir()) == []
        path = Path(client.predict("x", api_name="/hello"))
    assert path.read_text() == "content"
    if named:
        assert path.parent == tmp_path / "named"
    else:
        assert path.parent.parent == tmp_path
        assert os.name == "nt" or path.parent.stat().st_mode & 0o077 == 0


def test_without_a_directory_for_files_the_error_says_what_to_set(
    file_server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with (
        Client(file_server.url) as client,
        pytest.raises(gt.errors.LocalProtocolError, match="download_files="),
    ):
        client.predict("x", api_name="/hello")


def answer(server: Scripted, reply: Reply, value: Any) -> None:
    stream = server.messages(reply.body["session_hash"])
    stream.put({"msg": "process_starts", "event_id": "event1"})
    stream.put({**completed(value), "event_id": "event1"})
    reply.json({"event_id": "event1"})


def test_the_saved_token_is_for_spaces_that_show_themselves_to_nobody_else(
    monkeypatch: pytest.MonkeyPatch, server: FakeGradio
) -> None:
    tried: list[str | None] = []
    real = client_module.connect

    def connect(source: str, *, token: str | None, **arguments: Any) -> gt.Transport:
        tried.append(token)
        if token is None:
            raise gt.errors.SpaceNotFound("hidden")
        return real(server.url, **arguments)

    monkeypatch.setattr(client_module, "connect", connect)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_saved")
    Client("owner/name").close()
    assert tried == [None, "hf_saved"]
    tried.clear()
    with pytest.raises(gt.errors.SpaceNotFound):
        Client("owner/name", token=False)
    with pytest.raises(gt.errors.SpaceNotFound):
        Client("http://127.0.0.1:9")
    Client("owner/name", hf_token="hf_given").close()
    assert tried == [None, None, "hf_given"]


def test_a_space_is_duplicated_and_connected_to(monkeypatch: pytest.MonkeyPatch, server: FakeGradio) -> None:
    asked: dict[str, Any] = {}
    real = client_module.connect

    def duplicate(from_id: str, to_id: str | None, **arguments: Any) -> spaces.Space:
        asked.update(arguments, from_id=from_id)
        return spaces.Space("me/name", "https://me-name.hf.space", "RUNNING")

    def connect(source: str, *, token: str | None, **arguments: Any) -> gt.Transport:
        asked["connected"] = source, token
        return real(server.url, **arguments)

    monkeypatch.setattr(spaces, "duplicate", duplicate)
    monkeypatch.setattr(client_module, "connect", connect)
    Client.duplicate("owner/name", hf_token="hf_mine", sleep_timeout=9, secrets={"A": "b"}).close()
    assert asked["connected"] == ("me/name", "hf_mine")
    assert (asked["from_id"], asked["sleep_timeout_minutes"], asked["private"]) == ("owner/name", 9, True)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_async_client_duplicates_a_space(
    monkeypatch: pytest.MonkeyPatch, server: FakeGradio, backend: str
) -> None:
    asked: dict[str, Any] = {}

    def duplicate(from_id: str, to_id: str | None, **arguments: Any) -> spaces.Space:
        asked.update(arguments, from_id=from_id)
        return spaces.Space("me/name", "https://me-name.hf.space", "RUNNING")

    def connect(source: str, *, token: str | None, **arguments: Any) -> gt.AsyncTransport:
        asked["connected"] = source, token
        return gt.connect_async(server.url, **arguments)

    async def main() -> None:
        copying = AsyncClient.duplicate("owner/name", hf_token="hf_mine", sleep_timeout=9, secrets={"A": "b"})
        async with await copying as client:
            assert await client.predict("you", api_name="/hello") == "Hello, you!"
            await client.aclose()

    monkeypatch.setattr(spaces, "duplicate", duplicate)
    monkeypatch.setattr(async_module, "connect_async", connect)
    anyio.run(main, backend=backend)
    assert asked["connected"] == ("me/name", "hf_mine")
    assert (asked["from_id"], asked["sleep_timeout_minutes"], asked["private"]) == ("owner/name", 9, True)


def test_a_job_knows_no_outputs_before_it_starts(client: Client) -> None:
    job = Job(client._pool, client._files, client.app_config.endpoint("/hello"))
    assert job.outputs() == []
    assert attrs.asdict(job.status())["code"] is Status.STARTING
    assert job.cancel() is True


def test_iterating_does_not_poll(client: Client) -> None:
    began = time.monotonic()
    for _ in range(20):
        assert list(client.submit(3, api_name="/count"))[-1] == "0 1 2"
    assert time.monotonic() - began < 5
