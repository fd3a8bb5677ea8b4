# SPDX-License-Identifier: Apache-2.0
"""What an app said of itself: `AppConfig`, `Endpoint`, `Parameter`, from ``/config``, ``/info`` or the page.

A config is a server's word and is read tolerantly: unknown keys are kept in ``raw``, keys of the wrong type
count as missing, ids that point nowhere become components of type ``"unknown"``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, TypeAlias, cast

import attrs

from ..errors import (
    EXCERPT_CHARACTERS,
    EndpointNotFound,
    LocalProtocolError,
    Phase,
    ValidationFailed,
    did_you_mean,
    excerpt,
    list_texts,
    one_line,
)

JSONObject: TypeAlias = Mapping[str, Any]


Visibility = Literal["public", "undocumented", "private"]


@attrs.frozen
class Component:
    """One component of the page, as far as a transport needs it."""

    id: int
    type: str = "unknown"
    props: JSONObject = attrs.field(factory=dict[str, Any], repr=False)
    skipped: bool = False
    """Left out of the API: State, and layout. Its slot on the wire is filled with null."""

    @property
    def label(self) -> str:
        """The label people see, or an empty text."""
        label = self.props.get("label")
        return label if isinstance(label, str) else ""


@attrs.frozen(kw_only=True)
class Parameter:
    """One value that an endpoint takes, or returns.

    Attributes:
        name: Keyword to pass it by: the server's (4.23+), else ``param_N`` counted over all inputs.
        alias: A second keyword where the name is only a number: the label as an identifier, such as
            ``"top_k"`` for "Top K". Empty where the label makes none, or one of another parameter too.
        schema: JSON schema of the value; empty where nobody says.
        python_type: Type for people, such as ``"str"``.
        component: Type of the component, such as ``"textbox"``.
    """

    name: str
    alias: str = ""
    label: str = ""
    schema: JSONObject = attrs.field(factory=dict[str, Any], repr=False)
    python_type: str = "Any"
    description: str = ""
    component: str = ""
    has_default: bool = False
    default: Any = None
    example: Any = attrs.field(default=None, repr=False)

    @property
    def is_numbered(self) -> bool:
        """Whether its name is only a number, as on servers before 4.23."""
        return self.name.removeprefix("param_").isdecimal()

    @property
    def keyword(self) -> str:
        """The keyword for people: the alias if it has one, else the name."""
        return self.alias or self.name

    @property
    def shown_name(self) -> str:
        """The keyword for people; where it is only a number, with the label."""
        unnamed = self.is_numbered and not self.alias
        return f"{self.name} ({excerpt(self.label)})" if unnamed and self.label else self.keyword

    def __str__(self) -> str:
        default = f" = {_short_repr(self.default)}" if self.has_default else ""
        return one_line(f"{self.keyword}: {self.python_type}{default}")


@attrs.frozen(kw_only=True)
class Endpoint:
    """One function of the app that can be called.

    Attributes:
        name: ``"/predict"``, or None when it has only a number.
        fn_index: Its number on the wire: the dependency's ``id`` (4.32+) or its place in the list.
        inputs: Components of the wire's ``data``, in order, skipped ones included.
        queue: Whether it goes through the queue, the app's default already applied.
        generator: Whether it yields, as far as the config says (3.20+, async generators 4.2+).
        cancels: fn_index of the calls that it cancels.
        connection: ``"stream"`` when it takes streaming input (5.0+), else ``"sse"``.
        visibility: ``"undocumented"`` where the app's API page, or its ``/info``, does not list it.
            ``"private"`` endpoints are refused here; the server would run them.
        oauth_token: Whether the function asks for its caller's Hugging Face token (6.21+).
        info_failure: Why the server's description of the parameters could not be read, so that they come from
            the config alone; see `AppConfig`.
    """

    name: str | None
    fn_index: int
    parameters: tuple[Parameter, ...] = ()
    returns: tuple[Parameter, ...] = ()
    inputs: tuple[Component, ...] = attrs.field(default=(), repr=False)
    outputs: tuple[Component, ...] = attrs.field(default=(), repr=False)
    queue: bool = True
    backend_fn: bool = True
    generator: bool | None = None
    batch: bool = False
    cancels: tuple[int, ...] = ()
    connection: Literal["sse", "stream"] = "sse"
    collects_event_data: bool = False
    visibility: Visibility = "public"
    oauth_token: Literal["required", "optional"] | None = None
    description: str = ""
    info_failure: str = ""
    raw: JSONObject = attrs.field(factory=dict[str, Any], repr=False)

    def __str__(self) -> str:
        return f"{self.display_name}({', '.join(map(str, self.parameters))})"

    @property
    def short_signature(self) -> str:
        """The signature for an error message: ``str()`` of the endpoint, but bounded."""
        parameters = list_texts([str(parameter) for parameter in self.parameters], longest=100)
        return f"{self.display_name}({parameters})"

    @cached_property
    def has_skipped_outputs(self) -> bool:
        """Whether some outputs are left out for callers. Asked for every message."""
        return any(slot.skipped for slot in self.outputs)

    @property
    def display_name(self) -> str:
        """The name for people, on one line; ``fn_index N`` for an unnamed endpoint."""
        return one_line(self.name) if self.name else f"fn_index {self.fn_index}"

    @cached_property
    def by_keyword(self) -> Mapping[str, Parameter]:
        """The parameters by the keywords that they are taken by: names, which win, and aliases."""
        aliases = {parameter.alias: parameter for parameter in self.parameters if parameter.alias}
        return aliases | {parameter.name: parameter for parameter in self.parameters}

    def bind(self, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> list[Any]:
        """Return the ``data`` list of the wire for a call: defaults filled in, skipped slots null.

        Raises:
            ValidationFailed: Missing, surplus, unknown or doubled arguments, each named.
        """
        values, problems = self._match(arguments, keywords)
        if problems:
            shown = {parameter.name: parameter.shown_name for parameter in self.parameters}
            listed = [f"{shown.get(name, name)}: {problem}" for name, problem in problems.items()]
            raise ValidationFailed(
                f"{self.display_name} cannot be called like that: "
                f"{list_texts(listed, separator='; ', longest=EXCERPT_CHARACTERS)}. "
                f"Signature: {self.short_signature}.{self._doubt_of_parameters}",
                problems=problems,
            )
        visible = iter(self.parameters)
        if not self.inputs:
            return [values[parameter.name] for parameter in visible]
        return [None if slot.skipped else values[next(visible).name] for slot in self.inputs]

    @property
    def _doubt_of_parameters(self) -> str:
        if not self.info_failure:
            return ""
        return (
            f" ({self.info_failure}, so the parameters come from the app's config, which has labels and no "
            "names. Pass the values by position.)"
        )

    def _match(
        self, arguments: Sequence[Any], keywords: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        names = [parameter.name for parameter in self.parameters]
        problems: dict[str, str] = {}
        for surplus in range(len(names), len(arguments)):
            problems[f"argument {surplus + 1}"] = f"surplus, {len(names)} are taken"
        values: dict[str, Any] = dict(zip(names, arguments, strict=False))
        for keyword, value in keywords.items():
            parameter = self.by_keyword.get(keyword)
            if parameter is None:
                hint = did_you_mean(keyword, list(self.by_keyword)).strip()
                problems[keyword] = f"unknown ({hint})" if hint else "unknown"
            elif parameter.name not in values:
                values[parameter.name] = value
            else:
                by_position = parameter.name in names[: len(arguments)]
                problems[keyword] = f"given by {'position and by name' if by_position else 'two names'}"
        for parameter in self.parameters:
            if parameter.name not in values:
                if parameter.has_default:
                    values[parameter.name] = parameter.default
                else:
                    problems[parameter.name] = "missing"
        return values, problems

    def visible_outputs(self, data: Sequence[Any]) -> list[Any]:
        """Return the output values without the slots of skipped components (State and layout).

        Values beyond the last slot are left out too.
        """
        return [value for value, slot in zip(data, self.outputs, strict=False) if not slot.skipped]


@attrs.frozen(kw_only=True)
class AppConfig:
    """What an app said of itself.

    Attributes:
        version: The server's version as it says, stripped; ``""`` when it does not.
        release: What the version is taken for: parsed, or derived from other signs of the config.
        protocol: ``config.protocol`` (4.0+), or None.
        api_prefix: ``""`` or ``"/gradio_api"``.
        max_file_size: Bytes, or None.
        connect_heartbeat: Whether the session should be kept alive by ``/heartbeat``.
        info_failure: Why ``/info`` could not be read, such as ``"/info answered HTTP 500"``; empty if it was
            read, or if the server has none (before 3.26).
        info: The JSON of ``/info``, or None.
        skips: Whether State and layout are left out of arguments and outputs.
        settings: What an adapter with a discovery of its own keeps for its calls; None for Gradio apps.
    """

    version: str = ""
    release: tuple[int, ...] = (3, 0)
    protocol: str | None = None
    api_prefix: str = ""
    root: str = ""
    title: str = ""
    space_id: str | None = None
    app_id: int | None = None
    username: str | None = None
    enable_queue: bool = False
    connect_heartbeat: bool = False
    max_file_size: int | None = None
    info_failure: str = ""
    info: JSONObject | None = attrs.field(default=None, repr=False)
    endpoints: tuple[Endpoint, ...] = ()
    components: Mapping[int, Component] = attrs.field(factory=dict[int, Component], repr=False)
    raw: JSONObject = attrs.field(factory=dict[str, Any], repr=False)
    skips: bool = True
    settings: object = attrs.field(default=None, repr=False)

    def at_least(self, *release: int) -> bool:
        """Return whether the server is of this release or later."""
        return self.release >= release

    @cached_property
    def documented(self) -> tuple[Endpoint, ...]:
        """The endpoints that the app's API page lists, in its order: the named ones first.

        That is the order of ``/info``, and of the app where there is none.
        """
        places = {
            name: place
            for group in ("named_endpoints", "unnamed_endpoints")
            for place, name in enumerate((self.info or {}).get(group, ()))
        }

        def place(endpoint: Endpoint) -> tuple[bool, int]:
            return endpoint.name is None, places.get(endpoint.name or str(endpoint.fn_index), len(places))

        found = [known for known in self.endpoints if known.backend_fn and known.visibility == "public"]
        return tuple(sorted(found, key=place))

    @cached_property
    def callable(self) -> tuple[Endpoint, ...]:
        """The endpoints that can be called: the documented ones first, then those that are undocumented."""
        hidden = [
            known for known in self.endpoints if known.backend_fn and known.visibility == "undocumented"
        ]
        return (*self.documented, *hidden)

    @property
    def named(self) -> Mapping[str, Endpoint]:
        """The endpoints that can be called by name, in the order of `callable`."""
        named: dict[str, Endpoint] = {}
        for endpoint in self.callable:
            if endpoint.name is not None:
                named.setdefault(endpoint.name, endpoint)
        return named

    def endpoint(self, which: str | int) -> Endpoint:
        """Return an endpoint by name (with or without slash) or by ``fn_index``.

        Raises:
            EndpointNotFound: There is none, it is private, or it has no backend function.
            LocalProtocolError: It is named by neither a text nor a number.
        """
        if not isinstance(cast("object", which), str | int) or isinstance(which, bool):
            raise LocalProtocolError(
                "An endpoint is named by a text, such as '/predict', or by its fn_index; got "
                f"{type(which).__name__}."
            )
        if isinstance(which, int):
            found = next((endpoint for endpoint in self.endpoints if endpoint.fn_index == which), None)
        else:
            name = "/" + which.lstrip("/")
            found = next((endpoint for endpoint in self.endpoints if endpoint.name == name), None)
        if found is None:
            names = list(self.named)
            hint = did_you_mean(str(which) if isinstance(which, int) else "/" + which.lstrip("/"), names)
            raise EndpointNotFound(
                f"The app has no endpoint {_short_repr(which)}.{hint} It has: "
                f"{list_texts(names) or 'no named ones'}.",
                phase=Phase.JOIN,
            )
        if found.visibility == "private":
            raise EndpointNotFound(f"{found.display_name} is private in this app.", phase=Phase.JOIN)
        if not found.backend_fn:
            raise EndpointNotFound(
                f"{found.display_name} runs in the browser only; there is nothing to call.", phase=Phase.JOIN
            )
        return found


def _short_repr(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
