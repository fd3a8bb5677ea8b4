# SPDX-License-Identifier: Apache-2.0
"""A server that writes to the caller's terminal: every text of it steers, reorders and imitates."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import pty
import re
import struct
import termios
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pytest
from fake_gradio import completed, generating
from forking import start
from rich.console import Console
from scripted import Reply, Scripted, scripted

from gradio_transport.cli import terminal
from gradio_transport.cli.text import to_json

FAKE = "error: FAKE"
"""A line that looks like one of the program's own."""

STEERING = (
    "\x1b]0;title\x07\x1b[2J\x9b31m\x85\x7f\x08\r\u202e\u2066\u200f\u061c\u200b\u2028\u2029\ufeff\U000e0041"
)

FORBIDDEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u061c\u2028-\u202e\u2066-\u2069\ufeff\U000e0041]"
)
"""What must not come out, besides the escapes that the program writes itself."""

OWN_ESCAPE = re.compile(r"\r?\x1b\[(\?25[hl]|[0-9;]*m|[0-9]*[AK]|2K)")


def hostile(text: str) -> str:
    """Return a text of the server: it steers, starts lines of the program's own, and runs past the width."""
    return f"{text}{STEERING}\n{FAKE} {text}\r\n{FAKE}\u2028{FAKE} {'blank ' * 14}{FAKE}"


VALUE = hostile("value")

MANY = 60
"""Choices of a component: more than are shown. Each command of the tests fetches them."""


def messages() -> list[dict[str, Any]]:
    unit = {"index": 1, "length": 2, "unit": hostile("unit"), "progress": None, "desc": hostile("desc")}
    return [
        {"msg": "estimation", "rank": 0, "queue_size": 1, "rank_eta": 2.5},
        {"msg": "process_starts", "eta": 1.5},
        {"msg": "progress", "progress_data": [unit] * 3 + [{"index": 1, "length": 2}] * 2_000},
        {"msg": "log", "log": hostile("log"), "level": "info", "title": hostile("title"), "visible": True},
        {"msg": "log", "log": hostile("log"), "level": hostile("level"), "visible": True},
        {"msg": hostile("message")},
        generating(hostile("step"), {hostile("key"): hostile("step")}),
    ]


def ending(name: str) -> dict[str, Any]:
    if name.startswith("fail"):
        output = {"error": hostile("failure"), "title": hostile("title"), "visible": True}
        return {"msg": "process_completed", "output": output, "success": False, "title": hostile("heading")}
    if name.startswith("text"):
        return completed(VALUE)
    if name.startswith("file"):
        name = hostile("file")
        meta = {"_type": "gradio.FileData"}
        return completed(
            {"path": f"/tmp/{name}", "url": None, "orig_name": name, "mime_type": name, "meta": meta}
        )
    return completed(VALUE, {hostile("key"): [VALUE, 1]})


NAMES = ("text", "both", "file", "fail", "refuse", hostile("name"))


def config() -> dict[str, Any]:
    choices = [[hostile("choice"), hostile("choice")]] * MANY
    components = [
        {"id": 1, "type": "textbox", "props": {"label": hostile("label"), "info": hostile("info")}},
        {"id": 2, "type": "dropdown", "props": {"label": hostile("label"), "choices": choices}},
        {"id": 3, "type": "json", "props": {"label": hostile("label")}},
        {"id": 4, "type": "file", "props": {"label": hostile("label")}},
    ]
    return {
        "version": "6.31.0" + hostile("version"),
        "title": hostile("title"),
        "space_id": hostile("space"),
        "protocol": "sse_v3",
        "api_prefix": "/gradio_api",
        "components": components,
        "dependencies": [
            {
                "id": number,
                "api_name": name,
                "inputs": [1, 2],
                "outputs": {"text": [1], "file": [4]}.get(name, [1, 3]),
                "queue": True,
                "types": {"generator": True},
            }
            for number, name in enumerate(NAMES)
        ],
    }


def info() -> dict[str, Any]:
    def value(name: str, **more: Any) -> dict[str, Any]:
        python_type = {"type": f"Literal[{hostile('type')!r}]", "description": hostile("description")}
        schema = {"type": "string", "enum": [hostile("choice")] * MANY, "description": hostile("schema")}
        return {
            "parameter_name": name,
            "label": hostile("label"),
            "type": schema,
            "python_type": python_type,
            "component": hostile("Component"),
            **more,
        }

    default = {"parameter_has_default": True, "parameter_default": hostile("default")}
    endpoint = {
        "description": hostile("description"),
        "parameters": [value("text", **default), value(hostile("parameter"), **default)],
        "returns": [value("out"), value("more")],
    }
    return {"named_endpoints": {f"/{name}": endpoint for name in NAMES}, "unnamed_endpoints": {}}


def join(reply: Reply) -> None:
    name = NAMES[reply.body["fn_index"]]
    if name == "refuse":
        reply.json({"detail": hostile("refusal")}, 503)
        return
    stream = reply.server.messages(reply.body["session_hash"])
    for message in [*messages(), ending(name)]:
        stream.put({**message, "event_id": "e1"})
    reply.json({"event_id": "e1"})


