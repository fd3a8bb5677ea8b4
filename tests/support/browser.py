"""A real headless Chromium for tests, driven by the DevTools protocol.

``tab`` is a fixture: an empty tab of a browser with a profile of its own. `open_browser` is the same without pytest::

    with open_browser() as browser:
        tab = browser.open("http://127.0.0.1:7860")
        tab.click("button.submit")
        tab.wait_until("document.querySelector('output').textContent === '5'")

Clicks and keys are real input events. Every wait is bounded. The browser reaches loopback and files only. Where there
is no Chromium the tests are skipped; with ``CI=true`` they fail, because `.ci/run` installs one.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-default-browser-check",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-default-apps", "--disable-dev-shm-usage", "--mute-audio", "--no-proxy-server",
    "--remote-debugging-port=0", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)  # fmt: skip

START_SECONDS = 30.0
WAIT_SECONDS = 15.0
POLL_SECONDS = 0.05

KEYS = {
    "ArrowDown": 40, "ArrowUp": 38, "ArrowLeft": 37, "ArrowRight": 39, "Enter": 13, "Escape": 27, "Tab": 9, " ": 32,
    "Home": 36, "End": 35, "PageDown": 34, "PageUp": 33, "Backspace": 8,
}  # fmt: skip


class BrowserError(AssertionError):
    """The browser did not do what a test asked for in time, or JavaScript of the test raised."""


def find_chromium() -> str | None:
    """Return the path of a Chromium, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Tab:
    """A tab.

    Attributes:
        console: What the console shows as errors and warnings, uncaught exceptions among them.
        requests: The URLs that were asked for, in order.
        dialogs: The texts of ``alert``, ``confirm`` and ``prompt``, which are closed at once.
        events: Events of the DevTools protocol, ``(method, params)``, of the domains that `keep` names.
    """

    def __init__(self, browser: Browser, session: str, keep: Sequence[str]) -> None:
        self._browser = browser
        self._session = session
        self._keep = tuple(f"{domain}." for domain in keep)
        self._loads = 0
        self.console: list[str] = []
        self.requests: list[str] = []
        self.dialogs: list[str] = []
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        for domain in {"Page", "Runtime", "Log", "Network", "DOM", *keep}:
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """Run a method of the DevTools protocol in this tab."""
        return self._browser.call(method, params, self._session)

    def goto(self, url: str | Path, seconds: float = WAIT_SECONDS) -> None:
        """Load a URL or a file, and wait until it is loaded."""
        target = url.resolve().as_uri() if isinstance(url, Path) else url
        before = self._loads
        failure = self.call("Page.navigate", url=target).get("errorText")
        if failure:
            raise BrowserError(f"{target}: {failure}")
        deadline = time.monotonic() + seconds
        while self._loads == before:
            if time.monotonic() > deadline:
                raise BrowserError(f"{target} was not loaded within {seconds:g} s.")
            self.settle()

    def settle(self, seconds: float = POLL_SECONDS) -> None:
        """Wait a moment, and take in what happened in it."""
        time.sleep(seconds)
        self.evaluate("0")

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, of its promise if it is one."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        failure = done.get("exceptionDetails")
        if failure:
            raise BrowserError(f"{expression}: {_exception_text(failure)}")
        return done["result"].get("value")

    def wait_until(self, expression: str, seconds: float = WAIT_SECONDS) -> Any:
        """Return the value of an expression once it is true."""
        deadline = time.monotonic() + seconds
        while True:
            value = self.evaluate(expression)
            if value:
                return value
            if time.monotonic() > deadline:
                raise BrowserError(
                    f"Not true within {seconds:g} s: {expression}; console: {self.console[-5:]}"
                )
            time.sleep(POLL_SECONDS)

    def text(self, selector: str) -> str:
        """Return the visible text of the first element that matches."""
        return str(self.evaluate(f"{_one(selector)}.innerText"))

    def count(self, selector: str) -> int:
        """Return how many elements match."""
        return int(self.evaluate(f"document.querySelectorAll({json.dumps(selector)}).length"))

    def click(self, selector: str, *, times: int = 1) -> None:
        """Click with the mouse in the middle of the first element that matches, once it is there."""
        self.wait_until(f"document.querySelector({json.dumps(selector)}) !== null")
        place = self.evaluate(
            f"(() => {{ const one = {_one(selector)}; one.scrollIntoView({{block: 'nearest', inline: 'nearest'}});"
            " const box = one.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2, box.width * box.height]; })()"
        )
        if not place[2]:
            raise BrowserError(f"{selector} has no area to click on.")
        self.click_at(place[0], place[1], times=times)

    def click_at(self, x: float, y: float, *, times: int = 1) -> None:
        """Click with the mouse at a place of the viewport."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=times)

    def type(self, text: str) -> None:
        """Type a text where the focus is."""
        self.call("Input.insertText", text=text)

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press a key by its name in the DOM: ``"ArrowDown"``, ``"j"``, ``"?"``."""
        code = KEYS.get(key, ord(key.upper()) if len(key) == 1 and key.isalnum() else 0)
        text = key if len(key) == 1 else "\r" if key == "Enter" else ""
        common = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def set_files(self, selector: str, *paths: Path) -> None:
        """Choose files in an ``<input type=file>``."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        if not node:
            raise BrowserError(f"No element matches {selector}.")
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path.resolve()) for path in paths])

    def resize(self, width: int, height: int) -> None:
        """Set the size of the viewport."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def prefer(self, scheme: str) -> None:
        """Emulate ``prefers-color-scheme``: ``"dark"`` or ``"light"``."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def save_downloads(self, folder: Path) -> None:
        """Save what is downloaded in a folder."""
        self._browser.call("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})

    def screenshot(self, path: Path) -> Path:
        """Write what the viewport shows as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
        return path

    def heap_bytes(self) -> int:
        """Return the size of the JavaScript heap after a collection."""
        self.call("HeapProfiler.collectGarbage")
        return int(self.call("Runtime.getHeapUsage")["usedSize"])

    def take(self, method: str, params: Mapping[str, Any]) -> None:
        """Take in an event of the DevTools protocol."""
        if method.startswith(self._keep):
            self.events.append((method, params))
        match method:
            case "Page.loadEventFired":
                self._loads += 1
            case "Page.javascriptDialogOpening":
                self.dialogs.append(str(params["message"]))
                self._browser.send("Page.handleJavaScriptDialog", {"accept": True}, self._session)
            case "Network.requestWillBeSent":
                self.requests.append(str(params["request"]["url"]))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                values = [str(one.get("value", one.get("description"))) for one in params["args"]]
                self.console.append(f"{params['type']}: {' '.join(values)}")
            case "Runtime.exceptionThrown":
                self.console.append(f"exception: {_exception_text(params['exceptionDetails'])}")
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                entry = params["entry"]
                self.console.append(f"{entry['level']}: {entry['text']} {entry.get('url', '')}".rstrip())
            case _:
                pass

    def close(self) -> None:
        """Close the tab."""
        with contextlib.suppress(BrowserError, OSError):
            self.call("Page.close")


