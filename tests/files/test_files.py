# SPDX-License-Identifier: Apache-2.0
"""The forms that files take in payloads, version by version, without any I/O."""

from __future__ import annotations

import base64
import io
import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradio_transport.app.config import AppConfig, Component
from gradio_transport.app.config_parsing import parse_release
from gradio_transport.calls.downloads import Playlist
from gradio_transport.errors import (
    AuthenticationRequired,
    EventTooLarge,
    FileUnavailable,
    InvalidPayload,
    LocalProtocolError,
    MalformedMessage,
    Phase,
    RateLimited,
    RemoteProtocolError,
    StreamLost,
    TimeoutExpired,
    UnsupportedProtocol,
    ValidationFailed,
)
from gradio_transport.files.fetch import (
    content_length,
    download_error,
    file_too_large_error,
    file_unavailable_error,
    is_playlist,
    locate,
    playlist_segments,
    whole_file_url,
)
from gradio_transport.files.forms import may_hold_files
from gradio_transport.files.inputs import check_files, handle_file, holds_files
from gradio_transport.files.outputs import FileReader, ServerFile
from gradio_transport.files.upload import (
    FetchFile,
    ReadFile,
    ReadServerFile,
    inline_files,
    place_files,
    upload,
)
from gradio_transport.policy import Timeouts
from gradio_transport.protocol.commands import Closed, Ending, Response, SendRequest
from gradio_transport.protocol.urls import AppURLs

BASE = "http://127.0.0.1:7860"
META = {"_type": "gradio.FileData"}
TEXT = handle_file(b"hello", name="a b.txt")
TEXT_URL = "data:text/plain;base64," + base64.b64encode(b"hello").decode()


def config(version, **more):
    return AppConfig(version=version, release=parse_release(version), **more)


def urls(version):
    return AppURLs(BASE, "/gradio_api" if parse_release(version) >= (5, 0) else "", BASE)


def slots(*kinds):
    return [Component(number, kind) for number, kind in enumerate(kinds)]


def placed(version, data, *kinds, paths=("/tmp/up/a b.txt",), contents=None):
    """Run the sequence that places files; return the data and the commands it gave."""
    sequence = place_files(data, slots(*kinds), config(version), urls(version))
    commands = []
    try:
        command = next(sequence)
        while True:
            commands.append(command)
            if isinstance(command, SendRequest):
                command = sequence.send(Response(200, body=json.dumps(list(paths)).encode()))
            else:
                command = sequence.send((contents or {}).get(command, b"hello"))
    except StopIteration as stop:
        return stop.value, commands


class TestWhatACallerGives:
    def test_bytes_need_a_name(self):
        with pytest.raises(LocalProtocolError, match="need a name"):
            handle_file(b"hello")

    @pytest.mark.parametrize("given", [b"x", bytearray(b"x"), memoryview(b"x")])
    def test_any_bytes_are_taken(self, given):
        assert handle_file(given, name="x.bin").content == b"x"

    def test_a_path_keeps_its_name_and_size(self, tmp_path):
        path = tmp_path / "ünï.txt"
        path.write_bytes(b"hello")
        made = handle_file(path)
        assert (made.name, made.size, made.content_type) == ("ünï.txt", 5, "text/plain")

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (lambda path: path / "missing.txt", "missing.txt"),
            (lambda path: path, "directory"),
        ],
    )
    def test_what_cannot_be_read_is_refused_at_once(self, tmp_path, make, said):
        with pytest.raises(LocalProtocolError, match=said) as caught:
            handle_file(make(tmp_path))
        assert caught.value.phase is Phase.UPLOAD

    def test_an_empty_file_is_a_mistake_unless_it_is_meant(self, tmp_path):
        path = tmp_path / "empty.txt"
        path.touch()
        with pytest.raises(LocalProtocolError, match="empty"):
            handle_file(path)
        assert handle_file(path, allow_empty=True).size == 0
        with pytest.raises(LocalProtocolError, match="empty"):
            handle_file(b"", name="x")

    def test_a_url_is_named_after_its_path(self):
        made = handle_file("https://host/some%20where/a%20b.png?x=1#y")
        assert (made.name, made.url) == ("a b.png", "https://host/some%20where/a%20b.png?x=1#y")
        assert handle_file("https://host/").name == "file"

    def test_files_are_found_however_deep(self):
        assert holds_files({"a": [1, {"b": (TEXT,)}]})
        assert not holds_files({"a": [1, {"b": ("text",)}]})
        assert not holds_files([[TEXT]], depth=1)  # deeper than files are looked for

    def test_too_large_a_file_is_refused_before_anything_is_sent(self):
        with pytest.raises(
            ValidationFailed, match=r"exceeds the maximum file size of 4 bytes .* has 5 bytes"
        ):
            check_files([[TEXT]], config("4.44.1", max_file_size=4))
        check_files([[TEXT]], config("4.44.1", max_file_size=5))

    @pytest.mark.parametrize("given", [5, None, io.BytesIO(b"x"), ["a.txt"]])
    def test_what_is_neither_path_nor_bytes_is_said_to_be_none(self, given):
        with pytest.raises(TypeError, match=r"got \w+\. .*handle_file\(file.read\(\), name="):
            handle_file(given)

    def test_a_file_that_is_gone_is_noticed_before_anything_is_sent(self, tmp_path):
        path = tmp_path / "short-lived.txt"
        path.write_text("x")
        made = handle_file(path)
        path.unlink()
        with pytest.raises(LocalProtocolError, match="short-lived"):
            check_files([made], config("6.31.0"))


