"""Owns the rules between fields: names that must exist, numbers that must agree, places that must not collide.

Works on typed values, from which whatever had a wrong form was taken out (see `stack`), so that one run tells all.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from infctl.address import NAME_PATTERN
from infctl.diagnostics import Code
from infctl.frozen import dataclass
from infctl.secrets import SecretRef
from infctl.spec.interpolate import NAME
from infctl.spec.like import UNKNOWN_MODEL
from infctl.spec.model_rules import BAD_NAME, check_model
from infctl.spec.paths import Loc, listed, quote, texts
from infctl.spec.problems import Problem, near, problem
from infctl.spec.shape import BAD_VALUE, MISSING_FIELD

if TYPE_CHECKING:
    from infctl.spec.file import File
    from infctl.spec.model import Model

UNKNOWN_TARGET = Code(
    "unknown-target",
    "A model is placed on a target that the configuration does not have.",
    "Mend the name, or add the target under `targets:`.",
)
RESIDENCY_BROKEN = Code(
    "residency-broken",
    "A model may live on a target that its placement.keep_in does not name.",
    "Take the target out of `placement.order`, or name it in `placement.keep_in`.",
)
UNKNOWN_SECRET = Code(
    "unknown-secret",
    "A secret is referred to that the configuration does not declare.",
    "Declare it under `secrets:`, as NAME: {env: VARIABLE}.",
)
MISPLACED_SECRET = Code(
    "misplaced-secret",
    "A reference to a secret stands where it would be taken as plain text.",
    "Hand secrets to a model in `env:`; anywhere else they would be seen.",
)
PORT_CONFLICT = Code(
    "port-conflict",
    "Two models ask for the same address on the same target.",
    "Give one of them another port, or leave `expose.port` out: then a free one is chosen and kept.",
)
MOVE_CONFLICT = Code(
    "move-conflict",
    "A move does not lead from a name that is gone to a model that is there.",
    "`from` is the name before, which no model has any more; `to` is a model of the file.",
)
_NAME = re.compile(NAME_PATTERN)
_LOOSE_NAME = re.compile(NAME)
_EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104  -- to be compared with, not to listen on


@dataclass(frozen=True, slots=True)
class Context:
    """What the rules need to know beside the file: the type of each target, and which types are installed."""

    targets: Mapping[str, str]
    installed: frozenset[str]


def check(file: File, context: Context) -> Iterator[Problem]:
    """Yield every breach of a rule."""
    yield from _names(file)
    yield from _secrets(file)
    for name, model in file.models.items():
        yield from check_model(name, model)
        yield from _references(("models", name), model, file, context)
    yield from _ports(file, context)
    yield from _moves(file)


def _names(file: File) -> Iterator[Problem]:
    named: list[Loc] = [("name",)] if not _NAME.fullmatch(file.name) else []
    named += [("models", name) for name in file.models if not _NAME.fullmatch(name)]
    named += [("targets", name) for name in file.targets if not _NAME.fullmatch(name)]
    for loc in named:
        word = file.name if loc == ("name",) else str(loc[-1])
        better = re.sub(r"[^a-z0-9]+", "-", word.lower())[:40].strip("-")
        hint = f'write "{better}"' if _NAME.fullmatch(better) else BAD_NAME.remedy
        yield problem(
            BAD_NAME, f"{quote(word)} is not a name", _name_fault(word), loc=loc, hint=hint, at_key=len(loc) > 1
        )
    for section, inside in (("variables", file.variables), ("secrets", file.secrets)):
        for name in inside:
            if not _LOOSE_NAME.fullmatch(name):
                detail = "letters, digits, _ and -, a letter first"
                hint = f"write {re.sub('[^A-Za-z0-9_-]+', '_', name).lstrip('0123456789-') or 'another'}"
                loc = (section, name)
                yield problem(BAD_NAME, f"{quote(name)} is not a name", detail, loc=loc, hint=hint, at_key=True)


def _name_fault(word: str) -> str:
    if len(word) > 40:  # noqa: PLR2004  -- as NAME_PATTERN
        return "longer than 40 characters"
    odd = sorted(set(re.findall(r"[^a-z0-9-]", word)))
    return f"{quote(''.join(odd))} cannot be part of one" if odd else "a letter comes first, and - never last"


def _secrets(file: File) -> Iterator[Problem]:
    for name, secret in file.secrets.items():
        ways = [way for way in ("env", "file", "command", "aws_secrets_manager") if getattr(secret, way) is not None]
        loc = ("secrets", name)
        if not ways:
            hint = "say where it is: {env: VARIABLE}, {file: PATH} or {command: [PROGRAM, ARGUMENT]}"
            yield problem(
                MISSING_FIELD, f"The secret {name} comes from nowhere", "no source", loc=loc, hint=hint, at_key=True
            )
        elif len(ways) > 1:
            detail = f"{' and '.join(ways)} are given"
            yield problem(
                BAD_VALUE,
                f"The secret {name} has several sources",
                detail,
                loc=(*loc, ways[1]),
                hint="keep one",
                at_key=True,
            )


def _references(loc: Loc, model: Model, file: File, context: Context) -> Iterator[Problem]:
    place = model.placement
    for field, targets in (("order", place.order), ("keep_in", place.keep_in)):
        for index, target in enumerate(targets):
            if target not in context.targets:
                hint = near(target, context.targets) or f"targets: {listed(context.targets)}"
                where, detail = (*loc, "placement", field, index), f"there is no target {quote(target)}"
                yield problem(UNKNOWN_TARGET, "No such target", detail, loc=where, hint=hint)
    yield from _residency(loc, model, context)
    for index, other in enumerate(place.colocate_with):
        where = (*loc, "placement", "colocate_with", index)
        if other == model.name:
            hint = "take it out: spread: none packs the replicas of one model"
            yield problem(BAD_VALUE, "A model is beside itself", "it is this model", loc=where, hint=hint)
        elif other not in file.models:
            hint, detail = near(other, file.models) or UNKNOWN_MODEL.remedy, f"there is no model {quote(other)}"
            yield problem(UNKNOWN_MODEL, "Colocated with an unknown model", detail, loc=where, hint=hint)
    for name, value in model.env.items():
        if isinstance(value, SecretRef) and value.name not in file.secrets:
            yield unknown_secret(value.name, file.secrets, (*loc, "env", name))


def _residency(loc: Loc, model: Model, context: Context) -> Iterator[Problem]:
    """Yield each target that a model may live on and must not: what it is wanted on decides where it ever is."""
    place = model.placement
    if not place.keep_in:
        return
    summary = f"{model.name} would leave the targets that it is kept in"
    for index, target in enumerate(place.order):
        if target not in place.keep_in:
            detail, where = f"it is kept in {listed(place.keep_in)}", (*loc, "placement", "order", index)
            yield problem(RESIDENCY_BROKEN, summary, detail, loc=where, hint=RESIDENCY_BROKEN.remedy)
    first = next(iter(context.targets), "")
    if not place.order and first not in place.keep_in:
        detail, where = f"without an order it lives on {first}", (*loc, "placement", "keep_in")
        hint = f"say where, as order: [{listed(place.keep_in)}]"
        yield problem(RESIDENCY_BROKEN, summary, detail, loc=where, hint=hint, at_key=True)


def unknown_secret(name: str, declared: Collection[str], loc: Loc) -> Problem:
    hint = near(name, declared) or f"declare it: secrets: {{{name}: {{env: {name.upper()}}}}}"
    return problem(UNKNOWN_SECRET, "No such secret", f"{quote(name)} is not declared under secrets", loc=loc, hint=hint)


def misplaced_secrets(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield each reference to a secret that stands in a model's field where nobody would resolve it."""
    models = values.get("models")
    for name, model in models.items() if isinstance(models, dict) else ():
        for field, value in model.items() if isinstance(model, dict) else ():
            for loc, text in texts(value, ("models", name, field)) if field != "env" else ():
                if text.startswith("secret://"):
                    detail = "here it would be plain text"
                    yield problem(
                        MISPLACED_SECRET, "A secret is out of place", detail, loc=loc, hint=MISPLACED_SECRET.remedy
                    )


