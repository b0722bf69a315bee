"""Owns deciding what models that say what they owe leave open: asked of sizing once, and then kept by their pins.

What a decision needs is read by `ops.asking`; `infctl.sizing` decides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infctl.desired.asks import ask_of, is_sized
from infctl.diagnostics import Code, Diagnostic, InfctlError, Severity, error, warning
from infctl.engines.decided import Decided, changes, read_decided
from infctl.engines.pin import Key, Pin
from infctl.engines.resolve import serving_of
from infctl.frozen import dataclass
from infctl.ops.asking import Asking, Offers, asking_of, choice_of, fleet_of
from infctl.provider.values import digest
from infctl.sizing.checkpoint import Checkpoint
from infctl.sizing.decision import Ask, Clash, Decision
from infctl.spec.plain import changed_part, with_fields
from infctl.spec.stack import Replicas

if TYPE_CHECKING:
    from infctl.spec.model import Model
    from infctl.spec.stack import Stack

SLO_INFEASIBLE = Code(
    "slo-infeasible",
    "Nothing that the targets have runs a model so that it owes what its file says.",
    "Take one of the ways out that the message names; `infctl explain MODEL` shows the arithmetic.",
)
SHAPE_UNKNOWN = Code(
    "shape-unknown",
    "Nothing is known of a model's shape, so nothing can be predicted of it.",
    "Name a folder, a GGUF file or a repository of a hub, or add its shape to inference.catalog.yaml.",
)
NO_LOAD = Code(
    "no-load",
    "A model owes latencies and says no load, so nobody can tell whether it will keep them.",
    "Say its `workload`: lengths and a rate, or a trace.",
)


@dataclass(frozen=True, slots=True)
class Made:
    """A decision that was made, for what was asked; `clash` is what it will not meet."""

    asking: Asking
    decision: Decision
    clash: Clash | None = None


@dataclass(frozen=True, slots=True)
class Sized:
    """What was decided of one model: where, by which engine, what else; `inputs` is the digest of what it was decided
    from. `made` is there where it was decided just now. `more` are its parts on further targets, where none has enough
    devices alone.
    """

    target: str
    engine: str
    decided: Decided
    inputs: str
    made: Made | None = None
    more: tuple[Sized, ...] = ()

    @property
    def parts(self) -> tuple[Sized, ...]:
        return (self, *self.more)


@dataclass(frozen=True, slots=True)
class Sizing:
    """What is decided, by model, and what is to be said of models about which nothing can be."""

    models: Mapping[str, Sized] = field(default_factory=dict)
    warnings: tuple[Diagnostic, ...] = ()


def size_models(
    stack: Stack,
    locked: Mapping[Key, Pin],
    offers: Offers | None,
    env: Mapping[str, str],
    *,
    renamed: Mapping[str, str],
    only: Collection[str] | None = None,
    upgrade: bool = False,
) -> Sizing:
    """Return what is decided of each model that is sized: as it is pinned while what it was decided from is the same.

    `offers` says what some targets have; it is asked only where there is something to decide, without it nothing is.
    With `only` no other model is decided anew, with `upgrade` all are. Raises InfctlError with all that cannot be
    decided.
    """
    found: dict[str, Sized] = {}
    problems: list[Diagnostic] = []
    warnings: list[Diagnostic] = []
    for name, model in stack.models.items():
        if not is_sized(model):
            continue
        if model.workload is None:
            warnings.append(_no_load(stack, model))
        try:
            inputs = inputs_of(stack, model)
            kept = _pinned(stack, model, inputs, locked, renamed)
            moved = upgrade and (only is None or name in only)
            if kept is not None and not moved:
                found[name] = kept
            elif offers is not None and (only is None or name in only):
                asking = asking_of(stack, model, env)
                if asking is None:
                    warnings.append(_unknown_shape(stack, model))
                else:
                    found[name] = _decide(stack, model, asking, offers, inputs)
        except InfctlError as failure:
            problems += failure.diagnostics
    if problems:
        raise InfctlError(*problems)
    return Sizing(found, tuple(warnings))


def filled(stack: Stack, sized: Mapping[str, Sized], containers: Collection[str] = ()) -> Stack:
    """Return the stack with what its models left open filled in, each on the target that was decided, and on those of
    `containers` further down its order, should that one have too little room.
    """
    if not sized:
        return stack
    models = dict(stack.models)
    for name, found in sized.items():
        model = models[name]
        fields = dict(changes(model, found.decided, found.engine, serving_of(found.engine)))
        order = ask_of(stack, model).order
        further = tuple(each for each in order[order.index(found.target) + 1 :] if each in containers)
        if found.more:
            further = tuple(part.target for part in found.more)
        fields["placement"] = changed_part(model.placement, order=(found.target, *further))
        if count := sum(part.decided.replicas for part in found.parts):
            fields["replicas"] = Replicas(count, count)
        models[name] = with_fields(model, fields)
    return replace(stack, models=models)


def variants_of(stack: Stack, sized: Mapping[str, Sized]) -> Mapping[Key, Model]:
    """Return the models of `stack`, as the file has them, as they run on the further targets they were decided for."""
    return {
        (name, part.target): with_fields(
            stack.models[name], dict(changes(stack.models[name], part.decided, part.engine, serving_of(part.engine)))
        )
        for name, found in sized.items()
        for part in found.more
    }


def _unknown_shape(stack: Stack, model: Model) -> Diagnostic:
    path = f"models.{model.name}.uri"
    summary = f"Nothing is decided of {model.name}: its shape is not known"
    return warning(SHAPE_UNKNOWN, summary, hint=SHAPE_UNKNOWN.remedy, span=stack.locate(path), path=path,
                   address=f"model.{model.name}")  # fmt: skip


def _no_load(stack: Stack, model: Model) -> Diagnostic:
    path = f"models.{model.name}.slo"
    summary = f"Whether {model.name} keeps its SLO is not known: it says no workload"
    hint = "say workload: {isl: {mean: …}, osl: {mean: …}, rate: …}"
    return warning(NO_LOAD, summary, hint=hint, span=stack.locate(path, at_key=True), path=path,
                   address=f"model.{model.name}")  # fmt: skip


# ---------------------------------------------------------------- one model


def inputs_of(stack: Stack, model: Model) -> str:
    """Return the digest of what a decision about `model` is made from: its file's words, never what is free now."""
    ask = {name: value for name, value in asdict(ask_of(stack, model)).items() if name != "operated"}
    trace = model.workload.trace if model.workload is not None else None
    said = {
        "ask": ask, "workload": _plain(model.workload), "slo": _plain(model.slo),
        "model": (model.uri, model.task, model.image), "trace": _sum_of(stack.root / trace) if trace else "",
    }  # fmt: skip
    return digest(said)


