"""The command `lock`."""

from __future__ import annotations

from typing import Any

import click

from infctl.cli.command import Command, flag
from infctl.cli.options import model_name, where_of, which_stack
from infctl.cli.terminal import Terminal


@click.command("lock", cls=Command)
@click.argument("models", nargs=-1, metavar="[MODEL...]")
@flag("upgrade", "Take the newest: the installed engine, what an image's tag stands for, a model's last revision.")
@which_stack
@click.pass_obj
def command(terminal: Terminal, /, models: tuple[str, ...], upgrade: bool, **given: Any) -> int:
    """Pin what runs: write engine versions and model files to inference.lock.yaml, for all models or for MODEL.

    What is pinned already and still fits stays as it is. Commit the file: then every run, here and in CI, is the same.
    """
    from infctl.cli.voices import Human
    from infctl.ops.lock import lock_models
    from infctl.ops.session import Session
    from infctl.views.lock import show_locked
    from infctl.views.style import Style

    report = Human(terminal).report
    with Session.open(where_of(given)) as session:
        locked = lock_models(session, map(model_name, models), report, upgrade=upgrade)
    terminal.say_lines(show_locked(locked, Style(terminal.width, terminal.color)))
    return 0
