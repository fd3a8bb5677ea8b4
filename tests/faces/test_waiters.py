# SPDX-License-Identifier: Apache-2.0
"""Waiting for a change in the async API, on both event loops."""

from __future__ import annotations

import time

import anyio
import pytest

from gradio_transport.aio.waiters import Waiters, runs_on_asyncio

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def waiters(anyio_backend: str) -> Waiters:
    return Waiters(on_asyncio=anyio_backend == "asyncio")


async def test_the_event_loop_is_recognized(anyio_backend: str) -> None:
    assert runs_on_asyncio() == (anyio_backend == "asyncio")


def test_without_a_task_there_is_no_loop_of_asyncio() -> None:
    assert not runs_on_asyncio()


async def test_a_change_wakes_every_task(waiters: Waiters) -> None:
    woken: list[int] = []

    async def wait(number: int) -> None:
        await waiters.wait()
        woken.append(number)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(wait, number)
            await anyio.wait_all_tasks_blocked()
            assert woken == []
            waiters.wake()
            waiters.wake()  # before the tasks have run
    assert sorted(woken) == [0, 1, 2]


async def test_a_wait_ends_after_its_seconds(waiters: Waiters) -> None:
    began = time.monotonic()
    with anyio.fail_after(20):
        await waiters.wait(0.05)
    assert time.monotonic() - began >= 0.04
    waiters.wake()  # there is no task left to wake


async def test_a_cancelled_wait_is_forgotten(waiters: Waiters) -> None:
    with anyio.fail_after(20):
        with anyio.move_on_after(0.05) as scope:
            await waiters.wait(10)
        assert scope.cancelled_caught
        with anyio.move_on_after(0.05) as scope:
            waiters.wake()  # wakes no later wait
            await waiters.wait()
        assert scope.cancelled_caught