_LATER = frozenset({"prefix_cache_hit_rate"})  # not counted where unused: what is pinned already stays so


def _plain(value: Any) -> Any:
    """Return a mapping of the language as plain values, whether it was read just now or kept."""
    fields = getattr(type(value), "model_fields", None) or getattr(value, "__dict__", None)
    said = {name: _plain(getattr(value, name)) for name in fields} if fields else value
    return {name: each for name, each in said.items() if each is not None or name not in _LATER} if fields else said


def _sum_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _pinned(
    stack: Stack, model: Model, inputs: str, locked: Mapping[Key, Pin], renamed: Mapping[str, str]
) -> Sized | None:
    found = []
    for target in ask_of(stack, model).order:
        pin = locked.get((model.name, target)) or locked.get((renamed.get(model.name, model.name), target))
        if pin is not None and pin.decided and pin.inputs == inputs:
            found.append(Sized(target, pin.engine, read_decided(pin.decided), inputs))
    return replace(found[0], more=tuple(found[1:])) if found else None


def _decide(stack: Stack, model: Model, asking: Asking, offers: Offers, inputs: str) -> Sized:
    choice, more = fleet_of(stack, asking, offers)
    decision, clash = choice.decision, choice.clash
    if decision is None or (clash is not None and not _may_fall_short(asking.ask, clash)):
        raise InfctlError(_infeasible(stack, model, clash))
    first = _sized(asking, decision, inputs, clash)
    return replace(first, more=tuple(_sized(asking, part, inputs) for part in more))