class TestTheFormOfEachGeneration:
    @pytest.mark.parametrize("version", ["2.3.6", "2.9.4"])
    def test_2x_carries_the_content(self, version):
        (value,), commands = placed(version, [TEXT], "file")
        assert commands == []
        assert value["name"] == "a b.txt"
        assert value["data"] == TEXT_URL
        assert (value["is_file"], value["is_example"], value["is_local_example"]) == (False, False, False)

    @pytest.mark.parametrize("version", ["3.0.2", "3.1.7", "3.4.1", "3.18.0"])
    def test_3x_before_uploads_carries_the_content(self, version):
        (value,), commands = placed(version, [TEXT], "file")
        assert commands == []
        assert value == {"name": "a b.txt", "data": TEXT_URL, "is_file": False, "size": 5}

    @pytest.mark.parametrize("version", ["2.9.4", "3.4.1", "3.50.2"])
    def test_an_image_is_a_data_url_before_4(self, version):
        (value,), commands = placed(version, [handle_file(b"hello", name="x.png")], "image")
        assert commands == []
        assert value == TEXT_URL.replace("text/plain", "image/png")

    @pytest.mark.parametrize("version", ["3.19.0", "3.50.2"])
    def test_late_3x_uploads_and_names_the_path(self, version):
        (value,), commands = placed(version, [TEXT], "file")
        assert commands[0].request.url == f"{BASE}/upload"
        expected = {"name": "/tmp/up/a b.txt", "orig_name": "a b.txt", "size": 5, "data": None}
        assert value == {**expected, "is_file": True}

    @pytest.mark.parametrize("version", ["4.0.2", "4.20.1"])
    def test_early_4x_has_no_mark(self, version):
        (value,), _ = placed(version, [TEXT], "file")
        assert value == {
            "path": "/tmp/up/a b.txt",
            "orig_name": "a b.txt",
            "mime_type": "text/plain",
            "size": 5,
        }

    @pytest.mark.parametrize("version", ["4.21.0", "5.50.0", "6.31.0"])
    def test_from_4_21_on_files_are_marked(self, version):
        (value,), commands = placed(version, [TEXT], "file")
        prefix = "/gradio_api" if version >= "5" else ""
        assert commands[0].request.url == f"{BASE}{prefix}/upload"
        assert value["meta"] == META

    def test_all_files_of_a_call_go_up_in_one_form(self):
        other = handle_file(b"other", name="other.txt")
        data, commands = placed(
            "6.31.0", [{"files": [TEXT, other], "text": "x"}, 7, TEXT], "multimodaltextbox", "number", "file",
            paths=["/1", "/2", "/3"],
        )  # fmt: skip
        assert len(commands) == 1
        assert [part.filename for part in commands[0].request.body.parts] == [
            "a b.txt",
            "other.txt",
            "a b.txt",
        ]
        assert [one["path"] for one in data[0]["files"]] == ["/1", "/2"]
        assert (data[0]["text"], data[1], data[2]["path"]) == ("x", 7, "/3")

    def test_one_file_may_take_two_forms(self):
        picture = handle_file(b"hello", name="x.png")
        (image, file), commands = placed("3.50.2", [picture, picture], "image", "file")
        assert image.startswith("data:image/png")
        assert file["is_file"] is True
        assert len(commands) == 1

    def test_more_files_than_a_form_holds_go_up_in_several(self):
        files = [handle_file(b"x", name=f"{number}") for number in range(1001)]
        sequence = upload(files, config("6.31.0"), urls("6.31.0"))
        first = next(sequence)
        assert len(first.request.body.parts) == 1000
        second = sequence.send(Response(200, body=json.dumps(["/x"] * 1000).encode()))
        assert len(second.request.body.parts) == 1
        with pytest.raises(StopIteration) as stop:
            sequence.send(Response(200, body=b'["/last"]'))
        assert stop.value.value[-1] == "/last"

    @pytest.mark.parametrize(
        ("version", "wrapped"), [("3.50.2", False), ("4.44.1", True), ("5.50.0", True), ("6.31.0", False)]
    )
    def test_a_video_has_the_shape_of_its_generation(self, version, wrapped):
        clip = handle_file(b"x", name="x.mp4")
        for given_form in (clip, {"video": clip, "subtitles": None}):
            (value,), _ = placed(version, [given_form], "video")
            assert ("video" in value) is wrapped

    def test_a_path_on_disk_is_read_by_the_driver(self, tmp_path):
        path = tmp_path / "x.txt"
        path.write_text("hello")
        (value,), commands = placed("3.4.1", [handle_file(path)], "file")
        assert commands == [ReadFile(path)]
        assert value["data"] == TEXT_URL

    def test_a_url_is_left_to_servers_that_can_get_it(self):
        (value,), commands = placed("6.31.0", [handle_file("https://host/x.txt")], "file")
        assert commands == []
        assert (value["path"], value["meta"]) == ("https://host/x.txt", META)

    def test_a_url_is_fetched_for_servers_that_cannot(self):
        command = FetchFile("https://host/x.txt")
        (value,), commands = placed(
            "3.4.1", [handle_file("https://host/x.txt")], "file", contents={command: b"hello"}
        )
        assert commands == [command]
        assert value["data"] == TEXT_URL

    def test_servers_without_uploads_say_so(self):
        with pytest.raises(UnsupportedProtocol, match=r"3\.19"):
            next(upload([TEXT], config("3.4.1"), urls("3.4.1")))


