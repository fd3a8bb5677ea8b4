# SPDX-License-Identifier: Apache-2.0
"""``list`` and ``show``: the versions, cases and faults, the expected results, and the recordings."""

from __future__ import annotations

import click

from ..cases import Case, all_cases, find_case
from ..faults.cases import load_cells
from ..run.selection import SelectionError, select_versions
from ..run.tasks import describe_step, source_of
from ..traces import shipped_trace, versions


@click.command("list")
@click.option("--faults", is_flag=True, help="List the cells of faults instead.")
@click.option("--versions", "only_versions", is_flag=True, help="List only the recorded Gradio versions.")
def list_(*, faults: bool, only_versions: bool) -> None:
    """List the recorded versions, and the cases with a description."""
    if faults:
        for cell in load_cells():
            click.echo(f"{cell.name}  ->  {cell.expect}")
        return
    if only_versions:
        click.echo("\n".join(versions()))
        return
    click.echo(f"Versions: {', '.join(versions())}\n")
    width = max(len(case.name) for case in all_cases())
    group = ""
    for case in all_cases():
        if case.group != group:
            group = case.group
            click.echo(f"{group}:")
        click.echo(f"  {case.name.ljust(width)}  {case.about}")


@click.command()
@click.argument("case")
@click.option(
    "--version",
    default="",
    metavar="VERSION",
    help="A recorded version; by default the newest with the case.",
)
def show(*, case: str, version: str) -> None:
    """Show the expected result of CASE, the reason for it, and the recorded conversation.

    CASE is a name, such as count, or a version and a name, such as 6.31.0/count.
    """
    before, slash, after = case.rpartition("/")
    name, wanted = (after, before) if slash else (case, version)
    try:
        found = find_case(name)
        exact = _version_of(found, wanted)
    except (KeyError, SelectionError) as error:
        raise click.UsageError(str(error.args[0])) from error
    _print_expectation(found, exact)
    why_not = found.unsupported(exact)
    if why_not is not None:
        click.echo(f"\nGradio {exact} does not support it: {why_not}.")
        return
    try:
        path = shipped_trace(f"{exact}/{name}")
    except LookupError:
        click.echo(f"\nIt was not recorded on Gradio {exact}.")
        return
    click.echo()
    from gradio_transport.cli.terminal import Terminal
    from gradio_transport.cli.trace.show import show as show_trace

    context = click.get_current_context()
    context.obj = Terminal()
    arguments = show_trace.make_context("show", [str(path)], parent=context)
    with arguments:
        show_trace.invoke(arguments)


def _version_of(case: Case, wanted: str) -> str:
    if wanted:
        return select_versions(wanted)[-1]
    able = [one for one in versions() if case.applies(one) and case.unsupported(one) is None]
    return able[-1] if able else versions()[-1]


def _print_expectation(case: Case, version: str) -> None:
    click.echo(f"{case.name} on Gradio {version}: {case.about}")
    click.echo(f"Source: {source_of(case, version)}")
    facts = {
        "variant of the app": case.variant if case.variant != "canonical" else "",
        "protocol": case.protocol if case.protocol != "auto" else "",
        "login": "with user and password" if case.auth else "",
        "needs": ", ".join(case.needs),
    }
    for name, fact in facts.items():
        if fact:
            click.echo(f"{name.capitalize()}: {fact}")
    click.echo("Expected:")
    for group in case.steps_for(version):
        together = "at once: " if len(group) > 1 else ""
        for step in group:
            click.echo(f"  {together}{describe_step(step)}")


__all__ = ["list_", "show"]
