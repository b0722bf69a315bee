"""The command `init`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from infctl.cli.command import Command, flag, option
from infctl.cli.terminal import Terminal

if TYPE_CHECKING:
    from infctl.ops.where import Where

DEFAULT = "hello"


class Init(Command):
    """Its help lists the stacks that infctl carries."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        from infctl.ops.init import describe, stacks

        with formatter.section("Stacks"):
            formatter.write_dl([(name, describe(path)) for name, path in stacks().items()])


@click.command("init", cls=Init)
@option("stack", "NAME", f"Write this stack; {DEFAULT} where none is named.", default="")
@flag("reconfigure", "Take the place of the state in the file as it is; what was kept elsewhere is left there.")
@click.pass_obj
def command(terminal: Terminal, stack: str, reconfigure: bool) -> int:
    """Write a stack that runs at once into an empty folder; look over the one that is there.

    Where there is an inference.yaml nothing is changed: its files, its state and its targets are checked.
    """
    from infctl.ops.where import Where

    where = Where(env=os.environ)
    if where.has_file and not stack:
        if reconfigure:
            from infctl.ops.stores import asked_config, remember

            remember(where.root, asked_config(where.root))
        return _look_over(terminal, where)
    return _write(terminal, where, stack or DEFAULT)


def _look_over(terminal: Terminal, where: Where) -> int:
    from infctl.ops.doctor import examine
    from infctl.views.doctor import findings_json, show_findings
    from infctl.views.style import Style

    view = findings_json(examine(where))
    terminal.say_lines(show_findings(view, Style(terminal.width, terminal.color)))
    if view["ok"]:
        terminal.say("This folder is ready: type infctl plan.")
    return 0 if view["ok"] else 1


def _write(terminal: Terminal, where: Where, stack: str) -> int:
    from infctl.cli.voices import Human
    from infctl.ops.init import begin
    from infctl.views.init import show_begun
    from infctl.views.style import Style

    begun = begin(stack, where, Human(terminal).report)
    terminal.say_lines(show_begun(begun, Style(terminal.width, terminal.color)))
    return 0
