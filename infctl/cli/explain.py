"""The command `explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from infctl.cli import tab
from infctl.cli.command import Command, flag, option
from infctl.cli.options import where_of, which_stack
from infctl.cli.terminal import Terminal


@click.command("explain", cls=Command)
@click.argument("models", nargs=-1, metavar="[MODEL...]", shell_complete=tab.models)
@option("html", "FILE", "Also draw it: one page, which needs no network.", default="")
@flag("refresh", "Ask no target what it has: the catalogue alone.", default=True)
@flag("json", "Print one JSON document.")
@which_stack
@click.pass_obj
def command(terminal: Terminal, /, models: tuple[str, ...], html: str, json: bool, **given: Any) -> int:
    """Show how a model would run and why: memory, latency, replicas, cost, and what came next.

    Judged by what the targets have now; what the file leaves open is decided, what it fixes is judged.
    """
    from infctl.cli.voices import signs_of_life
    from infctl.ops.explain import explain
    from infctl.ops.session import Session
    from infctl.views.explain import explain_json, show_explained
    from infctl.views.style import Style

    hear = signs_of_life(terminal, json=json)
    with Session.open(where_of(given)) as session:
        found = explain(session, models, look=given["refresh"], hear=hear)
        view = explain_json(session.stack.name if session.stack else "", found)
    if html:
        from infctl.views.explain_html import explain_html

        Path(html).write_text(explain_html(view), encoding="utf-8")
    if json:
        from json import dumps

        terminal.say(dumps(view, indent=2, ensure_ascii=False))
    else:
        terminal.say_lines(show_explained(view, Style(terminal.width, terminal.color)))
        if html:
            terminal.say(f"\nDrawn in {html}.")
    return 1 if any(model["clash"] for model in view["models"]) else 0
