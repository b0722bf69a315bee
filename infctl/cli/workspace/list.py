"""The command `workspace list`."""

from __future__ import annotations

from os import environ
from pathlib import Path

import click

from infctl.cli.command import Command
from infctl.cli.terminal import Terminal


@click.command("list", cls=Command, help="List the workspaces, the selected one marked.")
@click.pass_obj
def command(terminal: Terminal) -> int:
    from infctl.ops.stores import open_store
    from infctl.state.workspaces import selected

    now = selected(Path(), environ)
    names = open_store(Path(), environ, workspace=now).workspaces()
    terminal.say_lines(f"{'*' if name == now else ' '} {name}" for name in names)
    return 0
