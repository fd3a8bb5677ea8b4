# SPDX-License-Identifier: Apache-2.0
"""The installed adapters, and the choice of one for an endpoint.

Adapters of this and other distributions are found by the entry point group ``gradio_transport.adapters``, and
are imported on first use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata

import attrs

from ..app.config import AppConfig, Endpoint
from ..errors import LocalProtocolError, Phase, UnsupportedProtocol, did_you_mean, one_line
from .contract import API_VERSION, Adapter, Match

GROUP = "gradio_transport.adapters"

OWN_DISTRIBUTION = "gradio-transport"

DEFAULT_PREFERENCE = "auto"

AUTO_SCORE = 40
"""The least score for a choice by ``"auto"``; with a lower one, the adapter must be requested by name."""


@attrs.frozen
class Candidate:
    """The match of one adapter for one endpoint."""

    name: str
    package: str
    match: Match


@attrs.frozen
class Choice:
    """The chosen adapter, and the matches of the others."""

    adapter: Adapter
    candidates: tuple[Candidate, ...]

    @property
    def warning(self) -> str:
        """The warning of the chosen adapter, or an empty string."""
        name = self.adapter.name
        return next((one.match.warning for one in self.candidates if one.name == name), "")

    def explain(self) -> str:
        """Return the choice as a readable text."""
        lines: list[str] = []
        for candidate in sorted(self.candidates, key=lambda answer: -answer.match.score):
            mark = "→" if candidate.name == self.adapter.name else " "
            whose = "" if candidate.package == OWN_DISTRIBUTION else f"  [{candidate.package}]"
            reason = one_line(candidate.match.reason)
            lines.append(f"{mark} {candidate.name:11} {candidate.match.score:3}  {reason}{whose}")
        return "\n".join(lines)


class Registry:
    """The installed adapters, or an explicit set for tests."""

    def __init__(self, adapters: Iterable[Adapter] | None = None) -> None:
        self._adapters: dict[str, Adapter] = {}
        self._entry_points: dict[str, metadata.EntryPoint] | None = None
        self._packages: dict[str, str] = {}
        if adapters is not None:
            self._entry_points = {}
            self._adapters = {adapter.name: adapter for adapter in adapters}

    def names(self) -> list[str]:
        """Return the names of all adapters.

        Raises:
            LocalProtocolError: Two packages provide one name.
        """
        return sorted({*self._find_entry_points(), *self._adapters})

    def package(self, name: str) -> str:
        """Return the distribution that provides an adapter."""
        package = self._packages.get(name)
        if package is None:  # its metadata is a file, read and parsed each time
            entry_point = self._find_entry_points().get(name)
            package = _distribution(entry_point) if entry_point else "registered by hand"
            self._packages[name] = package
        return package

    def get(self, name: str) -> Adapter:
        """Return an adapter by name.

        Raises:
            UnsupportedProtocol: No package provides it, it cannot be imported, or it has another contract
                version.
        """
        adapter = self._adapters.get(name)
        # No lock: two threads may both load an adapter, which is harmless, and a lock would have to be reset
        # in the children of a fork. `setdefault` keeps one instance for all.
        return adapter or self._adapters.setdefault(name, self._load(name))

    def choose(
        self, config: AppConfig, endpoint: Endpoint, protocol: str | Sequence[str] = DEFAULT_PREFERENCE
    ) -> Choice:
        """Return the adapter for an endpoint.

        Args:
            config: Config of the app.
            endpoint: The endpoint to call.
            protocol: ``"auto"``, a name, or names in order of preference. A name forces that adapter even if
                it does not match; a list uses the first that matches.

        Raises:
            UnsupportedProtocol: No adapter matches; the message lists the reason of each.
        """
        if isinstance(protocol, str) and protocol != DEFAULT_PREFERENCE:
            adapter = self.get(protocol)
            match = adapter.match(config, endpoint)
            return Choice(adapter, (Candidate(protocol, self.package(protocol), match),))
        names = self.names() if isinstance(protocol, str) else list(protocol)
        candidates = tuple(
            Candidate(name, self.package(name), _match(self.get(name), config, endpoint)) for name in names
        )
        least = AUTO_SCORE if isinstance(protocol, str) else 1
        willing = [candidate for candidate in candidates if candidate.match.score >= least]
        if not willing:
            said = "; ".join(f"{candidate.name}: {candidate.match.reason}" for candidate in candidates)
            raise UnsupportedProtocol(
                f"No adapter can call {endpoint.display_name} (protocol {config.protocol!r}, Gradio "
                f"{config.version or 'of unknown version'}). Asked: {said or 'none installed'}.",
                phase=Phase.DISCOVER,
            )
        # A list is the caller's order of preference, so a higher score does not win there.
        best = willing[0]
        if isinstance(protocol, str):
            best = max(willing, key=lambda candidate: candidate.match.score)
        return Choice(self.get(best.name), candidates)

    def _find_entry_points(self) -> Mapping[str, metadata.EntryPoint]:
        if self._entry_points is None:
            found: dict[str, metadata.EntryPoint] = {}
            for entry_point in metadata.entry_points(group=GROUP):
                other = found.get(entry_point.name)
                if other is not None and other.value != entry_point.value:
                    raise LocalProtocolError(
                        f"Two packages provide the adapter {entry_point.name!r}: {_distribution(other)} "
                        f"({other.value}) and {_distribution(entry_point)} ({entry_point.value}). "
                        "Uninstall one of them."
                    )
                found[entry_point.name] = entry_point
            self._entry_points = found
        return self._entry_points

    def _load(self, name: str) -> Adapter:
        entry_point = self._find_entry_points().get(name)
        if entry_point is None:
            raise UnsupportedProtocol(
                f"No installed adapter provides the protocol {name!r}.{did_you_mean(name, self.names())} "
                f"Installed: {', '.join(self.names())}. Another package can add it with an entry point of "
                f"the group {GROUP!r}.",
                phase=Phase.DISCOVER,
            )
        try:
            adapter = entry_point.load()()
        except Exception as error:
            raise UnsupportedProtocol(
                f"The adapter {name!r} of {_distribution(entry_point)} cannot be loaded: {error!r}.",
                phase=Phase.DISCOVER,
            ) from error
        if not isinstance(adapter, Adapter) or adapter.api_version != API_VERSION:
            raise UnsupportedProtocol(
                f"The adapter {name!r} of {_distribution(entry_point)} is built for version "
                f"{getattr(adapter, 'api_version', None)} of the contract; this core has {API_VERSION}.",
                phase=Phase.DISCOVER,
            )
        return adapter


def _match(adapter: Adapter, config: AppConfig, endpoint: Endpoint) -> Match:
    """Return the match of an adapter that was not requested alone."""
    # Why not let `match` decide? An adapter for other servers that always matches would take the calls of all
    # Gradio apps in an environment where it is installed.
    if adapter.has_discovery and config.protocol != adapter.name:
        return Match(0, f"only for servers connected with protocol={adapter.name!r}")
    return adapter.match(config, endpoint)


def _distribution(entry_point: metadata.EntryPoint) -> str:
    return entry_point.dist.name if entry_point.dist is not None else "an unnamed package"


default_registry = Registry()
"""The adapters that are installed."""
