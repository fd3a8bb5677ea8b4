# SPDX-License-Identifier: Apache-2.0
"""The interface for adapter authors: import everything that a protocol adapter needs from here.

Adapters import no other module of the core (see docs/adapters.md). `gradio_transport.adapter.registry` finds
the installed ones; adapters themselves do not use it.
"""

from __future__ import annotations

from ..app.config import AppConfig, Component, Endpoint, Parameter
from ..app.config_parsing import parse_release
from ..app.handshake import Discovery, Handshake
from ..errors import (
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
    TimeoutExpired,
    TransportError,
    UnsupportedProtocol,
    ValidationFailed,
    did_you_mean,
    excerpt,
    list_texts,
)
from ..events import (
    UNKNOWN_OUTPUT,
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
    UnknownMessage,
    UnknownOutput,
)
from ..policy import MAX_JSON_DEPTH, Limits, Timeouts
from ..protocol.commands import (
    Closed,
    Command,
    DropStream,
    DropWebSocket,
    Ending,
    OpenStream,
    OpenWebSocket,
    Request,
    Response,
    SendRequest,
    SendText,
    WakeAt,
)
from ..protocol.diff import CopiedList, DiffDecoder
from ..protocol.flow import State
from ..protocol.json import decode_json, encode_json
from ..protocol.messages import decode, decode_generating, decode_output, event_id_of
from ..protocol.refusals import app_error, refusal
from ..protocol.sse import ServerSentEvent, SSEDecoder
from ..protocol.urls import AppURLs, percent_encode
from .contract import API_VERSION, Adapter, Capabilities, DiscoveryContext, Match
from .exchange import Exchange, Invocation, Output, SessionContext, stream_ended_error
from .session import Delivery, Session, Turn
from .shared_session import SharedStreamSession

__all__ = [
    # the contract
    "API_VERSION", "Adapter", "Capabilities", "Match", "Discovery", "DiscoveryContext", "Handshake",
    "Session", "SharedStreamSession", "SessionContext", "Delivery", "Turn",
    "Exchange", "Invocation", "Output", "stream_ended_error",
    # the app, as its config describes it
    "AppConfig", "AppURLs", "Component", "Endpoint", "Parameter", "Limits", "Timeouts", "parse_release",
    # commands to the driver, and the replies it feeds back
    "Command", "SendRequest", "OpenStream", "DropStream", "OpenWebSocket", "SendText", "DropWebSocket",
    "WakeAt", "Request", "Response", "Closed", "Ending",
    # encoding and decoding
    "CopiedList", "DiffDecoder", "MAX_JSON_DEPTH", "SSEDecoder", "ServerSentEvent", "State", "app_error",
    "decode", "decode_generating", "decode_json", "decode_output", "did_you_mean", "encode_json",
    "event_id_of", "excerpt", "list_texts", "percent_encode", "refusal",
    # events
    "Achieved", "Cancelled", "CloseStream", "Estimation", "Event", "Failed", "Heartbeat", "Joined",
    "Log", "ProcessCompleted", "ProcessGenerating", "ProcessStarts", "ProcessStreaming", "Progress",
    "ProgressUnit", "QueueFullMessage", "Resubmitted", "SendData", "SendHash", "ServerStopped",
    "UnexpectedError", "UnknownMessage", "UnknownOutput", "UNKNOWN_OUTPUT",
    # errors
    "AppError", "AuthenticationRequired", "ConnectError", "EndpointNotFound", "EventTooLarge",
    "FileUnavailable", "FlowViolation", "GradioTransportError", "InvalidPayload", "LocalProtocolError",
    "MalformedMessage", "NegotiationError", "NotAGradioApp", "Phase", "ProtocolError", "QueueFull",
    "QuotaExceeded", "RateLimited", "RemoteProtocolError", "ServerRefused", "SessionNotFound",
    "SlowConsumer", "SpaceNotFound", "SpaceNotRunning", "StreamLost", "TimeoutExpired", "TransportError",
    "UnsupportedProtocol", "ValidationFailed",
]  # fmt: skip
