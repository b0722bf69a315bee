"""The command `drift`."""

from __future__ import annotations

import os

import click

from infctl.cli.command import Command, flag
from infctl.cli.terminal import Terminal


@click.command("drift", cls=Command)
@flag("detailed-exitcode", "Exit 0 without drift, 2 with drift, 1 when it fails or a place cannot be read.")
@flag("allow-unreachable", "Look at the rest when a place cannot be read.")
@flag("json", "Print one JSON document.")
@click.pass_obj
def command(terminal: Terminal, detailed_exitcode: bool, allow_unreachable: bool, json: bool) -> int:
    """Show what was changed behind infctl's back since the last apply, and change nothing."""
    from infctl.cli.voices import signs_of_life
    from infctl.ops.plan import plan_stack
    from infctl.ops.session import Session
    from infctl.ops.where import Where
    from infctl.plan.model import Mode
    from infctl.plan.request import Request
    from infctl.views.drift import drift_json, show_drift
    from infctl.views.style import Style

    hear = signs_of_life(terminal, json=json)
    request = Request(mode=Mode.REFRESH_ONLY, allow_unreachable=allow_unreachable)
    with Session.look(Where(env=os.environ)) as session:
        session.known_state()
        plan = plan_stack(session, request, hear=hear).plan
    if json:
        from json import dumps

        terminal.say(dumps(drift_json(plan), ensure_ascii=False))
    else:
        terminal.say_lines(show_drift(drift_json(plan), Style(terminal.width, terminal.color)))
    if not detailed_exitcode:
        return 0
    return 1 if plan.unreachable else 2 if plan.drift else 0
