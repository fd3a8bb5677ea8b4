# SPDX-License-Identifier: Apache-2.0
"""The pytest plug-in, seen by those who run pytest with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import gradio_transport as gt
from gradio_transport_conformance.replay.server import serve
from gradio_transport_conformance.traces import shipped_trace

pytest_plugins = ["pytester"]

CALL = """
    import gradio_transport as gt

    def call(url, name, *arguments, **options):
        with gt.connect(str(url), **options) as app:
            return app.call(name, *arguments)
"""


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """Import what the runs import: pytester forgets after each run what it imported first, which takes seconds."""
    from gradio_transport.recording import client, proxy  # noqa: F401
    from gradio_transport_conformance.faults import server  # noqa: F401
    from gradio_transport_conformance.pytest_plugin import cassettes, faults, servers  # noqa: F401
    from gradio_transport_conformance.replay import websockets  # noqa: F401

    for name in ("6.31.0/hello", "3.50.2/hello"):
        with serve(shipped_trace(name)) as app, gt.connect(app.url) as connected:
            connected.call("/hello", "Ada")


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Runs pytest on a module of tests, in a terminal of 80 columns; the program under test is `program.call`."""
    pytester.makepyfile(program=CALL)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("CI", raising=False)  # with it, pytest cuts no line
    monkeypatch.syspath_prepend(pytester.path)

    def run(source: str = "", *options: str) -> pytest.RunResult:
        if source:
            pytester.makepyfile(
                test_it=f"import pytest\nfrom program import call\nimport gradio_transport as gt\n{source}"
            )
        flags = ("--strict-markers", "--strict-config", "-W", "error", "-p", "no:cacheprovider")
        result = pytester.runpytest_inprocess(*flags, *options)
        sys.modules.pop("program", None)
        return result

    return run


def lines_of(result: pytest.RunResult, start: str, count: int) -> list[str]:
    """Return some lines of an output from one that has a text on, without pytest's mark of errors."""
    lines = [line.removeprefix("E").strip() for line in result.outlines]
    place = next(number for number, line in enumerate(lines) if start in line)
    return lines[place : place + count]


# --- gradio_server -----------------------------------------------------------------------------------


def test_recordings_of_real_servers_are_served(run):
    result = run(
        """
def test_it(gradio_server):
    new, old = gradio_server("6.31.0", "count"), gradio_server("3.50.2", "count")
    assert call(new.url, "/count", 3) == call(old, "/count", 3) == ["0 1 2"]
    assert ("GET", "/config", 200) in new.requests
"""
    )
    result.assert_outcomes(passed=1)


def test_a_recording_of_ones_own_is_found_beside_the_test(run, pytester):
    own = Path(__file__).parents[2] / "docs" / "debugging" / "raises.jsonl"
    (pytester.path / "mine.jsonl").write_bytes(own.read_bytes())
    result = run(
        """
def test_it(gradio_server):
    with pytest.raises(gt.AppError, match="Cannot divide by zero"):
        call(gradio_server("mine.jsonl"), "/divide", 1, 0)
"""
    )
    result.assert_outcomes(passed=1)


def test_a_request_without_a_reply_fails_the_test_although_the_program_does_not_mind(run):
    result = run(
        """
def test_it(gradio_server):
    url = gradio_server("6.31.0", "hello").url
    with pytest.raises(gt.ServerRefused):
        call(url, "/direct", "x")
"""
    )
    result.assert_outcomes(failed=1)
    assert lines_of(result, "has no reply to", 2) == [
        "The recording 6.31.0/hello has no reply to:",
        "POST /gradio_api/run/direct",
    ]


def test_what_clients_ask_for_besides_calls_needs_no_reply(run):
    result = run(
        """
import urllib.error, urllib.request

def test_it(gradio_server):
    url = gradio_server("6.31.0", "hello").url
    for path in ("/theme.css?v=1", "/"):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(url + path)
"""
    )
    result.assert_outcomes(passed=1)


def test_a_strict_server_shows_how_the_arguments_differ(run):
    result = run(
        """
def test_it(gradio_server):
    call(gradio_server("6.31.0", "hello", strict=True), "/hello", "Bob")
"""
    )
    result.assert_outcomes(failed=1)
    assert lines_of(result, "no such request", 4) == [
        "The recording 6.31.0/hello has no such request:",
        "POST /gradio_api/queue/join  (/hello)",
        '- recorded  data[0]: "Ada"',
        '+ sent      data[0]: "Bob"',
    ]