def _sized(asking: Asking, decision: Decision, inputs: str, clash: Clash | None = None) -> Sized:
    made = Made(asking, decision, clash)
    return Sized(decision.target, decision.engine, decided_of(decision, asking.checkpoint), inputs, made)


def judge(stack: Stack, sized: Sized, name: str, offers: Offers, env: Mapping[str, str]) -> Made | None:
    """Return what the model `name` is to do as it is decided; `stack` has what was decided filled in.

    None where nothing can be said of it. Raises as `asking_of`.
    """
    if sized.made is not None or sized.more:  # of a fleet over several targets, what was decided of its first part
        return sized.made
    asking = asking_of(stack, stack.models[name], env)
    if asking is None:
        return None
    choice = choice_of(stack, asking, offers)
    return Made(asking, choice.decision, choice.clash) if choice.decision else None


def missed(stack: Stack, name: str, made: Made) -> Diagnostic | None:
    """Return the warning for a model that will not do what it owes, None where it will."""
    if made.clash is None:
        return None
    found = _infeasible(stack, stack.models[name], made.clash)
    return replace(found, severity=Severity.WARNING, summary=f"{name} will not do all that its file asks")


def _may_fall_short(ask: Ask, clash: Clash) -> bool:
    """Return whether a plan may miss what clashes: the file fixes all, so it is done and told; money is no matter of
    more or less.
    """
    fixed = ask.engine != "auto" and ask.gpus is not None and ask.replicas[0] == ask.replicas[1]
    return fixed and not any(each.path == "slo.max_cost_per_1m_tokens" for each in clash.constraints)


def decided_of(decision: Decision, checkpoint: Checkpoint) -> Decided:
    """Return what a pin keeps of a decision."""
    batching = decision.batching
    made = decision.precision != checkpoint.precision  # while it is loaded
    return Decided(
        gpu=decision.gpu.name if decision.gpu else "",
        gpus=decision.gpus,
        tensor=decision.tensor if decision.gpu else 0,
        pipeline=decision.pipeline if decision.gpu else 0,
        quantization=decision.precision.name if made else "",
        kv_cache_dtype=decision.kv_dtype if decision.kv_dtype != "auto" else "",
        max_model_len=decision.max_model_len,
        max_num_seqs=batching.max_num_seqs if decision.gpu else 0,
        max_num_batched_tokens=batching.max_num_batched_tokens if decision.gpu else 0,
        chunked_prefill=batching.chunked_prefill if decision.gpu else None,
        prefix_caching=batching.prefix_caching if decision.gpu else None,
        memory_share=batching.utilization or 0.0,
        replicas=decision.fleet.total,
    )


def _infeasible(stack: Stack, model: Model, clash: Clash | None) -> Diagnostic:
    said = " and ".join(each.said for each in clash.constraints) if clash else "nothing to run it on"
    line = next((each.path for each in clash.constraints if each.path), "") if clash else ""
    path = f"models.{model.name}.{line}" if line else f"models.{model.name}"
    detail = f"these do not go together: {said}" if clash and len(clash.constraints) > 1 else said
    detail = f"{detail}; {clash.detail}" if clash and clash.detail else detail
    look = f"`infctl explain {model.name}` shows what was looked at, `infctl doctor` what the targets have"
    hint = f"ways out: {'; '.join(clash.ways)}" if clash and clash.ways else look
    summary = f"{model.name} cannot run as its file asks with what {' and '.join(ask_of(stack, model).order)} has"
    return error(
        SLO_INFEASIBLE, summary, detail, hint=hint, span=stack.locate(path), path=path, address=f"model.{model.name}"
    )
