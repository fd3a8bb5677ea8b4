# SPDX-License-Identifier: Apache-2.0
"""Replies that say no, each with the one error that says why."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradio_transport.errors import (
    AppError,
    AuthenticationRequired,
    EndpointNotFound,
    GradioTransportError,
    InvalidPayload,
    Phase,
    QueueFull,
    QuotaExceeded,
    RateLimited,
    RemoteProtocolError,
    ServerRefused,
    SessionNotFound,
    ValidationFailed,
)
from gradio_transport.protocol.commands import Response
from gradio_transport.protocol.refusals import app_error, refusal


def refused(status: int, body: Any = None, **headers: str) -> GradioTransportError:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return refusal(Response(status, named, text), Phase.JOIN)


def test_a_reply_that_may_be_a_proxys_names_it() -> None:
    reply = Response(503, {}, b"<h1>no</h1>", proxy="http://proxy:1 (of http_proxy)")
    error = refusal(reply, Phase.JOIN, what="http://app/config")
    named = "http://app/config, or the proxy http://proxy:1 (of http_proxy) in front of it, answered: no"
    assert error.message == named


def test_a_sentence_ends_once() -> None:
    assert "Function not found. The app" in str(refused(404, {"detail": "Function not found."}))


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        (refused(401, {"detail": "Not authenticated"}), AuthenticationRequired, False),
        (refused(403, b"<html>no</html>"), AuthenticationRequired, False),
        (refused(429, b""), RateLimited, True),
        (refused(503, {"detail": "Queue is full. Max size is 1"}), QueueFull, True),
        (refused(503, b"<html>building</html>"), ServerRefused, True),
        (refused(502), ServerRefused, True),
        (refused(500, {"error": None}), ServerRefused, False),
        (refused(404, {"detail": "Session not found."}), SessionNotFound, False),
        (refused(404, [1]), EndpointNotFound, False),
        (refused(405, {"error": {"error": "Method"}}), EndpointNotFound, False),
        (refused(400, b"bad"), InvalidPayload, False),
        (refused(413, b"large"), InvalidPayload, False),
        (refused(302, b"", location="/login?next=x"), AuthenticationRequired, False),
        (refused(307, b"", location="http://[half"), RemoteProtocolError, False),
        (refused(303, b"", location="/elsewhere"), RemoteProtocolError, False),
        (refused(304, b""), RemoteProtocolError, False),
        (refused(200, b"<html>"), RemoteProtocolError, False),
        (refused(204, b""), RemoteProtocolError, False),
    ],
    ids=lambda one: getattr(one, "__name__", None) or str(getattr(one, "status", one)),
)
def test_each_status_has_its_error(
    error: GradioTransportError, kind: type[Exception], retryable: bool
) -> None:
    assert type(error) is kind
    assert error.retryable is retryable
    assert error.phase is Phase.JOIN
    assert error.status is not None


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 30.0),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT", "date": "Wed, 21 Oct 2015 07:28:30 GMT"}, 0.0),
        ({"retry_after": "soon", "date": "now"}, None),
        ({"retry_after": "-1"}, None),
    ],
)
def test_how_long_to_wait_is_read_from_the_servers_own_clock(
    headers: dict[str, str], wait: float | None
) -> None:
    error = refused(429, b"", **headers)
    assert isinstance(error, RateLimited)
    assert error.retry_after == wait


def test_a_validators_answer_names_the_arguments() -> None:
    items = [
        {"is_valid": True, "message": ""},
        {"is_valid": False, "message": "too short", "parameter_name": "name"},
        {"__type__": "validate", "is_valid": False},
        "nonsense",
    ]
    error = refused(422, {"detail": items})
    assert isinstance(error, ValidationFailed)
    assert error.problems == {"name": "too short", "argument 3": "invalid"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            {"detail": [{"loc": ["body", "data", 0], "msg": "field required"}, {}]},
            "body.data.0: field required; request: invalid",
        ),
        ({"detail": "no"}, "refused the request"),
        ({"detail": [1, 2]}, "refused the request"),
        (b"<html>", "<html>"),
    ],
)
def test_a_shape_that_is_refused_is_told_from_a_validators_answer(body: Any, said: str) -> None:
    error = refused(422, body)
    assert type(error) is InvalidPayload
    assert said in str(error)


@pytest.mark.parametrize(
    ("text", "quoted", "message"),
    [
        ("'it's'", False, "'it's'"),
        ('"it is"', True, "it is"),
        ("'a\\\\nb'", True, "a\\nb"),
        ("plain", True, "plain"),
        ("'", True, "'"),
        ("'open\\'", True, "'open\\'"),
        ("'a' + 'b'", True, "'a' + 'b'"),
        ("'a', 'b'", True, "'a', 'b'"),
    ],
)
def test_quotes_are_taken_off_where_servers_add_them(text: str, quoted: bool, message: str) -> None:
    assert app_error({"error": text}, quoted=quoted).message == message


@pytest.mark.parametrize("quoted", [True, False])
def test_a_hidden_error_says_that_the_app_hides_it(quoted: bool) -> None:
    error = app_error({"error": None}, quoted=quoted)
    assert error.hidden
    assert "show_error" in error.message


@pytest.mark.parametrize(
    ("output", "quoted"),
    [
        ({"error": ""}, False),
        ({"error": " "}, False),
        ({"error": "None"}, False),
        ({"error": "None"}, True),
        ({"error": "''"}, True),
        ({"error": 5}, False),
        ({"error": ["x"]}, False),
        ({}, False),
    ],
)
def test_an_error_without_a_text_is_not_said_to_be_hidden(output: dict[str, Any], quoted: bool) -> None:
    error = app_error(output, quoted=quoted)
    assert not error.hidden
    assert error.message == "The call failed: the server sent an error without a text."


def test_what_an_error_says_of_itself_is_kept_where_it_makes_sense() -> None:
    error = app_error(
        {"error": "x", "title": "Oh", "duration": 5, "visible": False}, quoted=False, title="outer"
    )
    assert (error.title, error.duration, error.visible) == ("Oh", 5.0, False)
    error = app_error({"error": "x", "title": 1, "duration": "long"}, quoted=False, title="outer")
    assert (error.title, error.duration, error.visible) == ("outer", None, True)


@pytest.mark.parametrize("duration", [True, -1, float("nan"), float("inf"), 10**400])
def test_a_duration_that_is_no_time_is_none(duration: Any) -> None:
    assert app_error({"error": "x", "duration": duration}, quoted=False).duration is None


@pytest.mark.parametrize(
    ("text", "title", "wait"),
    [
        ("You have exceeded your GPU quota (60s requested vs. 0s left). Try again in 0:12:34", None, 754.0),
        ("Runs limit used up.", "ZeroGPU quota exceeded", None),
        (None, "ZeroGPU quota exceeded", None),
    ],
)
@pytest.mark.parametrize("place", ["of the error", "of the message"])
def test_a_used_up_quota_is_an_error_of_its_own(
    text: str | None, title: str | None, wait: float | None, place: str
) -> None:
    inner = {"title": title} if place == "of the error" else {}
    error = app_error({"error": text, **inner}, quoted=False, title=title)
    assert isinstance(error, QuotaExceeded)
    assert (error.retry_after, error.title, error.hidden) == (wait, title, text is None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["detail", "error", "is_valid", "msg", "loc", "title", "duration", "message"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.integers(100, 599),
    JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=50),
    st.dictionaries(
        st.sampled_from(["retry-after", "date", "location", "content-type"]), st.text(max_size=30)
    ),
)
def test_any_reply_becomes_one_typed_error_and_nothing_else(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    error = refusal(Response(status, headers, body), Phase.JOIN)
    assert isinstance(error, GradioTransportError)
    assert error.status == status
    assert len(str(error)) < 20_000


@given(st.dictionaries(st.sampled_from(["error", "title", "duration", "visible"]), JSON), st.booleans())
def test_any_error_object_becomes_an_error_of_the_app(output: dict[str, Any], quoted: bool) -> None:
    assert isinstance(app_error(output, quoted=quoted), AppError)


@pytest.mark.parametrize(
    ("named", "codings", "foreign"),
    [
        (None, [], None),
        ("identity, ", [], None),
        (" X-GZIP,deflate", ["gzip", "deflate"], None),
        ("gzip, br", ["gzip", "br"], "br"),
        ("x-nonsense", ["x-nonsense"], "x-nonsense"),
    ],
)
def test_codings_that_nobody_asked_for_are_known(
    named: str | None, codings: list[str], foreign: str | None
) -> None:
    response = Response(200, {} if named is None else {"content-encoding": named})
    assert response.codings == codings
    assert response.unsupported_coding == foreign


# --- bounds and comparisons that only one value satisfies --------------------------------------------


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (199, "an unexpected reply"),
        (299, "an unexpected reply"),
        (300, "redirects endlessly or elsewhere"),
        (399, "redirects endlessly or elsewhere"),
    ],
)
def test_the_words_follow_the_class_of_the_status(status: int, words: str) -> None:
    assert words in str(refused(status, b"x"))


@pytest.mark.parametrize("status", [402, 406, 499, 500, 501, 505])
def test_other_statuses_are_plain_refusals_that_are_not_worth_a_retry(status: int) -> None:
    error = refused(status, b"x")
    assert type(error) is ServerRefused
    assert error.retryable is False


def test_a_gateway_timeout_is_worth_a_retry() -> None:
    assert refused(504).retryable


@pytest.mark.parametrize(
    "item", [{"is_valid": False, "message": "m" * 1_000}, {"loc": ["body"], "msg": "m" * 1_000}]
)
def test_a_refusal_of_many_arguments_lists_some(item: dict[str, Any]) -> None:
    error = refused(422, {"detail": [item] * 1_000})
    assert "and 980 more." in str(error)
    assert len(str(error)) < 10_000


def test_a_refusal_quotes_its_body_or_says_that_there_is_none() -> None:
    assert "answered: busy" in str(refused(500, b"busy"))
    assert "answered: no reason given" in str(refused(500, b""))


def test_a_retry_date_without_the_servers_clock_counts_from_the_epoch() -> None:
    error = refused(429, b"", retry_after="Thu, 01 Jan 1970 00:00:30 GMT")
    assert isinstance(error, RateLimited)
    assert error.retry_after == 30.0


@pytest.mark.parametrize("item", [{"__type__": "validate", "message": "no"}, {"is_valid": True}])
def test_either_sign_makes_a_validators_answer(item: dict[str, Any]) -> None:
    assert type(refused(422, {"detail": [item]})) is ValidationFailed


@pytest.mark.parametrize("valid", [0, None, "", True, -1])
def test_only_false_is_invalid(valid: Any) -> None:
    error = refused(422, {"detail": [{"is_valid": valid, "parameter_name": "x", "message": "m"}]})
    assert isinstance(error, ValidationFailed)
    assert error.problems == {}


@pytest.mark.parametrize("visible", [0, None, "", True])
def test_only_false_hides_an_error(visible: Any) -> None:
    assert app_error({"error": "x", "visible": visible}, quoted=False).visible is True


@pytest.mark.parametrize(
    ("duration", "seconds"), [(0, 0.0), (0.5, 0.5), (sys.float_info.max, sys.float_info.max), (-0.5, None)]
)
def test_any_length_of_time_is_a_duration(duration: float, seconds: float | None) -> None:
    assert app_error({"error": "x", "duration": duration}, quoted=False).duration == seconds


def test_words_on_a_quota_outside_an_error_text_are_no_quota() -> None:
    assert type(app_error({"error": None}, quoted=False)) is AppError
    assert type(app_error({"error": "my quota"}, quoted=False)) is AppError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "x"),
        ('"', '"'),
        ("'a\"", "'a\""),
        ("\"a'", "\"a'"),
        ("'ab", "'ab"),
        ("ab'", "ab'"),
        ("1", "1"),
        ("11", "11"),
        ("(1)", "(1)"),
        ("'é'", "é"),
        ("'a' \"b\"", "'a' \"b\""),
        ("\"a\" 'b'", "\"a\" 'b'"),
        ("'a\n'", "'a\n'"),
        ("'\\'", "'\\'"),
        ("'\\q'", "'\\q'"),
        ("'\\U00110000'", "'\\U00110000'"),
    ],
)
def test_only_a_quoted_text_is_unquoted(text: str, message: str) -> None:
    error = app_error({"error": text}, quoted=True)
    assert error.message == message


@given(st.text(st.characters(codec=None) | st.sampled_from("'\"\\\n\r\t\0nxuU0")))
def test_the_repr_of_any_text_is_unquoted(text: str) -> None:
    assert app_error({"error": repr(f"x{text}")}, quoted=True).message == f"x{text}"
