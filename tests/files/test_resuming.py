# SPDX-License-Identifier: Apache-2.0
"""Downloads that break off are continued where they broke, under the policy, on every face."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from faces import FACES, with_app
from scripted import CONFIG, Reply, Scripted, completed, scripted

import gradio_transport as gt
from gradio_transport.errors import FileUnavailable, RemoteProtocolError
from gradio_transport.files.fetch import continued_total, range_validator
from gradio_transport.protocol.commands import Response

PATH = "/gradio_api/file=/tmp/out/made.txt"
CONTENT = bytes(range(256)) * 40
POLICY = gt.RetryPolicy(attempts=3, base=0.001)
TIMEOUTS = gt.Timeouts(total=10, download_stall=0.5, join=5)
ETAG = '"v1"'
DATES = {"Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT", "Date": "Wed, 21 Oct 2015 07:28:05 GMT"}

faces = pytest.mark.parametrize("face", FACES)


@attrs.define
class FileServer:
    """Serves one file, in parts where it may, and breaks off after so many bytes of each reply.

    Attributes:
        breaks: The byte of the file at which each reply in turn ends; later ones are whole.
        asked: The ``Range`` and ``If-Range`` of each request.
    """

    server: Scripted
    breaks: Sequence[int] = ()
    headers: dict[str, str] = attrs.field(factory=lambda: {"ETag": ETAG})
    takes_ranges: bool = True
    content: bytes = CONTENT
    rest: Callable[[Reply, int], bool] = lambda reply, first: False
    end: Callable[[Reply], None] = Reply.cut
    asked: list[tuple[str | None, str | None]] = attrs.field(factory=list)

    def __call__(self, reply: Reply) -> None:
        self.asked.append((reply.headers.get("range"), reply.headers.get("if-range")))
        number = len(self.asked) - 1
        wanted = re.fullmatch("bytes=([0-9]+)-", reply.headers.get("range", ""))
        first = int(wanted[1]) if wanted and self.takes_ranges else 0
        if first and self.rest(reply, first):
            return
        out = reply._handler
        out.send_response_only(206 if first else 200)
        out.send_header("content-length", str(len(self.content) - first))
        if first:
            out.send_header("content-range", f"bytes {first}-{len(self.content) - 1}/{len(self.content)}")
        for name, value in self.headers.items():
            out.send_header(name, value)
        out.end_headers()
        last = self.breaks[number] if number < len(self.breaks) else len(self.content)
        out.wfile.write(self.content[first:last])
        if last < len(self.content):
            self.end(reply)


@pytest.fixture
def server() -> Iterator[Scripted]:
    file = {"path": "/tmp/out/made.txt", "orig_name": "made.txt", "meta": {"_type": "gradio.FileData"}}

    def join(reply: Reply) -> None:
        stream = running.messages(reply.body["session_hash"])
        stream.put({"msg": "estimation", "rank": 0, "queue_size": 1, "event_id": "e"})
        stream.put({**completed(file), "event_id": "e"})
        reply.json({"event_id": "e"})

    with scripted() as running:
        config = CONFIG | {"components": [{"id": number, "type": "file", "props": {}} for number in (1, 2)]}
        running.scripts["/config"] = lambda reply: reply.json(config)
        running.scripts["/gradio_api/queue/join"] = join
        yield running


def serve(server: Scripted, **options: Any) -> FileServer:
    served = FileServer(server, **options)
    server.scripts[PATH] = served
    return served


WAYS = ("read", "download", "open")


def fetch(face: str, url: str, way: str, directory: Path, **options: Any) -> bytes:
    """Return a result's file, or raise what its fetching does."""

    async def use(app: Any, wait: Any) -> bytes:
        (file,) = await wait(app.call("/hello", "x"))
        if way == "read":
            return await wait(file.read())
        if way == "download":
            return (await wait(file.download(directory))).read_bytes()
        if face == "sync":
            with file.open() as reader:
                return reader.read()
        async with file.open() as reader:
            return await reader.read()

    settings = {"retry": POLICY, "timeouts": TIMEOUTS, **options}
    return with_app(face, url, use, **settings)


