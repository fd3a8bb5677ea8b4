# SPDX-License-Identifier: Apache-2.0
"""The address, and common mistakes in it."""

from __future__ import annotations

import difflib
import re

from ..errors import LocalProtocolError
from ..protocol.urls import https_origin, origin, shown_source, shown_url
from .patient import Patient
from .report import Finding, failure, ok, warning

GRADIO_PORT = 7860

_SCHEME = re.compile(r"\s*([A-Za-z]{2,8})(:/{0,3}|//)(?=[^/])")
"""Text that looks like a scheme: correct, misspelt, or with a missing character."""

_HOST_FIRST = re.compile(r"\s*[^/:\s]+:\d+(?:/|\s*\Z)")

_ROUTES = re.compile(
    r"/(?:gradio_api(?:/.*)?|config|info|queue(?:/.*)?|api/[^/]+|run/[^/]+|call/.+|login|index\.html)\Z"
)
"""Routes below an app, which are not the address of the app."""


def check_address(patient: Patient) -> Finding:
    """Parse the address, and look for common mistakes."""
    source = patient.source
    repaired = _repair(source)
    if repaired:
        what = f"{shown_source(source)!r} is not a URL."
        advice = f"Did you mean {shown_url(repaired)}?"
        return failure(what, advice=advice, error=LocalProtocolError(f"{what} {advice}"))
    try:
        app = patient.open()
    except LocalProtocolError as error:
        return failure(error.message, error=error)
    if app.space is not None:
        return ok(f"{app.space} is the name of a Hugging Face Space.")
    return _check_url(patient)


def _repair(source: str) -> str:
    """Return the intended URL for one with a misspelt scheme, or an empty string."""
    found = _SCHEME.match(source)
    if found is None or _HOST_FIRST.match(source):
        return ""
    scheme, sign = found[1].lower(), found[2]
    if scheme in ("http", "https") and sign == "://":
        return ""
    near = difflib.get_close_matches(scheme, ("http", "https"), 1, 0.75)
    if scheme in ("ws", "wss"):
        near = ["http" if scheme == "ws" else "https"]
    return f"{near[0]}://{source[found.end() :].strip()}" if near else ""


def _check_url(patient: Patient) -> Finding:
    base, host, port = patient.app.base, patient.host, patient.port
    seen = [f"{shown_url(base)}: host {host}, port {port}."]
    if "://" not in patient.source:
        seen.append("No scheme was given, so http:// is used.")
    advice: list[str] = []
    if host in ("0.0.0.0", "::"):  # noqa: S104 - it is diagnosed, and nothing listens here
        seen.append(f"{host} is an address to listen on. Not every system connects to it.")
        advice.append(f"On the same machine use http://127.0.0.1:{port}. From another one use its name.")
    if _is_port_missing(patient):
        seen.append(f"No port was given, so it is {port}. Gradio listens on {GRADIO_PORT} by default.")
        if host in ("localhost", "127.0.0.1", "::1"):
            advice.append(f"If nothing answers, try {shown_url(base)}:{GRADIO_PORT}.")
    route = _ROUTES.search(base)
    if route is not None:
        seen.append(f"{route[0]} is a route below an app, not the app itself.")
        advice.append(f"Pass the address of the app's page: {shown_url(base[: route.start()])}.")
    return warning(*seen, advice=advice) if advice else ok(*seen)


def _is_port_missing(patient: Patient) -> bool:
    where = origin(patient.app.base)
    return https_origin(where) is not None and not re.search(r":\d+(?:/|\Z)", patient.app.base)
