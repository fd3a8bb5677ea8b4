"""`bulk.map` and `bulk.amap`: outcomes, order, bounds, ends."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import anyio
import pytest
from scripted import CONFIG, Reply, Scripted, scripted
from working import working

import gradio_transport as gt
from gradio_transport import bulk

JOIN = "/gradio_api/queue/join"


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def numbers(count: int) -> Iterator[list[str]]:
    return ([str(number)] for number in range(count))


def test_each_row_has_one_outcome(server: Scripted) -> None:
    outcomes = list(bulk.map(server.url, "/hello", numbers(30)))
    assert sorted(one.index for one in outcomes) == list(range(30))
    for one in outcomes:
        assert one.state == "done"
        assert one.row == [str(one.index)]
        assert one.values == [f"Hello, {one.index}!"]
        assert one.attempts == 1
        assert one.may_have_run
        assert one.source == server.url
        assert one.elapsed > 0


def test_outcomes_come_in_order_if_asked(server: Scripted) -> None:
    def join(reply: Reply) -> None:
        if reply.body["data"] == ["0"]:
            server.released.wait(0.2)
        server.join(reply)

    server.scripts = {JOIN: join}
    outcomes = bulk.map(server.url, "/hello", numbers(20), in_order=True, at_once=4)
    assert [one.index for one in outcomes] == list(range(20))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_amap_does_the_same_in_the_running_loop(server: Scripted, backend: str) -> None:
    async def rows():
        for row in numbers(20):
            await anyio.lowlevel.checkpoint()
            yield row

    async def main() -> list[bulk.Outcome]:
        source = gt.connect_async(server.url)
        async with source as app, bulk.amap(app, "/hello", rows(), in_order=True) as outcomes:
            found = [one async for one in outcomes]
            assert await app.call("/hello", "x") == ["Hello, x!"], "the transport is still open"
            return found

    found = anyio.run(main, backend=backend)
    assert [one.values for one in found] == [[f"Hello, {number}!"] for number in range(20)]


def test_leaving_amap_ends_its_calls(server: Scripted) -> None:
    async def main() -> None:
        async with bulk.amap(server.url, "/forever", numbers(1000), at_once=3) as outcomes:
            with anyio.move_on_after(0.3):
                async for _ in outcomes:
                    raise AssertionError("the function never ends")

    anyio.run(main)
    assert sum(path == JOIN for path, _ in server.seen) <= 3


def test_amap_has_to_be_entered(server: Scripted) -> None:
    async def main() -> None:
        with pytest.raises(gt.errors.LocalProtocolError, match="async with"):
            await anext(bulk.amap(server.url, "/hello", numbers(1)))

    anyio.run(main)


def test_rows_are_mappings_or_sequences_and_others_fail_alone(server: Scripted) -> None:
    rows = [["a"], {"text": "b"}, ("c",), "d", 5, {"wrong": 1}, [], {1: "x"}]
    outcomes = list(bulk.map(server.url, "/hello", rows, in_order=True))
    assert [one.values for one in outcomes[:3]] == [["Hello, a!"], ["Hello, b!"], ["Hello, c!"]]
    for one in outcomes[3:]:
        assert one.state == "failed"
        assert isinstance(one.error, gt.ValidationFailed)
        assert not one.may_have_run
    assert "[value]" in str(outcomes[3].error)


def test_an_error_of_the_app_is_the_outcome_of_its_row(server: Scripted) -> None:
    (outcome,) = bulk.map(server.url, "/raise_error", [["x"]], repeatable=True)
    assert isinstance(outcome.error, gt.AppError)
    assert (outcome.state, outcome.attempts, outcome.may_have_run) == ("failed", 1, True)


def test_rows_are_not_read_ahead(server: Scripted) -> None:
    read = itertools.count()
    outcomes = bulk.map(server.url, "/hello", ([str(next(read))] for _ in itertools.count()), at_once=4)
    with outcomes:
        for _ in range(10):
            next(outcomes)
        threading.Event().wait(0.3)
        assert next(read) < 10 + 256 + 32 + 8
    assert not [one for one in threading.enumerate() if one.name == "gradio-transport run"]


def test_an_error_of_the_rows_is_raised_after_what_was_done(server: Scripted) -> None:
    def rows():
        yield ["a"]
        raise OSError("the disk is gone")

    outcomes = bulk.map(server.url, "/hello", rows())
    with pytest.raises(OSError, match="the disk is gone"):
        list(outcomes)
    assert list(outcomes) == []


def test_stop_lets_what_runs_come_to_its_end() -> None:
    with working(at_once=4, seconds=0.1) as server:
        outcomes = bulk.map(server.url, "/hello", ([str(number)] for number in itertools.count()), at_once=4)
        first = next(outcomes)
        outcomes.stop()
        rest = list(outcomes)
        assert {one.state for one in (first, *rest)} == {"done"}
        assert len(rest) < 20
        assert sum(server.ran.values()) == 1 + len(rest)


def test_a_run_that_is_not_finished_warns_and_ends(server: Scripted) -> None:
    outcomes = bulk.map(server.url, "/forever", numbers(3))
    thread = threading.Thread(target=lambda: next(outcomes, None), daemon=True)
    thread.start()
    assert server.wait_for(JOIN)
    outcomes.close()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"at_once": 0}, "at_once= takes a whole number"),
        ({"at_once": True}, "at_once="),
        ({"rate": -1}, "rate= takes a number"),
        ({"timeout": float("inf")}, "timeout="),
        ({"attempts": None}, "attempts="),
        ({"repeatable": 1}, "repeatable= takes True or False"),
        ({"late": "yes"}, "late="),
        ({"executor": object()}, "executor="),
    ],
)
def test_settings_that_cannot_be_used_are_refused_at_once(settings, message: str) -> None:
    with pytest.raises(gt.errors.LocalProtocolError, match=message):
        bulk.map("http://127.0.0.1:1", "/hello", [], **settings)


@pytest.mark.parametrize("rows", ["text", {"a": 1}, 5])
def test_rows_that_are_none_are_refused(server: Scripted, rows) -> None:
    with pytest.raises(gt.errors.LocalProtocolError, match="rows= takes an iterable"):
        list(bulk.map(server.url, "/hello", rows))


@pytest.mark.parametrize("source", [[], 5, [None]])
def test_sources_that_are_none_are_refused(source) -> None:
    with pytest.raises(gt.errors.LocalProtocolError, match="source"):
        bulk.map(source, "/hello", [])


def test_a_server_that_is_not_there_is_an_error_at_once() -> None:
    begun = time.monotonic()
    with pytest.raises(gt.ConnectError):
        list(bulk.map("http://127.0.0.1:9", "/hello", numbers(2)))
    assert time.monotonic() - begun < 10


def test_a_wrong_endpoint_fails_the_rows_and_not_the_process(server: Scripted) -> None:
    (outcome,) = bulk.map(server.url, "/helo", [["x"]])
    assert isinstance(outcome.error, gt.EndpointNotFound)


def test_a_transport_or_a_function_that_makes_one_is_a_source(server: Scripted) -> None:
    for source in (gt.connect_async(server.url), lambda: gt.connect_async(server.url)):
        assert [one.values for one in bulk.map(source, "/hello", [["x"]])] == [["Hello, x!"]]


def test_sources_may_be_any_iterable(server: Scripted) -> None:
    outcomes = list(bulk.map((url for url in [server.url]), "/hello", [["a"]]))
    assert [one.values for one in outcomes] == [["Hello, a!"]]


def test_threads_may_share_the_outcomes(server: Scripted) -> None:
    run = bulk.map(server.url, "/hello", [[str(number)] for number in range(100)])
    taken: list[int] = []
    threads = [
        threading.Thread(target=lambda: taken.extend(one.index for one in run), daemon=True) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert sorted(taken) == list(range(100))


def test_map_refuses_a_transport_of_another_loop(server: Scripted) -> None:
    async def main() -> None:
        async with gt.connect_async(server.url) as app:
            with pytest.raises(gt.errors.LocalProtocolError, match="amap"):
                bulk.map(app, "/hello", [])

    anyio.run(main)


def test_files_of_rows_are_sent_and_those_of_outputs_are_saved_apart(server: Scripted, tmp_path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(name)
    uploads = itertools.count()
    server.scripts = {
        "/gradio_api/upload": lambda reply: reply.json([f"/tmp/gradio/{next(uploads)}.txt"]),
    }
    server.below = {"/gradio_api/file=": lambda reply: reply.text("content")}
    server.answers = {"hello": {"path": "/tmp/x/out.txt", "meta": {"_type": "gradio.FileData"}}}
    server.config = CONFIG | {"components": [{"id": n, "type": "file", "props": {}} for n in (1, 2)]}
    rows = [
        {"text": str(tmp_path / "a.txt")},
        {"text": str(tmp_path / "none.txt")},
        {"text": str(tmp_path / "b.txt")},
    ]
    first, second, third = bulk.map(
        server.url, "/hello", rows, files=["text"], files_to=tmp_path / "out", in_order=True
    )
    assert first.values == [tmp_path / "out" / "0" / "out.txt"]
    assert third.values == [tmp_path / "out" / "2" / "out.txt"]
    assert isinstance(second.error, gt.errors.LocalProtocolError)
    assert not second.may_have_run


def test_begins_of_calls_keep_to_a_rate(server: Scripted) -> None:
    begun = time.monotonic()
    assert len(list(bulk.map(server.url, "/hello", numbers(6), rate=20, at_once=6))) == 6
    assert time.monotonic() - begun >= 5 / 20
