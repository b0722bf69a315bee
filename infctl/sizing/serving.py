"""Owns what a load makes of single passes: latencies and throughput of requests served side by side. Pure.

Continuous batching (Yu et al., "Orca", OSDI 2022): every pass gives each running sequence one token, and carries the
prompts that came in meanwhile. In a closed loop of c requests each answer of osl tokens is followed by one new prompt,
so a pass carries c/osl prompts on average:

    TPOT = pass(c, context) + c/osl * (pass with one prompt more - pass without)

Knows no queue of an open loop (see `queueing`) and no name of a column but those it answers.
"""

from __future__ import annotations

from collections.abc import Mapping

from infctl.sizing.budget import Memory
from infctl.sizing.case import Case, Load
from infctl.sizing.speed import Machine, decode_seconds, pass_seconds, prefill_seconds


def running(case: Case, memory: Memory) -> float:
    """Return how many sequences run at a time, of those that the load keeps in flight."""
    room = memory.kv_tokens / (case.isl + case.osl / 2) if memory.kv_tokens else float("inf")
    asked = case.prompts if case.load in {Load.BURST_ALL, Load.OFFLINE_MAX} and case.prompts else case.concurrency
    return max(1.0, min(float(asked), float(memory.most_seqs), room))


def token_seconds(machine: Machine, sequences: float, isl: float, osl: float) -> float:
    """Return the mean seconds between two tokens of a sequence in a closed loop of so many."""
    context = isl + osl / 2
    alone = decode_seconds(machine, sequences, context)
    with_prompt = pass_seconds(machine, sequences, context, isl, isl)
    return alone + sequences / max(1.0, osl) * (with_prompt - alone)


def figures(machine: Machine, case: Case, memory: Memory) -> Mapping[str, float]:
    """Return every figure of the load by the names that tables of measurements have."""
    many = running(case, memory)
    if case.load is Load.STATIC_BATCH:
        return _static(machine, case, many, memory)
    return _closed(machine, case, many)


def _static(machine: Machine, case: Case, many: float, memory: Memory) -> Mapping[str, float]:
    first = prefill_seconds(machine, case.isl, many, memory.most_tokens) + machine.constants.request
    each = decode_seconds(machine, many, case.isl + case.osl / 2)
    whole = first + each * max(0.0, case.osl - 1)
    found = {
        "ttft_mean_ms": first * 1e3,
        "ttft_p50_ms": first * 1e3,
        "tpot_mean_ms": each * 1e3,
        "tpot_p50_ms": each * 1e3,
        "itl_mean_ms": each * 1e3,
        "e2e_latency_s": whole,
        "out_tok_s": many * case.osl / whole,
        "total_tok_s": many * (case.isl + case.osl) / whole,
        "prefill_tok_s": many * case.isl / first,
        "req_s": many / whole,
    }
    if many == 1:
        found["decode_tok_s_single"] = case.osl / whole
    return found


def _closed(machine: Machine, case: Case, many: float) -> Mapping[str, float]:
    each = token_seconds(machine, many, case.isl, case.osl)
    prompt = pass_seconds(machine, many, case.isl + case.osl / 2, case.isl, case.isl) + machine.constants.request
    whole = prompt + each * max(0.0, case.osl - 1)
    rate = many / whole
    waiting = max(0.0, case.concurrency - many) / rate if case.load is Load.CONCURRENCY else 0.0
    return {
        "ttft_mean_ms": (prompt + waiting) * 1e3,
        "tpot_mean_ms": each * 1e3,
        "itl_mean_ms": each * 1e3,
        "out_tok_s": rate * case.osl,
        "total_tok_s": rate * (case.isl + case.osl),
        "req_s": rate,
        "e2e_latency_s": whole + waiting,
    }