class TestFilesForServersWithoutUploads:
    def test_every_file_is_given_with_its_content_wherever_it_came_from(self, tmp_path):
        path = tmp_path / "x.txt"
        path.write_text("from disk")
        data = [{"files": [TEXT, (handle_file(path), 7)]}, handle_file("https://host/y.txt"), "plain"]
        sequence = inline_files(data)
        assert next(sequence) == ReadFile(path)
        assert sequence.send(b"from disk") == FetchFile("https://host/y.txt")
        with pytest.raises(StopIteration) as stop:
            sequence.send(b"from afar")
        first, second, third = stop.value.value
        held, (read, seven) = first["files"]
        assert (held.content, read.content, second.content) == (b"hello", b"from disk", b"from afar")
        assert (read.size, second.size, seven, third) == (9, 9, 7, "plain")


class TestRefusedUploads:
    @pytest.mark.parametrize(
        ("response", "error", "said"),
        [
            (Response(413, body=b"File too big"), InvalidPayload, "too large: File too big"),
            (
                Response(401, body=b'{"detail":"Not authenticated"}'),
                AuthenticationRequired,
                "Not authenticated",
            ),
            (
                Response(422, body=b'{"detail":[{"loc":["body","files"],"msg":"field required"}]}'),
                InvalidPayload,
                "field required",
            ),
            (Response(200, body=b"[]"), MalformedMessage, "did not return a path"),
            (Response(200, body=b"<html>"), MalformedMessage, "did not return a path"),
            (Response(200, body=b'["a", "b"]'), MalformedMessage, "did not return a path"),
            (Response(200, body=b"[null]"), MalformedMessage, "did not return a path"),
            (Response(200, body=b'[""]'), MalformedMessage, "did not return a path"),
        ],
        ids=lambda one: getattr(one, "status", None) and f"{one.status} {one.body[:10]!r}",
    )
    def test_each_is_an_error_of_its_own(self, response, error, said):
        sequence = upload([TEXT], config("6.31.0"), urls("6.31.0"))
        next(sequence)
        with pytest.raises(error, match=said) as caught:
            sequence.send(response)
        assert caught.value.phase is Phase.UPLOAD


