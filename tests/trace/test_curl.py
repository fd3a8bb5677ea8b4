# SPDX-License-Identifier: Apache-2.0
"""Scripts of curl commands made from traces: built of every recording, safe, and run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from chat_server import MODELS, TOKEN, chat_server
from kit import slow_traces
from scripted import scripted

import gradio_transport as gt
from gradio_transport.errors import LocalProtocolError
from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import Trace, TraceWriter, read_trace
from gradio_transport.trace.curl import functions as curl_functions
from gradio_transport.trace.curl.script import curl_script
from gradio_transport.trace.curl.text import comment, quoted, word
from gradio_transport_conformance.replay.server import serve
from gradio_transport_conformance.traces import shipped_trace, traces

BASE = "http://127.0.0.1:1"

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

SHELLS = [shell for shell in ("sh", "dash", "bash") if shutil.which(shell)]

HOSTILE = [
    "'; touch owned; '",
    "$(touch owned)",
    "`touch owned`",
    '"; touch owned; "',
    "\ntouch owned\n",
    "\r\ntouch owned\r\n",
    "\\'; touch owned; #",
    "${IFS}touch owned",
    "\u2028touch owned\u2029",
    "\x00touch owned",
    "\x1b]0;touch owned\x07",
    "\ud800; touch owned",
    "'\\''; touch owned; '\\''",
    "EOF\ntouch owned\n",
    "!touch owned",
    "%s%n $((1)) ~ * ?",
]


def run(script: str, tmp_path: Path, shell: str = "sh", **variables: str) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "script.sh"
    path.write_text(script, encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), "MAX_TIME": "20", "NO_PROXY": "*"}
    return subprocess.run(
        [shell, str(path)],
        cwd=tmp_path,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def check_syntax(script: str, tmp_path: Path) -> None:
    path = tmp_path / "script.sh"
    path.write_text(script, encoding="utf-8")
    found = subprocess.run(["sh", "-n", str(path)], capture_output=True, text=True, timeout=20, check=False)
    assert (found.returncode, found.stderr) == (0, "")


def one_trace_of_each(limit: int) -> list[Path]:
    """Return traces of every version, at most `limit` of each, others of each version."""
    chosen: dict[str, list[Path]] = {}
    for number, path in enumerate(traces()):
        chosen.setdefault(path.parent.name, []).insert(number % 3, path)
    return [path for paths in chosen.values() for path in paths[:limit]]


# --- built of every recording --------------------------------------------------------------------------


def check_scripts(paths: list[Path], folder: Path) -> None:
    for number, path in enumerate(paths):
        trace = read_trace(path)
        script = curl_script(trace)
        (folder / f"{number}.sh").write_text(script, encoding="utf-8")
        calls = sum(frame.kind is Kind.CALL for frame in trace.frames)
        assert len(re.findall(r"^# Call \d+: ", script, re.MULTILINE)) == calls, path
        recorded = {str(f.payload["session_hash"]) for f in trace.frames if f.kind is Kind.SESSION}
        sent = [line for line in script.splitlines() if not line.startswith("#")]
        assert not any(f'"{one}"' in line or f"={one}" in line for line in sent for one in recorded), path
    command = 'for file in *.sh; do sh -n "$file" || exit 1; done'
    found = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, timeout=50, check=False)
    assert (found.returncode, found.stderr) == (0, b"")


def test_scripts_of_every_version_are_valid(tmp_path: Path) -> None:
    check_scripts(one_trace_of_each(6), tmp_path)


@pytest.mark.slow
def test_scripts_of_the_kit_are_valid(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    check_scripts(slow_traces(pytestconfig, 9), tmp_path)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    names = [
        "2.9.4/hello", "2.9.4/login", "3.50.2/count", "3.50.2/login", "3.50.2/direct", "4.8.0/files",
        "4.44.1/cancel_generator", "4.44.1/call_count", "6.31.0/files", "6.31.0/stream_input",
        "6.31.0/call_v2_add", "6.31.0/state",
    ]  # fmt: skip
    for name in names:
        (tmp_path / f"{name.replace('/', '-')}.sh").write_text(curl_script(read_trace(shipped_trace(name))))
    files = sorted(map(str, tmp_path.glob("*.sh")))
    found = subprocess.run(["shellcheck", *files], capture_output=True, text=True, timeout=50, check=False)
    assert found.stdout == ""


# --- what a script says ---------------------------------------------------------------------------------


def test_the_event_id_comes_from_the_reply_and_the_session_hash_is_fresh() -> None:
    script = curl_script(read_trace(shipped_trace("6.31.0/count")))
    assert "event=$(field event_id)" in script
    assert '"session_hash":"\'"$session"\'"' in script
    assert '/gradio_api/queue/data?session_hash=\'"$session"' in script


def test_it_names_what_is_needed_at_the_top() -> None:
    head = curl_script(read_trace(shipped_trace("6.31.0/files"))).partition("set -eu")[0]
    assert "#   FILE_1: path of a file to send in place of one.txt (5 bytes) (needed)" in head
    head = curl_script(read_trace(shipped_trace("6.31.0/login"))).partition("set -eu")[0]
    assert "GRADIO_USER" in head
    assert "GRADIO_PASSWORD" in head


def test_one_call_can_be_chosen() -> None:
    trace = read_trace(shipped_trace("6.31.0/state"))
    assert len(re.findall("^# Call ", curl_script(trace), re.MULTILINE)) > 1
    assert re.findall(r"^# Call (\d)", curl_script(trace, call=2), re.MULTILINE) == ["2"]
    with pytest.raises(LocalProtocolError, match="no call 99"):
        curl_script(trace, call=99)


def test_another_server_can_be_named() -> None:
    script = curl_script(read_trace(shipped_trace("6.31.0/hello")), base="https://other.example/app")
    assert "BASE='https://other.example/app'" in script


def test_a_trace_without_requests_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="no requests"):
        curl_script(Trace({}, ()))


@needs_curl
def test_what_is_missing_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    result = run(curl_script(read_trace(shipped_trace("6.31.0/files"))), tmp_path)
    assert result.returncode == 1
    assert "Set the environment variable FILE_1" in result.stderr
    assert "> POST" not in result.stderr


@needs_curl
def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = run(curl_script(read_trace(shipped_trace("6.31.0/hello"))), tmp_path, BASE="http://127.0.0.1:1")
    assert result.returncode == 1
    assert "No reply from /gradio_api/queue/join. Is the server running, and BASE right?" in result.stderr


# --- run against recordings, which refuse every request that differs -----------------------------------

PLAYED = {
    "2.3.6/hello": '"Hello, Ada!"',
    "2.9.4/hello": '"Hello, Ada!"',
    "2.9.4/direct_hello": '"Hello, Ada!"',
    "3.1.4/hello": '"Hello, Ada!"',
    "3.50.2/direct": '"direct x"',
    "4.0.2/hello": '"Hello, Ada!"',
    "4.8.0/count": '"0 1 2"',
    "4.16.0/count": '"0 1 2"',
    "4.16.0/cancel_generator": '"0"',
    "4.20.1/count": "process_completed",
    "4.21.0/count": "process_completed",
    "4.44.1/count": "process_completed",
    "4.44.1/call_count": '["0 1 2"]',
    "5.50.0/count": "process_completed",
    "6.31.0/count": "process_completed",
    "6.31.0/state": "process_completed",
    "6.31.0/cancel_generator": '"0"',
    "6.31.0/call_v2_add": "[5]",
    "6.31.0/stream_input": "chunk one",
    "6.31.0/unnamed": "process_completed",
}


@needs_curl
@pytest.mark.parametrize("name", PLAYED)
def test_it_does_what_was_recorded(name: str, tmp_path: Path) -> None:
    trace = read_trace(shipped_trace(name))
    with serve(trace, strict=True) as served:
        result = run(curl_script(trace), tmp_path, BASE=served.url)
    assert (result.returncode, "error:" in result.stderr) == (0, False), result.stderr
    assert PLAYED[name] in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["script.sh"]  # it has cleaned up


@needs_curl
@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_runs_it(shell: str, tmp_path: Path) -> None:
    trace = read_trace(shipped_trace("4.8.0/count"))
    with serve(trace, strict=True) as served:
        assert run(curl_script(trace), tmp_path, shell, BASE=served.url).returncode == 0


@needs_curl
@pytest.mark.parametrize("name", ["4.8.0/crash", "6.31.0/crash", "6.31.0/call_error", "3.1.4/crash"])
def test_a_call_that_fails_makes_it_fail(name: str, tmp_path: Path) -> None:
    trace = read_trace(shipped_trace(name))
    with serve(trace, strict=True) as served:
        result = run(curl_script(trace), tmp_path, BASE=served.url)
    assert result.returncode == 1
    assert "1 of the calls failed" in result.stderr


@needs_curl
def test_a_status_is_shown_with_the_reply(tmp_path: Path) -> None:
    trace = read_trace(shipped_trace("6.31.0/queue_full"))
    with serve(trace) as served:
        result = run(curl_script(trace, call=1), tmp_path, BASE=f"{served.url}/elsewhere")
    assert result.returncode == 1
    assert "answered with HTTP status 404" in result.stderr


@needs_curl
def test_more_headers_are_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "headers").write_text("X-Key: it's secret\n")
    heard: list[str | None] = []

    def config(reply: Any) -> None:
        heard.append(reply.headers.get("x-key"))
        reply.json({"event_id": "e1"})

    def stream(reply: Any) -> None:
        heard.append(reply.headers.get("x-key"))
        reply.stream()
        reply.chunk(
            b'data: {"msg":"process_completed","event_id":"e1","output":{"data":[]},"success":true}\n\n'
        )
        reply.end()

    scripts = {"/gradio_api/queue/join": config, "/gradio_api/queue/data": stream}
    with scripted() as server:
        server.scripts = scripts
        trace = read_trace(shipped_trace("6.31.0/hello"))
        result = run(curl_script(trace), tmp_path, BASE=server.url, HEADERS=str(tmp_path / "headers"))
    assert (result.returncode, heard) == (0, ["it's secret"] * 2), result.stderr


def test_a_header_that_was_redacted_is_needed() -> None:
    trace = a_trace("x", headers={"X-Key": "REDACTED", "authorization": "REDACTED"})
    head = curl_script(trace).partition("set -eu")[0]
    assert "HEADER_X_KEY: the value of the header x-key (needed)" in head
    assert "AUTHORIZATION: the value of the header authorization, such as Bearer TOKEN (needed)" in head
    space = curl_script(a_trace("x", "https://me-app.hf.space", {"authorization": "REDACTED"}))
    assert 'header authorization "Bearer $HF_TOKEN"' in space


@needs_curl
@pytest.mark.parametrize("name", ["4.44.1/files", "6.31.0/files", "4.8.0/files"])
def test_files_are_uploaded_and_named_by_their_new_paths(name: str, tmp_path: Path) -> None:
    odd = tmp_path / 'it\'s "odd"; $(x), \\ .txt'
    odd.write_text("hello")
    trace = read_trace(shipped_trace(name))
    with serve(trace, strict=True) as served:
        result = run(curl_script(trace), tmp_path, BASE=served.url, FILE_1=str(odd), FILE_2=str(odd))
    assert (result.returncode, "error:" in result.stderr) == (0, False), result.stderr
    assert "one.txt:5:" in result.stdout


@needs_curl
@pytest.mark.parametrize("name", ["6.31.0/login", "4.44.1/login_count", "2.9.4/login"])
def test_a_login_is_made_with_the_variables(name: str, tmp_path: Path) -> None:
    trace = read_trace(shipped_trace(name))
    heard: list[Any] = []
    with serve(trace, log=heard.append) as served:
        variables = {"GRADIO_USER": "a&b", "GRADIO_PASSWORD": "p w'"}
        result = run(curl_script(trace), tmp_path, BASE=served.url, **variables)
    assert result.returncode == 0, result.stderr
    assert (heard[0].method, heard[0].target.rstrip("?"), heard[0].refusal) == ("POST", "/login", "")
    assert "p w'" not in result.stdout + result.stderr


@needs_curl
def test_a_chat_is_read_as_it_comes(tmp_path: Path) -> None:
    with chat_server() as server:
        path = tmp_path / "chat.jsonl"
        connected = gt.connect(
            f"{server.url}/v1", protocol="openai_chat", token=TOKEN, tap=TraceWriter(path), model=MODELS[0]
        )
        with connected as app:
            app.call("/chat", "one two three")
        script = curl_script(read_trace(path))
        assert TOKEN not in script
        assert "AUTHORIZATION" in script
        result = run(script, tmp_path, AUTHORIZATION=f"Bearer {TOKEN}")
        refused = run(script, tmp_path, AUTHORIZATION="Bearer wrong")
    assert result.returncode == 0, result.stderr
    assert [" two" in line for line in result.stdout.splitlines()].count(True) == 1
    assert refused.returncode == 1
    assert "HTTP status 401" in refused.stderr


# --- hostile traces --------------------------------------------------------------------------------------


def a_trace(text: str, base: str = BASE, headers: Mapping[str, str] | None = None) -> Trace:
    """Return a trace in which every text is hostile."""
    alias = f"session{text}"
    body = json.dumps(
        {
            "data": [text, {text: text, "url": base + text}],
            "session_hash": alias,
            text: alias,
            "event_id": text,
        }
    )
    url = f"{base}/queue/join{text}"
    odd_body = f'{{"data": ["{text}"]{text}'.encode("utf-8", "replace")
    sent = {"content-type": "application/json", **(headers or {})}

    def frame(direction: Direction, kind: Kind, channel: str, session: int = 1, **payload: Any) -> Frame:
        return Frame(0.0, direction, kind, channel, payload, session)

    def request(channel: str, **payload: Any) -> Frame:
        return frame(Direction.OUT, Kind.REQUEST, channel, method="POST", headers=sent, **payload)

    files = [{"name": text, "size": text}]
    return Trace(
        {"gradio": text},
        (
            Frame(0.0, Direction.OUT, Kind.REQUEST, "login", {"method": "POST", "url": f"{base}/login{text}", "body": b"REDACTED"}),
            Frame(0.0, Direction.OUT, Kind.REQUEST, "upload", {"method": "POST", "url": f"{base}/upload{text}", "files": files}),
            Frame(0.0, Direction.IN, Kind.RESPONSE, "upload", {"status": 200, "body": json.dumps([text]).encode()}),
            frame(Direction.LOCAL, Kind.SESSION, "", adapter=text, session_hash=alias, source=base),
            frame(Direction.LOCAL, Kind.CALL, "1", endpoint=text, fn_index=0, data=[text]),
            request("1.join", url=url, body=body.encode()),
            frame(Direction.IN, Kind.RESPONSE, "1.join", status=200, body=json.dumps({"event_id": text}).encode()),
            frame(Direction.LOCAL, Kind.CALL, "2", endpoint=f"/{text}", fn_index=0, data=[text]),
            request("2.run", url=f"{base}/run/{text}", body=odd_body),
            frame(Direction.LOCAL, Kind.CALL, "3", endpoint=f"/{text}", fn_index=0, data=[text]),
            frame(Direction.OUT, Kind.WS_OPEN, "3.socket", url=f"{base}/queue/join", headers={}),
            frame(Direction.OUT, Kind.WS_TEXT, "3.socket", text=body),
            frame(Direction.LOCAL, Kind.CALL, "4", endpoint=text, fn_index=0, data=[text]),
            request("4.push", url=f"{base}/api/queue/push/{text}", body=body.encode()),
            frame(Direction.LOCAL, Kind.CALL, "5", endpoint=text, fn_index=0, data=["REDACTED"]),
            request("5.run", url=f"{base}/run/x", body=b'{"data":["REDACTED"]}'),
        ),
    )  # fmt: skip


@needs_curl
@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_a_trace_is_run(text: str, tmp_path: Path) -> None:
    script = curl_script(a_trace(text, headers={"x-key": "REDACTED", f"x{text}": "REDACTED"}))
    check_syntax(script, tmp_path)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e]", script)
    (tmp_path / "file").write_text("x")
    (tmp_path / "bin").mkdir()
    # A curl that replies to everything, so that every line of the script runs.
    fake = tmp_path / "bin" / "curl"
    fake.write_text(
        "#!/bin/sh\n"
        'while [ $# -gt 0 ]; do case $1 in -o) printf %s \'["a"]\' >"$2" ;; esac; shift; done\n'
        "cat >/dev/null\nprintf 200\n"
    )
    fake.chmod(0o755)
    variables = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        **dict.fromkeys(("GRADIO_USER", "GRADIO_PASSWORD", "SECRET_1", "HEADER_X_KEY"), "x"),
        "FILE_1": str(tmp_path / "file"),
    }
    for call in range(1, 6):
        run(curl_script(a_trace(text), call=call), tmp_path, **variables)
    run(script, tmp_path, **variables)
    assert not (tmp_path / "owned").exists()


def test_a_request_to_another_address_is_left_out() -> None:
    frames = a_trace("x", "http://app.example").frames
    moved = [
        Frame(f.t, f.direction, f.kind, f.channel, {**f.payload, "url": "http://evil.example/x"}, f.session)
        if f.kind is Kind.REQUEST
        else f
        for f in frames
    ]
    script = curl_script(Trace({}, tuple(moved)))
    assert "evil.example" not in script
    assert "goes to another address than the app's" in script


def test_a_source_that_is_a_file_is_not_read() -> None:
    script = curl_script(a_trace("x", "file:///etc"))
    assert 'need BASE "${BASE:-}"' in script
    assert "BASE='file" not in script
    assert all("--proto '=http,https'" in line for line in script.splitlines() if "curl -s" in line)


@pytest.mark.parametrize("text", [*HOSTILE, "", "plain", "it's"])
def test_a_word_is_what_it_was(text: str, tmp_path: Path) -> None:
    plain = re.sub(r"[\x00\ud800-\udfff]", "?", text)
    found = subprocess.run(
        ["sh", "-c", f"printf %s {word([text])}; printf %s {quoted(text)}"],
        capture_output=True,
        timeout=20,
        check=True,
    )
    assert found.stdout == plain.encode() * 2
    assert "\n" not in comment(text)


def test_a_secret_of_the_arguments_is_a_variable(tmp_path: Path) -> None:
    script = curl_script(a_trace("x"), call=5)
    assert "SECRET_1" in script.partition("set -eu")[0]
    assert '$(json_text "$SECRET_1")' in script
    function = script[script.index("json_text() {") :].partition("\n}\n")[0] + "\n}\n"
    found = subprocess.run(
        ["sh", "-c", function + 'json_text "$1"', "sh", 'a"b\\c'],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert json.loads(f'"{found.stdout}"') == 'a"b\\c'


def test_a_large_body_takes_time_in_proportion() -> None:
    text = '\\"' * 500_000
    trace = a_trace("x")
    frames = [
        Frame(
            f.t, f.direction, f.kind, f.channel, {**f.payload, "body": b'{"a":"' + text.encode()}, f.session
        )
        if f.channel == "2.run"
        else f
        for f in trace.frames
    ]
    assert len(curl_script(Trace({}, tuple(frames)), call=2)) > 1_000_000


@pytest.mark.parametrize("name", [name for name in vars(curl_functions) if name.isupper()])
def test_each_part_of_the_shell_code_is_valid(name: str, tmp_path: Path) -> None:
    check_syntax(getattr(curl_functions, name), tmp_path)
