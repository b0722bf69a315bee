"""The command `apply`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from infctl.cli.command import Command
from infctl.cli.options import approving, planning, request_of
from infctl.cli.running import run_plan, run_request
from infctl.cli.terminal import Terminal


@click.command("apply", cls=Command)
@click.argument("planfile", required=False, metavar="[PLANFILE]")
@approving
@planning
@click.pass_obj
def command(terminal: Terminal, /, planfile: str | None, **given: Any) -> int:
    """Make it so: plan, ask, and do it; with PLANFILE exactly what that plan says, without asking."""
    if planfile is not None:
        _refuse_planning(given)
        return run_plan(terminal, given, Path(planfile))
    operation = "destroy" if given["destroy"] else "apply"
    return run_request(terminal, given, lambda: request_of(given), operation)


def _refuse_planning(given: dict[str, Any]) -> None:
    """Raise click.UsageError for flags that a plan from a file has decided already."""
    decided = ("target", "exclude", "target_file", "exclude_file", "replace", "release", "retry", "destroy",
               "refresh_only", "upgrade", "var", "var_file")  # fmt: skip
    for name in decided:
        if given[name]:
            message = f"-{name.replace('_', '-')} belongs to `infctl plan`: this plan is made already"
            raise click.UsageError(message)
