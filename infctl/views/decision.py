"""Owns a decision in words: what was chosen, what it is to do beside what it owes, its memory and price.

Renders what `infctl.sizing.told` gives; amounts are not broken between lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

View = dict[str, Any]
_SECOND = 1.0
_MILLI = 0.1  # seconds below which a tenth of a millisecond still says something


def decided_in_words(decision: View) -> str:
    """Return what was chosen, and why so many: `fp8 on 2 x L40S, 5 replicas: …`; "" without a decision."""
    if not decision:
        return ""
    where = decision["gpu"] if decision["gpus"] <= 1 else f"{decision['gpus']} x {decision['gpu']}"
    said = f"{decision['quantization']} on {where}".replace(" ", "\xa0")
    reasons = [each["why"] for each in decision["steps"] if each["what"] == "replicas"]
    return f"{said}, {_count(decision['replicas']['total'])}" + (f": {'; '.join(reasons)}" if reasons else "")


def _count(replicas: int) -> str:
    return "1\xa0replica" if replicas == 1 else f"{replicas}\xa0replicas"


def slo_in_words(decision: View) -> Iterator[str]:
    """Yield each figure beside its bound, with a sign for whether it is met, and at last what they rest on."""
    if not decision or not decision["slo"]:
        return
    for each in decision["slo"]:
        metric, _, part = each["name"].partition("_")
        sign = "✓" if each["met"] else "✗"
        yield _whole(f"{metric} {part} {latency(each['value'])} of {latency(each['required'])} {sign}")
    goodput = decision["goodput"]
    if goodput and goodput["required"]:
        sign = "✓" if goodput["value"] >= goodput["required"] else "✗"
        yield _whole(f"goodput {goodput['value']:.1%} of {100 * goodput['required']:.4g}% {sign}")
    if decision["basis"]:
        yield decision["basis"]


def memory_in_words(decision: View) -> str:
    """Return what lies in each GPU's memory: `8.6 weights + 30.9 kv + 2.4 other = 41.9 of 44.5 GiB`."""
    memory = decision.get("memory") if decision else None
    if not memory:
        return ""
    other = memory["activations"] + memory["graphs"] + memory["other"]
    figures = {"weights": memory["weights"], "kv": memory["kv"], "other": other}
    parts = " + ".join(f"{size:.1f} {name}" for name, size in figures.items())
    each = " on each GPU" if decision["gpus"] > 1 else ""
    held = f"{decision['batching']['max_num_seqs']} sequences at a time, {memory['kv_tokens']:,} tokens of cache"
    total = f"{memory['total']:.1f} of {memory['free']:.1f} GiB{each}"
    return f"{_whole(f'{parts} = {total}')} · {_whole(held)}"


def tokens_cost(decision: View) -> str:
    """Return dollars for a million tokens at the declared rate; "" where there is no price."""
    cost = decision.get("cost") if decision else None
    if not cost or cost["per_1m_tokens"] is None:
        return ""
    used = f", {cost['utilisation']:.0%} used" if cost["utilisation"] is not None else ""
    return _whole(f"${cost['per_1m_tokens']:.2f} per 1M tokens at the declared rate{used}")


def latency(seconds: float) -> str:
    """Return a latency as people read it: `23.4 ms`, `310 ms`, `1.24 s`."""
    if seconds >= _SECOND:
        return f"{seconds:.3g} s"
    return f"{1000 * seconds:.3g} ms" if seconds < _MILLI else f"{1000 * seconds:.0f} ms"


def _whole(text: str) -> str:
    return text.replace(" ", "\xa0")
