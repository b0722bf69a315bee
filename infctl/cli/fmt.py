"""The command `fmt`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from infctl.cli.command import Command, flag
from infctl.cli.terminal import Terminal

if TYPE_CHECKING:
    from infctl.ops.fmt import Formatted

WOULD_CHANGE = 3  # Terraform's exit code of `fmt -check`


@click.command("fmt", cls=Command)
@click.argument("paths", nargs=-1, metavar="[FILE|DIR|-]...", type=click.Path(allow_dash=True))
@flag("check", "Write nothing; exit 3 when a file would change.")
@flag("diff", "Print what changes.")
@flag("recursive", "Also format the stacks in the folders below.")
@click.pass_obj
def command(terminal: Terminal, paths: tuple[str, ...], check: bool, diff: bool, recursive: bool) -> int:
    """Lay out files in the one way; what they say, their comments and their order stay. Lists the files it changed.

    Without an argument it is inference.yaml; a folder is its *.yaml files; - is standard input, printed.
    """
    from infctl.cli.failure import complain
    from infctl.ops.fmt import format_bytes, format_files
    from infctl.ops.where import CONFIG

    if "-" in paths:
        if len(paths) > 1:
            message = "- stands alone"
            raise click.UsageError(message)
        made = format_bytes(sys.stdin.buffer.read(), "<stdin>")
        if not check and not diff:
            terminal.write(made.after.decode())
            return 0
        _show(terminal, made, name=False, diff=diff)
        return WOULD_CHANGE if check and made.changes else 0
    wanted = map(Path, paths or (("." if recursive else CONFIG),))
    done, problems = format_files(wanted, recursive=recursive, write=not check)
    for made in done:
        _show(terminal, made, name=True, diff=diff)
    if problems:
        complain(problems, terminal)
        return 1
    return WOULD_CHANGE if check and any(made.changes for made in done) else 0


def _show(terminal: Terminal, made: Formatted, *, name: bool, diff: bool) -> None:
    from infctl.views.fmt import show_diff
    from infctl.views.style import Style

    if made.changes:
        lines = show_diff(made, Style(terminal.width, terminal.color)) if diff else []
        terminal.say_lines([*([made.file] if name else []), *lines])
