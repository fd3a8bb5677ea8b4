# SPDX-License-Identifier: Apache-2.0
"""Every parser of what a server sends takes four times as long for four times as much, whatever that is.

One that takes the square takes sixteen times as long, and a worse one longer still. Measured is the time of
this thread alone, and the shortest of several runs: whatever else the machine does only makes a run longer.
"""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import pytest
from growth import check_growth

from gradio_transport.app.config import AppConfig, Endpoint, Parameter
from gradio_transport.app.config_parsing import config_from_page, parse_config, parse_release, with_rendered
from gradio_transport.app.credentials import Credentials
from gradio_transport.app.translations import translate
from gradio_transport.calls.mailbox import Mailbox
from gradio_transport.engines.chunk_joining import ChunkJoiner
from gradio_transport.engines.content_coding import Unpacker
from gradio_transport.engines.replies import response_head
from gradio_transport.engines.websocket_client import _Fragments
from gradio_transport.errors import GradioTransportError, Phase, did_you_mean, excerpt, list_texts
from gradio_transport.events import ProcessGenerating, Progress
from gradio_transport.files.fetch import playlist_segments, range_validator
from gradio_transport.files.names import safe_filename
from gradio_transport.files.outputs import FileReader
from gradio_transport.files.paths import check_paths
from gradio_transport.files.shapes import shape_of
from gradio_transport.protocol.access import access_advice
from gradio_transport.protocol.commands import Response
from gradio_transport.protocol.diff import DiffDecoder
from gradio_transport.protocol.json import decode_json, held_bytes
from gradio_transport.protocol.messages import decode
from gradio_transport.protocol.quota import is_quota_exceeded, quota_wait
from gradio_transport.protocol.refusals import app_error, refusal
from gradio_transport.protocol.retry_after import retry_after
from gradio_transport.protocol.sse import SSEDecoder
from gradio_transport.protocol.urls import AppURLs, resolve_reference, shown_url

SIZE = 32_000
"""Bytes of the smaller input; a parser that takes their square takes seconds for the larger one."""

MAKE = Callable[[int], Any]
READ = Callable[[Any], object]


def config(**keys: Any) -> dict[str, Any]:
    return {"version": "6.31.0", "components": [], "dependencies": [], **keys}


def refused(body: bytes, kind: str = "text/html") -> Response:
    return Response(500, {"content-type": kind}, body)


def read_refusal(response: Response) -> object:
    return refusal(response, Phase.JOIN)


def shown_beginning(text: str) -> object:
    return app_error({"error": {"a": text}}, quoted=True), list_texts([text])


def read_challenge(header: str) -> object:
    return access_advice(Response(401, {"www-authenticate": header}))


def read_date(header: str) -> object:
    return retry_after(header, 0.0), range_validator(Response(200, {"last-modified": header, "date": header}))


def read_quota(text: str) -> object:
    return is_quota_exceeded(text, text), quota_wait(text)


def read_quoted(text: str) -> object:
    return app_error({"error": text}, quoted=True)


def read_json(text: str) -> object:
    with suppress(ValueError):
        return decode_json(text), held_bytes(text)
    return None


def feed_decoder(chunks: Iterable[bytes]) -> object:
    decoder = SSEDecoder()
    for chunk in chunks:
        decoder.feed(chunk)
    return decoder.close()


def feed_joiner(chunks: Iterable[bytes]) -> object:
    joiner = ChunkJoiner()
    return [joiner.feed(chunk) for chunk in chunks]


def unpack(body: bytes) -> int:
    unpacking = Unpacker(Response(200, {"content-encoding": "gzip"}))
    return sum(len(piece) for piece in unpacking.feed(body))


def edit(frames: list[list[Any]]) -> object:
    decoder = DiffDecoder()
    return [decoder.next(frame) for frame in frames]


def read_outputs(value: Any, kind: str = "image", release: tuple[int, ...] = (3, 50)) -> object:
    reader = FileReader(AppConfig(release=release), AppURLs("http://host"), lambda file: file.name)
    return reader.value(value, kind)


def check_image(text: str) -> None:
    endpoint = Endpoint(name="/f", fn_index=0, parameters=(Parameter(name="x", component="image"),))
    with suppress(GradioTransportError):
        check_paths(endpoint, [text], AppConfig(release=(3, 50)))


