# SPDX-License-Identifier: Apache-2.0
"""The pluggable transport layer for Gradio: one message flow over every wire protocol since 2.x.

`connect` (sync) and `connect_async` (asyncio, trio) return a transport of an app; `Transport.submit` starts
a call that can be iterated for typed events, `Transport.call` returns its outputs.
"""

from __future__ import annotations

from ._connect import connect, connect_async
from .aio import AsyncCall, AsyncSession, AsyncTransport
from .config import AppConfig, Endpoint, Parameter
from .driver import CallOptions
from .errors import *  # noqa: F403 - the whole tree is public
from .events import *  # noqa: F403 - every event is public
from .flow import State
from .frames import Frame
from .policy import Limits, RetryPolicy, Timeouts
from .sync import Call, Session, Transport
