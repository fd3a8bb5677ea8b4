# SPDX-License-Identifier: Apache-2.0
"""The command line, against a fake server on loopback."""

from __future__ import annotations

import json
import logging
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from chat_server import TOKEN as CHAT_TOKEN
from chat_server import chat_server
from click.testing import CliRunner, Result
from fake_gradio import FakeGradio, fake_gradio
from scripted import CONFIG, Scripted, scripted
from terminals import in_a_terminal, without_escapes

import gradio_transport as gt
from gradio_transport.cli.app import COMMANDS, commands

COMMAND = (sys.executable, "-m", "gradio_transport")


@pytest.fixture(scope="module")
def server() -> Iterator[FakeGradio]:
    with fake_gradio() as server:
        yield server


def run(*words: str, **options: object) -> Result:
    return CliRunner(catch_exceptions=False).invoke(commands, words, **options)  # type: ignore[arg-type]


# --- call: what goes to stdout -----------------------------------------------------------------------


def test_outputs_are_lines_text_as_it_is_and_the_rest_as_json(server: FakeGradio) -> None:
    result = run("call", server.url, "/pair", "hé")

    assert (result.exit_code, result.stdout, result.stderr) == (0, 'HÉ\n{"n": 2}\n', "")


def test_the_slash_of_a_name_may_be_left_out(server: FakeGradio) -> None:
    assert run("call", server.url, "hello", "Ada").stdout == "Hello, Ada!\n"


def test_raw_is_one_json_list(server: FakeGradio) -> None:
    assert run("call", server.url, "/pair", "hi", "--raw").stdout == '["HI", {"n": 2}]\n'


def test_a_pipe_gets_only_the_last_step_of_a_generator(server: FakeGradio) -> None:
    assert run("call", server.url, "/count", "3").stdout == "0 1 2\n"


def test_json_lines_are_the_events(server: FakeGradio) -> None:
    events = [
        json.loads(line) for line in run("call", server.url, "/count", "2", "--jsonl").stdout.splitlines()
    ]

    assert [event["event"] for event in events] == [
        "joined", "estimation", "process_starts", "process_generating", "process_generating",
        "process_completed",
    ]  # fmt: skip
    assert [event["data"] for event in events[3:]] == [["0"], ["0 1"], ["0 1"]]
    assert events[1]["rank_eta"] == 2.5
    assert all(event["seconds"] >= 0 for event in events)


def test_json_lines_tell_an_error_of_the_app(server: FakeGradio) -> None:
    result = run("call", server.url, "/raise_error", "--jsonl")
    last = json.loads(result.stdout.splitlines()[-2])

    assert result.exit_code == 1
    assert (last["event"], last["success"]) == ("process_completed", False)
    assert last["error"]["type"] == "AppError"
    assert last["error"]["message"] == "the app failed"


def test_json_lines_tell_a_refusal(server: FakeGradio) -> None:
    result = run("call", server.url, "/full", "--jsonl")
    last = json.loads(result.stdout.splitlines()[-1])

    assert result.exit_code == 3
    assert last["event"] == "failed"
    assert last["error"]["type"] == "QueueFull"
    assert last["error"]["retryable"] is True


def test_json_is_valid_whatever_the_app_returns(server: FakeGradio) -> None:
    # NaN, and half of a surrogate pair.
    assert json.loads(run("call", server.url, "/odd", "--raw").stdout) == [None, "\ud800"]


# --- call: arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [("1", "-2.5"), ("1", "b=-2.5"), ("b=-2.5", "a=1"), ("--", "1", "-2.5"), ("b=-2.5", "--raw", "1")],
)
def test_arguments_are_given_by_position_or_by_name(server: FakeGradio, words: tuple[str, ...]) -> None:
    assert run("call", server.url, "/add", *words).stdout.strip("[]\n") == "-1.5"


def test_a_default_is_filled_in(server: FakeGradio) -> None:
    assert run("call", server.url, "/add", "1").stdout == "3\n"


def test_after_two_dashes_every_word_is_a_value(server: FakeGradio) -> None:
    assert run("call", server.url, "/hello", "--", "--raw").stdout == "Hello, --raw!\n"
    assert run("call", server.url, "/hello", "--", "e=mc2").stdout == "Hello, e=mc2!\n"


