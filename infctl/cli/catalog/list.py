"""The command `catalog list`."""

from __future__ import annotations

from pathlib import Path

import click

from infctl.cli.command import Command, flag, option
from infctl.cli.terminal import Terminal

KINDS = ("gpus", "models", "instances", "prices", "engines", "support", "quality")


@click.command("list", cls=Command)
@click.argument("kind", type=click.Choice(KINDS), metavar="|".join(KINDS))
@option("gpu", "GPU", "Instances and prices with this GPU only.", default="")
@option("catalog", "FILE", "Your rows; default: inference.catalog.yaml, if there is one.", default="")
@flag("json", "Print one JSON document.")
@click.pass_obj
def command(terminal: Terminal, kind: str, gpu: str, catalog: str, json: bool) -> int:
    """List what the catalogue knows: GPUs, models, instances and their prices, engines, formats, quality."""
    from infctl.catalog.files import find_own
    from infctl.views import catalog as view

    own = find_own(Path(), catalog)
    rows = view.rows_of(kind, own, gpu)
    if json:
        from json import dumps

        terminal.say(dumps(rows, indent=2, ensure_ascii=False))
    else:
        terminal.say_lines(view.show_rows(kind, rows, own))
    return 0
