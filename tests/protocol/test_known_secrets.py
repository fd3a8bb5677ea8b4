# SPDX-License-Identifier: Apache-2.0
"""What the caller gave as a secret is found again in every spelling, and nothing else is touched."""

from __future__ import annotations

import html
import json
import pickle
from base64 import b64encode
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradio_transport.protocol.known_secrets import (
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
    assert known.hide("of-the-call value-number-0000") == "REDACTED REDACTED"
    known.add_set_cookies(["theme=" + "d" * (SHORTEST_COOKIE - 1)])
    assert "d" * (SHORTEST_COOKIE - 1) in known.hide("d" * (SHORTEST_COOKIE - 1))


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