class TestWhereTheServerTakesRanges:
    @faces
    @pytest.mark.parametrize("way", WAYS)
    def test_a_file_is_continued_where_it_broke(
        self, server: Scripted, face: str, way: str, tmp_path: Path
    ) -> None:
        served = serve(server, breaks=[1000, 5000])
        assert fetch(face, server.url, way, tmp_path) == CONTENT
        assert served.asked == [(None, None), ("bytes=1000-", ETAG), ("bytes=5000-", ETAG)]

    @faces
    def test_silence_is_a_break_too(self, server: Scripted, face: str, tmp_path: Path) -> None:
        served = serve(server, breaks=[1000], end=Reply.hold)
        assert fetch(face, server.url, "open", tmp_path) == CONTENT
        assert len(served.asked) == 2

    @faces
    def test_a_date_of_change_proves_the_same(self, server: Scripted, face: str, tmp_path: Path) -> None:
        served = serve(server, breaks=[1000], headers=DATES)
        assert fetch(face, server.url, "open", tmp_path) == CONTENT
        assert served.asked[1] == ("bytes=1000-", DATES["Last-Modified"])

    @faces
    @pytest.mark.parametrize("way", WAYS)
    def test_the_policy_says_how_often(self, server: Scripted, face: str, way: str, tmp_path: Path) -> None:
        served = serve(server, breaks=[1000, 2000, 3000])
        with pytest.raises(gt.StreamLost, match="after 3000 bytes") as caught:
            fetch(face, server.url, way, tmp_path)
        assert caught.value.retryable
        assert len(served.asked) == 3
        assert list(tmp_path.iterdir()) == []

    @faces
    @pytest.mark.parametrize("way", WAYS)
    def test_without_a_policy_a_break_is_the_end(
        self, server: Scripted, face: str, way: str, tmp_path: Path
    ) -> None:
        served = serve(server, breaks=[1000])
        with pytest.raises(gt.StreamLost, match="after 1000 bytes"):
            fetch(face, server.url, way, tmp_path, retry=gt.RetryPolicy.none())
        assert len(served.asked) == 1

    @faces
    @pytest.mark.parametrize(
        "claim", ["bytes 0-10239/10240", "bytes 1001-10239/10240", "bytes 1000-1999/10240", "none"]
    )
    def test_another_part_than_the_rest_is_refused(
        self, server: Scripted, face: str, claim: str, tmp_path: Path
    ) -> None:
        def rest(reply: Reply, first: int) -> bool:
            reply.text("x" * 100, 206, content_range=claim, etag=ETAG)
            return True

        serve(server, breaks=[1000], rest=rest)
        with pytest.raises(RemoteProtocolError, match="from byte 1000 on") as caught:
            fetch(face, server.url, "open", tmp_path)
        assert caught.value.status == 206

    @faces
    def test_the_bound_of_the_size_counts_all_parts(
        self, server: Scripted, face: str, tmp_path: Path
    ) -> None:
        serve(server, breaks=[1000])
        with pytest.raises(gt.errors.EventTooLarge, match="more than 9000 bytes"):
            fetch(face, server.url, "read", tmp_path, limits=gt.Limits(max_download_bytes=9000))

    @faces
    def test_a_range_that_is_not_there_any_more_is_refused(
        self, server: Scripted, face: str, tmp_path: Path
    ) -> None:
        def rest(reply: Reply, first: int) -> bool:
            reply.text("", 416, content_range="bytes */500")
            return True

        serve(server, breaks=[1000], rest=rest)
        with pytest.raises(FileUnavailable) as caught:
            fetch(face, server.url, "open", tmp_path)
        assert caught.value.status == 416


class TestWhereItDoesNot:
    @faces
    @pytest.mark.parametrize("way", ["read", "download"])
    @pytest.mark.parametrize("headers", [{"ETag": ETAG}, {"ETag": 'W/"v1"'}, {}], ids=str)
    def test_a_file_that_nobody_has_yet_begins_anew(
        self, server: Scripted, face: str, way: str, headers: dict[str, str], tmp_path: Path
    ) -> None:
        served = serve(server, breaks=[1000, 7000], takes_ranges=False, headers=headers)
        assert fetch(face, server.url, way, tmp_path) == CONTENT
        assert len(served.asked) == 3

    @faces
    def test_one_that_was_read_in_part_does_not(self, server: Scripted, face: str, tmp_path: Path) -> None:
        serve(server, breaks=[1000], takes_ranges=False)
        with pytest.raises(gt.StreamLost, match="1000 bytes, which were already read"):
            fetch(face, server.url, "open", tmp_path)

    @faces
    def test_and_is_not_asked_for_again_without_a_proof_that_it_is_the_same(
        self, server: Scripted, face: str, tmp_path: Path
    ) -> None:
        served = serve(server, breaks=[1000], headers={})
        with pytest.raises(gt.StreamLost, match="broke off after 1000 bytes"):
            fetch(face, server.url, "open", tmp_path)
        assert len(served.asked) == 1

    @faces
    @pytest.mark.parametrize("way", WAYS)
    def test_one_of_which_nothing_came_begins_anew(
        self, server: Scripted, face: str, way: str, tmp_path: Path
    ) -> None:
        served = serve(server, breaks=[0, 0], headers={})
        assert fetch(face, server.url, way, tmp_path) == CONTENT
        assert len(served.asked) == 3