@pytest.fixture(scope="module")
def server() -> Iterator[Scripted]:
    with scripted() as one:
        one.scripts |= {
            "/config": lambda reply: reply.json(config()),
            "/gradio_api/info": lambda reply: reply.json(info()),
            "/gradio_api/queue/join": join,
            "/elsewhere/config": lambda reply: reply.text(hostile("page"), 500),
            "/locked/config": lambda reply: reply.text(
                hostile("page"), 401, www_authenticate='Basic realm="\x9b31m\x85\x1b]0;title\x07\x08"'
            ),
            "/moved/config": lambda reply: reply.text("", 302, location="http://127.0.0.1:9/\x9b31m\x1b[2J"),
            "/gradio_api/file=" + hostile("file"): lambda reply: reply.text("made"),
        }
        yield one


DRIVER = """
import json, sys
from gradio_transport.cli.app import commands
for words in json.loads(sys.argv[1]):
    try:
        commands.main(words, prog_name="gradio-transport")
    except SystemExit:
        pass
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        stream.write("<END OF A COMMAND>\\n")
        stream.flush()
"""
"""Runs commands one after the other: each process of its own would take a second to begin."""

END = "<END OF A COMMAND>"


PIPED = {"both": (), "stderr": ("stdout",), "none": ("stdout", "stderr")}
"""Where a terminal is -> the outputs that are pipes."""


def read_all(descriptor: int) -> bytes:
    data = bytearray()
    with contextlib.suppress(OSError):  # Linux ends a terminal whose other side is closed with an error
        while chunk := os.read(descriptor, 65536):
            data += chunk
    os.close(descriptor)
    return bytes(data)


def run(
    url: str, *commands: list[str], where: Literal["both", "stderr", "none"] = "none", before: str = ""
) -> tuple[list[str], list[str]]:
    """Run commands with a terminal of 80 columns for both outputs, or stderr, or none; the others are pipes.

    `before` is a program to run first. Return for each command what a person gets, by a terminal or by stderr, and what the pipe of stdout gets.
    """
    words = [[word.replace("URL", url) for word in command] for command in commands]
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR")}
    readers = {name: os.pipe() for name in PIPED[where]}
    ends = {name: readers[name][1] if name in readers else slave for name in ("stdout", "stderr")}
    with open(os.devnull) as nothing:
        process = start(
            before + DRIVER,
            json.dumps(words),
            environment={**environment, "TERM": "xterm-256color"},
            stdin=nothing.fileno(),
            **ends,
        )
    for _, end in readers.values():
        os.close(end)
    os.close(slave)
    sources = {"terminal": master, **{name: end for name, (end, _) in readers.items()}}
    with ThreadPoolExecutor(len(sources)) as pool:
        read = dict(zip(sources, pool.map(read_all, sources.values()), strict=True))
    screen = read["stderr" if where == "none" else "terminal"].decode()
    assert process.wait() == 0, screen
    out = read.get("stdout", b"")
    if where == "both":
        parts = screen.split(END)[:-1]
        return [first + second for first, second in zip(parts[::2], parts[1::2], strict=True)], []
    return screen.split(END)[:-1], out.decode().split(END + "\n")[:-1]


def faults(screen: str) -> list[str]:
    """Return what is wrong with a screen: raw characters that steer, and lines that only the program says."""
    own = OWN_ESCAPE.sub("", screen.replace("\r\n", "\n"))
    found = [own[max(raw.start() - 40, 0) : raw.end()] for raw in FORBIDDEN.finditer(own)]
    return found + [line for line in re.split(r"[\n\r]", own) if line.startswith(FAKE)]


COMMANDS: list[list[str]] = [
    ["list", "URL"],
    ["list", "URL", "-v"],
    ["explain", "URL"],
    ["explain", "URL", "/nowhere"],
    ["call", "URL", "/text"],
    ["call", "URL", "/text", "-v"],
    ["call", "URL", "/text", "-vv"],
    ["call", "URL", "/both"],
    ["call", "URL", "/fail"],
    ["call", "URL", "/fail", "-v"],
    ["call", "URL", "/refuse", "-v"],
    ["call", "URL", "/" + hostile("name").replace("\r", "")],
    ["call", "URL", "/nowhere"],
    ["call", "URL", "/text", "a", "b", "c"],
    ["call", "URL", "/text", "@nowhere"],
    ["call", "URL", "/text", "nme=x"],
    ["call", "URL/elsewhere", "/text", "-v"],
    ["list", "URL/locked", "-v"],
    ["list", "URL/moved", "-v"],
    ["call", "URL", "/file", "-v"],
    ["call", "URL", "/file", "-o", "nowhere/at/all"],
    ["predict", "URL", "/nowhere", "{}"],
    ["predict", "URL", "/fail", "{}"],
]


@pytest.mark.parametrize("where", ["both", "stderr", "none"])
def test_nothing_that_steers_or_imitates_reaches_a_terminal(
    server: Scripted, where: Literal["both", "stderr", "none"]
) -> None:
    screens, _ = run(server.url, *COMMANDS, where=where)
    for command, screen in zip(COMMANDS, screens, strict=True):
        assert not faults(screen), command
        assert len(screen) < 60_000, command
        assert "Traceback" not in screen
    # Else nothing was shown that could have done harm.
    assert sum("\\x1b" in screen for screen in screens) >= 12