@pytest.mark.parametrize("text", ["a==b", "QUJD=", "https://example.org/?q=1", "x = y", "=x"])
def test_a_text_with_an_equals_sign_that_names_nothing_is_a_value(server: FakeGradio, text: str) -> None:
    assert run("call", server.url, "/hello", text).stdout == f"Hello, {text}!\n"


def test_a_value_is_read_by_its_type(server: FakeGradio) -> None:
    assert run("call", server.url, "/echo", '{"a": [1, true]}').stdout == '{"a": [1, true]}\n'
    assert run("call", server.url, "/hello", "3").stdout == "Hello, 3!\n"


@pytest.mark.parametrize("text", ['{"a": 1, "b": 4}', "[1, 4]"])
def test_arguments_come_from_a_json_file_or_stdin(server: FakeGradio, tmp_path: Path, text: str) -> None:
    file = tmp_path / "arguments.json"
    file.write_text(text)

    assert run("call", server.url, "/add", "--json", str(file)).stdout == "5\n"
    assert run("call", server.url, "/add", "--json", "-", input=text).stdout == "5\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("/add", "x"), "/add: a takes a number, got 'x'. Signature: /add(a: float, b: float = 2)."),
        (("/add", "b=x"), "/add: b takes a number, got 'x'"),
        (("/add", "1", "2", "3"), "argument 3: surplus"),
        (("/add",), "a: missing"),
        (("/add", "1", "a=1"), "a: given by position and by name"),
        (("/add", "a=1", "a=2"), "a is given twice"),
        (("/hello", "nme=Ada"), "no parameter 'nme'. Did you mean 'name'?"),
        (("/helo", "Ada"), "Did you mean '/hello'"),
        (("99",), "no endpoint 99"),
        (("/private",), "private"),
        (("/add", "1", "--raw", "--jsonl"), "exclude each other"),
        (("/add", "1", "--json", "-"), "not JSON"),
        (("/hello", "@alice"), "name takes no file. To pass the text '@alice', write '@@alice'"),
        (("/add", "1", "--event-data", "{"), "not JSON"),
        (("/add", "1", "--protcol", "sse_v3"), "No such option"),
        (("/add", "1", "--timeout", "-1"), "-1"),
        (("/add", "1", "--header", "nothing"), "is not a header"),
        (("/add", "1", "--auth", "user"), "no terminal"),
    ],
)
def test_bad_usage_is_status_2_and_names_what_is_wrong(
    server: FakeGradio, words: tuple[str, ...], message: str
) -> None:
    result = run("call", server.url, *words)

    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_an_unknown_option_is_taken_for_a_value_only_where_values_stand(server: FakeGradio) -> None:
    among = (
        ("/hello", "-jolly"),
        ("/hello", "--raw", "--jolly"),
        ("/add", "--timeout", "3", "1", "--protcol", "x"),
    )
    before = (("-jolly", "/hello"), ("--jolly", "/hello", "x"), ("--timeout", "3", "--protcol", "/hello"))
    for words in among + before:
        result = run("call", server.url, *words)
        assert result.exit_code == 2
        assert "No such option '-" in result.stderr
        assert ("put -- before the values" in result.stderr) is (words in among)
    assert "Did you mean '--protocol'? To pass" in run("call", server.url, *among[-1]).stderr
    assert run("call", server.url, "/hello", "--", "-jolly").stdout == "Hello, -jolly!\n"


@pytest.mark.parametrize("text", ["3", "{", "[NaN]", "\\ud800"])
def test_a_json_file_that_holds_no_arguments_is_bad_usage(server: FakeGradio, text: str) -> None:
    result = run("call", server.url, "/add", "--json", "-", input=text)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "--json" in result.stderr