def read_shape(schema: dict[str, Any]) -> object:
    return shape_of(Parameter(name="x", component="file", schema=schema))


def fill_mailbox(count: int) -> object:
    mailbox = Mailbox(1000)
    for number in range(count):
        mailbox.put(ProcessGenerating() if number % 100 else Progress(), 50)
    return mailbox


def collect_fragments(pieces: list[bytes]) -> object:
    from websocket import ABNF

    fragments = _Fragments(fire_cont_frame=False, skip_utf8_validation=True)
    for place, piece in enumerate(pieces):
        fragments.add(ABNF(fin=0, opcode=ABNF.OPCODE_CONT if place else ABNF.OPCODE_TEXT, data=piece))
    return fragments.cont_data


def store_cookies(lines: list[str]) -> object:
    return Credentials("http://host:80").store("http://host", lines)


def read_config(raw: dict[str, Any]) -> object:
    with suppress(GradioTransportError):
        found = parse_config(raw, raw.get("info"))
        return [*found.endpoints], [*found.components.values()], found.named  # each is parsed when it is used
    return None


CASES: dict[str, tuple[MAKE, READ]] = {
    # Pages and configs.
    "places for a config in a page": (lambda n: "window.gradio_config = {" * (n // 24), config_from_page),
    "a config that is no object": (lambda n: "window.config=[" * (n // 15), config_from_page),
    "spaces after gradio_config": (lambda n: "window.gradio_config" + " " * n, config_from_page),
    "inputs of one function": (lambda n: config(dependencies=[{"inputs": [1] * (n // 8)}]), read_config),
    "functions": (lambda n: config(dependencies=[{} for _ in range(n // 16)]), read_config),
    "components": (lambda n: config(components=[{"id": i} for i in range(n // 16)]), read_config),
    "labels that are the same": (
        lambda n: config(
            components=[{"id": i, "props": {"label": "a b"}} for i in range(n // 32)],
            dependencies=[{"inputs": [*range(n // 32)]}],
        ),
        read_config,
    ),
    "no config": (lambda n: [[]] * n, lambda raw: _error_of(parse_config, raw)),
    "drawings of gr.render": (
        lambda n: [config(render_id=i, dependencies=[{"id": i}]) for i in range(n // 64)],
        lambda drawn: with_rendered(AppConfig(raw=config()), *drawn),
    ),
    "locales for marks of a translation": (
        lambda n: ('__i18n__{"key":"x"}' * (n // 20), {str(i): {} for i in range(n // 10)}),
        lambda given: translate(*given),
    ),
    "marks of a translation that are none": (lambda n: '__i18n__{"' * (n // 10), lambda t: translate(t, {})),
    "a version of blanks": (lambda n: " " * n, parse_release),
    # Names and places of files.
    "dots and blanks around a name": (lambda n: ". " * (n // 2), safe_filename),
    "accents in a name": (lambda n: "a" + "\u0315\u0301" * (n // 2), safe_filename),
    "separators in a name": (lambda n: "/" * n, safe_filename),
    "characters of a name that are not seen": (lambda n: "\u202e" * n, safe_filename),
    "lines of a playlist": (lambda n: "a\n" * (n // 8), playlist_segments),
    "comments of a playlist": (lambda n: "#\n" * (n // 2), playlist_segments),
    "blanks in an image": (lambda n: "A" * 40 + " " * n + "!", check_image),
    "parameters of a data URL": (lambda n: "data:" + ";a=b" * (n // 4), read_outputs),
    "a data URL of blanks": (lambda n: "data:;base64," + " " * n, read_outputs),
    "values that may hold files": (lambda n: [{"name": "x"}] * (n // 8), read_outputs),
    "a schema that names itself": (
        lambda n: {"anyOf": [{"$ref": "#"}] * (n // 400)},
        read_shape,
    ),
    "a schema of schemas that name it": (
        lambda n: {"properties": {str(i): {"$ref": "#"} for i in range(n // 400)}},
        read_shape,
    ),
    "a long reference in a schema": (
        lambda n: {"anyOf": [{"$ref": "#" + "/a" * (n // 2)}] * 100},
        read_shape,
    ),
    # Addresses.
    "users in an address": (lambda n: "@" + "//a:b" * (n // 5), shown_url),
    "ports in an address": (lambda n: "//" + ":1" * (n // 2) + "@", shown_url),
    "signs of a user in an address": (lambda n: "//a@" * (n // 4), shown_url),
    "accents in a host": (
        lambda n: "http://" + "\u0315\u0301" * (n // 2),
        lambda url: resolve_reference("http://h/", url),
    ),
    "steps up in an address": (lambda n: "a/../" * (n // 5), AppURLs("http://h").resolve),
    "an address that is not ASCII": (lambda n: "http://h/" + "é" * n, AppURLs("http://h").resolve),
    # Refusals.
    "a text to quote": (lambda n: b"a " * n, excerpt),
    "blanks to quote": (lambda n: b" " * n, excerpt),
    "JSON to quote": (lambda n: [[{}] * n] * 3, excerpt),
    "texts to list": (lambda n: ["a" * 10] * n, list_texts),
    **{
        f"a page of {part!r}": (lambda n, part=part: refused(part * (n // len(part))), read_refusal)
        for part in (
            b"<",
            b"<!--",
            b"-->",
            b"<a ",
            b"<b>",
            b"a<b>",
            b"&#1",
            b"&amp",
            b"</",
            b"<script>",
            b"a ",
        )
    },
    "a reason that is no page": (lambda n: refused(b"a " * n, "text/plain"), read_refusal),
    "a reason that is no JSON": (lambda n: refused(b"[" * n, "application/json"), read_refusal),
    "problems with arguments": (
        lambda n: Response(
            422, {}, json.dumps({"detail": [{"loc": ["a"], "msg": "x"}] * (n // 32)}).encode()
        ),
        read_refusal,
    ),
    "problems that a validator found": (
        lambda n: Response(422, {}, json.dumps({"detail": [{"is_valid": False}] * (n // 32)}).encode()),
        read_refusal,
    ),
    "a quoted traceback": (lambda n: "'" + "\\n  File" * (n // 8) + "'", read_quoted),
    "quotes in quotes": (lambda n: "'a' " * (n // 4) + "'", read_quoted),
    "literals in quotes": (lambda n: "''," * (n // 3) + "''", read_quoted),
    "brackets in quotes": (lambda n: "'" + "'+(" * (n // 3) + "'", read_quoted),
    "quotas": (lambda n: "exceeded your " * (n // 14), read_quota),
    "waits for a quota": (lambda n: "wait in about " * (n // 14), read_quota),
    "times of a quota": (lambda n: "wait " + "1 d " * (n // 4), read_quota),
    "blanks of a quota": (lambda n: "wait" + " " * n, read_quota),
    # Headers.
    "commas of a challenge": (lambda n: ", " * (n // 2), read_challenge),
    "a long challenge": (lambda n: "a" * n + "=", read_challenge),
    "realms of a challenge": (lambda n: 'basic realm="' * (n // 13), read_challenge),
    "blanks of a challenge": (lambda n: "basic," + " " * n, read_challenge),
    "digits of a date": (lambda n: "1" * n, read_date),
    "days of a date": (lambda n: "Mon, 1 " * (n // 7), read_date),
    "comments of a date": (lambda n: "(" * n, read_date),
    "times of a date": (lambda n: "1:" * (n // 2), read_date),
    "an entity tag": (lambda n: '"' + "a" * n, lambda tag: range_validator(Response(200, {"etag": tag}))),
    "headers": (lambda n: [(b"x", b"y")] * (n // 8), lambda raw: response_head(200, raw, "http://h")),
    "codings": (
        lambda n: {"content-encoding": "gzip, " * (n // 6)},
        lambda headers: Response(200, headers).unsupported_coding,
    ),
    "cookies": (lambda n: [f"c{i}=x" for i in range(n // 16)], store_cookies),
    "attributes of a cookie": (lambda n: ["a=b" + ";c=d" * (n // 4)], store_cookies),
    # Bodies and streams.
    "chunks of one byte": (
        lambda n: [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * (n // 6)],
        feed_joiner,
    ),
    "chunks that come byte by byte": (
        lambda n: [
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            *[b"1", b"\r\n", b"x\r\n"] * (n // 6),
        ],
        feed_joiner,
    ),
    "informational replies": (lambda n: [b"HTTP/1.1 100 Continue\r\n\r\n"] * (n // 25), feed_joiner),
    "a head that comes byte by byte": (lambda n: [b"x"] * n, feed_joiner),
    "members of a compressed body": (lambda n: gzip.compress(b"x") * (n // 8), unpack),
    "members without content": (lambda n: gzip.compress(b"") * (n // 8), unpack),
    "an event byte by byte": (lambda n: [b"x"] * n, feed_decoder),
    "blank lines": (lambda n: [b"\n" * n], feed_decoder),
    "blank lines one by one": (lambda n: [b"\n"] * n, feed_decoder),
    "lines of an event": (lambda n: [b"data\n" * (n // 5) + b"\n"], feed_decoder),
    "lines of an event one by one": (lambda n: [*[b"data\r"] * (n // 5), b"\n"], feed_decoder),
    "ids of an event": (lambda n: [b"id: 1\n" * (n // 6) + b"\n"], feed_decoder),
    "a time to retry": (lambda n: [b"retry: " + b"1" * n], feed_decoder),
    "fragments of a message": (lambda n: [b"x" * 8] * (n // 8), collect_fragments),
    # Messages.
    "open brackets": (lambda n: "[" * n, read_json),
    "empty lists": (lambda n: f"[{'[],' * (n // 3)}0]", read_json),
    "an object of blanks": (lambda n: "{" + " " * n, read_json),
    "an endless integer": (lambda n: f"[{'1' * n}]", read_json),
    "long integers": (lambda n: f"[{','.join(['1' * 4300] * (n // 4300))}]", read_json),
    "a long fraction": (lambda n: f"[9007199254740993.{'0' * n}1]", read_json),
    "half characters": (lambda n: '["' + "\\ud83d" * (n // 6) + '"]', read_json),
    "a message of an unknown kind": (lambda n: {"msg": {str(i): [] for i in range(n // 8)}}, decode),
    "a completion without outputs": (
        lambda n: {"msg": "process_completed", **{str(i): [] for i in range(n // 8)}},
        decode,
    ),
    "bars of progress": (lambda n: {"msg": "progress", "progress_data": [{}] * (n // 8)}, decode),
    "additions before a list": (lambda n: [[[0]], [[["add", [0], 1]] * (n // 4)]], edit),
    "additions behind a list": (lambda n: [[[0]], [[["add", [i + 1], 1] for i in range(n // 8)]]], edit),
    "replacements in a list": (lambda n: [[[0]], [[["replace", [0], 1]] * (n // 8)]], edit),
    "deletions from a list": (lambda n: [[[0] * n], [[["delete", [0], 1]] * (n // 8)]], edit),
    "additions to a text": (lambda n: [["x" * 8 * n], [[["append", [], "y"]] * (n // 8)]], edit),
    "additions to a text in a list": (lambda n: [[["x" * 8 * n]], [[["append", [0], "y"]] * (n // 8)]], edit),
    "additions to two texts": (
        lambda n: [[["x" * 8 * n] * 2], [[["append", [i % 2], "y"] for i in range(n // 8)]]],
        edit,
    ),
    "edits of a deep value": (
        lambda n: [[_nested(400)], [[["replace", [0] * 400, 1]] * (n // 1600)]],
        edit,
    ),
    "events for a slow reader": (lambda n: n // 4, fill_mailbox),
    "names to compare": (
        lambda n: ["ab" * 25 + str(i) for i in range(n // 100)],
        lambda k: did_you_mean("ba" * 25, k),
    ),
}


def _nested(levels: int) -> list[Any]:
    value: list[Any] = [0]
    for _ in range(levels):
        value = [value]
    return value


def _error_of(read: READ, given: Any) -> object:
    with pytest.raises(GradioTransportError) as caught:
        read(given)
    return caught.value


@pytest.mark.parametrize("case", CASES)
def test_four_times_as_much_takes_four_times_as_long(case: str) -> None:
    make, read = CASES[case]
    check_growth(read, make(SIZE), make(4 * SIZE))


@pytest.mark.parametrize("read", [excerpt, safe_filename, shown_beginning])
def test_what_is_only_quoted_takes_no_memory_of_its_size(read: READ) -> None:
    body = "a " * 8_000_000
    tracemalloc.start()
    try:
        read(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
