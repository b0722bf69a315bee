"""Owns the custom engine: a command of the user's own that serves HTTP. Pure.

`{port}` in the command stands for the port to listen on, which the environment variable PORT holds too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infctl.diagnostics import Code, Diagnostic, error
from infctl.engines.setup import Setup

if TYPE_CHECKING:
    from infctl.spec.model import Model

NAME = "custom"
INCOMPLETE_ENGINE = Code(
    "incomplete-engine",
    "A custom engine is not described enough to be run.",
    "Say `command:` (argv, with {port} for the port) and, unless it speaks the OpenAI API, `health:`.",
)
_SPEAKS_OPENAI = frozenset({"generate", "embed"})


def set_up(model: Model) -> Setup:
    """Return the setup of a model with its own command."""
    problems = []
    if not model.command:
        problems.append(_missing("command", "A custom engine needs a command", "command: [python, serve.py, '{port}']"))
    if not model.health and model.task not in _SPEAKS_OPENAI:
        summary = f"infctl cannot tell when a task {model.task} is ready"
        problems.append(_missing("health", summary, "health: /healthz, a path that answers 200 once it is ready"))
    problems += (
        error(
            INCOMPLETE_ENGINE,
            "A custom engine takes no engine_args",
            "not handed to anyone",
            hint="put it into command: or env:",
            path=f"engine_args.{name}",
        )
        for name in model.engine_args
    )
    lowest, _ = model.replicas
    if model.port and lowest > 1:
        detail = f"{lowest} replicas cannot listen on one port of one machine"
        hint = "leave port out and listen on {port}, or on the PORT of the environment"
        problems.append(
            error(INCOMPLETE_ENGINE, "The port is taken by the first replica", detail, hint=hint, path="port")
        )
    return Setup(command=model.command, port=model.port or 0, problems=tuple(problems))


def _missing(field: str, summary: str, hint: str) -> Diagnostic:
    return error(INCOMPLETE_ENGINE, summary, f"{field} is missing", hint=hint, path="")
