# SPDX-License-Identifier: Apache-2.0
"""Files up and down over loopback, by both faces."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from faces import FACES, with_app
from scripted import CONFIG, Reply, Scripted, completed, scripted

import gradio_transport as gt

META = {"_type": "gradio.FileData"}
FILE_CONFIG = CONFIG | {
    "components": [{"id": number, "type": "file", "props": {}} for number in (1, 2)],
    "max_file_size": 1000,
}
UPLOAD, JOIN = "/gradio_api/upload", "/gradio_api/queue/join"
TIMEOUTS = gt.Timeouts(total=10, download_stall=0.4, upload=5, join=5)

SECRETS = {"headers": {"x-api-key": "sesame", "cookie": "mine=1"}}

faces = pytest.mark.parametrize("face", FACES)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as one:
        one.scripts["/config"] = lambda reply: reply.json(FILE_CONFIG | {"root": one.url})
        one.scripts[UPLOAD] = lambda reply: reply.json([f"/tmp/up/{name}" for name in uploaded(reply.body)])
        yield one


def uploaded(body: bytes) -> list[str]:
    return re.findall(rb'filename="([^"]*)"', body) and [
        name.decode() for name in re.findall(rb'filename="([^"]*)"', body)
    ]


def gives(server: Scripted, **file: object) -> None:
    """Let every call give a file."""
    data = {"path": "/tmp/out/made file.txt", "orig_name": "made file.txt", "size": 5, "meta": META, **file}

    def join(reply: Reply) -> None:
        stream = server.messages(reply.body["session_hash"])
        begin = {"msg": "estimation", "rank": 0, "queue_size": 1, "event_id": "e"}
        stream.put(begin)
        stream.put({**completed(data), "event_id": "e"})
        reply.json({"event_id": "e"})

    server.scripts[JOIN] = join


def path_of(name: str) -> str:
    return f"/gradio_api/file=/tmp/out/{name}"


def serves(server: Scripted, content: bytes, *, name: str = "made%20file.txt", **headers: str) -> None:
    def file(reply: Reply) -> None:
        reply._handler.send_response(200)
        reply._handler.send_header("content-length", str(len(content)))
        for key, value in headers.items():
            reply._handler.send_header(key.replace("_", "-"), value)
        reply._handler.end_headers()
        reply._handler.wfile.write(content)

    server.scripts[path_of(name)] = file


@asynccontextmanager
async def another(face: str, url: str) -> AsyncIterator[Any]:
    """Connect to another app beside the one of `with_app`."""
    face, _, engine = face.partition("+")
    if face == "sync":
        with gt.connect(url) as app:
            yield app
    else:
        async with gt.connect_async(url, engine=engine or "httpx") as app:
            yield app


class TestUploads:
    @faces
    def test_a_file_goes_up_and_its_place_into_the_call(
        self, server: Scripted, face: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "a b.txt"
        path.write_bytes(b"x" * 900)
        steps: list[tuple[int, int]] = []

        async def use(app, wait):
            options = gt.CallOptions(upload_progress=lambda sent, total: steps.append((sent, total)))
            return await wait(app.call("/hello", gt.handle_file(path), options=options))

        with_app(face, server.url, use, timeouts=TIMEOUTS)
        bodies = dict(server.seen)
        assert b"x" * 900 in bodies[UPLOAD]
        assert bodies[JOIN]["data"][0] == {
            "path": "/tmp/up/a b.txt",
            "orig_name": "a b.txt",
            "mime_type": "text/plain",
            "size": 900,
            "meta": META,
        }
        assert steps[-1][0] == steps[-1][1] == len(bodies[UPLOAD])

    @faces
    def test_a_file_of_another_app_is_fetched_with_what_that_app_may_see(
        self, server: Scripted, face: str
    ) -> None:
        gives(server)
        serves(server, b"of the first")
        with scripted() as second:
            second.scripts[UPLOAD] = lambda reply: reply.json(["/tmp/second"])

            async def use(app, wait):
                (given,) = await wait(app.call("/hello", "x"))
                async with another(face, second.url) as other:
                    await wait(other.call("/hello", [given]))

            with_app(face, server.url, use, timeouts=TIMEOUTS, **SECRETS)
            (argument,) = dict(second.seen)[JOIN]["data"][0]
            assert (argument["path"], argument["orig_name"]) == ("/tmp/second", "made file.txt")
            assert b"of the first" in dict(second.seen)[UPLOAD]
            assert dict(server.asked)[path_of("made%20file.txt")]["x-api-key"] == "sesame"
            assert "sesame" not in repr(second.asked)

    @pytest.mark.parametrize("face", ["sync", "asyncio"])
    def test_a_file_of_the_other_api_is_refused_before_the_call_begins(
        self, server: Scripted, face: str
    ) -> None:
        gives(server)

        async def first(app, wait):
            return await wait(app.call("/hello", "x"))

        (given,) = with_app("asyncio" if face == "sync" else "sync", server.url, first)
        with scripted() as second:

            async def use(app, wait):
                with pytest.raises(gt.errors.LocalProtocolError, match=r"another app .* sync and async"):
                    await wait(app.call("/hello", given))

            with_app(face, second.url, use)
            assert JOIN not in dict(second.seen)

    @faces
    def test_a_file_of_another_app_is_fetched_within_the_time_of_the_call(
        self, server: Scripted, face: str
    ) -> None:
        gives(server)
        server.scripts[path_of("made%20file.txt")] = lambda reply: reply.hold()
        with scripted() as second:

            async def use(app, wait):
                (given,) = await wait(app.call("/hello", "x"))
                async with another(face, second.url) as other:
                    with pytest.raises(gt.TimeoutExpired) as caught:
                        await wait(other.call("/hello", given, options=gt.CallOptions(timeouts=0.3)))
                    assert not caught.value.may_have_run
                server.released.set()

            with_app(face, server.url, use)
            assert JOIN not in dict(second.seen)

    @faces
    def test_a_path_is_refused_before_anything_is_sent(self, server: Scripted, face: str) -> None:
        taken = {"parameter_name": "file", "type": {"type": "object"}, "python_type": {"type": "filepath"}}
        info = {"named_endpoints": {"/hello": {"parameters": [taken], "returns": []}}}
        server.scripts["/gradio_api/info"] = lambda reply: reply.json(info)

        async def use(app, wait):
            for given in ("README.md", Path("README.md")):
                with pytest.raises(
                    gt.ValidationFailed, match=r"'file' of /hello .*handle_file\('README.md'\)"
                ):
                    await wait(app.call("/hello", given))

        with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert not {UPLOAD, JOIN} & dict(server.seen).keys()

    @faces
    def test_too_large_a_file_is_never_sent(self, server: Scripted, face: str) -> None:
        async def use(app, wait):
            with pytest.raises(gt.ValidationFailed, match="exceeds the maximum file size of 1000 bytes"):
                await wait(app.call("/hello", gt.handle_file(b"x" * 1001, name="x")))

        with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert UPLOAD not in dict(server.seen)

    @faces
    @pytest.mark.parametrize(
        ("status", "body", "error"),
        [
            (413, "File too large", gt.errors.InvalidPayload),
            (200, "[]", gt.errors.RemoteProtocolError),
            (500, "", gt.ServerRefused),
        ],
    )
    def test_a_refused_upload_ends_the_call_before_it_began(
        self, server: Scripted, face: str, status: int, body: str, error: type[Exception]
    ) -> None:
        server.scripts[UPLOAD] = lambda reply: reply.text(body, status, "text/plain")

        async def use(app, wait):
            session = app.session()
            with pytest.raises(error) as caught:
                await wait(session.call("/hello", gt.handle_file(b"x", name="x")))
            assert "0 calls under way" in repr(session)
            return caught.value

        caught = with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert caught.phase is gt.errors.Phase.UPLOAD
        assert not caught.may_have_run
        assert JOIN not in dict(server.seen)

    @faces
    def test_a_file_that_shrinks_on_the_way_is_noticed(
        self, server: Scripted, face: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "shrinking.txt"
        path.write_bytes(b"x" * 900)
        given = gt.handle_file(path)
        path.write_bytes(b"x")

        async def use(app, wait):
            with pytest.raises(gt.errors.LocalProtocolError, match="truncated"):
                await wait(app.call("/hello", given))

        with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert JOIN not in dict(server.seen)

    def test_an_async_submit_returns_before_the_upload_is_done(self, server: Scripted) -> None:
        async def use(app, wait):
            call = app.submit("/hello", gt.handle_file(b"x", name="x"))
            assert call.status is gt.State.IDLE
            return await call

        assert with_app("asyncio", server.url, use, timeouts=TIMEOUTS)

    @pytest.mark.parametrize("face", FACES[1:])
    def test_a_call_is_cancelled_while_its_files_go_up(self, server: Scripted, face: str) -> None:
        server.scripts[UPLOAD] = Reply.hold

        async def use(app, wait):
            session = app.session()
            call = session.submit("/hello", gt.handle_file(b"x", name="x"))
            assert "1 call under way" in repr(session)
            await anyio.to_thread.run_sync(server.wait_for, UPLOAD)
            assert await call.cancel() is gt.events.Achieved.NOT_STARTED
            assert (call.status, call.event_id) == (gt.State.CANCELLED, None)
            assert "0 calls under way" in repr(session)

        with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert JOIN not in dict(server.seen)

    @pytest.mark.parametrize("face", FACES[1:])
    def test_a_call_whose_files_take_too_long_expires(self, server: Scripted, face: str) -> None:
        server.scripts[UPLOAD] = Reply.hold

        async def use(app, wait):
            options = gt.CallOptions(timeouts=gt.Timeouts(total=0.3))
            with pytest.raises(gt.TimeoutExpired, match="total") as caught:
                await app.call("/hello", gt.handle_file(b"x", name="x"), options=options)
            return caught.value

        caught = with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert (caught.phase, caught.may_have_run) == (gt.errors.Phase.UPLOAD, False)

    @faces
    def test_an_input_url_that_fails_says_so(self, server: Scripted, face: str) -> None:
        old = FILE_CONFIG | {"version": "3.4.1", "protocol": None, "api_prefix": "", "enable_queue": False}
        server.scripts["/config"] = lambda reply: reply.json(old)

        async def use(app, wait):
            with pytest.raises(
                gt.errors.InvalidPayload, match=r"missing\.txt could not be fetched \(HTTP 404"
            ):
                await wait(app.call("/hello", gt.handle_file(f"{server.url}/missing.txt")))

        with_app(face, server.url, use, timeouts=TIMEOUTS)


class TestDownloads:
    @faces
    def test_a_file_is_fetched_when_it_is_asked_for(
        self, server: Scripted, face: str, tmp_path: Path
    ) -> None:
        gives(server)
        serves(server, b"hello")
        steps: list[tuple[int, int | None]] = []

        async def use(app, wait):
            (file,) = await wait(app.call("/hello", "x"))
            assert path_of("made%20file.txt") not in dict(server.seen)
            content = await wait(file.read())
            saved = await wait(
                file.download(tmp_path, progress=lambda got, total: steps.append((got, total)))
            )
            return content, saved, file

        content, saved, file = with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert content == saved.read_bytes() == b"hello"
        assert saved == tmp_path / "made file.txt"
        assert steps[-1] == (5, 5)
        assert (file.size, file.orig_name, file.path) == (5, "made file.txt", "/tmp/out/made file.txt")

    @faces
    def test_results_are_downloaded_on_request(self, server: Scripted, face: str, tmp_path: Path) -> None:
        gives(server)
        serves(server, b"hello")

        async def use(app, wait):
            first = await wait(
                app.call("/hello", "x", options=gt.CallOptions(download_files=tmp_path / "one"))
            )
            return first, await wait(app.call("/hello", "x"))

        first, second = with_app(face, server.url, use, timeouts=TIMEOUTS, download_files=tmp_path / "all")
        assert first == [tmp_path / "one" / "made file.txt"]
        assert second == [tmp_path / "all" / "made file.txt"]

    @faces
    @pytest.mark.parametrize("fault", ["the server breaks it off", "the server fails", "the disk refuses it"])
    def test_a_result_that_is_not_downloaded_has_run_all_the_same(
        self, server: Scripted, face: str, fault: str, tmp_path: Path
    ) -> None:
        gives(server)
        serves(server, b"hello")
        directory = tmp_path / "here"
        if fault == "the disk refuses it":
            directory.write_text("in the way")
        else:
            fails = Reply.reset if "breaks" in fault else (lambda reply: reply.text("busy", 503))
            server.scripts[path_of("made%20file.txt")] = fails

        async def use(app, wait):
            call = app.submit("/hello", "x")
            with pytest.raises(gt.GradioTransportError) as caught:
                await wait(call.result())
            return caught.value

        error = with_app(face, server.url, use, timeouts=TIMEOUTS, download_files=directory)
        assert error.phase is gt.errors.Phase.DOWNLOAD
        assert (error.may_have_run, error.retryable) == (True, False)

    @faces
    @pytest.mark.parametrize("announced", [True, False])
    def test_a_directory_that_cannot_be_written_is_reported_before_the_rest_of_the_file(
        self, server: Scripted, face: str, announced: bool, tmp_path: Path
    ) -> None:
        gives(server)

        def endless(reply: Reply) -> None:
            if announced:
                reply.announce(10**9, "text/plain")
            else:
                reply.stream("text/plain")
            reply.chunk(b"the first of many")
            reply.hold()

        server.scripts[path_of("made%20file.txt")] = endless
        (tmp_path / "here").write_text("in the way")

        async def use(app, wait):
            (file,) = await wait(app.call("/hello", "x"))
            with pytest.raises(gt.errors.LocalProtocolError, match="not a directory"):
                await wait(file.download(tmp_path / "here", timeout=5))

        with_app(face, server.url, use, timeouts=TIMEOUTS)

    @faces
    @pytest.mark.parametrize("announced", [True, False])
    def test_a_large_file_arrives_whole(
        self, server: Scripted, face: str, announced: bool, tmp_path: Path
    ) -> None:
        gives(server)
        content = bytes(range(251)) * 20_000
        steps: list[tuple[int, int | None]] = []

        def large(reply: Reply) -> None:
            if announced:
                reply.announce(len(content), "text/plain")
                reply.send_raw(content)
                return
            reply.stream("text/plain")
            for start in range(0, len(content), 300_000):
                reply.chunk(content[start : start + 300_000])
            reply.end()

        server.scripts[path_of("made%20file.txt")] = large

        async def use(app, wait):
            (file,) = await wait(app.call("/hello", "x"))
            return await wait(file.download(tmp_path, progress=lambda got, total: steps.append((got, total))))

        saved = with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert saved.read_bytes() == content
        assert [got for got, _ in steps] == sorted({got for got, _ in steps})
        assert steps[-1] == (len(content), len(content) if announced else None)

    def test_a_reader_streams(self, server: Scripted) -> None:
        gives(server)
        serves(server, b"hello world")
        with gt.connect(server.url, timeouts=TIMEOUTS) as app:
            (file,) = app.call("/hello", "x")
            with file.open() as reader:
                assert isinstance(reader, io.BufferedReader)
                assert (reader.read(5), reader.read()) == (b"hello", b" world")

    @pytest.mark.parametrize("face", ["asyncio", "trio"])
    def test_an_async_reader_streams(self, server: Scripted, face: str) -> None:
        gives(server)
        serves(server, b"hello world")

        async def use(app, wait):
            (file,) = await app.call("/hello", "x")
            async with file.open() as reader:
                parts = [await reader.read(5), await reader.read(), await reader.read()]
            async with file.open() as reader:
                return parts, b"".join([chunk async for chunk in reader])

        parts, whole = with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert parts == [b"hello", b" world", b""]
        assert whole == b"hello world"

    @faces
    @pytest.mark.parametrize("status", [403, 404, 500])
    def test_a_file_that_is_not_given_is_an_error(
        self, server: Scripted, face: str, status: int, tmp_path: Path
    ) -> None:
        gives(server)
        server.scripts[path_of("made%20file.txt")] = lambda reply: reply.text("no", status)

        async def use(app, wait):
            (file,) = await wait(app.call("/hello", "x"))
            with pytest.raises(gt.errors.FileUnavailable) as caught:
                await wait(file.download(tmp_path))
            return caught.value

        error = with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert (error.status, error.phase) == (status, gt.errors.Phase.DOWNLOAD)
        assert list(tmp_path.iterdir()) == []

    @faces
    def test_a_download_that_breaks_off_leaves_nothing(
        self, server: Scripted, face: str, tmp_path: Path
    ) -> None:
        gives(server)

        def half(reply: Reply) -> None:
            reply.stream("text/plain")
            reply.chunk(b"hel")
            reply.cut()

        server.scripts[path_of("made%20file.txt")] = half

        async def use(app, wait):
            (file,) = await wait(app.call("/hello", "x"))
            with pytest.raises(gt.StreamLost, match="after 3 bytes"):
                await wait(file.download(tmp_path))

        with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert list(tmp_path.iterdir()) == []

    @faces
    def test_a_download_that_stalls_names_its_setting(
        self, server: Scripted, face: str, tmp_path: Path
    ) -> None:
        gives(server)

        def stall(reply: Reply) -> None:
            reply.stream("text/plain")
            reply.chunk(b"hel")
            reply.hold()

        server.scripts[path_of("made%20file.txt")] = stall

        async def use(app, wait):
            (file,) = await wait(app.call("/hello", "x"))
            with pytest.raises(gt.TimeoutExpired) as caught:
                await wait(file.download(tmp_path))
            return caught.value

        assert with_app(face, server.url, use, timeouts=TIMEOUTS).setting == "download_stall"
        assert list(tmp_path.iterdir()) == []

    @faces
    def test_too_large_a_file_is_given_up(self, server: Scripted, face: str, tmp_path: Path) -> None:
        gives(server)
        serves(server, b"x" * 100_000)

        async def use(app, wait):
            (file,) = await wait(app.call("/hello", "x"))
            with pytest.raises(gt.errors.EventTooLarge, match="max_download_bytes"):
                await wait(file.download(tmp_path))

        limits = gt.Limits(max_download_bytes=99_999)
        with_app(face, server.url, use, timeouts=TIMEOUTS, limits=limits)
        assert list(tmp_path.iterdir()) == []

    @faces
    def test_a_file_inside_the_result_has_a_known_size(
        self, server: Scripted, face: str, tmp_path: Path
    ) -> None:
        gives(server, url="data:text/plain;base64,aGVsbG8=", path=None)
        steps: list[tuple[int, int | None]] = []

        async def use(app, wait):
            (file,) = await wait(app.call("/hello", "x"))
            assert await wait(file.read()) == b"hello"
            await wait(file.download(tmp_path, progress=lambda *step: steps.append(step)))

        with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert steps == [(5, 5)]

    @faces
    def test_a_hostile_name_stays_in_its_directory(self, server: Scripted, face: str, tmp_path: Path) -> None:
        gives(server, orig_name="../../etc/pass\0wd")
        serves(server, b"hello")
        target = tmp_path / "deep" / "er"

        async def use(app, wait):
            (file,) = await wait(app.call("/hello", "x"))
            return await wait(file.download(target))

        saved = with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert saved.parent == target
        assert [one for one in tmp_path.rglob("*") if one.is_file()] == [saved]

    @faces
    def test_a_stream_is_followed_until_its_playlist_is_complete(self, server: Scripted, face: str) -> None:
        base = "/gradio_api/stream/s/1/2"
        gives(server, path="s/1/2", url=f"{server.url}{base}/playlist.m3u8", is_stream=True)
        asked = iter(range(10))

        def playlist(reply: Reply) -> None:
            number = next(asked)
            lines = [
                "#EXTM3U",
                *(f"{n}.aac" for n in range(number + 1)),
                *(["#EXT-X-ENDLIST"] if number else []),
            ]
            reply.text("\n".join(lines), kind="application/vnd.apple.mpegurl")

        server.scripts[f"{base}/playlist.m3u8"] = playlist
        server.scripts[f"{base}/0.aac"] = lambda reply: reply.text("first ", kind="audio/aac")
        server.scripts[f"{base}/1.aac"] = lambda reply: reply.text("second", kind="audio/aac")
        server.scripts[f"{base}/playlist-file"] = lambda reply: reply.text("whole", kind="audio/aac")

        async def use(app, wait):
            (file,) = await wait(app.call("/hello", "x"))
            assert file.is_stream
            if face == "sync":
                with file.open() as reader:
                    followed = reader.read()
            else:
                async with file.open() as reader:
                    followed = await reader.read()
            return followed, await wait(file.read())

        assert with_app(face, server.url, use, timeouts=TIMEOUTS) == (b"first second", b"whole")

    def test_closing_the_transport_ends_a_download(self, server: Scripted, tmp_path: Path) -> None:
        gives(server)
        reached = threading.Event()

        def stall(reply: Reply) -> None:
            reply.stream("text/plain")
            reply.chunk(b"hel")
            reached.set()
            reply.hold()

        server.scripts[path_of("made%20file.txt")] = stall
        app = gt.connect(server.url, timeouts=TIMEOUTS.replace(download_stall=30))
        (file,) = app.call("/hello", "x")
        errors: list[Exception] = []

        def download() -> None:
            try:
                file.download(tmp_path)
            except gt.GradioTransportError as error:
                errors.append(error)

        thread = threading.Thread(target=download)
        thread.start()
        assert reached.wait(10)
        app.close()
        thread.join(10)
        assert not thread.is_alive()
        assert isinstance(errors[0], gt.StreamLost)
        assert list(tmp_path.iterdir()) == []


class TestOrigins:
    """Two servers on loopback: what belongs to one must never be seen by the other."""

    def secrets_seen(self, other: Scripted) -> list[str]:
        names = ("x-api-key", "cookie", "authorization", "x-hf-authorization")
        return [name for _, headers in other.asked for name in names if name in headers]

    @faces
    def test_a_url_of_another_origin_is_not_fetched_unasked(self, server: Scripted, face: str) -> None:
        with scripted() as other:
            gives(server, path=f"{other.url}/x.txt")

            async def use(app, wait):
                (file,) = await wait(app.call("/hello", "x"))
                with pytest.raises(gt.errors.RemoteProtocolError, match="foreign_files"):
                    await wait(file.read())

            with_app(face, server.url, use, timeouts=TIMEOUTS, **SECRETS)
            assert other.asked == []

    @faces
    @pytest.mark.parametrize("way", ["url", "redirect", "playlist", "segment"])
    def test_secrets_stay_where_another_origin_is_allowed(
        self, server: Scripted, face: str, way: str
    ) -> None:
        with scripted() as other:
            stream = "/gradio_api/stream/s/1/2/playlist.m3u8"
            other.scripts["/x.txt"] = lambda reply: reply.text("theirs")
            other.scripts["/x.m3u8"] = lambda reply: reply.text(f"{other.url}/x.txt\n#EXT-X-ENDLIST")
            if way == "url":
                gives(server, path=f"{other.url}/x.txt")
            elif way == "redirect":
                gives(server)
                moved = lambda reply: reply.text("", 302, location=f"{other.url}/x.txt")  # noqa: E731
                server.scripts[path_of("made%20file.txt")] = moved
            elif way == "playlist":
                gives(server, path="", url=f"{other.url}/x.m3u8", is_stream=True)
            else:
                gives(server, path="", url=f"{server.url}{stream}", is_stream=True)
                listed = lambda reply: reply.text(f"{other.url}/x.txt\n#EXT-X-ENDLIST")  # noqa: E731
                server.scripts[stream] = listed

            async def use(app, wait):
                (file,) = await wait(app.call("/hello", "x"))
                if face == "sync":
                    with file.open() as reader:
                        return reader.read()
                async with file.open() as reader:
                    return await reader.read()

            arguments = {"foreign_files": [other.url], "token": "hf_secret", "token_origin": server.url}
            assert with_app(face, server.url, use, timeouts=TIMEOUTS, **SECRETS, **arguments) == b"theirs"
            assert other.asked
            assert self.secrets_seen(other) == []

    @faces
    @pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x"])
    def test_what_is_not_http_is_never_fetched(self, server: Scripted, face: str, url: str) -> None:
        gives(server, path="", url=url, is_stream=True)

        async def use(app, wait):
            (file,) = await wait(app.call("/hello", "x"))
            with pytest.raises(gt.errors.RemoteProtocolError, match="It is not fetched"):
                await wait(file.read())

        with_app(face, server.url, use, timeouts=TIMEOUTS, foreign_files=True)

    @faces
    def test_what_the_server_calls_its_root_does_not_move_requests(self, server: Scripted, face: str) -> None:
        with scripted() as other:
            server.scripts["/config"] = lambda reply: reply.json(FILE_CONFIG | {"root": other.url})
            gives(server, url=f"{other.url}/gradio_api/file=/tmp/out/made file.txt")
            serves(server, b"hello")

            async def use(app, wait):
                (file,) = await wait(app.call("/hello", gt.handle_file(b"x", name="x")))
                return await wait(file.read())

            assert with_app(face, server.url, use, timeouts=TIMEOUTS) == b"hello"
            assert other.asked == []
