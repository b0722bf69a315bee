"""The command `workspace new`."""

from __future__ import annotations

from os import environ
from pathlib import Path

import click

from infctl.cli.command import Command
from infctl.cli.terminal import Terminal


@click.command("new", cls=Command, help="Make a workspace and select it.")
@click.argument("name")
@click.pass_obj
def command(terminal: Terminal, name: str) -> int:
    from infctl.ops.stores import open_store
    from infctl.state.workspaces import new

    new(open_store(Path(), environ, workspace=name), Path(), environ)
    terminal.say(f"Made and selected workspace {name}.")
    return 0
