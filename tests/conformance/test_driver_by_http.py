# SPDX-License-Identifier: Apache-2.0
"""The driver protocol by HTTP: a driver that asks for its tasks, and everything else that may connect."""

from __future__ import annotations

import functools
import http.client
import http.server
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
from browser import open_browser
from click.testing import CliRunner

from gradio_transport_conformance.cli.app import commands
from gradio_transport_conformance.driver import polling, task_server
from gradio_transport_conformance.driver.messages import CannotTask, Task, TaskAnswer, TaskStep, schemas
from gradio_transport_conformance.driver.polling import PollingDriver
from gradio_transport_conformance.driver.process import DriverFailure

SCHEMAS = dict(schemas())
PAGE = Path(__file__).parents[2] / "examples" / "client-in-browser" / "driver.html"

HELLO = {"type": "hello", "protocol": 1, "name": "page", "version": "1", "features": []}


def task(name: str = "a", deadline: float = 20.0, **step: Any) -> Task:
    step = {"endpoint": "/hello", "fn_index": 0, "data": ["Ada"], **step}
    return Task(id=name, url="http://127.0.0.1:1", groups=[[TaskStep(**step)]], deadline=deadline)


def answer(name: str = "a", *values: Any) -> dict[str, Any]:
    return {"type": "answer", "id": name, "steps": [{"value": list(values)}]}