def _ports(file: File, context: Context) -> Iterator[Problem]:
    """Yield each model whose port another has on the same target. Only targets that a provider reaches have ports."""
    taken: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for name, model in file.models.items():
        port, bind = model.expose.port, model.expose.bind
        for target in (model.placement.order or tuple(context.targets)[:1]) if port else ():
            if context.targets.get(target) not in context.installed or port is None:
                continue
            others = taken.setdefault((target, port), [])
            for other, address in others:
                if bind == address or not _EVERYWHERE.isdisjoint({bind, address}):
                    detail = f"models.{other} has it on {target}"
                    loc = ("models", name, "expose", "port")
                    yield problem(
                        PORT_CONFLICT, f"Port {port} is asked for twice", detail, loc=loc, hint=PORT_CONFLICT.remedy
                    )
                    break
            others.append((name, bind))


def _moves(file: File) -> Iterator[Problem]:
    seen: set[str] = set()
    reached: set[str] = set()
    for index, move in enumerate(file.moved):
        here, there = ("moved", index, "from"), ("moved", index, "to")
        if move.from_ in file.models:
            detail = f"there still is a model {quote(move.from_)}"
            yield problem(
                MOVE_CONFLICT, "A model that is there cannot have moved", detail, loc=here, hint=MOVE_CONFLICT.remedy
            )
        elif move.from_ in seen:
            yield problem(
                MOVE_CONFLICT, f"{quote(move.from_)} moves twice", "moved before", loc=here, hint="keep one of the two"
            )
        if move.to not in file.models:
            hint = near(move.to, file.models) or MOVE_CONFLICT.remedy
            yield problem(
                UNKNOWN_MODEL, "Moved to an unknown model", f"there is no model {quote(move.to)}", loc=there, hint=hint
            )
        elif move.to in reached:
            yield problem(
                MOVE_CONFLICT,
                f"Two models move to {quote(move.to)}",
                "moved here before",
                loc=there,
                hint="keep one of the two",
            )
        seen.add(move.from_)
        reached.add(move.to)