def found(version, value, kind="file"):
    reader = FileReader(config(version), urls(version), lambda file: file)
    return reader.outputs([value], slots(kind))[0]


class TestWhatAServerGives:
    def test_a_file_of_today(self):
        raw = {"path": "/tmp/a b#1.txt", "url": f"{BASE}/gradio_api/file=/tmp/a b#1.txt", "size": 5,
               "orig_name": "a b#1.txt", "mime_type": "text/plain", "is_stream": False, "meta": META}  # fmt: skip
        file = found("6.31.0", raw)
        assert file.url == f"{BASE}/gradio_api/file=/tmp/a%20b%231.txt"
        assert (file.name, file.size, file.mime_type, file.raw) == ("a b#1.txt", 5, "text/plain", raw)

    def test_ordinary_json_with_a_path_is_left_alone_where_files_are_marked(self):
        value = {"path": "/tmp/x", "url": None}
        assert found("6.31.0", value, "json") == value
        assert found("4.21.0", value, "file") == value

    @pytest.mark.parametrize("value", [{"path": "/tmp/x"}, {"name": "x", "is_file": True}])
    @pytest.mark.parametrize("version", ["3.50.2", "4.0.2", "4.20.1"])
    def test_json_components_are_left_alone_where_files_are_not_marked(self, version, value):
        assert found(version, value, "json") == value

    def test_before_the_mark_a_path_among_keys_of_files_is_a_file(self):
        assert isinstance(found("4.16.0", {"path": "/tmp/x", "url": None, "size": None}), ServerFile)
        assert found("4.16.0", {"path": "/tmp/x", "more": 1}) == {"path": "/tmp/x", "more": 1}

    @pytest.mark.parametrize("version", ["3.4.1", "3.50.2"])
    def test_a_file_of_3x(self, version):
        file = found(version, {"name": "/tmp/x y.txt", "orig_name": "x y.txt", "data": None, "is_file": True})
        assert (file.url, file.orig_name) == (f"{BASE}/file=/tmp/x%20y.txt", "x y.txt")

    @pytest.mark.parametrize("version", ["2.9.4", "3.1.7"])
    def test_a_file_inside_the_payload(self, version):
        file = found(version, {"name": "x.txt", "size": 5, "data": TEXT_URL})
        assert (file.content, file.name, file.mime_type, file.url) == (b"hello", "x.txt", "text/plain", "")

    def test_the_bare_base64_of_2_3(self):
        file = found("2.3.6", {"name": "x.txt", "size": 5, "data": base64.b64encode(b"hello").decode()})
        assert file.content == b"hello"

    @pytest.mark.parametrize("version", ["2.9.4", "3.50.2"])
    def test_an_image_as_a_data_url(self, version):
        file = found(version, "data:image/png;base64," + base64.b64encode(b"png").decode(), "image")
        assert (file.content, file.name) == (b"png", "file.png")

    def test_a_sound_as_a_data_url_has_a_fitting_name(self):
        file = found("3.1.7", "data:audio/wav;base64,UklGRg==", "audio")
        assert file.name == "file.wav"

    @pytest.mark.parametrize("kind", ["textbox", "markdown", "html", "label"])
    def test_a_text_that_looks_like_one_is_left_alone(self, kind):
        assert found("3.50.2", TEXT_URL, kind) == TEXT_URL

    def test_a_marked_file_whose_url_holds_it_is_its_content(self):
        file = found("6.31.0", {"path": "x.txt", "url": TEXT_URL, "meta": META})
        assert file.content == b"hello"
        broken = found("6.31.0", {"path": "/tmp/x.txt", "url": "data:text/plain;base64,!", "meta": META})
        assert broken.url == f"{BASE}/gradio_api/file=/tmp/x.txt"

    def test_what_is_no_base64_is_left_alone(self):
        assert found("3.50.2", "data:image/png;base64,?!", "image") == "data:image/png;base64,?!"

    @pytest.mark.parametrize(("version", "kind"), [("3.50.2", "textbox"), ("6.31.0", "image")])
    def test_a_data_url_is_a_text_where_the_version_sends_no_files_as_one(self, version, kind):
        assert found(version, TEXT_URL, kind) == TEXT_URL

    def test_compound_values_are_walked(self):
        raw = {"path": "/x", "meta": META}
        gallery = found("6.31.0", [{"image": raw, "caption": None}], "gallery")
        assert isinstance(gallery[0]["image"], ServerFile)
        chat = found("6.31.0", [{"role": "user", "content": [{"type": "file", "file": raw}]}], "chatbot")
        assert isinstance(chat[0]["content"][0]["file"], ServerFile)
        update = found("6.31.0", {"__type__": "update", "value": raw}, "file")
        assert isinstance(update["value"], ServerFile)

    def test_a_value_without_files_is_the_same_object(self):
        data = [[{"image": None}]]
        reader = FileReader(config("6.31.0"), urls("6.31.0"), lambda file: file)
        assert reader.outputs(data, slots("gallery")) is data

    def test_only_what_has_changed_from_one_frame_to_the_next_is_searched(self):
        made = []
        reader = FileReader(config("6.31.0"), urls("6.31.0"), lambda file: made.append(file) or file)
        files = [{"image": {"path": f"/{number}", "meta": META}} for number in range(3)]
        frames = [[files[:2]], [files], [[*files[:2], {**files[2], "caption": "c"}]], [[files[2]]]]
        outputs = [reader.outputs(frame, slots("gallery"))[0] for frame in frames]
        assert [one["image"].path for one in outputs[1]] == ["/0", "/1", "/2"]
        assert outputs[2][2] == {"image": outputs[1][2]["image"], "caption": "c"}
        assert outputs[2][0] is outputs[1][0] is outputs[0][0]
        assert [one["image"].path for one in outputs[3]] == ["/2"]
        assert len(made) == 4

    def test_the_same_outputs_of_the_next_frame_are_the_same_objects(self):
        reader, outputs = FileReader(config("6.31.0"), urls("6.31.0"), lambda file: file), slots("gallery")
        plain, files = [[{"caption": "a"}]], [[{"image": {"path": "/x", "meta": META}}]]
        assert reader.outputs(plain, outputs) is plain
        assert reader.outputs(plain, outputs) is plain
        first = reader.outputs(files, outputs)
        assert reader.outputs([files[0]], outputs)[0] is first[0]
        assert reader.outputs([[*files[0], {"caption": "b"}]], outputs)[0][0] is first[0][0]

    def test_outputs_of_state_are_not_counted(self):
        reader = FileReader(config("6.31.0"), urls("6.31.0"), lambda file: file)
        outputs = [Component(1, "state", skipped=True), Component(2, "file")]
        assert isinstance(reader.outputs([{"path": "/x", "meta": META}], outputs)[0], ServerFile)

    def test_a_stream_is_at_its_url(self):
        url = f"{BASE}/gradio_api/stream/s/1/2/playlist.m3u8"
        file = found("5.50.0", {"path": "s/1/2", "url": url, "is_stream": True, "meta": META}, "audio")
        assert (file.url, file.is_stream) == (url, True)
        old = found("3.50.2", {"name": "s/1/2", "is_stream": True, "data": None}, "audio")
        assert (old.url, old.is_stream) == (f"{BASE}/stream/s/1/2", True)

    def test_what_the_server_believes_of_its_address_is_put_right(self):
        reader = FileReader(
            config("6.31.0"), AppURLs("https://outside/app", "/gradio_api", "http://inside:7860"), lambda f: f
        )
        url = "http://inside:7860/gradio_api/stream/s/1/2/playlist.m3u8"
        file = reader.value({"path": "", "url": url, "is_stream": True, "meta": META}, "audio")
        assert file.url == "https://outside/app/gradio_api/stream/s/1/2/playlist.m3u8"

    def test_a_path_that_is_a_url_is_one(self):
        assert found("6.31.0", {"path": "https://cdn/x y.png", "meta": META}).url == "https://cdn/x%20y.png"

    @pytest.mark.parametrize(
        "raw", [{"path": 3, "meta": META}, {"path": None, "url": None, "meta": META}, {"meta": META}]
    )
    def test_marked_nonsense_is_left_alone(self, raw):
        assert found("6.31.0", raw) == raw

    @pytest.mark.parametrize("field", ["size", "orig_name", "mime_type"])
    @pytest.mark.parametrize("wrong", [[], {}, -1, True, 1.5])
    def test_fields_of_wrong_types_count_as_missing(self, field, wrong):
        file = found("6.31.0", {"path": "/x", "meta": META, field: wrong})
        assert getattr(file, field) is None

    def test_nesting_beyond_reason_is_left_alone(self):
        value = {"path": "/x", "meta": META}
        for _ in range(500):
            value = [value]
        assert found("6.31.0", value) is value

    def test_components_that_hold_no_files_need_not_be_searched(self):
        assert not may_hold_files(slots("textbox", "number", "dataframe"))
        assert may_hold_files(slots("textbox", "gallery"))
        assert may_hold_files(slots())  # nobody says

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(
                    st.sampled_from(["path", "url", "meta", "name", "data", "is_file", "x"]), inner
                )
            ),
        )
    )
    def test_no_value_breaks_it(self, value):
        for version in ("2.3.6", "3.50.2", "4.0.2", "6.31.0"):
            found(version, value)


