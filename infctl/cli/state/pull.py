"""The command `state pull`."""

from __future__ import annotations

from os import environ
from pathlib import Path

import click

from infctl.cli.command import Command
from infctl.cli.terminal import Terminal


@click.command("pull", cls=Command, help="Print the whole state, as `state push` takes it back. No secret is in it.")
@click.pass_obj
def command(terminal: Terminal) -> int:
    from infctl.ops.edit_state import pull
    from infctl.ops.stores import open_store

    terminal.write(pull(open_store(Path(), environ)).decode())
    return 0
