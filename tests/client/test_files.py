# SPDX-License-Identifier: Apache-2.0
"""Files as users of the Gradio Python client have them, up and down, and whose wish it is that one is read."""

import copy
import inspect
import itertools
import json
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import tried
from scripted import CONFIG, Reply, Scripted, completed, generating, scripted

import gradio_transport as gt
from gradio_transport.app.config_parsing import parse_config
from gradio_transport.client import AsyncClient, Client, FileError, OutputFile, file, handle_file
from gradio_transport.client.files import deliver, take_files, take_uploads
from gradio_transport.files.inputs import InputFile
from gradio_transport.files.outputs import ServerFile

META = {"_type": "gradio.FileData"}
SECRET = "root:x:0:0:secret"
UPLOAD, JOIN, INFO = "/gradio_api/upload", "/gradio_api/queue/join", "/gradio_api/info"
APP = "http://app/at"
SECONDS = 20.0

POSIX = pytest.mark.skipif(os.name == "nt", reason="links and pipes as POSIX has them")

clients = pytest.mark.parametrize("face", ["sync", "asyncio", "trio"])


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as one:
        one.config = of_kind("file")
        one.scripts[UPLOAD] = lambda reply: reply.json(["/tmp/up/0"])
        yield one


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.txt"
    path.write_text(SECRET)
    return path


def of_kind(kind: str, version: str = "6.31.0") -> dict[str, Any]:
    components = [{"id": number, "type": kind, "props": {}} for number in (1, 2)]
    return {**CONFIG, "version": version, "components": components}


def gives(server: Scripted, value: Any, *yielded: Any) -> None:
    """Let every call give a value."""

    numbers = itertools.count()

    def join(reply: Reply) -> None:
        stream = server.messages(reply.body["session_hash"])
        event_id = f"event{next(numbers)}"
        begin = {"msg": "estimation", "rank": 0, "queue_size": 1}
        for message in (begin, *map(generating, yielded), completed(value)):
            stream.put({**message, "event_id": event_id})
        reply.json({"event_id": event_id})

    server.scripts[JOIN] = join


def sent(server: Scripted) -> Any:
    """Return the argument of the last call."""
    return [body["data"][0] for path, body in server.seen if path == JOIN][-1]


def uploads(server: Scripted) -> list[bytes]:
    return [body for path, body in server.seen if path == UPLOAD]


def with_client(
    face: str, url: str, use: Callable[[Any, Callable[[Any], Any]], Any], **arguments: Any
) -> Any:
    """Return what the coroutine function `use` returns for a client, and what waits for its methods."""

    async def wait(value: Any) -> Any:
        return await value if inspect.isawaitable(value) else value

    async def main() -> Any:
        if face == "sync":
            with Client(url, **arguments) as client:
                return await use(client, wait)
        async with AsyncClient(url, **arguments) as client:
            return await use(client, wait)

    return anyio.run(main, backend="trio" if face == "trio" else "asyncio")


# --- what the caller marks ------------------------------------------------------------------------------


def test_handle_file_gives_a_dict_of_the_shape_that_programs_know(mine: Path) -> None:
    expected = {"path": str(mine), "meta": META, "orig_name": "mine.txt"}
    for made in (handle_file(mine), handle_file(str(mine)), file(mine)):
        assert json.loads(json.dumps(made)) == made == expected
    url = "https://host/some/photo.png?x=1"
    assert handle_file(url) == {"path": url, "url": url, "meta": META, "orig_name": "photo.png"}


@clients
def test_a_file_that_the_caller_marks_goes_up_wherever_it_stands(
    face: str, server: Scripted, mine: Path
) -> None:
    marked = {"path": str(mine), "meta": META}
    values = [
        handle_file(mine), dict(handle_file(mine)), marked, {**marked, "url": None, "orig_name": "mine.txt"},
    ]  # fmt: skip

    async def use(client: Any, wait: Callable[[Any], Any]) -> None:
        for value in values:
            await wait(client.predict(value, api_name="/hello"))
            assert (sent(server)["path"], sent(server)["orig_name"]) == ("/tmp/up/0", "mine.txt")
        await wait(client.submit(handle_file(mine), api_name="/hello").result(timeout=SECONDS))

    with_client(face, server.url, use)
    assert len(uploads(server)) == 5
    assert all(SECRET.encode() in body for body in uploads(server))


