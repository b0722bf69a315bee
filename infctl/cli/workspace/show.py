"""The command `workspace show`."""

from __future__ import annotations

from os import environ
from pathlib import Path

import click

from infctl.cli.command import Command
from infctl.cli.terminal import Terminal


@click.command("show", cls=Command, help="Print the name of the selected workspace.")
@click.pass_obj
def command(terminal: Terminal) -> int:
    from infctl.state.workspaces import selected

    terminal.say(selected(Path(), environ))
    return 0
