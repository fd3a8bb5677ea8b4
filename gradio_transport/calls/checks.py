# SPDX-License-Identifier: Apache-2.0
"""Checks before anything is sent: settings, options and arguments that cannot work."""

from __future__ import annotations

import attrs

from ..adapter.contract import Adapter
from ..adapter.exchange import Invocation
from ..adapter.registry import DEFAULT_PREFERENCE
from ..app.config import AppConfig
from ..errors import (
    LocalProtocolError,
    Phase,
    UnsupportedProtocol,
    ValidationFailed,
    did_you_mean,
)
from .options import CallOptions, Options


def find_discoverer(options: Options) -> Adapter | None:
    """Return the single adapter requested by name, if it has its own discovery.

    Raises:
        UnsupportedProtocol: No installed adapter has that name.
    """
    if not isinstance(options.protocol, str) or options.protocol == DEFAULT_PREFERENCE:
        return None
    adapter = options.registry.get(options.protocol)
    return adapter if adapter.has_discovery else None


def check_settings(options: Options, adapter: Adapter | None) -> None:
    """Reject settings that the adapter does not list; most are mistyped keywords of `connect`.

    Raises:
        LocalProtocolError: The message names them and the nearest known ones.
    """
    taken = () if adapter is None else adapter.settings
    wrong = [name for name in options.settings if name not in taken]
    if not wrong:
        return
    options_only = ("http", "registry", "strict", "settings")
    keywords = [field.name for field in attrs.fields(Options) if field.name not in options_only]
    # Parts of `http`, and the engine that it builds.
    keywords += ["verify", "proxy", "trust_env", "engine"]
    listed = ", ".join(taken) or "no settings of its own"
    raise LocalProtocolError(
        f"connect() does not know {', '.join(f'{name}=' for name in wrong)}."
        f"{did_you_mean(wrong[0], [*taken, *keywords])} The protocol {options.protocol!r} takes {listed}."
    )


def check_declared(invocation: Invocation) -> None:
    """Reject early what the endpoint does not declare, and require what it declares.

    Raises:
        ValidationFailed: There is a token for a function that does not ask for one, or event data are
            missing.
    """
    endpoint = invocation.endpoint
    if invocation.oauth_token is not None and endpoint.oauth_token is None:
        raise ValidationFailed(
            f"{endpoint.display_name} does not ask for its caller's token. oauth_token= was not sent; omit "
            f"it.",
            phase=Phase.JOIN,
        )
    if invocation.oauth_token is None and endpoint.oauth_token == "required":  # noqa: S105 - not a password
        raise ValidationFailed(
            f"{endpoint.display_name} needs its caller's Hugging Face token: CallOptions(oauth_token=...).",
            phase=Phase.JOIN,
        )
    if invocation.event_data is None and endpoint.collects_event_data:
        raise ValidationFailed(
            f"{endpoint.display_name} needs the data of the page event: pass CallOptions(event_data=...), "
            f"such as SelectData(index=0, value='a').",
            problems={"event_data": "missing"},
            phase=Phase.JOIN,
        )


def check_options(options: CallOptions, invocation: Invocation, adapter: Adapter, config: AppConfig) -> None:
    """Reject impossible options of a call early.

    Raises:
        LocalProtocolError: The options contradict each other, or the endpoint.
        UnsupportedProtocol: The protocol does not support fetching a result later.
    """
    if options.attach == "late":
        check_late(adapter, config)
    elif options.fetch_after is not None:
        raise LocalProtocolError("CallOptions(fetch_after=) has no effect without attach='late'.")
    if options.repeatable and invocation.endpoint.connection == "stream":
        raise LocalProtocolError(
            f"{invocation.endpoint.display_name} takes streaming input, which cannot be sent a second time. "
            f"Omit repeatable."
        )


def check_late(adapter: Adapter, config: AppConfig) -> None:
    """Reject a late attach if the protocol does not support it.

    Raises:
        UnsupportedProtocol: The message names the servers that support it.
    """
    if not adapter.capabilities(config).late_attach:
        raise UnsupportedProtocol(
            f"{adapter.name} does not support fetching a result later. The queue of Gradio 4.9+ does, and "
            f"/call of 4.20+. Nothing was sent.",
            phase=Phase.JOIN,
            adapter=adapter.name,
        )
