"""Owns asking what a model would do on given GPUs: names become a case, a table of questions a table of answers.

Needs no stack, no target and no network. Knows no flag and no terminal.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from infctl.catalog.gpus import gpus
from infctl.catalog.models import models
from infctl.diagnostics import Code, Diagnostic, InfctlError, did_you_mean, error
from infctl.frozen import dataclass
from infctl.ops.checkpoints import checkpoint_of, known
from infctl.sizing.budget import GIB
from infctl.sizing.case import Case, Load
from infctl.sizing.checkpoint import Checkpoint, as_kept
from infctl.sizing.lengths import SHAREGPT
from infctl.sizing.measured import Factors, device
from infctl.sizing.precision import KV_BYTES, PRECISIONS, Precision, find_precision
from infctl.sizing.predict import Prediction, Verdict, predict
from infctl.sizing.rows import lengths_of, load_of, split_of
from infctl.sizing.spelled import ENGINES, find_engine, number, plain_row, whole

CANNOT_SIZE = Code(
    "cannot-size",
    "A name or a number given to `size` means nothing that the catalogue knows.",
    "`infctl size -help` shows what each flag takes; models and GPUs go by the names of their makers.",
)
# What llama.cpp runs where people give only the width.
_GGUF = {"bf16": "gguf:F16", "int8": "gguf:Q8_0", "int8-gptq": "gguf:Q8_0", "gptq": "gguf:Q4_0"}
# What transformers makes of a width: bitsandbytes does.
_WIDTH = re.compile(r"(int)?[48]([ -]?bits?)?")
_BNB = {"int8": "bnb-int8", "gptq": "nf4"}
# The figures of a table of measurements that are answered, in its order.
METRICS = (
    "ttft_mean_ms", "ttft_p50_ms", "ttft_p90_ms", "ttft_p95_ms", "ttft_p99_ms", "tpot_mean_ms", "tpot_p50_ms",
    "tpot_p95_ms", "tpot_p99_ms", "itl_mean_ms", "itl_p99_ms", "out_tok_s", "out_tok_s_per_gpu", "total_tok_s",
    "decode_tok_s_single", "prefill_tok_s", "req_s", "e2e_latency_s",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as people write it: names, and numbers where they are given. `precision` "": as the checkpoint is."""

    model: str
    gpu: str
    gpus: int = 1
    tensor: int = 0
    pipeline: int = 1
    engine: str = "vllm"
    engine_version: str = ""
    precision: str = ""
    kv_dtype: str = "auto"
    isl: float | None = None
    osl: float | None = None
    load: Load = Load.CONCURRENCY
    concurrency: int = 1
    rate: float = 0.0
    prompts: int = 0
    utilization: float | None = None
    max_model_len: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    varied: bool = False
    uneven: float = 0.0
    apart: bool = False
    replicas: int = 1


