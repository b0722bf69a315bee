"""The command `state migrate`."""

from __future__ import annotations

from os import environ
from pathlib import Path

import click

from infctl.cli.command import Command, flag
from infctl.cli.locking import lock_timeout
from infctl.cli.terminal import Terminal


@click.command("migrate", cls=Command)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), required=False)
@flag("force", "Replace another lineage that is there already.")
@lock_timeout
@click.pass_obj
def command(terminal: Terminal, folder: Path | None, force: bool, lock_timeout: float) -> int:
    """Copy state, with its digest key, from where it was kept to where the file says now; with FOLDER, to where the
    stack in that folder keeps its own.

    All workspaces are copied, with FOLDER the selected one. Both sides are locked meanwhile, and what was written is
    read back and compared. The old copy stays; to run it again is safe.
    """
    from infctl.ops.migrate import copies, copy_to_folder

    moving = copies(Path(), environ) if folder is None else copy_to_folder(Path(), folder, environ)
    for copied in moving.run(timeout=lock_timeout, force=force):
        objects = f"{len(copied.state.resources)} objects"
        terminal.say(f"Copied serial {copied.state.serial} with {objects} to {copied.location}.")
    terminal.say(moving.afterwards)
    return 0
