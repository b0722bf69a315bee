"""The command `state recover`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from infctl.cli.command import Command, flag, option
from infctl.cli.locking import lock_timeout, tell_waiting
from infctl.cli.options import where_of, which_stack
from infctl.cli.running import ask, require_approval
from infctl.cli.terminal import Terminal

if TYPE_CHECKING:
    from infctl.ops.recover import Rebuilt


@click.command("recover", cls=Command)
@flag("auto-approve", "Do not ask.")
@flag("input", "Ask whether to store what was found.", default=True)
@option("lineage", "LINEAGE", "Which state is meant, where objects of several are running.", default="")
@lock_timeout
@which_stack
@click.pass_obj
def command(terminal: Terminal, /, auto_approve: bool, lineage: str, lock_timeout: float, **given: Any) -> int:
    """Rebuild a lost or damaged state from what runs, and from the backups beside it.

    Nothing that runs is touched. What was found is shown, and stored once you agree.
    """
    from infctl.ops.recover import recover_state
    from infctl.ops.session import Session
    from infctl.views.recover import show_rebuilt
    from infctl.views.style import Style

    require_approval({**given, "auto_approve": auto_approve, "lock": True, "json": False}, terminal)
    style = Style(terminal.width, terminal.color)
    shown: list[Rebuilt] = []

    def agree(rebuilt: Rebuilt) -> bool:
        shown.append(rebuilt)
        if not rebuilt.is_news:
            return False
        terminal.say_lines(show_rebuilt(rebuilt, style))
        return auto_approve or ask(terminal, "recover", style)

    with Session.open(where_of(given), stack=False) as session:
        stored = recover_state(session, agree, lineage=lineage, timeout=lock_timeout, waiting=tell_waiting(terminal))
    state = shown[0].recovered.state
    if stored:
        terminal.say(f"\nState is now serial {state.serial}. `infctl plan` compares it with the file.")
    elif not shown[0].is_news:
        terminal.say("Nothing to recover: state has everything that runs.")
    else:
        terminal.say("\nNot stored: nothing was changed.")
        return 1
    return 0
