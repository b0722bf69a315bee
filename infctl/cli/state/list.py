"""The command `state list`."""

from __future__ import annotations

from os import environ
from pathlib import Path

import click

from infctl.cli.command import Command
from infctl.cli.terminal import Terminal


@click.command("list", cls=Command, help="List the addresses in state; with addresses, only what they cover.")
@click.argument("addresses", nargs=-1, metavar="[ADDRESS...]")
@click.pass_obj
def command(terminal: Terminal, addresses: tuple[str, ...]) -> int:
    from infctl.address import parse_address
    from infctl.ops.edit_state import current, find
    from infctl.ops.stores import open_store

    state = current(open_store(Path(), environ))
    found = find(state, map(parse_address, addresses))
    terminal.say_lines(f"{thing.address}{' (deposed)' if thing.deposed else ''}" for thing in found)
    return 0
