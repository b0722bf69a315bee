"""Owns `like:`: a model takes over every field of another that it does not give itself.

Mappings merge deeply, lists and scalars replace, null removes. Works on plain values; knows no other field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infctl.diagnostics import Code
from infctl.frozen import dataclass
from infctl.spec.paths import quote
from infctl.spec.problems import Problem, near, problem

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


@dataclass(frozen=True, slots=True)
class Inherited:
    """The models with all that they inherit, and who is like whom. `broken` are those whose `like` leads nowhere:
    they are as they are written.
    """

    models: dict[str, Any]
    likes: dict[str, str]
    broken: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()


def inherit(models: Mapping[str, Any]) -> Inherited:
    """Return the models, each filled in from the one that it is like."""
    asked = {name: model["like"] for name, model in models.items() if isinstance(model, dict) and "like" in model}
    if not asked:
        return Inherited(dict(models), {})
    likes = {name: like for name, like in asked.items() if isinstance(like, str) and isinstance(models.get(like), dict)}
    unknown = {name: like for name, like in asked.items() if isinstance(like, str) and like not in models}
    problems = [_unknown(name, like, models) for name, like in unknown.items()]
    cycles = _cycles(likes)
    for members in cycles:
        circle = " → ".join([*members, members[0]]) if len(members) <= _SHOWN else f"{len(members)} models"
        loc = ("models", members[0], "like")
        problems.append(problem(LIKE_CYCLE, "Models are like each other", circle, loc=loc, hint=LIKE_CYCLE.remedy))
        for member in members:
            del likes[member]
    broken = asked.keys() - likes.keys()
    return Inherited(_resolve(models, likes), likes, frozenset(broken), tuple(problems))


def _resolve(models: Mapping[str, Any], likes: Mapping[str, str]) -> dict[str, Any]:
    resolved = dict(models)
    done: set[str] = set()
    for name in likes:
        chain = [name]
        while (parent := likes.get(chain[-1])) and parent not in done:
            chain.append(parent)
        for child in reversed(chain):  # from the ancestor down
            if child in likes and child not in done:
                resolved[child] = merge(resolved[likes[child]], models[child])
            done.add(child)
    return resolved


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


def _unknown(name: str, like: str, models: Mapping[str, Any]) -> Problem:
    hint, detail = near(like, models) or UNKNOWN_MODEL.remedy, f"there is no model {quote(like)}"
    return problem(UNKNOWN_MODEL, "Like an unknown model", detail, loc=("models", name, "like"), hint=hint)


def _cycles(likes: Mapping[str, str]) -> list[list[str]]:
    """Return the members of each circle, in its order."""
    found: list[list[str]] = []
    seen: set[str] = set()
    for name in likes:
        path: dict[str, None] = {}
        at: str | None = name
        while at is not None and at not in seen and at not in path:
            path[at] = None
            at = likes.get(at)
        if at is not None and at in path:
            found.append(list(path)[list(path).index(at) :])
        seen.update(path)
    return found