class TestGivenBack:
    def test_a_file_of_the_app_does_not_travel_again(self):
        file = found("6.31.0", {"path": "/tmp/x", "orig_name": "x", "meta": META})
        (value,), commands = placed("6.31.0", [file], "file")
        assert commands == []
        assert (value["path"], value["meta"]) == ("/tmp/x", META)

    def test_a_file_from_inside_a_payload_goes_the_way_of_the_callers(self):
        file = found("2.3.6", {"name": "x.txt", "size": 5, "data": base64.b64encode(b"hello").decode()})
        (value,), _ = placed("2.3.6", [[file]], "file")
        assert value[0]["data"] == TEXT_URL

    def test_a_file_of_another_app_is_fetched_there_and_goes_the_way_of_the_callers(self):
        file = ServerFile(url="http://other/file=/x", path="/x", orig_name="a b.txt", app="http://other")
        command = ReadServerFile(file)
        (value, again), commands = placed(
            "3.4.1", [{"x": [file]}, file], "file", "file", contents={command: b"hello"}
        )
        assert commands == [command, command]
        assert (value["x"][0]["data"], again["data"]) == (TEXT_URL, TEXT_URL)
        assert "sync and async" in str(command.refusal())

    def test_a_file_without_a_path_is_refused(self):
        file = ServerFile(url=f"{BASE}/x", app=BASE)
        with pytest.raises(UnsupportedProtocol, match="no path"):
            placed("6.31.0", [file], "file")


