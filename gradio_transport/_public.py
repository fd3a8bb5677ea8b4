# SPDX-License-Identifier: Apache-2.0
"""The public names, all in one place; the package itself loads this with the first of them that is used."""

from __future__ import annotations

from . import errors, events
from ._connect import connect, connect_async
from .aio import AsyncCall, AsyncRemoteFile, AsyncSession, AsyncTransport
from .config import AppConfig, Endpoint, Parameter
from .diff import UNKNOWN
from .driver import CallOptions
from .errors import (
    AppError,
    AuthenticationRequired,
    ConnectError,
    EndpointNotFound,
    EventTooLarge,
    FileUnavailable,
    FlowViolation,
    GradioTransportError,
    InvalidPayload,
    LocalProtocolError,
    MalformedMessage,
    NegotiationError,
    NotAGradioApp,
    Phase,
    ProtocolError,
    QueueFull,
    QuotaExceeded,
    RateLimited,
    RemoteProtocolError,
    ServerRefused,
    SessionNotFound,
    SlowConsumer,
    SpaceNotFound,
    SpaceNotRunning,
    StreamLost,
    Timeout,
    TransportError,
    UnsupportedProtocol,
    ValidationFailed,
)
from .event_data import (
    CopyData,
    DeletedFileData,
    DownloadData,
    EditData,
    KeyUpData,
    LikeData,
    RetryData,
    SelectData,
    UndoData,
)
from .events import (
    Achieved,
    Cancelled,
    CloseStream,
    Estimation,
    Event,
    Failed,
    Heartbeat,
    Joined,
    Log,
    ProcessCompleted,
    ProcessGenerating,
    ProcessStarts,
    ProcessStreaming,
    Progress,
    ProgressUnit,
    QueueFullMessage,
    Resubmitted,
    SendData,
    SendHash,
    ServerStopped,
    UnexpectedError,
    Unknown,
)
from .files import InputFile, handle_file
from .flow import State
from .forwarding import forward
from .frames import Frame
from .handle import Handle
from .policy import Limits, RetryPolicy, Timeouts
from .sync import Call, RemoteFile, Session, Transport

__all__ = [
    # the two doors, and what is behind them
    "connect", "connect_async",
    "Transport", "Session", "Call", "AsyncTransport", "AsyncSession", "AsyncCall",
    "AppConfig", "Endpoint", "Parameter",
    # files
    "handle_file", "InputFile", "RemoteFile", "AsyncRemoteFile",
    # what happened in the page
    "SelectData", "LikeData", "KeyUpData", "RetryData", "UndoData", "CopyData", "EditData", "DeletedFileData",
    "DownloadData",
    # what a caller may tune
    "CallOptions", "Handle", "Limits", "RetryPolicy", "Timeouts", "forward",
    # what a server says
    "events", "Event", "Joined", "SendHash", "SendData", "Estimation", "QueueFullMessage", "ProcessStarts",
    "Progress", "ProgressUnit", "Log", "ProcessGenerating", "ProcessStreaming", "ProcessCompleted",
    "Heartbeat", "CloseStream", "ServerStopped", "UnexpectedError", "Resubmitted", "Cancelled", "Achieved",
    "Failed", "Unknown", "UNKNOWN", "State", "Frame",
    # what can go wrong
    "errors", "Phase", "GradioTransportError", "TransportError", "ConnectError", "StreamLost", "Timeout",
    "SlowConsumer", "ProtocolError", "LocalProtocolError", "RemoteProtocolError", "MalformedMessage",
    "FlowViolation", "EventTooLarge", "NegotiationError", "UnsupportedProtocol", "NotAGradioApp",
    "SpaceNotFound", "SpaceNotRunning", "ServerRefused", "AuthenticationRequired", "EndpointNotFound",
    "QueueFull", "RateLimited", "ValidationFailed", "SessionNotFound", "InvalidPayload", "FileUnavailable",
    "AppError", "QuotaExceeded",
]  # fmt: skip
