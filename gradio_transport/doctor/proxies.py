# SPDX-License-Identifier: Apache-2.0
"""The proxy settings, and whether they apply to this URL."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping, Sequence

from ..engines.environment import is_excepted
from ..engines.proxies import Proxy
from ..errors import ConnectError
from ..protocol.addresses import is_private_name
from .patient import Patient
from .report import Finding, failure, ok, warning

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def check_proxy(patient: Patient) -> Finding:
    """Report which proxy a request to the app goes through, and why."""
    variables = _variables()
    seen = (
        [f"Set: {', '.join(_shown(name, value) for name, value in variables.items())}."] if variables else []
    )
    if not patient.options.http.trust_env:
        seen = ["The environment is ignored (trust_env is off)."]
    try:
        proxy = patient.proxy
    except ConnectError as error:
        return failure(*seen, error.message, advice="Correct the URL, or unset the variable.", error=error)
    if proxy is None:
        return _direct(patient, seen, variables)
    seen.append(f"Requests to {patient.host} go through the proxy {proxy}.")
    advice: list[str] = []
    if _is_near(patient.host):
        host = patient.host
        seen.append(f"{host} is this machine or in a private network, which a proxy usually cannot reach.")
        advice.append(f"Set NO_PROXY={host} (append it to the current value, with a comma), and try again.")
    differing = _differing(variables)
    seen += differing
    return warning(*seen, advice=advice) if advice or differing else ok(*seen)


def _direct(patient: Patient, seen: list[str], variables: Mapping[str, str]) -> Finding:
    if not variables:
        return ok("No proxy variable is set; requests go to the host directly.")
    excepted = next((value for name, value in variables.items() if name.lower() == "no_proxy"), "")
    if excepted and is_excepted(excepted, patient.host, patient.port):
        seen.append(f"NO_PROXY excepts {patient.host}: requests go to it directly.")
    else:
        seen.append(f"None of them applies to {patient.scheme}://{patient.host}: requests go to it directly.")
    return ok(*seen)


def _variables() -> dict[str, str]:
    """Return the variables that are set, spelled as in the environment."""
    names = [name for known in VARIABLES for name in (known, known.upper())]
    found = {name: os.environ[name] for name in names if os.environ.get(name)}
    # The same value in both spellings is one setting.
    return {
        name: value for name, value in found.items() if name.islower() or found.get(name.lower()) != value
    }


def _differing(variables: Mapping[str, str]) -> Sequence[str]:
    """Return the variables whose two spellings have different values."""
    return [
        f"{name} and {name.upper()} differ. {name} is used."
        for name in VARIABLES
        if name in variables and variables.get(name.upper(), variables[name]) != variables[name]
    ]


def _shown(name: str, value: str) -> str:
    """Return a printable variable: a proxy's URL without user and password."""
    if name.lower() == "no_proxy":
        return f"{name}={value}"
    try:
        return f"{name}={Proxy.parse(value if '://' in value else f'http://{value}').name}"
    except ValueError:
        return f"{name}=(not a URL)"


def _is_near(host: str) -> bool:
    """Return whether a host is this machine, or on a private network, by its name or address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return is_private_name(host)
    return address.is_loopback or address.is_private or address.is_link_local
