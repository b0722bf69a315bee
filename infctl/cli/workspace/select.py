"""The command `workspace select`."""

from __future__ import annotations

from os import environ
from pathlib import Path

import click

from infctl.cli.command import Command
from infctl.cli.terminal import Terminal


@click.command("select", cls=Command, help="Select a workspace.")
@click.argument("name")
@click.pass_obj
def command(terminal: Terminal, name: str) -> int:
    from infctl.ops.stores import open_store
    from infctl.state.workspaces import select

    select(open_store(Path(), environ, workspace=name), Path(), environ)
    terminal.say(f"Selected workspace {name}.")
    return 0
