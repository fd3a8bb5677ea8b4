# SPDX-License-Identifier: Apache-2.0
"""The schemas of the wire: they describe every recorded message, and nothing else."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

import jsonschema
import pytest
from chat_server import TOKEN, chat_server
from click.testing import CliRunner
from referencing import Registry, Resource
from wire_messages import Named, TraceMessages, UnknownRoute, route, shape_of

import gradio_transport as gt
from gradio_transport.protocol.frames import Frame, Kind
from gradio_transport.protocol.sse import SSEDecoder
from gradio_transport_conformance.cli.app import commands
from gradio_transport_conformance.traces import traces, versions
from gradio_transport_conformance.wire.messages import names, parts, schema, shared, version_range

SEEN_ELSEWHERE: list[tuple[str, str, Any]] = [
    ("3.6", "alive", {"msg": "alive?"}),
    ("3.1.7", "ws_join_back", {"msg": "join_back"}),
    ("3.50.2", "login", {"username": "me", "password": "secret"}),
    ("3.50.2", "reset_3x", {"session_hash": "a", "fn_index": 3}),
    ("4.0.2", "heartbeat", {"msg": "heartbeat"}),
    ("6.31.0", "heartbeat", {"msg": "heartbeat", "event_id": None}),
    ("4.9.0", "server_stopped", {"msg": "server_stopped", "success": False}),
    ("4.16.0", "unexpected_error", {"msg": "unexpected_error", "success": False, "message": "404: Session not found."}),
    (
        "5.50.0",
        "unexpected_error",
        {
            "msg": "unexpected_error", "event_id": None, "message": "404: Not Found", "session_not_found": True,
            "success": False,
        },
    ),
    ("6.31.0", "call_heartbeat", None),
    ("6.31.0", "upload", {"files": ["content"]}),
]  # fmt: skip
"""Messages that the traces cannot hold, as docs/wire.md and the sources of Gradio have them: logins and uploads are
redacted, the rest takes long waits or servers that end."""

CHAT = {"chat_models", "chat_request", "chat_completion", "chat_chunk", "chat_error"}

FREE = {
    "event_data", "state", "data", "example_input", "parameter_default", "input", "call_v2.*",
}  # fmt: skip
"""Fields whose values are the app's or the caller's own, so that a schema cannot say what they are."""

SAMPLED = ("2.9.4", "3.1.4", "3.1.7", "3.50.2", "4.8.0", "4.9.0", "4.44.1", "5.50.0", "6.31.0")
"""One version of each protocol, and of each form of a message."""


@cache
def recorded(version: str) -> Mapping[tuple[str, Any], tuple[str, Any]]:
    """Return one message of each shape, with the trace it is in."""
    reader = TraceMessages(version)
    found: dict[tuple[str, Any], tuple[str, Any]] = {}
    for path in traces(version):
        for name, message in reader.of(path):
            found.setdefault((name, shape_of(message)), (path.stem, message))
    return found


@cache
def validator(name: str, version: str | None = None) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema(name, version))


def is_valid(name: str, message: Any, version: str | None = None) -> bool:
    return bool(validator(name, version).is_valid(message))


@pytest.mark.parametrize("version", versions())
def test_the_messages_of_a_version_fit_its_schemas(version: str) -> None:
    assert recorded(version)
    problems = [
        f"{trace}: {name}: {error.json_path}: {error.message[:200]}"
        for (name, _), (trace, message) in recorded(version).items()
        for error in validator(name, version).iter_errors(message)
    ]
    assert problems == []


def test_every_message_is_recorded_or_listed() -> None:
    spread = ("2.3.6", "2.9.4", "3.1.7", "3.2", "3.16.2", "3.50.2", "4.8.0", "4.22.0", "6.31.0")
    seen = {name for version in spread for name, _ in recorded(version)}
    listed = {name for _, name, _ in SEEN_ELSEWHERE}
    assert seen | listed | CHAT == set(names())
    assert seen.isdisjoint(listed | CHAT)


@pytest.mark.parametrize(("version", "name", "message"), SEEN_ELSEWHERE)
def test_messages_that_traces_do_not_hold(version: str, name: str, message: Any) -> None:
    assert is_valid(name, message, version)
    assert is_valid(name, message)


def test_a_message_without_a_schema_is_found() -> None:
    with pytest.raises(UnknownRoute, match="POST /queue/leave"):
        route("POST", "http://127.0.0.1:7860/gradio_api/queue/leave")
    with pytest.raises(LookupError, match="no message 'process_paused'"):
        schema("process_paused", "6.31.0")


class TestChat:
    def test_what_is_sent_and_received_fits(self) -> None:
        frames: list[Frame] = []
        with chat_server() as server:
            for streaming in (True, False):
                with gt.connect(
                    f"{server.url}/v1", protocol="openai_chat", model="parrot", token=TOKEN, streaming=streaming,
                    file_types=["image"], tap=frames.append,
                ) as app:  # fmt: skip
                    app.call("/chat", {"text": "hello you", "files": []}, [["before", "then"]])
                    with pytest.raises(gt.errors.GradioTransportError):
                        app.call("/chat", "/long")
        messages = list(_chat_messages(frames))
        assert {name for name, _ in messages} == CHAT
        for name, message in messages:
            jsonschema.validate(message, schema(name))


def _chat_messages(frames: list[Frame]) -> Iterator[Named]:
    decoder = SSEDecoder()
    for frame in frames:
        payload = frame.payload
        match frame.kind:
            case Kind.REQUEST if payload["method"] == "POST":
                yield "chat_request", json.loads(payload["body"])
            case Kind.RESPONSE:
                value = json.loads(payload["body"])
                whole = "chat_models" if payload["url"].endswith("/models") else "chat_completion"
                yield "chat_error" if "error" in value else whole, value
            case Kind.CHUNK:
                for event in decoder.feed(payload["data"]):
                    if event.data != "[DONE]":
                        yield "chat_chunk", json.loads(event.data)
            case _:
                pass


class TestTheyAreNotVacuous:
    @pytest.mark.parametrize("version", SAMPLED)
    def test_changed_messages_do_not_fit(self, version: str) -> None:
        tried: Counter[str] = Counter()
        for (name, _), (_, message) in recorded(version).items():
            tried[name] += 1
            if tried[name] > 3:
                continue
            for what, changed in mutants(schema(name, version), message):
                assert any(not is_valid(name, one, version) for one in changed), (name, what)
        assert len(tried) > 5

    @pytest.mark.parametrize(("version", "name", "message"), SEEN_ELSEWHERE)
    def test_changes_of_listed_messages_do_not_fit(self, version: str, name: str, message: Any) -> None:
        for what, changed in mutants(schema(name, version), message):
            assert any(not is_valid(name, one, version) for one in changed), what

    @pytest.mark.parametrize(
        ("name", "field", "value", "before", "since"),
        [
            ("process_starts", "eta", None, "4.9.0", "4.16.0"),
            ("process_starts", "event_id", "a", "4.8.0", "4.9.0"),
            ("process_completed", "used_cache", None, "6.8.0", "6.13.0"),
            ("log", "title", "Info", "5.0.2", "5.9.1"),
            ("join", "oauth_token", "hf_a", "6.20.0", "6.25.0"),
        ],
    )
    def test_a_field_fits_from_the_version_on_that_has_it(
        self, name: str, field: str, value: Any, before: str, since: str
    ) -> None:
        assert field not in schema(name, before)["properties"]
        assert field in schema(name, since)["properties"]
        message = next(one for (found, _), (_, one) in recorded(before).items() if found == name)
        assert not is_valid(name, {**message, field: value}, before)
        assert is_valid(name, {**message, field: value})

    def test_values_without_a_type_are_the_apps_or_the_callers_own(self) -> None:
        free: set[str] = set()
        for name in names():
            for part in parts(schema(name)):
                free |= {field for field, one in part.get("properties", {}).items() if not _says_what(one)}
                if isinstance(part.get("additionalProperties"), dict) and not _says_what(
                    part["additionalProperties"]
                ):
                    free.add(f"{name}.*")
        assert free == FREE


def _says_what(part: Mapping[str, Any]) -> bool:
    return any(key in part for key in ("type", "const", "enum", "anyOf", "oneOf", "$ref"))


def mutants(found: Mapping[str, Any], message: Any) -> Iterator[tuple[str, list[Any]]]:
    """Yield what is changed of a message, and the changed ones, of which one at least must not fit."""
    # Three, because a field may take any object, or any text, or any number.
    wrong: list[Any] = [{"mutant": [1]}, "\x00mutant", -0.5]
    if not isinstance(message, dict):
        yield "the whole", wrong
        return
    if "$ref" in found:
        found = {**found["$defs"][found["$ref"].rpartition("/")[2]], "additionalProperties": False}
    if found.get("additionalProperties") is False:
        yield "an unknown field", [{**message, "mutant": 1}]
    for field in found.get("required", ()):
        yield f"without {field}", [{name: value for name, value in message.items() if name != field}]
    for field, part in found.get("properties", {}).items():
        if field in message and _says_what(part):
            yield f"another {field}", [{**message, field: value} for value in wrong]


class TestTheFiles:
    @pytest.mark.parametrize("name", names())
    def test_each_is_a_schema_that_describes_itself(self, name: str) -> None:
        found = schema(name)
        jsonschema.Draft202012Validator.check_schema(found)
        assert found["$id"].endswith(f"/{name}.json")
        assert found["title"]
        assert found["description"].endswith(".")
        assert found["x-from"] in ("client", "server")
        assert found["x-place"]
        for part in parts(found):
            fields = part.get("properties", {})
            assert all(one["description"].endswith(".") for one in fields.values()), list(fields)
            assert set(part.get("required", ())) <= set(fields)
            assert not any(fields[field].get("x-since") for field in part.get("required", ()))

    def test_objects_are_closed_except_where_a_server_may_add_fields(self) -> None:
        is_open = {
            name
            for name in names()
            for part in parts(schema(name))
            if "properties" in part and part.get("additionalProperties") is not False
        }
        assert is_open == (CHAT - {"chat_request"}) | {"config", "config_2x", "info", "login_stub"}

    def test_sources_are_files_of_releases(self) -> None:
        for found in [*map(schema, names()), *shared().values()]:
            if "properties" not in found and "x-sources" not in found:
                continue  # such as a number, which the messages cite that have it
            assert found["x-sources"]
            fields = [field for part in parts(found) for field in part.get("properties", {}).values()]
            for source in (*found["x-sources"], *(field["x-source"] for field in fields)):
                assert re.fullmatch(r"(v|gradio@)\d+\.\d+(\.\d+)?:gradio/\w+\.py|https://\S+", source), source

    def test_a_version_has_the_messages_of_its_protocol(self) -> None:
        assert {"push", "status"} < set(names("3.1.4"))
        assert {"push", "join", "ws_session"}.isdisjoint(names("3.1.7"))
        assert {"ws_hash", "ws_data"} < set(names("3.1.7"))
        assert "ws_hash" not in names("3.2")
        assert {"v0_stream", "send_data"} < set(names("4.8.0"))
        assert {"close_stream", "join"} < set(names("6.31.0"))
        assert CHAT.isdisjoint(names("6.31.0"))
        with pytest.raises(
            LookupError, match=r"Gradio 4\.16\.0 has no message 'close_stream'.*4\.22 and later"
        ):
            schema("close_stream", "4.16.0")

    def test_files_refer_to_each_other_by_their_ids(self) -> None:
        files = resources.files("gradio_transport_conformance.wire") / "schemas"
        raw = [json.loads(file.read_text("utf-8")) for file in files.iterdir() if file.name.endswith(".json")]
        registry: Registry[Any] = Registry().with_resources(
            (one["$id"], Resource.from_contents(one)) for one in raw
        )
        whole = {"data": [1], "durations": [0.5], "avg_durations": [0.5]}
        for name, message in (("status_reply", {"status": "COMPLETE", "data": whole}), ("push", None)):
            (found,) = (one for one in raw if one["$id"].endswith(f"/{name}.json"))
            judge = jsonschema.Draft202012Validator(found, registry=registry)
            assert judge.is_valid(message) == is_valid(name, message) == (message is not None)

    def test_ranges_in_words(self) -> None:
        assert version_range(schema("status")) == "2.2.10 to 3.1.4"
        assert version_range({"x-until": "3.28"}) == "up to 3.28"
        assert version_range({"x-since": "4.9", "x-until": "4.9"}) == "4.9"
        assert version_range({}) == ""


class TestCommand:
    def test_without_a_name_it_lists_the_messages(self) -> None:
        listed = CliRunner().invoke(commands, ["schema"]).stdout
        assert {line.split()[0] for line in listed.splitlines() if line.startswith("  ")} == set(names())
        assert re.search(r"^  join +client  4\.9 and later +POST P/queue/join$", listed, re.MULTILINE)

    def test_it_prints_the_schema_of_a_version(self) -> None:
        printed = CliRunner().invoke(commands, ["schema", "estimation", "--version", "4.9.0"]).stdout
        assert json.loads(printed) == schema("estimation", "4.9.0")
        whole = CliRunner().invoke(commands, ["schema", "process_completed"]).stdout
        assert json.loads(whole) == schema("process_completed")

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            (["nonsense"], "There is no message 'nonsense'. The messages are: alive,"),
            (
                ["push", "--version", "6.31.0"],
                "Gradio 6.31.0 has no message 'push': it exists in Gradio 2.2.10 to 3.1.4.",
            ),
            (["chat_error", "--version", "6.31.0"], "it exists in OpenAI-compatible servers only."),
            (["estimation", "--version", "3.x"], "'3.x' is not one Gradio version. Pass a full one,"),
            (["--version", "3"], "'3' is not one Gradio version."),
            (["--version", "1.0"], "No messages of Gradio 1.0 are known."),
        ],
    )
    def test_what_is_not_there_is_a_usage_error(self, arguments: list[str], error: str) -> None:
        result = CliRunner().invoke(commands, ["schema", *arguments])
        assert result.exit_code == 2
        assert error in result.stderr
