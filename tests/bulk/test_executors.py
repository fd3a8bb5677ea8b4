"""Calls made by the workers of pools, Dask and Ray; one of them is killed in the middle."""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from engine_source import NotedSource, kill_one, noted_workers
from many_apps import many_apps
from working import Working, working

import gradio_transport as gt
from gradio_transport import bulk
from gradio_transport.bulk.calling import Calls
from gradio_transport.bulk.executors import actors
from gradio_transport.bulk.executors.worker import Task, Worker
from gradio_transport.bulk.settings import Settings
from gradio_transport.survey import Reason, survey

SUPPORT = str(Path(__file__).parent.parent / "support")
SPAWN = get_context("forkserver")
SPAWN.set_forkserver_preload(["gradio_transport.bulk.executors.worker", "gradio_transport.aio", "aiohttp"])


@pytest.fixture
def server() -> Iterator[Working]:
    with working(at_once=4, seconds=0.02) as running:
        yield running


@pytest.fixture
def noted(tmp_path: Path) -> Path:
    directory = tmp_path / "noted"
    directory.mkdir()
    return directory


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    if find_spec("distributed") is None:
        pytest.skip("needs the extra 'dask'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from distributed import Client, LocalCluster

        cluster = LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        )
        with cluster, Client(cluster) as client:
            yield client


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    if find_spec("ray") is None:
        pytest.skip("needs the extra 'ray'")
    os.environ["RAY_AUTH_MODE"] = "disabled"  # of a cluster on the loopback, that ends with the test
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ray as module

        module.init(
            num_cpus=2,
            include_dashboard=False,
            logging_level="ERROR",
            log_to_driver=False,
            object_store_memory=80 * 1024 * 1024,
            runtime_env={"env_vars": {"PYTHONPATH": SUPPORT}},
        )
        yield module
        module.shutdown()
        gc.collect()  # Ray leaves processes that it has ended to the collector, which would warn later


def numbers(count: int) -> Iterator[list[str]]:
    return ([str(number)] for number in range(count))


def check(server: Working, outcomes: list[bulk.Outcome], count: int) -> list[bulk.Outcome]:
    """Check that each row has ended once, and ran once at most; return those that are not done."""
    assert sorted(one.index for one in outcomes) == list(range(count))
    assert max(server.ran.values()) == 1
    for one in outcomes:
        assert one.row == [str(one.index)]
        if one.state == "done":
            assert one.values == [f"Hello, {one.index}!"]
    return [one for one in outcomes if one.state != "done"]


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, lambda count: ProcessPoolExecutor(count, SPAWN)])
def test_a_pool_makes_the_calls(server: Working, pool) -> None:
    with pool(2) as executor:
        outcomes = list(bulk.map(server.url, "/hello", numbers(40), executor=executor, workers=2))
    assert not check(server, outcomes, 40)


def test_each_worker_of_a_pool_makes_one_transport(server: Working, noted: Path) -> None:
    with ProcessPoolExecutor(2, SPAWN) as executor:
        source = NotedSource(server.url, str(noted))
        outcomes = list(bulk.map(source, "/hello", numbers(40), executor=executor, workers=2))
    assert not check(server, outcomes, 40)
    assert 1 <= len(noted_workers(noted)) <= 2


def test_a_broken_pool_leaves_its_rows_in_doubt_and_a_journal_goes_on(
    server: Working, noted: Path, tmp_path: Path
) -> None:
    source = NotedSource(server.url, str(noted))
    with ProcessPoolExecutor(2, SPAWN) as executor:
        run = bulk.map(
            source, "/hello", numbers(200), at_once=16, executor=executor, workers=2,
            journal=tmp_path / "run.sqlite",
        )  # fmt: skip
        outcomes = [next(run) for _ in range(20)]
        kill_one(noted)
        with pytest.raises(gt.TransportError, match="All workers of the run are lost"):
            outcomes.extend(run)
    assert {"done", "in doubt"} <= {one.state for one in outcomes}
    # A row that its worker has not begun may be among them; the next run calls it.
    failed = [one.error for one in outcomes if one.state == "failed"]
    assert [one for one in failed if one is None or one.may_have_run or not one.retryable] == []
    rest = check(
        server, list(bulk.map(server.url, "/hello", numbers(200), journal=tmp_path / "run.sqlite")), 200
    )
    assert {one.state for one in rest} == {"in doubt"}
    assert len(rest) <= 32  # those that the workers had, and those that had taken their places


