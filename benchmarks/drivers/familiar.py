# SPDX-License-Identifier: Apache-2.0
"""This library's client with the names of the Gradio documentation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradio_transport.client import Client, handle_file

from . import Driver, OnValue


class Familiar(Driver):
    async def open(self) -> None:
        self.client = Client(self.url, verbose=False, download_files=False)

    async def close(self) -> None:
        self.client.close()

    async def call(self, value: str) -> Any:
        return self.client.predict(value, api_name="/hello")

    async def many(self, count: int, under_way: Callable[[], object]) -> int:
        jobs = [self.client.submit(str(number), api_name="/hello") for number in range(count)]
        failures = 0
        for number, job in enumerate(jobs):
            failures += job.result(timeout=60) != str(number)
            if number == 0:
                under_way()
        return failures

    async def stream(self, endpoint: str, argument: str, on_value: OnValue) -> None:
        for value in self.client.submit(argument, api_name=endpoint):
            on_value(value)

    async def cancel(self, moment: Callable[[], object]) -> None:
        job = self.client.submit("x", api_name="/forever")
        next(iter(job))
        moment()
        job.cancel()

    async def download(self, directory: str) -> None:
        client = Client(self.url, verbose=False, download_files=directory)
        client.predict("x", api_name="/give_file")
        client.close()

    async def upload(self, path: str) -> None:
        self.client.predict(handle_file(path), api_name="/take_file")
