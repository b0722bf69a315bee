"""The command `show`."""

from __future__ import annotations

from pathlib import Path

import click

from infctl.cli.command import Command, flag
from infctl.cli.terminal import Terminal


@click.command("show", cls=Command)
@click.argument("planfile", required=False, metavar="[PLANFILE]")
@flag("json", "Print one JSON document.")
@click.pass_obj
def command(terminal: Terminal, planfile: str | None, json: bool) -> int:
    """Show what state remembers, or with PLANFILE what that plan would do."""
    from infctl.views.style import Style

    style = Style(terminal.width, terminal.color)
    if planfile is not None:
        from infctl.plan.file import read_plan
        from infctl.views.plan import show_plan
        from infctl.views.plan_json import plan_json, plan_view

        plan = read_plan(Path(planfile))
        if json:
            return _document(terminal, plan_json(plan))
        terminal.say_lines(show_plan(plan_view(plan), style))
        return 0
    from infctl.ops.session import Session
    from infctl.ops.where import Where
    from infctl.views.state_json import show_state, state_json

    with Session.open(Where(), read=False) as session:
        state = session.known_state()
    if json:
        return _document(terminal, state_json(state))
    terminal.say_lines(show_state(state, style))
    return 0


def _document(terminal: Terminal, document: object) -> int:
    from json import dumps

    terminal.say(dumps(document, ensure_ascii=False))
    return 0
