# SPDX-License-Identifier: Apache-2.0
"""`AsyncClient` and `AsyncJob`: the same client for asyncio and trio."""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.abc
import anyio.to_thread

from .._connect import connect_async
from ..aio import AsyncCall, AsyncSession, AsyncTransport
from ..app.config import Endpoint
from ..errors import GradioTransportError, LocalProtocolError
from ..policy import Timeouts
from ..protocol.frames import Tap
from .client import APIDescription, duplicate_space
from .endpoints import bind_arguments, check_arguments, choose_endpoint
from .errors import cancelled_error, pending_error, translate, translate_errors
from .files import OutputFiles
from .settings import Settings, Token, make_settings
from .updates import (
    Callbacks,
    JobHistory,
    OutputUpdate,
    Status,
    StatusUpdate,
    output_callbacks,
    runs,
    show_running,
)

logger = logging.getLogger(__name__)


class AsyncJob:
    """A call in progress, from `AsyncClient.submit`. Await it for its output, or iterate over its outputs.

    It has the methods of `gradio_transport.client.Job`; await those that wait.
    """

    def __init__(self, client: AsyncClient, endpoint: Endpoint) -> None:
        self._client = client
        self._endpoint = endpoint
        self._call: AsyncCall | None = None
        self._history = JobHistory()
        self._changed = anyio.Event()
        self._end: tuple[Any, BaseException | None] | None = None
        self._callbacks: list[Callable[[AsyncJob], object]] = []

    async def _run(self, call: AsyncCall) -> None:
        """Follow the call to its end, in a task of the client."""
        try:
            async for event in call:
                self._history.add(event)
                self._notify()
            data = await call.result()
            last = self._history.outputs[-1] if self._history.outputs else OutputUpdate(data)
            self._finish(await self._client._value(last, True))
        except anyio.get_cancelled_exc_class():
            self._finish(None, CancelledError())
            raise
        except Exception as error:  # noqa: BLE001 - it is raised to the waiter
            self._finish(None, translate(error))

    def _notify(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    def _finish(self, value: Any, error: BaseException | None = None) -> None:
        if self._end is not None:
            return
        self._end = value, error
        self._notify()
        waiting, self._callbacks = self._callbacks, []
        for callback in waiting:
            self._run_callback(callback)

    def _run_callback(self, callback: Callable[[AsyncJob], object]) -> None:
        try:
            callback(self)
        except Exception:
            logger.exception("a callback of %s failed", self._endpoint.display_name)

    def add_done_callback(self, callback: Callable[[AsyncJob], object]) -> None:
        """Call `callback` with this job once it is done, from a task of the client."""
        if self._end is None:
            self._callbacks.append(callback)
        else:
            self._run_callback(callback)

    def done(self) -> bool:
        """Return whether the job is over."""
        return self._end is not None

    def cancelled(self) -> bool:
        """Return whether the job was cancelled."""
        return self._end is not None and isinstance(self._end[1], CancelledError)

    def running(self) -> bool:
        """Return whether the app's function is running; see `gradio_transport.client.Job.running`."""
        return self._end is None and self._call is not None and runs(self._call)

    @property
    def event_id(self) -> str | None:
        """The server's id of the call. None until it arrives, before 4.9, and outside the queue."""
        return None if self._call is None else self._call.event_id

    def status(self) -> StatusUpdate:
        """Return the status of the job."""
        latest = self._history.status
        if self._end is None:
            return show_running(latest, self._call)
        if latest.code in (Status.FINISHED, Status.QUEUE_FULL):
            return latest
        if self.cancelled():
            return StatusUpdate(code=Status.CANCELLED, success=False)
        return StatusUpdate(code=Status.FINISHED, success=self._end[1] is None)

    async def outputs(self) -> list[Any]:
        """Return the outputs so far, each as `result` would return it."""
        return [await self._output(place) for place in range(len(self._history.outputs))]

    async def _output(self, place: int) -> Any:
        done = self._call is not None and self._call.done()
        final = done and place == len(self._history.outputs) - 1
        with translate_errors():
            return await self._client._value(self._history.outputs[place], final)

    async def result(self, timeout: float | None = None) -> Any:
        """Wait for the output; see `gradio_transport.client.Job.result`."""
        value, error = await self._wait_for_end(timeout)
        if error is not None:
            raise error
        return value

    async def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end of the job, and return its error or None."""
        return (await self._wait_for_end(timeout))[1]

    async def _wait_for_end(self, timeout: float | None) -> tuple[Any, BaseException | None]:
        with anyio.move_on_after(timeout):
            await self._wait(self.done)
        if self._end is None:
            raise pending_error(self._endpoint.display_name, timeout, self.status().code.value)
        if self.cancelled():
            raise cancelled_error(self._endpoint.display_name)
        return self._end

    async def _wait(self, ready: Callable[[], bool]) -> None:
        while not ready():
            await self._changed.wait()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self.result().__await__()

    async def cancel(self) -> bool:
        """Cancel the job, and return whether it was cancelled; see `gradio_transport.client.Job.cancel`."""
        yields = self._endpoint.generator is True or self._history.yielded
        if self._end is not None or (self.running() and not yields):
            return False
        await self._cancel()
        return True

    async def _cancel(self) -> None:
        self._finish(None, CancelledError())
        if self._call is not None:
            await self._call.cancel()

    def __aiter__(self) -> AsyncIterator[Any]:
        return _Outputs(self)


class _Outputs:
    """An async iterator over the outputs of a job, from the first."""

    def __init__(self, job: AsyncJob) -> None:
        self._job = job
        self._place = 0

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        job, place = self._job, self._place
        await job._wait(lambda: place < len(job._history.outputs) or job.done())
        if place < len(job._history.outputs):
            self._place += 1
            return await job._output(place)
        error = job._end[1] if job._end is not None else None
        if error is not None and not job.cancelled():
            raise error
        raise StopAsyncIteration


class AsyncClient(APIDescription):
    """A connection to a Gradio app, opened by ``async with``; see `gradio_transport.client.Client`.

    ``await client.predict(...)`` and ``async for output in client.submit(...)``.
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
        """Check the arguments. They are those of `Client`; `max_workers` has no effect on tasks."""
        self._settings = make_settings(
            src, token=token, hf_token=hf_token, max_workers=max_workers, auth=auth, headers=headers,
            httpx_kwargs=httpx_kwargs, download_files=download_files, output_dir=output_dir,
            ssl_verify=ssl_verify, protocol=protocol, token_origin=token_origin, foreign_files=foreign_files,
            trust_redirects=trust_redirects, timeouts=timeouts, tap=tap,
            oauth_token=oauth_token, skip_components=_skip_components,
        )  # fmt: skip
        self._files = OutputFiles(self._settings.directory)
        self._verbose = verbose
        self._entered: tuple[AsyncTransport, AsyncSession, anyio.abc.TaskGroup] | None = None

    @classmethod
    async def duplicate(
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
        """Duplicate a Space, or use the existing copy, and return a client for it; see `Client.duplicate`.

        ``async with await AsyncClient.duplicate("owner/name") as client``.
        """
        copying = functools.partial(
            duplicate_space,
            from_id,
            to_id,
            token=token if token is not None else hf_token,
            private=private,
            hardware=hardware,
            secrets=secrets,
            sleep_timeout=sleep_timeout,
        )
        name, used = await anyio.to_thread.run_sync(copying, abandon_on_cancel=True)
        return cls(name, used, max_workers, verbose)

    def _parts(self) -> tuple[AsyncTransport, AsyncSession, anyio.abc.TaskGroup]:
        if self._entered is None:
            raise LocalProtocolError("The client is not connected: use it as 'async with ... as client'.")
        return self._entered

    def _connected(self) -> tuple[AsyncTransport, AsyncSession]:
        return self._parts()[:2]

    def _use(self, session: AsyncSession) -> None:
        transport, _, tasks = self._parts()
        self._entered = transport, session, tasks

    async def predict(
        self,
        *args: Any,
        api_name: str | None = None,
        fn_index: int | None = None,
        headers: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Call an endpoint, and return its output; see `Client.predict`. Cancelling the task cancels it."""
        job = self.submit(*args, api_name=api_name, fn_index=fn_index, headers=headers, **kwargs)
        try:
            return await job.result()
        except BaseException:
            if not job.done():
                with anyio.CancelScope(shield=True):
                    await job._cancel()
            raise

    def submit(
        self,
        *args: Any,
        api_name: str | None = None,
        fn_index: int | None = None,
        headers: Mapping[str, str] | None = None,
        result_callbacks: Callbacks | None = None,
        **kwargs: Any,
    ) -> AsyncJob:
        """Start a call, and return an `AsyncJob` at once; see `Client.submit`."""
        with translate_errors():
            endpoint = choose_endpoint(self.app_config, api_name, fn_index)
        return self._submit(endpoint, args, kwargs, headers=headers, callbacks=result_callbacks)

    def _submit(
        self,
        endpoint: Endpoint,
        arguments: Sequence[Any],
        keywords: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None,
        callbacks: Callbacks | None = None,
        event_data: Any = None,
    ) -> AsyncJob:
        _, session, tasks = self._parts()
        bound = bind_arguments(endpoint, *self._take(arguments, keywords))
        options = self._settings.call_options(endpoint, headers, event_data=event_data)
        job = AsyncJob(self, endpoint)
        for callback in output_callbacks(callbacks):
            job.add_done_callback(callback)
        try:
            check_arguments(session.config, bound)
            call = session.submit(endpoint.fn_index, *bound.values, options=options)
        except GradioTransportError as error:
            job._finish(None, translate(error))
        else:
            job._call = call
            tasks.start_soon(job._run, call)
        return job

    async def _value(self, output: OutputUpdate, final: bool) -> Any:
        made = output.cached(final)
        if made is not None:
            return made[1]
        return output.keep(final, *await self._files.save_async(output.data, final))

    def reset_session(self) -> None:
        """Start a new session, with fresh gr.State. It ends the calls in progress."""
        self._parts()[1].reset()

    async def __aenter__(self) -> Self:
        with translate_errors():
            transport = await _connect(self._settings)
        tasks = anyio.create_task_group()
        await tasks.__aenter__()
        self._entered = transport, transport.session(), tasks
        self._log_connection(self._verbose)
        return self

    def __repr__(self) -> str:
        connected = repr(self._entered[0]) if self._entered is not None else "a transport, not connected"
        return f"<AsyncClient of {connected}>"

    async def aclose(self) -> None:
        """End the calls in progress, and all tasks and connections. Idempotent."""
        if self._entered is not None:
            transport, session, _ = self._entered
            await session.aclose()
            await transport.aclose()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        transport, session, tasks = self._parts()
        await session.aclose()
        tasks.cancel_scope.cancel()
        # Why not pass on the block's exception: the task group would wrap it in an ExceptionGroup.
        try:
            await tasks.__aexit__(None, None, None)
        finally:
            await transport.__aexit__(kind, error, traceback)


async def _connect(given: Settings) -> AsyncTransport:
    while True:
        try:
            return await connect_async(given.source, token=given.token, **given.connect).__aenter__()
        except GradioTransportError as error:
            following = given.after(error)
            if following is None:
                raise
            given = following


__all__ = ["AsyncClient", "AsyncJob"]
