"""The command `state push`."""

from __future__ import annotations

from os import environ
from pathlib import Path

import click

from infctl.cli.command import Command, flag
from infctl.cli.locking import lock_timeout, tell_waiting
from infctl.cli.terminal import Terminal


@click.command("push", cls=Command)
@click.argument("file")
@flag("force", "Replace another lineage, a newer serial, or a state that cannot be read.")
@lock_timeout
@click.pass_obj
def command(terminal: Terminal, file: str, force: bool, lock_timeout: float) -> int:
    """Replace the whole state by the one in FILE (`-` for standard input).

    It must come from the stored one by `state pull`: the same lineage, no older serial, no journal in between.
    """
    import sys

    from infctl.ops.edit_state import push
    from infctl.ops.stores import open_store, who

    text = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    waiting = tell_waiting(terminal)
    state = push(open_store(Path(), environ), who(), text, file, force=force, timeout=lock_timeout, waiting=waiting)
    terminal.say(f"State is now serial {state.serial} with {len(state.resources)} objects.")
    return 0
