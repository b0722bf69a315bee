"""Owns deciding what models that say what they owe leave open: asked of sizing once, and then kept by their pins.

Reads what a decision needs (a trace, what a model is, what the targets have); `infctl.sizing` decides.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infctl.desired.asks import ask_of, is_sized, offers_of
from infctl.diagnostics import Code, Diagnostic, InfctlError, Severity, error, warning
from infctl.engines.decided import Decided, changes, read_decided
from infctl.engines.model_file import path_of
from infctl.engines.pin import Key, Pin
from infctl.engines.resolve import LOCAL, SERVED, serving_of
from infctl.frozen import dataclass
from infctl.ops.checkpoints import checkpoint_of
from infctl.placement.room import Pool
from infctl.plan.promised import room_of
from infctl.provider.values import digest
from infctl.sizing.checkpoint import Checkpoint
from infctl.sizing.choose import choose
from infctl.sizing.decision import Ask, Choice, Clash, Decision, Offer, Slo, Workload
from infctl.sizing.workload import slo_of, workload_of
from infctl.spec.plain import changed_part, with_fields
from infctl.spec.stack import Replicas

if TYPE_CHECKING:
    from infctl.plan.request import TargetView
    from infctl.spec.model import Model
    from infctl.spec.stack import Stack
    from infctl.state.model import State

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
BAD_TRACE = Code(
    "bad-trace",
    "The trace that a workload names cannot be read.",
    "A trace is a CSV file with the columns TIMESTAMP, ContextTokens and GeneratedTokens, a line for each request.",
)
OWN = "inference.catalog.yaml"  # rows of a user's own, beside inference.yaml
Offers = Callable[[Collection[str]], Sequence[Offer]]


@dataclass(frozen=True, slots=True)
class Asking:
    """All that sizing is asked about one model."""

    checkpoint: Checkpoint
    ask: Ask
    workload: Workload | None
    slo: Slo


@dataclass(frozen=True, slots=True)
class Made:
    """A decision that was made, for what was asked; `clash` is what it will not meet."""

    asking: Asking
    decision: Decision
    clash: Clash | None = None


@dataclass(frozen=True, slots=True)
class Sized:
    """What was decided of one model: where, by which engine, what else; `inputs` is the digest of what it was decided
    from. `made` is there where it was decided just now.
    """

    target: str
    engine: str
    decided: Decided
    inputs: str
    made: Made | None = None


def size_models(
    stack: Stack,
    locked: Mapping[Key, Pin],
    offers: Offers | None,
    env: Mapping[str, str],
    *,
    renamed: Mapping[str, str],
    only: Collection[str] | None = None,
    upgrade: bool = False,
) -> Mapping[str, Sized]:
    """Return what is decided of each model that is sized: as it is pinned while what it was decided from is the same.

    `offers` says what some targets have; it is asked only where there is something to decide, without it nothing is.
    With `only` no other model is decided anew, with `upgrade` all are. Raises InfctlError with all that cannot be
    decided.
    """
    found: dict[str, Sized] = {}
    problems: list[Diagnostic] = []
    for name, model in stack.models.items():
        if not is_sized(model):
            continue
        try:
            inputs = inputs_of(stack, model)
            kept = _pinned(stack, model, inputs, locked, renamed)
            moved = upgrade and (only is None or name in only)
            if kept is not None and not moved:
                found[name] = kept
            elif offers is not None and (only is None or name in only):
                asking = asking_of(stack, model, env)
                if asking is not None:
                    found[name] = _decide(stack, model, asking, offers, inputs)
        except InfctlError as failure:
            problems += failure.diagnostics
    if problems:
        raise InfctlError(*problems)
    return found


def filled(stack: Stack, sized: Mapping[str, Sized]) -> Stack:
    """Return the stack with what its models left open filled in, each on the target that was decided."""
    if not sized:
        return stack
    models = dict(stack.models)
    for name, found in sized.items():
        model = models[name]
        fields = dict(changes(model, found.decided, found.engine, serving_of(found.engine)))
        fields["placement"] = changed_part(model.placement, order=(found.target,))
        if count := found.decided.replicas:
            fields["replicas"] = Replicas(count, count)
        models[name] = with_fields(model, fields)
    return replace(stack, models=models)


def asking_of(stack: Stack, model: Model, env: Mapping[str, str]) -> Asking | None:
    """Return what sizing is asked about `model`, None where nothing is known of its shape.

    Raises InfctlError (bad-trace, bad-model-file, model-unreachable).
    """
    checkpoint = _checkpoint(stack, model, env)
    if checkpoint is None:
        return None
    return Asking(checkpoint, ask_of(stack, model), _workload(stack, model), slo_of(model.slo))


def unknown_shape(stack: Stack, model: Model) -> Diagnostic:
    """Return the warning for a model about which nothing can be decided."""
    path = f"models.{model.name}.uri"
    summary = f"Nothing is predicted of {model.name}: its shape is not known"
    hint = f"add it to {OWN}, or name a repository whose config.json can be read"
    return warning(SHAPE_UNKNOWN, summary, hint=hint, span=stack.locate(path), path=path, address=f"model.{model.name}")


def versions() -> Mapping[str, str]:
    """Return the version that each engine runs at where nothing else is pinned."""
    return {name: found.version for name in SERVED if (found := serving_of(name)) is not None}


def offers_from(stack: Stack, views: Mapping[str, TargetView], state: State) -> Offers:
    """Return what says which devices targets have: those that are free, and those that are ours already."""
    room = room_of(views, state.resources.values())

    @cache
    def of(target: str) -> tuple[Offer, ...]:
        view = views.get(target)
        if view is None or not view.places_replicas:
            return ()
        whole = {
            device.uuid: room.whole.get(Pool(target, place.name, device.uuid), 0)
            for place in view.inventory.places
            for device in place.devices
        }
        return offers_of(target, view.inventory.places, whole, allowed_engines(stack), own_catalog(stack)).offers

    return lambda targets: tuple(offer for target in targets for offer in of(target))


def allowed_engines(stack: Stack) -> tuple[str, ...]:
    """Return the engines that a decision may take, () for all: those that no policy of the stack denies."""
    denied = {
        each["engine"]
        for each in (stack.policies.deny if stack.policies else ())
        if each.keys() - {"reason"} == {"engine"}
    }
    return tuple(name for name in SERVED if name not in denied) if denied else ()


def own_catalog(stack: Stack) -> str:
    """Return the path of the user's own catalogue file, "" where there is none."""
    path = stack.root / OWN
    return str(path) if path.exists() else ""


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


