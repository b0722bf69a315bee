"""The command `logs`."""

from __future__ import annotations

import os

import click

from infctl.cli import tab
from infctl.cli.command import Command, Flag, option
from infctl.cli.options import model_name
from infctl.cli.rollback import RevisionNumber
from infctl.cli.terminal import Terminal


@click.command("logs", cls=Command)
@click.argument("model", shell_complete=tab.models)
@click.option("--follow/--no-follow", "-f", cls=Flag, default=False, help="Go on as new lines come; also -f.")
@option("revision", "REV", "Those of this revision; without it the one that serves.", type=RevisionNumber(), default=0)
@option("tail", "N", "The last N lines of each replica (100).", type=click.IntRange(0), default=100)
@click.pass_obj
def command(terminal: Terminal, model: str, follow: bool, revision: int, tail: int) -> int:
    """Show what the replicas of MODEL wrote."""
    from infctl.ops.logs import logs_of
    from infctl.ops.session import Session
    from infctl.ops.where import Where

    with Session.look(Where(env=os.environ)) as session:
        lines = logs_of(session, model_name(model), revision=revision, tail=tail, follow=follow)
        last = None
        try:
            for address, line in lines:
                if address != last:
                    terminal.say(f"==> {address} <==")
                    last = address
                terminal.say(line)
        except KeyboardInterrupt:
            return 0
    return 0