def killed_in_the_middle(
    server: Working, noted: Path, executor: Any, journal: Path, **settings: Any
) -> list[bulk.Outcome]:
    source = NotedSource(server.url, str(noted))
    run = bulk.map(
        source,
        "/hello",
        numbers(100),
        at_once=16,
        executor=executor,
        workers=2,
        journal=journal,
        patience=20,
        **settings,
    )
    outcomes: list[bulk.Outcome] = []
    for outcome in run:
        outcomes.append(outcome)
        if len(outcomes) == 20:
            kill_one(noted)
    assert len(noted_workers(noted)) >= 2
    return outcomes


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_dask_makes_the_calls_and_loses_none_with_a_worker(
    dask: Any, server: Working, noted: Path, tmp_path: Path
) -> None:
    outcomes = killed_in_the_middle(server, noted, dask, tmp_path / "one.sqlite")
    lost = check(server, outcomes, 100)
    assert {one.state for one in lost} <= {"in doubt"}
    assert len(lost) <= 20


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_worker_that_hangs_is_taken_for_lost(
    dask: Any, server: Working, noted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dask.wait_for_workers(2)
    monkeypatch.setattr(actors, "REPLY_SECONDS", 2.0)
    source = NotedSource(server.url, str(noted))
    run = bulk.map(source, "/hello", numbers(60), executor=dask, workers=2, at_once=8)
    outcomes = [next(run) for _ in range(10)]
    hanging = kill_one(noted, signal.SIGSTOP)
    try:
        outcomes.extend(run)
    finally:
        os.kill(hanging, signal.SIGCONT)
    lost = check(server, outcomes, 60)
    assert {one.state for one in lost} == {"in doubt"}
    assert len(lost) <= 8


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_dask_calls_repeatable_rows_of_a_lost_worker_again(
    dask: Any, server: Working, noted: Path, tmp_path: Path
) -> None:
    dask.wait_for_workers(2)
    outcomes = killed_in_the_middle(server, noted, dask, tmp_path / "two.sqlite", repeatable=True)
    assert sorted(one.index for one in outcomes) == list(range(100))
    assert {one.state for one in outcomes} == {"done"}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_what_a_lost_worker_had_joined_is_fetched_from_here(dask: Any, noted: Path, tmp_path: Path) -> None:
    dask.wait_for_workers(2)
    with working(at_once=16, seconds=1.2) as server:
        run = bulk.map(
            NotedSource(server.url, str(noted)), "/hello", numbers(8), executor=dask, workers=1, late=True
        )
        with contextlib.closing(run):

            def kill() -> None:
                deadline = time.monotonic() + 60
                while sum(server.ran.values()) < 8 and time.monotonic() < deadline:
                    time.sleep(0.01)
                time.sleep(0.5)  # until the handles are here
                kill_one(noted)

            thread = threading.Thread(target=kill)
            thread.start()
            outcomes = list(run)
            thread.join()
        # The first call of a worker is fetched at once, to see how long calls take.
        assert [one.index for one in check(server, outcomes, 8)] in ([], [0])


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_an_error_of_a_worker_travels_without_the_exceptions_that_cannot(dask: Any, server: Working) -> None:
    dask.wait_for_workers(1)
    url = server.url.replace("http:", "https:")  # its cause has a context of TLS
    with pytest.raises(gt.ConnectError, match="does not speak TLS"):
        list(bulk.map(url, "/hello", numbers(2), executor=dask, workers=1))


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_dask_examines_apps_and_those_of_a_lost_worker_again(dask: Any, tmp_path: Path) -> None:
    dask.wait_for_workers(2)
    with many_apps(0.1) as apps:
        run = survey(apps.sources(60), executor=dask, workers=2, at_once=4, journal=tmp_path / "s.sqlite")
        results = [next(run) for _ in range(10)]
        os.kill(dask.submit(os.getpid, pure=False).result(30), signal.SIGKILL)
        results += run
    assert sorted(one.index for one in results) == list(range(60))
    assert {one.reason for one in results} == {Reason.ANSWERS}
    assert len(apps.examined) == 60
    assert sum(apps.examined.values()) <= 60 + 10


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_ray_examines_apps(ray: Any) -> None:
    with many_apps() as apps:
        results = list(survey(apps.sources(20), executor=ray, workers=2, in_order=True))
    assert [one.title for one in results] == [f"app {number}" for number in range(20)]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_ray_makes_the_calls_and_loses_none_with_a_worker(
    ray: Any, server: Working, noted: Path, tmp_path: Path
) -> None:
    outcomes = killed_in_the_middle(server, noted, ray, tmp_path / "run.sqlite")
    lost = check(server, outcomes, 100)
    assert {one.state for one in lost} <= {"in doubt"}
    assert len(lost) <= 20


def test_a_transport_with_a_secret_is_not_sent_to_workers(server: Working) -> None:
    transport = gt.connect_async(server.url, headers={"x-key": "secret-of-mine"})
    assert b"secret-of-mine" not in pickle.dumps(transport)
    with (
        ProcessPoolExecutor(1, SPAWN) as executor,
        pytest.raises(gt.errors.LocalProtocolError, match="headers"),
    ):
        list(bulk.map(transport, "/hello", numbers(2), executor=executor, workers=1))


@pytest.mark.parametrize(
    "url", ["http://user:word@127.0.0.1:9", "http://127.0.0.1:9/?key=word", "user:word@127.0.0.1:9"]
)
def test_a_url_with_a_secret_is_not_sent_to_workers(url: str) -> None:
    with ThreadPoolExecutor(1) as executor, pytest.raises(gt.errors.LocalProtocolError) as caught:
        bulk.map(url, "/hello", numbers(2), executor=executor)
    assert "word" not in str(caught.value)


def test_an_app_that_workers_cannot_reach_is_an_error() -> None:
    with ThreadPoolExecutor(1) as executor, pytest.raises(gt.ConnectError):
        list(bulk.map("http://127.0.0.1:9", "/hello", numbers(2), executor=executor, workers=1))


def test_an_exchange_whose_reply_was_lost_runs_nothing_twice(server: Working) -> None:
    worker = Worker(Calls([server.url], Settings(endpoint="/hello")))
    try:
        first = worker.exchange(1, [Task(0, ["a"])], 20)
        assert worker.exchange(1, [Task(0, ["a"])], 20) is first
        assert [one.values for one in first.ended] == [["Hello, a!"]]
        assert not worker.exchange(2, [], 0.01).ended
    finally:
        worker.close()
    assert server.ran == {"a": 1}


def test_engines_are_not_imported_to_ask() -> None:
    code = (
        "import sys; from gradio_transport import bulk; import concurrent.futures as f;"
        "bulk.map('http://127.0.0.1:9', '/x', [], executor=f.ThreadPoolExecutor(1));"
        "print({'ray', 'distributed', 'pyarrow', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50
    )
    assert done.stdout == "set()\n"