# --- call: how it ends -------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["/raise_error", "13"])
def test_an_error_of_the_app_is_status_1(server: FakeGradio, which: str) -> None:
    result = run("call", server.url, which)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: AppError: the app failed [phase complete")
    assert result.stderr.count("\n") == 1


def test_a_refusal_is_status_3_and_says_what_to_do(server: FakeGradio) -> None:
    result = run("call", server.url, "/full")

    assert (result.exit_code, result.stdout) == (3, "")
    assert "QueueFull" in result.stderr
    assert "HTTP 503" in result.stderr
    assert "Try again later." in result.stderr


def test_no_connection_is_status_4() -> None:
    result = run("call", "http://127.0.0.1:9", "/hello", "x")

    assert result.exit_code == 4
    assert result.stderr.startswith("error: ConnectError: ")


def test_a_page_that_is_no_app_is_status_4(server: FakeGradio) -> None:
    result = run("list", f"{server.url}/elsewhere")

    assert result.exit_code == 4
    assert "NotAGradioApp" in result.stderr


def test_a_protocol_that_nobody_provides_is_status_4(server: FakeGradio) -> None:
    result = run("call", server.url, "/hello", "x", "--protocol", "sse_v4")

    assert result.exit_code == 4
    assert "Did you mean 'sse_v3'" in result.stderr


def test_a_timeout_is_status_4_and_names_the_option(server: FakeGradio) -> None:
    result = run("call", server.url, "/forever", "--timeout", "0.5")

    assert result.exit_code == 4
    assert "TimeoutExpired: " in result.stderr
    assert "--timeout" in result.stderr


@pytest.mark.parametrize("words", [("--jsonl",), ()])
def test_an_interrupt_cancels_on_the_server_and_is_status_130(words: tuple[str, ...]) -> None:
    with fake_gradio() as server:
        process = subprocess.Popen(
            [*COMMAND, "call", server.url, "/forever", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert server.seen("/gradio_api/queue/data")
        if words:
            assert process.stdout is not None
            while "process_generating" not in process.stdout.readline():
                pass
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)

        assert process.returncode == 130
        assert server.seen("/gradio_api/cancel")
        assert "Traceback" not in errors
        if words:
            last = json.loads(output.splitlines()[-1])
            assert (last["event"], last["achieved"]) == ("cancelled", "stopping at next yield")
        else:
            assert output == ""
            assert re.fullmatch("cancelled; on the server: [a-z ]+\n", errors)


# --- call: what goes to stderr -----------------------------------------------------------------------


def test_messages_of_the_app_go_to_stderr_unless_it_hides_them(server: FakeGradio) -> None:
    result = run("call", server.url, "/chatty")

    assert result.stdout == "done\n"
    assert result.stderr == "info: seen\nwarning: \\x1b[31mescaped\n"


def test_verbose_tells_the_flow_and_the_frames_behind_an_error(server: FakeGradio) -> None:
    level = logging.getLogger().level
    result = run("call", server.url, "/raise_error", "-v")
    assert logging.getLogger().level == level  # whoever runs the command in a process of theirs has it back

    assert "process_starts     the function runs, usually 1.5 s" in result.stderr
    assert "queue/join" in result.stderr


# --- call: in a terminal -----------------------------------------------------------------------------


def test_a_terminal_shows_text_as_it_grows(server: FakeGradio) -> None:
    status, drawn = in_a_terminal("call", server.url, "/count", "4")

    assert status == 0
    # The increments follow each other, and the whole is not repeated at the end.
    assert without_escapes(drawn).rstrip().endswith("0 1 2 3")
    assert without_escapes(drawn).count("0 1") == 1


def test_a_terminal_shows_each_step_of_a_number(server: FakeGradio) -> None:
    status, drawn = in_a_terminal("call", server.url, "/steps")

    assert status == 0
    assert without_escapes(drawn).endswith("0\r\n1\r\n")


def test_a_terminal_shows_an_error_in_red(server: FakeGradio) -> None:
    status, drawn = in_a_terminal("call", server.url, "/raise_error")

    assert status == 1
    assert "\x1b[1;31merror: \x1b[0m\x1b[31mAppError: the app failed" in drawn


def test_a_terminal_is_not_steered_by_the_app(server: FakeGradio) -> None:
    _, drawn = in_a_terminal("call", server.url, "/hello", "\x1b]0;title\x07")

    assert "\x1b]0;" not in drawn


# --- options -----------------------------------------------------------------------------------------


def mine(server: FakeGradio) -> list[str]:
    return ["--token", "hf_test", "--token-origin", server.url]


def test_headers_and_token_reach_the_server() -> None:
    with fake_gradio() as server:
        run("call", server.url, "/hello", "x", "-H", "X-Mine: yes", *mine(server))
        headers = next(headers for path, headers, _ in server.requests if path == "/gradio_api/queue/join")

    lower = {name.lower(): value for name, value in headers.items()}
    assert (lower["x-mine"], lower["authorization"]) == ("yes", "Bearer hf_test")


def test_event_data_reaches_the_server() -> None:
    with fake_gradio() as server:
        run("call", server.url, "/hello", "x", "--event-data", '{"index": 3}')
        body = next(body for path, _, body in server.requests if path == "/gradio_api/queue/join")

    assert body["event_data"] == {"index": 3}


def test_a_trace_is_written_without_the_token(server: FakeGradio, tmp_path: Path) -> None:
    trace = tmp_path / "call.jsonl"

    assert run("call", server.url, "/hello", "x", "--trace", str(trace), *mine(server)).exit_code == 0
    kinds = [json.loads(line)["kind"] for line in trace.read_text().splitlines()]
    assert kinds[0] == "meta"
    assert {"request", "response", "call", "chunk"} <= set(kinds)
    assert "hf_test" not in trace.read_text()


def test_a_token_for_another_host_is_refused_before_anything_is_sent() -> None:
    with fake_gradio() as server:
        result = run("call", server.url, "/hello", "x", "-t", "hf_test")

    assert result.exit_code == 2
    assert "not a host of Hugging Face" in result.stderr
    assert server.requests == []


def connecting(monkeypatch: pytest.MonkeyPatch, *failures: gt.GradioTransportError) -> list[dict[str, Any]]:
    """Let `connect` fail some times; return what it is given."""
    given: list[dict[str, Any]] = []
    left = list(failures)

    def connect(source: str, **arguments: Any) -> gt.Transport:
        given.append(arguments)
        raise left.pop(0)

    monkeypatch.setattr("gradio_transport.cli.options.connect", connect)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_saved")
    return given


def test_the_saved_token_is_for_spaces_that_hide_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = gt.errors.SpaceNotFound("hidden")
    given = connecting(monkeypatch, hidden, hidden)
    assert run("list", "owner/name").exit_code == 4
    assert [one["token"] for one in given] == [None, "hf_saved"]


@pytest.mark.parametrize(
    ("words", "token"),
    [
        (("owner/name",), None),  # a public Space with a login of its own
        (("http://127.0.0.1:9",), None),
        (("owner/name", "--token", "hf_given"), "hf_given"),
    ],
)
def test_the_saved_token_is_for_nobody_else(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], token: str | None
) -> None:
    given = connecting(monkeypatch, gt.AuthenticationRequired("The app wants a login."))
    assert run("list", *words).exit_code == 3
    assert [one["token"] for one in given] == [token]


def test_the_timeout_bounds_the_wait_for_a_space(monkeypatch: pytest.MonkeyPatch) -> None:
    given = connecting(monkeypatch, gt.TimeoutExpired("too long", setting="space"))
    run("list", "owner/name", "--timeout", "5")
    timeouts = given[0]["timeouts"]
    assert (timeouts.space, timeouts.discover, timeouts.total) == (5, 5, 5)


def test_a_hub_out_of_reach_is_no_wrong_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    result = run("list", "owner/name")
    assert result.exit_code == 4
    assert "Check that this machine is online." in result.stderr
    assert "URL is right" not in result.stderr


def test_settings_reach_the_adapter() -> None:
    with chat_server() as server:
        url = f"{server.url}/v1"
        words = ("--protocol", "openai_chat", "--token", CHAT_TOKEN)
        unasked = run("call", url, "/chat", "hi")
        unnamed = run("call", url, "/chat", "hi", *words)
        named = run("call", url, "/chat", "hi", *words, "--set", "model=parrot", "--set", "streaming=false")
    assert (unnamed.exit_code, named.stdout) == (2, "hi\n")
    assert "Here: --set model=NAME" in unnamed.stderr
    assert "Here: --protocol openai_chat" in unasked.stderr


def test_settings_are_json_where_they_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    given = connecting(monkeypatch, gt.ConnectError("nobody"))
    run("list", "http://127.0.0.1:9", *(f"--set={one}" for one in ("a=1", "b=x=y", "c=[null]", "d=")))
    assert {name: given[0][name] for name in "abcd"} == {"a": 1, "b": "x=y", "c": [None], "d": ""}


@pytest.mark.parametrize("text", ["model", "=x", "a-b=x", "token=hf_x", "tap=1", "source=x"])
def test_what_sets_nothing_of_an_adapter_is_bad_usage(text: str) -> None:
    result = run("list", "http://127.0.0.1:9", "--set", text)
    assert result.exit_code == 2
    assert "--set" in result.stderr


def test_a_trace_that_cannot_be_written_is_an_error_in_a_line(server: FakeGradio, tmp_path: Path) -> None:
    result = run("call", server.url, "/hello", "x", "--trace", str(tmp_path / "none" / "call.jsonl"))

    assert result.exit_code == 2
    assert "Could not open file" in result.stderr


# --- list, explain, adapters -------------------------------------------------------------------------


def test_a_pipe_gets_a_line_for_each_endpoint(server: FakeGradio) -> None:
    lines = run("list", server.url).stdout.splitlines()

    assert lines[0] == f"{server.url} · Gradio 6.31.0 · protocol sse_v3 · fake"
    assert "/add(a: float, b: float = 2) -> out0: str [fn_index 1]" in lines
    assert "/count(n: float) -> out0: str [fn_index 5, streams]" in lines
    assert lines[-1].startswith("fn_index 13() -> ")
    assert not any("private" in line or "\t" in line or "\x1b" in line for line in lines)


def test_private_endpoints_are_listed_on_request(server: FakeGradio) -> None:
    assert "/private(c1: str) -> c10: str [fn_index 12, private]\n" in run("list", server.url, "--all").stdout


@pytest.fixture
def mostly_hidden() -> Iterator[Scripted]:
    """An app with one public endpoint, as most that are made of event listeners."""
    hidden = [{**one, "show_api": one["id"] == 1} for one in CONFIG["dependencies"]]
    hidden[0]["api_visibility"] = "private"
    with scripted() as one:
        one.scripts["/config"] = lambda reply: reply.json(CONFIG | {"dependencies": hidden})
        yield one


def test_public_endpoints_are_listed_and_the_others_counted(mostly_hidden: Scripted) -> None:
    listed, everything = run("list", mostly_hidden.url), run("list", mostly_hidden.url, "--all")
    assert listed.stdout.splitlines()[1:] == ["/count(text: str) -> out: str [fn_index 1, streams]"]
    assert listed.stderr == "Not listed: 3 undocumented and 1 private (--all lists them).\n"
    assert len(everything.stdout.splitlines()) == 6
    assert everything.stderr == ""


def test_json_lists_what_the_lines_list(mostly_hidden: Scripted) -> None:
    def names(*options: str) -> list[str]:
        document = json.loads(run("list", mostly_hidden.url, "--json", *options).stdout)
        return [one["name"] for one in document["endpoints"]]

    assert names() == ["/count"]
    assert names("--all") == ["/count", "/forever", "/direct", "/raise_error", "/hello"]


def test_list_and_explain_follow_the_order_of_the_app_s_documentation(mostly_hidden: Scripted) -> None:
    described: dict[str, Any] = {"parameters": [], "returns": []}
    listed = {"/raise_error": described, "/forever": described}
    public = [{**one, "show_api": True, "inputs": []} for one in CONFIG["dependencies"]]
    mostly_hidden.scripts["/config"] = lambda reply: reply.json(CONFIG | {"dependencies": public})
    mostly_hidden.scripts["/gradio_api/info"] = lambda reply: reply.json({"named_endpoints": listed})

    lines = run("list", mostly_hidden.url).stdout.splitlines()
    assert [line.partition("(")[0] for line in lines[1:]] == ["/raise_error", "/forever"]
    assert "\n/raise_error, /forever:\n" in run("explain", mostly_hidden.url).stdout
    assert "\n/count:\n" in run("explain", mostly_hidden.url, "/count").stdout


def test_json_has_everything_of_an_endpoint(server: FakeGradio) -> None:
    document = json.loads(run("list", server.url, "--json").stdout)
    add = next(one for one in document["endpoints"] if one["name"] == "/add")

    assert (document["version"], document["protocol"]) == ("6.31.0", "sse_v3")
    assert [(one["name"], one["required"], one.get("default")) for one in add["parameters"]] == [
        ("a", True, None),
        ("b", False, 2),
    ]
    assert add["parameters"][0]["schema"] == {"type": "number"}


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_terminal_gets_a_table_that_fits(server: FakeGradio, columns: int) -> None:
    status, drawn = in_a_terminal("list", server.url, columns=columns)
    lines = without_escapes(drawn).split("\r\n")

    assert status == 0
    assert any(re.match(r"Endpoint +Parameters +Returns", line) for line in lines)
    assert any(re.match(r"/add +a: float +out0: str", line) for line in lines)
    assert all(len(line.rstrip()) <= columns for line in lines)
    assert "Not listed: 1 private (--all" in drawn


def test_explain_says_why(server: FakeGradio) -> None:
    assert "→ sse_v3" in run("explain", server.url, "/count").stdout
    whole = run("explain", server.url).stdout
    assert re.search("^.*/hello, .*:$", whole, re.MULTILINE)
    assert re.search("^fn_index 13:$", whole, re.MULTILINE)
    assert whole.count("→ sse_v3") == 2
    assert run("explain", server.url, "/nowhere").exit_code == 2


def test_explain_breaks_lines_at_words(server: FakeGradio) -> None:
    status, drawn = in_a_terminal("explain", server.url, columns=60)
    lines = without_escapes(drawn).splitlines()
    assert status == 0
    assert max(map(len, lines)) <= 60
    words = run("explain", server.url).stdout.split()
    assert without_escapes(drawn).split() == words


@pytest.mark.parametrize("command", ["call", "list", "explain", "predict", "demo"])
def test_examples_of_the_help_fit_a_terminal(command: str) -> None:
    result = run(command, "--help", terminal_width=80)
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "\\" not in result.stdout  # the mark of an example is a character, not its escape
    assert not re.search(r"^\s*-\n?json -", result.stdout, re.MULTILINE)
    assert "--trace" in result.stdout


def test_adapters_are_listed_with_their_package() -> None:
    assert re.search(r"^sse_v3 +gradio-transport  \w", run("adapters").stdout, re.MULTILINE)


# --- the program -------------------------------------------------------------------------------------


def test_help_documents_the_exit_statuses() -> None:
    text = run("--help").stdout

    assert "Exit status" in text
    assert "130" in text


def test_every_command_is_found_and_described() -> None:
    context = click.Context(commands)
    names = commands.list_commands(context)
    assert names == sorted(names) == sorted(COMMANDS)
    for name in names:
        command = commands.get_command(context, name)
        assert command is not None
        assert (command.name, bool(command.get_short_help_str())) == (name, True)
    assert commands.get_command(context, "nothing") is None


def test_a_command_is_imported_when_it_is_used() -> None:
    program = (
        "import sys, gradio_transport.cli.app as app\n"
        "print([m for m in sys.modules if m.startswith(('gradio_transport.trace', 'gradio_transport.sync'))])"
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )

    assert done.stdout == "[]\n"


def test_the_library_does_not_import_what_only_the_command_line_needs() -> None:
    program = "import sys, gradio_transport; print([m for m in ('click', 'rich') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )

    assert done.stdout == "[]\n"


def test_without_the_extra_the_command_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['rich'] = None\n"
        "from gradio_transport.cli.__main__ import main\n"
        "main()"
    )  # fmt: skip
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)

    assert (done.returncode, done.stdout) == (2, "")
    assert "needs rich" in done.stderr
    assert "gradio-transport[cli]" in done.stderr


