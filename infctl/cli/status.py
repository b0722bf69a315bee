"""The command `status`."""

from __future__ import annotations

import os

import click

from infctl.cli.command import Command, flag
from infctl.cli.terminal import Terminal


@click.command("status", cls=Command)
@flag("json", "Print one JSON document.")
@click.pass_obj
def command(terminal: Terminal, json: bool) -> int:
    """Show each model: its revision, how many replicas answer, where, and what needs attention."""
    from datetime import UTC, datetime

    from infctl.cli.voices import signs_of_life
    from infctl.ops.session import Session
    from infctl.ops.status import status_of
    from infctl.ops.where import Where
    from infctl.views.status import show_status, status_json
    from infctl.views.style import Style

    hear = signs_of_life(terminal, json=json)
    with Session.look(Where(env=os.environ)) as session:
        view = status_json(status_of(session, hear))
    if json:
        from json import dumps

        terminal.say(dumps(view, ensure_ascii=False))
    else:
        terminal.say_lines(show_status(view, Style(terminal.width, terminal.color), datetime.now(UTC)))
    return 0
