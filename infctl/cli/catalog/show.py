"""The command `catalog show`."""

from __future__ import annotations

import click

from infctl.cli.command import Command, flag, option
from infctl.cli.terminal import Terminal


@click.command("show", cls=Command)
@click.argument("name")
@option("catalog", "FILE", "Rows of your own, added to the catalogue's.", default="")
@flag("json", "Print one JSON document.")
@click.pass_obj
def command(terminal: Terminal, name: str, catalog: str, json: bool) -> int:
    """Show all that the catalogue knows of a GPU or a model, by any of its names."""
    from infctl.views import catalog as view

    rows = view.rows_named(name, catalog)
    if json:
        from json import dumps

        terminal.say(dumps(rows, indent=2, ensure_ascii=False))
    else:
        terminal.say_lines(view.show_whole(rows))
    return 0
