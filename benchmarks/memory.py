"""Owns holding sizing's memory against published logs: for `benchmarks/sizing.py`, which prints what comes out.

`memory_measurements.csv` has a row a measurement: model, precision, engine, GPU, what was measured (`metric`,
`value`, `unit`) and in words under which `conditions`: of these the numbers behind util, max_model_len, max-num-
batched-tokens and input length are read, as an operator would pass them on. Rows of a kind that sizing does not tell
are not compared. Beside FOLDER, `checkpoints/OWNER--NAME` may hold config.json and safetensors headers: then the row
is sized by these, too.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from infctl.diagnostics import InfctlError
from infctl.ops.size import Asked, case_of
from infctl.sizing.budget import GIB, Memory, budget, longest_asked
from infctl.sizing.case import Case
from infctl.sizing.predict import Verdict, predict
from infctl.sizing.weights import weight_bytes

Row = Mapping[str, str]
# What a log's words for a product mean, and what a card without a name is by the memory that the log states.
_GPUS = {"ROCm": "MI300X", "A100-SXM4-80G": "A100-SXM-80GB", "H100": "H100-SXM-80GB", "A100-80GB": "A100-SXM-80GB"}
_KINDS = {
    "weights": ("weights_gpu", "file_size", "safetensors_total_size", "engine_disk_size", "vram_total_required"),
    "cache": ("kv_available", "gpu_blocks", "kv_tokens", "kv_cache_bytes"),
    "whole process": ("process_peak",),
    "scratch, graphs, other": ("activation_peak", "cuda_graph_memory", "non_torch_memory"),
}
_GENERATED = 2048.0  # tokens of the tables of process peaks
_BLOCK = 16


def report(folder: Path) -> None:
    """Print, for each kind of figure, rows, rows answered, median and 90th percentile of the error."""
    path = folder / "memory_measurements.csv"
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    print(f"\n{'memory':<24}{'rows':>6}{'answered':>10}{'median':>9}{'P90':>9}{'within 3 %':>12}{'headers':>9}")
    for kind, metrics in _KINDS.items():
        _line(kind, [row for row in rows if row["metric"] in metrics], folder)
    _line("all", rows, folder)
    wrong = [row["id"] for row in rows if "failed to start" in row["unit"] + row["conditions"] and _fits(row)]
    print(f"said to fit where the engine failed to start: {', '.join(wrong) or 'none'}")


def _line(kind: str, rows: Sequence[Row], folder: Path) -> None:
    plain = [error for row in rows if (error := _error(row, row["model"])) is not None]
    read = [error for row in rows if (at := _checkpoint(row, folder)) and (error := _error(row, str(at))) is not None]
    if not plain:
        return
    ninth = sorted(plain)[min(len(plain) - 1, int(0.9 * len(plain)))]
    close = sum(error <= 0.03 for error in plain) / len(plain)
    share, known = len(plain) / len(rows), f"{median(read):>9.1%}" if read else f"{'-':>9}"
    print(f"{kind:<24}{len(rows):>6}{share:>10.0%}{median(plain):>9.1%}{ninth:>9.1%}{close:>12.0%}{known}")


def _checkpoint(row: Row, folder: Path) -> Path | None:
    found = folder / "checkpoints" / row["model"].replace("/", "--")
    return found if found.is_dir() else None


def _error(row: Row, model: str) -> float | None:
    case = _case(row, model)
    found = _figure(row, case) if case else None
    measured = float(row["value"]) * _unit(row)
    return None if found is None else abs(found / measured - 1)


def _case(row: Row, model: str) -> Case | None:
    told, number = row["conditions"], _number
    total = number(r"total(?:_gpu_memory)? ?([\d.]+) ?GiB", told)
    small = total is not None and total < 40
    card = row["gpu"] or ("RTX 3090" if small else "H100-SXM-80GB")
    ranks = int(row["tp"] or row["gpu_count"] or 1)
    length, passed = number(r"max_model_len (\d+)", told), number(r"max-num-batched-tokens (\d+)", told)
    precision = row["precision"].split(" KV")[0].removeprefix("gguf-")
    asked = Asked(
        re.sub(r" \(.*\)| shape| GGUF$", "", model) if "/" not in model[:1] else model,
        _GPUS.get(card, card), ranks, ranks,
        engine=row["engine"].split(" ")[0] or "vllm", engine_version=row["engine_version"],
        precision=precision,
        utilization=number(r"util\w* (0\.\d+)", told) or number(r"GiB x (0\.\d+)", told),
        max_model_len=int(length) if length else None, max_num_batched_tokens=int(passed) if passed else None,
        isl=number(r"input length (\d+)", told), osl=_GENERATED if row["engine"] == "transformers" else None,
    )  # fmt: skip
    try:
        case = case_of(asked, env=os.environ if model.startswith("/") else None)
    except InfctlError:
        return None
    return replace(case, isl=1.0) if asked.engine == "transformers" and asked.isl is None else case


def _figure(row: Row, case: Case) -> float | None:
    """Return what sizing says of the figure: bytes, or tokens."""
    memory, ranks = budget(longest_asked(case)), case.count
    whole = case.weight_bytes or weight_bytes(case.shape, case.precision, kept=case.kept)
    cells = _number(r"(\d+) cells", row["conditions"]) or _number(r"kv_size (\d+)", row["conditions"]) or 1
    cells *= _number(r"(\d+) sequences", row["conditions"]) or 1
    return {
        **_parts(memory),
        "gpu_blocks": memory.kv_logged // _BLOCK,
        "kv_tokens": memory.kv_logged,
        "kv_cache_bytes": budget(replace(case, max_model_len=int(cells))).kv_bytes_per_token * cells,
        "process_peak": memory.total * ranks,
        "engine_disk_size": memory.weights * ranks,
        "file_size": whole,
        "safetensors_total_size": whole,
        "vram_total_required": whole,
    }.get(row["metric"])


def _parts(memory: Memory) -> dict[str, float]:
    return {
        "weights_gpu": memory.weights,
        "kv_available": memory.kv,
        "activation_peak": memory.activations,
        "cuda_graph_memory": memory.graphs,
        "non_torch_memory": memory.other,
    }


def _unit(row: Row) -> float:
    """Return the bytes of a unit as people write it: logs and tables of peaks say GB where they mean GiB."""
    if row["metric"] == "process_peak" or "GiB" in row["unit"]:
        return GIB
    return 2.0**20 if "MiB" in row["unit"] else 1e9 if "GB" in row["unit"] else 1.0


def _fits(row: Row) -> bool:
    case = _case(row, row["model"])
    found = predict(case) if case else None
    return found is not None and found.verdict is Verdict.OK and found.memory is not None and found.memory.fits


def _number(pattern: str, text: str) -> float | None:
    found = re.search(pattern, text)
    return float(found[1]) if found else None
