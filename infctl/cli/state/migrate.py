"""The command `state migrate`."""

from __future__ import annotations

from os import environ
from pathlib import Path

import click

from infctl.cli.command import Command, flag
from infctl.cli.locking import lock_timeout
from infctl.cli.terminal import Terminal


@click.command("migrate", cls=Command)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@flag("force", "Replace another lineage that FOLDER holds.")
@lock_timeout
@click.pass_obj
def command(terminal: Terminal, folder: Path, force: bool, lock_timeout: float) -> int:
    """Copy the selected workspace's state and its digest key into FOLDER's store.

    Both are locked meanwhile, and what was written is read back and compared. The copy here stays.
    """
    from infctl.ops.stores import open_store, who
    from infctl.state.moves import migrate

    source = open_store(Path(), environ)
    destination = open_store(folder, environ, workspace=source.workspace)
    state = migrate(source, destination, who(), timeout=lock_timeout, force=force)
    terminal.say(f"Copied serial {state.serial} with {len(state.resources)} objects to {destination.location}.")
    return 0