def test_a_strict_websocket_shows_how_the_arguments_differ(run):
    result = run(
        """
def test_right(gradio_server):
    assert call(gradio_server("3.50.2", "hello", strict=True), "/hello", "Ada") == ["Hello, Ada!"]

def test_wrong(gradio_server):
    call(gradio_server("3.50.2", "hello", strict=True), "/hello", "Bob")
"""
    )
    result.assert_outcomes(passed=1, failed=1)
    assert lines_of(result, "WS /queue/join", 3) == [
        "WS /queue/join  (/hello)",
        '- recorded  data[0]: "Ada"',
        '+ sent      data[0]: "Bob"',
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ('"6.31.0", "conut"', "The kit has no trace 'conut' of Gradio 6.31.0. Did you mean 'count'"),
        ('"6.30", "count"', "The kit has no traces of Gradio '6.30'. Did you mean '6.31.0'"),
        ('"missing.jsonl"', "missing.jsonl: No such file or directory"),
        ('"test_it.py"', "Name a version and a case"),
        ('"6.30"', "The kit has no traces of Gradio '6.30'. Did you mean '6.31.0'"),
        ('"6.31.0", strict=True', "strict and speed need a case"),
        ('"6.31.0", speed=1', "strict and speed need a case"),
        ('"mine.jsonl", "count"', "a trace has no cases. Leave the case out"),
    ],
)
def test_a_recording_that_is_not_there_is_told(run, arguments, message):
    result = run(f"def test_it(gradio_server):\n    gradio_server({arguments})\n")
    result.assert_outcomes(failed=1)
    assert message in result.stdout.str()


# --- gradio_fault ------------------------------------------------------------------------------------


def test_all_cases_of_a_version_are_served(run):
    result = run(
        """
def test_it(gradio_server):
    server = gradio_server("3.2")
    with gt.connect(server.url) as app:
        assert app.call("/pair", "abc") == ["ABC", 3]
        assert app.call("/hello", "Ada") == ["Hello, Ada!"]
        assert app.call("/pair", "abc") == ["ABC", 3]
    assert server.url == str(server) == server.url_of("hello") != server.url_of("login")
    assert server.requests[0] == ("GET", "/config", 200)
    assert ("WS", "/queue/join", 101) in server.requests
    with pytest.raises(KeyError, match="'conut' is not served; there are .*hello"):
        server.url_of("conut")
"""
    )
    result.assert_outcomes(passed=1)


def test_what_no_case_of_a_version_answers_fails_the_test_although_the_program_does_not_mind(run):
    result = run(
        """
def test_it(gradio_server):
    with pytest.raises(gt.GradioTransportError):
        call(gradio_server("3.2"), "/hello", "Grace")
"""
    )
    result.assert_outcomes(failed=1)
    assert lines_of(result, "have no reply for a client", 2) == [
        "The recordings of Gradio 3.2 have no reply for a client that:",
        'calls /hello by the queue\'s websocket with ["Grace"]',
    ]


def test_a_fault_is_served(run):
    result = run(
        """
def test_it(gradio_fault):
    server = gradio_fault("reset-in-mid-call")
    assert (server.protocol, server.phase, server.expect.error) == ("sse_v3", "stream", "StreamLost")
    with pytest.raises(gt.StreamLost) as caught:
        call(server, "/count", "x")
    assert caught.value.may_have_run

def test_another_protocol(gradio_fault):
    server = gradio_fault("Reset in mid-call", protocol="websocket C", phase="stream")
    with pytest.raises(gt.StreamLost):
        call(server.url, "/count", "x")
"""
    )
    result.assert_outcomes(passed=2)


def test_a_fault_of_no_name_has_the_nearest_names(run):
    result = run('def test_it(gradio_fault):\n    gradio_fault("stream-reset-mid-message")\n')
    result.assert_outcomes(failed=1)
    near = lines_of(result, "no fault is named", 6)
    assert near[0].endswith("no fault is named 'stream-reset-mid-message'. The nearest names are:")
    assert "reset-in-mid-call" in near[1:]


def test_a_fault_that_does_not_strike_there_says_where_it_does(run):
    result = run('def test_it(gradio_fault):\n    gradio_fault("reset-in-mid-call", phase="join")\n')
    result.assert_outcomes(failed=1)
    assert "sse_v3: stream" in result.stdout.str()


# --- gradio_cassette ---------------------------------------------------------------------------------

GREETING = """
@pytest.mark.gradio_cassette("greeting", source={source!r})
def test_it(gradio_url):
    assert call(gradio_url, "/hello", {name!r}) == ["Hello, Ada!"]
"""


@pytest.fixture
def recorded(run, pytester):
    """A cassette of one greeting, whose app is gone."""
    with serve(shipped_trace("6.31.0/hello")) as app:
        result = run(GREETING.format(source=app.url, name="Ada"))
    result.assert_outcomes(passed=1)
    return pytester.path / "cassettes" / "greeting.jsonl"


