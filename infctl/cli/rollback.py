"""The command `rollback`."""

from __future__ import annotations

from typing import Any

import click

from infctl.cli import tab
from infctl.cli.command import Command, option
from infctl.cli.options import approving, model_name, request_with, working
from infctl.cli.running import run_request
from infctl.cli.terminal import Terminal


class RevisionNumber(click.ParamType[int]):
    """A revision as it is printed or as a number: r7, 7."""

    name = "revision"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        digits = str(value).removeprefix("r")
        if not digits.isdigit() or not int(digits):
            self.fail(f"{value!r} is not a revision: write r7 or 7", param, ctx)
        return int(digits)


@click.command("rollback", cls=Command)
@click.argument("model", shell_complete=tab.models)
@option("to", "REV", "Go to this revision instead of the one before.", type=RevisionNumber(), default=0)
@approving
@working
@click.pass_obj
def command(terminal: Terminal, /, model: str, to: int, **given: Any) -> int:
    """Go back to a revision of MODEL that ran, and hold it there.

    The hold stays until the model's spec in the file changes, or until `infctl apply -release=MODEL`.
    """
    rollback = {model_name(model): to}
    return run_request(terminal, given, lambda: request_with(given, rollback=rollback))
