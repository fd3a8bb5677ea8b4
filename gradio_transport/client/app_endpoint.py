# SPDX-License-Identifier: Apache-2.0
"""`Endpoint`: an endpoint of ``client.endpoints``, with the names of the Gradio Python client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

from ..app.config import Endpoint as AppEndpoint
from ..app.config import Visibility
from .communicator import Communicator
from .files import deliver, take_uploads
from .settings import upload_directory


class EndpointOwner(Protocol):
    """The part of a client that an endpoint uses."""

    @property
    def src(self) -> str:
        """The URL of the app, with a trailing slash."""
        ...

    @property
    def protocol(self) -> str:
        """The protocol of the app's config."""
        ...

    def view_api(
        self,
        all_endpoints: bool | None = None,
        print_info: bool = True,
        return_format: Literal["dict", "str"] | None = None,
    ) -> dict[str, Any] | str | None:
        """Return the app's endpoints."""
        ...


class Endpoint:
    """One function of the app.

    Attributes:
        client: The client of the endpoint.
        fn_index: Its number.
        api_name: ``"/predict"``; None without a name, False if it is private.
        api_visibility: ``"public"``, ``"undocumented"`` or ``"private"``.
        is_valid: Whether it can be called.
        backend_fn: Whether it runs a function of the server.
        dependency: Its entry in the app's config.
    """

    def __init__(self, client: EndpointOwner, described: AppEndpoint, submit: Callable[..., Any]) -> None:
        self.client = client
        self.fn_index = described.fn_index
        self.api_visibility: Visibility = described.visibility
        self.is_valid = described.visibility != "private"
        self.api_name: str | Literal[False] | None = described.name
        if described.raw.get("api_name") is False:
            self.api_name = False
        self.backend_fn = described.backend_fn
        self.dependency: dict[str, Any] = deliver(dict(described.raw))
        self._described = described
        self._submit = submit

    @property
    def protocol(self) -> str:
        """As `Client.protocol`."""
        return self.client.protocol

    @property
    def root_url(self) -> str:
        """As `Client.src`."""
        return self.client.src

    @property
    def parameters_info(self) -> list[dict[str, Any]] | None:
        """The parameters as in `Client.view_api`; None if the endpoint has no name or is not documented."""
        told: Any = self.client.view_api(return_format="dict")
        described = told["named_endpoints"].get(self.api_name)
        return None if described is None else described["parameters"]

    def make_end_to_end_fn(self, helper: Communicator | None = None) -> Callable[..., Any]:
        """Return a function that calls the endpoint with values by position, and returns its output.

        The function also takes ``event_data=``, for an endpoint that reads the data of page events. Other
        keywords, such as ``api_name=``, have no effect. With an `AsyncClient` it returns an awaitable.

        ``gr.load`` makes it a function of a Gradio server in this process, so its values come from browsers.
        The path of a dict that is marked as a file is read only within the directory where that server stores
        uploads: ``$GRADIO_TEMP_DIR``, or else ``gradio`` in the temporary directory if you own it.
        `handle_file` may name any path.

        Args:
            helper: From `Client.new_helper`; it shows the state of the latest call. Optional.
        """
        shown = Communicator() if helper is None else helper

        def call(*arguments: Any, event_data: Any = None, **_: Any) -> Any:
            directory = upload_directory()
            values = [take_uploads(value, directory) for value in arguments]
            job = self._submit(
                self._described, values, {}, headers=shown.request_headers, event_data=event_data
            )
            shown.owner = job
            return job.result()

        return call

    def __repr__(self) -> str:
        return f"<Endpoint {self._described.display_name} of {self.root_url}>"


__all__ = ["Endpoint", "EndpointOwner"]
