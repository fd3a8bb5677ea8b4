# SPDX-License-Identifier: Apache-2.0
"""The settings of a run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Self, cast

import attrs

from ..errors import LocalProtocolError


def _is_positive(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    whole, optional = attribute.metadata["whole"], attribute.metadata["optional"]
    if value is None and optional:
        return
    found = cast("Any", value) if isinstance(value, int if whole else int | float) else 0
    if isinstance(value, bool) or not 0 < found < math.inf:
        kind = "a whole number" if whole else "a number"
        raise LocalProtocolError(
            f"{attribute.name}= takes {kind} greater than 0{', or None' if optional else ''}; got {value!r}."
        )


def number(default: Any, *, whole: bool = False, optional: bool = True) -> Any:
    """Return a field for a number greater than 0, or None if it is optional."""
    return attrs.field(
        default=default, validator=_is_positive, metadata={"whole": whole, "optional": optional}
    )


def is_flag(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validate that a value is True or False."""
    if not isinstance(value, bool):
        raise LocalProtocolError(f"{attribute.name}= takes True or False; got {value!r}.")


def _is_flag_or_none(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None:
        is_flag(instance, attribute, value)


def _to_directory(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)


def _to_names(value: Any) -> tuple[str | int, ...]:
    return (value,) if isinstance(value, str | int) else tuple(value)


@attrs.frozen(kw_only=True)
class RunSettings:
    """The settings of any run over rows; see `gradio_transport.bulk.map`."""

    at_once: int | None = number(None, whole=True)
    rate: float | None = number(None)
    attempts: int = number(3, whole=True, optional=False)
    repeatable: bool = attrs.field(default=False, validator=is_flag)
    late: bool | None = attrs.field(default=False, validator=_is_flag_or_none)

    def share(self, workers: int) -> Self:
        """Return the settings of one of several workers: its share of the concurrent rows and of the rate."""
        return attrs.evolve(
            self,
            at_once=None if self.at_once is None else math.ceil(self.at_once / workers),
            rate=None if self.rate is None else self.rate / workers,
        )


@attrs.frozen(kw_only=True)
class Settings(RunSettings):
    """The settings of a run of calls."""

    endpoint: str | int
    timeout: float | None = number(None)
    patience: float = number(300.0, optional=False)
    files: tuple[str | int, ...] = attrs.field(default=(), converter=_to_names)
    files_to: Path | None = attrs.field(default=None, converter=_to_directory)