@faces
@pytest.mark.parametrize("way", WAYS)
def test_a_stale_connection_costs_no_try_of_the_policy(
    server: Scripted, face: str, way: str, tmp_path: Path
) -> None:
    served = serve(server)
    left = [Reply.reset]
    server.scripts[PATH] = lambda reply: left.pop()(reply) if left else served(reply)
    assert fetch(face, server.url, way, tmp_path, retry=gt.RetryPolicy.none()) == CONTENT


@faces
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_file_that_is_refused_for_now_is_asked_for_again(
    server: Scripted, face: str, status: int, tmp_path: Path
) -> None:
    served = serve(server)
    left = [status, status]
    server.scripts[PATH] = lambda reply: reply.text("later", left.pop()) if left else served(reply)
    assert fetch(face, server.url, "read", tmp_path) == CONTENT


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"etag": '"a"'}, '"a"'),
        ({"etag": ' "a-1" '}, '"a-1"'),
        ({"etag": '"a"', "last-modified": "Wed, 21 Oct 2015 07:28:00 GMT"}, '"a"'),
        ({"etag": 'W/"a"'}, None),
        ({"etag": "a"}, None),
        ({"etag": '"a" "b"'}, None),
        ({"etag": '"a"', "accept-ranges": "none"}, None),
        ({"etag": '"a"', "content-encoding": "gzip"}, None),
        ({"last-modified": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({"date": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({"last-modified": "Wed, 21 Oct 2015 07:28:00 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({"last-modified": "yesterday", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        (
            {"last-modified": "Wed, 21 Oct 2015 07:28:00 GMT", "date": "Wed, 21 Oct 2015 07:28:01 GMT"},
            "Wed, 21 Oct 2015 07:28:00 GMT",
        ),
        ({}, None),
    ],
)
def test_only_a_strong_validator_proves_that_a_file_is_the_same(headers, expected) -> None:
    assert range_validator(Response(200, headers)) == expected


@pytest.mark.parametrize(
    ("headers", "validator", "total", "expected"),
    [
        ({"content-range": "bytes 10-99/100"}, '"a"', 100, 100),
        ({"content-range": "Bytes 10-99/100", "etag": '"a"'}, '"a"', None, 100),
        ({"content-range": "bytes 10-99/*"}, '"a"', 100, 100),
        ({"content-range": "bytes 10-99/*"}, '"a"', None, None),
        ({"content-range": "bytes 10-99/100", "etag": '"b"'}, "Wed, 21 Oct 2015 07:28:00 GMT", 100, 100),
    ],
)
def test_the_rest_says_how_large_the_file_is(headers, validator, total, expected) -> None:
    assert continued_total(Response(206, headers), "http://x/f", 10, validator, total) == expected


@pytest.mark.parametrize(
    ("headers", "total"),
    [
        ({}, 100),
        ({"content-range": "bytes 11-99/100"}, 100),
        ({"content-range": "bytes 10-98/100"}, 100),
        ({"content-range": "bytes 10-98/*"}, 100),
        ({"content-range": "bytes 10-199/200"}, 100),
        ({"content-range": "items 10-99/100"}, 100),
        ({"content-range": "bytes 10-99/100", "etag": '"b"'}, 100),
        ({"content-range": "bytes 10-99/100", "content-encoding": "gzip"}, 100),
        ({"content-type": "multipart/byteranges; boundary=x"}, None),
    ],
)
def test_what_is_not_the_rest_of_the_same_file_is_refused(headers, total) -> None:
    with pytest.raises(RemoteProtocolError, match="from byte 10 on"):
        continued_total(Response(206, headers), "http://x/f?token=secret", 10, '"a"', total)
