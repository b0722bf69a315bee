"""Owns a sizing choice as plain values, as plans keep it and JSON tells it: GiB, seconds, dollars. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from infctl.sizing.budget import GIB, Memory
from infctl.sizing.decision import Choice, Clash, Decision, Load, Slo
from infctl.sizing.predict import Estimate

Told = dict[str, Any]


def tell_decision(decision: Decision) -> Told:
    """Return a decision as a document: memory in GiB on each GPU, latencies in seconds with their ranges."""
    batching, fleet, cost = decision.batching, decision.fleet, decision.cost
    return {
        "target": decision.target,
        "engine": decision.engine,
        "engine_version": decision.engine_version,
        "quantization": decision.precision.name,
        "kv_cache_dtype": decision.kv_dtype,
        "gpu": decision.product,
        "gpus": decision.gpus,
        "parallelism": {"tensor": decision.tensor, "pipeline": decision.pipeline},
        "max_model_len": decision.max_model_len,
        "batching": {
            "max_num_seqs": batching.max_num_seqs,
            "max_num_batched_tokens": batching.max_num_batched_tokens,
            "chunked_prefill": batching.chunked_prefill,
            "prefix_caching": batching.prefix_caching,
            "gpu_memory_utilization": batching.utilization,
        },
        "memory": tell_memory(decision.memory, decision),
        "replicas": {"mean": fleet.mean, "peak": fleet.peak, "spare": fleet.spare, "total": fleet.total},
        "capacity": decision.capacity,
        "at_rate": tell_load(decision.at_rate),
        "at_peak": tell_load(decision.at_peak),
        "cost": None if cost is None else {
            "per_hour": cost.per_hour,
            "per_1m_tokens": cost.per_1m,
            "per_1m_output_tokens": cost.per_1m_out,
            "per_1m_tokens_fully_used": cost.full_per_1m,
            "utilisation": cost.utilisation,
            "priced": cost.priced,
            "purchase": decision.purchase,
        },
        "quality_loss": decision.quality_loss,
        "steps": [{"what": step.what, "why": step.why} for step in decision.steps],
        "basis": decision.basis,
    }  # fmt: skip


def tell_memory(memory: Memory | None, decision: Decision) -> Told | None:
    """Return what lies on each GPU, None where there is none."""
    if memory is None or decision.gpu is None:
        return None
    kv = max(0.0, memory.kv) if memory.kv_bytes_per_token else 0.0  # what keeps no cache leaves the room free
    return {
        "weights": memory.weights / GIB,
        "kv": kv / GIB,
        "kv_bytes_per_token": memory.kv_bytes_per_token,
        "kv_tokens": memory.kv_tokens,
        "activations": memory.activations / GIB,
        "graphs": memory.graphs / GIB,
        "other": memory.other / GIB,
        "total": (memory.total - max(0.0, memory.kv) + kv) / GIB,
        "usable": memory.usable / GIB,
        "free": decision.free_gib if decision.free_gib is not None else decision.gpu.memory,
        "gpu": decision.gpu.memory,
    }


def tell_load(load: Load | None) -> Told | None:
    """Return what one replica does at a rate."""
    if load is None:
        return None
    return {
        "rate": load.rate,
        "running": load.running,
        "latency": {name: tell_estimate(found) for name, found in sorted(load.latency.items())},
        "goodput": load.goodput,
        "utilisation": load.utilisation,
        "total_tok_s": load.tok_s,
        "out_tok_s": load.out_tok_s,
    }


def tell_estimate(found: Estimate) -> Told:
    return {"value": found.value, "low": found.low, "high": found.high}


def tell_clash(clash: Clash | None) -> Told | None:
    """Return what clashes and the ways out, the cheapest first."""
    if clash is None:
        return None
    return {
        "constraints": [{"path": each.path, "said": each.said} for each in clash.constraints],
        "ways_out": list(clash.ways),
        "detail": clash.detail,
    }


def tell_alternatives(choice: Choice) -> list[Told]:
    return [{"why": lost.why, "decision": tell_decision(lost.decision)} for lost in choice.alternatives]


def tell_promise(decision: Decision, slo: Slo) -> Told:
    """Return a decision and what it is to do at the peak beside what is owed."""
    load = decision.at_peak or decision.at_rate
    return {
        **tell_decision(decision),
        "slo": list(_owed(load, slo)) if load else [],
        "goodput": {"required": slo.goodput, "value": load.goodput} if load and slo.objectives else None,
    }


def _owed(load: Load, slo: Slo) -> Iterator[Told]:
    for each in slo.objectives:
        found = load.latency.get(each.name)
        if found is not None:
            yield {
                "name": each.name,
                "required": each.seconds,
                **tell_estimate(found),
                "met": found.value <= each.seconds,
            }
