# SPDX-License-Identifier: Apache-2.0
"""What is refused before anything is sent: settings, options and arguments that cannot work."""

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
    """Return the one adapter that is asked for by name, if it has a discovery of its own.

    Raises:
        UnsupportedProtocol: No installed adapter has that name.
    """
    if not isinstance(options.protocol, str) or options.protocol == DEFAULT_PREFERENCE:
        return None
    adapter = options.registry.get(options.protocol)
    return adapter if adapter.has_discovery else None


def check_settings(options: Options, adapter: Adapter | None) -> None:
    """Refuse settings that the adapter does not list; most are mistyped keywords of `connect`.

    Raises:
        LocalProtocolError: It names them, and the nearest that are known.
    """
    taken = () if adapter is None else adapter.settings
    wrong = [name for name in options.settings if name not in taken]
    if not wrong:
        return
    options_only = ("http", "registry", "strict", "settings")
    keywords = [field.name for field in attrs.fields(Options) if field.name not in options_only]
    # Parts of `http`, and the engine that is built from it.
    keywords += ["verify", "proxy", "trust_env", "engine"]
    listed = ", ".join(taken) or "no settings of its own"
    raise LocalProtocolError(
        f"connect() does not know {', '.join(f'{name}=' for name in wrong)}."
        f"{did_you_mean(wrong[0], [*taken, *keywords])} The protocol {options.protocol!r} takes {listed}."
    )


def check_declared(invocation: Invocation) -> None:
    """Refuse early what the endpoint does not declare, or lacks of what it does.

    Raises:
        ValidationFailed: A token for a function that does not ask for one, or event data that are missing.
    """
    endpoint = invocation.endpoint
    if invocation.oauth_token is not None and endpoint.oauth_token is None:
        raise ValidationFailed(
            f"{endpoint.display_name} does not ask for its caller's token; oauth_token= was not sent.",
            phase=Phase.JOIN,
        )
    if invocation.oauth_token is None and endpoint.oauth_token == "required":  # noqa: S105 - not a password
        raise ValidationFailed(
            f"{endpoint.display_name} needs its caller's Hugging Face token: CallOptions(oauth_token=...).",
            phase=Phase.JOIN,
        )
    if invocation.event_data is None and endpoint.collects_event_data:
        raise ValidationFailed(
            f"{endpoint.display_name} wants to know what happened in the page: pass "
            "CallOptions(event_data=...), such as SelectData(index=0, value='a').",
            problems={"event_data": "missing"},
            phase=Phase.JOIN,
        )


def check_options(options: CallOptions, invocation: Invocation, adapter: Adapter, config: AppConfig) -> None:
    """Refuse early what a call cannot be.

    Raises:
        LocalProtocolError: The options contradict each other, or the endpoint.
        UnsupportedProtocol: The protocol has no way to fetch a result later.
    """
    if options.attach == "late":
        check_late(adapter, config)
    elif options.fetch_after is not None:
        raise LocalProtocolError("CallOptions(fetch_after=) says nothing without attach='late'.")
    if options.repeatable and invocation.endpoint.connection == "stream":
        raise LocalProtocolError(
            f"{invocation.endpoint.display_name} takes streaming input, which cannot be sent a second time: "
            "leave repeatable out."
        )


def check_late(adapter: Adapter, config: AppConfig) -> None:
    """Refuse a late attach where the protocol has none.

    Raises:
        UnsupportedProtocol: The message says which servers have it.
    """
    if not adapter.capabilities(config).late_attach:
        raise UnsupportedProtocol(
            f"{adapter.name} has no way to fetch a result later: the queue of Gradio 4.9+ has, and /call of "
            "4.20+. Nothing was sent.",
            phase=Phase.JOIN,
            adapter=adapter.name,
        )