def test_a_cassette_is_recorded_once_and_then_replayed_without_the_app(run, recorded):
    assert recorded.stat().st_mode & 0o044
    before = recorded.read_bytes()
    result = run()
    result.assert_outcomes(passed=1)
    assert "recorded cassettes" not in result.stdout.str()
    assert recorded.read_bytes() == before


def test_a_cassette_that_was_recorded_is_named(run):
    with serve(shipped_trace("6.31.0/hello")) as app:
        result = run(GREETING.format(source=app.url, name="Ada"))
    result.stdout.fnmatch_lines(["*= recorded cassettes =*", "cassettes/greeting.jsonl"])


def test_a_request_that_differs_fails_with_the_difference(run, recorded):
    result = run(GREETING.format(source="http://127.0.0.1:1", name="Bob"))
    result.assert_outcomes(failed=1)
    assert lines_of(result, "no such request", 5) == [
        "The cassette cassettes/greeting.jsonl has no such request:",
        "POST /gradio_api/queue/join  (/hello)",
        '- recorded  data[0]: "Ada"',
        '+ sent      data[0]: "Bob"',
        "If the test is right, record it again:",
    ]
    assert 'pytest --gradio-record=all "test_it.py::test_it"' in result.stdout.str()


def test_a_difference_fails_the_test_although_the_program_does_not_mind(run, recorded):
    result = run(
        """
@pytest.mark.gradio_cassette("greeting")
def test_it(gradio_url):
    with pytest.raises(gt.ServerRefused):
        call(gradio_url, "/hello", "Bob")
"""
    )
    result.assert_outcomes(failed=1)
    assert lines_of(result, "- recorded", 2) == ['- recorded  data[0]: "Ada"', '+ sent      data[0]: "Bob"']


def test_a_request_that_comes_too_often_fails(run, recorded):
    result = run(
        """
@pytest.mark.gradio_cassette("greeting")
def test_it(gradio_url):
    with gt.connect(gradio_url) as app:
        app.call("/hello", "Ada")
        app.call("/hello", "Ada")
"""
    )
    result.assert_outcomes(failed=1)
    assert "This exact request was recorded once, and was sent once more." in result.stdout.str()


def test_a_request_to_another_path_fails_and_names_what_was_expected(run, recorded):
    result = run(
        """
@pytest.mark.gradio_cassette("greeting")
def test_it(gradio_url):
    with pytest.raises(gt.ServerRefused):
        call(gradio_url, "/direct", "Ada")
"""
    )
    assert lines_of(result, "POST /gradio_api/run/direct", 3) == [
        "POST /gradio_api/run/direct  (/direct)",
        "No request with this method and path was recorded.",
        '+ sent      data[0]: "Ada"',
    ]
    assert "The next recorded request: POST /gradio_api/queue/join" in result.stdout.str()


def test_all_records_again_and_a_test_that_fails_keeps_the_old_cassette(run, recorded):
    before = recorded.read_bytes()
    with serve(shipped_trace("6.31.0/hello")) as app:
        failing = GREETING.format(source=app.url, name="Ada").replace("Hello, Ada!", "something else")
        run(failing, "--gradio-record=all").assert_outcomes(failed=1)
        assert recorded.read_bytes() == before
        result = run(GREETING.format(source=app.url, name="Ada"), "--gradio-record=all")
    result.assert_outcomes(passed=1)
    assert recorded.read_bytes() != before  # another session, another time
    assert [path.name for path in recorded.parent.iterdir()] == ["greeting.jsonl"]


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("http://127.0.0.1:1", ["--gradio-record=none"], "--gradio-record=none records none"),
        ("http://127.0.0.1:1", ["-o", "gradio_record=none"], "--gradio-record=none records none"),
        ("http://127.0.0.1:1", [], "cannot be recorded from http://127.0.0.1:1: Cannot connect to"),
        (None, [], "no app to record it from is configured"),
    ],
)
def test_a_cassette_that_cannot_be_recorded_is_told_in_few_lines(run, source, options, message):
    result = run(GREETING.format(source=source, name="Ada"), *options)
    result.assert_outcomes(errors=1)
    said = " ".join(result.outlines)
    assert message in said
    assert "Traceback" not in said
    assert len(result.outlines) < 25
    assert max(len(line) for line in result.outlines if not line.startswith(("plugins: ", "rootdir: "))) <= 80


def test_the_app_can_be_named_in_the_settings(run, pytester):
    with serve(shipped_trace("6.31.0/hello")) as app:
        pytester.makeini(f"[pytest]\ngradio_source = {app.url}\n")
        run(GREETING.format(source=None, name="Ada")).assert_outcomes(passed=1)


