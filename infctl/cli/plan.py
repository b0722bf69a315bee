"""The command `plan`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from infctl.cli.command import Command, flag, option
from infctl.cli.options import planning, request_of, where_of
from infctl.cli.terminal import Terminal

if TYPE_CHECKING:
    from infctl.ops.plan import Planned


@click.command("plan", cls=Command)
@option("out", "FILE", "Write the plan to FILE, for `infctl apply FILE`.", default="")
@flag("detailed-exitcode", "Exit 0 without changes, 2 with changes, 1 when it fails or something is unknown.")
@planning
@click.pass_obj
def command(terminal: Terminal, /, out: str, detailed_exitcode: bool, **given: Any) -> int:
    """Show what apply would change, and change nothing."""
    from infctl.cli.voices import voice_of
    from infctl.diagnostics import InfctlError
    from infctl.ops.plan import plan_stack
    from infctl.ops.session import Session

    request = request_of(given)
    voice = voice_of(terminal, json=given["json"], json_into=given["json_into"], concise=given["concise"])
    try:
        with Session.open(where_of(given), stack=not given["destroy"]) as session:
            planned = plan_stack(session, request, look=given["refresh"], hear=voice.hear, report=voice.report)
        voice.planned(planned)
        if out:
            from infctl.plan.file import write_plan

            write_plan(planned.plan, Path(out))
        if not given["json"]:
            terminal.say_lines(_next(planned, out))
    except InfctlError as failure:
        if not given["json"] and not given["json_into"]:
            raise
        voice.complain(failure.diagnostics)
        return 1
    finally:
        voice.close()
    return _code(planned, detailed=detailed_exitcode)


def _code(planned: Planned, *, detailed: bool) -> int:
    if not detailed:
        return 0
    if planned.plan.unreachable:
        return 1
    drifted = (
        planned.plan.mode.value == "refresh-only" and planned.plan.drift
    )  # a stopped object is not for state to take in
    return 0 if planned.plan.is_empty and not drifted else 2


def _next(planned: Planned, out: str) -> list[str]:
    """Return what to type next."""
    from shlex import quote

    if out:
        return [
            "",
            f"Saved the plan to: {out}",
            "To perform exactly these actions, run:",
            f"    infctl apply {quote(out)}",
        ]
    if planned.plan.is_empty:
        return []
    return ["", "To perform these actions, run:", "    infctl apply"]
