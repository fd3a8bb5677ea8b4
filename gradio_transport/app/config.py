# SPDX-License-Identifier: Apache-2.0
"""The config of an app: `AppConfig`, `Endpoint`, `Parameter`, from ``/config``, ``/info`` or the page.

A config comes from a server and is parsed tolerantly: unknown keys are kept in ``raw``, keys of the wrong
type count as missing, and dangling ids become components of type ``"unknown"``. So a malformed endpoint
raises no error, and each endpoint can be parsed when it is first used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias, cast, overload

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
    """The part of a page's component that a transport needs."""

    id: int
    type: str = "unknown"
    props: JSONObject = attrs.field(factory=dict[str, Any], repr=False)
    skipped: bool = False
    """Whether the API skips it: State and layout. Its slot on the wire is null."""

    @property
    def label(self) -> str:
        """The visible label, or an empty string."""
        label = self.props.get("label")
        return label if isinstance(label, str) else ""


@attrs.frozen(kw_only=True)
class Parameter:
    """One value that an endpoint takes or returns.

    Attributes:
        name: Its keyword: the server's (4.23+), else ``param_N`` counted over all inputs.
        alias: A second keyword if the name is only a number: the label as an identifier, such as ``"top_k"``
            for "Top K". Empty if the label makes none, or is not unique.
        schema: JSON schema of the value; empty if it is unknown.
        python_type: Readable type, such as ``"str"``.
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
        """The displayed keyword: the alias if it has one, else the name."""
        return self.alias or self.name

    @property
    def shown_name(self) -> str:
        """The displayed keyword, with the label if it is only a number."""
        unnamed = self.is_numbered and not self.alias
        return f"{self.name} ({excerpt(self.label)})" if unnamed and self.label else self.keyword

    def __str__(self) -> str:
        default = f" = {_short_repr(self.default)}" if self.has_default else ""
        return one_line(f"{self.keyword}: {self.python_type}{default}")


@attrs.frozen(kw_only=True)
class Endpoint:
    """One function of the app that can be called.

    Attributes:
        name: ``"/predict"``, or None if it has only a number.
        fn_index: Its number on the wire: the dependency's ``id`` (4.32+) or its index in the list.
        inputs: Components of the wire's ``data``, in order, including skipped ones.
        queue: Whether it uses the queue, with the app's default applied.
        generator: Whether it yields, if the config says so (3.20+, async generators 4.2+).
        cancels: fn_index of the functions whose calls it cancels.
        connection: ``"stream"`` when it takes streaming input (5.0+), else ``"sse"``.
        visibility: ``"undocumented"`` if the app's API page, or its ``/info``, does not list it. The library
            refuses to call ``"private"`` endpoints, although the server would run them.
        oauth_token: Whether the function asks for its caller's Hugging Face token (6.21+).
        info_failure: Why the server's description of the parameters could not be read, so that they come only
            from the config; see `AppConfig`.
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
        """Whether some outputs are hidden from callers. Used for every message."""
        return any(slot.skipped for slot in self.outputs)

    @property
    def display_name(self) -> str:
        """The displayed name, on one line; ``fn_index N`` for an unnamed endpoint."""
        return one_line(self.name) if self.name else f"fn_index {self.fn_index}"

    @cached_property
    def by_keyword(self) -> Mapping[str, Parameter]:
        """The parameters by keyword: names and aliases, where names take precedence."""
        aliases = {parameter.alias: parameter for parameter in self.parameters if parameter.alias}
        return aliases | {parameter.name: parameter for parameter in self.parameters}

    def bind(self, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> list[Any]:
        """Return the wire's ``data`` list for a call, with defaults filled in and skipped slots null.

        Raises:
            ValidationFailed: Missing, surplus, unknown or doubled arguments, each named.
        """
        values, problems = self._match(arguments, keywords)
        if problems:
            shown = {parameter.name: parameter.shown_name for parameter in self.parameters}
            listed = [f"{shown.get(name, name)}: {problem}" for name, problem in problems.items()]
            raise ValidationFailed(
                f"{self.display_name} cannot be called with these arguments: "
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
            f" ({self.info_failure}, so the parameters come from the app's config, which has labels but no "
            f"names. Pass the values by position.)"
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

        Values beyond the last slot are dropped too.
        """
        return [value for value, slot in zip(data, self.outputs, strict=False) if not slot.skipped]


class UnparsedEndpoint(Protocol):
    """An endpoint of a config before it is parsed, with the fields that finding and listing it needs."""

    @property
    def name(self) -> str | None:
        """As `Endpoint.name`."""
        ...

    @property
    def fn_index(self) -> int:
        """As `Endpoint.fn_index`."""
        ...

    @property
    def backend_fn(self) -> bool:
        """As `Endpoint.backend_fn`."""
        ...

    @property
    def visibility(self) -> Visibility:
        """As `Endpoint.visibility`."""
        ...

    @property
    def raw(self) -> JSONObject:
        """As `Endpoint.raw`."""
        ...

    def parse(self) -> Endpoint:
        """Return the endpoint: the same one each time."""
        ...


@attrs.frozen(eq=False, repr=False)
class EndpointList(Sequence[Endpoint]):
    """The endpoints of an app, in its order. Equal to any other sequence of the same endpoints.

    Each is parsed when it is first used, because an app may have thousands, of which a program calls a few.

    Attributes:
        outlines: The endpoints, of which some may not be parsed yet.
    """

    outlines: Sequence[Endpoint | UnparsedEndpoint] = ()

    def __len__(self) -> int:
        return len(self.outlines)

    @overload
    def __getitem__(self, place: int) -> Endpoint: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Endpoint, ...]: ...
    def __getitem__(self, place: int | slice) -> Endpoint | tuple[Endpoint, ...]:
        if isinstance(place, slice):
            return tuple(map(_parsed, self.outlines[place]))
        return _parsed(self.outlines[place])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, tuple | EndpointList):
            return NotImplemented
        return self is other or tuple(self) == tuple(cast("Iterable[object]", other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(tuple(self))

    @cached_property
    def by_name(self) -> Mapping[str, int]:
        """The places by name. If two endpoints have the same name, the first counts."""
        return {one.name: place for place, one in self._backwards() if one.name is not None}

    @cached_property
    def by_number(self) -> Mapping[int, int]:
        """The places by ``fn_index``. If two endpoints have the same number, the first counts."""
        return {one.fn_index: place for place, one in self._backwards()}

    def _backwards(self) -> Iterator[tuple[int, Endpoint | UnparsedEndpoint]]:
        return zip(reversed(range(len(self.outlines))), reversed(self.outlines), strict=True)


def _parsed(one: Endpoint | UnparsedEndpoint) -> Endpoint:
    return one if isinstance(one, Endpoint) else one.parse()


def _to_list(endpoints: Iterable[Endpoint]) -> EndpointList:
    return endpoints if isinstance(endpoints, EndpointList) else EndpointList(tuple(endpoints))


@attrs.frozen(eq=False, repr=False)
class NamedEndpoints(Mapping[str, Endpoint]):
    """Endpoints by name, each parsed when it is first used."""

    _endpoints: EndpointList
    _places: Mapping[str, int]

    def __getitem__(self, name: str) -> Endpoint:
        return self._endpoints[self._places[name]]

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __repr__(self) -> str:
        return repr(dict(self))


@attrs.frozen(kw_only=True)
class AppConfig:
    """The parsed config of an app.

    Attributes:
        version: The server's version as reported, stripped; ``""`` if it reports none.
        release: The assumed version: parsed, or derived from other signs in the config.
        protocol: ``config.protocol`` (4.0+), or None.
        api_prefix: ``""`` or ``"/gradio_api"``.
        max_file_size: Bytes, or None.
        connect_heartbeat: Whether a session needs a ``/heartbeat``.
        info_failure: Why ``/info`` could not be read, such as ``"/info answered HTTP 500"``; empty if it was
            read, or if the server has none (before 3.26).
        info: The JSON of ``/info``, or None.
        endpoints: All endpoints, in the order of the app. Each is parsed when it is first used, from `raw`
            and `info`, so do not change those.
        skips: Whether arguments and outputs omit State and layout components.
        settings: Data of an adapter with its own discovery, for its calls; None for Gradio apps.
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
    endpoints: EndpointList = attrs.field(factory=EndpointList, converter=_to_list)
    components: Mapping[int, Component] = attrs.field(factory=dict[int, Component], repr=False)
    raw: JSONObject = attrs.field(factory=dict[str, Any], repr=False)
    skips: bool = True
    settings: object = attrs.field(default=None, repr=False)

    def at_least(self, *release: int) -> bool:
        """Return whether the server is of this release or later."""
        return self.release >= release

    @cached_property
    def documented(self) -> tuple[Endpoint, ...]:
        """The endpoints that the app's API page lists, in its order, named ones first.

        That is the order of ``/info``, or of the app if there is none.
        """
        return tuple(self.endpoints[place] for place in self._documented_places)

    @cached_property
    def _documented_places(self) -> Sequence[int]:
        listed = {
            name: place
            for group in ("named_endpoints", "unnamed_endpoints")
            for place, name in enumerate((self.info or {}).get(group, ()))
        }
        outlines = self.endpoints.outlines

        def order(place: int) -> tuple[bool, int]:
            name = outlines[place].name
            return name is None, listed.get(name or str(outlines[place].fn_index), len(listed))

        return sorted(self._places_of("public"), key=order)

    def _places_of(self, visibility: Visibility) -> Iterator[int]:
        for place, one in enumerate(self.endpoints.outlines):
            if one.backend_fn and one.visibility == visibility:
                yield place

    @cached_property
    def callable(self) -> tuple[Endpoint, ...]:
        """The callable endpoints: documented ones first, then undocumented ones."""
        return (*self.documented, *(self.endpoints[place] for place in self._places_of("undocumented")))

    @cached_property
    def named(self) -> Mapping[str, Endpoint]:
        """The callable endpoints that have a name, in the order of `callable`.

        Each is parsed when it is first used.
        """
        places: dict[str, int] = {}
        for place in (*self._documented_places, *self._places_of("undocumented")):
            name = self.endpoints.outlines[place].name
            if name is not None:
                places.setdefault(name, place)
        return NamedEndpoints(self.endpoints, places)

    def endpoint(self, which: str | int) -> Endpoint:
        """Return an endpoint by name (with or without slash) or by ``fn_index``.

        Raises:
            EndpointNotFound: There is no such endpoint, it is private, or it has no backend function.
            LocalProtocolError: The argument is neither a text nor a number.
        """
        if not isinstance(cast("object", which), str | int) or isinstance(which, bool):
            raise LocalProtocolError(
                "An endpoint is named by a text, such as '/predict', or by its fn_index; got "
                f"{type(which).__name__}."
            )
        if isinstance(which, int):
            place = self.endpoints.by_number.get(which)
        else:
            place = self.endpoints.by_name.get("/" + which.lstrip("/"))
        if place is None:
            names = list(self.named)
            hint = did_you_mean(str(which) if isinstance(which, int) else "/" + which.lstrip("/"), names)
            raise EndpointNotFound(
                f"The app has no endpoint {_short_repr(which)}.{hint} It has: "
                f"{list_texts(names) or 'no named ones'}.",
                phase=Phase.JOIN,
            )
        found = self.endpoints[place]
        if found.visibility == "private":
            raise EndpointNotFound(f"{found.display_name} is private in this app.", phase=Phase.JOIN)
        if not found.backend_fn:
            raise EndpointNotFound(
                f"{found.display_name} runs only in the browser; there is no function to call.",
                phase=Phase.JOIN,
            )
        return found


def _short_repr(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
