# SPDX-License-Identifier: Apache-2.0
"""What a real app sees of its caller, and how it is told of files and sessions."""

import re
from pathlib import Path
from typing import Any

import pytest
from faces import FACES, with_app

import gradio_transport as gt
from conformance.servers import Server
from gradio_transport.trace import Frame
from gradio_transport_conformance.cases import numbers
from gradio_transport_conformance.play import CREDENTIALS

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

TIMEOUTS = gt.Timeouts(total=20)


def need(server: Server, scenario: str, variant: str = "canonical") -> Any:
    if not server.has(scenario, variant):
        pytest.skip(f"Gradio {server.version} has no {scenario}")
    return server.scenario(scenario, variant)


def since(server: Server, version: str) -> bool:
    return numbers(server.version) >= numbers(version)


def shown(value: Any) -> dict[str, Any]:
    """Return the JSON that an app showed; 5.50 gives a Python repr of it by direct HTTP only."""
    assert isinstance(value, dict), value
    return value


def test_the_app_sees_the_headers_of_a_call(server: Server) -> None:
    place = need(server, "echo_request")
    with gt.connect(place.url, timeouts=TIMEOUTS, headers={"x-canonical": "app"}) as app:
        options = gt.CallOptions(headers={"x-canonical": "call"})
        request = shown(app.call(place.api_name, options=options)[0])
        assert request["headers"]["x-canonical"] == "call"
        assert shown(app.call(place.api_name)[0])["headers"]["x-canonical"] == "app"
        if since(server, "4.31.5"):
            assert request["session_hash"] == app.session_hash


def test_the_app_sees_who_is_logged_in(server: Server) -> None:
    place = need(server, "echo_request", "auth")
    if not since(server, "3.28"):
        pytest.skip("gr.Request does not say it yet")
    with gt.connect(place.url, timeouts=TIMEOUTS, auth=CREDENTIALS) as app:
        assert shown(app.call(place.api_name)[0])["username"] == CREDENTIALS[0]


def test_an_expired_login_is_renewed(server: Server) -> None:
    place = need(server, "hello", "auth")
    with gt.connect(place.url, timeouts=TIMEOUTS, auth=CREDENTIALS) as app:
        which = place.fn_index if place.api_name is None else place.api_name
        assert app.call(which, "you") == ["Hello, you!"]
        jar = app._app.credentials
        jar._cookies = {name: type(one)("gone", one.path) for name, one in jar._cookies.items()}
        with app.session() as session:
            if since(server, "3.9.1") and not since(server, "3.43"):
                pytest.skip(
                    "the handshake of these takes any token, and the call fails later (docs/wire.md §3.3)"
                )
            assert session.call(which, "you") == ["Hello, you!"]


@pytest.mark.parametrize("face", FACES)
def test_calls_one_after_the_other_do_not_ask_which_app_it_is(server: Server, face: str) -> None:
    place, frames = need(server, "hello"), list[Frame]()
    which = place.fn_index if place.api_name is None else place.api_name

    async def use(app: Any, wait: Any) -> None:
        for _ in range(4):
            assert await wait(app.call(which, "you")) == ["Hello, you!"]

    with_app(face, place.url, use, timeouts=TIMEOUTS, tap=frames.append)
    assert len([frame for frame in frames if frame.channel == "app_id"]) <= 2  # once: request and reply


def test_a_wrong_password_says_so(server: Server) -> None:
    place = need(server, "hello", "auth")
    with pytest.raises(gt.AuthenticationRequired, match="refused the login"):
        gt.connect(place.url, timeouts=TIMEOUTS, auth=(CREDENTIALS[0], "wrong"))


def test_typed_event_data_reach_the_handler(server: Server) -> None:
    place = need(server, "on_select")
    with gt.connect(place.url, timeouts=TIMEOUTS) as app:
        options = gt.CallOptions(event_data=gt.page_events.SelectData(index=1, value="b"))
        (seen,) = app.call(place.fn_index if place.api_name is None else place.api_name, options=options)
        assert (seen["index"], seen["value"]) == (1, "b")


def test_a_file_of_some_megabytes_goes_up_and_its_progress_is_told(server: Server, tmp_path: Path) -> None:
    place = need(server, "file_in")
    path = tmp_path / "large.bin"
    path.write_bytes(b"0123456789" * 500_000)
    steps: list[tuple[int, int]] = []
    with gt.connect(place.url, timeouts=TIMEOUTS) as app:
        options = gt.CallOptions(upload_progress=lambda sent, total: steps.append((sent, total)))
        which = place.fn_index if place.api_name is None else place.api_name
        (facts,) = app.call(which, gt.handle_file(path), options=options)
    assert ":5000000:" in facts
    if since(server, "3.19"):
        assert steps[-1][0] == steps[-1][1] > 5_000_000


def test_results_are_downloaded_on_request(server: Server, tmp_path: Path) -> None:
    place = need(server, "file_out")
    with gt.connect(place.url, timeouts=TIMEOUTS, download_files=tmp_path) as app:
        which = place.fn_index if place.api_name is None else place.api_name
        (path,) = app.call(which, "some text")
    assert path.parent == tmp_path
    assert path.read_text() == "some text"
    assert re.fullmatch(r"made file.*\.txt", path.name)


def test_a_session_that_needs_it_has_a_heartbeat(server: Server) -> None:
    place = need(server, "hello")
    frames: list[Frame] = []
    with gt.connect(place.url, timeouts=TIMEOUTS, tap=frames.append) as app:
        app.call(place.fn_index if place.api_name is None else place.api_name, "you")
        wanted = app.config.connect_heartbeat
        beating = app._session._core._heartbeat
        if beating is not None:
            beating.thread.join(0.5)  # time for it to open
    assert wanted is since(server, "4.25")
    opened = [frame for frame in frames if frame.channel == "heartbeat" and frame.kind == "response-head"]
    assert [frame.payload["status"] for frame in opened] == ([200] if wanted else [])


def test_the_whole_tree_of_a_file_explorer_where_ls_gives_that(server: Server) -> None:
    place = need(server, "explore")
    if since(server, "4.19"):
        pytest.skip("ls lists one directory from 4.19 on")
    with gt.connect(place.url, timeouts=TIMEOUTS) as app:
        tree = app.component_server(place.component_id, "ls")
    assert [one["path"] for one in tree] == ["a.txt", "sub"]


def test_a_component_has_no_other_functions(server: Server) -> None:
    place = need(server, "explore")
    if not since(server, "4.13"):
        pytest.skip("before 4.13 any method can be called")
    with gt.connect(place.url, timeouts=TIMEOUTS) as app, pytest.raises(gt.ServerRefused):
        app.component_server(place.component_id, "preprocess", [])
