# SPDX-License-Identifier: Apache-2.0
"""Serve variants of the canonical app, print a ready line of JSON, and stop when standard input ends.

The ready line is the only output on standard output. All output of Gradio goes to standard error:

    {"gradio": "6.31.0", "python": "3.11.7", "urls": {"canonical": "http://127.0.0.1:41397"},
     "scenarios": {"canonical": {"hello": {"url": "http://127.0.0.1:41397", "fn_index": 0,
                                           "api_name": "hello", "queue": true}}}}

If an app cannot be served the line is {"error": TEXT, "kind": "variant-unavailable" | "launch-failed"}.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import traceback
from contextlib import suppress
from typing import Any, Callable

from . import VARIANTS
from .serving import App, LaunchFailed, launch_all
from .versions import gradio_version, since


class VariantUnavailable(Exception):
    """This Gradio cannot serve that variant; the text gives the reason."""


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m apps", description=__doc__.splitlines()[0])
    parser.add_argument("--variant", action="append", dest="variants", help="may be given several times")
    parser.add_argument(
        "--skip-unavailable", action="store_true", help="leave out what this Gradio cannot serve"
    )
    parser.add_argument("--port", type=int, help="port of the first app; the others follow it")
    arguments = parser.parse_args()
    arguments.variants = arguments.variants or ["canonical"]
    return arguments


def _makers(variant: str) -> list[Callable[[], App]]:
    """One factory for each app of `variant`; a big app is built in its own process, after the fork."""
    if variant not in VARIANTS:
        raise VariantUnavailable(f"{variant}: there are only {', '.join(VARIANTS)}")
    if since("3.0"):
        from . import blocks as generation
    else:
        from . import interfaces as generation
    reason = generation.unavailable(variant)
    if reason:
        raise VariantUnavailable(f"{variant}: {reason}")
    if since("3.0"):
        return [lambda: generation.apps(variant)[0]]
    return [lambda app=app: app for app in generation.apps(variant)]


def _ready(owners: list[str], reports: list[dict[str, Any]]) -> dict[str, Any]:
    """The ready line; `owners` names the variant each report belongs to."""
    scenarios: dict[str, dict[str, Any]] = {}
    for variant, report in zip(owners, reports):
        for name, facts in report["scenarios"].items():
            scenarios.setdefault(variant, {})[name] = {"url": report["url"], **facts}
    return {
        "gradio": gradio_version(),
        "python": platform.python_version(),
        "urls": {report["name"]: report["url"] for report in reports},
        "scenarios": scenarios,
    }


def _serve(variants: list[str], port: Any, skip_unavailable: bool) -> dict[str, Any]:
    owners: list[str] = []
    makers: list[Callable[[], App]] = []
    unavailable: dict[str, str] = {}
    try:
        for variant in variants:
            try:
                made = _makers(variant)
            except VariantUnavailable as error:
                if not skip_unavailable:
                    raise
                unavailable[variant] = str(error)
                continue
            makers += made
            owners += [variant] * len(made)
        return {**_ready(owners, launch_all(makers, port)), "unavailable": unavailable}
    except VariantUnavailable as error:
        return {"error": str(error), "kind": "variant-unavailable"}
    except LaunchFailed as error:
        return {"error": str(error), "kind": "launch-failed"}
    except Exception:  # noqa: BLE001 - whatever it was, the caller has to read it in the ready line
        return {"error": traceback.format_exc(), "kind": "launch-failed"}


def main() -> None:
    arguments = _parse()
    announce = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # The forked apps are ended as a group, so this process must lead one.
    if os.getpgid(0) != os.getpid():
        os.setpgid(0, 0)
    line = _serve(arguments.variants, arguments.port, arguments.skip_unavailable)
    announce.write(json.dumps(line) + "\n")
    announce.close()
    if "error" not in line:
        with suppress(KeyboardInterrupt):
            sys.stdin.read()
    os.killpg(0, signal.SIGKILL if "error" in line else signal.SIGTERM)


main()
