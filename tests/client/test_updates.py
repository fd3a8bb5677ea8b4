# SPDX-License-Identifier: Apache-2.0
"""The status of a job: its order, and what it says of a call outside the queue."""

from __future__ import annotations

import operator
import random
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.to_thread
import pytest
from scripted import Reply, Scripted, scripted

from gradio_transport.client import AsyncClient, Client, Status

SECONDS = 20.0

ORDER = (
    "STARTING", "JOINING_QUEUE", "QUEUE_FULL", "IN_QUEUE", "SENDING_DATA", "PROCESSING", "PROGRESS",
    "ITERATING", "FINISHED", "CANCELLED",
)  # fmt: skip


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


def test_statuses_are_in_the_order_of_a_job() -> None:
    shuffled = [Status(name) for name in random.Random(1).sample(ORDER, len(ORDER))]
    assert [status.value for status in sorted(shuffled)] == list(ORDER)
    assert Status.IN_QUEUE < Status.PROCESSING <= Status.PROCESSING < Status.LOG < Status.FINISHED
    assert max(Status.STARTING, Status.ITERATING) is Status.ITERATING
    assert Status.ordering(Status.STARTING) == 0
    with pytest.raises(TypeError):
        operator.lt(Status.STARTING, "PROCESSING")


def test_a_job_outside_the_queue_runs_as_soon_as_it_is_called(server: Scripted) -> None:
    server.scripts["/gradio_api/run/direct"] = Reply.hold
    with Client(server.url) as client:
        job = client.submit("x", api_name="/direct")
        assert server.wait_for("/gradio_api/run/direct")
        assert job._wait(job.running, SECONDS)
        assert job.status().code is Status.PROCESSING
        assert job.communicator.job.latest_status.code is Status.PROCESSING
        assert job.cancel() is False


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_async_job_outside_the_queue_does_so_too(server: Scripted, backend: str) -> None:
    server.scripts["/gradio_api/run/direct"] = Reply.hold

    async def main() -> None:
        async with AsyncClient(server.url) as client:
            job = client.submit("x", api_name="/direct")
            await anyio.to_thread.run_sync(server.wait_for, "/gradio_api/run/direct")
            assert job.running()
            assert job.status().code is Status.PROCESSING

    anyio.run(main, backend=backend)


def test_a_job_that_waits_in_the_queue_does_not_run(server: Scripted) -> None:
    def join(reply: Reply) -> None:
        estimation: dict[str, Any] = {"msg": "estimation", "rank": 1, "queue_size": 2, "rank_eta": 3.0}
        server.messages(reply.body["session_hash"]).put({**estimation, "event_id": "event1"})
        reply.json({"event_id": "event1"})

    server.scripts["/gradio_api/queue/join"] = join
    with Client(server.url) as client:
        job = client.submit("x", api_name="/hello")
        assert job._wait(lambda: job.status().code is Status.IN_QUEUE, SECONDS)
        assert not job.running()
        assert (job.status().rank, job.status().queue_size) == (1, 2)
        assert job.cancel() is True
