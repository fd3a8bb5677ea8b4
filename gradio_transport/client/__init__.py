# SPDX-License-Identifier: Apache-2.0
"""The familiar client: what the docs of the Gradio Python client describe, over every wire protocol.

::

    from gradio_transport.client import Client, handle_file

    client = Client("owner/space")
    client.predict("Hello", api_name="/predict")

Written afresh from the public docs; docs/migration.md says what differs, and why.
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
