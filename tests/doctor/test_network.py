# SPDX-License-Identifier: Apache-2.0
"""Names and addresses: which answer."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
from examined import examined, text
from heartbeats import app
from internet import internet
from nginx import free_port

from gradio_transport.doctor import bounded, network
from gradio_transport.doctor.report import Result
from gradio_transport.errors import ConnectError


def test_a_name_that_is_not_known() -> None:
    with internet() as net:
        net.names["app.example"] = [[]]
        report = examined("http://app.example")

    step = report.step("name")
    assert step.result is Result.FAILURE
    assert "The name app.example cannot be looked up" in text(step)
    assert "Check the network of this machine" in text(step)
    assert isinstance(report.error, ConnectError)


def test_a_misspelt_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: str) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(network, "look_up", look_up)
    step = examined("http://localhst:7860", until="name").step("name")

    assert "Did you mean 'localhost'?" in text(step)


def test_name_servers_that_do_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(network, "LOOKUP_SECONDS", 0.1)
    monkeypatch.setattr(network, "look_up", lambda host: over.wait(10))
    step = examined("http://app.example", until="name").step("name")
    over.set()

    assert step.result is Result.FAILURE
    assert "No name server answered for app.example within 0.1 s." in text(step)


def test_of_two_addresses_one_is_dead() -> None:
    with app() as server, internet() as net:
        net.names["app.example"] = [["2001:db8::1", "192.0.2.1"]]
        net.hosts["192.0.2.1", 0] = server.server_port
        report = examined("http://app.example", until="gradio")

    assert "app.example is 2001:db8::1, 192.0.2.1" in text(report.step("name"))
    step = report.step("tcp")
    assert step.result is Result.WARNING
    assert "192.0.2.1:80 answers" in text(step)
    assert "[2001:db8::1]:80 does not answer: connection refused." in text(step)
    assert "IPv6 does not work to there" in text(step)
    assert report.step("gradio").result is Result.OK


def test_one_loopback_address_of_two_is_enough() -> None:
    with app() as server, internet() as net:
        net.names["localhost"] = [["::1", "127.0.0.1"]]
        report = examined(server.url.replace("127.0.0.1", "localhost"), until="tcp")

    step = report.step("tcp")
    assert step.result is Result.OK
    assert "[::1]" in text(step)


def test_a_closed_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with app() as server:
        monkeypatch.setattr(network, "NEAR_PORTS", [server.server_port])
        report = examined(f"http://127.0.0.1:{free_port()}")

    step = report.step("tcp")
    assert step.result is Result.FAILURE
    assert "No program listens on port" in text(step)
    assert f"a program listens on port {server.server_port}. Check whether that is the app." in text(step)
    assert "An app in another container has another address" in text(step)
    assert isinstance(report.error, ConnectError)


def test_a_closed_port_of_another_machine() -> None:
    with internet() as net:
        net.names["app.example"] = [["192.0.2.1"]]
        step = examined("http://app.example:7860", until="tcp").step("tcp")

    assert "launch(server_name='0.0.0.0')" in text(step)


def test_a_firewall(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(address: Any, port: int, seconds: float) -> Any:
        return network._Try(address[4][0], address[0], seconds, TimeoutError())

    monkeypatch.setattr(network, "_connect", connect)
    step = examined("http://127.0.0.1:7860", until="tcp").step("tcp")

    assert step.result is Result.FAILURE
    assert "does not answer: no reply in time" in text(step)
    assert "A firewall or security group drops the packets" in text(step)


def test_a_call_that_hangs_is_left() -> None:
    over = threading.Event()
    with pytest.raises(bounded.Late):
        bounded.bounded(lambda: over.wait(10), 0.05)
    over.set()


def test_the_error_of_a_bounded_call_is_raised_where_it_is_waited_for() -> None:
    with pytest.raises(ZeroDivisionError):
        bounded.bounded(lambda: 1 // 0, 5)
