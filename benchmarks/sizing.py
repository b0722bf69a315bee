"""Prints how far sizing's predictions are from published measurements, beside a plain roofline.

    python benchmarks/sizing.py FOLDER [-aiconfigurator PYTHON]

FOLDER holds `serving_measurements.csv` (a row a measurement: its conditions in the columns that `infctl size -batch`
reads, what was measured in the columns of `infctl.ops.size.METRICS`) and, where there is one,
`memory_measurements.csv` (see `memory.py` beside this file). For each figure: how many rows have it, how many of them
were answered, the median and the 90th percentile of |predicted / measured - 1|, and how many lie inside the printed
80 % range. The roofline reads weights and cache at the whole bandwidth, multiplies at the whole FLOPS, and does
nothing else. With PYTHON, an interpreter that has `aiconfigurator` (see `beside_aic.py`), both are held side by side on
the figures that it has an answer for.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median

import beside_aic
from memory import report

from infctl.diagnostics import InfctlError
from infctl.ops.size import METRICS, asked_of, case_of, read_table, size_table
from infctl.sizing.budget import budget
from infctl.sizing.calibration import Constants
from infctl.sizing.precision import KV_BYTES
from infctl.sizing.serving import figures
from infctl.sizing.speed import Machine

_IDEAL = Constants(1, 1, 1, 1, 0, 0, 0, 1, 1, 0)
Row = Mapping[str, str]


def _loaded(row: Row) -> bool:
    many = row.get("concurrency") or row.get("num_prompts") or row.get("batch_size") or "1"
    return float(many) > 1 or bool(row.get("request_rate_rps"))


# What is told apart: columns, and the rows that count.
_GROUPS: dict[str, tuple[tuple[str, ...], Callable[[Row], bool]]] = {
    "TPOT / ITL": (("tpot_mean_ms", "tpot_p50_ms", "itl_mean_ms"), lambda _: True),
    "single-stream decode": (("decode_tok_s_single",), lambda _: True),
    "TTFT unloaded": (("ttft_mean_ms", "ttft_p50_ms"), lambda row: not _loaded(row)),
    "TTFT under load": (("ttft_mean_ms", "ttft_p50_ms", "ttft_p95_ms", "ttft_p99_ms"), _loaded),
    "throughput": (("out_tok_s", "total_tok_s", "req_s", "e2e_latency_s"), lambda _: True),
    "prefill": (("prefill_tok_s",), lambda _: True),
}


def main(folder: Path, python: Path | None = None) -> None:
    rows = read_table(folder / "serving_measurements.csv")
    began = time.perf_counter()
    answers = size_table(rows)
    took = time.perf_counter() - began
    verdicts = {name: sum(answer["verdict"] == name for answer in answers) for name in ("ok", "infeasible", "unknown")}
    print(f"{len(rows)} rows in {took:.2f} s: {', '.join(f'{count} {name}' for name, count in verdicts.items())}\n")
    plain = [_roofline(row) for row in rows]
    print(f"{'figure':<22}{'rows':>6}{'answered':>10}{'median':>9}{'P90':>9}{'in range':>10}{'roofline':>10}")
    for name in METRICS:
        _line(name, [_pair(row, answer, ideal, name) for row, answer, ideal in zip(rows, answers, plain, strict=True)])
    print()
    for group, (names, wanted) in _GROUPS.items():
        cells = zip(rows, answers, plain, strict=True)
        _line(group, [_pair(*cell, name) for cell in cells if wanted(cell[0]) for name in names])
    report(folder)
    if python is not None:
        _beside(rows, answers, beside_aic.ask(python, rows))


def _beside(rows: Sequence[Row], answers: Sequence[Row], theirs: Sequence[Mapping[str, float]]) -> None:
    """Print how far AIConfigurator and infctl are off on what both answer."""
    print(f"\n{'beside AIConfigurator':<22}{'rows':>6}{'covered':>10}{'its':>9}{'P90':>9}{'infctl':>10}{'P90':>9}")
    everything: list[tuple[float, float]] = []
    total = 0
    for group, (names, wanted) in _GROUPS.items():
        cells = [
            (_pair(row, answer, other, name), name in other)
            for row, answer, other in zip(rows, answers, theirs, strict=True)
            if wanted(row)
            for name in names
        ]
        known = [(pair, covered) for pair, covered in cells if pair is not None]
        both = [(pair[3], pair[1]) for pair, covered in known if covered and pair[1] == pair[1]]
        everything, total = everything + both, total + len(known)
        _compared(group, len(known), both)
    _compared("all", total, everything)


def _compared(name: str, count: int, both: Sequence[tuple[float, float]]) -> None:
    if both:
        figures = "".join(
            f"{median(side):>{width}.1%}{sorted(side)[min(len(side) - 1, int(0.9 * len(side)))]:>9.1%}"
            for side, width in zip(zip(*both, strict=True), (9, 10), strict=True)
        )
        print(f"{name:<22}{count:>6}{len(both) / count:>10.0%}{figures}")


def _roofline(row: Row) -> Mapping[str, float]:
    try:
        case = case_of(asked_of(row))
    except (InfctlError, ValueError):
        return {}
    kv = KV_BYTES[case.kv_dtype]
    machine = Machine(case.shape, case.precision, case.gpu, _IDEAL, case.tensor, case.pipeline, kv, case.kept)
    return figures(machine, case, budget(case))


def _pair(row: Row, answer: Row, ideal: Mapping[str, float], name: str) -> tuple[float, float, bool, float] | None:
    """Return (measured, error, whether inside the range, the roofline's error); NaN where there is no answer."""
    try:
        measured = float(row.get(name) or "")
    except ValueError:
        return None
    none = float("nan")
    rough = abs(ideal[name] / measured - 1) if name in ideal and measured else none
    if not answer.get(name) or not measured:
        return measured, none, False, rough
    inside = bool(answer.get(name + "_low")) and float(answer[name + "_low"]) <= measured <= float(
        answer[name + "_high"]
    )
    return measured, abs(float(answer[name]) / measured - 1), inside, rough


def _line(name: str, cells: Iterable[tuple[float, float, bool, float] | None]) -> None:
    known = [cell for cell in cells if cell is not None]
    errors = sorted(cell[1] for cell in known if cell[1] == cell[1])
    if not errors:
        return
    rough = [cell[3] for cell in known if cell[3] == cell[3]]
    inside = sum(cell[2] for cell in known) / len(errors)
    ninth = errors[min(len(errors) - 1, int(0.9 * len(errors)))]
    line = (
        f"{name:<22}{len(known):>6}{len(errors) / len(known):>10.0%}{median(errors):>9.1%}{ninth:>9.1%}{inside:>10.0%}"
    )
    print(line + (f"{median(rough):>10.1%}" if rough else ""))


if __name__ == "__main__":
    if len(sys.argv) not in {2, 4} or sys.argv[2:3] not in ([], ["-aiconfigurator"]):
        sys.exit(f"usage: {sys.argv[0]} FOLDER [-aiconfigurator PYTHON]")
    main(*(Path(each) for each in sys.argv[1::2]))
