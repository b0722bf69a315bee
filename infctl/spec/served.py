"""Owns what code serves today: a field that is written and would be ignored is an error, never silence.

The core serves `_CORE`; what else a type of target serves, its provider says. Knows no provider.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from infctl.diagnostics import Code, Severity
from infctl.frozen import dataclass
from infctl.provider.served import unserved
from infctl.spec.paths import Loc, listed, quote
from infctl.spec.problems import Problem, near, problem
from infctl.spec.types import TargetTypes

if TYPE_CHECKING:
    from pydantic import BaseModel

NOT_SERVED = Code(
    "not-served",
    "A field or a value is part of the language, but no code of this infctl does what it says there.",
    "Take it out, or use an infctl and a target that serve it; nothing is ignored in silence.",
)
PARTLY_SERVED = Code(
    "partly-served",
    "A field is served by some of the targets that a model may live on, but not by all.",
    "Leave those targets out of the model's `placement.order`, or live with the difference.",
)


@dataclass(frozen=True, slots=True)
class Values:
    """The values of a field that are served, in words, and how to know one. Only values of type `kind` are asked
    about: others have no form that counts.
    """

    words: str
    holds: Callable[[Any, Mapping[str, Any]], bool]  # the value, and the model around it
    kind: type = str


def _is_custom(model: Mapping[str, Any]) -> bool:
    return model.get("engine") == "custom" or bool(model.get("command"))


def _is_sized(model: Mapping[str, Any]) -> bool:
    return bool(model.get("workload") or model.get("slo"))


_WHOLLY = frozenset(
    {
        *(
            "like",
            "engine_args",
            "engine_args_unchecked",
            "max_model_len",
            "kv_cache_dtype",
            "env",
            "warmup",
            "timeouts",
            "protect",
        ),
        *("owner", "runbook", "command", "port", "health"),
    }
)
_LATER_SCHEMES = ("hf:", "s3:", "http:", "https:", "pvc:")
_CORE: Mapping[str, Values] = {
    "uri": Values("file:", lambda value, _: not value.startswith(_LATER_SCHEMES)),
    "task": Values(
        "generate and embed; every task of a custom engine",
        lambda value, model: value in {"generate", "embed", "custom"} or _is_custom(model),
    ),
    "engine": Values("auto, llama.cpp and custom", lambda value, _: value in {"auto", "llama.cpp", "custom"}),
    "quantization": Values(
        "auto, none and gguf:…", lambda value, _: value in {"auto", "none"} or value.startswith("gguf:")
    ),
    "replicas": Values(
        "a number or auto; min and max for a model with a workload or an slo",
        lambda value, model: value.get("max", value.get("min")) == value.get("min") or _is_sized(model),
        dict,
    ),
}
_TARGETS = (("placement", "order"), ("placement", "keep_in"))  # the core's: a model is wanted nowhere else
_BESIDE = ("placement.spread", "placement.colocate_with")  # what the core does where it chooses the hosts
_SIZED = ("workload", "slo", "max_quality_loss", "parallelism.tensor", "parallelism.pipeline")
_WITH_DEVICES = frozenset({*_BESIDE, *_SIZED})  # what the core does for targets whose devices it knows
_LATER_SECTIONS = ("endpoints", "access", "observability")
_HINT = "take it out: this infctl would ignore it"


def served_fields(types: TargetTypes) -> Mapping[str, str]:
    """Return the fields of a model that the core or an installed type serves, and which values; "" for all."""
    by_type = {name: _served(types, name) for name in types.names()}
    whole = {*_WHOLLY, *map(".".join, _TARGETS)}.union(*by_type.values())
    parents = {field.partition(".")[0] for field in whole}
    words = {}
    for field, values in _CORE.items():
        more = [name for name, served in by_type.items() if field in served]
        words[field] = f"{values.words}; more on {listed(more)}" if more else values.words
    return {**dict.fromkeys(whole | parents, ""), **words}


def _served(types: TargetTypes, name: str) -> frozenset[str]:
    """Return what targets of a type serve, with what the core does for such."""
    found = types.serves(name)
    return found | _WITH_DEVICES if "gpu" in found else found


def check_stack(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what no code serves outside of models and targets."""
    for section in _LATER_SECTIONS:
        if values.get(section) is not None:
            yield problem(
                NOT_SERVED, f"{section} is not served yet", "no code does this", loc=(section,), hint=_HINT, at_key=True
            )
    secrets = values.get("secrets")
    for name, secret in secrets.items() if isinstance(secrets, dict) else ():
        if isinstance(secret, dict) and secret.get("aws_secrets_manager") is not None:
            where: Loc = ("secrets", name, "aws_secrets_manager")
            summary, hint = "aws_secrets_manager is not served yet", "served: env, file and command"
            yield problem(NOT_SERVED, summary, "no code asks it", loc=where, hint=hint, at_key=True)