def case_of(asked: Asked, own: str = "", env: Mapping[str, str] | None = None, *, described: bool = False) -> Case:
    """Return the case that `asked` means; `own` is a user's catalogue file. A device may be one that the catalogue does
    not know where measurements have it `described`.

    With `env` (HF_ENDPOINT, HF_TOKEN) a model may be a folder, a GGUF file or a hub's uri: its headers are read.
    Without, only names that the catalogue knows are. Raises InfctlError with all that is wrong.
    """
    problems: list[Diagnostic] = []
    checkpoint = known(asked.model, own) if env is None else checkpoint_of(asked.model, env, own)
    if checkpoint is None:
        otherwise = (
            "write a folder, a .gguf file or hf://OWNER/NAME to have it read, or use a catalogue file of your own"
        )
        problems.append(_unknown("model", asked.model, models(own).rows, otherwise))
    cards = gpus(own).find(asked.gpu) or ((device(asked.gpu),) if described and asked.gpu else ())
    if not cards:
        problems.append(_unknown("GPU", asked.gpu, gpus(own).rows, "`infctl catalog list gpus` shows them all"))
    engine = find_engine(asked.engine)
    if engine is None:
        problems.append(_unknown("engine", asked.engine, ENGINES, f"known: {', '.join(sorted(set(ENGINES.values())))}"))
    wanted = _precision(asked.precision, engine or "")
    if asked.precision and wanted is None:
        problems.append(_unknown("precision", asked.precision, PRECISIONS, f"known: {', '.join(PRECISIONS)}"))
    kv = asked.kv_dtype.lower()
    if kv not in KV_BYTES:
        problems.append(_unknown("KV cache type", asked.kv_dtype, KV_BYTES, f"known: {', '.join(KV_BYTES)}"))
    tensor = asked.tensor or max(1, asked.gpus // asked.pipeline)
    if tensor * asked.pipeline != asked.gpus:
        detail = f"{tensor} for tensor parallel x {asked.pipeline} for pipeline parallel"
        problems.append(
            error(CANNOT_SIZE, f"{asked.gpus} GPUs are not what their split uses", detail, hint="leave -tp out")
        )
    if problems or checkpoint is None or engine is None:
        raise InfctlError(*problems)
    found = as_kept(checkpoint, wanted)
    kv = kv if kv != "auto" else _kv_of(found, asked.model, engine)
    return Case(
        found.shape, cards, found.precision, engine, asked.engine_version, tensor, asked.pipeline, kv,
        _mean(asked, asked.isl, 0), _mean(asked, asked.osl, 1), asked.varied,
        asked.load, asked.concurrency, asked.rate, asked.prompts, asked.utilization, asked.max_model_len,
        asked.max_num_seqs, asked.max_num_batched_tokens, found.kept, found.bytes, asked.uneven, asked.apart,
        asked.replicas, source=found.source,
    )  # fmt: skip


def _precision(name: str, engine: str) -> Precision | None:
    found = find_precision(name) if name else None
    others = {"llama.cpp": _GGUF, "transformers": _BNB}.get(engine, {})
    if found is None or found.whole or (engine == "transformers" and not _WIDTH.fullmatch(name.strip().lower())):
        return found
    return PRECISIONS.get(others.get(found.name, ""), found)


def _kv_of(found: Checkpoint, model: str, engine: str) -> str:
    """Return the format of the KV cache where nobody says it: TensorRT-LLM's builds of 8 and 4 bits keep it in FP8, and
    so is it meant to be with checkpoints that carry its scales, as AMD's "...-FP8-KV" do.
    """
    if found.kv:
        return found.kv
    scaled = model.upper().endswith("FP8-KV") or (engine == "tensorrt-llm" and found.precision.compute != "fp16")
    return "fp8" if scaled else "auto"


def _mean(asked: Asked, given: float | None, side: int) -> float:
    """Return the mean tokens of a question (side 0) or an answer (1) where it may not be given."""
    return given if given is not None else (SHAREGPT if asked.varied else (1024.0, 256.0))[side]


def _unknown(what: str, name: str, known: Iterable[str], otherwise: str) -> Diagnostic:
    return error(
        CANNOT_SIZE, f"There is no {what} {name!r} in the catalogue", hint=did_you_mean(name, known) or otherwise
    )


# ---------------------------------------------------------------- tables


def size_table(
    rows: Iterable[Mapping[str, str]], own: str = "", fitted: Callable[[Asked], Factors | None] = lambda _: None
) -> list[dict[str, str]]:
    """Return an answer for each row of a table of measurements; what was measured is not looked at. `fitted` gives what
    a user's own measurements say of a question's engine, device and model.
    """
    return [_answer(row, own, fitted) for row in rows]


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file. Raises InfctlError (cannot-size)."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            found = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as failure:
        detail = failure.strerror if isinstance(failure, OSError) and failure.strerror else str(failure)
        raise InfctlError(error(CANNOT_SIZE, f"{path} cannot be read", detail, hint="name a CSV file")) from failure
    missing = {"id", "model", "gpu"} - set(found[0] if found else ("id", "model", "gpu"))
    if missing:
        raise InfctlError(
            error(
                CANNOT_SIZE, f"{path} has no column {', '.join(sorted(missing))}", hint="its first line names columns"
            )
        )
    return found


def columns() -> tuple[str, ...]:
    """Return the columns of the table of answers."""
    figures = (f"{name}{end}" for name in METRICS for end in ("", "_low", "_high"))
    memory = ("weights_gib_per_gpu", "kv_gib_per_gpu", "kv_tokens", "fits")
    return ("id", "verdict", "reason", *figures, "basis", *memory)


def _answer(row: Mapping[str, str], own: str, fitted: Callable[[Asked], Factors | None]) -> dict[str, str]:
    answer = dict.fromkeys(columns(), "")
    answer["id"] = row.get("id", "")
    try:
        asked = asked_of(row)
        factors = fitted(asked)
        splits = _splits(asked) if not plain_row(row).get("tp") else (asked,)
        found = _best([predict(case_of(each, own, described=factors is not None), factors) for each in splits])
    except InfctlError as failure:
        told = failure.diagnostics[0]
        return answer | {"verdict": Verdict.UNKNOWN.value, "reason": told.summary}
    except ValueError as failure:
        return answer | {"verdict": Verdict.UNKNOWN.value, "reason": str(failure)}
    return answer | _written(found)


def _splits(asked: Asked) -> tuple[Asked, ...]:
    """Return the ways to share GPUs that a row may mean which does not say how: who measures how much a host serves
    runs as many copies of the model as serve most, who measures how fast it answers shares each layer among all GPUs.
    """
    if asked.load not in {Load.OFFLINE_MAX, Load.RATE_POISSON} or asked.pipeline > 1:
        return (asked,)
    halved = [asked.gpus >> power for power in range(asked.gpus.bit_length()) if asked.gpus % (1 << power) == 0]
    return tuple(replace(asked, gpus=each, tensor=each, replicas=asked.gpus // each) for each in halved)


def _best(found: Sequence[Prediction]) -> Prediction:
    """Return of several ways the one that serves most, the one of most GPUs a copy among equals."""
    served = [each for each in found if each.verdict is Verdict.OK and "out_tok_s" in each.metrics]
    return max(served, key=lambda each: each.metrics["out_tok_s"].value, default=found[0])


def _written(found: Prediction) -> dict[str, str]:
    written = {"verdict": found.verdict.value, "reason": found.reason, "basis": found.basis}
    for name, estimate in found.metrics.items():
        for end, value in (("", estimate.value), ("_low", estimate.low), ("_high", estimate.high)):
            written[name + end] = f"{value:.6g}"
    if (memory := found.memory) is not None:
        written |= {
            "weights_gib_per_gpu": f"{memory.weights / GIB:.4f}",
            "kv_gib_per_gpu": f"{max(0.0, memory.kv) / GIB:.4f}",
            "kv_tokens": str(memory.kv_logged),
            "fits": "true" if memory.fits else "false",
        }
    return written


def asked_of(row: Mapping[str, str]) -> Asked:
    """Return the question of a row. Raises ValueError for a number that is none."""
    row = plain_row(row)
    load, rate = load_of(row, number(row, "request_rate_rps", endless=True))
    prompts = whole(row, "num_prompts")
    batch = whole(row, "batch_size") or whole(row, "concurrency") or prompts or 1
    lengths = lengths_of(row, number(row, "isl"), number(row, "osl"))
    gpus, tensor, pipeline, replicas = split_of(row, *(whole(row, name) for name in ("gpu_count", "tp", "pp", "ep")))
    return Asked(
        model=row.get("model", ""),
        gpu=row.get("gpu", ""),
        gpus=gpus,
        tensor=tensor,
        pipeline=pipeline,
        engine=row.get("engine") or "vllm",
        engine_version=row.get("engine_version") or "",
        precision=row.get("precision") or "",
        kv_dtype=row.get("kv_dtype") or "auto",
        isl=lengths.isl,
        osl=lengths.osl,
        load=load,
        concurrency=batch,
        rate=rate,
        prompts=prompts,
        varied=lengths.varied,
        uneven=lengths.uneven,
        apart=lengths.apart,
        replicas=replicas,
    )
