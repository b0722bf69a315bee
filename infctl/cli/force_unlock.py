"""The command `force-unlock`."""

from __future__ import annotations

from os import environ
from pathlib import Path

import click

from infctl.cli.command import Command, flag
from infctl.cli.terminal import Terminal


@click.command("force-unlock", cls=Command)
@click.argument("lock_id")
@flag("force", "Do not ask.")
@click.pass_obj
def command(terminal: Terminal, lock_id: str, force: bool) -> int:
    """Take the lock LOCK_ID from its holder.

    A holder that still runs loses nothing it wrote and writes nothing more: its token is old from now on.
    """
    from infctl.cli.running import require_answer
    from infctl.ops.stores import open_store

    store = open_store(Path(), environ)
    held = store.lock_info()
    if not force and held is not None and held.id == lock_id:
        require_answer(terminal, "Add -force.")
        terminal.write(
            f"{held.who} holds it for {held.operation} since {held.since}.\n"
            "Do you really want to take the lock away?\n  Only 'yes' will be accepted: "
        )
        if input() != "yes":
            terminal.say("Not unlocked.")
            return 1
    info = store.force_unlock(lock_id)
    terminal.say(f"Unlocked: {info.who} no longer holds the lock.")
    return 0