class Browser:
    """A running Chromium; `open_browser` makes one.

    Attributes:
        port: Where it listens for the DevTools protocol.
    """

    def __init__(self, process: subprocess.Popen[bytes], address: str) -> None:
        # Imported here, because most tests that load this file by the fixtures need no browser.
        import websocket

        self._process = process
        self.port = int(address.split(":")[2].partition("/")[0])
        self._socket = websocket.create_connection(address, suppress_origin=True, timeout=2 * WAIT_SECONDS)
        self._last = 0
        self._tabs: dict[str, Tab] = {}

    def open(
        self, url: str | Path | None = None, *, width: int = 1280, height: int = 800, keep: Sequence[str] = ()
    ) -> Tab:
        """Open a tab with cookies and storage of its own.

        Args:
            url: What to load in it.
            width: Of the viewport.
            height: Of the viewport.
            keep: Domains of the DevTools protocol, such as ``"Network"``, whose events are kept.
        """
        context = self.call("Target.createBrowserContext", {"disposeOnDetach": True})["browserContextId"]
        target = self.call("Target.createTarget", {"url": "about:blank", "browserContextId": context})
        attached = {"targetId": target["targetId"], "flatten": True}
        session = self.call("Target.attachToTarget", attached)["sessionId"]
        tab = self._tabs[session] = Tab(self, session, keep)
        tab.resize(width, height)
        if url is not None:
            tab.goto(url)
        return tab

    def send(self, method: str, params: Mapping[str, Any], session: str | None = None) -> int:
        """Send a command without waiting for its reply, and return its number."""
        self._last += 1
        command = {"id": self._last, "method": method, "params": params}
        self._socket.send(json.dumps(command | ({"sessionId": session} if session else {})))
        return self._last

    def call(self, method: str, params: Mapping[str, Any] | None = None, session: str | None = None) -> Any:
        """Run a method of the DevTools protocol."""
        import websocket

        number = self.send(method, params or {}, session)
        deadline = time.monotonic() + 2 * WAIT_SECONDS
        while time.monotonic() < deadline:
            try:
                message = json.loads(self._socket.recv())
            except websocket.WebSocketException as error:
                raise BrowserError(f"{method}: no reply of the browser ({error})") from error
            if message.get("id") == number:
                if "error" in message:
                    raise BrowserError(f"{method}: {message['error']['message']}")
                return message["result"]
            tab = self._tabs.get(message.get("sessionId", ""))
            if tab is not None and "method" in message:
                tab.take(message["method"], message["params"])
        raise BrowserError(f"{method}: no reply of the browser")

    def close(self) -> None:
        """End the browser."""
        with contextlib.suppress(BrowserError, OSError):
            self.call("Browser.close")
        self._socket.close()


