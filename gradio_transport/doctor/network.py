# SPDX-License-Identifier: Apache-2.0
"""The connection to the host: its name, its addresses, and which of them answer."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Sequence
from typing import Any

import attrs

from ..engines.connecting import NEXT_ADDRESS_SECONDS, alternate_families
from ..engines.lookups import look_up
from ..engines.proxies import Proxy, ascii_host
from ..errors import ConnectError, did_you_mean
from ..protocol.addresses import is_address
from .address import GRADIO_PORT
from .bounded import Late, Running, bounded
from .patient import Patient, milliseconds, since
from .report import Finding, failure, ok, skipped, warning

LOOKUP_SECONDS = 8.0
CONNECT_SECONDS = 5.0

MOST_ADDRESSES = 8
"""The most addresses of a host that are tried."""

NEAR_PORTS = range(GRADIO_PORT, GRADIO_PORT + 10)
"""Local ports that are checked if the given one is closed: Gradio takes the first free one."""

_KNOWN_HOSTS = ("localhost", "huggingface.co", "hf.space", "gradio.live")


def check_name(patient: Patient) -> Finding:
    """Look up the host to connect to: that of the app or of the proxy."""
    proxy = patient.proxy
    host = patient.host if proxy is None else proxy.host
    began = time.monotonic()
    try:
        addresses = bounded(lambda: look_up(ascii_host(host)), LOOKUP_SECONDS, "look-up")
    except Late:
        return failure(
            f"No name server answered for {host} within {LOOKUP_SECONDS:g} s.",
            advice="Check the network of this machine, its VPN and its name servers.",
        )
    except (OSError, ValueError) as error:
        return _unknown_name(host, error, proxy)
    took = since(began)
    patient.lookup = alternate_families(addresses)[:MOST_ADDRESSES]
    listed = ", ".join(dict.fromkeys(str(address[4][0]) for address in patient.lookup))
    whose = host if proxy is None else f"The proxy {host}"
    if is_address(host):
        return ok(f"{whose} is an address, so there is no name to look up.")
    patient.times["name"] = took
    seen = [f"{whose} is {listed} ({milliseconds(took)})."]
    more = len(addresses) - len(patient.lookup)
    if more > 0:
        seen.append(f"There are {more} more.")
    if proxy is not None:
        seen.append(f"The proxy looks up {patient.host} itself.")
    return ok(*seen)


def _unknown_name(host: str, error: Exception, proxy: Proxy | None) -> Finding:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    temporary = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
    seen = f"The name {host} cannot be looked up: {reason}."
    if proxy is not None:
        advice = f"Correct the proxy in {proxy.given_by}, or unset it."
    elif temporary:
        advice = (
            "The name servers did not answer. Check the network of this machine (VPN, /etc/resolv.conf). If "
            "the network reaches the internet only through a proxy, set HTTPS_PROXY."
        )
    else:
        hint = did_you_mean(host, _KNOWN_HOSTS)
        advice = (
            f"Check the spelling of the host.{hint} The name of a container or an internal host is known "
            f"only in its network."
        )
    unknown = ConnectError(seen)
    unknown.__cause__ = error
    return failure(seen, advice=advice, error=unknown)


@attrs.frozen
class _Try:
    """The result of one address. Without an `error` it is connected."""

    host: str
    family: int
    seconds: float
    error: OSError | None = None


def check_tcp(patient: Patient) -> Finding:
    """Connect to each address of the host."""
    if not patient.lookup:
        return skipped("There is no address.")
    proxy = patient.proxy
    port = patient.port if proxy is None else proxy.port
    limit = min(CONNECT_SECONDS, patient.options.timeouts.connect or CONNECT_SECONDS)
    running = [
        Running(lambda address=address: _connect(address, port, limit), "connect")  # type: ignore[misc]
        for address in patient.lookup
    ]
    tries: list[_Try] = []
    end = time.monotonic() + limit + 1
    for one, address in zip(running, patient.lookup, strict=True):
        try:
            tries.append(one.result(end - time.monotonic()))
        except Late:
            tries.append(
                _Try(str(address[4][0]), address[0], limit, TimeoutError(errno.ETIMEDOUT, "no answer"))
            )
    connected = [one for one in tries if one.error is None]
    failed = [one for one in tries if one.error is not None]
    seen = [f"{_with_port(one.host, port)} answers in {milliseconds(one.seconds)}." for one in connected]
    seen += [f"{_with_port(one.host, port)} does not answer: {_reason(one.error)}." for one in failed]
    if not connected:
        error = ConnectError(" ".join(seen))
        error.__cause__ = failed[0].error if failed else None
        return failure(*seen, advice=_advice(patient, failed, port, proxy), error=error)
    patient.times["TCP"] = min(one.seconds for one in connected)
    if failed and not _is_harmless(failed):
        return warning(*seen, advice=_advice_some(failed))
    return ok(*seen)


def _is_harmless(failed: Sequence[_Try]) -> bool:
    """Return whether a local machine refuses one of its two loopback addresses, which costs no time."""
    return _is_loopback(failed) and all(isinstance(one.error, ConnectionRefusedError) for one in failed)


def _connect(address: Any, port: int, seconds: float) -> _Try:
    family, kind, protocol, _, target = address
    began = time.monotonic()
    error: OSError | None = None
    try:
        with socket.socket(family, kind, protocol) as sock:
            sock.settimeout(seconds)
            sock.connect((target[0], port, *target[2:]))
    except OSError as caught:
        error = caught
    return _Try(str(target[0]), family, since(began), error)


def _with_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _reason(error: OSError | None) -> str:
    if isinstance(error, TimeoutError):
        return "no reply in time"
    return "" if error is None else (error.strerror or str(error) or type(error).__name__).lower()


def _advice(patient: Patient, failed: Sequence[_Try], port: int, proxy: Proxy | None) -> Sequence[str]:
    if proxy is not None:
        return [
            (
                f"The proxy {proxy} does not answer. Correct {proxy.given_by}, or unset it if this machine "
                "reaches the app without a proxy."
            )
        ]
    if any(isinstance(one.error, ConnectionRefusedError) for one in failed):
        near = _listening_nearby(patient, port)
        advice = [f"No program listens on port {port} there. Start the app, or use the port that it prints."]
        if near:
            ports = ", ".join(map(str, near))
            advice.append(
                f"On this machine a program listens on port {ports}. Check whether that is the app."
            )
        if _is_loopback(failed):
            advice.append(
                f"{patient.host} is the machine or container that runs this command. An app in another "
                f"container has another address."
            )
        else:
            advice.append(
                "If the app runs there, it may listen on 127.0.0.1 only: start it with "
                "launch(server_name='0.0.0.0'), and publish the port of its container."
            )
        return advice
    if any(isinstance(one.error, TimeoutError) for one in failed):
        return [
            (
                "There is no reply, not even a refusal. A firewall or security group drops the packets, the "
                "machine is off, or the address belongs to another network (VPN)."
            ),
        ]
    return ["Check the network of this machine: its connection, routes and VPN."]


def _advice_some(failed: Sequence[_Try]) -> str:
    hosts = ", ".join(one.host for one in failed)
    sixth = all(one.family == socket.AF_INET6 for one in failed)
    kind = "IPv6 does not work to there" if sixth else "One address of the host does not answer"
    return (
        f"{kind} ({hosts}). This library tries the next address after {NEXT_ADDRESS_SECONDS:g} s; other "
        "clients may wait much longer. Correct the DNS records of the host, or let the app listen there too."
    )


def _is_loopback(tries: Sequence[_Try]) -> bool:
    return all(one.host.startswith("127.") or one.host == "::1" for one in tries)


def _listening_nearby(patient: Patient, port: int) -> Sequence[int]:
    """Return those of Gradio's usual ports on which a program of this machine listens."""
    if patient.host not in ("localhost", "127.0.0.1", "::1"):
        return []
    found: list[int] = []
    for near in NEAR_PORTS:
        if near == port:
            continue
        with socket.socket() as sock:
            sock.settimeout(0.2)
            if sock.connect_ex(("127.0.0.1", near)) == 0:
                found.append(near)
    return found