def test_what_the_caller_says_of_a_file_is_said_to_the_app_and_nothing_is_changed(mine: Path) -> None:
    given = {
        "files": ({"path": str(mine), "meta": META, "orig_name": "a.x", "mime_type": "x/y"}, 7),
        "n": [1],
    }
    before = copy.deepcopy(given)
    taken = take_files(given, APP, parse_config(of_kind("json")))
    found, seven = taken["files"]
    assert (found.path, found.name, found.content_type, seven) == (mine, "a.x", "x/y", 7)
    assert taken["n"] is given["n"]
    assert given == before


@pytest.mark.parametrize(
    "value",
    [
        {"path": "/etc/hosts"}, {"path": "/etc/hosts", "meta": {}}, {"path": "/etc/hosts", "meta": None},
        {"path": "/etc/hosts", "meta": {"_type": "other"}}, {"path": None, "meta": META}, "/etc/hosts",
        {"path": "/x", "url": 5, "meta": META}, {"path": "/x", "url": "data:,x", "meta": META},
        {"path": "/x", "url": "file:///etc/hosts", "meta": META},
    ],
)  # fmt: skip
def test_what_is_not_marked_as_a_file_of_this_machine_stays_as_it_is(value: Any) -> None:
    assert take_files(value, APP, parse_config(of_kind("json"))) is value
    nested = [{"x": (value, 1)}]
    assert take_files(nested, APP, parse_config(of_kind("json"))) is nested


def test_parameters_may_be_called_as_the_keys_of_a_file(server: Scripted, mine: Path) -> None:
    names = ("path", "meta")
    parameters = [{"parameter_name": name, "type": {}, "python_type": {"type": "Any"}} for name in names]
    described = {"/hello": {"parameters": parameters, "returns": []}}
    dependencies = [{**CONFIG["dependencies"][0], "inputs": [1, 1]}]
    server.config = {**of_kind("json"), "dependencies": dependencies}
    server.scripts[INFO] = lambda reply: reply.json({"named_endpoints": described, "unnamed_endpoints": {}})
    gives(server, "taken")
    with Client(server.url) as client:
        assert client.predict(path=str(mine), meta=META, api_name="/hello") == "taken"
    assert uploads(server) == []


def test_an_output_that_is_changed_changes_no_other(server: Scripted) -> None:
    gives(server, ["a", {"b": "c"}], ["a"])
    for folder in (None, False):
        with Client(server.url, download_files=folder) as client:
            job = client.submit("x", api_name="/hello")
            job.result(SECONDS)[1]["b"] = "changed"
            assert job._history.outputs[-1].data == [["a", {"b": "c"}]]


def test_a_marked_path_where_no_file_is_is_a_value_error(server: Scripted, tmp_path: Path) -> None:
    with Client(server.url) as client, pytest.raises(ValueError, match="no such file") as caught:
        client.predict({"path": str(tmp_path / "missing"), "meta": META}, api_name="/hello")
    assert isinstance(caught.value, FileError)
    assert not [path for path, _ in server.seen if path == JOIN]


