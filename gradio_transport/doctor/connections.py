# SPDX-License-Identifier: Apache-2.0
"""Connections and replicas between the client and the process that runs the app."""

from __future__ import annotations

import re
import time
from collections import Counter
from contextlib import suppress
from email.utils import parsedate_to_datetime

from ..calls.app_identity import app_id_of
from ..errors import GradioTransportError, StreamLost
from ..protocol.commands import Request, Response
from .patient import Patient, milliseconds, since
from .report import Finding, failure, ok, skipped, warning

REPLICA_REQUESTS = 8
"""Requests that look for replicas. Two random replicas go unnoticed in one of 128 runs."""

IDLE_SECONDS = 1.0

UPLOAD_BYTES = 1_500_000
"""More than nginx's default limit of 1 MB."""

CLOCK_SECONDS = 60.0

_STICKY = re.compile(
    r"\A(?:AWSALB\w*|GCLB|ARRAffinity\w*|BIGipServer.*|INGRESSCOOKIE|SERVERID|route|lb|sticky.*|.*affinity.*)\Z",
    re.IGNORECASE,
)
"""Names of cookies by which load balancers keep a visitor on one replica."""

_REPLICA_HEADERS = ("x-served-by", "x-replica", "x-instance-id", "x-pod", "fly-request-id", "cf-ray", "via")


def check_keep_alive(patient: Patient) -> Finding:
    """Check whether a connection serves a second request."""
    if patient.proxy is not None:
        return skipped("Behind a proxy the connections to the app cannot be seen.")
    url = _small_url(patient)
    try:
        first = patient.get(url)
        after = time.monotonic()
        time.sleep(IDLE_SECONDS)  # servers that close do so after the reply
        is_open = patient.engine.connections.have_one_since(url, after)
        began = time.monotonic()
        patient.get(url)
        took = since(began)
    except GradioTransportError as error:
        return warning(
            f"A second request failed: {error.message}",
            advice="The server closes connections without notice. Other clients sometimes fail because of "
            "it.",
        )
    if is_open:
        return ok(f"A connection stays open for the next request, which took {milliseconds(took)}.")
    said = first.headers.get("connection", "").lower() == "close"
    return warning(
        f"The connection was closed {'by its reply' if said else f'within {IDLE_SECONDS:g} s'}; each request "
        "opens another one.",
        advice="It only costs time. Let the proxy keep connections (nginx: keepalive_timeout).",
    )


def _small_url(patient: Patient) -> str:
    urls = patient.app.discovery.urls
    return urls.api("app_id") if patient.config.at_least(3, 0, 5) else urls.page("config")


def check_replicas(patient: Patient) -> Finding:
    """Find out on several connections which process replies, by its id (3.0.5+)."""
    if not patient.config.at_least(3, 0, 5):
        return skipped("Processes of this version have no id.")
    request = Request.get(patient.app.discovery.urls.api("app_id"))
    ids: Counter[str] = Counter()
    replies: list[Response] = []
    for _ in range(REPLICA_REQUESTS):
        try:
            reply = patient.send_afresh(request)
        except GradioTransportError as error:
            return warning(
                f"Of several connections one failed: {error.message}",
                advice="One of several replicas may be down. Look at the load balancer.",
            )
        replies.append(reply)
        app_id = app_id_of(reply)
        ids["" if app_id is None else repr(app_id)[:100]] += 1
    known = {name: count for name, count in ids.items() if name}
    seen = _names_of_replicas(replies)
    if not known:
        return skipped("The server does not report the id of its process.", *seen)
    sticky = sorted({name for reply in replies for name in _cookie_names(reply) if _STICKY.match(name)})
    if len(known) == 1 and len(ids) == 1:
        seen.insert(0, f"{REPLICA_REQUESTS} connections led to one process.")
        if sticky:
            seen.append(f"The cookie {sticky[0]} keeps a visitor there; this library sends it back.")
        return ok(*seen)
    shares = ", ".join(map(str, sorted(known.values(), reverse=True)))
    seen.insert(0, f"{REPLICA_REQUESTS} connections led to {len(ids)} processes ({shares} requests each).")
    seen.append("A session lives in one process. A call that joins at one and listens at another is lost.")
    return failure(
        *seen,
        advice=(
            "Keep each visitor on one replica: by a cookie (sticky sessions), or by the address (nginx: "
            "ip_hash). Or run one process: a Gradio app cannot have several workers."
        ),
        error=StreamLost(seen[0]),
    )


