# SPDX-License-Identifier: Apache-2.0
"""Version, protocol and adapter, and the app's own URL."""

from __future__ import annotations

from collections import Counter
from typing import cast
from urllib.parse import urlsplit

from ..app.config import Endpoint
from ..errors import UnsupportedProtocol, list_texts
from ..protocol.urls import origin, shown_url
from .patient import Patient
from .report import Finding, failure, ok, warning

_NO_ROOT = "Look at root_path of the app, GRADIO_ROOT_PATH, and the X-Forwarded headers of the proxy."

MOST_ENDPOINTS = 2000
"""The most endpoints for which an adapter is chosen."""


def check_protocol(patient: Patient) -> Finding:
    """Choose an adapter for each endpoint, as a call does."""
    config = patient.config
    if not patient.is_gradio:
        return ok(
            f"Not Gradio: you asked for the adapter {patient.app.protocol}, and it found {config.title}."
        )
    seen = [
        (
            f"Gradio {config.version or 'of unknown version'} names "
            f"{f'the protocol {config.protocol}' if config.protocol else 'no protocol, as all before 4.0'}."
        )
    ]
    counted: Counter[tuple[str, str]] = Counter()
    without: list[str] = []
    error: UnsupportedProtocol | None = None
    for endpoint in config.callable[:MOST_ENDPOINTS]:
        try:
            choice = patient.app.choose(endpoint)
        except UnsupportedProtocol as unsupported:
            without.append(endpoint.display_name)
            error = error or unsupported
        else:
            name = choice.adapter.name
            reason = next(one.match.reason for one in choice.candidates if one.name == name)
            counted[name, reason] += 1
    seen += [
        f"{_count(number)} by the adapter {name}: {reason.rstrip('.')}."
        for (name, reason), number in counted.most_common(4)
    ]
    if error is not None and not counted:
        return failure(*seen, error.message, advice="See 'gradio-transport adapters'.", error=error)
    advice: list[str] = []
    if error is not None:
        seen.append(f"No adapter for {list_texts(without, most=5)}: {error.message}")
        advice.append("Those cannot be called. See 'gradio-transport explain'.")
    if not config.callable:
        seen.append("It has no function that you can call by name or number.")
        advice.append("Its functions are private, or run only in the browser (api_name=False, js).")
    if config.info_failure:
        seen.append(f"{config.info_failure}.")
        advice.append("Calls work. Names and types of parameters come from the config. See the app's log.")
    return warning(*seen, advice=advice) if advice else ok(*seen)


def _count(number: int) -> str:
    return "1 endpoint" if number == 1 else f"{number:,} endpoints"


def check_root(patient: Patient) -> Finding:
    """Compare the app's own URL with the requested one."""
    config, base = patient.config, patient.base
    root = config.root.rstrip("/")
    if not root:
        return ok("The app reports no root, so requests go to the address you gave.")
    given = urlsplit(base)
    try:
        believed = urlsplit(root)
        _ = believed.port, origin(root)
    except ValueError:
        return warning(f"The app's own URL (root) is not a URL: {root[:100]!r}.", *_effect(), advice=_NO_ROOT)
    seen = [f"The app's own URL (root) is {shown_url(root)}; you reached it at {shown_url(base)}."]
    if not believed.scheme:  # only a path, up to 4.17
        if believed.path.rstrip("/") == given.path.rstrip("/"):
            return ok(*seen)
        return warning(*seen, *_effect(), advice=_path_advice(given.path))
    if root == base or (origin(root) == origin(base) and believed.path.rstrip("/") == given.path.rstrip("/")):
        return ok("The app's own URL (root) is the one you gave.")
    advice: list[str] = []
    if (given.scheme, believed.scheme) == ("https", "http"):
        advice.append(
            "The proxy does not report that clients use https. Configure it to send the header "
            "X-Forwarded-Proto: https (nginx: proxy_set_header X-Forwarded-Proto $scheme), or set "
            "GRADIO_ROOT_PATH to the address."
        )
    if believed.hostname != given.hostname or ((believed.port or 0) != (given.port or 0) and not advice):
        advice.append(
            "The proxy does not forward the host. Configure it to send Host, or X-Forwarded-Host (nginx: "
            "proxy_set_header Host $http_host)."
        )
    if believed.path.rstrip("/") != given.path.rstrip("/"):
        advice.append(_path_advice(given.path))
    return warning(*seen, *_effect(), advice=advice)


def _effect() -> tuple[str, ...]:
    return (
        "Calls of this library still go to your address.",
        "The app's page, its files and other clients may go to the wrong one.",
    )


def _path_advice(path: str) -> str:
    if not path.strip("/"):
        return "The app has a root_path that the address lacks: correct the URL or GRADIO_ROOT_PATH."
    return (
        f"The app does not know its path: start it with root_path={path!r}, or set GRADIO_ROOT_PATH={path}."
    )


def has_unload(patient: Patient) -> bool:
    """Return whether the app runs a function when a session ends, by its config."""
    return any(_is_unload(endpoint) for endpoint in patient.config.endpoints)


def _is_unload(endpoint: Endpoint) -> bool:
    targets = endpoint.raw.get("targets")
    listed = cast("list[object]", targets) if isinstance(targets, list) else []
    return any(isinstance(target, list) and "unload" in target for target in listed)
