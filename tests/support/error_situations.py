# SPDX-License-Identifier: Apache-2.0
"""What a client raises in each situation that docs/migration.md lists, as JSON.

``python tests/support/error_situations.py gradio_client`` runs the Gradio Python client of that environment, and
``gradio_transport.client`` this one. It needs nothing else that is not in the standard library, so it also runs in
an environment of an older release. The servers are on loopback, the Hub among them.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scripted import CONFIG, Reply, Scripted, generating, scripted

SECONDS = 0.3
"""A timeout that is meant to expire."""

JOIN, DATA = "/gradio_api/queue/join", "/gradio_api/queue/data"

FILES_CONFIG = {**CONFIG, "components": [{"id": 1, "type": "file", "props": {}}, CONFIG["components"][1]]}

Situation = Callable[[Any, Scripted], object]
SITUATIONS: dict[str, Situation] = {}


def situation(what: str) -> Callable[[Situation], Situation]:
    def add(run: Situation) -> Situation:
        SITUATIONS[what] = run
        return run

    return add


def closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def client_of(module: Any, server: Scripted, **options: Any) -> Any:
    return module.Client(server.url, verbose=False, **options)


def hold(reply: Reply) -> None:
    reply.hold()


def reject(status: int, text: str = "no") -> Callable[[Reply], None]:
    return lambda reply: reply.json({"detail": text}, status)


def say(*messages: dict[str, Any], then: Callable[[Reply], None]) -> Callable[[Reply], None]:
    """Return a script for the stream: what there is for the call, and how the stream ends."""

    def script(reply: Reply) -> None:
        reply.stream()
        told = reply.server.messages(reply.query["session_hash"])
        event = told.get(timeout=20)
        assert event is not None
        for message in messages:
            reply.send({**message, "event_id": event["event_id"]})
        then(reply)

    return script


def end(reply: Reply) -> None:
    reply.send({"msg": "close_stream", "event_id": None})
    reply.end()


# --- connecting -----------------------------------------------------------------------------------------


@situation("Nothing listens at the address")
def refused(module: Any, server: Scripted) -> object:
    return module.Client(f"http://127.0.0.1:{closed_port()}", verbose=False)


@situation("The host has no address (DNS)")
def unknown_host(module: Any, server: Scripted) -> object:
    return module.Client("http://no-such-host.invalid", verbose=False)


@situation("TLS fails")
def no_tls(module: Any, server: Scripted) -> object:
    return module.Client(server.url.replace("http:", "https:"), verbose=False)


@situation("The config does not come in time")
def late_config(module: Any, server: Scripted) -> object:
    server.scripts["/config"] = hold
    return client_of(module, server, httpx_kwargs={"timeout": SECONDS})


@situation("The app wants a login, and none is given")
def no_login(module: Any, server: Scripted) -> object:
    server.scripts["/config"] = reject(401, "Not authenticated")
    return client_of(module, server)


@situation("The app refuses the login")
def wrong_login(module: Any, server: Scripted) -> object:
    server.scripts["/config"] = reject(401, "Not authenticated")
    for path in ("/login", "/gradio_api/login"):
        server.scripts[path] = reject(400, "Incorrect credentials.")
    return client_of(module, server, auth=("user", "wrong"))


@situation("A proxy refuses the config (403)")
def forbidden(module: Any, server: Scripted) -> object:
    server.scripts["/config"] = server.scripts["/"] = reject(403, "Forbidden")
    return client_of(module, server)


@situation("Too many requests for the config (429)")
def limited_config(module: Any, server: Scripted) -> object:
    server.scripts["/config"] = server.scripts["/"] = reject(429, "slow down")
    return client_of(module, server)


@situation("The page is none of Gradio's")
def not_gradio(module: Any, server: Scripted) -> object:
    server.scripts["/config"] = reject(404, "Not Found")
    server.scripts["/"] = lambda reply: reply.text("<html><title>Something else</title></html>")
    return client_of(module, server)


@situation("The server answers 502 (an app that starts)")
def bad_gateway(module: Any, server: Scripted) -> object:
    server.scripts["/config"] = server.scripts["/"] = reject(502, "Bad Gateway")
    return client_of(module, server)


# --- Spaces ---------------------------------------------------------------------------------------------


def space(stage: str, host: str) -> dict[str, Any]:
    return {
        "id": "owner/name", "host": host, "subdomain": "owner-name", "private": False, "sdk": "gradio",
        "runtime": {"stage": stage, "hardware": {"current": None, "requested": "cpu-basic"}},
    }  # fmt: skip


@situation("There is no such Space, or it is hidden")
def no_space(module: Any, server: Scripted) -> object:
    missing = {"x_error_code": "RepoNotFound", "x_error_message": "Repository not found"}
    for path in ("/api/spaces/owner/name", "/api/spaces/owner/name/runtime"):
        server.scripts[path] = lambda reply: reply.json({"error": "Repository not found"}, 404, **missing)
    return module.Client("owner/name", verbose=False)


@situation("The Space sleeps")
def sleeping_space(module: Any, server: Scripted) -> object:
    stages = iter(["SLEEPING"])

    def describe(reply: Reply) -> None:
        told = space(next(stages, "RUNNING"), server.url)
        reply.json(told["runtime"] if reply.path.endswith("runtime") else told)

    server.scripts["/api/spaces/owner/name"] = server.scripts["/api/spaces/owner/name/runtime"] = describe
    return module.Client("owner/name", verbose=False).predict("x", api_name="/hello")


@situation("The Space is paused, or failed to build or run")
def failed_space(module: Any, server: Scripted) -> object:
    told = space("BUILD_ERROR", server.url)
    server.scripts["/api/spaces/owner/name"] = lambda reply: reply.json(told)
    server.scripts["/api/spaces/owner/name/runtime"] = lambda reply: reply.json(told["runtime"])
    return module.Client("owner/name", verbose=False)


# --- arguments ------------------------------------------------------------------------------------------


@situation("There is no endpoint of that name")
def no_endpoint(module: Any, server: Scripted) -> object:
    return client_of(module, server).predict("x", api_name="/nothing")


@situation("There is no function of that number")
def no_number(module: Any, server: Scripted) -> object:
    return client_of(module, server).predict("x", fn_index=99)


@situation("No endpoint is named, and the app has several")
def unnamed(module: Any, server: Scripted) -> object:
    return client_of(module, server).predict("x")


@situation("An argument is missing")
def missing(module: Any, server: Scripted) -> object:
    return client_of(module, server).predict(api_name="/hello")


@situation("There is an argument too many")
def surplus(module: Any, server: Scripted) -> object:
    return client_of(module, server).predict("x", "y", api_name="/hello")


@situation("There is no parameter of that name")
def unknown_name(module: Any, server: Scripted) -> object:
    return client_of(module, server).predict("x", nothing=1, api_name="/hello")


@situation("An argument is given twice")
def doubled(module: Any, server: Scripted) -> object:
    return client_of(module, server).predict("x", text="y", api_name="/hello")


@situation("The value is no JSON")
def no_json(module: Any, server: Scripted) -> object:
    return client_of(module, server).predict(object(), api_name="/hello")


@situation("The app's validator refuses a value (5.45+)")
def invalid(module: Any, server: Scripted) -> object:
    detail = [{"is_valid": False, "message": "too short"}]
    server.scripts[JOIN] = lambda reply: reply.json({"detail": detail}, 422)
    return client_of(module, server).predict("x", api_name="/hello")


# --- files ----------------------------------------------------------------------------------------------


@situation("`handle_file` of a path where no file is")
def no_file(module: Any, server: Scripted) -> object:
    return module.handle_file("nothing.txt")


@situation("A file is larger than the app takes")
def large_file(module: Any, server: Scripted) -> object:
    server.config = {**FILES_CONFIG, "max_file_size": 4}
    file = Path(tempfile.mkdtemp()) / "large.txt"
    file.write_bytes(b"large")
    return client_of(module, server).predict(module.handle_file(str(file)), api_name="/hello")


@situation("The server refuses an upload (413)")
def refused_upload(module: Any, server: Scripted) -> object:
    server.config = FILES_CONFIG
    server.scripts["/gradio_api/upload"] = reject(413, "Request Entity Too Large")
    file = Path(tempfile.mkdtemp()) / "small.txt"
    file.write_bytes(b"small")
    return client_of(module, server).predict(module.handle_file(str(file)), api_name="/hello")


@situation("A file of the result cannot be downloaded (404)")
def no_download(module: Any, server: Scripted) -> object:
    server.config = {
        **CONFIG,
        "components": [CONFIG["components"][0], {"id": 2, "type": "file", "props": {}}],
    }
    url = f"{server.url}/gradio_api/file=/tmp/gone.txt"
    server.answers["hello"] = {
        "path": "/tmp/gone.txt", "url": url, "orig_name": "gone.txt", "meta": {"_type": "gradio.FileData"},
    }  # fmt: skip
    return client_of(module, server).predict("x", api_name="/hello")


# --- the call -------------------------------------------------------------------------------------------


@situation("The app's function raises (show_error on)")
def raised(module: Any, server: Scripted) -> object:
    return client_of(module, server).predict("x", api_name="/raise_error")


@situation("The app's function raises (show_error off)")
def raised_in_secret(module: Any, server: Scripted) -> object:
    failed = {"msg": "process_completed", "success": False, "output": {"error": None}}
    server.scripts[DATA] = say(failed, then=end)
    return client_of(module, server).predict("x", api_name="/hello")


@situation("The queue is full (503)")
def full(module: Any, server: Scripted) -> object:
    server.scripts[JOIN] = reject(503, "Queue is full. Max size is 1 and size is 1.")
    return client_of(module, server).predict("x", api_name="/hello")


@situation("Too many requests for the call (429)")
def limited(module: Any, server: Scripted) -> object:
    server.scripts[JOIN] = reject(429, "slow down")
    return client_of(module, server).predict("x", api_name="/hello")


@situation("The server answers the call with 500")
def broken(module: Any, server: Scripted) -> object:
    server.scripts[JOIN] = reject(500, "Internal Server Error")
    return client_of(module, server).predict("x", api_name="/hello")


@situation("The login has expired (401)")
def expired(module: Any, server: Scripted) -> object:
    server.scripts[JOIN] = reject(401, "Not authenticated")
    return client_of(module, server).predict("x", api_name="/hello")


@situation("The server is gone when the call is made")
def gone(module: Any, server: Scripted) -> object:
    with scripted() as other:
        client = client_of(module, other)
        other.restart(other.config)
    return client.predict("x", api_name="/hello")


@situation("The stream breaks")
def cut(module: Any, server: Scripted) -> object:
    server.scripts[DATA] = say({"msg": "process_starts"}, then=Reply.reset)
    return client_of(module, server).predict("x", api_name="/hello")


@situation("The stream ends before the result")
def cut_cleanly(module: Any, server: Scripted) -> object:
    server.scripts[DATA] = say({"msg": "process_starts"}, then=Reply.end)
    return client_of(module, server).predict("x", api_name="/hello")


@situation("The stream is silent for longer than `timeout` of `httpx_kwargs`")
def silent(module: Any, server: Scripted) -> object:
    server.scripts[DATA] = say({"msg": "process_starts"}, then=Reply.hold)
    options = {"timeout": 1.5}  # also that of connecting, on a machine that may be busy
    client = client_of(module, server, httpx_kwargs=options)
    return client.predict("x", api_name="/hello")


@situation("`result(timeout=)` is over")
def late_result(module: Any, server: Scripted) -> object:
    server.scripts[DATA] = say({"msg": "process_starts"}, then=Reply.hold)
    return client_of(module, server).submit("x", api_name="/hello").result(timeout=SECONDS)


@situation("`result()` of a job that was cancelled")
def cancelled(module: Any, server: Scripted) -> object:
    server.scripts[DATA] = say(generating("on and on"), then=Reply.hold)
    job = client_of(module, server).submit("x", api_name="/forever")
    next(iter(job))
    assert job.cancel()
    return job.result()


@situation("The server says that the session is unknown (it restarted)")
def restarted(module: Any, server: Scripted) -> object:
    server.scripts[DATA] = say({"msg": "unexpected_error", "message": "Session not found"}, then=Reply.end)
    return client_of(module, server).predict("x", api_name="/hello")


# --- running them ---------------------------------------------------------------------------------------


def outcome_of(run: Situation, module: Any) -> dict[str, Any]:
    """Return the types of what is raised, most special first, and its text; no types if nothing is."""
    outcome: dict[str, Any] = {"types": None, "text": "it does not end"}

    def attempt() -> None:
        with scripted() as server:
            os.environ["HF_ENDPOINT"] = server.url
            set_endpoint(server.url)
            try:
                value = run(module, server)
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is what is asked for
                kinds = [f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__[:-1]]
                outcome.update(types=kinds, text=str(error).replace(server.url, "URL"))
            else:
                outcome.update(types=[], text=repr(value))

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(15)
    return dict(outcome)


def set_endpoint(url: str) -> None:
    """Have huggingface_hub, which reads the variable when it is imported, ask the Hub on loopback."""
    with contextlib.suppress(ImportError):
        from huggingface_hub import constants, hf_api

        constants.ENDPOINT = url
        hf_api.api.endpoint = url


def outcomes(name: str, only: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    module = importlib.import_module(name)
    for what, run in SITUATIONS.items():
        if only is None or only == what:
            yield what, outcome_of(run, module)


if __name__ == "__main__":
    found = dict(outcomes(*sys.argv[1:]))
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    os._exit(0)  # not to wait for the threads of a client that does not end
