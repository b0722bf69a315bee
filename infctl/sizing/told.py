"""Owns a decision as plain values, as plans keep it and JSON tells it: seconds, GiB of each GPU, dollars. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infctl.sizing.budget import GIB
from infctl.sizing.decision import Cost, Decision, Load, Slo
from infctl.sizing.predict import Estimate


def told(decision: Decision, slo: Slo) -> Mapping[str, Any]:
    """Return what a plan says of a decision: what runs where, what it is to do against what it owes, what it costs."""
    load = decision.at_peak or decision.at_rate
    return {
        "target": decision.target,
        "engine": decision.engine,
        "engine_version": decision.engine_version,
        "quantization": decision.precision.name,
        "kv_cache_dtype": decision.kv_dtype,
        "product": decision.product,
        "gpus": decision.gpus,
        "tensor": decision.tensor,
        "pipeline": decision.pipeline,
        "max_model_len": decision.max_model_len,
        "max_num_seqs": decision.batching.max_num_seqs,
        "max_num_batched_tokens": decision.batching.max_num_batched_tokens,
        "replicas": {
            "mean": decision.fleet.mean, "peak": decision.fleet.peak,
            "spare": decision.fleet.spare, "total": decision.fleet.total,
        },
        "slo": list(_owed(load, slo)) if load else [],
        "goodput": {"required": slo.goodput, "predicted": load.goodput} if load and slo.objectives else None,
        "memory": _memory(decision),
        "capacity_per_s": decision.capacity,
        "cost": _cost(decision.cost),
        "quality_loss": decision.quality_loss,
        "basis": decision.basis,
        "why": [{"what": what, "why": why} for what, why in decision.steps],
    }  # fmt: skip


def _owed(load: Load, slo: Slo) -> Iterator[Mapping[str, Any]]:
    for each in slo.objectives:
        found = load.latency.get(each.name)
        if found is not None:
            yield {"name": each.name, "required": each.seconds, **estimate(found), "met": found.value <= each.seconds}


def estimate(found: Estimate) -> Mapping[str, float]:
    """Return a predicted figure with the interval that holds 80 % of what is measured."""
    return {"predicted": found.value, "low": found.low, "high": found.high}


def _memory(decision: Decision) -> Mapping[str, Any] | None:
    memory, gpu = decision.memory, decision.gpu
    if memory is None or gpu is None:
        return None
    return {
        "weights": memory.weights / GIB,
        "kv": max(0.0, memory.kv) / GIB,
        "other": (memory.activations + memory.graphs + memory.other) / GIB,
        "total": memory.total / GIB,
        "free": decision.free_gib if decision.free_gib is not None else gpu.memory,
        "kv_tokens": memory.kv_tokens,
    }


def _cost(cost: Cost | None) -> Mapping[str, Any] | None:
    if cost is None:
        return None
    return {
        "per_hour": cost.per_hour, "per_1m": cost.per_1m, "per_1m_out": cost.per_1m_out,
        "utilisation": cost.utilisation, "priced": cost.priced,
    }  # fmt: skip
