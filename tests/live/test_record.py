# SPDX-License-Identifier: Apache-2.0
"""Real clients of real apps through ``gradio-transport record``: what works without it works through it."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import WAIT_SECONDS, Tab

from conformance.servers import InterpreterMissing, environments, find
from gradio_transport.recording import Recording, record
from gradio_transport.trace import Severity, Trace, lint_trace, read_trace, replay

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

PAGES = ("3.50.2", "4.44.1", "6.31.0")
SECONDS = 120.0
APP = Path(__file__).with_name("page_app.py")

CALLS = [("/greet", "completed"), ("/count", "completed"), ("/shout", "completed")]

PYTHON_CLIENT = """
import json
import sys

import gradio_client

url, path = sys.argv[1:]
client = gradio_client.Client(url, **({"verbose": False}))
file = gradio_client.handle_file(path) if hasattr(gradio_client, "handle_file") else path
shouted = client.submit(file, api_name="/shout")
made = {
    "greet": client.predict("you", api_name="/greet"),
    "count": client.submit("3", api_name="/count").result(),
    "shout": open(shouted.result()).read(),
}
print(json.dumps(made))
"""

JAVASCRIPT_CLIENT = """
import { Client, handle_file } from "@gradio/client";
import { readFileSync } from "node:fs";

