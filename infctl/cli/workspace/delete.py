"""The command `workspace delete`."""

from __future__ import annotations

from os import environ
from pathlib import Path

import click

from infctl.cli.command import Command, flag
from infctl.cli.terminal import Terminal


@click.command("delete", cls=Command, help="Delete a workspace that holds nothing, with its state.")
@click.argument("name")
@flag("force", "Delete it although it holds objects: they go on running, unknown to infctl.")
@click.pass_obj
def command(terminal: Terminal, name: str, force: bool) -> int:
    from infctl.ops.stores import open_store
    from infctl.state.workspaces import delete

    delete(open_store(Path(), environ, workspace=name), Path(), environ, force=force)
    terminal.say(f"Deleted workspace {name}.")
    return 0
