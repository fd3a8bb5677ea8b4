# SPDX-License-Identifier: Apache-2.0
"""What a caller may tune: deadlines, bounds, retries. Frozen data, no behaviour that needs a clock."""

from __future__ import annotations

from typing import Any, Literal, Self

import attrs

from .errors import LocalProtocolError

MAX_JSON_DEPTH = 500
"""Levels of nesting taken, unless ``Limits(max_json_depth=)`` says less.

Not more: Python's own limit differs by version and platform, and in 3.11 is 1000 with the caller's frames, so
what is deeper would be read or not depending on where the caller stands.
"""


MEBIBYTE = 1024 * 1024


MailboxPolicy = Literal["conflate", "fail"]


def _positive(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Refuse what is no number of seconds, or of bytes and the like: those are whole."""
    optional, whole = attribute.metadata["optional"], attribute.metadata["whole"]
    if value is None and optional:
        return
    numbers = int if whole else int | float
    if isinstance(value, bool) or not isinstance(value, numbers) or not value > 0:
        rest = f"{' and whole' if whole else ''}{', or None for no bound' if optional else ''}"
        raise LocalProtocolError(f"{attribute.name} must be greater than 0{rest}; got {value!r}.")


def _one_of(*allowed: object) -> Any:
    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value not in allowed or type(value) is not type(allowed[0]):
            raise LocalProtocolError(
                f"{attribute.name} is one of {', '.join(map(repr, allowed))}; got {value!r}."
            )

    return check


def _readable(_: object, attribute: attrs.Attribute[Any], value: int) -> None:
    if value > MAX_JSON_DEPTH:
        raise LocalProtocolError(
            f"{attribute.name} is at most {MAX_JSON_DEPTH}, because deeper JSON is read or not depending on "
            f"the version of Python and where the caller stands; got {value!r}."
        )


def _seconds(default: float | None, *, optional: bool = True) -> Any:
    return attrs.field(default=default, validator=_positive, metadata={"optional": optional, "whole": False})


def _bound(default: int | None, *more: Any) -> Any:
    metadata = {"optional": default is None, "whole": True}
    return attrs.field(default=default, validator=[_positive, *more], metadata=metadata)


@attrs.frozen(kw_only=True)
class Timeouts:
    """Deadlines in seconds; None means no bound.

    Attributes:
        connect: To open a connection (DNS, TCP, TLS).
        space: To wait for a Space that sleeps or is being built; see `gradio_transport.spaces.wait`.
        discover: For each request of the discovery (config, info).
        login: For the login request.
        upload: Silence while a file is sent; then for the head of the reply, and for its body. And for each
            request for a URL that is passed on, where the server does not fetch it.
        join: For the reply to a join. Validators (5.45+) and caches (6.12+) run inside it.
        first_message: From the join to the first message of the stream. Servers send an estimation at once.
        idle: Silence on an open stream. Heartbeats count; servers of 4.4+ send one every 15 s.
        no_heartbeat: Silence where no heartbeats come: of older servers, direct HTTP and chat endpoints. It
            says only that the function still runs. If `idle` is longer, that counts; if it is None, nothing.
        total: For a whole call, from submit to completion: uploads, logins on the way and the join included.
            Without it a function may run for ever, as long as its server is not silent.
        download_stall: Silence while a file is received.
        cancel_on_expiry: Whether the server is asked to cancel a call whose `total` or `first_message` has
            expired, as far as its generation has a way to. Nobody waits for the answer.
    """

    connect: float | None = _seconds(10.0)
    space: float | None = _seconds(300.0)
    discover: float | None = _seconds(30.0)
    login: float | None = _seconds(30.0)
    upload: float | None = _seconds(60.0)
    join: float | None = _seconds(60.0)
    first_message: float | None = _seconds(60.0)
    idle: float | None = _seconds(60.0)
    no_heartbeat: float | None = _seconds(3600.0)
    total: float | None = _seconds(None)
    download_stall: float | None = _seconds(60.0)
    cancel_on_expiry: bool = attrs.field(default=True, validator=_one_of(True, False))

    @classmethod
    def at_most(cls, seconds: float) -> Self:
        """Return deadlines under which no phase, and no whole call, takes longer than so many seconds.

        ``connect(..., timeouts=5)`` means this. The default of a phase stays where it is shorter.

        Raises:
            LocalProtocolError: The number is not greater than 0.
        """
        defaults = attrs.asdict(cls(total=seconds))
        return cls(
            **{
                name: value if isinstance(value, bool) else min(value, seconds)
                for name, value in defaults.items()
            }
        )

    @property
    def without_heartbeat(self) -> float | None:
        """The bound on silence where the server sends no heartbeats; see `no_heartbeat`."""
        if self.idle is None or self.no_heartbeat is None:
            return None
        return max(self.idle, self.no_heartbeat)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some deadlines changed."""
        return attrs.evolve(self, **changes)


@attrs.frozen(kw_only=True)
class Limits:
    """Bounds against a hostile or broken server. Sizes are bytes.

    Some bounds cannot be set: `MAX_PATH_DEPTH` steps of an edit's path (the output is then `UNKNOWN_OUTPUT`
    until the server sends it whole), `MAX_COOKIES` cookies of `MAX_COOKIE_BYTES` each (others are dropped, as
    browsers do, and logged).

    Attributes:
        max_event_bytes: One event of a stream, or one websocket message.
        max_config_bytes: A reply of the discovery.
        max_response_bytes: Any other whole reply (join, direct call).
        max_download_bytes: One downloaded file.
        max_parked_messages: Messages that name a call before the join's reply has named it; together they
            may have `max_event_bytes`.
        mailbox_bytes: High-water mark of a call's mailbox, in bytes of memory that the waiting events take:
            some 1,500 for a progress message, for one. Above it generating frames are merged, as are progress
            messages that follow each other, and four times as many bytes of other events end the call with
            `SlowConsumer`.
        mailbox_policy: ``"conflate"`` merges; ``"fail"`` ends that call with `SlowConsumer`.
        max_json_depth: Levels of nesting in a message, or in a reply to a call. What is deeper is
            `MalformedMessage`. At most 500, which every Python can read wherever the caller stands.
        max_redirects: Redirects followed for one request.
        connections: Open connections of one transport.
        workers: Threads of the sync face for calls whose protocol has a channel of its own (websocket,
            sse v0, /call, direct, polling).
    """

    max_event_bytes: int = _bound(256 * MEBIBYTE)
    max_config_bytes: int = _bound(64 * MEBIBYTE)
    max_response_bytes: int = _bound(1024 * MEBIBYTE)
    max_download_bytes: int | None = _bound(None)
    max_parked_messages: int = _bound(10_000)
    mailbox_bytes: int = _bound(16 * MEBIBYTE)
    mailbox_policy: MailboxPolicy = attrs.field(default="conflate", validator=_one_of("conflate", "fail"))
    max_json_depth: int = _bound(MAX_JSON_DEPTH, _readable)
    max_redirects: int = _bound(10)
    connections: int = _bound(1100)
    workers: int = _bound(64)


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """When and how often a request may be made again.

    Only requests that are safe by themselves are ever repeated: GETs of the discovery and of files (from
    where they broke off, if the server takes ranges), polls, and a join (or the opening of a stream or
    socket) whose reply, or lack of a connection, proves that it was not accepted: 429, 503 for a full queue,
    refused or not connected in time. A call whose stream was lost is submitted again only if it was declared
    ``CallOptions(repeatable=True)``.

    Attributes:
        attempts: How often at most, the first try included.
        base: First delay in seconds, before jitter.
        cap: Longest delay in seconds; also the longest ``Retry-After`` that is honoured.
        budget: Seconds that all delays of one request may take together, and those between the submissions of
            one repeatable call.
    """

    attempts: int = _bound(1)
    base: float = _seconds(0.5, optional=False)
    cap: float = _seconds(30.0, optional=False)
    budget: float = _seconds(120.0, optional=False)

    @classmethod
    def none(cls) -> RetryPolicy:
        """Return the default: no retries beyond one quick repeat of a safe GET."""
        return cls()
