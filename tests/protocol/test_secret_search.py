# SPDX-License-Identifier: Apache-2.0
"""Secrets are found in every text by name, place and form; JSON stays JSON; and the time grows with the text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from growth import check_growth
from hypothesis import given
from hypothesis import strategies as st

from gradio_transport.protocol.secret_forms import FORMS
from gradio_transport.protocol.secret_search import find_members, take_out


def shown(text: str) -> str:
    return take_out(text)[0]


class TestNames:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ({"password": "x", "a": 1}, {"password": "REDACTED", "a": 1}),
            ({"API_KEY": 'a"b\\'}, {"API_KEY": "REDACTED"}),
            (
                {"api_keys": ["a", ["b", {"c": "d"}], 7]},
                {"api_keys": ["REDACTED", ["REDACTED", {"c": "REDACTED"}], 9]},
            ),
            (
                {"secret": {"part": "x", "more": ["y"]}},
                {"secret": {"part": "REDACTED", "more": ["REDACTED"]}},
            ),
            ({"password": 123456, "pwd": -1.5}, {"password": 999999, "pwd": -9.9}),
            (
                {"password": None, "secret": True, "passwd": ""},
                {"password": None, "secret": True, "passwd": ""},
            ),
            ({"password": "REDACTED", "pwd": 999}, {"password": "REDACTED", "pwd": 999}),
            ({"password": []}, {"password": []}),
            (
                {"auth": "x", "a": [{"auth": ["me", "x"]}, {"auth": [["me", "x"]]}]},
                {"auth": "REDACTED", "a": [{"auth": ["REDACTED"] * 2}, {"auth": [["REDACTED"] * 2]}]},
            ),
            (
                {
                    "auth": 1,
                    "a": [{"auth": {"type": "a"}}, {"auth": [1]}, {"auth": None}, {"auth": {"b": "c"}}],
                },
                {
                    "auth": 1,
                    "a": [{"auth": {"type": "a"}}, {"auth": [1]}, {"auth": None}, {"auth": {"b": "c"}}],
                },
            ),
            ({"API Key (required)": "x", "otp": 123456}, {"API Key (required)": "REDACTED", "otp": 999999}),
        ],
    )
    def test_the_value_is_taken_out_and_json_stays_json(self, value: Any, expected: Any) -> None:
        for layer in range(4):
            text, wanted = json.dumps(value), json.dumps(expected)
            for _ in range(layer):
                text, wanted = json.dumps({"inner": text}), json.dumps({"inner": wanted})
            assert shown(text) == wanted

    def test_blanks_and_quotes_of_other_kinds_are_understood(self) -> None:
        assert shown('{"password" :\t"x"}') == '{"password" :\t"REDACTED"}'
        assert shown("{'api_key': 'x', 'b': 'c'}") == "{'api_key': 'REDACTED', 'b': 'c'}"
        assert (
            shown("{b'api_key': b'x', b'pwds': [b'y']}")
            == "{b'api_key': b'REDACTED', b'pwds': [b'REDACTED']}"
        )
        assert shown('{"a":"b","password":"x"}') == '{"a":"b","password":"REDACTED"}'

    def test_letters_that_change_their_length_shift_nothing(self) -> None:
        assert shown('{"İİİ": "ß", "PASSWORD": "x"}') == '{"İİİ": "ß", "PASSWORD": "REDACTED"}'

    def test_a_schema_of_a_secret_is_none(self) -> None:
        text = json.dumps(
            {
                "password": {"title": "Password", "type": "string"},
                "properties": {"api_key": {"type": "string"}},
            }
        )
        assert shown(text) == text

    def test_the_objects_in_a_large_one_are_judged_by_their_own_names(self) -> None:
        inner = {"secret": {"a": "b", "password": "x"}}
        value = {
            "secret": {"first": inner, **{f"a{number}": "b" * 20 for number in range(200)}, "last": inner}
        }
        found = [one.text for one in find_members(json.dumps(value))]
        assert found == ["b", "x", "b", "x"]

    def test_what_a_schema_was_found_in_is_judged_by_its_members_and_what_ended_before_is_not(self) -> None:
        value = {"secret": {"passwords": ["x"], "secret": {"a": "b", "pwd": "y", "type": "text"}}}
        assert [one.text for one in find_members(json.dumps(value))] == ["x", "y"]

    def test_a_quote_of_another_kind_ends_no_value(self) -> None:
        assert (
            shown("""{"password": "it's \\"open\\" ", "a": 'b'}""")
            == """{"password": "REDACTED", "a": 'b'}"""
        )

    def test_in_a_large_object_the_members_are_judged_by_their_own_names(self) -> None:
        value = {"secret": {**{f"a{number}": "b" * 20 for number in range(200)}, "password": "x"}}
        assert shown(json.dumps(value)).endswith('"password": "REDACTED"}}')
        assert '"bbb' in shown(json.dumps(value))

    @pytest.mark.parametrize(
        "text",
        [
            '{"token": "Paris", "class_or_confidence": "LOC"}',
            '{"key": "a", "password strength": "weak", "max_tokens": 5, "eos_token": "</s>"}',
            'He said "token": and a "password" is: secret',
            "it's a password: 'tis none",
            '"password": ',
            '"password":,',
        ],
    )
    def test_what_is_honest_is_left_alone(self, text: str) -> None:
        assert shown(text) == text

    def test_the_tokens_of_highlighted_text_are_left_alone_in_requests_too(self) -> None:
        def is_secret(name: str) -> bool:
            return name == "token"

        text = '[{"token": "Paris", "class_or_confidence": "LOC"}, {"token": "x"}]'
        assert [found.text for found in find_members(text, is_secret)] == ["x"]

    def test_a_text_that_breaks_off_is_taken_out_to_the_end_of_its_line(self) -> None:
        assert shown('"password": "open ses\nand more') == '"password": "REDACTED\nand more'
        assert shown('{"password": ["a", "b') == '{"password": ["REDACTED", "REDACTED'

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(st.sampled_from(["password", "a", "api_key", "type"]), inner)
            ),
        ),
        st.booleans(),
    )
    def test_any_json_stays_json_of_the_same_shape(self, value: Any, ascii_only: bool) -> None:
        text = json.dumps(value, ensure_ascii=ascii_only)
        assert _shape(json.loads(shown(text))) == _shape(json.loads(text))
        assert shown(shown(text)) == shown(text)


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shape(item) for item in value]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


class TestURLs:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("https://me:pass@host/x", "https://host/x"),
            ("https://me:p'a@s\"s\\w@host/x", "https://host/x"),
            (json.dumps("https://me:p'a@s\"s\\w@host/x"), '"https://host/x"'),
            (
                json.dumps(json.dumps({"u": 'https://me:p"w@host/x'})),
                json.dumps(json.dumps({"u": "https://host/x"})),
            ),
            (r'"https:\/\/me:pass@host\/x"', r'"https:\/\/host\/x"'),
            ("https%3A%2F%2Fme%3Apass%40host%2Fx", "https%3A%2F%2Fhost%2Fx"),
            ("postgres://me:pass@db:5432/x", "postgres://db:5432/x"),
            ("https:///me:pass@host/x", "https:///host/x"),
            ("https://me:p<a>s'),s@host/x", "https://host/x"),
            ("https://me:p@a@s@host/x", "https://host/x"),
            ("//me:pass@host/x", "//host/x"),
            ('{"a":"//me:pass@host/x"}', '{"a":"//host/x"}'),
            ("src='//me:pass@host/x'", "src='//host/x'"),
            (r"https:\\/\\/me:pass@host\\/x", r"https:\\/\\/host\\/x"),
            (r"https:\\\/\\\/me:p\\\"w@host", r"https:\\\/\\\/host"),
            (r"https:\u002f\u002fme:pass@host\u002fx", r"https:\u002f\u002fhost\u002fx"),
            (r"https:\\u002F\\u002Fme:pass@host\\u002Fx", r"https:\\u002F\\u002Fhost\\u002Fx"),
            (r"https\u003a\u002f\u002fme:pass@host", r"https\u003a\u002f\u002fhost"),
            ("https:&#x2F;&#x2F;me:pass@host&#x2F;x", "https:&#x2F;&#x2F;host&#x2F;x"),
            ("https:&#47;&#47;me:pa&amp;s@host&#47;x", "https:&#47;&#47;host&#47;x"),
            (json.dumps("https://me:pässé@host/x"), '"https://host/x"'),
            (json.dumps("https://me:p\\now@host/x"), '"https://host/x"'),
            ("https%253A%252F%252Fme%253Apass%2540host%252Fx", "https%253A%252F%252Fhost%252Fx"),
            ("https%25253a%25252f%25252fme%25253ap%252525%252540host", "https%25253a%25252f%25252fhost"),
            ("/x?a=1&token=abc&b=2", "/x?a=1&token=REDACTED&b=2"),
            ("/x?a=1&amp;token=abc&amp;b=2", "/x?a=1&amp;token=REDACTED&amp;b=2"),
            (r"/x?a=1\u0026token=ab\/c\u0026b=2", r"/x?a=1\u0026token=REDACTED\u0026b=2"),
            ("/x#access_token=abc", "/x#access_token=REDACTED"),
            ("/x?token='abc'", "/x?token='REDACTED'"),
            (json.dumps('/x?token="abc"'), json.dumps('/x?token="REDACTED"')),
            ("%253Ftoken%253Da%252526b%2526b%253D2", "%253Ftoken%253DREDACTED%2526b%253D2"),
            ("/x?private_token=abc", "/x?private_token=REDACTED"),
            ("/x?otp=123456&pin=4711", "/x?otp=REDACTED&pin=REDACTED"),
            ("/x?next=%2Fy%3Ftoken%3Dabc%26b%3D2", "/x?next=%2Fy%3Ftoken%3DREDACTED%26b%3D2"),
            (
                "/x?X-Amz-Credential=AKI%2Fx&X-Amz-Signature=abcdef",
                "/x?X-Amz-Credential=REDACTED&X-Amz-Signature=REDACTED",
            ),
            ("/x?session_hash=a1b2c3d4e5", "/x?session_hash=REDACTED"),
        ],
    )
    def test_what_may_be_a_secret_is_taken_out(self, text: str, expected: str) -> None:
        assert shown(text) == expected
        assert shown(expected) == expected

    def test_encoded_and_other_urls_are_taken_out_of_one_text(self) -> None:
        assert shown("%3A%2F%2Fa%40b http://c:d@e") == "%3A%2F%2Fb http://e"
        assert shown("http://a:%3A%2F%2Fb%40c@d") == "http://d"

    @pytest.mark.parametrize(
        "text",
        [
            '["http://a","x@y"]',
            '{"url":"http://host:80","mail":"a@b"}',
            json.dumps({"text": '{"u":"http://a","x":"b@c"}'}),
            "['http://a','x@y']",
            "https://host/@user/pkg@1.2",
            "see //x and 12:34 @home and //me@you",
            "/x?session_hash=session-1&session_hash=short&code=404&__theme=dark",
            "http://host\\nme@you",
            '<a href="http://host">me@you</a>, <a href="http://host:80">me@you</a> <http://host:80><me@you>',
            "<a href=http://host>me@you</a> <a href=http://host:80>me@you</a> http://host<br>me@you",
            "['http://host:80','me@you'] ['http://host/a','me@you'] {'a':'http://host','b':'me@you'}",
            '{"//registry.example:4873/@scope": "//registry/@scope", "a": "//me@you", "b": "git@host:me/x.git"}',
            r'"http:\/\/host\/@me" "http:\u002f\u002fhost\u002f@me" "http://host\u0022,me@you"',
            "http%3A%2F%2Fhost%2F%40me http%3A%2F%2Fhost%3Fa%3Dme%40you http%253A%252F%252Fhost%252F%2540me",
            "%22http%3A%2F%2Fhost%22%2C%22me%40you%22 http%3A%2F%2Fhost%20me%40you",
            '["/x?token=","b"] ["/x?token=", "b"]',
            json.dumps({"a": '["/x?token=","b"]'}),
            "['/x?token=','b']",
            "http://[::1]:80/ mailto:me@you //, me@you: //",
        ],
    )
    def test_what_is_honest_is_left_alone(self, text: str) -> None:
        assert shown(text) == text


SECRETS = {
    "a token of Hugging Face": ["hf_AbCdEfGhIjKlMnOp", "hf_" + "a" * 34, "api_org_AbCdEfGhIjKl"],
    "a key of OpenAI's kind": ["sk-abcdefghij0123456789", "sk-proj-Ab1_cdefghijklmnopq-rs", "sk-ant-api03-" + "a1" * 20, "sk-" + "a" * 24],
    "a token of GitHub": ["ghp_" + "a1" * 18, "gho_" + "B" * 36, "github_pat_11ABC_" + "x" * 30],
    "a token of GitLab": ["glpat-" + "x-" * 10],
    "a key of AWS": ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"],
    "a key of Google": ["AIza" + "a" * 35],
    "a token of Google": ["ya29." + "a" * 30],
    "a secret of Google": ["GOCSPX-" + "a" * 24],
    "a token of Slack": ["xoxb-1234-5678-abcdef", "xapp-1-A1234-5678"],
    "a key of Stripe": ["sk_live_" + "a" * 24, "rk_test_" + "b" * 24],
    "a token of npm or PyPI": ["npm_" + "a" * 36, "pypi-AgEI" + "a" * 60],
    "a key of Groq": ["gsk_" + "a" * 52],
    "a token of Replicate": ["r8_" + "a" * 37],
    "a key of NVIDIA, Perplexity, xAI": ["nvapi-" + "a" * 60, "pplx-" + "a" * 48, "xai-" + "a" * 80],
    "a JSON Web Token": ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjMifQ.s-1G_natureX"],
    "a private key": [
        "-----BEGIN PRIVATE KEY-----\nMIIabc+/=\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\\nProc-Type: 4,ENCRYPTED\\nMIIabc\\n-----END RSA PRIVATE KEY-----",
    ],
    "a bearer token": ["Bearer abcdef123456"],
    "a login": ["Basic YW5uOnNlY3JldA=="],
}  # fmt: skip


class TestForms:
    def test_every_form_of_the_table_has_examples(self) -> None:
        assert {form.name for form in FORMS} == set(SECRETS)

    @pytest.mark.parametrize(
        ("what", "secret"), [(what, one) for what, some in SECRETS.items() for one in some]
    )
    def test_it_is_taken_out_wherever_it_stands(self, what: str, secret: str) -> None:
        kept = {"a bearer token": "Bearer ", "a login": "Basic "}.get(what, "")
        for before, after in [(" ", " "), ('"', '"'), ("\\n", "\\n"), ("(", ")"), ("%20", "&"), ("=", ",")]:
            text, found = take_out(f"{before}{secret}{after}")
            assert text == f"{before}{kept}REDACTED{after}"
            assert [one.what for one in found] == [what]

    def test_a_key_that_breaks_off_is_taken_out_to_its_end(self) -> None:
        assert shown("a -----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz") == "a REDACTED"

    @pytest.mark.parametrize(
        "text",
        [
            "hf_transfer hf_xet hf_hub_download hf_ eyJ ey sk- sk-learn sk-fading-circle-wrapper ghp_ xoxo AKIA",
            "risk-abcdefghij0123456789 Basic authentication, bearer of good news, Bearer authentication is required",
            "-----BEGIN CERTIFICATE-----\nMIIabc\n-----END CERTIFICATE-----",
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
            "0123456789abcdef0123456789abcdef 3fa85f64-5717-4562-b3fc-2c963f66afa6",
        ],
    )
    def test_what_is_honest_is_left_alone(self, text: str) -> None:
        assert shown(text) == text


PIECES = (
    "eyJ", "eyJaaaaaaaa.", '"password":', "a'password':", "'token':", "://", "//", ":", "/", r"\/", r"\u002f", r"\u003a",
    "&#x2F;", "&", "&amp;", r"\u0026", r"\u003f", "?", ";", "#", "=", r"\u003d", "%", "25", "%26", "%3F", "%3D", "%253F",
    "%253D", "%3A%2F%2F", "%253A%252F%252F", "%2F", "%40", "%2540", "@", "a", "9", "-", ".", " ", "\\", '"', "'", "<", ">",
    ",", "(", "b'", "[", "{", "]", "}", "\n", "hf_", "sk-", "sk-a-", "github_pat_", "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN ", "Bearer ", "Basic aaaaaa", "?token=", "?a=", "&key=", "%26code%3D", "token", "REDACTED", "session-1",
    "session_hash", '"type":', r"\"secret\":\"",
)  # fmt: skip
"""What the patterns begin at, stop at, or pass over."""

UNITS = (
    '"password":"a', '"password":[', '"password":{', '"password":{"a":', "://a", 'a\\"x', '\\"password\\":\\"x\\\\\\"',
    '"secret":9', '"password"   ', '"password":[[', "a@", "?token=REDACTED", "%3Fa%3D", '"password":{"', '"password":{"a":;\'', "&a=?", "?code=1",
    *PIECES,
)  # fmt: skip

STARTS = (
    "", "https://", "https://u:", "https%3A%2F%2Fu", '"//', "?token=", "?a=", '"password":[', '"password":{', '"password":"',
    "'password':b'", '"password":{"type":',
)  # fmt: skip
"""What a unit is read as, if it stands behind that."""

ENDS = ("", '"type":1', "@h", '"')


def _check_growth(start: str, unit: str, end: str, size: int) -> None:
    small, large, larger = (start + unit * (size * times // len(unit)) + end for times in (1, 4, 16))
    try:
        check_growth(
            take_out, small, large, negligible=0.015
        )  # the square of so many characters takes longer
    except AssertionError:  # by the caches of a busy machine too, but not once more: the square would
        check_growth(take_out, large, larger)


@pytest.mark.parametrize("start", ["", "https://"])
@pytest.mark.parametrize("unit", UNITS)
def test_the_time_grows_with_the_text_and_no_faster(unit: str, start: str) -> None:
    _check_growth(start, unit, "", 16 * 1024)


@pytest.mark.parametrize("unit", UNITS)
def test_nor_does_what_stands_before_and_after_make_it_grow_faster(unit: str) -> None:
    for start in STARTS:
        for end in ENDS:
            _check_growth(start, unit, end, 2 * 1024)


@pytest.mark.parametrize("first", PIECES)
def test_nor_does_any_pair_of_what_the_patterns_know(first: str) -> None:
    for second in PIECES:
        _check_growth("", first + second, "", 2 * 1024)
