# SPDX-License-Identifier: Apache-2.0
"""Which connections of an engine prove that a server was not restarted."""

from __future__ import annotations

import gc
import select
import socket
import time
from collections.abc import Iterator

import pytest

from gradio_transport.engines import open_connections as module
from gradio_transport.engines.open_connections import OpenConnections
from gradio_transport.engines.routes import Routes
from gradio_transport.engines.settings import HTTPSettings

URL = "http://app.example:7860/base"


class Connection:
    def __init__(self, sock: socket.socket) -> None:
        self.sock: socket.socket | None = sock

    def open_socket(self) -> socket.socket | None:
        return self.sock


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def opened(connection: Connection, host: str | None = "app.example", port: int = 7860) -> OpenConnections:
    connections = OpenConnections(Routes(HTTPSettings()))
    connections.add(host, port, connection, Connection.open_socket)
    return connections


def test_an_open_connection_proves_it_from_when_it_was_opened(pair):
    before, connection = time.monotonic(), Connection(pair[0])
    connections = opened(connection)
    assert connections.have_one_since(URL, time.monotonic())
    assert not connections.have_one_since(URL, before - 1)


@pytest.mark.parametrize(
    ("host", "port", "url", "proves"),
    [
        ("other.example", 7860, URL, False),
        ("app.example", 7861, URL, False),
        (None, 7860, URL, True),
        ("app.example", 80, "http://app.example", True),
        ("app.example", 443, "https://app.example/x", True),
        ("app.example", 7860, "http://APP.example:7860", True),
        ("::1", 7860, "http://[::1]:7860", True),
        ("xn--bcher-kva.example", 80, "http://bücher.example", True),
    ],
)
def test_it_proves_it_of_its_own_server(pair, host, port, url, proves):
    connection = Connection(pair[0])
    assert opened(connection, host, port).have_one_since(url, time.monotonic()) is proves


@pytest.mark.parametrize("system_tells", [True, False])
def test_one_that_the_server_closed_proves_nothing(pair, monkeypatch, system_tells):
    if not system_tells:
        monkeypatch.delattr(select, "POLLRDHUP", raising=False)
    connection = Connection(pair[0])
    connections = opened(connection)
    assert connections.have_one_since(URL, time.monotonic())
    pair[1].shutdown(socket.SHUT_RDWR)
    assert not connections.have_one_since(URL, time.monotonic())


@pytest.mark.skipif(not hasattr(select, "POLLRDHUP"), reason="the system cannot tell")
def test_unread_bytes_hide_neither_that_it_is_open_nor_that_it_was_closed(pair):
    connection = Connection(pair[0])
    connections = opened(connection)
    pair[1].send(b"unread")
    assert connections.have_one_since(URL, time.monotonic())
    pair[1].close()
    assert not connections.have_one_since(URL, time.monotonic())


def test_one_that_this_side_closed_proves_nothing(pair):
    connection = Connection(pair[0])
    connections = opened(connection)
    pair[0].close()
    assert not connections.have_one_since(URL, time.monotonic())
    connection.sock = None
    assert not connections.have_one_since(URL, time.monotonic())


def test_one_that_is_collected_proves_nothing(pair):
    connections = opened(Connection(pair[0]))
    gc.collect()
    assert not connections.have_one_since(URL, time.monotonic())


def test_the_newest_are_remembered(pair, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 2)
    connections, kept = OpenConnections(Routes(HTTPSettings())), [Connection(pair[0]) for _ in range(3)]
    for port, connection in enumerate(kept, 7860):
        connections.add("app.example", port, connection, Connection.open_socket)
    proves = [
        connections.have_one_since(f"http://app.example:{7860 + one}", time.monotonic()) for one in range(3)
    ]
    assert proves == [False, True, True]


@pytest.mark.parametrize("closed_by", ["the socket", "the connection"])
def test_closed_ones_are_examined_once(closed_by):
    looks = []

    def look(connection: Connection) -> socket.socket | None:
        looks.append(connection)
        return connection.sock

    connections, closed = OpenConnections(Routes(HTTPSettings())), []
    for _ in range(50):
        closed.append(Connection(socket.socket()))
        connections.add("app.example", 7860, closed[-1], look)
        closed[-1].sock.close()
        if closed_by == "the connection":
            closed[-1].sock = None
    for _ in range(3):
        assert not connections.have_one_since(URL, time.monotonic())
    assert len(looks) == 50


def test_behind_a_proxy_connections_say_nothing():
    connections = OpenConnections(Routes(HTTPSettings(proxy="http://proxy.example:3128")))
    assert connections.have_one_since(URL, time.monotonic())