def _cookie_names(reply: Response) -> list[str]:
    return [line.partition("=")[0].strip() for line in reply.set_cookie]


def _names_of_replicas(replies: list[Response]) -> list[str]:
    found: list[str] = []
    for name in _REPLICA_HEADERS:
        values = dict.fromkeys(reply.headers[name][:40] for reply in replies if name in reply.headers)
        if values:
            found.append(f"{name}: {', '.join(list(values)[:4])}.")
    return found


def check_upload(patient: Patient) -> Finding:
    """Check how large a request may be.

    The body goes to a route without POST. Every server refuses it with 404 or 405 and stores nothing, but a
    proxy refuses it earlier if it is too large.
    """
    config = patient.config
    if not patient.is_gradio:
        return skipped("It is not a Gradio app.")
    limit = config.max_file_size
    seen = [f"The app accepts files of up to {_size(limit)}." if limit else "The app sets no limit on files."]
    if patient.config.at_least(4, 28) is False:
        seen = ["Apps of this version have no file size limit."]
    request = Request(
        "POST",
        patient.app.discovery.urls.page("config"),
        {"content-type": "application/octet-stream", "accept": "*/*"},
        bytes(UPLOAD_BYTES),
    )
    try:
        reply = patient.send_afresh(request)
    except StreamLost as error:
        seen.append(f"A request of {_size(UPLOAD_BYTES)} was cut off: {error.message}")
        return warning(*seen, advice="A proxy may limit requests. Small calls work; uploads may not.")
    except GradioTransportError as error:
        return warning(*seen, error.message, advice="Large requests may fail.")
    if reply.status == 413:
        seen.append(f"A request of {_size(UPLOAD_BYTES)} is refused by a proxy with HTTP 413.")
        if limit and limit < UPLOAD_BYTES:
            return ok(*seen)
        return warning(
            *seen,
            advice="Calls with small values work; files and large texts do not. Raise the limit of the proxy "
            "(nginx: client_max_body_size 100m).",
        )
    seen.append(f"A request of {_size(UPLOAD_BYTES)} comes through; larger ones were not tried.")
    return ok(*seen)


def _size(number: int) -> str:
    return f"{number / 1_000_000:,.1f} MB" if number >= 100_000 else f"{number:,} bytes"


def check_clock(patient: Patient) -> Finding:
    """Compare the clocks of this machine and the server, by the Date of a reply."""
    reply = patient.last_reply
    text = "" if reply is None else reply.headers.get("date", "")
    there: float | None = None
    with suppress(TypeError, ValueError, OverflowError, OSError):
        there = parsedate_to_datetime(text).timestamp()
    if there is None:
        return skipped("The server does not send its time.")
    skew = time.time() - there
    if abs(skew) < CLOCK_SECONDS:
        return ok("The clocks of this machine and the server agree.")
    side = "ahead of" if skew > 0 else "behind"
    return warning(
        f"The clock of this machine is {abs(skew):,.0f} s {side} that of the server.",
        advice="Correct the wrong clock: certificates, tokens and signed URLs depend on it.",
    )


def check_times(patient: Patient) -> Finding:
    """List how long each phase took."""
    if not patient.times:
        return skipped("Nothing was timed.")
    return ok(", ".join(f"{name} {milliseconds(seconds)}" for name, seconds in patient.times.items()) + ".")
