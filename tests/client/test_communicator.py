# SPDX-License-Identifier: Apache-2.0
"""``job.communicator``: a job under the names that programs read there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fake_gradio import fake_gradio

from gradio_transport.client import Client, Status
from gradio_transport.client.communicator import Communicator


@pytest.fixture
def client() -> Iterator[Client]:
    with fake_gradio() as server, Client(server.url) as client:
        yield client


def test_a_communicator_shows_its_job(client: Client) -> None:
    job = client.submit(3, api_name="/count")
    communicator = job.communicator
    assert communicator is job.communicator
    with communicator.lock:
        assert list(job) == communicator.job.outputs == ["0", "0 1", "0 1 2"]
    assert job.result() == "0 1 2"
    assert communicator.event_id == job.event_id is not None
    assert communicator.job.latest_status.code is Status.FINISHED
    assert communicator.thread_complete
    assert not communicator.should_cancel
    assert job.future is job
    assert job.future.result() == "0 1 2"


def test_a_communicator_cancels_its_job(client: Client) -> None:
    job = client.submit(api_name="/forever")
    assert next(job) == "on and on"
    job.communicator.should_cancel = False
    assert not job.cancelled()
    job.communicator.should_cancel = True
    assert job.cancelled()
    assert job.communicator.should_cancel


def test_one_without_a_job_has_nothing_to_show() -> None:
    communicator = Communicator(request_headers={"x-a": "1"})
    communicator.should_cancel = True
    assert (communicator.event_id, communicator.should_cancel, communicator.thread_complete) == (
        None, False, False,
    )  # fmt: skip
    assert communicator.job.latest_status.code is Status.STARTING
    assert communicator.request_headers == {"x-a": "1"}
