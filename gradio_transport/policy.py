# SPDX-License-Identifier: Apache-2.0
"""The settings of a connection: deadlines, bounds, retries. Frozen data; nothing here reads a clock."""

from __future__ import annotations

from typing import Any, Literal, Self

import attrs

from .errors import LocalProtocolError

MAX_JSON_DEPTH = 500
"""Levels of JSON nesting that are read, unless ``Limits(max_json_depth=)`` is lower.

Not higher: Python's own limit differs by version and platform. In 3.11 it is 1000 including the frames of the
caller, so whether deeper JSON can be read would depend on the depth of the caller's stack.
"""


MEBIBYTE = 1024 * 1024


MailboxPolicy = Literal["conflate", "fail"]


def _positive(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Reject a value that is not a positive number. Sizes and counts must be whole."""
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
            f"{attribute.name} is at most {MAX_JSON_DEPTH}, because the version of Python and the depth of "
            f"the call stack limit deeper JSON; got {value!r}."
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
        upload: Silence while a file is sent; then for the head of the reply, and for its body. Also for each
            request for a URL that you pass as a file, if the server does not fetch it itself.
        join: For the reply to a join. Validators (5.45+) and caches (6.12+) run inside it.
        first_message: From the join to the first message of the stream. Servers send an estimation at once.
        idle: Silence on an open stream. Heartbeats count; servers of 4.4+ send one every 15 s.
        no_heartbeat: Silence where the server sends no heartbeats: older servers, direct HTTP and chat
            endpoints. Such a silence only means that the function still runs. If `idle` is longer, `idle`
            applies; if `idle` is None, there is no bound.
        total: For a whole call, from submit to completion, including uploads, logins and the join. Without it
            a function may run forever, unless its server goes silent.
        download_stall: Silence while a file is received.
        cancel_on_expiry: Whether the server is asked to cancel a call whose `total` or `first_message` has
            expired, if its version supports that. The library does not wait for the reply.
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
        """Return deadlines that bound each phase and each whole call to a number of seconds.

        ``connect(..., timeouts=5)`` uses it. A phase whose default is shorter keeps it.

        Raises:
            LocalProtocolError: The number is 0 or less.
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
        max_parked_messages: Messages for a call that arrive before the reply to its join; together they may
            take `max_event_bytes`.
        mailbox_bytes: High-water mark of a call's mailbox, in bytes of memory that the unread events take. A
            progress message takes about 1,500. Above the mark, generating frames are merged, and so are
            consecutive progress messages. Four times as many bytes of other events end the call with
            `SlowConsumer`.
        mailbox_policy: ``"conflate"`` merges; ``"fail"`` ends that call with `SlowConsumer`.
        max_json_depth: Levels of nesting in a message, or in a reply to a call. Deeper JSON raises
            `MalformedMessage`. At most 500, which every version of Python can read at any depth of the call
            stack.
        max_redirects: Redirects followed for one request.
        connections: Open connections of one transport.
        workers: Threads of the sync API for calls whose protocol needs a connection of its own (websocket,
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
    """When and how often a request is retried.

    Only requests that are safe to repeat are retried: GETs of the discovery and of files (resumed where they
    broke off, if the server supports ranges), polls, and a join (or the opening of a stream or socket) that
    was certainly not accepted: 429, 503 for a full queue, connection refused, or not connected in time. A
    call whose stream was lost is submitted again only if you declared it ``CallOptions(repeatable=True)``.

    Attributes:
        attempts: The most attempts, including the first.
        base: First delay in seconds, before jitter.
        cap: Longest delay in seconds; also the longest ``Retry-After`` that the library obeys.
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
