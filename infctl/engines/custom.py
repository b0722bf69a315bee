"""Owns the custom engine: a command of the user's own that serves HTTP. Pure.

`{port}` in the command stands for the port to listen on, which the environment variable PORT holds too; `{model}` for
the model's files, where it has a uri.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infctl.engines.setup import UNFIT_FOR_ENGINE, Setup
from infctl.spec.problems import Problem, problem

if TYPE_CHECKING:
    from infctl.spec.model import Model

NAME = "custom"
_UNHEARD = ("max_model_len", "kv_cache_dtype", "quantization")
_TOLD_APART = frozenset({"generate", "embed", "custom"})  # speak OpenAI's API; of "custom", `spec` demands health


def set_up(model: Model, *, container: bool = False) -> Setup:
    """Return the setup of a model with its own command; in a container the image may have one."""
    problems = [_unheard(name) for name in _UNHEARD if getattr(model, name) not in {None, "auto"}]
    problems += (_unheard("engine_args", name) for name in model.engine_args)
    if not model.health and model.task not in _TOLD_APART:
        summary = f"infctl cannot tell when a task {model.task} is ready"
        problems.append(_unfit("task", summary, "health is missing", "say health: and a path that answers 200"))
    if container and not model.image:
        hint = "say image: and the image that holds your engine, as registry.example/serve:1.4"
        problems.append(_unfit("engine", "A custom engine needs an image here", "image is missing", hint))
    if not container and model.image and not model.command:  # without an image, `spec` says so
        hint = "say command: here too, or leave targets out that run no containers"
        problems.append(_unfit("engine", "A custom engine needs a command here", "command is missing", hint))
    most = max(model.replicas.min, model.replicas.max or 0)
    if model.port and most > 1 and not container:
        detail = f"{most} replicas cannot listen on one port of one machine"
        hint = "leave port out and listen on {port}, or on the PORT of the environment"
        problems.append(_unfit("port", "The port is taken by the first replica", detail, hint))
    return Setup(command=model.command, port=model.port or 0, problems=tuple(problems))


def _unheard(*loc: str) -> Problem:
    hint = "say it in command: or env:, in the words of your engine"
    summary = "A custom engine is not told about this"
    return problem(UNFIT_FOR_ENGINE, summary, "nobody would hear of it", loc=loc, hint=hint, at_key=True)


def _unfit(field: str, summary: str, detail: str, hint: str) -> Problem:
    return problem(UNFIT_FOR_ENGINE, summary, detail, loc=(field,), hint=hint)
