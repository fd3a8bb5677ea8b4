# SPDX-License-Identifier: Apache-2.0
"""What the docs of the Gradio Python client show, on real servers."""

import concurrent.futures
import json
import threading
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from conformance.servers import Server
from gradio_transport import ValidationFailed
from gradio_transport.client import (
    AppError,
    AsyncClient,
    AuthenticationError,
    Client,
    EndpointError,
    OutputFile,
    Status,
    ValidationError,
    handle_file,
)
from gradio_transport_conformance.cases import numbers
from gradio_transport_conformance.play import CREDENTIALS

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

SECONDS = 30.0

PICTURE = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""


@pytest.fixture(autouse=True)
def _of_an_age_that_has_it_all(server: Server) -> None:
    """The canonical app of older servers lacks names, files or yields that these examples need."""
    if not since(server, "3.50.2"):
        pytest.skip("the examples are tried from 3.50.2 on")


@pytest.fixture
def client(server: Server, tmp_path: Path) -> Iterator[Client]:
    with Client(server.url(), download_files=tmp_path / "outputs") as client:
        yield client


def since(server: Server, version: str) -> bool:
    return numbers(server.version) >= numbers(version)


def sound(path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\x00\x00" * 800)
    return path


def test_one_output_is_a_value_and_several_are_a_tuple(client: Client) -> None:
    assert client.predict("you", api_name="/hello") == "Hello, you!"
    assert client.predict("abc", api_name="/pair") == ("ABC", 3)
    assert client.predict(4, 5, api_name="/add") == 9


def test_an_endpoint_is_called_by_its_number(client: Client, server: Server) -> None:
    assert client.predict("you", fn_index=server.scenario("hello").fn_index) == "Hello, you!"


def test_arguments_go_by_name_and_defaults_are_filled_in(client: Client, server: Server) -> None:
    assert client.predict(a=4, b=5, api_name="/add") == 9
    if since(server, "4.23"):
        assert client.predict(api_name="/defaults") == "preset 7"
    else:
        assert client.predict(param_0=4, param_1=5, api_name="/add") == 9
        assert client.predict("text", 1, api_name="/defaults") == "text 1"


def test_state_is_kept_without_being_seen_until_it_is_reset(client: Client) -> None:
    assert client.predict("a", api_name="/remember") == "a"
    assert client.predict("b", api_name="/remember") == "a, b"
    client.reset_session()
    assert client.predict("c", api_name="/remember") == "c"


def test_state_belongs_to_the_session_that_is_named(client: Client) -> None:
    first = client.session_hash
    assert client.predict("a", api_name="/remember") == "a"
    client.session_hash = f"{first}-2"
    assert client.predict("b", api_name="/remember") == "b"
    client.session_hash = first
    assert client.predict("c", api_name="/remember") == "a, c"


def test_a_client_shows_what_it_is_connected_to(client: Client, server: Server) -> None:
    assert client.config["version"].strip() == str(client.app_version) == server.version
    assert client.src == f"{server.url()}/"
    assert client.protocol == client.config.get("protocol", "ws")
    hello = client.endpoints[server.scenario("hello").fn_index]
    assert (hello.api_name, hello.is_valid, hello.backend_fn) == ("/hello", True, True)
    job = client.submit("you", api_name="/hello")
    assert job.future.result(SECONDS) == "Hello, you!"
    assert job.communicator.job.outputs == ["Hello, you!"]
    assert job.communicator.job.latest_status.code is Status.FINISHED


def test_a_relay_passes_the_state_as_an_argument(server: Server) -> None:
    with Client(server.url(), download_files=False, _skip_components=False) as client:
        remember = server.scenario("remember").fn_index
        run = client.endpoints[remember].make_end_to_end_fn(client.new_helper(remember))
        assert run("a", None)[0] == "a"
        assert run("b", None)[0] == "a, b"


def test_a_job_is_waited_for_with_other_futures(client: Client) -> None:
    jobs = [client.submit(str(number), api_name="/hello") for number in range(20)]
    done, waiting = concurrent.futures.wait(jobs, timeout=SECONDS)
    assert not waiting
    assert {job.result() for job in done} == {f"Hello, {number}!" for number in range(20)}


def test_the_outputs_of_a_generator_come_one_by_one(client: Client) -> None:
    job = client.submit(3, api_name="/count")
    assert next(job) == "0"
    assert list(job) == ["0", "0 1", "0 1 2"]
    assert job.outputs() == ["0", "0 1", "0 1 2"]
    assert job.result(timeout=SECONDS) == "0 1 2"
    assert job.done()
    assert job.status().code is Status.FINISHED
    assert job.status().success is True


def test_a_job_that_yields_nothing_has_one_output(client: Client) -> None:
    job = client.submit("you", api_name="/hello")
    assert list(job) == ["Hello, you!"]


def test_callbacks_get_the_outputs_as_arguments(client: Client) -> None:
    told: list[Any] = []
    called = threading.Event()
    client.submit(
        "abc", api_name="/pair", result_callbacks=[lambda *a: told.append(a), lambda *a: called.set()]
    )
    assert called.wait(SECONDS)
    assert told == [("ABC", 3)]


def test_the_status_tells_the_progress(client: Client) -> None:
    job = client.submit(3, api_name="/progress")
    job.result(timeout=SECONDS)
    assert job.status().code is Status.FINISHED
    assert job.status().progress_data


def test_a_generator_is_stopped(client: Client) -> None:
    job = client.submit(api_name="/forever")
    assert next(iter(job)) == "0"
    assert job.running()
    assert job.cancel() is True
    assert job.cancelled()
    assert job.status().code is Status.CANCELLED
    with pytest.raises(concurrent.futures.CancelledError, match="/forever"):
        job.result(timeout=SECONDS)
    assert job.outputs()[0] == "0"
    assert client.predict("after", api_name="/hello") == "Hello, after!"


def test_what_waits_is_cancelled_and_what_runs_is_not(server: Server) -> None:
    with Client(server.url("full")) as client:
        running = client.submit(2, api_name="/slow")
        running._wait(lambda: running.running() or running.done(), SECONDS)
        waiting = client.submit(2, api_name="/slow")
        waiting._wait(lambda: waiting.status().code is Status.IN_QUEUE or waiting.done(), SECONDS)
        assert running.cancel() is False
        assert waiting.cancel() is True
        assert waiting.cancelled()
        assert running.result(timeout=SECONDS) == "slept 2"


def test_errors_of_the_app_are_value_errors(client: Client) -> None:
    with pytest.raises(AppError, match="canonical failure"):
        client.predict("x", api_name="/raise_error")
    job = client.submit("x", api_name="/raise_error")
    assert isinstance(job.exception(timeout=SECONDS), ValueError)


def test_a_wrong_call_is_refused_before_it_is_sent(client: Client) -> None:
    with pytest.raises(EndpointError, match="'/hello'"):
        client.predict("x", api_name="/helo")
    with pytest.raises(ValueError, match="api_name='/hello'"):
        client.predict("x")
    with pytest.raises(TypeError, match="missing"):
        client.predict(api_name="/hello")
    with pytest.raises(ValidationError, match="float"):
        client.predict("x", 1, api_name="/add")


def test_a_path_is_no_file_before_it_is_handled(client: Client, server: Server, tmp_path: Path) -> None:
    text = tmp_path / "some text.txt"
    text.write_text("some text")
    for endpoint, given in (
        ("/file_in", str(text)), ("/file_in", text), ("/files", [str(text)]), ("/files", str(text)),
        ("/image", str(text)), ("/audio", text),
    ):  # fmt: skip
        with pytest.raises(ValidationError, match=r"handle_file\("):
            client.predict(given, api_name=endpoint)
        with pytest.raises(ValidationFailed, match=r"handle_file\("):
            client._session.call(endpoint, given)
    (facts,) = client.predict([handle_file(text)], api_name="/files")
    assert ":9:" in facts
    if not since(server, "4.0.0"):
        assert client.predict(PICTURE, api_name="/image")


def test_files_go_up_and_come_back_as_paths(client: Client, tmp_path: Path) -> None:
    text = tmp_path / "some text.txt"
    text.write_text("some text")
    assert ":9:" in client.predict(handle_file(text), api_name="/file_in")
    made = client.predict("made", api_name="/file_out")
    assert Path(made).read_text() == "made"
    assert Path(made).parent == tmp_path / "outputs"
    heard = client.predict(handle_file(sound(tmp_path / "sound.wav")), api_name="/audio")
    assert Path(heard).stat().st_size > 800


def test_files_within_values_are_paths_too(client: Client) -> None:
    def paths(value: Any) -> Iterator[Path]:
        if isinstance(value, str) and Path(value).is_file():
            yield Path(value)
        for one in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
            yield from paths(one)

    assert len(list(paths(client.predict(3, api_name="/gallery")))) == 3
    assert len(list(paths(client.predict(api_name="/video_out")))) == 1


def test_files_stay_where_they_are_on_request(server: Server) -> None:
    with Client(server.url(), download_files=False) as client:
        made = client.predict("made", api_name="/file_out")
        assert isinstance(made, OutputFile)
        assert made.read() == b"made"
        assert httpx.get(made["url"]).content == b"made"
        for given in (made, json.loads(json.dumps(made))):
            assert ":4:" in client.predict(given, api_name="/file_in")


def test_a_file_of_one_app_goes_to_another(client: Client, server: Server) -> None:
    with Client(server.url("auth"), auth=CREDENTIALS, download_files=False) as first:
        made = first.predict("made", api_name="/file_out")
        assert ":4:" in client.predict(made, api_name="/file_in")


def test_a_file_that_the_caller_marks_goes_up(client: Client, tmp_path: Path) -> None:
    text = tmp_path / "some text.txt"
    text.write_text("some text")
    marked = {"path": str(text), "meta": {"_type": "gradio.FileData"}}
    assert ":9:" in client.predict(marked, api_name="/file_in")


def test_the_endpoints_are_told_as_the_server_documents_them(
    client: Client, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    told: Any = client.view_api(return_format="dict")
    prefix = "/gradio_api" if int(server.version.partition(".")[0]) >= 5 else ""
    info = httpx.get(f"{server.url()}{prefix}/info").json()
    for group in ("named_endpoints", "unnamed_endpoints"):
        assert list(told[group]) == list(info[group])
        for name, endpoint in told[group].items():
            assert endpoint == {key: info[group][name][key] for key in endpoint}
    assert [one["label"] for one in told["named_endpoints"]["/add"]["parameters"]] == ["a", "b"]
    text = client.view_api(return_format="str")
    assert isinstance(text, str)
    assert max(map(len, text.splitlines())) < 200
    assert capsys.readouterr().out == ""
    client.view_api()
    assert 'api_name="/add"' in capsys.readouterr().out


def test_an_app_with_a_login(server: Server) -> None:
    with Client(server.url("auth"), auth=CREDENTIALS) as client:
        assert client.predict("you", api_name="/hello") == "Hello, you!"
    with pytest.raises(AuthenticationError):
        Client(server.url("auth"))


def test_the_headers_of_a_call_win(server: Server) -> None:
    with Client(server.url(), headers={"x-canonical": "client"}) as client:
        assert client.predict(api_name="/echo_request")["headers"]["x-canonical"] == "client"
        seen = client.predict(api_name="/echo_request", headers={"x-canonical": "call"})
        assert seen["headers"]["x-canonical"] == "call"


def test_a_job_is_iterated_in_an_event_loop(client: Client) -> None:
    async def main() -> list[Any]:
        return [output async for output in client.submit(3, api_name="/count")]

    assert anyio.run(main) == ["0", "0 1", "0 1 2"]


def test_the_async_client_does_the_same(server: Server, tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncClient(server.url(), download_files=tmp_path) as client:
            assert await client.predict("you", api_name="/hello") == "Hello, you!"
            job = client.submit(3, api_name="/count")
            assert [output async for output in job] == ["0", "0 1", "0 1 2"]
            assert await job == "0 1 2"
            made = await client.predict("made", api_name="/file_out")
            assert await anyio.Path(made).read_text() == "made"
            endless = client.submit(api_name="/forever")
            async for _ in endless:
                assert await endless.cancel()
            assert endless.cancelled()
            with pytest.raises(AppError):
                await client.predict("x", api_name="/raise_error")

    anyio.run(main)
