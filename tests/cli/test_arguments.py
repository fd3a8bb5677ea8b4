# SPDX-License-Identifier: Apache-2.0
"""Words of a command line as arguments: by position, by name, after two dashes, and from JSON."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from gradio_transport.app.config import AppConfig, Endpoint, Parameter
from gradio_transport.cli.arguments import (
    Arguments,
    arguments_from_json,
    beside_json,
    check,
    parse_arguments,
    strip_mark,
    with_files,
)
from gradio_transport.cli.failures import Misuse
from gradio_transport.files.inputs import handle_file

CONFIG = AppConfig(release=(6, 31))
NUMBER, TEXT = {"type": "number"}, {"type": "string"}
ADD = Endpoint(
    name="/add",
    fn_index=0,
    parameters=(
        Parameter(name="a", schema=NUMBER, python_type="float"),
        Parameter(name="b", schema=NUMBER, python_type="float", has_default=True, default=1),
    ),
)
SAY = Endpoint(name="/say", fn_index=1, parameters=(Parameter(name="text", schema=TEXT, python_type="str"),))
SHOW = Endpoint(name="/show", fn_index=2, parameters=(Parameter(name="image", component="image"),))


FILES = Endpoint(
    name="/files",
    fn_index=4,
    parameters=(
        Parameter(name="files", component="file", schema={"type": "array", "items": {"type": "object"}}),
    ),
)
JSON = Endpoint(name="/json", fn_index=5, parameters=(Parameter(name="value", component="json"),))
UNKNOWN = Endpoint(name="/unknown", fn_index=6, parameters=(Parameter(name="value"),))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"png")
    return path


def words(*typed):
    """Return the words of a command, as click hands them over."""
    seen = []

    @click.command(cls=Arguments)
    @click.option("--limit", type=float)
    @click.option("-v", count=True)
    @click.option("--raw", is_flag=True)
    @click.argument("values", nargs=-1)
    def command(limit, v, raw, values):
        seen.append((limit, values))

    result = CliRunner().invoke(command, typed)
    return seen[0] if result.exit_code == 0 else result.output


class TestWords:
    def test_negative_numbers_are_values(self):
        limit, values = words("-1", "-.5", "-2e3")
        assert [strip_mark(value) for value in values] == ["-1", "-.5", "-2e3"]
        assert limit is None

    def test_but_not_behind_an_option_that_takes_a_value(self):
        assert words("--limit", "-1", "x") == (-1.0, ("x",))
        _, values = words("--raw", "-1", "-v", "-2")
        assert [strip_mark(value) for value in values] == ["-1", "-2"]

    def test_a_misspelt_option_is_still_an_error(self):
        assert "No such option" in words("--limti", "1")

    def test_behind_two_dashes_every_word_is_a_value(self):
        _, values = words("--", "a=1", "--raw")
        assert [strip_mark(value) for value in values] == ["a=1", "--raw"]
        assert parse_arguments(SAY, values[:1]) == (["a=1"], {})


class TestParsing:
    def test_values_are_read_by_the_type_of_their_parameter(self):
        assert parse_arguments(ADD, ["1", "b=2.5"]) == ([1], {"b": 2.5})
        assert parse_arguments(SAY, ["1"]) == (["1"], {})

    @pytest.mark.parametrize("word", ["1==2", "aGk=", "not a name=1", "=1"])
    def test_an_equals_sign_does_not_make_a_name(self, word):
        assert parse_arguments(SAY, [word]) == ([word], {})

    def test_a_value_may_contain_equals_signs(self):
        assert parse_arguments(SAY, ["text=a=b"]) == ([], {"text": "a=b"})

    def test_an_unknown_name_gets_a_hint_the_signature_and_the_way_out(self):
        with pytest.raises(Misuse) as caught:
            parse_arguments(SAY, ["txet=1"])
        for part in ("/say has no parameter 'txet'", "'text'", "/say(text: str)", "put -- before"):
            assert part in caught.value.message

    def test_a_name_that_is_given_twice_is_an_error(self):
        with pytest.raises(Misuse, match="a is given twice"):
            parse_arguments(ADD, ["a=1", "a=2"])

    def test_a_value_of_the_wrong_type_names_its_parameter(self):
        with pytest.raises(Misuse, match=r"/add: b takes a number, got 'x'"):
            parse_arguments(ADD, ["1", "b=x"])

    def test_missing_and_surplus_values_are_bad_usage(self):
        check(CONFIG, ADD, [1], {})
        for positional, keywords in (([], {}), ([1, 2, 3], {}), ([1], {"a": 2})):
            with pytest.raises(Misuse):
                check(CONFIG, ADD, positional, keywords)


class TestJSON:
    def test_a_list_is_by_position_and_an_object_by_name(self):
        assert arguments_from_json(b'[1, "x"]') == ([1, "x"], {})
        assert arguments_from_json(b'{"a": 1}') == ([], {"a": 1})

    @pytest.mark.parametrize("text", [b"1", b'"x"', b"null"])
    def test_anything_else_is_bad_usage(self, text):
        with pytest.raises(Misuse, match="PAYLOAD must be a list of values"):
            arguments_from_json(text, "PAYLOAD")

    @pytest.mark.parametrize("text", [b"{", b"[NaN]", b"\xff"])
    def test_what_is_not_strict_json_is_bad_usage(self, text):
        with pytest.raises(Misuse, match="The file of --json is not JSON"):
            arguments_from_json(text)

    def test_files_are_found_by_position_and_by_name_where_they_are_marked(self, path):
        marked = {"path": f"@{path}"}
        (by_position,), _ = with_files(SHOW, [marked], {}, typed=True)
        _, by_name = with_files(SHOW, [], {"image": marked}, typed=True)
        assert by_position == by_name["image"] == handle_file(path)

    def test_beside_json_arguments_have_names(self, path):
        assert beside_json(ADD, ([], {"a": 1}), ["b=2"]) == ([], {"a": 1, "b": 2})
        assert beside_json(SHOW, ([], {}), [f"image=@{path}"]) == ([], {"image": handle_file(path)})
        for given, word, message in (
            (([], {}), "1", "given by name: name=value"),
            (([], {"a": 1}), "a=2", "a is given twice"),
        ):
            with pytest.raises(Misuse, match=message):
                beside_json(ADD, given, [word])


CHAT = Endpoint(
    name="/chat",
    fn_index=3,
    parameters=(
        Parameter(
            name="message",
            component="multimodaltextbox",
            schema={
                "type": "object",
                "properties": {
                    "text": TEXT,
                    "files": {"type": "array", "items": {"properties": {"path": TEXT}, "type": "object"}},
                },
                "required": ["text"],
            },
        ),
    ),
)


class TestTextWithFiles:
    def test_a_word_is_the_text(self):
        assert parse_arguments(CHAT, ["look here"]) == ([{"text": "look here", "files": []}], {})

    def test_a_marked_path_is_the_file(self, path):
        ((value,), _) = parse_arguments(CHAT, [f"@{path}"])
        assert value == {"text": "", "files": [handle_file(path)]}

    def test_json_has_both(self, path):
        value = f'{{"text": "look", "files": [{{"path": "@{path}"}}]}}'
        _, keywords = parse_arguments(CHAT, [f"message={value}"])
        assert keywords == {"message": {"text": "look", "files": [handle_file(path)]}}
        assert parse_arguments(CHAT, ["null"]) == ([None], {})

    def test_words_of_one_name_have_both(self, path):
        words = ["message=look", f"message=@{path}", f"message=@{path}"]
        file = handle_file(path)
        assert parse_arguments(CHAT, words) == ([], {"message": {"text": "look", "files": [file, file]}})
        with pytest.raises(Misuse, match="message is given twice"):
            parse_arguments(CHAT, ["message=look", "message=here"])
        with pytest.raises(Misuse, match="message is given twice"):
            parse_arguments(CHAT, [f"message=@{path}", 'message={"text": 1, "files": []}'])

    def test_a_marked_path_without_a_file_is_bad_usage(self):
        with pytest.raises(Misuse, match="there is none at 'nowhere'"):
            parse_arguments(CHAT, ["@nowhere"])

    def test_a_file_in_the_wrong_place_is_bad_usage(self, path):
        with pytest.raises(Misuse, match=r"takes files in the shape \{'text': '', 'files': \[file\]\}"):
            check(CONFIG, CHAT, [handle_file(path)], {})


class TestMarks:
    """What is a file is said by the caller alone: a server may say of any parameter that it takes one."""

    def test_a_marked_word_is_a_file_where_one_may_stand(self, path):
        file = handle_file(path)
        assert parse_arguments(SHOW, [f"@{path}"]) == ([file], {})
        assert parse_arguments(SHOW, [f"image=@{path}"]) == ([], {"image": file})
        assert parse_arguments(UNKNOWN, [f"@{path}"]) == ([file], {})
        assert parse_arguments(SHOW, ["@http://host/a.png"])[0][0].url == "http://host/a.png"

    def test_a_list_of_files_is_given_one_by_one(self, path):
        words = [f"files=@{path}", f"files=@{path}"]
        assert parse_arguments(FILES, words) == ([], {"files": [handle_file(path)] * 2})

    @pytest.mark.parametrize("endpoint", [SAY, ADD, JSON])
    def test_elsewhere_it_is_refused_with_what_to_write(self, endpoint, path):
        with pytest.raises(
            Misuse, match=r"takes no file\. To pass the text '@.*', write '@@.*', or put -- before"
        ):
            parse_arguments(endpoint, [f"@{path}"])

    def test_a_doubled_mark_is_the_first_character_of_a_text(self):
        assert parse_arguments(SAY, ["@@alice"]) == (["@alice"], {})
        assert parse_arguments(SAY, ["text=@@@"]) == ([], {"text": "@@"})
        assert parse_arguments(CHAT, ["@@bob, look"]) == ([{"text": "@bob, look", "files": []}], {})

    def test_behind_two_dashes_nothing_is_a_file(self, path):
        def behind(endpoint, word):
            return parse_arguments(endpoint, words("--", word)[1])

        assert behind(SAY, f"@{path}") == ([f"@{path}"], {})
        assert behind(UNKNOWN, f'{{"path": "@{path}"}}') == ([{"path": f"@{path}"}], {})
        assert behind(CHAT, f"@{path}") == ([{"text": f"@{path}", "files": []}], {})
        marked = {"path": f"@{path}", "meta": {}}
        assert behind(SHOW, f'{{"path": "@{path}", "meta": {{}}}}') == ([marked], {})
        with pytest.raises(Misuse, match=r"is a text\. Write '@\./@.*', before any --, for a file"):
            behind(SHOW, f"@{path}")

    def test_a_parameter_with_a_name_like_a_word_behind_two_dashes_gets_nothing(self, path):
        trap = Parameter(name="\0text", component="image")
        endpoint = Endpoint(name="/trap", fn_index=7, parameters=(*SAY.parameters, trap))
        _, typed = words("--", f"text=@{path}")
        assert parse_arguments(endpoint, typed) == ([f"text=@{path}"], {})

    def test_a_text_where_a_file_is_wanted_is_refused_with_what_to_write(self, path):
        for word in (str(path), f"image={path}", "http://host/a.png"):
            with pytest.raises(Misuse, match=r"is a text\. Write '@[^']+', before any --, for a file"):
                parse_arguments(SHOW, [word])
        for value in (str(path), {"path": str(path)}, [str(path)]):
            with pytest.raises(Misuse, match=r'Write \{"path": "@photo\.png"\} for a file'):
                with_files(SHOW, [value], {}, typed=True)
        with pytest.raises(Misuse, match=r"Write image=@photo\.png beside --json for a file"):
            with_files(SHOW, [str(path)], {}, typed=False)

    def test_values_that_are_no_paths_go_on(self):
        server = {"path": "/tmp/gradio/a.png", "url": None, "meta": {"_type": "gradio.FileData"}}
        for value in (None, "data:image/png;base64,AAAA", server):
            assert with_files(SHOW, [value], {}, typed=True) == ([value], {})
        assert parse_arguments(SHOW, ["null"]) == parse_arguments(SHOW, [""]) == ([None], {})
        assert parse_arguments(SHOW, ["data:image/png;base64,AAAA"]) == (["data:image/png;base64,AAAA"], {})

    @pytest.mark.parametrize("endpoint", [SAY, JSON])
    def test_an_object_with_a_path_is_a_value_where_no_file_is_wanted(self, endpoint, path):
        for value in ({"path": str(path)}, {"path": f"@{path}"}, [{"path": f"@{path}"}]):
            assert with_files(endpoint, [value], {}, typed=True) == ([value], {})

    def test_json_that_was_not_typed_names_no_file(self, path):
        for endpoint in (SHOW, CHAT, UNKNOWN):
            value = {"text": "look", "files": [{"path": f"@{path}"}, {"path": str(path), "meta": {}}]}
            assert with_files(endpoint, [value], {}, typed=False) == ([value], {})
