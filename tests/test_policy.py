# SPDX-License-Identifier: Apache-2.0
"""Deadlines, bounds and retries as a caller sets them."""

from __future__ import annotations

import random
from typing import Any

import attrs
import pytest

from gradio_transport.calls.backoff import delays
from gradio_transport.errors import LocalProtocolError
from gradio_transport.policy import Limits, RetryPolicy, Timeouts

NUMBERS = [
    *((Timeouts, field.name) for field in attrs.fields(Timeouts) if field.name != "cancel_on_expiry"),
    *((Limits, field.name) for field in attrs.fields(Limits) if field.name != "mailbox_policy"),
    *((RetryPolicy, field.name) for field in attrs.fields(RetryPolicy)),
]


@pytest.mark.parametrize(("kind", "name"), NUMBERS, ids=lambda one: getattr(one, "__name__", one))
@pytest.mark.parametrize("value", [0, -1, float("nan"), True, "5", [5]])
def test_a_bound_that_bounds_nothing_is_refused_by_name(kind: Any, name: str, value: Any) -> None:
    with pytest.raises(LocalProtocolError, match=f"{name} must be greater than 0"):
        kind(**{name: value})


@pytest.mark.parametrize(
    ("kind", "name"), [one for one in NUMBERS if one[0] is not Timeouts and one[1] != "max_download_bytes"]
)
def test_only_what_can_be_without_a_bound_takes_none(kind: Any, name: str) -> None:
    with pytest.raises(LocalProtocolError, match=f"{name} must be greater than 0(?!.*or None)"):
        kind(**{name: None})


@pytest.mark.parametrize("name", [name for kind, name in NUMBERS if kind is Limits])
def test_bytes_and_counts_are_whole(name: str) -> None:
    with pytest.raises(LocalProtocolError, match=f"{name} must be greater than 0 and whole"):
        Limits(**{name: 1.5})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (Timeouts, "cancel_on_expiry", 1),
        (Timeouts, "cancel_on_expiry", "no"),
        (Limits, "mailbox_policy", "drop"),
        (Limits, "mailbox_policy", None),
        (Limits, "mailbox_policy", ["fail"]),
    ],
)
def test_one_of_few_values_is_refused_with_all_of_them(kind: Any, name: str, value: Any) -> None:
    with pytest.raises(LocalProtocolError, match=f"{name} is one of .*; got"):
        kind(**{name: value})


def test_none_is_no_deadline() -> None:
    assert Timeouts(idle=None).idle is None


def test_a_copy_changes_what_it_is_told_and_nothing_else() -> None:
    before = Timeouts(join=5)
    after = before.replace(idle=7, total=9)
    assert (after.join, after.idle, after.total) == (5, 7, 9)
    assert (before.idle, before.total) == (60, None)


def test_no_retries_are_the_default() -> None:
    assert RetryPolicy.none() == RetryPolicy()
    assert list(delays(RetryPolicy.none())) == []


def test_delays_grow_to_the_cap_and_end_with_the_budget() -> None:
    class Longest(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return b

    policy = RetryPolicy(attempts=10, base=1, cap=4, budget=12)
    assert list(delays(policy, Longest())) == [1, 2, 4, 4]
