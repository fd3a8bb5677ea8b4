# SPDX-License-Identifier: Apache-2.0
"""The shipped drivers: gradio_client, @gradio/client and curl as clients to grade.

`command_for` returns the command of a driver and makes its environment when it is first needed: a virtual
environment for a version of gradio_client, a folder of npm for one of @gradio/client.  curl needs none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import attrs

from ..cases import numbers
from .environments import DriverUnavailable, find_program, node_package, python_with

_HERE = Path(__file__).parent


@attrs.frozen
class ShippedDriver:
    """A client that the kit drives, and the Gradio versions that it supports.

    Attributes:
        name: The argument of `command_for`.
        first: The first Gradio version whose protocol it supports.
        until: The first version that it no longer supports.
    """

    name: str
    first: str
    until: str = "999"

    def speaks(self, version: str) -> bool:
        """Return whether the client supports the protocol of a Gradio version."""
        return numbers(self.first) <= numbers(version) < numbers(self.until)


_SHIPPED = (
    ShippedDriver("gradio_client==0.6.1", "3.0.6", "4"),
    ShippedDriver("gradio_client==0.7.0", "3.0.6", "4.9"),
    ShippedDriver("gradio_client==1.3.0", "4"),
    ShippedDriver("gradio_client==2.7.2", "4"),
    # For older servers it sends requests to a Space on the Internet.
    ShippedDriver("@gradio/client@0.5.2", "3.30", "4"),
    ShippedDriver("@gradio/client@2.7.0", "4"),
    ShippedDriver("curl", "4.20"),
)


def shipped() -> Mapping[str, ShippedDriver]:
    """Return the drivers of the published table by name; `command_for` takes other versions too."""
    return MappingProxyType({one.name: one for one in _SHIPPED})


def is_name(text: str) -> bool:
    """Return whether a text is a name for `command_for`, and not a command."""
    return _NAME.fullmatch(text) is not None


_NAME = re.compile(
    r"(?P<python>gradio_client)(==(?P<python_version>[\w.]+))?"
    r"|(?P<js>@gradio/client)(@(?P<js_version>[\w.-]+))?"
    r"|(?P<curl>curl)"
)


def command_for(name: str) -> list[str]:
    """Return the command of a shipped driver, and make its environment if there is none yet.

    Environments are kept in ``~/.cache/gradio-transport/drivers``, or where ``GRADIO_TRANSPORT_DRIVERS``
    says. Making one takes seconds, and needs the package index or the npm registry.

    Args:
        name: ``gradio_client==2.7.2``, ``@gradio/client@2.7.0`` or ``curl``; without a version, the newest
            one that is shipped.

    Raises:
        ValueError: There is no such driver.
        DriverUnavailable: A program is missing, or the client cannot be installed.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        known = ", ".join(shipped())
        raise ValueError(f"No driver is shipped for {name!r}. There are {known}, and other versions of them.")
    if found["curl"]:
        for program in ("curl", "jq", "base64"):
            find_program(program, "It comes with the packages of your system.")
        return [
            find_program("sh", "The driver of curl is a shell script."),
            str(_HERE / "curl" / "driver.sh"),
        ]
    if found["python"]:
        python = python_with("gradio_client", found["python_version"] or _newest("gradio_client=="))
        return [str(python), str(_HERE / "gradio_client_driver.py")]
    node = find_program("node", "@gradio/client needs Node 18 or newer.")
    package = node_package(_HERE / "gradio_js", found["js_version"] or _newest("@gradio/client@"))
    return [node, str(_HERE / "gradio_js" / "driver.mjs"), str(package)]


def _newest(prefix: str) -> str:
    versions = [one.name.removeprefix(prefix) for one in _SHIPPED if one.name.startswith(prefix)]
    return max(versions, key=numbers)


__all__ = ["DriverUnavailable", "ShippedDriver", "command_for", "is_name", "shipped"]
