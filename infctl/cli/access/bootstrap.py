"""The command `access bootstrap`."""

from __future__ import annotations

from typing import Any

import click

from infctl.cli.command import Command
from infctl.cli.options import where_of, which_stack
from infctl.cli.terminal import Terminal


@click.command("bootstrap", cls=Command)
@click.argument("target", metavar="TARGET")
@which_stack
@click.pass_obj
def command(terminal: Terminal, /, target: str, **given: Any) -> int:
    """Print the least rights that infctl itself needs for TARGET, as the target takes them. Changes nothing.

    Of AWS that is an IAM policy: give it to the role or user that runs infctl.
    """
    from infctl.ops.bootstrap import rights_for

    terminal.say(rights_for(where_of(given), target.removeprefix("target.")))
    return 0
