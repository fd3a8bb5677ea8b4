# SPDX-License-Identifier: Apache-2.0
"""What the caller gave as a secret is found again in every spelling, and nothing else is touched."""

from __future__ import annotations

import html
import json
import pickle
import tracemalloc
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

import pytest
from growth import check_growth
from hypothesis import given
from hypothesis import strategies as st

from gradio_transport.protocol.known_secrets import (
    COOKIE_SPELLINGS,
    COOKIES,
    LONGEST_COOKIE,
    LONGEST_SECRET,
    PASSING_SECRETS,
    SHORTEST_COOKIE,
    KnownSecrets,
    secret_parts,
)

SECRET = "open \"sésame\" / \\ & 'm€'"


def with_headers(**headers: str) -> KnownSecrets:
    known = KnownSecrets()
    known.add_headers({name.replace("_", "-"): value for name, value in headers.items()})
    return known


@pytest.mark.parametrize(
    "spelling",
    [
        SECRET,
        repr(SECRET)[1:-1],
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(SECRET))[3:-3],
        json.dumps(SECRET)[1:-1].replace("/", r"\/"),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").replace("%C3%A9", "%c3%a9").replace("%E2%82%AC", "%e2%82%ac").lower(),
        quote_plus(SECRET),
        html.escape(SECRET),
        html.escape(SECRET, quote=False),
    ],
)
def test_it_is_hidden_in_every_spelling(spelling: str) -> None:
    assert KnownSecrets([SECRET]).hide(f"you said {spelling}!") == "you said REDACTED!"


MARKED = "p\"a's+s/w<o&r>d=1!*é \\"
JSON = r"p\"a's+s/w<o&r>d=1!*%s \\"

