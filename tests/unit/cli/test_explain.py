"""`infctl explain`: the decision with its arithmetic, by what targets have, as text, document and page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from infctl.catalog.gpus import gpus
from infctl.views.explain_html import explain_html
from tests.shell import Shell

GPU = 46_068 * 1024**2
HEAD = f"""apiVersion: infctl/v1
name: acme
targets:
  rack:
    type: yard
    places: [a, b]
    gpus: {{a: [{GPU}, {GPU}, {GPU}, {GPU}], b: [{GPU}, {GPU}, {GPU}, {GPU}]}}
    prices: {{a: [0.85, owned], b: [0.85, owned]}}%s
models:
"""
CHAT = """chat:
  uri: hf://meta-llama/Llama-3.1-8B-Instruct
  max_model_len: 8192
  workload: {isl: {mean: 900, p95: 3000}, osl: {mean: 220, p95: 600}, rate: 6/s, peak: 12/s}
  slo: {ttft: {p95: 500ms}, itl: {p95: 40ms}, e2e: {p99: 30s}, availability: 99.9%}
  replicas: {min: 2, max: 8}
"""


@pytest.fixture
def yard(tmp_path: Path) -> Shell:
    """A stack on hosts with L40S; the hub answers nobody, so that the catalogue says what the model is."""
    made = Shell(tmp_path, {"HF_ENDPOINT": "http://127.0.0.1:9"})
    made.write(CHAT, HEAD % "")
    return made


def model_of(shell: Shell, *flags: str) -> dict[str, object]:
    done = shell("explain", "chat", "-json", *flags)
    found: dict[str, object] = json.loads(done.out)["models"][0]
    return found


def test_the_text_has_every_part_of_the_arithmetic(yard: Shell) -> None:
    done = yard("explain", "chat")
    assert done.code == 0, done.err
    for said in ("chat  rack: ", "on L40S", "weights", "KV cache", "activations", "graphs", "max_num_seqs",
                 "max_num_batched_tokens", "TTFT P95", "ITL P95", "E2E P99", "500 ms ✓", "goodput", "Capacity",
                 "Replicas", "spare for 99.9 %", "/h (the fleet's list)", "of 1M tokens in and out",
                 "Why", "compatibility", "Next best"):  # fmt: skip
        assert said in done.out, said
    assert "No target's inventory" not in done.out


def test_lines_fit_narrow_and_wide_terminals(yard: Shell) -> None:
    for width in (80, 200):
        yard.env["COLUMNS"] = str(width)
        lines = yard("explain", "chat").out.splitlines()
        assert max(map(len, lines)) <= width
        table = [line for line in lines if re.match(r"  (TTFT|ITL|E2E) P\d\d ", line)]
        assert len(table) == 9
        assert len({re.match(r"  \S+ P\d\d +", line).end() for line in table}) == 1  # type: ignore[union-attr]  # all match


def test_the_document_says_the_same_in_numbers(yard: Shell) -> None:
    found = json.loads(yard("explain", "-json").out)
    assert (found["format_version"], found["stack"]) == ("1.0", "acme")
    model = found["models"][0]
    decision = model["decision"]
    assert model["live"]
    assert decision["gpu"] == "L40S"
    parts = sum(decision["memory"][name] for name in ("weights", "kv", "activations", "graphs", "other"))
    assert decision["memory"]["total"] == pytest.approx(parts, rel=1e-6)
    assert decision["memory"]["total"] <= decision["memory"]["free"]
    fleet = decision["replicas"]
    assert fleet["total"] == max(2, fleet["peak"] + fleet["spare"])
    assert decision["at_peak"]["rate"] * (fleet["total"] - fleet["spare"]) == pytest.approx(12.0)
    assert decision["cost"]["per_hour"] == pytest.approx(0.85 * fleet["total"] * decision["gpus"])
    assert [each["rate"] for each in model["loads"]] == sorted(each["rate"] for each in model["loads"])
    assert 1 <= len(model["alternatives"]) <= 3
    assert model["clash"] is None


def test_what_the_file_fixes_is_judged_and_a_miss_fails(yard: Shell) -> None:
    fixed = CHAT.replace("replicas: {min: 2, max: 8}", "replicas: 1").replace("p95: 40ms", "p95: 2ms")
    yard.write(fixed + "  engine: vllm\n  quantization: none\n  gpu: {count: 1}\n", HEAD % "")
    done = yard("explain", "chat")
    assert done.code == 1
    assert "no plan; nearest: rack: vllm" in done.out
    assert "itl p95 ≤ 2 ms" in done.out
    assert "Ways out, the cheapest first:" in done.out
    clash = model_of(yard)["clash"]
    assert isinstance(clash, dict)
    assert {"path": "slo.itl.p95", "said": "itl p95 ≤ 2 ms"} in clash["constraints"]


def test_devices_that_strangers_use_are_not_counted_on(yard: Shell) -> None:
    others = ", ".join(f"a-gpu{index}: {GPU // 2}, b-gpu{index}: {GPU // 2}" for index in range(4))
    yard.write(CHAT, HEAD % f"\n    others: {{{others}}}")
    done = yard("explain", "chat")
    assert done.code == 1
    assert "chat  no plan" in done.out
    assert "In the way: nothing to run on" in done.out


def test_a_device_that_nobody_knows_is_named(yard: Shell) -> None:
    yard.write(CHAT, HEAD % "\n    products: {a: Toy 10}")
    done = yard("explain", "chat")
    assert done.code == 0, done.err
    assert "Toy 10: the catalogue does not know this device" in " ".join(done.out.split())


def test_a_target_without_a_price_is_said_to_have_none(yard: Shell) -> None:
    yard.write(CHAT, HEAD.replace("    prices: {a: [0.85, owned], b: [0.85, owned]}", "") % "")
    assert "Cost not known: no price of rack is" in " ".join(yard("explain", "chat").out.split())


def test_without_asking_targets_the_catalogue_is_what_there_is(yard: Shell) -> None:
    done = yard("explain", "chat", "-refresh=false")
    assert done.code == 0, done.err
    assert "No target's inventory was read" in done.out
    found = model_of(yard, "-refresh=false")
    assert not found["live"]
    decision = found["decision"]
    assert isinstance(decision, dict)
    assert gpus().rows[decision["gpu"]].market == "datacenter"
    alternatives = json.dumps(found["alternatives"])
    assert not any(name in alternatives for name, row in gpus().rows.items() if row.market == "gaming")


def test_the_page_needs_no_network_and_is_whole(yard: Shell, tmp_path: Path) -> None:
    done = yard("explain", "chat", "-html", "chat.html")
    assert done.last == "Drawn in chat.html."
    page = (tmp_path / "chat.html").read_text()
    assert not re.search(r"(src|href)=|url\(|@import|<script", page)
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) == 4  # three latencies, and one GPU's memory
    for drawing in drawings:
        ET.fromstring(drawing)  # noqa: S314  # our own page
    assert "TTFT P95 ≤ 500 ms" in page
    assert page.count('class="curve"') == 9
    assert "prefers-color-scheme: dark" in page


def test_names_of_a_file_cannot_break_the_page(yard: Shell, tmp_path: Path) -> None:
    yard.write(CHAT.replace("hf://meta-llama/Llama-3.1-8B-Instruct", '"hf://meta-llama/Llama-3.1-8B"'), HEAD % "")
    assert yard("explain", "-html", "p.html").code == 0
    view = json.loads(yard("explain", "-json").out)
    view["models"][0]["name"] = view["models"][0]["uri"] = view["stack"] = "<script>alert(1)</script>"
    assert "<script>" not in explain_html(view)


def test_a_model_without_a_workload_has_its_memory_explained(yard: Shell) -> None:
    yard.write("chat:\n  uri: hf://meta-llama/Llama-3.1-8B-Instruct\n", HEAD % "")
    out = yard("explain").out
    assert "say workload: {isl, osl, rate}" in out
    assert "KV cache" in out


def test_names_that_are_none_and_shapes_that_nobody_knows(yard: Shell) -> None:
    assert "error[no-such-model]" in yard("explain", "chap").err
    assert 'did you mean "chat"?' in yard("explain", "chap").err
    yard.write("odd:\n  uri: hf://acme/odd-model\n", HEAD % "")
    failed = yard("explain", "odd")
    assert failed.code == 1
    assert "error[" in failed.err


def test_a_trace_is_the_workload_where_the_file_names_one(yard: Shell, tmp_path: Path) -> None:
    rows = "".join(f"{index * 0.5},{300 + index % 7},{50 + index % 3}\n" for index in range(300))
    (tmp_path / "chat.csv").write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n" + rows)
    load = "{isl: {mean: 900, p95: 3000}, osl: {mean: 220, p95: 600}, rate: 6/s, peak: 12/s}"
    yard.write(CHAT.replace(load, "{trace: chat.csv}"), HEAD % "")
    done = yard("explain", "chat")
    assert done.code == 0, done.err + done.out
    assert "300 requests of chat.csv" in " ".join(done.out.split())


def test_what_a_prefix_cache_has_is_not_reckoned_again_and_is_shown(yard: Shell) -> None:
    def ttft() -> float:
        decision = model_of(yard)["decision"]
        assert isinstance(decision, dict)
        return float(decision["at_rate"]["latency"]["ttft_p50"]["value"])

    engine = CHAT.replace("  replicas:", "  engine: vllm\n  gpu: {count: 1}\n  replicas:").replace(
        "min: 2, max: 8", "min: 4, max: 4"
    )
    yard.write(engine, HEAD % "")
    fresh = ttft()
    cached = engine.replace("peak: 12/s}", "peak: 12/s, prefix_cache_hit_rate: 60%}")
    yard.write(cached, HEAD % "")
    assert ttft() < 0.8 * fresh
    assert "60 % of a question cached" in " ".join(yard("explain", "chat").out.split())
    yard.write(cached + "  engine_args: {enable_prefix_caching: false}\n", HEAD % "")
    assert ttft() == fresh
    yard.write(cached.replace("60%", "120%"), HEAD % "")
    assert "expected a share of at most 100%" in yard("validate").err


def test_an_encoder_has_no_cache_and_no_tokens(yard: Shell) -> None:
    fields = "task: embed\n  workload: {isl: {mean: 400}, rate: 20/s}\n  slo: {e2e: {p95: 80ms}}"
    yard.write(f"embed:\n  uri: hf://BAAI/bge-m3\n  {fields}\n", HEAD % "")
    out = yard("explain", "embed", "-html", "p.html").out
    assert "onnxruntime" in out
    assert "80 ms ✓" in out
    for absent in ("KV cache", "ITL", "TTFT", "tokens out"):
        assert absent not in out
    page = (yard.folder / "p.html").read_text()
    assert page.count("<figcaption>") == 1
