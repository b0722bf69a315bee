"""Owns asking, before anything is begun, whether what a plan starts will start: what speaks against it, at its lines.

Only what infctl has facts of is judged: a model whose shape is known, on devices that the catalogue has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from infctl.catalog.gpus import Gpu, gpus
from infctl.desired.asks import ask_of
from infctl.diagnostics import Code, Diagnostic, InfctlError, Severity, error, warning
from infctl.engines.resolve import LOCAL, serving_of
from infctl.ops.asking import own_catalog
from infctl.ops.checkpoints import checkpoint_of, known
from infctl.ops.sized import Sized
from infctl.plan.model import Action, ModelChange, Plan
from infctl.sizing.case import Case
from infctl.sizing.checkpoint import Checkpoint
from infctl.sizing.combination import Combination, Refusal
from infctl.sizing.precision import KV_BYTES, PRECISIONS, Precision, find_precision
from infctl.sizing.startable import refusals

if TYPE_CHECKING:
    from infctl.plan.request import TargetView
    from infctl.spec.model import Model
    from infctl.spec.stack import Stack

WILL_NOT_START = Code(
    "will-not-start",
    "What is known of the model, its engine and the devices speaks against a start, so nothing is begun.",
    "Do what the message names; `engine_args_unchecked: true` tries it all the same.",
)
_BEGUN = frozenset({Action.CREATE, Action.REPLACE, Action.REPLACE_BESIDE})
_SIXTEEN = 16  # bits
_ARCHIVED = "engine-archived"  # told by the engine itself
# The field that a refusal is about; any other is about the engine.
_FIELDS = {
    "context-too-long": "max_model_len", "edge-format": "uri", "wrong-format": "uri", "wrong-checkpoint": "uri",
    "wrong-task": "task", "kv-not-supported": "kv_cache_dtype", "tensor-parallel": "gpu", "host-too-small": "gpu",
    "across-islands": "gpu", "slice-not-joined": "gpu", "needs-gpu": "gpu", "does-not-fit": "gpu",
    "larger-than-host": "gpu", "fits-tightly": "gpu", "weight-only": "quantization",
}  # fmt: skip
_STARTS_WITH = (("method-", "quantization"), ("engine-", "engine"))


def judge_starts(
    stack: Stack, plan: Plan, views: Mapping[str, TargetView], sized: Mapping[str, Sized]
) -> tuple[Diagnostic, ...]:
    """Return the warnings about what `plan` starts; `stack` has what was decided filled in.

    Raises InfctlError (will-not-start) with all that cannot start.
    """
    gate = _Gate(stack, plan, views)
    found = [each for change in plan.models for each in gate.judge(change, sized.get(change.name))]
    if any(each.severity is Severity.ERROR for each in found):
        raise InfctlError(*(each for each in found if each.severity is Severity.ERROR))
    return tuple(found)


class _Gate:
    """What a plan would start, and where."""

    def __init__(self, stack: Stack, plan: Plan, views: Mapping[str, TargetView]) -> None:
        self._stack, self._plan, self._views = stack, plan, views
        self._own = own_catalog(stack)

    def judge(self, change: ModelChange, sized: Sized | None) -> Iterator[Diagnostic]:
        """Yield what speaks against the start of a model's new replicas, each once."""
        model = self._stack.models.get(change.name)
        first = sized.target if sized and sized.more else ""  # of other parts it was asked when they were decided
        cards = self._cards(change, first) if change.replicas_after and serving_of(change.template["engine"]) else []
        if model is None or not cards:
            return
        checkpoint = sized.made.asking.checkpoint if sized and sized.made else _checkpoint(self._stack, model)
        if checkpoint is None:
            return
        told: set[Refusal] = set()
        for combination in (_combination(self._stack, change, checkpoint, card) for card in cards):
            for found in refusals(combination, self._own):
                if found not in told and found.code != _ARCHIVED:
                    told.add(found)
                    yield _diagnostic(self._stack, model, found)

    def _cards(self, change: ModelChange, only: str) -> list[tuple[tuple[Gpu, ...], int]]:
        """Return the kinds of devices that new replicas have, on one target alone where that is said, each with how
        many of them its host has.
        """
        uuids = {
            (each.target, device.uuid)
            for each in self._plan.resource_changes
            if each.model == change.name and each.action in _BEGUN and each.target == (only or each.target)
            for device in each.devices
        }
        found: dict[str, tuple[tuple[Gpu, ...], int]] = {}
        for target, uuid in sorted(uuids):
            for place in self._views[target].inventory.places:
                product = next((device.product for device in place.devices if device.uuid == uuid), "")
                if product and (card := gpus(self._own).find(product)):
                    found[product] = (card, sum(device.product == product for device in place.devices))
        return list(found.values())


