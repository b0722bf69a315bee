"""The command `validate`."""

from __future__ import annotations

from typing import Any

import click

from infctl.cli.command import Command, flag
from infctl.cli.options import where_of, which_stack
from infctl.cli.terminal import Terminal


@click.command("validate", cls=Command)
@flag("json", "Print one JSON document.")
@which_stack
@click.pass_obj
def command(terminal: Terminal, /, json: bool, **given: Any) -> int:
    """Check the files: every problem of every file at once. No target is asked, no state is read."""
    from infctl.cli.failure import complain
    from infctl.ops.validate import validate
    from infctl.views.style import Style
    from infctl.views.validate import show_validation, validation_json

    found = validate(where_of(given))
    view = validation_json(found)
    if json:
        from json import dumps

        terminal.say(dumps(view, indent=2, ensure_ascii=False))
        return 0 if view["valid"] else 1
    if found:
        complain(found, terminal)
        terminal.complain("")
    style = Style(terminal.width, terminal.color)
    (terminal.say if view["valid"] else terminal.complain)(show_validation(view, style))
    return 0 if view["valid"] else 1
