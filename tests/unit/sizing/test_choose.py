"""Choosing: what is taken, in which order things decide, and what came next."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infctl.catalog.gpus import gpus
from infctl.catalog.models import models
from infctl.sizing.assess import assess
from infctl.sizing.checkpoint import Checkpoint
from infctl.sizing.choose import choose
from infctl.sizing.decision import Ask, Choice, Decision, Objective, Offer, Slo
from infctl.sizing.precision import PRECISIONS
from infctl.sizing.setup import Need, Setup
from infctl.sizing.ways import ways_of
from tests.unit.sizing.asked import CHAT, LLAMA, SLO, offer, workload

EMBEDDER = Checkpoint(models().rows["BAAI/bge-m3"], PRECISIONS["bf16"])
GGUF = Checkpoint(models().rows["meta-llama/Meta-Llama-3.1-8B"], PRECISIONS["gguf:Q4_K_M"])
RACK = (offer("L40S", hosts=4, price=0.85), offer("H100", hosts=4, price=2.99))
VLLM = Ask(engine="vllm", max_model_len=8192)


def decided(choice: Choice) -> Decision:
    assert choice.decision is not None
    assert choice.clash is None, choice.clash
    return choice.decision


def test_what_is_chosen_meets_what_is_owed_in_the_run() -> None:
    found = decided(choose(LLAMA, VLLM, CHAT, SLO, RACK))
    assert found.at_peak is not None
    for owed in SLO.objectives:
        assert found.at_peak.latency[owed.name].value <= owed.seconds
    assert found.at_peak.goodput >= 0.99
    assert found.fleet.total == found.fleet.peak + found.fleet.spare
    assert found.at_peak.rate * (found.fleet.total - found.fleet.spare) == pytest.approx(CHAT.peak)
    assert found.cost is not None
    assert found.cost.per_hour == pytest.approx(
        found.fleet.total * found.gpus * (0.85 if "L40S" in found.product else 2.99)
    )
    assert "model of vllm" in found.basis


def test_the_cheapest_fleet_is_taken_and_the_rest_says_what_it_costs_more() -> None:
    cheap = choose(LLAMA, VLLM, CHAT, SLO, (offer("L40S", hosts=4, price=0.01), RACK[1]))
    dear = choose(LLAMA, VLLM, CHAT, SLO, (offer("L40S", hosts=4, price=90.0), RACK[1]))
    assert decided(cheap).product == "L40S"
    assert decided(dear).product == "H100-SXM-80GB"
    assert any("more" in lost.why and "H100" in lost.why for lost in cheap.alternatives)


def test_alternatives_are_three_that_differ_and_each_says_why() -> None:
    choice = choose(LLAMA, VLLM, CHAT, SLO, (*RACK, offer("A100-80GB", price=1.8), offer("L4", price=0.5)))
    kinds = {
        (lost.decision.engine, lost.decision.precision.name, lost.decision.product) for lost in choice.alternatives
    }
    assert len(choice.alternatives) == len(kinds) == 3
    assert all(": " in each.why for each in choice.alternatives)


def test_a_miss_is_said_in_figures() -> None:
    tight = Slo((Objective("itl", 50, 0.012),))
    choice = choose(LLAMA, replace(VLLM, quantization="none", gpus=1), CHAT, tight, RACK)
    assert decided(choice).product == "H100-SXM-80GB"
    assert choice.alternatives[0].why.startswith("bf16 on L40S: itl p50 ")
    assert choice.alternatives[0].why.endswith("ms > 12 ms")


def test_targets_are_taken_in_the_order_of_the_file_whatever_they_cost() -> None:
    offers = (offer("H100", hosts=4, price=90.0, target="rack"), offer("L40S", hosts=4, price=0.1, target="burst"))
    assert decided(choose(LLAMA, replace(VLLM, order=("rack", "burst")), CHAT, SLO, offers)).target == "rack"
    assert decided(choose(LLAMA, replace(VLLM, order=("burst", "rack")), CHAT, SLO, offers)).target == "burst"
    small = (replace(offers[0], hosts=1, devices=1), offers[1])
    found = choose(LLAMA, replace(VLLM, order=("rack", "burst")), CHAT, SLO, small)
    assert decided(found).target == "burst"  # the rack has no room for the fleet


def test_a_small_encoder_runs_on_onnx_runtime_beside_an_llm_on_vllm() -> None:
    load = workload((400, 0.5), (1, 0), rate=20.0, peak=40.0)
    fast = Slo((Objective("e2e", 95, 0.08),))
    for offers in ((offer("L4", price=0.5),), (Offer("rack", (), 0, 2, price=0.1),)):
        found = choose(EMBEDDER, Ask(task="embed"), load, fast, offers)
        assert decided(found).engine == "onnxruntime"
    assert decided(choose(LLAMA, Ask(max_model_len=8192), CHAT, SLO, RACK)).engine in {"vllm", "sglang", "tensorrt-llm"}


def test_a_gguf_file_is_for_llama_cpp_and_a_host_without_gpus_serves_it() -> None:
    host = Offer("here", (), 0, 1)
    found = decided(choose(GGUF, Ask(max_model_len=8192), CHAT, SLO, (host,)))
    assert (found.engine, found.gpu, found.fleet.total) == ("llama.cpp", None, 1)
    assert found.basis.startswith("memory only")
    assert found.at_peak is None
    assert decided(choose(GGUF, Ask(max_model_len=8192), None, Slo(), RACK)).engine == "llama.cpp"


def test_what_is_operated_decides_between_engines_that_are_alike() -> None:
    offers = (offer("H100", hosts=4, price=2.99),)
    plain = choose(LLAMA, Ask(max_model_len=8192), CHAT, Slo(), offers)
    assert [step.what for step in decided(plain).steps][:2] == ["compatibility", "throughput"]
    throughput = next(step.why for step in decided(plain).steps if step.what == "throughput")
    for engine in ("vllm", "sglang"):
        if "too near" in throughput or engine not in throughput.partition("wrong:")[2]:
            chosen = decided(choose(LLAMA, Ask(max_model_len=8192, operated=(engine,)), CHAT, Slo(), offers))
            latency = next((step.why for step in chosen.steps if step.what == "latency"), "")
            assert chosen.engine == engine or engine in latency.partition("wrong:")[2]


def test_quality_bounds_what_auto_may_give_up() -> None:
    strict = replace(VLLM, max_quality_loss=0.0)
    assert decided(choose(LLAMA, strict, CHAT, SLO, RACK)).precision.name == "bf16"
    loose = replace(VLLM, max_quality_loss=0.05)
    found = decided(choose(LLAMA, loose, CHAT, SLO, (offer("L40S", hosts=9, price=0.85),)))
    assert found.precision.name == "fp8"
    assert 0 < (found.quality_loss or 0) <= 0.05
    assert any(step.what == "quality" for step in found.steps)


def test_weight_only_int4_is_no_faster_under_load() -> None:
    """GPUStack, Qwen3-8B on H100: AWQ serves 27 % less than BF16 under a full load."""
    awq = Checkpoint(LLAMA.shape, PRECISIONS["awq"])
    takes = []
    for checkpoint in (LLAMA, awq):
        need = Need(checkpoint, VLLM, replace(CHAT, peak=6.0), Slo())
        way = next(each for each in ways_of(need, RACK[1:], {}).open if each.tensor == 1)
        takes.append(assess(need, way).decision.capacity or 0.0)
    assert takes[1] < 1.05 * takes[0]


def test_memory_that_others_use_is_not_counted_on() -> None:
    full, half = (
        decided(choose(LLAMA, VLLM, CHAT, Slo(), (replace(RACK[0], free_gib=free),))) for free in (None, 24.0)
    )
    assert half.memory is not None
    assert full.memory is not None
    assert half.memory.usable <= 24.0 * 1024**3 * 1.001
    assert half.memory.kv_tokens < full.memory.kv_tokens
    assert half.batching.utilization == pytest.approx(24.0 / half.gpu.memory if half.gpu else 0, abs=0.011)


def test_a_part_of_a_device_is_as_slow_and_small_as_a_part() -> None:
    need = Need(LLAMA, replace(VLLM, fraction=0.5), CHAT, SLO)
    way = ways_of(need, RACK[1:], {}).open[0]
    assert way.tensor == 1
    assert Setup(need, way).gpu.memory == pytest.approx(gpus().find("H100")[0].memory / 2)


def test_what_the_file_fixes_is_kept() -> None:
    ask = Ask(engine="vllm", quantization="none", tensor=2, max_model_len=4096, replicas=(3, 9),
              engine_args={"max_num_seqs": 24, "max_num_batched_tokens": 1024, "enable_prefix_caching": False,
                           "gpu_memory_utilization": 0.5})  # fmt: skip
    found = decided(choose(LLAMA, ask, replace(CHAT, rate=0.5, peak=0.5), Slo(), RACK))
    assert (found.engine, found.precision.name, found.tensor, found.max_model_len) == ("vllm", "bf16", 2, 4096)
    assert found.fleet.total == 3
    batching = found.batching
    assert (batching.max_num_seqs, batching.max_num_batched_tokens, batching.utilization) == (24, 1024, 0.5)
    assert not batching.prefix_caching


def test_without_a_workload_memory_alone_decides() -> None:
    found = decided(choose(LLAMA, replace(VLLM, replicas=(2, 4)), None, Slo(), RACK))
    assert (found.fleet.total, found.at_peak, found.capacity) == (2, None, None)
    assert "no workload" in found.basis


def test_small_passes_are_taken_where_gaps_between_tokens_are_what_binds() -> None:
    need = Need(LLAMA, replace(VLLM, quantization="none"), CHAT, Slo((Objective("itl", 99, 0.06),)))
    way = next(each for each in ways_of(need, RACK[:1], {}).open if each.tensor == 1)
    found = assess(need, way)
    assert found.decision.batching.max_num_batched_tokens < Setup(need, way).memory.most_tokens
    assert (found.decision.capacity or 0) > 0


def test_exact_bytes_of_a_checkpoint_are_what_lies_in_memory() -> None:
    exact = replace(LLAMA, bytes=20 * 1024**3)
    found = decided(choose(exact, replace(VLLM, quantization="none", tensor=1), CHAT, Slo(), RACK))
    assert found.memory is not None
    assert found.memory.weights == pytest.approx(20 * 1024**3, rel=0.01)
