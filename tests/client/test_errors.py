# SPDX-License-Identifier: Apache-2.0
"""Errors of the transport under the names and with the words of the Gradio Python client."""

from __future__ import annotations

import copy
import pickle

import pytest

import gradio_transport as gt
from gradio_transport.client import (
    AppError,
    AuthenticationError,
    ConfigError,
    EndpointError,
    FileError,
    NotAGradioAppError,
    QueueError,
    QuotaExceeded,
    SpaceNotFoundError,
    SpaceNotRunningError,
    TooManyRequestsError,
    ValidationError,
)
from gradio_transport.client.errors import JobTimeout, pending_error, translate, translate_errors
from gradio_transport.errors import Phase

DISCOVER = Phase.DISCOVER
CONFIG = "Could not fetch config for the app. x"


@pytest.mark.parametrize(
    ("error", "kind", "built_in", "text"),
    [
        (gt.errors.QuotaExceeded("x", retry_after=3.0), QuotaExceeded, ValueError, "x"),
        (gt.AppError("x", title="T"), AppError, ValueError, "x"),
        (gt.AuthenticationRequired("x", status=401), AuthenticationError, ValueError, "x"),
        (gt.AuthenticationRequired("x", status=401, phase=DISCOVER), AuthenticationError, ValueError, "x"),
        (gt.AuthenticationRequired("x", status=403, phase=DISCOVER), AuthenticationError, ValueError, CONFIG),
        (gt.errors.QueueFull("x"), QueueError, Exception, "Queue is full! x"),
        (gt.errors.RateLimited("x", retry_after=2.0), TooManyRequestsError, Exception, "x"),
        (gt.ValidationFailed("x", problems={"a": "b"}), ValidationError, ValueError, "x"),
        (gt.EndpointNotFound("x"), EndpointError, ValueError, "x"),
        (gt.TimeoutExpired("x", setting="join", seconds=1.0), JobTimeout, TimeoutError, "Timed out. x"),
        (gt.errors.NotAGradioApp("x", phase=DISCOVER), NotAGradioAppError, ValueError, CONFIG),
        (gt.errors.ServerRefused("x", status=502, phase=DISCOVER), ConfigError, ValueError, CONFIG),
        (gt.errors.SpaceNotFound("x"), SpaceNotFoundError, ValueError, "Could not find Space. x"),
        (
            gt.errors.SpaceNotRunning("x", stage="PAUSED"),
            SpaceNotRunningError,
            ValueError,
            "The current space is in the invalid state: PAUSED. x",
        ),
        (gt.errors.LocalProtocolError("x", phase=Phase.UPLOAD), FileError, ValueError, "x"),
    ],
)
def test_errors_keep_what_they_know_under_their_familiar_names(
    error: gt.GradioTransportError, kind: type[Exception], built_in: type[Exception], text: str
) -> None:
    made = translate(error)
    assert isinstance(made, gt.GradioTransportError)
    assert type(made) is kind
    assert isinstance(made, type(error))
    assert isinstance(made, built_in)
    assert (made.message, made.args) == (text, (text,))
    assert vars(made) == {**vars(error), "message": text}
    assert translate(made) is made
    for other in (copy.copy(made), pickle.loads(pickle.dumps(made))):
        assert (type(other), str(other), vars(other)) == (kind, str(made), vars(made))


@pytest.mark.parametrize(
    "error",
    [
        gt.ConnectError("x"),
        gt.StreamLost("x"),
        gt.errors.LocalProtocolError("x", phase=Phase.JOIN),
        gt.errors.ServerRefused("x", status=500, phase=Phase.JOIN),
        ValueError("x"),
    ],
)
def test_other_errors_are_as_they_were(error: Exception) -> None:
    assert translate(error) is error


def test_words_that_are_there_already_are_not_said_twice() -> None:
    assert str(translate(gt.errors.QueueFull("Queue is full! Wait."))) == "Queue is full! Wait."


def test_an_error_that_the_app_hides_says_so_in_the_words_that_programs_look_for() -> None:
    hidden = translate(gt.AppError("The app hides it.", hidden=True))
    assert "has not enabled verbose error reporting" in str(hidden)
    shown = translate(gt.AppError("The app hides it.", hidden=False))
    assert str(shown) == "The app hides it."


def test_the_stage_of_a_space_is_shown_so_that_it_steers_no_terminal() -> None:
    assert r"\x1b" in str(translate(gt.errors.SpaceNotRunning("x", stage="\x1b[2J")))


def test_a_block_lets_only_familiar_errors_out_with_their_cause() -> None:
    cause = OSError("refused")
    with pytest.raises(ConfigError) as caught, translate_errors():
        raise gt.errors.ServerRefused("x", phase=DISCOVER) from cause
    assert caught.value.__cause__ is cause
    with pytest.raises(gt.ConnectError) as same, translate_errors():
        raise gt.ConnectError("x")
    assert isinstance(same.value, ConnectionError)


def test_a_job_that_is_not_over_in_time_timed_out() -> None:
    error = pending_error("/hello", 2.0, "PROCESSING")
    assert isinstance(error, TimeoutError)
    assert isinstance(error, OSError)
    assert error.args[0].startswith("Timed out. No result of /hello within 2.0 s")
