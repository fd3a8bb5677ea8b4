# SPDX-License-Identifier: Apache-2.0
"""Parsing of the parameters and returns of an endpoint, from ``/info`` or from the components."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

import attrs

from .config import Component, JSONObject, Parameter
from .json_fields import to_object, to_text
from .schema import python_type, schema_of
from .translations import is_translated

_LONGEST_ALIAS = 60
"""The longest label that becomes a keyword. A longer one is a sentence, which is not practical to type."""


def parse_parameters(
    listed: list[JSONObject], slots: Sequence[Component], *, typed: bool
) -> tuple[Parameter, ...]:
    """Return the parameters or returns of an endpoint, as ``/info`` describes them.

    Args:
        listed: The list of ``/info``.
        slots: The components.
        typed: Whether its types are those of the wire. Before 4.0 they are those of Gradio's own client: a
            JSON file for JSON, a directory for a gallery.
    """
    visible = [(place, slot) for place, slot in enumerate(slots) if not slot.skipped]
    described = without_skipped(listed, slots)
    return tuple(
        _parse_parameter(raw if typed else _drop_types(raw), place, slot)
        for raw, (place, slot) in zip(described, visible, strict=False)
    )


def derive_parameters(slots: Sequence[Component], *, with_default: bool = False) -> tuple[Parameter, ...]:
    """Derive the parameters from the components only, for servers or endpoints without ``/info``."""
    return tuple(
        _derive_parameter(place, slot, with_default=with_default)
        for place, slot in enumerate(slots)
        if not slot.skipped
    )


def with_aliases(parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Give each unnamed parameter a second keyword from its label, if that is unique.

    Servers before 4.23 send only labels: neither config nor ``/info`` has the function's signature.
    """
    aliases = [_identifier(parameter.label) if parameter.is_numbered else "" for parameter in parameters]
    uses = Counter([*(parameter.name for parameter in parameters), *aliases])
    return tuple(
        attrs.evolve(parameter, alias=alias) if alias and uses[alias] == 1 else parameter
        for parameter, alias in zip(parameters, aliases, strict=True)
    )


def _identifier(label: str) -> str:
    """Return a label as a keyword, such as ``"top_k"`` for "Top K", or an empty string."""
    if len(label) > _LONGEST_ALIAS:
        return ""
    # Normalized, because Python does that with the keywords of a call (its reference, §2.3).
    text = unicodedata.normalize("NFKC", label).lower()
    words = re.findall(r"\w+", text)
    name = "_".join(words).strip("_")
    return name if name.isidentifier() and not keyword.iskeyword(name) else ""


def _derive_parameter(place: int, slot: Component, *, with_default: bool) -> Parameter:
    schema = schema_of(slot.type, slot.props)
    value = slot.props.get("value")
    return Parameter(
        name=f"param_{place}",
        label=slot.label,
        schema=schema,
        python_type=python_type(schema),
        component=slot.type,
        has_default=with_default and value is not None,
        default=value if with_default else None,
    )


def without_skipped(described: list[JSONObject], slots: Sequence[Component]) -> list[JSONObject]:
    """Remove State, which ``/info`` of 3.26 to 3.36 describes like any input."""
    if len(described) != len(slots):
        return described
    return [parameter for parameter, slot in zip(described, slots, strict=True) if not slot.skipped]


def _drop_types(raw: JSONObject) -> JSONObject:
    return {key: value for key, value in raw.items() if key in ("label", "component", "example_input")}


def _parse_parameter(raw: JSONObject, place: int, slot: Component) -> Parameter:
    schema, python = to_object(raw.get("type")), to_object(raw.get("python_type"))
    readable = to_text(python.get("type")) or to_text(raw.get("type_python"))
    if not schema or not readable:
        derived = _derive_parameter(place, slot, with_default=False)
        schema, readable = schema or derived.schema, readable or derived.python_type
    return Parameter(
        name=to_text(raw.get("parameter_name")) or f"param_{place}",
        label=_parse_label(raw, slot),
        schema=schema,
        python_type=readable,
        description=to_text(python.get("description")) or to_text(raw.get("type_description")),
        component=to_text(raw.get("component")) or slot.type,
        # Without the key (before 4.23) the server applies no defaults, even if the component shows one.
        has_default=raw.get("parameter_has_default") is True,
        default=raw.get("parameter_default"),
        example=raw.get("example_input"),
    )


def _parse_label(raw: JSONObject, slot: Component) -> str:
    """Return the label of ``/info``, or the component's if the page translates it."""
    label = to_text(raw.get("label"))
    return slot.label if is_translated(label) else label or slot.label


def with_optional(parameters: Sequence[Parameter], slots: Sequence[Component]) -> tuple[Parameter, ...]:
    """Make an optional input of 2.x optional here, with null, which its server expects."""
    visible = [slot for slot in slots if not slot.skipped]
    return tuple(
        attrs.evolve(parameter, has_default=True) if slot.props.get("optional") is True else parameter
        for parameter, slot in zip(parameters, visible, strict=True)
    )
