# SPDX-License-Identifier: Apache-2.0
"""Start a server, provide its URLs, and stop it in all cases.

The server's processes form one group with one log. They stop when their standard input ends, so that a test
run that is killed leaves no server behind.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import environments
from .errors import BootFailed, ScenarioUnavailable, VariantUnavailable
from .matrix import HERE, Entry, find

BOOT_SECONDS = 240.0
STOP_SECONDS = 5.0
LOG_TAIL_LINES = 40


@dataclass(frozen=True)
class Scenario:
    """One endpoint of a running server.

    Attributes:
        name: The canonical name, the same on every version.
        url: The base URL of its app; before 3.0 each scenario has an app of its own.
        fn_index: Its position, which is also its `id` if dependencies have one.
        api_name: Its name on this version, without a slash; None if it has none.
        queue: Whether it goes through the queue.
        component_id: The id of its component with server functions, if it has one.
    """

    name: str
    url: str
    fn_index: int
    api_name: str | None
    queue: bool
    component_id: int | None = None


@dataclass(frozen=True)
class Server:
    """A running server; it stops at the end of its `running` block."""

    version: str
    python: str
    wire: str
    process_id: int
    log: Path
    urls: Mapping[str, str]
    scenarios: Mapping[str, Mapping[str, Scenario]]
    unavailable: Mapping[str, str] = field(default_factory=dict)

    def url(self, variant: str = "canonical") -> str:
        """The base URL of `variant`, without a slash at its end."""
        try:
            return self.urls[variant]
        except KeyError:
            why = (
                self.unavailable.get(variant) or f"{variant} was not booted; there are {', '.join(self.urls)}"
            )
            raise VariantUnavailable(why) from None

    def has(self, scenario: str, variant: str = "canonical") -> bool:
        """Whether this version has `scenario`."""
        return scenario in self.scenarios.get(variant, {})

    def scenario(self, name: str, variant: str = "canonical") -> Scenario:
        """The endpoint of `scenario` on this server."""
        self.url(variant)
        try:
            return self.scenarios[variant][name]
        except KeyError:
            raise ScenarioUnavailable(f"Gradio {self.version} has no {name} in its {variant} app") from None

    def log_tail(self, lines: int = LOG_TAIL_LINES) -> str:
        """The last lines of the server's output."""
        return _tail(self.log, lines)


@contextmanager
def running(
    version: str,
    variants: Sequence[str] = ("canonical",),
    *,
    port: int | None = None,
    timeout: float = BOOT_SECONDS,
    skip_unavailable: bool = False,
) -> Iterator[Server]:
    """Start `version` with all of `variants`, wait until every app answers, and stop it at the end.

    Installs the version first if necessary, which `timeout` does not include. `port` is the port of the
    first app, and the others follow it; by default free ports are chosen. `skip_unavailable` leaves out the
    variants that the version cannot serve; an access to their URL then raises an error with the reason.
    """
    entry = find(version)
    environments.install(entry)
    with tempfile.TemporaryDirectory(prefix="gradio-server-", ignore_cleanup_errors=True) as directory:
        log = Path(directory) / "log.txt"
        process = _start(entry, variants, port, Path(directory), log, skip_unavailable)
        try:
            yield _ready(entry, process, log, time.monotonic() + timeout)
        finally:
            _stop(process)


def _start(
    entry: Entry,
    variants: Sequence[str],
    port: int | None,
    directory: Path,
    log: Path,
    skip_unavailable: bool,
) -> subprocess.Popen[bytes]:
    command = [str(environments.interpreter(entry)), "-m", "apps"]
    for variant in variants:
        command += ["--variant", variant]
    if skip_unavailable:
        command.append("--skip-unavailable")
    if port is not None:
        command += ["--port", str(port)]
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            cwd=directory,
            env=_environment(directory),
            start_new_session=True,
        )


def _environment(directory: Path) -> dict[str, str]:
    """The caller's environment, without variables that affect another Python or another Gradio."""
    foreign = ("GRADIO_", "PYTHON", "VIRTUAL_ENV", "PYENV_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_SSR_MODE": "False",
        "GRADIO_TEMP_DIR": str(directory / "gradio"),
        "HF_HUB_OFFLINE": "1",
        "MPLBACKEND": "agg",
        # Gradio checks with a request whether its own server runs; no proxy must answer it.
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "PYTHONPATH": str(HERE),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(directory),
    }


def _ready(entry: Entry, process: subprocess.Popen[bytes], log: Path, deadline: float) -> Server:
    line = _read_line(process, deadline)
    if not line:
        state = "printed no ready line in time" if process.poll() is None else "ended before it was ready"
        raise BootFailed(f"Gradio {entry.version} {state}", _tail(log))
    facts = json.loads(line)
    if "error" in facts:
        if facts["kind"] == "variant-unavailable":
            raise VariantUnavailable(f"Gradio {entry.version} cannot serve {facts['error']}")
        raise BootFailed(f"Gradio {entry.version} did not launch: {facts['error']}", _tail(log))
    for url in facts["urls"].values():
        _wait_until_it_answers(entry, url, log, deadline)
    return Server(
        version=facts["gradio"],
        python=facts["python"],
        wire=entry.wire,
        process_id=process.pid,
        log=log,
        urls=facts["urls"],
        scenarios=_scenarios(facts["scenarios"]),
        unavailable=facts.get("unavailable", {}),
    )


def _scenarios(facts: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Scenario]]:
    return {
        variant: {name: Scenario(name=name, **known) for name, known in scenarios.items()}
        for variant, scenarios in facts.items()
    }


def _read_line(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """The first line of standard output, or an empty value if the process ended or the deadline passed."""
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    received = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while not received.endswith(b"\n"):
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not selector.select(remaining):
                return b""
            chunk = os.read(descriptor, 65536)
            if not chunk:
                return b""
            received += chunk
    return received


def _wait_until_it_answers(entry: Entry, url: str, log: Path, deadline: float) -> None:
    """Probe the page of an app: its HTML is served without login on every version."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with opener.open(f"{url}/", timeout=10):
                return
        except urllib.error.HTTPError:
            # Any answer proves that a server listens; the tests check the answer.
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise BootFailed(
                    f"Gradio {entry.version} does not answer at {url}: {error}", _tail(log)
                ) from error
            time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole group: with SIGTERM, then with SIGKILL."""
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        stream.close()
    _signal_group(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    # The leader may have ended while a forked app still runs, so the group always gets this signal.
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _tail(log: Path, lines: int = LOG_TAIL_LINES) -> str:
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
