"""The command `destroy`."""

from __future__ import annotations

from typing import Any

import click

from infctl.cli.command import Command
from infctl.cli.options import approving, request_with, selecting, working
from infctl.cli.running import run_request
from infctl.cli.terminal import Terminal


@click.command("destroy", cls=Command)
@approving
@selecting
@working
@click.pass_obj
def command(terminal: Terminal, /, **given: Any) -> int:
    """Remove everything that infctl made here; with -target only that."""
    return run_request(terminal, given, lambda: request_with(given | {"destroy": True}), "destroy")
