"""The command `completion`: what a shell evaluates so that Tab completes infctl."""

from __future__ import annotations

import click

from infctl.cli.command import Command
from infctl.cli.tab import ASKED
from infctl.cli.terminal import Terminal

SHELLS = ("bash", "zsh", "fish")
HELP = """Print the completion script of SHELL: bash, zsh or fish.

\b
For this shell:   eval "$(infctl completion bash)"
For every shell:  the same line in ~/.bashrc
"""


@click.command("completion", cls=Command, help=HELP)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_obj
def command(terminal: Terminal, shell: str) -> int:
    from click.shell_completion import get_completion_class

    from infctl.cli.main import root

    made = get_completion_class(shell)
    if made is None:
        message = f"there is no completion for {shell}"
        raise click.UsageError(message)
    terminal.write(made(root, {}, "infctl", ASKED).source())
    return 0