def test_a_reader_that_leaves_early_is_no_traceback(server: FakeGradio) -> None:
    process = subprocess.Popen(
        [*COMMAND, "list", server.url, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, errors = process.communicate(timeout=30)

    assert "Traceback" not in errors


# --- files, payloads, other names --------------------------------------------------------------------


@pytest.fixture
def files_server() -> Iterator[Scripted]:
    meta = {"_type": "gradio.FileData"}
    components = [{"id": 1, "type": "file", "props": {}}, {"id": 2, "type": "file", "props": {}}]
    made = {"path": "/tmp/out/made file.txt", "orig_name": "made file.txt", "meta": meta}
    taken = {"parameter_name": "text", "type": {"type": "object"}, "python_type": {"type": "filepath"}}
    info = {"named_endpoints": {"/direct": {"parameters": [taken], "returns": []}}, "unnamed_endpoints": {}}
    with scripted() as one:
        one.scripts |= {
            "/gradio_api/info": lambda reply: reply.json(info),
            "/config": lambda reply: reply.json(CONFIG | {"components": components}),
            "/gradio_api/upload": lambda reply: reply.json(["/tmp/up/x"]),
            "/gradio_api/run/direct": lambda reply: reply.json({"data": [made]}),
            "/gradio_api/file=/tmp/out/made%20file.txt": lambda reply: reply.text("made"),
        }
        yield one


def given(server: Scripted) -> Any:
    return dict(server.seen)["/gradio_api/run/direct"]["data"][0]


def test_a_path_is_uploaded_and_a_file_is_printed_as_its_url(files_server: Scripted, tmp_path: Path) -> None:
    path = tmp_path / "a b.txt"
    path.write_text("hello")
    result = run("call", files_server.url, "/direct", f"@{path}")

    assert result.exit_code == 0, result.stderr
    assert given(files_server)["path"] == "/tmp/up/x"
    assert b"hello" in dict(files_server.seen)["/gradio_api/upload"]
    assert result.stdout == f"{files_server.url}/gradio_api/file=/tmp/out/made%20file.txt\n"


@pytest.mark.parametrize("payload", ['[{"path": "@PATH"}]', '{"text": {"path": "@PATH"}}'])
def test_a_payload_names_files_by_marked_paths(files_server: Scripted, tmp_path: Path, payload: str) -> None:
    path = tmp_path / "x.txt"
    path.write_text("hello")
    result = run("predict", files_server.url, "/direct", payload.replace("PATH", str(path)))

    assert result.exit_code == 0, result.stderr
    assert given(files_server)["path"] == "/tmp/up/x"
    assert json.loads(result.stdout)[0]["orig_name"] == "made file.txt"


def test_a_file_is_given_beside_json(files_server: Scripted, tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("hello")
    result = run("call", files_server.url, "/direct", "--json", "-", f"text=@{path}", input="{}")

    assert result.exit_code == 0, result.stderr
    assert given(files_server)["path"] == "/tmp/up/x"


def test_outputs_are_saved_on_request(files_server: Scripted, tmp_path: Path) -> None:
    result = run("call", files_server.url, "/direct", "null", "-o", str(tmp_path / "out"))

    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{tmp_path / 'out' / 'made file.txt'}\n"
    assert (tmp_path / "out" / "made file.txt").read_text() == "made"


def test_a_file_that_is_not_there_is_bad_usage(files_server: Scripted, tmp_path: Path) -> None:
    result = run("call", files_server.url, "/direct", f"@{tmp_path / 'missing.txt'}")

    assert result.exit_code == 2
    assert "takes a file, and there is none at" in result.stderr
    assert "/gradio_api/run/direct" not in dict(files_server.seen)


@pytest.mark.parametrize("payload", ["{", "3", '"text"'])
def test_a_payload_that_is_none_is_bad_usage(server: FakeGradio, payload: str) -> None:
    result = run("predict", server.url, "/add", payload)

    assert result.exit_code == 2
    assert "PAYLOAD" in result.stderr


def test_other_names_do_the_same(server: FakeGradio) -> None:
    listed = run("list", server.url).stdout
    assert run("ls", server.url).stdout == run("info", server.url).stdout == listed
    assert run("run", server.url, "/add", "1", "2").stdout == run("call", server.url, "add", "1", "2").stdout
    assert json.loads(run("info", server.url, "--json").stdout)["endpoints"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script_of_a_shell(shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0
    assert "_GRADIO_TRANSPORT_COMPLETE" in result.stdout


@pytest.mark.parametrize("width", [50, 80, 160])
@pytest.mark.parametrize(
    "command", ["", "list", "call", "predict", "explain", "adapters", "demo", "completion"]
)
def test_help_is_text_and_examples_stay_whole(command: str, width: int) -> None:
    shown = run(*filter(None, [command]), "--help", terminal_width=width).stdout
    assert "\b" not in shown
    assert "\\b" not in shown
    examples = [line for line in shown.splitlines() if line.startswith(("    gradio-transport", "    echo"))]
    assert len(examples) == {"call": 4, "predict": 1, "completion": 1}.get(command, 0)


def test_the_summary_of_a_command_fits_a_terminal() -> None:
    listed = run("--help", terminal_width=80).stdout.partition("Commands:")[2].partition("Other names:")[0]
    assert "adapters" in listed
    assert "..." not in listed