def test_each_test_has_a_cassette_of_its_own_unless_it_names_one(run, pytester):
    source = """
@pytest.mark.gradio_cassette(source={!r})
class TestGreeting:
    @pytest.mark.parametrize("name", ["Ada", "a/b"])
    def test_it(self, gradio_url, name):
        assert call(gradio_url, "/hello", name) == ["Hello, Ada!"]
"""
    with serve(shipped_trace("6.31.0/hello")) as app:
        run(source.format(app.url)).assert_outcomes(passed=2)
    names = sorted(path.name for path in (pytester.path / "cassettes" / "test_it").iterdir())
    assert names[0] == "TestGreeting.test_it[Ada].jsonl"
    assert names[1].startswith("TestGreeting.test_it[a-b]-")
    run().assert_outcomes(passed=2)


def test_secrets_are_not_recorded_and_the_cassette_fits_all_the_same(run, pytester):
    source = """
@pytest.mark.gradio_cassette("secret", source={!r}, secrets="my own word")
def test_it(gradio_url):
    call(gradio_url, "/hello", "{}")
    call(gradio_url, "/hello", "this is my own word")
"""
    token = "hf_" + "abcdefghijklmnopqrstuvwxyz12345678"
    with serve(shipped_trace("6.31.0/hello")) as app:
        run(source.format(app.url, token)).assert_outcomes(passed=1)
    written = (pytester.path / "cassettes" / "secret.jsonl").read_text()
    assert token not in written
    assert "my own word" not in written
    run().assert_outcomes(passed=1)


def test_an_upload_is_compared_by_its_size(run, pytester):
    source = """
@pytest.mark.gradio_cassette("upload", source={!r})
def test_it(gradio_url, tmp_path):
    (tmp_path / "a.txt").write_text({!r})
    call(gradio_url, "/file_in", gt.handle_file(tmp_path / "a.txt"))
"""
    with serve(shipped_trace("6.31.0/file_in")) as app:
        run(source.format(app.url, "hello")).assert_outcomes(passed=1)
    run(source.format("", "world")).assert_outcomes(passed=1)
    result = run(source.format("", "longer"))
    result.assert_outcomes(failed=1)
    assert lines_of(result, "no such request", 4)[1:] == [
        "POST /gradio_api/upload",
        "- recorded  a.txt: 5",
        "+ sent      a.txt: 6",
    ]


def test_a_login_is_replayed(run):
    source = """
@pytest.mark.gradio_cassette("login", source={!r})
def test_it(gradio_url):
    assert call(gradio_url, "/hello", "Ada", auth=("admin", "secret")) == ["Hello, Ada!"]
"""
    with serve(shipped_trace("6.31.0/login")) as app:
        first = run(source.format(app.url))
    first.assert_outcomes(passed=1)
    run().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ("", "gradio_url needs the mark"),
        ('@pytest.mark.gradio_cassette("../../x")', "is outside of"),
        ('@pytest.mark.gradio_cassette("x", sauce="y")', "takes a name, source= and secrets=, not sauce"),
    ],
)
def test_a_mark_that_means_nothing_is_refused(run, mark, message):
    result = run(f"{mark}\ndef test_it(gradio_url):\n    pass\n")
    result.assert_outcomes(errors=1)
    assert message in result.stdout.str()


def test_a_cassette_that_is_damaged_is_told_with_the_command_that_records_it(run, pytester):
    (pytester.path / "cassettes").mkdir()
    (pytester.path / "cassettes" / "greeting.jsonl").write_text("garbage")
    result = run(GREETING.format(source=None, name="Ada"))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["The cassette cassettes/greeting.jsonl cannot be read:*", "*--gradio-record=all*"]
    )


def test_processes_of_xdist_report_what_they_recorded(run):
    with serve(shipped_trace("6.31.0/hello")) as app:
        result = run(GREETING.format(source=app.url, name="Ada"), "-n1", "-p", "xdist")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*= recorded cassettes =*", "cassettes/greeting.jsonl"])


# --- the plug-in itself ------------------------------------------------------------------------------


def test_a_start_of_pytest_imports_nothing_of_the_library():
    program = """
import sys
import pytest
before = set(sys.modules)
import gradio_transport_conformance.pytest_plugin
print(*sorted(set(sys.modules) - before - set(sys.stdlib_module_names)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stdout.split() == [
        "gradio_transport_conformance",
        "gradio_transport_conformance.pytest_plugin",
        "gradio_transport_conformance.pytest_plugin.adapters",
    ]


def test_it_can_be_switched_off(run):
    result = run("def test_it(gradio_server):\n    pass\n", "-p", "no:gradio_transport")
    result.assert_outcomes(errors=1)
    assert "fixture 'gradio_server' not found" in result.stdout.str()