def check_types(targets: Mapping[str, str], installed: Collection[str]) -> Iterator[Problem]:
    """Yield the targets whose type no installed provider serves."""
    for name, kind in targets.items():
        if kind not in installed:
            hint = near(kind, installed) or f"installed: {listed(installed) if installed else 'none'}"
            detail = f"no provider of type {quote(kind)} is installed"
            loc = ("targets", name, "type")
            yield problem(NOT_SERVED, "Targets of this type are not served", detail, loc=loc, hint=hint)


def check_target(target: str, written: Collection[str], config: type[BaseModel]) -> Iterator[Problem]:
    """Yield the fields written of a target that its own type knows and does not serve."""
    for field in unserved(config):
        if field in written:
            loc: Loc = ("targets", target, field)
            summary = f"{field} is not served yet"
            yield problem(NOT_SERVED, summary, "no code does this", loc=loc, hint=_HINT, at_key=True)


class Judge:
    """Knows which fields the targets of a stack serve, and tells of each model what none or only some serve.

    `targets` maps each target to its type. Targets of types that are not installed have no say, unless a model has
    no other: then a field counts as served when any installed type serves it.
    """

    def __init__(self, targets: Mapping[str, str], types: TargetTypes) -> None:
        self._targets = targets
        here = {kind for kind in targets.values() if kind in types.names()}
        self._serves = {kind: _served(types, kind) for kind in here}
        every = (_served(types, kind) for kind in types.names())
        self._any = frozenset().union(*every) if set(targets.values()) - here else frozenset()
        self._by_part = {"placement"} | {
            field.partition(".")[0]
            for served in (self._any, *self._serves.values())
            for field in served
            if "." in field
        }

    def check(self, name: str, model: Mapping[str, Any]) -> Iterator[Problem]:
        """Yield what is wrong with the fields that a model has, those it inherits included."""
        for field, value in model.items():
            if field in _WHOLLY or value is None:
                continue
            values = _CORE.get(field)
            if values is None:
                for path in self._parts(field, value):
                    yield from self._weigh(name, model, path, "")
            elif isinstance(value, values.kind) and not values.holds(value, model):
                yield from self._weigh(name, model, (field,), f"{quote(value)} is not served", values.words)

    def _parts(self, field: str, value: Any) -> tuple[Loc, ...]:
        if field in self._by_part and isinstance(value, dict):
            return tuple((field, key) for key in value if (field, key) not in _TARGETS and value[key] is not None)
        return ((field,),)

    def _weigh(self, name: str, model: Mapping[str, Any], path: Loc, detail: str, words: str = "") -> Iterator[Problem]:
        field, loc = ".".join(map(str, path)), ("models", name, *path)
        places = self._places(model)
        without = [place for place, served in places if field not in served and path[0] not in served]
        if not without:
            return
        if len(without) < len(places):
            summary = f"{field} is not served everywhere"
            detail, hint = f"ignored on {listed(without)}", PARTLY_SERVED.remedy
            yield problem(PARTLY_SERVED, summary, detail, loc=loc, hint=hint, at_key=True, severity=Severity.WARNING)
            return
        hint = f"served: {words}" if words else _HINT
        detail = f"{detail or 'not served'} on {listed(without)}"
        yield problem(NOT_SERVED, f"{field} is not served yet", detail, loc=loc, hint=hint, at_key=not words)

    def _places(self, model: Mapping[str, Any]) -> list[tuple[str, frozenset[str]]]:
        """Return the targets that a model may live on, in words, each with the fields that its type serves."""
        placement = model.get("placement")
        asked = placement.get("order") if isinstance(placement, dict) else None
        order = [each for each in asked if each in self._targets] if isinstance(asked, list) else []
        order = order or list(self._targets)[:1]
        kinds = [(target, self._targets[target]) for target in order]
        known = [(target, kind) for target, kind in kinds if kind in self._serves]
        return [(f"{target} ({kind})", self._serves.get(kind, self._any)) for target, kind in known or kinds]
