"""Where there is no plan: what clashes is minimal, and each way out is one."""

from __future__ import annotations

import re
from dataclasses import replace

from infctl.sizing.choose import choose
from infctl.sizing.constraints import Question, constraints_of
from infctl.sizing.decision import Ask, Choice, Clash, Objective, Offer, Slo
from infctl.sizing.setup import Need
from tests.unit.sizing.asked import CHAT, LLAMA, SLO, offer

VLLM = Ask(engine="vllm", max_model_len=8192)


def clash(choice: Choice) -> Clash:
    assert choice.clash is not None
    return choice.clash


def said(found: Clash) -> list[str]:
    return [each.said for each in found.constraints]


def test_too_few_gpus_are_named_with_how_many_more_and_where_to_go_instead() -> None:
    rack, burst = offer("L40S", 1, 2, price=0.85), offer("L40S", 4, None, price=2.1, target="burst")
    found = clash(choose(LLAMA, VLLM, CHAT, SLO, (rack,), elsewhere=(burst,)))
    assert any("2 L40S on rack" in each for each in said(found))
    more = next(way for way in found.ways if "more L40S" in way)
    assert re.match(r"\d+ more L40S on rack \(\$", more)
    assert any(way.startswith("burst: {to: burst}") for way in found.ways)
    count = int(more.split()[0])
    enough = replace(rack, hosts=2 + count)
    assert choose(LLAMA, VLLM, CHAT, SLO, (enough,)).clash is None
    assert clash(choose(LLAMA, VLLM, CHAT, SLO, (replace(enough, hosts=1 + count),)))


def test_a_context_that_no_cache_holds_is_shortened_to_one_that_does() -> None:
    small = offer("RTX 4090", 1, 4)
    ask = replace(VLLM, max_model_len=131_072, quantization="none")
    found = clash(choose(LLAMA, ask, None, Slo(), (small,)))
    assert said(found) == ["max_model_len 131,072"]
    assert found.constraints[0].path == "max_model_len"
    way = found.ways[0]
    fits = int(way.removeprefix("max_model_len ≤ ").replace(",", ""))
    assert choose(LLAMA, replace(ask, max_model_len=fits), None, Slo(), (small,)).clash is None
    assert choose(LLAMA, replace(ask, max_model_len=fits + 1024), None, Slo(), (small,)).clash is not None


def test_a_latency_that_nothing_reaches_is_loosened_to_one_that_is_reached() -> None:
    tight = Slo((Objective("itl", 50, 0.003), Objective("ttft", 95, 2.0)))
    rack = (offer("L40S", 1, 40),)
    found = clash(choose(LLAMA, VLLM, CHAT, tight, rack))
    assert "itl p50 ≤ 3 ms" in said(found)
    assert not any("ttft" in each for each in said(found))
    bound = float(next(re.findall(r"itl p50 ≤ ([\d.]+) ms", way)[0] for way in found.ways if way.startswith("itl p50")))
    looser = Slo((Objective("itl", 50, (bound + 1) / 1000), Objective("ttft", 95, 2.0)))
    assert choose(LLAMA, VLLM, CHAT, looser, rack).clash is None


def test_replicas_at_most_and_cost_at_most_are_constraints_too() -> None:
    rack = (offer("L40S", 8, 8, price=0.85),)
    few = clash(choose(LLAMA, replace(VLLM, replicas=(1, 1)), replace(CHAT, peak=60.0), SLO, rack))
    assert "replicas at most 1" in said(few)
    assert any(way.startswith("replicas: {max: ") for way in few.ways)
    dear = clash(choose(LLAMA, VLLM, CHAT, replace(SLO, max_cost_per_1m=0.001), rack))
    assert said(dear) == ["max_cost_per_1m_tokens $0.001"]
    assert any(way.startswith("max_cost_per_1m_tokens: 0.") for way in dear.ways)


def test_what_clashes_is_minimal_each_one_gone_gives_a_plan() -> None:
    rack = (offer("L40S", 1, 2, price=0.85), offer("L4", 1, 2, price=0.5))
    tight = Slo((Objective("itl", 50, 0.02), Objective("e2e", 95, 6.0), Objective("ttft", 95, 1.0)), 0.99, 0.999, 5.0)
    ask = replace(VLLM, quantization="none", gpus=1, replicas=(1, 8))
    found = clash(choose(LLAMA, ask, CHAT, tight, rack))
    asked = Question(Need(LLAMA, ask, CHAT, tight), rack)
    held = {each.constraint: each for each in constraints_of(asked)}
    assert set(found.constraints) <= set(held)
    rest = asked
    for constraint, each in held.items():
        if constraint not in found.constraints:
            rest = each.without(rest)

    def has_plan(question: Question) -> bool:
        need = question.need
        return choose(LLAMA, need.ask, CHAT, need.slo, question.offers).clash is None

    assert not has_plan(rest)
    for constraint in found.constraints:
        assert has_plan(held[constraint].without(rest)), constraint.said


def test_where_nothing_starts_the_refusals_are_the_reason() -> None:
    found = choose(LLAMA, Ask(engine="llama.cpp"), CHAT, SLO, (offer("L40S"),))
    assert found.decision is None
    assert "llama.cpp" in said(clash(found))[0]
    assert clash(found).ways
    nothing = choose(LLAMA, VLLM, CHAT, SLO, ())
    assert said(clash(nothing)) == ["nothing to run on"]


def test_a_fixed_file_is_judged_with_its_figures() -> None:
    ask = replace(VLLM, quantization="none", gpus=1, replicas=(1, 1))
    found = choose(LLAMA, ask, CHAT, Slo((Objective("itl", 50, 0.015),)), (offer("L40S", 1, 1),))
    assert found.clash is not None
    assert found.decision is not None
    assert (found.decision.product, found.decision.gpus) == ("L40S", 1)
    assert "itl p50 ≤ 15 ms" in said(found.clash), found.clash
    assert "itl p50" in found.clash.detail


def test_a_host_without_gpus_cannot_serve_what_is_no_gguf() -> None:
    found = choose(LLAMA, Ask(), CHAT, SLO, (Offer("here", (), 0, 1),))
    assert found.decision is None
    assert clash(found)