const [url, path] = process.argv.slice(2);
const client = await Client.connect(url, { events: ["data", "status"] });
const greet = await client.predict("/greet", ["you"]);
let count;
for await (const event of client.submit("/count", ["3"])) {
    if (event.type === "data") count = event.data[0];
    if (event.type === "status" && event.stage === "complete") break;
}
const shout = await client.predict("/shout", [handle_file(new Blob([readFileSync(path)]))]);
const text = await (await fetch(shout.data[0].url)).text();
console.log(JSON.stringify({ greet: greet.data[0], count, shout: text }));
client.close();
process.exit(0);
"""

MADE = {"greet": "Hello, you!", "count": "0 1 2 ", "shout": "SOME TEXT"}


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "some text.txt"
    path.write_text("some text")
    return path


@contextlib.contextmanager
def serving(version: str, root_path: str = "") -> Iterator[str]:
    """Serve the page with a version of Gradio, and yield its URL."""
    entry = find(version)
    try:
        environments.install(entry)
    except InterpreterMissing as missing:
        pytest.skip(f"Gradio {version}: {missing}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    foreign = ("GRADIO_", "PYTHON", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    process = subprocess.Popen(
        [environments.interpreter(entry), APP, str(port), root_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={
            **kept,
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_SSR_MODE": "False",
            "HF_HUB_OFFLINE": "1",
            "MPLBACKEND": "agg",
            "NO_PROXY": "127.0.0.1",
        },
    )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + SECONDS
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/", timeout=10):
                break
            assert process.poll() is None, f"Gradio {version} ended"
            assert time.monotonic() < deadline, f"Gradio {version} does not answer"
            time.sleep(0.1)
        yield url
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(10)
        finally:
            process.kill()


def check(path: Path, calls: list[tuple[str, str]] | None = None) -> Trace:
    """Check that a trace has the calls, replays without a mismatch, and lints clean."""
    trace = read_trace(path)
    result = replay(trace)
    assert result.mismatches == []
    assert [finding for finding in lint_trace(trace) if finding.severity is Severity.ERROR] == []
    made = [(str(frame.payload["endpoint"]), "completed") for frame in trace.frames if frame.kind == "call"]
    assert sorted(made) == sorted(CALLS if calls is None else calls)
    outcomes = [events[-1].__class__.__name__ for events in result.events.values()]
    assert outcomes == ["ProcessCompleted"] * len(made)
    assert trace.meta["recorder"] == "proxy"
    return trace


def type_into(tab: Tab, selector: str, text: str, seconds: float = WAIT_SECONDS) -> None:
    tab.click(selector)
    tab.type(text)
    tab.wait_until(f"document.querySelector({selector!r}).value === {text!r}", seconds)


def greet(tab: Tab) -> None:
    """Make the first call. The page may render its fields again while it loads: then the text is typed again."""
    for _ in range(5):
        tab.evaluate("document.querySelector('#name textarea')?.select()")
        with contextlib.suppress(AssertionError):
            type_into(tab, "#name textarea", "you", 3)
            tab.click("#greet")
            tab.wait_until("document.querySelector('#greeting textarea').value === 'Hello, you!'", 3)
            return
    raise AssertionError("the page does not take the text")


def use_page(tab: Tab, url: str, text: Path, downloads: Path) -> None:
    """Click through the page: a text call, a generator, an upload, a download."""
    tab.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
    tab.goto(url, 30)
    tab.wait_until("document.querySelector('#name textarea') !== null", 30)
    greet(tab)
    type_into(tab, "#number textarea", "3")
    tab.click("#count")
    tab.wait_until("document.querySelector('#counted textarea').value === '0 1 2 '")
    tab.set_files("#upload input[type=file]", text)
    shown = "document.querySelector('#upload').innerText"
    tab.wait_until(f"{shown}.includes('some text') || {shown}.includes('9.0')")
    tab.wait_until(f"!{shown}.includes('Uploading') && document.querySelector('#upload .download') !== null")
    tab.click("#shout")
    tab.wait_until("document.querySelector('#shouted a[download]') !== null")
    tab.click("#shouted a[download]")
    deadline = time.monotonic() + 15
    # The name is there before the content is.
    while (found := [one.read_text() for one in downloads.glob("*.txt")]) != ["SOME TEXT"]:
        assert time.monotonic() < deadline, f"downloaded: {found}"
        tab.settle()


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """Return what a program prints."""
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        cwd=cwd,
        env={**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", **environment},
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def last_json(output: str) -> Any:
    return json.loads(output.splitlines()[-1])


@contextlib.contextmanager
def recording(url: str, tmp_path: Path) -> Iterator[Recording]:
    with record(url, tmp_path / "trace.jsonl") as made:
        yield made


@pytest.mark.parametrize("version", PAGES)
def test_a_browser_page(version: str, tab: Tab, text: Path, tmp_path: Path) -> None:
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    with serving(version) as app, recording(app, tmp_path) as made:
        use_page(tab, made.url, text, downloads)
        past = [url for url in tab.requests if url.startswith(app)]
        assert past == []  # nothing went past the proxy
        tab.goto("about:blank")  # its streams end
    trace = check(made.path)
    assert trace.meta["gradio"] == version
    urls = [str(frame.payload["url"]) for frame in trace.frames if frame.kind == "request"]
    assert any("/upload" in url for url in urls)
    assert any("file=" in url for url in urls)
    assert all(url.startswith(app) for url in urls)


@pytest.mark.parametrize("version", ["4.44.1", "6.31.0"])
def test_a_browser_page_of_an_app_that_names_another_address(
    version: str, tab: Tab, text: Path, tmp_path: Path
) -> None:
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    with serving(version, "http://gradio.invalid/app") as app, recording(app, tmp_path) as made:
        use_page(tab, made.url, text, downloads)
        assert [url for url in tab.requests if "gradio.invalid" in url] == []
    assert "http://gradio.invalid/app" in made.path.read_text()  # what the server really sent


@pytest.mark.parametrize(
    ("client", "version"),
    [
        ("gradio_client==2.7.2", "6.31.0"),
        ("gradio_client==2.7.2", "4.44.1"),
        ("gradio_client==0.6.1", "3.50.2"),
    ],
)
def test_gradio_client(client: str, version: str, text: Path, tmp_path: Path) -> None:
    # 0.6.1 imports a name of huggingface_hub that 1.0 removed.
    python = environments.make(
        tmp_path / "client", client, "huggingface_hub<0.26" if "0.6.1" in client else client
    )
    program = tmp_path / "program.py"
    program.write_text(PYTHON_CLIENT)
    with serving(version) as app, recording(app, tmp_path) as made:
        output = run(python, program, made.url, text, GRADIO_TEMP_DIR=str(tmp_path / "outputs"))
    assert last_json(output) == MADE
    check(made.path)


def test_the_javascript_client(text: Path, tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("There is no node with npm.")
    (tmp_path / "package.json").write_text('{"type": "module", "private": true}')
    (tmp_path / "client.mjs").write_text(JAVASCRIPT_CLIENT)
    run(npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "@gradio/client", cwd=tmp_path)
    with serving("6.31.0") as app, recording(app, tmp_path) as made:
        output = run("node", tmp_path / "client.mjs", made.url, text, cwd=tmp_path)
    assert last_json(output) == MADE
    check(made.path)


def test_curl(text: Path, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("There is no curl.")
    with serving("6.31.0") as app, recording(app, tmp_path) as made:
        api = f"{made.url}/gradio_api"
        uploaded = json.loads(run("curl", "-sS", "-F", f"files=@{text}", f"{api}/upload"))
        file = {"path": uploaded[0], "meta": {"_type": "gradio.FileData"}}
        values: list[tuple[str, Any]] = [("greet", "you"), ("count", "3"), ("shout", file)]
        events: dict[str, str] = {}
        for name, value in values:
            body = json.dumps({"data": [value]})
            joined = run("curl", "-sS", "--json", body, f"{api}/call/{name}")
            event_id = json.loads(joined)["event_id"]
            events[name] = run("curl", "-sSN", f"{api}/call/{name}/{event_id}")
        shouted = json.loads(events["shout"].split("data: ")[-1])[0]["url"]
        assert run("curl", "-sS", shouted) == "SOME TEXT"
        assert run("curl", "-sS", "-r", "5-8", shouted) == "TEXT"
        assert "200" in run("curl", "-sSI", shouted).splitlines()[0]
    assert 'event: complete\ndata: ["Hello, you!"]' in events["greet"]
    assert events["count"].count("event: generating") == 3
    check(made.path)


def test_a_command(text: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\n"
        "import gradio_transport as gt\n"
        "assert os.environ['GRADIO_URL'] == sys.argv[1]\n"
        "with gt.connect(sys.argv[1]) as app: print(app.call('/greet', 'you'))\n"
        "raise SystemExit(7)\n"
    )
    with serving("6.31.0") as app:
        command = (sys.executable, "-m", "gradio_transport", "record", app, "-o", str(trace))
        ran = subprocess.run(
            [*command, "--", sys.executable, str(program), "{}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    assert ran.returncode == 7
    assert ran.stdout == "['Hello, you!']\n"
    assert "/greet" in ran.stderr
    check(trace, [("/greet", "completed")])