# --- what a browser sends to a server of this process --------------------------------------------------


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A file that a browser uploaded, in the directory for those."""
    path = tmp_path / "uploads" / "hash" / "a.txt"
    path.parent.mkdir(parents=True)
    path.write_text("uploaded")
    return path


def taken(value: Any, stored: Path) -> Any:
    """Return what is sent for a value of a browser."""
    return take_files(
        take_uploads(value, stored.parents[1]), APP, parse_config(of_kind("json", version="6.31.0"))
    )


@pytest.mark.parametrize(
    "url", [None, "", "/gradio_api/proxy=http://app/file=a.txt", "http://elsewhere/a", 5]
)
def test_an_uploaded_file_is_sent_whatever_its_url(url: Any, stored: Path) -> None:
    marked = {"path": str(stored), "url": url, "orig_name": "mine.txt", "mime_type": "x/y", "meta": META}
    for value in (marked, {**marked, "path": str(stored.parent / ".." / "hash" / "a.txt")}):
        found, seven = taken({"files": [(value, 7)]}, stored)["files"][0]
        assert isinstance(found, InputFile)
        assert (found.path, found.name, found.content_type) == (stored.resolve(), "mine.txt", "x/y")
        assert seven == 7


@POSIX
def test_a_link_within_the_directory_of_uploads_is_followed(stored: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(stored.parents[1])
    (stored.parent / "link").symlink_to(stored)
    value = {"path": str(tmp_path / "alias" / "hash" / "link"), "meta": META}
    found = take_files(take_uploads(value, tmp_path / "alias"), APP, parse_config(of_kind("json")))
    assert found.path == stored.resolve()


@pytest.fixture(
    params=[
        "another path", "dots", "link", "link to a directory", "beside", "directory", "itself", "pipe", "loop",
        "missing", "home", "empty", "NUL", "surrogate", "long", "a URL", "relative",
    ]
)  # fmt: skip
def not_uploaded(request: pytest.FixtureRequest, stored: Path, mine: Path) -> str:
    """A path that a browser names and that is no uploaded file."""
    uploads, folder = stored.parents[1], stored.parent
    beside = uploads.with_name("uploads-of-another")
    beside.mkdir()
    (beside / "a.txt").write_text(SECRET)
    (folder / "link").symlink_to(mine)
    (folder / "folder").symlink_to(mine.parent)
    (folder / "loop").symlink_to(folder / "loop")
    os.mkfifo(folder / "pipe")
    return {
        "another path": str(mine),
        "dots": f"{folder}/../../mine.txt",
        "link": f"{folder}/link",
        "link to a directory": f"{folder}/folder/mine.txt",
        "beside": f"{beside}/a.txt",
        "directory": str(folder),
        "itself": str(uploads),
        "pipe": f"{folder}/pipe",
        "loop": f"{folder}/loop",
        "missing": f"{folder}/missing",
        "home": "~/a.txt",
        "empty": "",
        "NUL": f"{stored}\0",
        "surrogate": f"{folder}/\ud800",
        "long": f"{folder}/{'x' * 5000}",
        "a URL": "http://inside/a.txt",
        "relative": os.path.relpath(mine),
    }[str(request.param)]


@POSIX
@pytest.mark.parametrize("url", ["no key", None, "", "/gradio_api/proxy=http://app/file=a.txt", 5])
def test_no_other_file_that_a_browser_names_is_read(not_uploaded: str, url: Any, stored: Path) -> None:
    value = {"path": not_uploaded, "meta": META} | ({} if url == "no key" else {"url": url})
    before = copy.deepcopy(value)
    for made in (taken(value, stored), taken([{"x": (value,)}], stored)[0]["x"][0]):
        assert not isinstance(made, InputFile) or made.path is None
    assert value == before


@pytest.mark.parametrize(
    "value", ["text", {"path": "/etc/hosts"}, {"path": 5, "meta": META}, [1, {"a": "b"}]]
)
def test_what_a_browser_did_not_mark_stays_as_it_is(value: Any, stored: Path) -> None:
    assert take_uploads(value, stored.parents[1]) is value


def test_without_a_directory_of_uploads_nothing_is_read(stored: Path, tmp_path: Path) -> None:
    value = {"path": str(stored), "meta": META}
    for directory in (None, tmp_path / "missing"):
        made = take_files(take_uploads(value, directory), APP, parse_config(of_kind("json")))
        assert isinstance(made, ServerFile)


def test_what_the_program_marks_itself_is_no_value_of_a_browser(stored: Path, mine: Path) -> None:
    assert taken(handle_file(mine), stored).path == mine


# --- what a server gives --------------------------------------------------------------------------------


@clients
def test_a_file_left_on_the_server_is_a_dict_that_can_be_fetched(
    face: str, server: Scripted, tmp_path: Path
) -> None:
    raw = {"path": "/tmp/out/a.txt", "url": "http://inside/a", "size": 7, "orig_name": "a.txt", "meta": META}
    gives(server, {"file": raw})
    server.scripts["/gradio_api/file=/tmp/out/a.txt"] = lambda reply: reply.text("content")

    async def use(client: Any, wait: Callable[[Any], Any]) -> None:
        found = (await wait(client.predict("x", api_name="/hello")))["file"]
        assert isinstance(found, OutputFile)
        assert isinstance(found, dict)
        assert json.loads(json.dumps(found)) == {
            **raw, "url": f"{server.url}/gradio_api/file=/tmp/out/a.txt", "mime_type": None, "is_stream": False,
        }  # fmt: skip
        assert (found["url"], found.get("path")) == (found.remote.url, found.remote.path)
        assert await wait(found.read()) == b"content"
        assert (await wait(found.download(tmp_path))).read_text() == "content"
        reader = found.open()
        if face == "sync":
            with reader:
                assert reader.read() == b"content"
        else:
            async with reader:
                assert await reader.read() == b"content"
        for made in (copy.deepcopy(found), copy.copy(found), pickle.loads(pickle.dumps(found))):
            assert made == found
            assert type(made) is dict

    with_client(face, server.url, use, download_files=False)


@clients
def test_a_file_goes_back_to_its_app_by_its_path(face: str, server: Scripted) -> None:
    gives(server, {"path": "/tmp/out/a.txt", "meta": META})

    async def use(client: Any, wait: Callable[[Any], Any]) -> None:
        found = await wait(client.predict("x", api_name="/hello"))
        for value in (found, json.loads(json.dumps(found)), dict(found)):
            await wait(client.predict(value, api_name="/hello"))
            assert sent(server)["path"] == "/tmp/out/a.txt"

    with_client(face, server.url, use, download_files=False)
    assert uploads(server) == []


@clients
def test_a_file_of_one_app_goes_to_another(face: str, server: Scripted) -> None:
    gives(server, {"path": "/tmp/out/a.txt", "orig_name": "a.txt", "meta": META})
    server.scripts["/gradio_api/file=/tmp/out/a.txt"] = lambda reply: reply.text("content")
    with scripted() as other:
        other.config = of_kind("file")
        other.scripts[UPLOAD] = lambda reply: reply.json(["/tmp/there/a.txt"])
        gives(other, "thanks")

        async def use(client: Any, wait: Callable[[Any], Any]) -> None:
            found = await wait(client.predict("x", api_name="/hello"))

            async def pass_on(second: Any, wait: Callable[[Any], Any]) -> None:
                assert await wait(second.predict(found, api_name="/hello")) == "thanks"

            if face == "sync":
                with Client(other.url) as second:
                    await pass_on(second, wait)
            else:
                async with AsyncClient(other.url) as second:
                    await pass_on(second, wait)

        with_client(face, server.url, use, download_files=False)
        assert b"content" in uploads(other)[0]
        assert sent(other)["path"] == "/tmp/there/a.txt"


def test_a_stream_is_left_on_the_server_until_it_is_complete(server: Scripted, tmp_path: Path) -> None:
    streamed = {"path": "/tmp/s", "url": f"{server.url}/gradio_api/stream/x", "is_stream": True, "meta": META}
    gives(server, {"path": "/tmp/out/a.txt", "meta": META}, streamed)
    server.scripts["/gradio_api/file=/tmp/out/a.txt"] = lambda reply: reply.text("content")
    with Client(server.url, download_files=tmp_path) as client:
        first, last = client.submit("x", api_name="/hello")
    assert isinstance(first, OutputFile)
    assert first["is_stream"] is True
    assert Path(last).read_text() == "content"


@pytest.mark.parametrize(
    ("raw", "url"),
    [
        ({"path": "/etc/hosts", "url": "data:;base64,eA==", "meta": META}, "data:;base64,eA=="),
        ("data:image/png;base64,eA==", "data:image/png;base64,eA=="),
        ({"name": "x", "data": "data:,x"}, "data:,x"),
    ],
)
def test_a_file_inside_the_payload_has_its_data_url(raw: Any, url: str) -> None:
    made = OutputFile(gt.RemoteFile(url="", content=b"x", app=APP, raw=raw, fetcher=None))
    assert (made["url"], made["path"]) == (url, None)


@pytest.mark.parametrize("given", [True, None])
def test_files_go_to_the_usual_place_where_they_are_wanted(
    given: Any, server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    gives(server, {"path": "/tmp/out/a.txt", "meta": META})
    server.scripts["/gradio_api/file=/tmp/out/a.txt"] = lambda reply: reply.text("content")
    with Client(server.url, download_files=given) as client:
        assert Path(client.predict("x", api_name="/hello")).parent == tmp_path


# --- what a server would have the caller read -----------------------------------------------------------

LAUNDERED: dict[str, Callable[[Any], Any]] = {
    "as it is": lambda value: value,
    "by JSON": lambda value: json.loads(json.dumps(value)),
    "by a copy": copy.deepcopy,
    "by a pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "as a plain dict": dict,
    "as a part of another": lambda value: {"files": [{**value}], "text": "x"},
}


@clients
@pytest.mark.parametrize("url", [{}, {"url": None}, {"url": ""}, {"url": 0}, {"url": []}])
@pytest.mark.parametrize("kind", ["file", "json", "textbox", "markdown"])
def test_an_output_that_is_passed_on_never_has_a_file_of_the_caller_read(
    face: str, kind: str, url: dict[str, Any], server: Scripted, mine: Path
) -> None:
    server.config = of_kind(kind)
    gives(server, {"inside": [{"path": str(mine), "orig_name": "x", "meta": META, **url}]})

    async def use(client: Any, wait: Callable[[Any], Any]) -> None:
        (found,) = (await wait(client.predict("x", api_name="/hello")))["inside"]
        for launder in LAUNDERED.values():
            await wait(client.predict(launder(found), api_name="/hello"))

    with_client(face, server.url, use, download_files=False)
    assert uploads(server) == []
    assert SECRET not in repr(server.seen)


@pytest.mark.parametrize("folder", ["downloads", False])
def test_a_text_box_that_gives_a_file_gives_no_wish_of_the_caller(
    folder: Any, server: Scripted, mine: Path, tmp_path: Path
) -> None:
    server.config = of_kind("textbox")
    gives(server, {"path": str(mine), "meta": META})
    with Client(server.url, download_files=folder and tmp_path / folder) as client:
        found = client.predict("x", api_name="/hello")
        assert found["url"]
        client.predict(found, api_name="/hello")
    assert uploads(server) == []


def test_defaults_and_examples_are_no_wish_of_the_caller(server: Scripted, mine: Path) -> None:
    attack = {"path": str(mine), "meta": META}
    parameter = {
        "parameter_name": "x", "parameter_has_default": True, "parameter_default": attack,
        "example_input": [{"of": attack}], "type": {}, "python_type": {"type": "Any"}, "component": "Json",
    }  # fmt: skip
    info = {
        "named_endpoints": {"/hello": {"parameters": [parameter], "returns": []}},
        "unnamed_endpoints": {},
    }
    server.config = of_kind("json")
    server.config["components"][0]["props"]["value"] = attack
    server.scripts[INFO] = lambda reply: reply.json(info)
    with Client(server.url) as client:
        told = client.view_api(return_format="dict")
        assert isinstance(told, dict)
        (shown,) = told["named_endpoints"]["/hello"]["parameters"]
        raw = client.app_config.endpoint("/hello").parameters[0]
        configured = client.config["components"][0]["props"]["value"]
        defaults = (raw.default, dict(raw.default), configured, {"of": [configured]})
        for value in (shown["parameter_default"], shown["example_input"], *defaults):
            client.predict(value, api_name="/hello")
        client.predict(api_name="/hello")
    assert uploads(server) == []
    assert SECRET not in repr(server.seen)


_PATHS = st.sampled_from(["/etc/hosts", "relative", "\ud800", "http://host/x", "https://host/x", "", None, 5])
_URLS = st.one_of(
    st.none(),
    st.sampled_from(["", 0, False, [], {}, "/x", "http://[", "\\\\x", "http://h/x", "data:,x", "file:///x"]),
)
_FILES = st.fixed_dictionaries(
    {"meta": st.just(META)}, optional={"path": _PATHS, "url": _URLS, "orig_name": st.text()}
)
_VALUES = st.recursive(
    st.one_of(_FILES, st.none(), st.text(), st.integers()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b", "path", "url", "meta"]), inner, max_size=3)),
    max_leaves=8,
)  # fmt: skip


@tried(300)
@given(_VALUES)
def test_nothing_of_a_server_is_ever_a_file_of_this_machine(value: Any) -> None:
    config = parse_config(of_kind("json"))
    taken = take_files(json.loads(json.dumps(deliver(value))), APP, config)
    assert not [found for found in walk(taken) if isinstance(found, InputFile) and found.path is not None]


def walk(value: Any) -> Iterator[Any]:
    yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(item)


def test_a_file_of_another_server_goes_by_its_url_or_is_refused(mine: Path) -> None:
    given = {"path": str(mine), "url": "http://other/file=/x", "orig_name": "a.txt", "meta": META}
    taken = take_files(given, APP, parse_config(of_kind("file")))
    assert isinstance(taken, InputFile)
    assert (taken.url, taken.path, taken.name) == ("http://other/file=/x", None, "a.txt")
    old = parse_config(of_kind("file", "3.50.2"))
    with pytest.raises(FileError, match=r"handle_file\(url\)"):
        take_files(given, APP, old)
    # The caller named this one, so this machine fetches it.
    assert isinstance(take_files(handle_file("http://other/x"), APP, old), InputFile)


def test_a_file_of_the_app_is_known_by_its_url() -> None:
    config = parse_config(of_kind("file"))
    for url in (f"{APP}/gradio_api/file=/x/a.txt", "file=/x/a.txt"):
        taken = take_files({"path": "/x/a.txt", "url": url, "size": 7, "meta": META}, APP, config)
        assert isinstance(taken, ServerFile)
        assert (taken.path, taken.app, taken.size) == ("/x/a.txt", APP, 7)
    beside = take_files({"path": "/x", "url": "http://app/another/file=/x", "meta": META}, APP, config)
    assert isinstance(beside, InputFile)
