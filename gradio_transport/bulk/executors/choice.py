# SPDX-License-Identifier: Apache-2.0
"""Choice of the engine for an ``executor=``, and connection to a cluster by its URL."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from typing import Any
from urllib.parse import urlsplit

from ...errors import LocalProtocolError, UnsupportedProtocol
from ..work import Runner, Work
from .actors import Dask, Ray
from .pools import Pool
from .remote import Engine, RemoteRunner


def runner_on(executor: object, work: Work, workers: int | None) -> Callable[[], Runner]:
    """Return a factory of the runner for an engine.

    Engines are recognized by the names of their types, so that none is imported for the check.

    Raises:
        LocalProtocolError: The engine is unknown, or the work would carry a secret.
    """
    if workers is not None and (not isinstance(workers, int) or isinstance(workers, bool) or workers < 1):
        raise LocalProtocolError(f"workers= takes a whole number greater than 0, or None; got {workers!r}.")
    work.check_portable()
    engine = _engine(executor, workers)
    return lambda: RemoteRunner(engine, work)


def _engine(executor: object, workers: int | None) -> Engine:
    kinds = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(executor).__mro__}
    if ("distributed", "Client") in kinds:
        if getattr(executor, "asynchronous", False):
            raise LocalProtocolError("executor= takes a synchronous Client of Dask.")
        return Dask(executor, workers)
    if ("distributed", "ClientExecutor") in kinds:
        # Dask runs its tasks again if a worker is lost.
        raise LocalProtocolError("executor= takes the Client of Dask itself, not its get_executor().")
    if getattr(executor, "__name__", None) == "ray" and hasattr(executor, "remote"):
        return Ray(executor, workers)
    if isinstance(executor, Executor):
        return Pool(executor, workers)
    raise LocalProtocolError(
        "executor= takes a concurrent.futures.Executor, a distributed.Client, or the module ray; got "
        f"{type(executor).__name__}."
    )


@contextlib.contextmanager
def connected_engine(url: str) -> Generator[Any, None, None]:
    """Connect to a cluster by its URL, ``dask://host:port`` or ``ray://host:port``, for the ``with`` block.

    Raises:
        LocalProtocolError: The URL is neither.
        UnsupportedProtocol: The library is not installed.
    """
    parts = urlsplit(url)
    if parts.scheme == "dask" and parts.netloc:
        distributed = _library("distributed", "dask")
        with distributed.Client(f"tcp://{parts.netloc}") as client:
            yield client
    elif parts.scheme == "ray" and parts.netloc:
        ray = _library("ray", "ray")
        ray.init(url)
        try:
            yield ray
        finally:
            ray.shutdown()
    else:
        raise LocalProtocolError(f"{url!r} is not a cluster; write dask://host:port or ray://host:port.")


def _library(name: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UnsupportedProtocol(
            f"{name} is not installed: pip install 'gradio-transport[{extra}]'."
        ) from None
