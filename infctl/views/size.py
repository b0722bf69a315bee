"""Owns how the answer to a sizing question looks: one document as JSON, and text rendered from it."""

from __future__ import annotations

from typing import Any

from infctl.sizing.budget import GIB
from infctl.sizing.case import Case
from infctl.sizing.predict import Prediction
from infctl.sizing.startable import notes
from infctl.views.style import Style, columns

_SAID = {
    "ttft_mean_ms": "TTFT, mean", "ttft_p95_ms": "TTFT, P95", "tpot_mean_ms": "TPOT, mean", "itl_p99_ms": "ITL, P99",
    "e2e_latency_s": "end to end", "out_tok_s": "tokens out", "total_tok_s": "tokens in and out", "req_s": "requests",
    "decode_tok_s_single": "decode, one stream", "prefill_tok_s": "prefill",
}  # fmt: skip


def size_json(case: Case, found: Prediction) -> dict[str, Any]:
    """Return one answer as a document; memory in GiB on each GPU."""
    memory = found.memory
    return {
        "format_version": "1.0",
        "verdict": found.verdict.value,
        "reason": found.reason,
        "model": {
            "name": case.shape.name, "parameters": case.shape.total, "assumed": list(case.shape.assumed),
            "source": case.source,
        },
        "gpu": {"name": case.gpu.name, "count": case.count, "may_be": [each.name for each in case.gpus]},
        "engine": {"name": case.engine, "version": case.engine_version},
        "precision": {"name": case.precision.name, "bits": case.precision.bits, "kv": case.kv_dtype},
        "parallelism": {"tensor": case.tensor, "pipeline": case.pipeline},
        "load": {
            "type": case.load.value, "concurrency": case.concurrency, "rate": case.rate,
            "isl": case.isl, "osl": case.osl,
        },
        "memory": None if memory is None else {
            "weights": memory.weights / GIB,
            "kv": max(0.0, memory.kv) / GIB,
            "kv_bytes_per_token": memory.kv_bytes_per_token,
            "kv_tokens": memory.kv_logged,
            "activations": memory.activations / GIB,
            "graphs": memory.graphs / GIB,
            "other": memory.other / GIB,
            "total": memory.total / GIB,
            "usable": memory.usable / GIB,
            "gpu": case.gpu.memory,
        },
        "batching": None if memory is None else {
            "max_num_seqs": memory.most_seqs, "max_num_batched_tokens": memory.most_tokens,
        },
        "fits": memory is not None and memory.fits,
        "metrics": {
            name: {"value": each.value, "low": each.low, "high": each.high} for name, each in found.metrics.items()
        },
        "basis": found.basis,
        "notes": [
            {"severity": each.severity.value, "reason": each.reason, "instead": each.alternative}
            for each in notes(case)
        ],
    }  # fmt: skip


def show_size(view: dict[str, Any], style: Style) -> list[str]:
    """Return the document as text."""
    model, gpu, split = view["model"], view["gpu"], view["parallelism"]
    shared = f", tensor parallel {split['tensor']}" if split["tensor"] > 1 else ""
    shared += f", pipeline {split['pipeline']}" if split["pipeline"] > 1 else ""
    lines = [
        style.paint(f"{model['name']} on {gpu['count']} x {gpu['name']}", "bold")
        + f"  {view['engine']['name']} {view['engine']['version']}".rstrip()
        + f", {view['precision']['name']}{shared}",
        "",
    ]
    if len(gpu["may_be"]) > 1:
        lines += [*style.wrap(f"The name may mean {', '.join(gpu['may_be'])}: the first is taken."), ""]
    if model["assumed"]:
        lines += [*style.wrap(f"Assumed: {'; '.join(model['assumed'])}."), ""]
    if view["memory"]:
        lines += [*_memory_lines(view["memory"], gpu["count"]), ""]
    if view["metrics"]:
        lines += [*_metric_lines(view["metrics"]), ""]
    good = view["verdict"] == "ok"
    word = style.paint("It fits." if good else f"{view['verdict'].capitalize()}:", "bold", "green" if good else "red")
    lines += [f"{word} {view['reason']}".rstrip(), *([f"Basis: {view['basis']}"] if view["basis"] else [])]
    told = [note for note in view["notes"] if note["severity"] != "error" and note["reason"] not in view["reason"]]
    lines += [line for note in told for line in style.wrap(f"Note: {note['reason']}.")]
    ways = dict.fromkeys(note["instead"] for note in view["notes"] if note["instead"])
    return [*lines, *(line for way in ways for line in style.wrap(f"Instead: {way}."))]


def _memory_lines(memory: dict[str, Any], count: int) -> list[str]:
    each = " on each GPU" if count > 1 else ""
    rows = [
        ("weights", f"{memory['weights']:7.2f} GiB", ""),
        (
            "KV cache",
            f"{memory['kv']:7.2f} GiB",
            f"{memory['kv_tokens']:,} tokens of {memory['kv_bytes_per_token']:,.0f} B",
        ),
        ("activations", f"{memory['activations']:7.2f} GiB", ""),
        ("graphs", f"{memory['graphs']:7.2f} GiB", ""),
        ("other", f"{memory['other']:7.2f} GiB", "context, libraries"),
        ("of", f"{memory['gpu']:7.2f} GiB", f"the engine may take {memory['usable']:.2f}"),
    ]
    return [f"Memory{each}", *columns([("  " + name, amount, note) for name, amount, note in rows], 2)]


def _metric_lines(metrics: dict[str, Any]) -> list[str]:
    rows = []
    for name, said in _SAID.items():
        if (found := metrics.get(name)) is not None:
            unit = "ms" if name.endswith("_ms") else "s" if name.endswith("latency_s") else "/s"
            rows.append(
                (f"  {said}", f"{found['value']:,.4g} {unit}", f"({found['low']:,.4g} to {found['high']:,.4g})")
            )
    return ["Speed, with the range that holds four of five", *columns(rows, 2)]
