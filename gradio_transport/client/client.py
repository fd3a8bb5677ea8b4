# SPDX-License-Identifier: Apache-2.0
"""`Client`: the client of the Gradio Python client's docs, for apps of any version."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextvars import Context, copy_context
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, cast

from .. import spaces
from .._connect import connect
from ..app.config import Endpoint as AppEndpoint
from ..calls.options import CallOptions
from ..errors import GradioTransportError
from ..policy import Timeouts
from ..protocol.frames import Tap
from ..sync import Session, Transport
from . import view_api
from .app_endpoint import Endpoint
from .attributes import AppAttributes
from .endpoints import BoundArguments, bind_arguments, check_arguments, choose_endpoint
from .errors import AppError, AuthenticationError, QueueError, ValidationError, translate_errors
from .files import OutputFiles, deliver, take_files
from .job import Job
from .pool import Pool
from .settings import Settings, Token, default_directory, make_settings
from .updates import Callbacks, Status, StatusUpdate, output_callbacks

logger = logging.getLogger(__name__)

DEFAULT_TEMP_DIR = str(default_directory())
"""The directory for files of outputs by default, unless ``$GRADIO_TEMP_DIR`` has changed since."""

DUPLICATE_SECONDS = 1800.0
"""Seconds that `Client.duplicate` waits for the copy to run: building a Space with a GPU takes long."""


class APIDescription(AppAttributes):
    """The description of an app, which both clients have without a request."""

    def view_api(
        self,
        all_endpoints: bool | None = None,
        print_info: bool = True,
        return_format: Literal["dict", "str"] | None = None,
    ) -> dict[str, Any] | str | None:
        """Print or return the app's endpoints.

        Args:
            all_endpoints: Whether to list unnamed endpoints too; None lists them only if there are no named
                ones. A dict always has them.
            print_info: Whether to print the text, if `return_format` is None. Nothing else in the library
                prints.
            return_format: ``"str"`` to return the text, ``"dict"`` for a dict of ``named_endpoints`` and
                ``unnamed_endpoints``, each with ``parameters`` and ``returns``.
        """
        if return_format == "dict":
            return cast("dict[str, Any]", deliver(view_api.as_dict(self.app_config)))
        text = view_api.as_text(self.app_config, self.url, all_endpoints)
        if return_format == "str":
            return text
        if print_info:
            print(text)  # noqa: T201 - it is what the caller asks for
        return None

    def _take(
        self, arguments: Sequence[Any], keywords: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments of a call with the marked files."""
        app, config = self.url, self.app_config
        named = {name: take_files(value, app, config) for name, value in keywords.items()}
        return [take_files(value, app, config) for value in arguments], named

    def _log_connection(self, verbose: bool) -> None:
        config = self.app_config
        logger.log(
            logging.INFO if verbose else logging.DEBUG,
            "connected to %s (Gradio %s)",
            self.url,
            # Only numbers are logged: the text is the server's, and may quote what the client sent.
            ".".join(map(str, config.release)) if config.version else "of an unknown version",
        )


