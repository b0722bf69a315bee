"""The command `catalog list`."""

from __future__ import annotations

import click

from infctl.cli.command import Command, flag, option
from infctl.cli.terminal import Terminal


@click.command("list", cls=Command)
@click.argument("kind", type=click.Choice(("gpus", "models")), metavar="gpus|models")
@option("catalog", "FILE", "Rows of your own, added to the catalogue's.", default="")
@flag("json", "Print one JSON document.")
@click.pass_obj
def command(terminal: Terminal, kind: str, catalog: str, json: bool) -> int:
    """List what the catalogue knows of GPUs or of models."""
    from infctl.views import catalog as view

    rows = view.rows_of(kind, catalog)
    if json:
        from json import dumps

        terminal.say(dumps(rows, indent=2, ensure_ascii=False))
    else:
        terminal.say_lines(view.show_rows(kind, rows))
    return 0
