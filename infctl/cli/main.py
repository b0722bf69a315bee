"""Owns the way in and the way out: which commands there are, and what any failure looks like.

Imports click and nothing else of weight: `infctl -help` must be about as quick as Terraform's.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

import click

from infctl.cli.argv import Call, normalise
from infctl.cli.command import Flag, LazyGroup, option
from infctl.cli.tab import ASKED, normalise_question
from infctl.cli.terminal import Terminal

# In the order of use; a command that is not built is not here.
COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "init": ("infctl.cli.init", "Write a stack that runs at once, or look over the one here."),
    "validate": ("infctl.cli.validate", "Check the files."),
    "fmt": ("infctl.cli.fmt", "Lay out files in the one way."),
    "lock": ("infctl.cli.lock", "Pin what runs to inference.lock.yaml."),
    "plan": ("infctl.cli.plan", "Show what apply would change."),
    "apply": ("infctl.cli.apply", "Make it so: plan, ask, do it."),
    "destroy": ("infctl.cli.destroy", "Remove everything that infctl made here."),
    "doctor": ("infctl.cli.doctor", "Find out what keeps a stack from working."),
    "import": ("infctl.cli.import_", "Take a running object into state that state does not have."),
    "show": ("infctl.cli.show", "Show state, or a plan file."),
    "output": ("infctl.cli.output", "Show where the models answer."),
    "status": ("infctl.cli.status", "Show which models answer, and which do not."),
    "logs": ("infctl.cli.logs", "Show what a model's replicas wrote."),
    "rollback": ("infctl.cli.rollback", "Go back to an earlier revision of a model."),
    "restart": ("infctl.cli.restart", "Start a model's replicas anew."),
    "drift": ("infctl.cli.drift", "Show what changed behind infctl's back."),
    "explain": ("infctl.cli.explain", "Show how a model would run, and why."),
    "graph": ("infctl.cli.graph", "Draw what stands on what."),
    "size": ("infctl.cli.size", "Ask what a model would do on given GPUs."),
    "catalog": ("infctl.cli.catalog", "Look at the facts that infctl ships."),
    "state": ("infctl.cli.state", "Look at state, and mend it by hand."),
    "force-unlock": ("infctl.cli.force_unlock", "Take the lock of state from its holder."),
    "access": ("infctl.cli.access", "See who may do what."),
    "workspace": ("infctl.cli.workspace", "Keep several states of one stack."),
    "completion": ("infctl.cli.completion", "Print what a shell needs to complete infctl."),
    "schema": ("infctl.cli.schema", "Print the JSON Schema of inference.yaml."),
    "version": ("infctl.cli.version", "Show the version of infctl."),
}
HELP: Final = """One inference.yaml says which models run, what they owe and where they may live.

\b
The usual order:
  infctl init    write a stack that runs at once
  infctl plan    show what would change
  infctl apply   make exactly that change
"""
GROUPS: Final = frozenset({"access", "catalog", "state", "workspace"})  # commands that have commands of their own


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    help=HELP,
    invoke_without_command=True,
    context_settings={"help_option_names": ["--help"], "max_content_width": 100},
    options_metavar="[global options]",
    subcommand_metavar="COMMAND [options]",
)
@option("chdir", "DIR", "Work in DIR, as if started there.", expose_value=False)
@click.option("--no-color", cls=Flag, is_flag=True, expose_value=False, help="Print no colours; also NO_COLOR=1.")
@click.option("--version", cls=Flag, is_flag=True, help="The same as the command version.")
@click.pass_context
def root(ctx: click.Context, version: bool) -> int:
    if ctx.invoked_subcommand is not None:
        return 0
    if version:
        command = root.get_command(ctx, "version")
        return int(ctx.invoke(command)) if command else 0
    click.echo(ctx.get_help())
    return 1


def main() -> NoReturn:
    """Run the process's own command line and exit with its code.

    Without the cycle collector: a plan is one burst of values that live to its end, and looking through them again
    and again takes a third of its time (10,000 models). Whoever runs long turns it on (`cli.running`).
    """
    if ASKED in os.environ:
        normalise_question()
    gc.disable()
    gc.set_threshold(1_000_000)  # what a plan makes lives until its end: looking for cycles in it finds none
    code = run(sys.argv[1:], os.environ)
    gc.freeze()  # nor on the way out
    sys.exit(code)


def run(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run one command line and return its exit code. Failures are shown here, and never as a traceback."""
    terminal = Terminal.of(env, color=True)
    try:
        call = _normalised(argv, env)
        terminal = Terminal.of(env, color=call.color)
        return _dispatch(call, terminal)
    except Exception as failure:  # noqa: BLE001  # the one place where everything that is not a result ends
        from infctl.cli.failure import explain

        return explain(failure, terminal, env)
    except KeyboardInterrupt:
        terminal.complain("Interrupted.")
        return 1
    finally:
        terminal.close()


def _normalised(argv: Sequence[str], env: Mapping[str, str]) -> Call:
    try:
        return normalise(argv, env, GROUPS)
    except ValueError as failure:
        raise click.UsageError(f"INFCTL_CLI_ARGS cannot be split into words: {failure}") from failure


def _dispatch(call: Call, terminal: Terminal) -> int:
    if call.chdir:
        try:
            os.chdir(call.chdir)
        except OSError as failure:
            message = f"-chdir={call.chdir}: {failure.strerror}"
            raise click.UsageError(message) from failure
    result = root.main(list(call.words), prog_name="infctl", standalone_mode=False, obj=terminal)
    return int(result or 0)


if __name__ == "__main__":
    main()
