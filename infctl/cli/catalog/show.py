"""The command `catalog show`."""

from __future__ import annotations

from pathlib import Path

import click

from infctl.cli.command import Command, flag, option
from infctl.cli.terminal import Terminal


@click.command("show", cls=Command)
@click.argument("name")
@option("catalog", "FILE", "Your rows; default: inference.catalog.yaml, if there is one.", default="")
@flag("json", "Print one JSON document.")
@click.pass_obj
def command(terminal: Terminal, name: str, catalog: str, json: bool) -> int:
    """Show all that the catalogue knows of a GPU, a model, an instance, an engine or a format, by any of its names."""
    from infctl.catalog.files import find_own
    from infctl.views import catalog as view

    rows = view.rows_named(name, find_own(Path(), catalog))
    if json:
        from json import dumps

        terminal.say(dumps(rows, indent=2, ensure_ascii=False))
    else:
        terminal.say_lines(view.show_whole(rows))
    return 0
