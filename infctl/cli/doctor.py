"""The command `doctor`."""

from __future__ import annotations

from typing import Any

import click

from infctl.cli.command import Command, flag
from infctl.cli.options import where_of, which_stack
from infctl.cli.terminal import Terminal


@click.command("doctor", cls=Command)
@click.argument("target", required=False, metavar="[TARGET]")
@flag("json", "Print one JSON document.")
@which_stack
@click.pass_obj
def command(terminal: Terminal, /, target: str | None, json: bool, **given: Any) -> int:
    """Find out what keeps a stack from working: its files, its state, its engines, its targets. Changes nothing.

    With TARGET only that place is looked at. Exits 1 when something is not well.
    """
    from infctl.ops.doctor import examine, examine_target
    from infctl.views.doctor import findings_json, show_findings
    from infctl.views.style import Style

    where = where_of(given)
    rows = examine_target(where, target.removeprefix("target.")) if target else examine(where)
    view = findings_json(rows)
    if json:
        from json import dumps

        terminal.say(dumps(view, indent=2, ensure_ascii=False))
    else:
        terminal.say_lines(show_findings(view, Style(terminal.width, terminal.color)))
    return 0 if view["ok"] else 1
