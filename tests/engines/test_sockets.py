# SPDX-License-Identifier: Apache-2.0
"""Connections of the sync engine, over sockets that misbehave."""

from __future__ import annotations

import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import httpcore
import pytest
import trustme

from gradio_transport.engines import connecting as module
from gradio_transport.engines import sockets
from gradio_transport.engines.base import Patience
from gradio_transport.engines.bounds import Bounds, BrokenError, LateError, NotSentError
from gradio_transport.engines.chunk_joining import ChunkJoiner
from gradio_transport.engines.connecting import alternate_families
from gradio_transport.engines.httpcore_sync import HTTPEngine
from gradio_transport.engines.layers import is_ready
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.engines.sockets import SocketBackend, SocketStream
from gradio_transport.engines.stream_state import BODY_BYTES, HELD_BYTES
from gradio_transport.errors import Phase
from gradio_transport.protocol.commands import Request

GET = b"GET / HTTP/1.1\r\nhost: app\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
SLACK = 3.0


def bounds(connect: float | None = 5.0, silence: float | None = 5.0, **options: Any) -> Bounds:
    return Bounds(Patience(connect, silence, "join", Phase.JOIN, 1000), **options)


def patience(**options: Any) -> Patience:
    return Patience(5, 5, "join", Phase.JOIN, 1000, **options)


@contextmanager
def served(serve: Callable[[socket.socket], None], times: int = 1) -> Iterator[int]:
    """Serve some connections, one after the other, and yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:

        def accept() -> None:
            for _ in range(times):
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(10)
                    serve(connection)

        serving = pool.submit(accept)
        yield listener.getsockname()[1]
        serving.result(10)


def connected(port: int, of: Bounds) -> SocketStream:
    wait: Any = of.timeouts()["connect"]
    return SocketBackend(httpcore.WriteError).connect_tcp("127.0.0.1", port, wait)


def ask(stream: SocketStream, of: Bounds, request: bytes = GET) -> bytes:
    wait: Any = of.timeouts()["read"]
    stream.write(request, wait)
    return stream.read(65536, wait)


def read_all(stream: SocketStream, wait: Any) -> bytes:
    data = b""
    while part := stream.read(65536, wait):
        data += part
    return data


def drip(connection: socket.socket) -> None:
    """Send a byte now and then until the client has left."""
    with suppress(OSError):
        while True:
            connection.sendall(b"H")
            time.sleep(0.01)


@contextmanager
def full() -> Iterator[Any]:
    """A listener that takes no connection: its backlog is full at once."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        others = [socket.socket() for _ in range(3)]
        for other in others:
            other.setblocking(False)
            other.connect_ex(listener.getsockname())
        yield listener.getsockname()
        for other in others:
            other.close()


def address(target: Any) -> module.Address:
    return socket.AF_INET, socket.SOCK_STREAM, 0, "", target


class TestConnecting:
    def connect(self, monkeypatch: Any, targets: list[Any], of: Bounds) -> socket.socket:
        found = [address(target) for target in targets]
        monkeypatch.setattr(module.socket, "getaddrinfo", lambda *_, **__: found)
        of.begin_connecting()
        return module.connect("app", 1, of)

    def test_the_families_take_turns(self):
        six, four = ((socket.AF_INET6, n) for n in range(3)), ((socket.AF_INET, n) for n in range(1))
        assert [n for _, n in alternate_families([*six, *four])] == [0, 0, 1, 2]

    def test_an_address_that_does_not_answer_does_not_hold_the_next_one_up(self, monkeypatch):
        with full() as silent, served(lambda connection: None) as port:
            began = time.monotonic()
            with self.connect(monkeypatch, [silent, ("127.0.0.1", port)], bounds(20)) as sock:
                assert sock.getpeername()[1] == port
            assert 0.2 < time.monotonic() - began < SLACK

    def test_after_one_that_refuses_the_next_one_is_tried_at_once(self, monkeypatch):
        monkeypatch.setattr(module, "NEXT_ADDRESS_SECONDS", 20)
        with socket.create_server(("127.0.0.1", 0)) as gone:
            refusing = gone.getsockname()
        with served(lambda connection: None) as port:
            began = time.monotonic()
            with self.connect(monkeypatch, [refusing, ("127.0.0.1", port)], bounds(20)) as sock:
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert time.monotonic() - began < SLACK

    def test_all_addresses_share_one_deadline(self, monkeypatch):
        with full() as one, full() as another:
            began = time.monotonic()
            with pytest.raises(LateError):
                self.connect(monkeypatch, [one, another, one, another], bounds(0.4))
            assert 0.4 <= time.monotonic() - began < SLACK

    def test_the_last_refusal_is_the_reason(self, monkeypatch):
        with socket.create_server(("127.0.0.1", 0)) as gone:
            refusing = gone.getsockname()
        with pytest.raises(ConnectionRefusedError, match="refused"):
            self.connect(monkeypatch, [refusing, refusing], bounds())
        with pytest.raises(OSError, match="no address"):
            self.connect(monkeypatch, [], bounds())


