"""The command `state rm`."""

from __future__ import annotations

from os import environ
from pathlib import Path

import click

from infctl.cli.command import Command
from infctl.cli.locking import lock_timeout, tell_waiting
from infctl.cli.terminal import Terminal


@click.command("rm", cls=Command)
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@lock_timeout
@click.pass_obj
def command(terminal: Terminal, addresses: tuple[str, ...], lock_timeout: float) -> int:
    """Forget objects: they go on running, and infctl no longer changes or removes them.

    `infctl import` takes them back.
    """
    from infctl.address import parse_address
    from infctl.ops.edit_state import current, edit, find
    from infctl.ops.stores import open_store, who
    from infctl.state.moves import remove

    selectors = tuple(map(parse_address, addresses))
    store = open_store(Path(), environ)
    gone = find(current(store), selectors)
    waiting = tell_waiting(terminal)
    edit(store, who(), "state rm", lambda s: remove(s, selectors)[0], timeout=lock_timeout, waiting=waiting)
    terminal.say_lines(f"Forgot {thing.address}; {thing.name} goes on running." for thing in gone)
    return 0
