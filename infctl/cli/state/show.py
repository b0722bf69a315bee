"""The command `state show`."""

from __future__ import annotations

from os import environ
from pathlib import Path

import click

from infctl.cli.command import Command, flag
from infctl.cli.terminal import Terminal


@click.command("show", cls=Command, help="Show objects as state knows them: outputs, values, references.")
@click.argument("addresses", nargs=-1, metavar="[ADDRESS...]")
@flag("json", "Print one JSON document.")
@click.pass_obj
def command(terminal: Terminal, addresses: tuple[str, ...], json: bool) -> int:
    from infctl.address import parse_address
    from infctl.ops.edit_state import current, find
    from infctl.ops.stores import open_store
    from infctl.views.state import resource_json, show_resource
    from infctl.views.style import Style

    state = current(open_store(Path(), environ))
    found = find(state, map(parse_address, addresses))
    if json:
        from json import dumps

        terminal.say(dumps([resource_json(thing) for thing in found], indent=2))
        return 0
    style = Style(terminal.width, terminal.color)
    for number, thing in enumerate(found):
        terminal.say_lines([*([""] if number else []), *show_resource(thing, style)])
    return 0