def _plain(value: Any) -> Any:
    """Return a mapping of the language as plain values, whether it was read just now or kept."""
    fields = getattr(type(value), "model_fields", None) or getattr(value, "__dict__", None)
    return {name: _plain(getattr(value, name)) for name in fields} if fields else value


def _sum_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _pinned(
    stack: Stack, model: Model, inputs: str, locked: Mapping[Key, Pin], renamed: Mapping[str, str]
) -> Sized | None:
    for target in ask_of(stack, model).order:
        pin = locked.get((model.name, target)) or locked.get((renamed.get(model.name, model.name), target))
        if pin is not None and pin.decided and pin.inputs == inputs:
            return Sized(target, pin.engine, read_decided(pin.decided), inputs)
    return None


def _decide(stack: Stack, model: Model, asking: Asking, offers: Offers, inputs: str) -> Sized:
    choice = choice_of(stack, asking, offers)
    decision, clash = choice.decision, choice.clash
    if decision is None or (clash is not None and not _may_fall_short(asking.ask, clash)):
        raise InfctlError(_infeasible(stack, model, clash))
    made = Made(asking, decision, clash)
    return Sized(decision.target, decision.engine, decided_of(decision, asking.checkpoint), inputs, made)


def judge(stack: Stack, sized: Sized, name: str, offers: Offers, env: Mapping[str, str]) -> Made | None:
    """Return what the model `name` is to do as it is decided; `stack` has what was decided filled in.

    None where nothing can be said of it. Raises as `asking_of`.
    """
    if sized.made is not None:
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


def choice_of(stack: Stack, asking: Asking, offers: Offers) -> Choice:
    """Return what sizing chooses on what the model's targets offer; other targets are ways out."""
    others = [name for name in stack.targets if name not in asking.ask.order]
    return choose(
        asking.checkpoint, asking.ask, asking.workload, asking.slo, offers(asking.ask.order),
        versions=versions(), elsewhere=offers(others), own=own_catalog(stack),
    )  # fmt: skip


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
    hint = f"ways out: {'; '.join(clash.ways)}" if clash and clash.ways else SLO_INFEASIBLE.remedy
    summary = f"{model.name} cannot run as its file asks with what {' and '.join(ask_of(stack, model).order)} has"
    return error(
        SLO_INFEASIBLE, summary, detail, hint=hint, span=stack.locate(path), path=path, address=f"model.{model.name}"
    )


def _checkpoint(stack: Stack, model: Model, env: Mapping[str, str]) -> Checkpoint | None:
    uri = model.uri or ""
    name = f"{LOCAL}{path_of(uri, stack.root)}" if uri.startswith(LOCAL) else uri
    try:
        return checkpoint_of(name, env, own_catalog(stack))
    except InfctlError as failure:
        path = f"models.{model.name}.uri"
        raise InfctlError(
            *(replace(each, path=path).at(stack.locate(path)) for each in failure.diagnostics)
        ) from failure


def _workload(stack: Stack, model: Model) -> Workload | None:
    """Return the load that the file means. Raises InfctlError (bad-trace)."""
    if model.workload is None:
        return None
    if not model.workload.trace:
        return workload_of(model.workload)
    path = f"models.{model.name}.workload.trace"
    file = stack.root / model.workload.trace
    try:
        with file.open(newline="", encoding="utf-8") as text:
            return workload_of(model.workload, list(csv.DictReader(text)))
    except (OSError, ValueError, csv.Error) as failure:
        detail = failure.strerror if isinstance(failure, OSError) and failure.strerror else str(failure)
        raise InfctlError(
            error(BAD_TRACE, f"{file} cannot be used as a trace", detail, hint=BAD_TRACE.remedy,
                  span=stack.locate(path), path=path)
        ) from failure  # fmt: skip