def _checkpoint(stack: Stack, model: Model) -> Checkpoint | None:
    """Return what is known of a model without asking anybody: its own folder, else the catalogue."""
    uri = model.uri or ""
    try:
        if uri.startswith(LOCAL):
            return checkpoint_of(f"{LOCAL}{stack.root / uri.removeprefix(LOCAL)}", {}, own_catalog(stack))
    except InfctlError:  # what is wrong with a model's file is told by its engine, which knows what it takes
        return None
    return known(uri, own_catalog(stack)) if uri else None


def _combination(
    stack: Stack, change: ModelChange, checkpoint: Checkpoint, on: tuple[tuple[Gpu, ...], int]
) -> Combination:
    """Return what is to be started, on one kind of device and so many of a host."""
    (card, devices), model, template = on, stack.models[change.name], change.template
    asked = ask_of(stack, model)
    serving = serving_of(template["engine"])
    assert serving is not None  # noqa: S101  # asked by the caller
    args = template.get("args", {})
    pipeline = prod(each for name in serving.splits if type(each := args.get(name)) is int and each > 0)
    count = int(template.get("gpus") or 1)
    share = asked.fraction if asked.fraction < 1 else _part(template, card[0])
    gpu = replace(card[0], memory=card[0].memory * share) if share < 1 else card[0]
    seqs, tokens, memory = (args.get(serving.batching.get(name, "")) for name in ("seqs", "tokens", "memory"))
    longest = model.max_model_len or (checkpoint.shape.context if template["engine"] == "vllm" else 0)
    case = Case(
        checkpoint.shape, (gpu, *card[1:]), _precision(model, checkpoint), template["engine"],
        template.get("engine_version", ""), max(1, count // pipeline), pipeline,
        model.kv_cache_dtype if model.kv_cache_dtype in KV_BYTES else "auto",
        max_model_len=longest or None,
        utilization=float(memory) if isinstance(memory, (int, float)) and share >= 1 else None,
        max_num_seqs=seqs if type(seqs) is int else None,
        max_num_batched_tokens=tokens if type(tokens) is int else None,
        kept=checkpoint.kept,
    )  # fmt: skip
    kept = "" if checkpoint.precision.bits == _SIXTEEN else checkpoint.precision.name
    form = "gguf" if checkpoint.precision.whole else ""
    return Combination(case, model.task, kept, form, devices, sliced=share < 1)


def _part(template: Mapping[str, object], card: Gpu) -> float:
    memory = template.get("gpu_memory")
    return min(1.0, memory / (card.memory * 1024**3)) if isinstance(memory, int) and memory else 1.0


def _precision(model: Model, checkpoint: Checkpoint) -> Precision:
    """Return the format that the weights will have: as the file says, else as they are kept."""
    if model.quantization in {"auto", "none"}:
        return checkpoint.precision if checkpoint.precision.bits != _SIXTEEN else PRECISIONS["bf16"]
    return find_precision(model.quantization) or checkpoint.precision


def _diagnostic(stack: Stack, model: Model, found: Refusal) -> Diagnostic:
    field = _FIELDS.get(found.code) or next(
        (name for start, name in _STARTS_WITH if found.code.startswith(start)), "engine"
    )
    path = f"models.{model.name}.{field}"
    span = stack.locate(path, at_key=True)
    serious = found.severity is Severity.ERROR and not model.engine_args_unchecked
    made, verb = (error, "will not start") if serious else (warning, "may not start")
    hint = found.alternative or WILL_NOT_START.remedy
    return made(
        WILL_NOT_START, f"{model.name} {verb}", found.reason, hint=hint, span=span, path=path,
        address=f"model.{model.name}",
    )  # fmt: skip