class TestFetching:
    def test_redirects_are_followed_up_to_a_bound(self):
        sequence = locate("http://host/1", 2)
        assert next(sequence).url == "http://host/1"
        assert sequence.send(Response(302, {"location": "/2"})).url == "http://host/2"
        assert sequence.send(Response(307, {"location": "http://else/3"})).url == "http://else/3"
        with pytest.raises(RemoteProtocolError, match="max_redirects"):
            sequence.send(Response(302, {"location": "/4"}))

    @pytest.mark.parametrize("target", ["http://[half", "http://host:99999/x", "http://host/\x1b[2J"])
    def test_a_redirect_to_what_is_no_url_is_refused(self, target):
        sequence = locate("http://host/1", 2)
        next(sequence)
        with pytest.raises(RemoteProtocolError, match="which is not a URL"):
            sequence.send(Response(302, {"location": target}))

    def test_a_login_page_is_no_file(self):
        sequence = locate("http://host/1", 2)
        next(sequence)
        refused = Response(302, {"location": "/login"})
        with pytest.raises(StopIteration):
            sequence.send(refused)
        assert type(file_unavailable_error(refused, "http://host/1")) is AuthenticationRequired

    def test_a_file_without_a_path_and_a_url_is_nowhere(self):
        assert found("6.31.0", {"path": "", "url": "", "meta": META}).url == ""
        assert found("6.31.0", {"path": "", "url": None, "meta": META}).url == ""

    def test_a_path_that_is_no_text_can_be_asked_for(self):
        assert found("6.31.0", {"path": "/tmp/\ud83d.txt", "meta": META}).url.endswith("/tmp/%3F.txt")

    def test_segments_that_are_no_url_are_left_out(self):
        requests: Any = SimpleNamespace(timeouts=Timeouts())
        playlist = Playlist(requests, f"{BASE}/x/p.m3u8")
        assert list(playlist.new_segments([b"a.aac\nhttp://[half\n"])) == [f"{BASE}/x/a.aac"]
        assert list(playlist.new_segments([b"a.aac\nhttp://[half\nb.aac"])) == [f"{BASE}/x/b.aac"]

    def test_a_playlist_of_too_many_segments_is_refused(self):
        with pytest.raises(EventTooLarge, match="more than 50,000 segments"):
            playlist_segments("a\n" * 50_001)

    @pytest.mark.parametrize(("status", "error"), [(401, AuthenticationRequired), (429, RateLimited)])
    def test_a_file_for_which_one_must_ask_otherwise(self, status, error):
        assert type(file_unavailable_error(Response(status), f"{BASE}/file=/x")) is error

    def test_a_download_that_breaks_off_says_after_how_many_bytes(self):
        error = download_error("http://x/y?secret=1", Closed(Ending.RESET), 3, None)
        assert isinstance(error, StreamLost)
        assert error.retryable
        assert "after 3 bytes (reset)" in str(error)
        assert "secret" not in str(error)

    @pytest.mark.parametrize(
        ("text", "size"), [("12", 12), ("", None), ("-1", None), ("²", None), ("9" * 5000, int("9" * 18))]
    )
    def test_the_length_of_a_body_is_a_number_or_not_said(self, text, size):
        assert content_length(Response(200, {"content-length": text})) == size

    def test_a_reply_ends_it(self):
        sequence = locate("http://host/1", 2)
        next(sequence)
        with pytest.raises(StopIteration):
            sequence.send(Response(200))

    @pytest.mark.parametrize("status", [403, 404, 500, 204])
    def test_a_file_that_is_not_given(self, status):
        error = file_unavailable_error(Response(status, body=b"no"), f"{BASE}/file=/x?secret=1")
        assert isinstance(error, FileUnavailable)
        assert error.status == status
        assert "secret" not in str(error)
        assert "proxy" not in str(error)

    def test_a_proxy_that_may_have_replied_is_named(self):
        error = file_unavailable_error(Response(503, proxy="http://proxy:1 (of http_proxy)"), f"{BASE}/a")
        assert "It came through the proxy http://proxy:1 (of http_proxy), which may" in str(error)

    def test_a_playlist(self):
        url = f"{BASE}/gradio_api/stream/s/1/2/playlist.m3u8"
        text = "#EXTM3U\n#EXTINF:1,\na1.aac\n\n#EXTINF:1,\nhttp://else/a2.aac\n"
        assert is_playlist(url)
        assert playlist_segments(text) == (["a1.aac", "http://else/a2.aac"], False)
        assert playlist_segments(text + "#EXT-X-ENDLIST")[1]
        assert whole_file_url(url) == url.replace("playlist.m3u8", "playlist-file")
        assert whole_file_url(f"{BASE}/file=/x") == f"{BASE}/file=/x"

    def test_errors_name_their_setting(self):
        assert "max_download_bytes" in str(file_too_large_error("http://x/y", 5))
        assert isinstance(file_too_large_error("http://x/y", 5), EventTooLarge)
        error = download_error("http://x", Closed(Ending.IDLE), 3, 1.5)
        assert isinstance(error, TimeoutExpired)
        assert error.setting == "download_stall"
