"""The command `graph`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from infctl.cli.command import Command, flag, option
from infctl.cli.options import where_of, which_stack
from infctl.cli.terminal import Terminal


@click.command("graph", cls=Command)
@option("type", "TYPE", "What to draw: objects (the default) or steps.", type=click.Choice(("objects", "steps")),
        default="objects")  # fmt: skip
@option("plan", "FILE", "Draw the steps of a plan file.", default="")
@flag("mermaid", "Write Mermaid instead of DOT.")
@which_stack
@click.pass_obj
def command(terminal: Terminal, /, type: str, plan: str, mermaid: bool, **given: Any) -> int:  # noqa: A002  # the flag
    """Print what stands on what as DOT: `infctl graph | dot -Tsvg > graph.svg`."""
    from infctl.ops.graph import objects_graph, steps_graph
    from infctl.views import graph as view

    if plan:
        from infctl.plan.file import read_plan

        drawn = steps_graph(read_plan(Path(plan)))
    else:
        from infctl.ops.plan import plan_stack
        from infctl.ops.session import Session
        from infctl.plan.request import Request

        with Session.open(where_of(given)) as session:
            planned = plan_stack(session, Request())
        drawn = steps_graph(planned.plan) if type == "steps" else objects_graph(planned.plan, planned.state)
    terminal.say_lines(view.mermaid(drawn) if mermaid else view.dot(drawn))
    return 0
