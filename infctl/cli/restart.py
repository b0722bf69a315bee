"""The command `restart`."""

from __future__ import annotations

from typing import Any

import click

from infctl.cli import tab
from infctl.cli.command import Command
from infctl.cli.options import approving, model_name, request_with, working
from infctl.cli.running import run_request
from infctl.cli.terminal import Terminal


@click.command("restart", cls=Command)
@click.argument("model", shell_complete=tab.models)
@approving
@working
@click.pass_obj
def command(terminal: Terminal, /, model: str, **given: Any) -> int:
    """Start every replica of MODEL anew, as a new revision of the same spec: no downtime where there is room."""
    return run_request(terminal, given, lambda: request_with(given, restart=(model_name(model),)))
