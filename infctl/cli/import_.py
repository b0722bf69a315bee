"""The command `import`."""

from __future__ import annotations

from typing import Any

import click

from infctl.cli.command import Command
from infctl.cli.locking import lock_timeout, tell_waiting
from infctl.cli.options import where_of, which_stack
from infctl.cli.terminal import Terminal


@click.command("import", cls=Command)
@click.argument("address")
@click.argument("object_id", metavar="ID")
@which_stack
@lock_timeout
@click.pass_obj
def command(terminal: Terminal, /, address: str, object_id: str, lock_timeout: float, **given: Any) -> int:
    """Take a running object into state that state does not have: one that somebody else made, or one that was
    forgotten by `state rm`. The object is not touched; the next plan says how it differs from what the file asks for.

    ADDRESS is where it will be found, KIND.NAME["TARGET/SLOT"], as docker_container.chat["rack/0"]; ID its infctl.id,
    or its id or name on the target.
    """
    from infctl.address import parse_address
    from infctl.ops.adopt import import_object
    from infctl.ops.session import Session

    with Session.open(where_of(given)) as session:
        waiting = tell_waiting(terminal)
        done = import_object(session, parse_address(address), object_id, timeout=lock_timeout, waiting=waiting)
    revision = f", r{done.thing.revision}" if done.thing.revision else ""
    terminal.say(f"Imported {done.thing.name} ({done.thing.id}{revision}) as {done.thing.address}.")
    terminal.say(f"State is now serial {done.serial}; `infctl plan` shows whether it is as the file wants it.")
    return 0
