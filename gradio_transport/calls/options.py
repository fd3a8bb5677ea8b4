# SPDX-License-Identifier: Apache-2.0
"""The options of a transport, and of one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs

from ..adapter.registry import Registry, default_registry
from ..engines.settings import HTTPSettings
from ..errors import LocalProtocolError
from ..events import Event
from ..policy import Limits, RetryPolicy, Timeouts
from ..protocol.frames import Tap
from ..protocol.multipart import UploadProgress
from . import setting_checks as checks
from .observing import Observer


def _instance(kind: type, example: str) -> Any:
    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        checks.check_instance(attribute.name, value, kind, example)

    return check


def _is_callable(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    checks.check_callable(attribute.name, value)


def _observes(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not callable(getattr(value, "start", None)):
        raise LocalProtocolError(
            f"{attribute.name}= takes an observer of calls, such as gradio_transport.otel.OpenTelemetry(); "
            f"got {type(value).__name__}."
        )


def _is_seconds(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    checks.check_seconds(attribute.name, value)


@attrs.frozen(kw_only=True)
class Options:
    """The arguments of `connect`, for either API.

    Attributes:
        protocol: ``"auto"``, the name of an adapter, or names in order of preference.
        token: Hugging Face token, for hosts of Hugging Face only.
        token_origin: Another origin that the token may be sent to.
        auth: User and password of the app's own login.
        headers: Extra headers for the app's origin.
        cookies: Cookies for the app's origin; the server may replace them.
        download_files: Directory that files of results are downloaded to; None leaves them on the server.
        foreign_files: Origins besides the app's own that files may be fetched from; True for any that
            has a public address.
        trust_redirects: Whether to follow redirects of the app to other origins with the credentials.
        skip_components: Whether arguments and outputs omit State and layout components.
        tap: Called with every `Frame`.
        observer: Watches the calls; see `Observer`.
        strict: Treat deviations, such as messages out of order, as errors, as the conformance suite does.
        settings: Further settings of the adapter that `protocol` names; see `Adapter.discover`.
    """

    protocol: str | Sequence[str] = attrs.field(default="auto", converter=checks.to_protocol)
    token: str | None = attrs.field(default=None, repr=False, converter=checks.to_token)
    token_origin: str | None = attrs.field(default=None, converter=checks.to_token_origin)
    auth: tuple[str, str] | None = attrs.field(default=None, repr=False, converter=checks.to_auth)
    headers: Mapping[str, str] = attrs.field(default=None, repr=False, converter=checks.to_headers)
    cookies: Mapping[str, str] = attrs.field(default=None, repr=False, converter=checks.to_cookies)
    download_files: Path | None = attrs.field(default=None, converter=checks.to_directory)
    foreign_files: bool | frozenset[str] = attrs.field(default=False, converter=checks.to_origins)
    trust_redirects: bool = attrs.field(default=False, validator=_instance(bool, "True or False"))
    skip_components: bool = attrs.field(default=True, validator=_instance(bool, "True or False"))
    timeouts: Timeouts = attrs.field(default=None, converter=checks.to_timeouts)
    limits: Limits = attrs.field(factory=Limits, validator=_instance(Limits, "gradio_transport.Limits(...)"))
    retry: RetryPolicy = attrs.field(
        factory=RetryPolicy.none, validator=_instance(RetryPolicy, "gradio_transport.RetryPolicy(...)")
    )
    http: HTTPSettings = attrs.field(factory=HTTPSettings)
    tap: Tap | None = attrs.field(default=None, validator=_is_callable)
    observer: Observer | None = attrs.field(default=None, validator=_observes)
    registry: Registry = default_registry
    strict: bool = False
    settings: Mapping[str, Any] = attrs.field(factory=dict[str, Any], repr=False)


def _one_of(*allowed: str) -> Any:
    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value not in allowed:
            raise LocalProtocolError(f"{attribute.name} is one of {', '.join(allowed)}; got {value!r}.")

    return check


@attrs.frozen(kw_only=True)
class CallOptions:
    """The options of one call, including data that a browser would send.

    Attributes:
        event_data: Data of the page event (3.21+), such as ``SelectData(index=0, value="a")``, or a dict.
        trigger_id: Component id that triggered the event (4.3+).
        timeouts: Deadlines of this call: `Timeouts`, or a number of seconds that bounds the whole call.
        protocol: Adapter of this call.
        headers: Headers of this call's own requests, to the app's origin only; they override all others.
        oauth_token: Hugging Face token for a function that asks for its caller's token (6.21+).
        own_session: Give the call its own session. Cancelling it then cannot touch other calls of the same
            endpoint (docs/wire.md §8), but it does not see the session's gr.State.
        download_files: Directory that the result's files are downloaded to.
        upload_progress: Called with the bytes sent and the total bytes while the call's files are uploaded.
        attach: ``"late"`` joins without opening a stream (4.9+, /call). The server keeps the messages until
            you iterate over the call, ask for its result, or call `fetch`. Use it for functions that run
            longer than a proxy keeps streams open, and for `handle`. Combine it with ``own_session=True``,
            because an open stream of other calls of the session carries this call's messages too.
        fetch_after: With ``attach="late"``, seconds after the submission at which the stream is opened, even
            if you ask earlier or not at all. None opens it on demand, or after the endpoint's average run
            time if an earlier call reported it.
        repeatable: Whether the function may run twice. If so, a call whose stream is lost is submitted again,
            within the transport's `RetryPolicy`.
        listener: Called with each event as soon as it is known, by the reader of the stream and under its
            locks. It may only record the event and wake a waiter. For APIs built on top of a call.
    """

    event_data: Any = None
    trigger_id: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(_instance(int, "the id of a component"))
    )
    timeouts: Timeouts | None = attrs.field(default=None, converter=checks.to_optional_timeouts)
    protocol: str | Sequence[str] | None = attrs.field(default=None, converter=checks.to_optional_protocol)
    headers: Mapping[str, str] | None = attrs.field(
        default=None, repr=False, converter=checks.to_optional_headers
    )
    oauth_token: str | None = attrs.field(default=None, repr=False, converter=checks.to_oauth_token)
    own_session: bool = attrs.field(default=False, validator=_instance(bool, "True or False"))
    download_files: Path | None = attrs.field(default=None, converter=checks.to_directory)
    upload_progress: UploadProgress | None = attrs.field(default=None, validator=_is_callable)
    attach: Literal["now", "late"] = attrs.field(default="now", validator=_one_of("now", "late"))
    fetch_after: float | None = attrs.field(default=None, validator=_is_seconds)
    repeatable: bool = attrs.field(default=False, validator=_instance(bool, "True or False"))
    listener: Callable[[Event], object] | None = attrs.field(default=None, repr=False, validator=_is_callable)