class Page:
    """What a page in a browser can do: ask, and answer."""

    def __init__(self, url: str) -> None:
        self.url = urlsplit(url)

    def request(
        self, method: str, path: str = "", body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        target = path or f"{self.url.path}?{self.url.query}"
        with closing(http.client.HTTPConnection(self.url.netloc, timeout=20)) as connection:
            connection.request(method, target, body, headers or {})
            reply = connection.getresponse()
            return reply.status, reply.read(), {name.lower(): value for name, value in reply.getheaders()}

    @property
    def answer_path(self) -> str:
        return f"/-/answer?{self.url.query}"

    def ask(self) -> tuple[int, Any]:
        status, body, _ = self.request("GET")
        return status, json.loads(body) if status == 200 else body.decode()

    def say(self, message: Any) -> tuple[int, str]:
        status, body, _ = self.request("POST", self.answer_path, json.dumps(message).encode())
        return status, body.decode()

    def begin(self) -> None:
        assert self.ask() == (200, {"type": "hello", "protocol": 1})
        assert self.say(HELLO)[0] == 204


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no end of a run wait for a driver that does not ask again."""
    monkeypatch.setattr(polling, "_END_SECONDS", 0.05)


@pytest.fixture
def driver() -> Iterator[PollingDriver]:
    with PollingDriver(hello_seconds=20, poll_seconds=10, grace_seconds=0.2) as driver:
        yield driver


@pytest.fixture
def page(driver: PollingDriver) -> Page:
    page = Page(driver.url)
    page.begin()
    return page


@pytest.fixture
def run(driver: PollingDriver) -> Iterator[Callable[[Task], Future[TaskAnswer | CannotTask]]]:
    """Begins to run a task in another thread."""
    with ThreadPoolExecutor() as pool:
        yield lambda one: pool.submit(driver.run, one)


class TestTasks:
    def test_a_task_is_given_and_its_answer_is_taken(self, driver, page, run) -> None:
        assert driver.start().name == "page"
        for name in ("a", "b"):
            came = run(task(name))
            status, message = page.ask()
            assert status == 200
            jsonschema.validate(message, SCHEMAS["task"])
            assert message["groups"][0][0]["endpoint"] == "/hello"
            assert page.say(answer(name, "Hello, Ada!")) == (204, "")
            assert came.result(10).steps[0].value == ["Hello, Ada!"]

    def test_a_task_that_needs_more_than_the_client_has_is_not_given(self, page, driver) -> None:
        assert driver.run(task(cancel_after=1)) == CannotTask(id="a", reason="the client has no cancel")

    def test_a_request_waits_for_a_task_and_ends_without_one(self, page, monkeypatch) -> None:
        monkeypatch.setattr(task_server, "WAIT_SECONDS", 0.1)
        assert page.ask() == (204, "")

    def test_stray_messages_do_no_harm(self, page, run) -> None:
        came = run(task())
        assert page.ask()[0] == 200
        assert page.say({"type": "log"}) == (400, "This is no message of the driver protocol.\n")
        assert page.say(answer("another task")) == (409, "No answer to that task is waited for.\n")
        assert page.say(answer("a", 1))[0] == 204
        assert came.result(10).steps[0].value == [1]
        assert page.say(answer("a", 2))[0] == 409

    def test_the_end_of_the_run_is_told(self, driver, page, monkeypatch) -> None:
        monkeypatch.setattr(polling, "_END_SECONDS", 10.0)
        with ThreadPoolExecutor() as pool:
            asked = pool.submit(page.ask)
            driver.close()
            assert asked.result(10) == (410, "")


class TestGrades:
    """A driver that does not answer is a grade, and the run goes on."""

    def failure(self, came: Future[Any]) -> tuple[str, str]:
        error = came.exception(20)
        assert isinstance(error, DriverFailure)
        return error.cause, str(error)

    def test_one_that_never_asks_is_hung_and_the_rest_is_quick(self) -> None:
        with PollingDriver(poll_seconds=0.3) as driver:
            Page(driver.url).begin()
            with pytest.raises(DriverFailure, match=r"did not request the task within 0.3 s") as caught:
                driver.run(task())
            assert caught.value.cause == "hung"

    def test_one_that_never_answers_is_hung_and_may_answer_the_next(self, page, run) -> None:
        came = run(task("a", deadline=0.1))
        assert page.ask()[0] == 200
        assert self.failure(came) == ("hung", "did not answer within 0.3 s")
        assert page.say(answer("a", "late"))[0] == 409
        came = run(task("b"))
        assert page.ask()[1]["id"] == "b"
        assert page.say(answer("b", 1))[0] == 204
        assert came.result(10).steps[0].value == [1]

    def test_one_that_asks_again_has_lost_its_task(self, page, run) -> None:
        first = run(task())
        assert page.ask()[0] == 200
        with ThreadPoolExecutor() as pool:
            asked = pool.submit(page.ask)
            assert self.failure(first) == ("dead", "requested another task before it answered")
            run(task("b", deadline=0.1))
            assert asked.result(10)[1]["id"] == "b"

    def test_a_page_that_is_loaded_again_has_lost_its_task(self, page, run) -> None:
        came = run(task())
        assert page.ask()[0] == 200
        assert page.say(HELLO)[0] == 204
        assert self.failure(came) == ("dead", "was restarted before it answered")

    @pytest.mark.parametrize(
        ("message", "problem"),
        [
            ({"type": "answer", "id": "a", "steps": [{}]}, "expected one of value, error and cannot"),
            ({"type": "answer", "id": "a", "steps": []}, "answered 0 steps of 1"),
        ],
    )
    def test_one_that_answers_something_else_is_invalid(self, message, problem, page, run) -> None:
        came = run(task())
        assert page.ask()[0] == 200
        page.say(message)
        cause, text = self.failure(came)
        assert cause == "invalid"
        assert problem in text

    def test_a_message_that_is_too_long_is_not_read(self, page, run) -> None:
        came = run(task())
        assert page.ask()[0] == 200
        for length in ("67108865", "9" * 400):
            status, body, _ = page.request("POST", page.answer_path, None, {"content-length": length})
            assert (status, body) == (413, b"a message of more than 64 MB\n")
        assert self.failure(came) == ("invalid", "sent an invalid message: a message of more than 64 MB")

    def test_a_message_without_a_length_is_not_read(self, page) -> None:
        assert page.request("POST", page.answer_path, None, {"transfer-encoding": "chunked"})[0] == 411

    def test_no_hello_in_time(self) -> None:
        with pytest.raises(DriverFailure, match=r"did not send its hello within 0.1 s"):
            PollingDriver(hello_seconds=0.1).start()

    def test_a_hello_of_another_version(self) -> None:
        with PollingDriver(hello_seconds=20) as driver:
            status, body = Page(driver.url).say({**HELLO, "protocol": 2})
            assert (status, body) == (400, "protocol: the driver has version 2, this host has version 1\n")
            with pytest.raises(DriverFailure, match="has version 2"):
                driver.start()


class TestStrangers:
    @pytest.mark.parametrize(
        "path", ["/-/task", "/-/task?token=", "/-/task?token=guess", "/-/answer?token=%C3%A4", "/"]
    )
    @pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
    def test_a_request_without_the_token_is_refused_and_cannot_be_read_by_a_page(
        self, method, path, page
    ) -> None:
        body = json.dumps(answer()).encode() if method == "POST" else None
        headers = {"origin": "https://stranger.example"}
        status, said, found = page.request(method, path, body, headers)
        assert status == 403
        assert b"Use the URL that the run has printed" in said
        assert [name for name in found if name.startswith("access-control")] == []

    def test_a_name_of_someone_else_for_the_loopback_is_refused(self, page) -> None:
        assert page.request("GET", headers={"host": "stranger.example"})[0] == 403

    def test_a_page_of_another_origin_may_be_the_driver_with_the_token(self, page, monkeypatch) -> None:
        monkeypatch.setattr(task_server, "WAIT_SECONDS", 0.1)
        origin = {"origin": "https://mine.example"}
        asks = {
            **origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
        }
        status, _, found = page.request("OPTIONS", page.answer_path, None, asks)
        assert (status, found["access-control-allow-origin"]) == (204, "*")
        assert found["access-control-allow-headers"] == "content-type"
        status, _, found = page.request("GET", headers=origin)
        assert (status, found["access-control-allow-origin"]) == (204, "*")

    def test_other_paths_are_named(self, page) -> None:
        assert page.request("GET", f"/else?{page.url.query}")[:2] == (
            404,
            b"There is GET /-/task, and POST /-/answer.\n",
        )
        assert page.request("POST", body=b"{}")[0] == 404

    def test_of_two_pages_the_first_is_told_to_stop(self, driver, page, run) -> None:
        with ThreadPoolExecutor() as pool:
            first = pool.submit(page.ask)
            with driver._state.changed:  # `begin` was the first
                assert driver._state.changed.wait_for(lambda: driver._state.polls == 2, 10)
            second = pool.submit(page.ask)
            assert first.result(10) == (409, "")
            run(task(deadline=0.1))
            assert second.result(10)[0] == 200

    def test_connections_that_only_wait_do_not_keep_the_driver_out(self, driver, monkeypatch) -> None:
        address = ("127.0.0.1", Page(driver.url).url.port)
        monkeypatch.setattr(task_server._Handler, "timeout", 0.2)
        idle = [socket.create_connection(address) for _ in range(task_server._HANDLERS + 8)]
        try:
            for _ in range(50):
                try:
                    Page(driver.url).begin()
                except (ConnectionError, http.client.HTTPException):
                    threading.Event().wait(0.1)
                else:
                    return
            pytest.fail("the idle connections were kept")
        finally:
            for one in idle:
                one.close()


@contextmanager
def command(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the suite with `--driver-port 0`; yields the process, and the URL that it prints."""
    program = [sys.executable, "-m", "gradio_transport_conformance", "run", "--quiet", "--driver-port", "0"]
    process = subprocess.Popen(
        [*program, "--versions", "6.31.0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        yield process, process.stderr.readline().split()[-1]
    finally:
        process.kill()
        process.communicate(timeout=20)


class TestCommand:
    def test_what_a_driver_answers_is_graded(self) -> None:
        with command("--cases", "hello,crash", "--jobs", "2") as (process, url):
            page = Page(url)
            page.begin()
            while (came := page.ask())[0] == 200:
                page.say(answer(came[1]["id"], "Hello, Ada!"))
            assert came[0] == 410
            said, _ = process.communicate(timeout=20)
        assert process.returncode == 1
        assert "page 1, recordings served as messages" in said
        assert "1 right, 1 wrong in" in said

    def test_a_port_that_is_taken(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            said = CliRunner().invoke(commands, ["run", "--versions", "6.31.0", "--driver-port", port])
        assert (said.exit_code, f"Port {port} cannot be used" in said.output) == (1, True)

    @pytest.mark.slow
    def test_the_page_of_the_example_is_a_driver_in_a_browser(self) -> None:
        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

        handler = functools.partial(Quiet, directory=str(PAGE.parent))
        with (
            http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
            command("--cases", "hello,count,raise_error,on_select") as (process, url),
            open_browser() as browser,
        ):
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try:
                tab = browser.open(f"http://127.0.0.1:{server.server_port}/{PAGE.name}#{url}")
                tab.wait_until("document.body.textContent.includes('The run has ended.')")
                said, _ = process.communicate(timeout=20)
            finally:
                server.shutdown()
        assert "browser, Mozilla/5.0" in said
        assert "3 right, 0 wrong, 1 cannot in" in said
        # Chromium calls the status that ends the run an error, and asks for an icon.
        assert [one for one in tab.console if "Failed to load resource" not in one] == []
