"""Owns what an engine argument may be: its type, its words, its range, and what to say when it is wrong.

Knows no engine; each engine's file has its table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from infctl.diagnostics import Code, did_you_mean
from infctl.frozen import dataclass
from infctl.spec.problems import Problem, problem

BAD_ENGINE_ARG = Code(
    "bad-engine-arg",
    "An engine argument is not one that the engine takes, or has a value that it does not take.",
    "docs/reference lists the arguments of each engine; names are the engine's own flags with underscores.",
)
INT32_MAX = 2**31 - 1  # llama.cpp keeps sizes in 32 bits
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


@dataclass(frozen=True, slots=True)
class EngineArg:
    """One argument: `choices` are all the words it takes ("" = any), `least` and `most` its range.

    `instead` names the field of a model that sets it: then it is no argument.
    """

    type: type[bool | int | float | str]
    doc: str
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float = INT32_MAX
    instead: str = ""


def check_args(args: Mapping[str, Any], known: Mapping[str, EngineArg], engine: str) -> Iterator[Problem]:
    """Yield an error for each argument that `engine` does not take; places begin at `engine_args`."""
    for name, value in args.items():
        argument, loc = known.get(name), ("engine_args", name)
        if argument is None:
            detail, hint = f"not an argument of {engine}", did_you_mean(name, known) or BAD_ENGINE_ARG.remedy
            yield problem(BAD_ENGINE_ARG, "Unknown engine argument", detail, loc=loc, hint=hint, at_key=True)
        elif argument.instead:
            hint = f"say {argument.instead} of the model instead"
            yield problem(BAD_ENGINE_ARG, f"{name} is set elsewhere", "set elsewhere", loc=loc, hint=hint, at_key=True)
        elif wrong := wrong_value(argument, value):
            hint = did_you_mean(str(value), argument.choices) or argument.doc
            yield problem(BAD_ENGINE_ARG, f"{name} has a wrong value", wrong, loc=loc, hint=hint)


def wrong_value(argument: EngineArg, value: Any) -> str:
    """Return what is wrong with this value, as a short phrase; empty when it is right."""
    if type(value) is not argument.type and not (argument.type is float and type(value) is int):
        return f"must be {_WORDS[argument.type]}"
    if argument.choices and value not in argument.choices:
        return f"must be one of {', '.join(argument.choices)}"
    if argument.type is bool or isinstance(value, str):
        return ""
    if not math.isfinite(value):
        return "must be a number"
    if value > argument.most:
        return f"must be at most {argument.most:.10g}"
    if argument.least is not None and value < argument.least:
        return f"must be at least {argument.least:.10g}"
    return ""
