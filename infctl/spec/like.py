"""Owns `like:`: a model takes over every field of another that it does not give itself.

Mappings merge deeply, lists and scalars replace, null removes. Works on plain values; knows no other field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infctl.diagnostics import Code, did_you_mean
from infctl.spec.paths import quote
from infctl.spec.problems import Problem, problem

UNKNOWN_MODEL = Code(
    "unknown-model",
    "A model is named that the configuration does not have.",
    "Mend the name, or add the model under `models:`.",
)
LIKE_CYCLE = Code(
    "like-cycle",
    "Models are like each other in a circle, so none of them says anything.",
    "Take `like:` out of one of them.",
)
_SHOWN = 6  # names of a circle


def inherit(models: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str], list[Problem]]:
    """Return the models with all that they inherit, who is like whom, and what is wrong with it.

    A model whose `like` leads nowhere stays as it is written.
    """
    likes: dict[str, str] = {}
    problems: list[Problem] = []
    for name, model in models.items():
        if not isinstance(model, dict) or "like" not in model:
            continue
        like = model["like"]
        if isinstance(like, str) and isinstance(models.get(like), dict):
            likes[name] = like
        elif isinstance(like, str) and like not in models:
            hint = did_you_mean(like, models) or UNKNOWN_MODEL.remedy
            detail = f"there is no model {quote(like)}"
            problems.append(problem(UNKNOWN_MODEL, "Like an unknown model", detail, loc=("models", name, "like"), hint=hint))
    if not likes:
        return dict(models), likes, problems
    problems += _break_cycles(likes)
    resolved: dict[str, Any] = dict(models)
    done: set[str] = set()
    for name in likes:
        chain = [name]
        while (parent := likes.get(chain[-1])) and parent not in done:
            chain.append(parent)
        for child in reversed(chain):  # from the ancestor down
            if child in likes and child not in done:
                resolved[child] = merge(resolved[likes[child]], models[child])
            done.add(child)
    return resolved, likes, problems


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `change` on top of it."""
    merged = dict(base)
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            under = merged.get(key)
            merged[key] = merge(under if isinstance(under, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def _break_cycles(likes: dict[str, str]) -> list[Problem]:
    """Return one problem for each cycle, and take its members out of `likes`."""
    problems: list[Problem] = []
    safe: set[str] = set()
    for name in tuple(likes):
        path: dict[str, None] = {}
        at: str | None = name
        while at is not None and at not in safe and at not in path:
            path[at] = None
            at = likes.get(at)
        if at in path:
            members = list(path)[list(path).index(str(at)) :]
            circle = " → ".join([*members, members[0]]) if len(members) <= _SHOWN else f"{len(members)} models"
            loc = ("models", members[0], "like")
            problems.append(problem(LIKE_CYCLE, "Models are like each other", circle, loc=loc, hint=LIKE_CYCLE.remedy))
            for member in members:
                del likes[member]
        safe.update(path)
    return problems