class TestRequests:
    def test_head_and_body_of_a_small_request_leave_together(self):
        seen: list[bytes] = []

        def serve(connection: socket.socket) -> None:
            seen.append(connection.recv(65536))
            connection.sendall(OK)

        with served(serve) as port:
            of = bounds()
            stream = connected(port, of)
            wait: Any = of.timeouts()["write"]
            for part in (b"POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\n", b"body", b""):
                stream.write(part, wait)
            assert stream.read(65536, wait) == OK
            stream.close()
        assert seen == [b"POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\nbody"]

    def test_what_is_large_is_not_held(self):
        seen: list[bytes] = []

        def serve(connection: socket.socket) -> None:
            while sum(map(len, seen)) <= HELD_BYTES:
                seen.append(connection.recv(65536))

        with served(serve) as port:
            of = bounds()
            stream = connected(port, of)
            stream.write(bytes(HELD_BYTES + 1), of.timeouts()["write"])
        stream.close()
        assert sum(map(len, seen)) == HELD_BYTES + 1

    def test_a_head_that_drips_has_one_deadline(self):
        def serve(connection: socket.socket) -> None:
            connection.recv(65536)
            drip(connection)

        with served(serve) as port:
            of = bounds(silence=0.3)
            stream = connected(port, of)
            wait: Any = of.timeouts()["read"]
            began = time.monotonic()
            stream.write(GET, wait)
            with pytest.raises(LateError):
                read_all(stream, wait)
            assert time.monotonic() - began < SLACK
            stream.close()

    def test_a_server_that_reads_nothing_is_not_sent_to_forever(self):
        done = threading.Event()
        with served(lambda connection: done.wait(10)) as port:
            of = bounds(silence=0.3)
            stream = connected(port, of)
            wait: Any = of.timeouts()["write"]
            with pytest.raises(LateError):
                stream.write(bytes(64 * 1024 * 1024), wait)
            stream.close()
            done.set()

    def test_a_reply_that_comes_before_the_request_is_taken_is_read(self):
        def serve(connection: socket.socket) -> None:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
            connection.shutdown(socket.SHUT_RD)
            time.sleep(0.2)

        with served(serve) as port:
            engine = HTTPEngine(HTTPSettings())
            body = bytes(8 * 1024 * 1024)
            try:
                reply = engine.request(Request("POST", f"http://127.0.0.1:{port}/", body=body), patience())
            finally:
                engine.close()
        assert (reply.status, reply.body) == (413, b"big")

    def test_chunks_of_one_read_are_joined(self):
        chunks = b"1\r\na\r\n1\r\nb\r\n"

        def serve(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0")

        with served(serve) as port:
            of = bounds(joiner=ChunkJoiner())
            stream = connected(port, of)
            wait: Any = of.timeouts()["read"]
            stream.write(GET, wait)
            assert read_all(stream, wait).endswith(b"\r\n\r\n2\r\nab\r\n0")
            stream.close()

    def test_only_a_large_body_comes_in_larger_reads(self, monkeypatch):
        monkeypatch.setattr(sockets, "_LARGE_BODY_BYTES", BODY_BYTES)
        taken = threading.Event()

        def serve(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(bytes(4 * BODY_BYTES))
            taken.wait(10)
            connection.sendall(b"end")

        with served(serve) as port:
            of = bounds()
            stream = connected(port, of)
            wait: Any = of.timeouts()["read"]
            sizes = [len(ask(stream, of)), len(stream.read(65536, wait))]
            assert max(sizes) <= 65536  # of a head
            of.begin_body()
            before = len(sizes)
            while sum(sizes) < 4 * BODY_BYTES:
                sizes.append(len(stream.read(65536, wait)))
            small = sizes[: before + BODY_BYTES // 65536]
            assert max(small) <= 65536 < max(sizes) <= BODY_BYTES
            taken.set()
            assert read_all(stream, wait) == b"end"
            stream.close()


class TestEnding:
    def test_another_thread_can_wake_a_read(self):
        with served(lambda connection: connection.recv(1000) and connection.recv(1000)) as port:
            of = bounds(silence=None)
            stream = connected(port, of)
            threading.Timer(0.1, of.shut_down).start()
            with pytest.raises(BrokenError, match="the client closed"):
                ask(stream, of)
            stream.close()

    def test_what_came_before_it_was_shut_down_is_no_reply_to_anything(self):
        def serve(connection: socket.socket) -> None:
            connection.sendall(OK)
            connection.recv(1000)

        with served(serve) as port:
            first, second = bounds(), bounds()
            stream = connected(port, first)
            assert is_ready(stream.get_extra_info("socket"), 5)
            first.shut_down()
            with pytest.raises(BrokenError):
                ask(stream, first)
            with pytest.raises(NotSentError):
                ask(stream, second)
            stream.close()

    def test_the_pool_drops_what_ended_or_has_bytes_that_nobody_wanted(self):
        go, closed = threading.Event(), threading.Event()

        def serve(connection: socket.socket) -> None:
            connection.recv(1000)
            connection.sendall(OK)
            go.wait(10)
            connection.sendall(b"more")
            closed.wait(10)

        with served(serve) as port:
            of = bounds()
            stream = connected(port, of)
            ask(stream, of)
            assert not stream.get_extra_info("is_readable")
            go.set()
            assert is_ready(stream.get_extra_info("socket"), 5)
            assert not stream.get_extra_info("is_readable")  # a request has it: what comes is the reply
            of.release()
            assert stream.get_extra_info("is_readable")
            stream.close()
            assert stream.get_extra_info("is_readable")
            closed.set()

    def test_a_socket_is_closed_by_its_last_user(self, monkeypatch):
        real, closed_by = socket.socket.close, []

        def close(one: socket.socket) -> None:
            closed_by.append((one, threading.get_ident()))
            real(one)

        monkeypatch.setattr(socket.socket, "close", close)
        with served(lambda connection: connection.recv(1000) and connection.recv(1000)) as port:
            of = bounds()
            stream = connected(port, of)
            sock = stream.get_extra_info("socket")
            threading.Timer(0.1, stream.close).start()
            with pytest.raises(BrokenError):
                ask(stream, of)
            assert [by for one, by in closed_by if one is sock] == [threading.get_ident()]
            stream.close()

    def test_a_connection_made_while_the_engine_closes_is_shut_down(self):
        with served(lambda connection: connection.recv(1000)) as port:
            backend = SocketBackend(httpcore.WriteError)
            backend.close()
            of = bounds()
            wait: Any = of.timeouts()["connect"]
            stream = backend.connect_tcp("127.0.0.1", port, wait)
            with pytest.raises(NotSentError):
                ask(stream, of)
            stream.close()

    def test_in_a_child_of_fork_the_connection_of_the_parent_stays_open(self):
        with served(lambda connection: connection.sendall(connection.recv(1000))) as port:
            backend, of = SocketBackend(httpcore.WriteError), bounds()
            wait: Any = of.timeouts()["connect"]
            stream = backend.connect_tcp("127.0.0.1", port, wait)
            parent = stream.get_extra_info("socket").dup()
            backend.forget()
            assert stream.get_extra_info("socket").fileno() == -1
            with parent:
                parent.settimeout(5)
                parent.sendall(b"x")
                assert parent.recv(1) == b"x"

    def test_a_request_that_was_not_sent_is_sent_on_another_connection(self, monkeypatch):
        """A thread shuts the idle connection down after the pool has looked at it."""
        asked = SocketStream.get_extra_info
        shut: list[SocketStream] = []

        def get_extra_info(self: SocketStream, info: str) -> Any:
            found = asked(self, info)
            if info == "is_readable" and not found and not shut:
                shut.append(self)
                self.shut_down()
            return found

        def serve(connection: socket.socket) -> None:
            if connection.recv(1000):
                connection.sendall(OK)
                if not shut:
                    assert connection.recv(1000) == b""

        with served(serve, times=2) as port:
            engine = HTTPEngine(HTTPSettings())
            request = Request("POST", f"http://127.0.0.1:{port}/", body=b"{}")
            assert engine.request(request, patience()).body == b"ok"
            monkeypatch.setattr(SocketStream, "get_extra_info", get_extra_info)
            assert engine.request(request, patience()).body == b"ok"
            assert len(shut) == 1
            engine.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def contexts(authority: trustme.CA) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    return server, client


class TestTLS:
    def test_bytes_go_both_ways_and_nothing_is_left_behind(self, authority):
        server, client = contexts(authority)
        body = bytes(range(256)) * 1000

        def serve(connection: socket.socket) -> None:
            with server.wrap_socket(connection, server_side=True) as secure:
                got = b""
                while len(got) < len(body):
                    got += secure.recv(65536)
                secure.sendall(got)

        with served(serve) as port:
            of = bounds()
            wait: Any = of.timeouts()["read"]
            stream = connected(port, of).start_tls(client, "localhost", wait)
            assert stream.get_extra_info("ssl_object").version().startswith("TLS")
            stream.write(body, wait)
            assert read_all(stream, wait) == body
            stream.close()

    def test_tls_in_tls(self, authority):
        server, client = contexts(authority)

        def serve(connection: socket.socket) -> None:
            with server.wrap_socket(connection, server_side=True) as outer:
                incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                inner = server.wrap_bio(incoming, outgoing, server_side=True)

                def perform(operate: Callable[[], Any]) -> Any:
                    while True:
                        try:
                            result = operate()
                        except ssl.SSLWantReadError:
                            outer.sendall(outgoing.read())
                            incoming.write(outer.recv(65536))
                        else:
                            outer.sendall(outgoing.read())
                            return result

                perform(inner.do_handshake)
                got = perform(lambda: inner.read(1000))
                perform(lambda: inner.write(got))
                outer.recv(1)

        with served(serve) as port:
            of = bounds()
            wait: Any = of.timeouts()["read"]
            stream = connected(port, of).start_tls(client, "localhost", wait)
            stream = stream.start_tls(client, "localhost", wait)
            assert ask(stream, of) == GET
            stream.close()

    @pytest.mark.parametrize("hostname", ["localhost", "other"])
    def test_a_certificate_that_is_not_valid_is_refused(self, authority, hostname):
        server, client = contexts(authority)
        if hostname == "localhost":
            client = ssl.create_default_context()

        def serve(connection: socket.socket) -> None:
            with suppress(OSError), server.wrap_socket(connection, server_side=True) as secure:
                secure.recv(1)

        with served(serve) as port:
            of = bounds()
            wait: Any = of.timeouts()["connect"]
            with pytest.raises(BrokenError) as caught:
                connected(port, of).start_tls(client, hostname, wait)
            assert isinstance(caught.value.error, ssl.SSLCertVerificationError)

    def test_a_handshake_is_part_of_connecting(self, authority):
        _, client = contexts(authority)

        def serve(connection: socket.socket) -> None:
            while connection.recv(1000):  # newer versions of OpenSSL greet with more than that
                pass

        with served(serve) as port:
            of = bounds(connect=0.3, silence=None)
            wait: Any = of.timeouts()["connect"]
            began = time.monotonic()
            with pytest.raises(LateError):
                connected(port, of).start_tls(client, "localhost", wait)
            assert time.monotonic() - began < SLACK


def test_waiting_without_a_bound_ends_when_there_is_something():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not is_ready(ours, 0)
        assert is_ready(ours, math.inf, to_write=True)
        theirs.sendall(b"x")
        assert is_ready(ours, math.inf)
