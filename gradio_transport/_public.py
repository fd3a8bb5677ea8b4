# SPDX-License-Identifier: Apache-2.0
"""The public names. The package imports this module when you first use one of them."""

from __future__ import annotations

from . import errors, events
from ._connect import connect, connect_async
from .aio import AsyncCall, AsyncRemoteFile, AsyncSession, AsyncTransport
from .app.config import AppConfig, Endpoint, Parameter
from .calls import page_events
from .calls.forwarding import forward
from .calls.handle import Handle
from .calls.options import CallOptions
from .errors import (
    AppError,
    AuthenticationRequired,
    ConnectError,
    EndpointNotFound,
    GradioTransportError,
    ServerRefused,
    StreamLost,
    TimeoutExpired,
    TransportError,
    ValidationFailed,
)
from .events import Cancelled, Event, Log, ProcessCompleted, ProcessGenerating, Progress
from .files.inputs import handle_file
from .policy import Limits, RetryPolicy, Timeouts
from .protocol.flow import State
from .sync import Call, RemoteFile, Session, Transport

__all__ = [
    # connecting, and the objects you get
    "connect", "connect_async",
    "Transport", "Session", "Call", "RemoteFile",
    "AsyncTransport", "AsyncSession", "AsyncCall", "AsyncRemoteFile",
    "AppConfig", "Endpoint", "Parameter",
    # arguments and settings of a call
    "CallOptions", "Handle", "forward", "handle_file", "page_events",
    # settings of a connection
    "Limits", "RetryPolicy", "Timeouts",
    # the message flow; every other event is in `events`
    "events", "Event", "State", "Progress", "Log", "ProcessGenerating", "ProcessCompleted", "Cancelled",
    # the common errors; the whole tree is in `errors`
    "errors", "GradioTransportError", "TransportError", "ConnectError", "StreamLost", "TimeoutExpired",
    "ServerRefused", "AuthenticationRequired", "EndpointNotFound", "ValidationFailed", "AppError",
]  # fmt: skip
