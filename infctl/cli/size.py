"""The command `size`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from infctl.cli.command import Command, flag, option
from infctl.cli.terminal import Terminal


@click.command("size", cls=Command)
@option("model", "MODEL", "What runs: its name, a folder, a .gguf file, or hf://OWNER/NAME.", default="")
@option("gpu", "GPU", "What it runs on: H100-SXM-80GB, L40S, RTX 4090.", default="")
@option("gpus", "N", "GPUs of one replica (1).", type=click.IntRange(1), default=1)
@option("tp", "N", "Of these, those that share each layer; default: all.", type=click.IntRange(0), default=0)
@option("pp", "N", "Stages that share the layers (1).", type=click.IntRange(1), default=1)
@option("engine", "ENGINE", "vllm, sglang, tensorrt-llm, tgi, llama.cpp (vllm).", default="vllm")
@option("engine-version", "VERSION", "Its version; default: a current one.", default="")
@option("precision", "FORMAT", "Of the weights: bf16, fp8, awq, gguf:Q4_K_M; default: as published.", default="")
@option("kv-dtype", "FORMAT", "Of the KV cache: auto, fp8, q8_0 (auto).", default="auto")
@option("isl", "TOKENS", "Tokens of a question (1024).", type=click.FloatRange(1), default=1024.0)
@option("osl", "TOKENS", "Tokens of an answer (256).", type=click.FloatRange(1), default=256.0)
@option("concurrency", "N", "Always so many requests in flight (1).", type=click.IntRange(1), default=None)
@option("rate", "N/s", "Instead: so many requests a second, at random: 4/s.", default="")
@flag("offline", "Instead: a queue that is never empty.")
@option(
    "gpu-memory-utilization", "PART", "What the engine may take of a GPU.", type=click.FloatRange(0.05, 1), default=None
)
@option("max-model-len", "TOKENS", "Longest question and answer together.", type=click.IntRange(1), default=None)
@option("max-num-seqs", "N", "Most sequences at a time.", type=click.IntRange(1), default=None)
@option("max-num-batched-tokens", "N", "Most tokens of one pass.", type=click.IntRange(1), default=None)
@option("catalog", "FILE", "Your rows; default: inference.catalog.yaml, if there is one.", default="")
@option("measured", "FILE", "What you measured, as -batch has it: fit to it.", default="")
@option("batch", "FILE", "Answer every row of a CSV file instead.", default="")
@option("out", "FILE", "With -batch: write the answers there.", default="")
@flag("json", "Print one JSON document.")
@click.pass_obj
def command(terminal: Terminal, /, batch: str, out: str, measured: str, json: bool, **given: Any) -> int:
    """What would a model do on these GPUs? No stack, no target, no network needed.

    Memory on each GPU, whether it fits, latency and throughput under a load, each with its range.
    """
    if bool(batch) != bool(out):
        raise click.UsageError("-batch FILE and -out FILE belong together")
    from infctl.catalog.files import find_own

    own = find_own(Path(), given["catalog"])
    if batch:
        return _answer_table(terminal, Path(batch), Path(out), own, measured)
    if not given["model"] or not given["gpu"]:
        raise click.UsageError("say -model and -gpu, or -batch and -out")
    import os

    from infctl.ops.size import case_of
    from infctl.sizing.predict import Verdict, predict
    from infctl.views.size import show_size, size_json
    from infctl.views.style import Style

    asked = _asked(given)
    factors = _fitted(measured, own)(asked)
    case = case_of(asked, own, os.environ, described=factors is not None)
    found = predict(case, factors)
    view = size_json(case, found)
    if json:
        from json import dumps

        terminal.say(dumps(view, indent=2, ensure_ascii=False))
    else:
        terminal.say_lines(show_size(view, Style(terminal.width, terminal.color)))
    return 0 if found.verdict is Verdict.OK else 1


def _asked(given: dict[str, Any]) -> Any:
    """Return the question of the flags. Raises click.UsageError for loads that exclude each other."""
    from infctl.ops.size import Asked
    from infctl.sizing.case import Load
    from infctl.spec.units import rate

    if sum((given["concurrency"] is not None, bool(given["rate"]), given["offline"])) > 1:
        raise click.UsageError("-concurrency, -rate and -offline exclude each other")
    load = Load.RATE_POISSON if given["rate"] else Load.OFFLINE_MAX if given["offline"] else Load.CONCURRENCY
    try:
        per_second = rate(given["rate"]) if given["rate"] else 0.0
    except ValueError as failure:
        raise click.UsageError(f"-rate takes a number of requests as 4/s: {failure}") from failure
    return Asked(
        given["model"], given["gpu"], given["gpus"], given["tp"], given["pp"], given["engine"], given["engine_version"],
        given["precision"], given["kv_dtype"], given["isl"], given["osl"], load, given["concurrency"] or 1, per_second,
        0, given["gpu_memory_utilization"], given["max_model_len"], given["max_num_seqs"],
        given["max_num_batched_tokens"],
    )  # fmt: skip


def _fitted(measured: str, own: str) -> Any:
    """Return what says of a question what the file of measurements makes of it, nothing where there is no file."""
    if not measured:
        return lambda _: None
    import os

    from infctl.ops.measured import fitted_to

    return fitted_to(Path(measured), own, os.environ)


def _answer_table(terminal: Terminal, questions: Path, answers: Path, own: str, measured: str) -> int:
    from collections import Counter
    from csv import DictWriter

    from infctl.ops.size import columns, read_table, size_table

    found = size_table(read_table(questions), own, _fitted(measured, own))
    with answers.open("w", newline="", encoding="utf-8") as file:
        writer = DictWriter(file, columns())
        writer.writeheader()
        writer.writerows(found)
    said = ", ".join(f"{count} {verdict}" for verdict, count in Counter(row["verdict"] for row in found).most_common())
    terminal.say(f"{len(found)} rows: {said or 'none'}. Written to {answers}.")
    return 0