ECHOES = {
    "markupsafe": "p&#34;a&#39;s+s/w&lt;o&amp;r&gt;d=1!*é \\",
    "escapers of JavaScript": "p&quot;a&#39;s+s/w&lt;o&amp;r&gt;d=1!*é \\",
    "PHP's htmlspecialchars": "p&quot;a&#039;s+s/w&lt;o&amp;r&gt;d=1!*é \\",
    "PHP's htmlspecialchars of old": "p&quot;a's+s/w&lt;o&amp;r&gt;d=1!*é \\",
    "JSON of Go": r"p\"a's+s/w\u003co\u0026r\u003ed=1!*é \\",
    "JSON of Jinja": r"p\"a\u0027s+s/w\u003co\u0026r\u003ed=1!*\u00e9 \\",
    "JSON in gradio's page": r"p\"a\u0027s+s/w\u003co\u0026r\u003ed=1!*é \\",
    "JSON of .NET": r"p\u0022a\u0027s\u002Bs/w\u003Co\u0026r\u003Ed=1!*\u00E9 \\",
    "JSON in JSON in JSON": json.dumps(json.dumps(json.dumps(MARKED)))[7:-7],
    "the same in UTF-8": json.dumps(
        json.dumps(json.dumps(MARKED, ensure_ascii=False), ensure_ascii=False), ensure_ascii=False
    )[7:-7],
    "JSON of HTML": r"p&#34;a&#39;s+s/w&lt;o&amp;r&gt;d=1!*\u00e9 \\",
    "encodeURIComponent": "p%22a's%2Bs%2Fw%3Co%26r%3Ed%3D1!*%C3%A9%20%5C",
    "forms of browsers": "p%22a%27s%2Bs%2Fw%3Co%26r%3Ed%3D1%21*%C3%A9+%5C",
    "UrlEncode of .NET": "p%22a%27s%2bs%2fw%3co%26r%3ed%3d1!*%c3%a9+%5c",
    "quoted twice": quote(quote(MARKED, safe=""), safe=""),
    "encodeURIComponent twice": "p%2522a's%252Bs%252Fw%253Co%2526r%253Ed%253D1!*%25C3%25A9%2520%255C",
    "repr of bytes": r"p" + '"' + r"a\'s+s/w<o&r>d=1!*\xc3\xa9 \\",
    "UTF-8 read as Latin-1": "p\"a's+s/w<o&r>d=1!*\u00c3\u00a9 \\",
    "the same in JSON": JSON % r"\u00c3\u00a9",
    "base64": b64encode(MARKED.encode()).decode().rstrip("="),
    "base64 for URLs": urlsafe_b64encode(MARKED.encode()).decode().rstrip("="),
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_it_is_hidden_as_ordinary_servers_echo_it(echo: str) -> None:
    assert KnownSecrets([MARKED]).hide(f"you said {echo}!") == "you said REDACTED!"


def test_base64_of_short_texts_is_left_alone() -> None:
    known = KnownSecrets(["a"], shortest=1)
    assert known.hide("a YQ") == "REDACTED YQ"


def test_a_secret_without_special_characters_has_few_spellings() -> None:
    assert len(KnownSecrets(["hf_abcdefghijklmnop"]).spellings) == 2
    assert len(KnownSecrets([MARKED]).spellings) < COOKIE_SPELLINGS


@pytest.mark.parametrize(
    ("name", "value", "parts"),
    [
        ("authorization", "Bearer t0ken-of-mine", {"Bearer t0ken-of-mine", "t0ken-of-mine"}),
        ("x-api-key", "k3y-of-mine", {"k3y-of-mine"}),
        ("cookie", 'a=first-cookie; b="second-cookie"', {"first-cookie", "second-cookie"}),
        ("x-note", "words that are a header", {"words that are a header"}),
        ("", "t0ken", {"t0ken"}),
    ],
)
def test_of_a_header_all_that_may_be_a_secret_is_hidden(name: str, value: str, parts: set[str]) -> None:
    assert set(secret_parts(name, value)) >= parts


def test_of_harmless_headers_nothing_is_hidden() -> None:
    known = with_headers(accept_language="en-GB,en", User_Agent="Mozilla/5.0")
    known.add_passing_headers({"X-Request-Id": "0123456789", "x-a": "b"})
    known.add_passing("short")
    assert not known


def test_of_a_login_the_password_is_hidden_and_not_the_user() -> None:
    credentials = b64encode(b"annabelle:open sesame").decode()
    known = with_headers(authorization=f"Basic {credentials}")
    assert (
        known.hide(f"annabelle may not: {credentials}, open sesame")
        == "annabelle may not: REDACTED, REDACTED"
    )
    alone = b64encode(b"t0ken-as-user").decode()
    assert with_headers(authorization=f"Basic {alone}").hide("t0ken-as-user") == "REDACTED"
    assert with_headers(authorization="Basic no-base64!").hide("no-base64!") == "REDACTED"


def test_short_texts_are_left_alone_because_they_are_words() -> None:
    known = KnownSecrets(["admin", "1", ""])
    known.add_headers({"x-user": "ann", "cookie": "a=b"})
    assert known.hide("admin ann 1 a=b") == "admin ann 1 a=b"


def test_where_a_text_was_cut_a_part_of_a_secret_is_hidden_too() -> None:
    known = KnownSecrets(["0123456789abcdef"])
    assert known.hide("it said 0123456789…") == "it said REDACTED…"
    assert known.hide("'it said 0123456...89abcdef'") == "'it said REDACTED...REDACTED'"
    assert known.hide("it said 01234…") == "it said 01234…"
    assert known.hide("…0123456789 and 0123456789") == "…0123456789 and 0123456789"
    assert known.hide("0123456789… and more …") == "REDACTED… and more …"


def test_of_many_cuts_the_last_ones_are_looked_at() -> None:
    known = KnownSecrets(["0123450123456789"])
    assert known.hide("x 012345012345…") == "x REDACTED…"
    assert known.hide("x 012345x012345…") == "x 012345xREDACTED…"
    assert known.hide("x 0123450123456… y 012345… " + "…" * 100) == "x 0123450123456… y 012345… " + "…" * 100


def test_secrets_across_texts_are_hidden_in_all_of_them() -> None:
    known = KnownSecrets(["0123456789"])
    assert known.hide_all(["a 012", "34567", "89 b", "c 0123456789"]) == [
        "a REDACTED",
        "",
        " b",
        "c REDACTED",
    ]
    assert KnownSecrets().hide_all(["a", "b"]) == ["a", "b"]


def test_overlapping_secrets_are_hidden_whole() -> None:
    assert (
        KnownSecrets(["sesame-street", "street-of-mine", "sesame"]).hide("sesame-street-of-mine")
        == "REDACTED"
    )


def test_secrets_of_calls_are_forgotten_after_many_others_and_those_of_the_app_never() -> None:
    known = KnownSecrets(["of-the-app"])
    known.add_passing("of-the-first-call")
    known.add_passing_headers({"X-Token": "of-the-first-call"})
    assert known.hide("of-the-first-call") == "REDACTED"
    for number in range(PASSING_SECRETS):
        known.add_passing(f"of-call-number-{number}")
        known.add_passing(f"of-call-number-{number}")  # counts once
    assert known.hide("of-the-first-call") == "of-the-first-call"
    assert known.hide("of-the-app, of-call-number-0") == "REDACTED, REDACTED"


def test_what_is_as_long_as_a_text_is_not_kept() -> None:
    known = KnownSecrets()
    known.add_passing("a" * LONGEST_SECRET, "b" * (LONGEST_SECRET + 1))
    assert known.hide("a" * LONGEST_SECRET) == "REDACTED"
    assert known.hide("b" * LONGEST_SECRET) != "REDACTED"


def test_a_server_that_sets_many_cookies_drives_no_secret_out() -> None:
    known = KnownSecrets()
    known.add_passing("of-the-call")
    known.add_set_cookies(f"c{number}=value-number-{number:04}; Path=/" for number in range(PASSING_SECRETS))
    first = PASSING_SECRETS - COOKIES
    assert known.hide(f"of-the-call value-number-{first:04}") == "REDACTED REDACTED"
    assert known.hide(f"value-number-{first - 1:04}") == f"value-number-{first - 1:04}"
    known.add_set_cookies(["theme=" + "d" * (SHORTEST_COOKIE - 1)])
    assert "d" * (SHORTEST_COOKIE - 1) in known.hide("d" * (SHORTEST_COOKIE - 1))


def test_cookies_that_are_not_taken_are_not_looked_for() -> None:
    known = KnownSecrets()
    known.add_set_cookies(["a=" + "b" * (LONGEST_COOKIE - 1), "a=open-sesame-é"])
    assert not known
    known.add_set_cookies(["a=" + "b" * (LONGEST_COOKIE - 2)])
    assert known.hide("b" * (LONGEST_COOKIE - 2)) == "REDACTED"


COSTLY = ("<\"/%&'+*\\" * LONGEST_COOKIE)[: LONGEST_COOKIE - 16]


def test_cookies_of_many_spellings_are_looked_for_within_a_bound_and_the_newest_first() -> None:
    known = KnownSecrets(["of-the-caller"])
    known.add_set_cookies(f"a={number:08}{COSTLY[:198]}" for number in range(COOKIES))
    assert len(known.spellings) <= COOKIE_SPELLINGS + 2
    assert known.hide(f"of-the-caller {COOKIES - 1:08}{COSTLY[:198]}") == "REDACTED REDACTED"
    assert "REDACTED" not in known.hide(f"{0:08}{COSTLY[:198]}")


def test_what_a_server_sets_takes_little_memory() -> None:
    known = KnownSecrets()
    tracemalloc.start()
    try:
        for number in range(2 * COOKIES):
            known.add_set_cookies([f"a={number:08}{COSTLY}", f"a={number:08}{COSTLY * 4}"])
        known.hide("a text")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 8 * 1024 * 1024


def test_what_stands_everywhere_takes_no_more_memory_than_its_text() -> None:
    known = KnownSecrets()
    known.add_set_cookies(f"a={'a' * (SHORTEST_COOKIE + number)}" for number in range(COOKIES))
    text = "a" * 100_000
    assert known.spellings
    tracemalloc.start()
    try:
        assert known.hide(text) == "REDACTED"
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 * len(text)


REPEATED = [
    "a" * 8000,
    "ab" * 4000,
    "aaaaaab" * 1100,
    COSTLY[:8000],
    "a" * 4000 + "b" + "a" * 3999,
]


@pytest.mark.parametrize("cut", ["…", "...", "b…b", "b...b", "a…", ""])
@pytest.mark.parametrize("value", REPEATED, ids=["a", "ab", "aaaaaab", "costly", "aba"])
def test_the_time_grows_with_the_text_and_no_faster(value: str, cut: str) -> None:
    known = KnownSecrets(["of-the-caller"])
    known.add_set_cookies(f"c{number}={value[number:]}" for number in range(COOKIES))
    assert len(known.spellings) > COOKIES
    unit = f"{value[:-10]}{cut}{value[10:]}"
    check_growth(known.hide, unit * 4, unit * 16, negligible=0.02)


@pytest.mark.parametrize("cut", ["…", "b…b"])
def test_the_time_grows_with_the_secrets_and_no_faster(cut: str) -> None:
    def known(length: int) -> KnownSecrets:
        return KnownSecrets("a" * (length - number) for number in range(COOKIES))

    text = f"{'a' * 8000}{cut}{'a' * 8000}" * 32
    check_growth(lambda secrets: secrets.hide(text), known(1000), known(4000), negligible=0.02)


@pytest.mark.parametrize("secret", ["abcabcabcabcX", "Xabcabcabcabc"])
def test_of_a_text_that_repeats_a_part_of_a_secret_beside_a_cut_all_is_hidden(secret: str) -> None:
    known = KnownSecrets([secret, "abcabc" + "x" * 200 + "abcabc"])
    text = "abc" * 20
    assert known.hide(f"it said Y{text}Z…") == "it said YREDACTED…"
    assert known.hide(f"…Z{text}Y") == "…REDACTEDY"


def test_a_pickle_and_a_repr_hold_none() -> None:
    known = KnownSecrets([SECRET])
    assert not pickle.loads(pickle.dumps(known))
    assert SECRET not in repr(known)


def test_nothing_is_known_at_first() -> None:
    known = KnownSecrets()
    assert not known
    assert known.hide("anything…") == "anything…"
    known.add("something")
    assert known


@given(st.text(min_size=6), st.text(), st.text())
def test_no_secret_is_left_in_any_text(secret: str, before: str, after: str) -> None:
    known = KnownSecrets([secret])
    shown = known.hide(f"{before}{secret}{after}")
    assert "REDACTED" in shown
    assert secret in "REDACTED" or shown.count(secret) <= (f"{before} {after}").count(secret) + secret.count(
        "REDACTED"
    )