JSON = [
    ["call", "URL", "/both", "--raw"],
    ["predict", "URL", "/both", "{}"],
    ["call", "URL", "/both", "--jsonl"],
    ["call", "URL", "/fail", "--jsonl"],
    ["call", "URL", "/refuse", "--jsonl"],
    ["list", "URL", "--json"],
]


def test_json_is_escaped_and_has_the_values_as_they_are(server: Scripted) -> None:
    screens, _ = run(server.url, *JSON, where="both")
    _, piped = run(server.url, *JSON)
    assert not [fault for text in [*screens, *piped] for fault in faults(text)]
    lines = [[json.loads(line) for line in text.splitlines()] for text in piped[:-1]]
    raw, predicted, events, failure, refusal = lines
    assert raw == predicted == [[VALUE, {hostile("key"): [VALUE, 1]}]]
    assert events[-1]["data"] == raw[0]
    assert hostile("log") in [event.get("message") for event in events]
    assert failure[-2]["error"]["message"] == hostile("failure")
    assert refusal[-1]["error"]["type"] == "ServerRefused"
    assert json.loads(piped[-1])["title"] == hostile("title")


@pytest.mark.parametrize("where", ["stderr", "none"])
def test_a_pipe_gets_a_text_as_it_is_and_lists_as_lines(
    server: Scripted, where: Literal["stderr", "none"]
) -> None:
    commands = ["call", "URL", "/text"], ["list", "URL"], ["explain", "URL"]
    _, (text, listed, explained) = run(server.url, *commands, where=where)
    assert text == VALUE + "\n"
    assert not faults(listed) + faults(explained)
    assert len(listed.splitlines()) == 1 + len(NAMES)
    assert len(explained.splitlines()) < 20


SHOWN = 20
FEW = f"""
import gradio_transport.cli.screen as screen
import gradio_transport.cli.list as listing
screen.SHOWN_LOGS = screen.SHOWN_STEPS = listing.SHOWN_ENDPOINTS = listing.SHOWN_VALUES = {SHOWN}
"""


def test_a_flood_is_bounded_on_the_screen_and_whole_in_a_pipe() -> None:
    log = {"msg": "log", "log": "again", "level": "info", "visible": True}
    steps = [generating(number) for number in range(SHOWN + 50)]
    flood = [*messages()[:2], *[log] * (SHOWN + 50), *steps, completed("x" * 10_000)]
    many = [config()["dependencies"][0] | {"id": number, "api_name": f"f{number}"} for number in range(30)]
    wide = many[0] | {"inputs": [1] * 30, "outputs": [1] * 30}

    def start(reply: Reply) -> None:
        for message in flood:
            reply.server.messages(reply.body["session_hash"]).put({**message, "event_id": "e1"})
        reply.json({"event_id": "e1"})

    with scripted() as server:
        server.config = config() | {"dependencies": [wide, *many[1:]], "version": "6.31.0"}
        server.scripts |= {
            "/gradio_api/info": lambda reply: reply.text("", 404),
            "/gradio_api/queue/join": start,
        }
        call, listing = ["call", "URL", "/f1", "a", "b"], ["list", "URL"]
        (called, listed), _ = run(server.url, call, listing, where="both", before=FEW)
        _, (events, lines) = run(server.url, [*call, "--jsonl"], listing)
    assert called.count("info: again") == SHOWN
    assert called.count("messages of the app are not shown (--jsonl prints them)") == 1
    assert len(OWN_ESCAPE.sub("", called).split("\r\n")) < 2 * SHOWN + 10
    assert "x" * 10_000 in called
    assert (len(events.splitlines()), len(lines.splitlines())) == (len(flood) + 1, 1 + len(many))
    assert listed.count("and 10 more") == 3
    assert "and 10 more (--json, or a pipe, has all)" in listed


@pytest.mark.parametrize("length", [10, terminal._COLOURED_CHARACTERS])
def test_json_is_coloured_unless_it_is_large(length: int) -> None:
    text = to_json(["\x1b" + "x" * length])
    out = Console(file=io.StringIO(), force_terminal=True, width=40)
    written = io.StringIO()
    with contextlib.redirect_stdout(written):
        terminal.Terminal(out=out).print_json(text)
    plain = length > 10
    assert written.getvalue() == (text + "\n" if plain else "")
    assert ("\x1b[" in out.file.getvalue()) is not plain  # type: ignore[attr-defined]


def test_texts_reach_a_terminal_through_one_module() -> None:
    writing = re.compile(r"(?<![\w.])(?:Text|print|echo)\(|Text\.|sys\.std\w+\.write")
    for path in Path(terminal.__file__).parent.rglob("*.py"):
        if path.name not in ("terminal.py", "__main__.py"):  # the latter says what to install
            text = path.read_text(encoding="utf-8").replace("def print(", "")  # of the printer of traces
            assert not writing.findall(text), path
