# SPDX-License-Identifier: Apache-2.0
"""A client with the API of the Gradio Python client's docs, over every wire protocol.

::

    from gradio_transport.client import Client, handle_file

    client = Client("owner/space")
    client.predict("Hello", api_name="/predict")

A clean-room implementation of the public docs; docs/migration.md lists the differences and their reasons.
"""

from __future__ import annotations

from .aio import AsyncClient, AsyncJob
from .client import Client
from .data_classes import FileData
from .errors import (
    AppError,
    ArgumentError,
    AuthenticationError,
    ConfigError,
    EndpointError,
    FileError,
    JobTimeout,
    NotAGradioAppError,
    QueueError,
    QuotaExceeded,
    SpaceNotFoundError,
    SpaceNotRunningError,
    TooManyRequestsError,
    ValidationError,
)
from .files import OutputFile, file, handle_file
from .importing import Installation, install
from .job import Job
from .updates import ProgressUnit, Status, StatusUpdate
from .utils import __version__

__all__ = [
    "Client", "Job", "AsyncClient", "AsyncJob", "handle_file", "file", "Status", "StatusUpdate",
    "ProgressUnit", "AppError", "ArgumentError", "AuthenticationError", "ConfigError", "EndpointError",
    "FileError", "JobTimeout", "NotAGradioAppError", "QueueError", "QuotaExceeded", "SpaceNotFoundError",
    "SpaceNotRunningError", "TooManyRequestsError", "ValidationError", "FileData", "OutputFile", "install",
    "Installation", "__version__",
]  # fmt: skip