@contextlib.contextmanager
def open_browser(path: str | None = None, *flags: str) -> Iterator[Browser]:
    """Run a Chromium with an empty profile and further flags, and end it with all its processes."""
    found = path or find_chromium()
    if found is None:
        raise BrowserError(f"There is none of {', '.join(NAMES)}. Debian: apt-get install chromium")
    profile = Path(tempfile.mkdtemp(prefix="chromium-"))
    # A session of its own: its helpers end with it, also after a crash.
    process = subprocess.Popen(
        [found, *FLAGS, *flags, f"--user-data-dir={profile}", "about:blank"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        browser = Browser(process, _address(process, profile))
        try:
            yield browser
        finally:
            browser.close()
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(5)
        shutil.rmtree(profile, ignore_errors=True)


def _address(process: subprocess.Popen[bytes], profile: Path) -> str:
    """Return where the browser listens, which it writes to its profile."""
    port = profile / "DevToolsActivePort"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        lines = port.read_text(encoding="ascii").split("\n") if port.exists() else []
        if len(lines) > 1:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        if process.poll() is not None:
            raise BrowserError(f"The browser ended with status {process.returncode} while it started.")
        time.sleep(POLL_SECONDS)
    raise BrowserError(f"The browser did not start within {START_SECONDS:g} s.")


def _one(selector: str) -> str:
    return f"document.querySelector({json.dumps(selector)})"


def _exception_text(details: Mapping[str, Any]) -> str:
    return str(details.get("exception", {}).get("description") or details["text"])


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium for all tests of a run; use `tab`."""
    if find_chromium() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("There is no Chromium. .ci/run installs one: apt-get install chromium")
        pytest.skip("There is no Chromium (Debian: apt-get install chromium).")
    with open_browser() as opened:
        yield opened


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    """An empty tab, 1280x800, with storage of its own. If the test fails, its report names a screenshot."""
    opened = browser.open()
    yield opened
    opened.close()


def pytest_exception_interact(node: pytest.Item | pytest.Collector, report: Any) -> None:
    """Add a screenshot and the console of its tab to the report of a test that failed."""
    shown = getattr(node, "funcargs", {}).get("tab")
    if not isinstance(shown, Tab):
        return
    name = "".join(letter if letter.isalnum() else "-" for letter in node.name)[:80]
    path = Path(tempfile.mkdtemp(prefix="screenshot-")) / f"{name}.png"
    with contextlib.suppress(BrowserError, OSError):
        shown.screenshot(path)
    lines = [f"screenshot: {path}", *(f"console: {line}" for line in shown.console[-20:])]
    report.sections.append(("browser", "\n".join(lines)))
