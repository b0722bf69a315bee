"""Owns asking AIConfigurator what a row of measurements asks sizing: for `benchmarks/sizing.py -aiconfigurator PYTHON`.

PYTHON is an interpreter of an environment of its own with `aiconfigurator` 0.12 (some 800 MB); all rows go to it at
once. A batch that starts together and a single stream are its `static` mode, a closed loop its `agg` mode. Of what is
all there at the start it has no model: there `agg` is asked for as many at a time as the engine holds by our account of
its memory, and only what flows through is compared. It has no open loop.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infctl.diagnostics import InfctlError
from infctl.ops.size import asked_of, case_of
from infctl.sizing.budget import budget
from infctl.sizing.case import Case, Load
from infctl.sizing.serving import running

Row = Mapping[str, str]
_SYSTEMS = {
    "A100-SXM-80GB": "a100_sxm", "A100-PCIe-80GB": "a100_pcie", "A30": "a30", "L4": "l4", "L40S": "l40s",
    "H100-SXM-80GB": "h100_sxm", "H100-PCIe-80GB": "h100_pcie", "H200-SXM-141GB": "h200_sxm", "B200": "b200_sxm",
    "B300": "b300_sxm", "GB200": "gb200", "GB300": "gb300", "RTX-PRO-6000-96GB": "rtx_pro_6000_server",
}  # fmt: skip
_BACKENDS = {"vllm": "vllm", "sglang": "sglang", "tensorrt-llm": "trtllm"}
_GEMM = {
    "bf16": "bfloat16",
    "fp8": "fp8",
    "awq": "int4_wo",
    "gptq": "int4_wo",
    "int8-gptq": "int8_wo",
    "nvfp4": "nvfp4",
}
# Model classes that it reads from any config.json, and what goes by another name there.
_CLASSES = {"LlamaForCausalLM": "LlamaForCausalLM", "Qwen2ForCausalLM": "Qwen2ForCausalLM",
            "Qwen3ForCausalLM": "Qwen3ForCausalLM", "MistralForCausalLM": "LlamaForCausalLM"}  # fmt: skip
_R1 = "deepseek-ai/DeepSeek-R1"  # what it calls all of that shape


def ask(python: Path, rows: Sequence[Row]) -> list[Mapping[str, float]]:
    """Return its figures for each row, by the names of the columns; none where it has none to give."""
    cases = [_case(row) for row in rows]
    asked = [(index, question) for index, case in enumerate(cases) if case and (question := _question(case))]
    script = Path(__file__).with_name("aic_answers.py")
    text = json.dumps([question for _, question in asked])
    done = subprocess.run([python, script], input=text, capture_output=True, text=True, check=True)
    answers = json.loads(done.stdout.splitlines()[-1])
    found: list[Mapping[str, float]] = [{} for _ in rows]
    for (index, _), answer in zip(asked, answers, strict=True):
        case = cases[index]
        if case is not None and "why" not in answer:
            found[index] = _figures(case, answer)
    why = sorted({answer["why"] for answer in answers if "why" in answer})
    print(f"\nAIConfigurator: {len(asked)} rows asked, {sum('why' not in each for each in answers)} answered", *why,
          sep="\n  ", file=sys.stderr)  # fmt: skip
    return found


def _case(row: Row) -> Case | None:
    try:
        return case_of(asked_of(row))
    except (InfctlError, ValueError):
        return None


def _question(case: Case) -> dict[str, Any] | None:
    """Return what to ask, None where it knows the GPU, engine or format not, or has no such load."""
    system, backend, gemm = _SYSTEMS.get(case.gpu.name), _BACKENDS.get(case.engine), _GEMM.get(case.precision.name)
    if not (system and backend and gemm) or case.load is Load.RATE_POISSON or case.osl < 2:
        return None
    many = round(running(case, budget(case)))
    static = case.load is Load.STATIC_BATCH or many == 1
    experts = {"moe_tp_size": case.tensor, "moe_ep_size": 1, "moe_quant_mode": gemm} if case.shape.experts else {}
    return {
        "model_path": _R1 if "R1-0528" in case.shape.name else case.shape.name,
        "config": _config(case), "system_name": system,
        "mode": "static" if static else "agg", "backend_name": backend, "isl": round(case.isl), "osl": round(case.osl),
        "batch_size": many, "tp_size": case.tensor, "pp_size": case.pipeline, "gemm_quant_mode": gemm,
        "kvcache_quant_mode": "fp8" if case.kv_dtype.startswith("fp8") else "bfloat16", **experts,
    }  # fmt: skip


def _config(case: Case) -> dict[str, Any] | None:
    """Return the config.json of a dense model; None of one that it must carry itself."""
    shape = case.shape
    if shape.experts or shape.family not in _CLASSES:
        return None
    return {
        "architectures": [_CLASSES[shape.family]], "hidden_size": shape.hidden, "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads, "num_key_value_heads": shape.kv_heads, "head_dim": shape.head_dim,
        "intermediate_size": shape.mlp, "vocab_size": shape.vocab, "tie_word_embeddings": shape.tied,
        "max_position_embeddings": shape.context, "torch_dtype": "bfloat16",
    }  # fmt: skip


def _figures(case: Case, answer: Mapping[str, Any]) -> Mapping[str, float]:
    copies, rate = case.replicas, answer["out_tok_s"] * case.replicas
    through = {
        "out_tok_s": rate, "total_tok_s": rate * (case.isl + case.osl) / case.osl, "req_s": rate / case.osl,
        "out_tok_s_per_gpu": rate / copies / case.count,
    }  # fmt: skip
    if case.load in {Load.BURST_ALL, Load.OFFLINE_MAX}:
        return through
    ttft, tpot = answer["ttft"], answer["tpot"]
    whole = (ttft + tpot * (case.osl - 1)) / 1e3
    found = through | {"tpot_mean_ms": tpot, "tpot_p50_ms": tpot, "itl_mean_ms": tpot, "e2e_latency_s": whole}
    if case.load is Load.STATIC_BATCH:
        found |= {"decode_tok_s_single": 1e3 / tpot if case.apart else case.osl / whole}
    return found | {"ttft_mean_ms": ttft, "ttft_p50_ms": ttft}