class Client(APIDescription):
    """A connection to a Gradio app.

    Close it, or use it as a context manager; calls in progress then fail.
    """

    def __init__(
        self,
        src: str,
        token: Token = None,
        max_workers: int = 40,
        verbose: bool = True,
        auth: tuple[str, str] | None = None,
        httpx_kwargs: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        download_files: str | Path | bool | None = None,
        ssl_verify: bool = True,
        analytics_enabled: bool = True,
        hf_token: Token = None,
        output_dir: str | Path | None = None,
        protocol: str = "auto",
        token_origin: str | None = None,
        foreign_files: bool | Iterable[str] = False,
        trust_redirects: bool = False,
        timeouts: Timeouts | None = None,
        tap: Tap | None = None,
        oauth_token: str | None = None,
        _skip_components: bool = True,
    ) -> None:
        """Connect.

        Args:
            src: The app's URL, or the name of a Space, ``"owner/name"``. A sleeping Space is woken, and the
                client waits for it.
            token: Hugging Face token; True for the saved one, False for none. By default the saved one is
                used only for a private Space. It is withheld, with a warning, from a host that is neither
                Hugging Face's nor `token_origin`.
            max_workers: The most concurrent requests to start calls or fetch files. On servers before 4.9,
                where each call has its own connection, the most concurrent calls.
            verbose: Whether connecting is logged at INFO instead of DEBUG. Nothing is printed.
            auth: User and password of the app's own login.
            httpx_kwargs: ``timeout`` (seconds or `httpx.Timeout`), ``proxy`` (a URL or `httpx.Proxy`),
                ``verify``, ``cert``, ``trust_env``, ``limits``, ``headers``, ``cookies``, ``auth`` (user and
                password of HTTP basic authentication). ``follow_redirects`` has no effect: redirects are
                followed.
            headers: Extra headers for the app's own origin.
            download_files: Directory for the files of outputs; False leaves them on the server, and returns
                an `OutputFile` for each. By default, and with True, it is ``$GRADIO_TEMP_DIR``, or else a
                temporary directory that only you can use.
            ssl_verify: Whether TLS certificates are verified.
            analytics_enabled: No effect: the library has no telemetry.
            hf_token: The older name of `token`.
            output_dir: The older name of `download_files` for a directory.
            protocol: As for `gradio_transport.connect`; so are the following.
            token_origin: Another origin that the token may be sent to.
            foreign_files: Other origins that files may be fetched from, or True for any public one.
            trust_redirects: Whether to follow redirects of the app to other origins with your credentials.
            timeouts: Deadlines in seconds.
            tap: Called with every frame of the wire.
            oauth_token: Hugging Face token with which the app's code acts on your behalf. It is sent only to
                the endpoints that ask for one (6.21+).
            _skip_components: As ``skip_components=`` of `gradio_transport.connect`.

        Raises:
            AuthenticationError: The app requires a login, or refused it.
            GradioTransportError: As for `gradio_transport.connect`.
        """
        self._settings = make_settings(
            src, token=token, hf_token=hf_token, max_workers=max_workers, auth=auth, headers=headers,
            httpx_kwargs=httpx_kwargs, download_files=download_files, output_dir=output_dir,
            ssl_verify=ssl_verify, protocol=protocol, token_origin=token_origin, foreign_files=foreign_files,
            trust_redirects=trust_redirects, timeouts=timeouts, tap=tap,
            oauth_token=oauth_token, skip_components=_skip_components,
        )  # fmt: skip
        with translate_errors():
            self._transport = _connect(self._settings)
        self._session: Session = self._transport.session()
        self._pool = Pool(max_workers)
        self._files = OutputFiles(self._settings.directory)
        self._log_connection(verbose)

    @classmethod
    def duplicate(
        cls,
        from_id: str,
        to_id: str | None = None,
        token: Token = None,
        private: bool = True,
        hardware: str | None = None,
        secrets: Mapping[str, str] | None = None,
        sleep_timeout: int = 5,
        max_workers: int = 40,
        verbose: bool = True,
        *,
        hf_token: Token = None,
    ) -> Self:
        """Duplicate a Space into your account, or use the existing copy, and connect to it.

        Args:
            from_id: The Space, ``"owner/name"``.
            to_id: Name of the copy; by default that of the original, in the account of the token.
            token: Token of the account, with write permission; by default the saved one.
            private: Whether only the account can see the copy.
            hardware: Such as ``"t4-small"``, which costs money; None for the free hardware.
            secrets: Environment of the copy.
            sleep_timeout: Idle minutes after which paid hardware sleeps.
            max_workers: As for the client.
            verbose: As for the client.
            hf_token: The older name of `token`.

        Raises:
            AuthenticationError: There is no token, or it lacks the permission.
            GradioTransportError: As for `gradio_transport.spaces.duplicate`.
        """
        name, used = duplicate_space(
            from_id,
            to_id,
            token=token if token is not None else hf_token,
            private=private,
            hardware=hardware,
            secrets=secrets,
            sleep_timeout=sleep_timeout,
        )
        return cls(name, used, max_workers, verbose)

    def _connected(self) -> tuple[Transport, Session]:
        return self._transport, self._session

    def _use(self, session: Session) -> None:
        self._session = session

    def predict(
        self,
        *args: Any,
        api_name: str | None = None,
        fn_index: int | None = None,
        headers: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Call an endpoint, and return its output: the value, or a tuple of several.

        Args:
            *args: Values of its parameters, in order. Pass files with `handle_file`.
            api_name: The endpoint, such as ``"/predict"``. Optional if the app has only one.
            fn_index: Its number instead. If you give both, `api_name` counts.
            headers: Headers of this call's requests, over those of the client.
            **kwargs: Values of its parameters by name. Parameters with a default are optional.

        Raises:
            EndpointError: There is no such endpoint, or you named none and there are several (a
                `ValueError`).
            ArgumentError: The arguments do not fit (a `ValueError` and `TypeError`).
            ValidationError: A value was refused (a `ValueError`).
            AppError: The app's function raised (a `ValueError`).
            GradioTransportError: The call failed.
        """
        with translate_errors():
            config = self.app_config
            bound = bind_arguments(choose_endpoint(config, api_name, fn_index), *self._take(args, kwargs))
            check_arguments(config, bound)
            options = self._settings.call_options(bound.endpoint, headers)
            called = self._session.call(bound.endpoint.fn_index, *bound.values, options=options)
            return self._files.save(called, True)[0]

    def submit(
        self,
        *args: Any,
        api_name: str | None = None,
        fn_index: int | None = None,
        headers: Mapping[str, str] | None = None,
        result_callbacks: Callbacks | None = None,
        **kwargs: Any,
    ) -> Job:
        """Start a call, and return a `Job` at once.

        Args:
            *args: As for `predict`; so are the following.
            api_name: The endpoint.
            fn_index: Its number.
            headers: Headers of this call's requests.
            result_callbacks: Called in order with the outputs as separate arguments, if the job succeeds, in
                a thread of this client. They must not wait for another job of it.
            **kwargs: Values by name.

        Raises:
            EndpointError: As for `predict`.
            ArgumentError: As for `predict`. For a rejected value the job raises instead.
        """
        with translate_errors():
            endpoint = choose_endpoint(self.app_config, api_name, fn_index)
        return self._submit(endpoint, args, kwargs, headers=headers, callbacks=result_callbacks)

    def _submit(
        self,
        endpoint: AppEndpoint,
        arguments: Sequence[Any],
        keywords: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None,
        callbacks: Callbacks | None = None,
        event_data: Any = None,
    ) -> Job:
        bound = bind_arguments(endpoint, *self._take(arguments, keywords))
        job = Job(self._pool, self._files, endpoint)
        options = self._settings.call_options(
            endpoint, headers, event_data=event_data, listener=job._add_event
        )
        for callback in output_callbacks(callbacks):
            job.add_done_callback(callback)
        # A thread of the pool does not have the `forward` context of the caller.
        self._pool.submit(self._start, job, self._session, bound, options, copy_context())
        return job

    def _start(
        self, job: Job, session: Session, bound: BoundArguments, options: CallOptions, context: Context
    ) -> None:
        if job.done():
            return
        try:
            check_arguments(session.config, bound)
            call = context.run(session.submit, bound.endpoint.fn_index, *bound.values, options=options)
        except BaseException as error:  # noqa: BLE001 - it is raised to the waiter
            job._fail(error)
        else:
            job._attach(call)

    def reset_session(self) -> None:
        """Start a new session, with fresh gr.State. It ends the calls in progress."""
        self._session.reset()

    def close(self) -> None:
        """End the calls in progress, and close all connections and threads. Idempotent."""
        self._session.close()
        self._transport.close()
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {self._transport!r}>"


def duplicate_space(
    from_id: str,
    to_id: str | None,
    *,
    token: Token,
    private: bool,
    hardware: str | None,
    secrets: Mapping[str, str] | None,
    sleep_timeout: int,
) -> tuple[str, str | None]:
    """Duplicate a Space, wait until it runs, and return its name and the token; see `Client.duplicate`."""
    with translate_errors():
        used = spaces.token_to_use(token, saved=True)
        copy = spaces.duplicate(
            from_id,
            to_id,
            token=used,
            private=private,
            hardware=hardware,
            secrets=secrets,
            sleep_timeout_minutes=sleep_timeout,
            timeout=DUPLICATE_SECONDS,
        )
    return copy.id, used


def _connect(given: Settings) -> Transport:
    while True:
        try:
            return connect(given.source, token=given.token, **given.connect)
        except GradioTransportError as error:
            following = given.after(error)
            if following is None:
                raise
            given = following


# Programs import some of these names from here, because gradio_client.client has them.
__all__ = [
    "Client", "APIDescription", "duplicate_space",
    "AppError", "AuthenticationError", "DEFAULT_TEMP_DIR", "Endpoint", "Job", "QueueError", "Status",
    "StatusUpdate", "ValidationError",
]  # fmt: skip
