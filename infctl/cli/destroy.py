"""The command `destroy`."""

from __future__ import annotations

from typing import Any

import click

from infctl.cli.command import Command, flag
from infctl.cli.options import planning, request_of, timeout
from infctl.cli.running import run_request
from infctl.cli.terminal import Terminal


@click.command("destroy", cls=Command)
@flag("auto-approve", "Do not ask.")
@timeout
@planning
@click.pass_obj
def command(terminal: Terminal, /, **given: Any) -> int:
    """Remove everything that infctl made here; with -target only that."""
    return run_request(terminal, given, lambda: request_of(given | {"destroy": True}), "destroy")
