"""The command `output`."""

from __future__ import annotations

import click

from infctl.cli.command import Command, flag
from infctl.cli.terminal import Terminal


@click.command("output", cls=Command)
@click.argument("name", required=False, metavar="[NAME]")
@flag("raw", "Print the value of NAME and nothing else.")
@flag("json", "Print JSON.")
@click.pass_obj
def command(terminal: Terminal, name: str | None, raw: bool, json: bool) -> int:
    """Show the outputs of the last apply: MODEL.url, MODEL.urls, MODEL.revision, MODEL.engine."""
    from json import dumps

    from infctl.ops.output import output_of
    from infctl.ops.session import Session
    from infctl.ops.where import Where
    from infctl.views import outputs as view

    if raw and (json or name is None):
        message = "-raw takes one NAME, and no -json"
        raise click.UsageError(message)
    with Session.open(Where(), read=False) as session:
        state = session.known_state()
    if name is None:
        if not state.outputs and not json:
            terminal.say("No outputs: nothing runs that has any.")
            return 0
        terminal.say_lines([dumps(view.outputs_json(state.outputs))] if json else view.show_outputs(state.outputs))
        return 0
    value = output_of(state, name)
    terminal.write(view.raw(value) if raw else f"{dumps(value, ensure_ascii=False)}\n")
    return 0
