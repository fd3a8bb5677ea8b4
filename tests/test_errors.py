# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import pickle
import sys
import unicodedata

import pytest

from gradio_transport import errors
from gradio_transport.calls.failures import copy_error
from gradio_transport.errors import GradioTransportError, Phase

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, GradioTransportError)
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_errors_travel_between_processes_whole(kind: type[GradioTransportError]) -> None:
    error = kind(
        "what happened", phase=Phase.JOIN, status=503, adapter="sse_v3", elapsed=1.5, may_have_run=True
    )
    other = pickle.loads(pickle.dumps(error))
    assert type(other) is kind
    assert str(other) == str(error)
    shown = "what happened [phase join, adapter sse_v3, HTTP 503, after 1.50 s]"
    assert other.summary() == error.summary() == shown
    assert other.__dict__ == error.__dict__
    assert other.args == ("what happened",)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_text_of_an_error_of_the_app_is_the_apps_alone(kind: type[GradioTransportError]) -> None:
    error = kind("what happened", phase=Phase.JOIN, elapsed=1.5)
    context = "[phase join, after 1.50 s]"
    alone = issubclass(kind, errors.AppError)
    assert str(error) == ("what happened" if alone else f"what happened {context}")
    assert repr(error) == f"{kind.__name__}('what happened') {context}"


def test_an_error_of_which_nothing_else_is_known_is_its_message() -> None:
    error = GradioTransportError("what happened ")
    assert (str(error), error.circumstances) == ("what happened ", "")
    assert repr(error) == "GradioTransportError('what happened ')"


BUILT_IN = {
    errors.ConnectError: ConnectionError,
    errors.StreamLost: ConnectionError,
    errors.TimeoutExpired: TimeoutError,
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_a_built_in_says_too_is_caught_as_that(kind: type[GradioTransportError]) -> None:
    wanted = BUILT_IN.get(kind)
    error = kind("what happened", phase=Phase.JOIN, elapsed=1.5, may_have_run=True)
    assert isinstance(error, OSError) is (wanted is not None)
    if wanted is None or not isinstance(error, OSError):
        return
    assert isinstance(error, wanted)
    for same in (error, pickle.loads(pickle.dumps(error)), copy.copy(error), copy_error(error)):
        assert isinstance(same, wanted)
        assert same.args == ("what happened",)
        # Not the number of the system: click, for one, hides an OSError of a broken pipe.
        assert (same.errno, same.strerror, same.filename) == (None, None, None)
        assert str(same) == str(error)


def test_only_what_was_not_accepted_is_retryable() -> None:
    retryable = {kind.__name__ for kind in KINDS if kind.retryable}
    assert retryable == {"ConnectError", "QueueFull", "RateLimited"}


def test_long_bodies_are_cut() -> None:
    assert len(errors.excerpt("x" * 10_000)) < 500
    assert errors.excerpt(b"\xff a\n\n b") == "\ufffd a b"


def test_an_excerpt_shows_what_would_steer_a_terminal() -> None:
    assert errors.excerpt("a\x1b[2J\u202e\x9b") == r"a\x1b[2J\u202e\x9b"
    assert errors.list_texts(["a\nb\x1b", "c"]) == r"a b\x1b, c"


SHOWN_AS_THEY_ARE = "\t\n\u200c\u200d" + "".join(  # joiners of scripts and emoji, and signs with a glyph
    map(
        chr,
        (*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x13430, 0x13440)),
    )
)


def test_every_control_format_and_separator_character_is_made_visible() -> None:
    hidden = {
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    }
    raw = {character for character in hidden if errors.visible(character) == character}
    assert raw <= set(SHOWN_AS_THEY_ARE)  # Python knows more of them from version to version
    assert errors.visible("".join(sorted(hidden - raw))).isascii()
    # Scripts with joiners, emoji of several characters, and an accent of its own.
    honest = "naïve 日本語 עברית فارسی\u200cها हिन्दी 👩\u200d👧 ❤\ufe0f e\u0301 €"  # noqa: RUF001
    assert errors.visible(honest) == honest


def test_of_many_and_of_long_texts_the_beginning_is_listed() -> None:
    assert errors.list_texts([]) == ""
    assert errors.list_texts(["a", "b"]) == "a, b"
    assert errors.list_texts(["a"] * 20, separator="; ") == "; ".join("a" * 20)
    assert errors.list_texts(["a"] * 1_021) == ", ".join("a" * 20) + " and 1,001 more"
    assert errors.list_texts(["x" * 60, "y" * 61]) == f"{'x' * 60}, {'y' * 60}…"
    assert errors.list_texts(["xyz"], longest=2) == "xy…"


def test_only_so_many_names_of_a_sane_length_are_compared() -> None:
    assert errors.did_you_mean("hallo", ["hello", "world"]) == " Did you mean 'hello'?"
    assert errors.did_you_mean("x" * 61, ["x" * 60]) == ""
    assert errors.did_you_mean("x" * 60, ["x" * 61, "x" * 59]) == f" Did you mean {'x' * 59!r}?"
    assert errors.did_you_mean("hello", [""] * 9_999 + ["hallo", "hullo"]) == " Did you mean 'hallo'?"
