"""The command `state mv`."""

from __future__ import annotations

from os import environ
from pathlib import Path

import click

from infctl.cli.command import Command
from infctl.cli.locking import lock_timeout, tell_waiting
from infctl.cli.terminal import Terminal


@click.command("mv", cls=Command)
@click.argument("source")
@click.argument("to")
@lock_timeout
@click.pass_obj
def command(terminal: Terminal, source: str, to: str, lock_timeout: float) -> int:
    """Say that an object or a model is found at another address.

    SOURCE and TO are addresses: model.chat, or KIND.NAME["TARGET/SLOT"]. Nothing that runs is touched.
    """
    from infctl.address import parse_address
    from infctl.ops.edit_state import edit
    from infctl.ops.stores import open_store, who
    from infctl.state.moves import move

    old, new = parse_address(source), parse_address(to)
    store = open_store(Path(), environ)
    waiting = tell_waiting(terminal)
    edit(store, who(), "state mv", lambda s: move(s, old, new), timeout=lock_timeout, waiting=waiting)
    terminal.say(f"Moved {old} to {new}.")
    return 0
