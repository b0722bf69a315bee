"""What sizing is asked about a model, and what targets have to offer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from infctl.desired.asks import ask_of, is_sized, offers_of
from infctl.diagnostics import InfctlError
from infctl.ops.asking import allowed_engines
from infctl.ops.sized import filled, inputs_of, size_models
from infctl.provider.values import Device, Place
from infctl.spec.assemble import load_stack
from infctl.spec.plain import stack_from, stack_to_plain
from infctl.spec.stack import Inputs, Stack
from tests.acceptance.test_rack_sized import LLAMA_8B
from tests.fakes.target_types import RackTypes

GIB = 1024**3
H100, L4 = "NVIDIA H100 80GB HBM3", "NVIDIA L4"


def place(name: str, *devices: tuple[str, int], price: float | None = None) -> Place:
    found = tuple(Device(n, f"{name}{n}", product, size * GIB, size * GIB) for n, (product, size) in enumerate(devices))
    return Place(name, 8, 64 * GIB, 64 * GIB, found, price)


def whole(*places: Place) -> dict[str, int]:
    return {device.uuid: device.memory_total for each in places for device in each.devices}


def test_devices_of_one_kind_and_price_are_one_offer() -> None:
    places = (
        place("a", (H100, 79), (H100, 79), price=2.5),
        place("b", (H100, 79), (H100, 79), (L4, 22), price=2.5),
        place("c", (H100, 79), (H100, 79), price=3.5),
        place("d"),
    )
    found = offers_of("rack", places, whole(*places))
    assert [(each.product, each.devices, each.hosts, each.price) for each in found] == [
        ("H100-SXM-80GB", 2, 2, 2.5),
        ("L4", 1, 1, 2.5),
        ("H100-SXM-80GB", 2, 1, 3.5),
        ("cpu", 0, 1, None),
    ]
    assert all(each.free_gib is None for each in found)


def test_what_others_have_is_not_on_offer_and_what_is_partly_free_is_told() -> None:
    a = place("a", (H100, 79), (H100, 79), (H100, 79))
    free = {**whole(a), "a0": 0, "a1": 40 * GIB}
    (offer,) = offers_of("rack", (a,), free)
    assert (offer.devices, offer.hosts, offer.free_gib) == (2, 1, 40)
    assert offers_of("rack", (a,), {}) == ()


def test_of_a_device_that_no_catalogue_has_nothing_is_offered() -> None:
    a = place("a", ("Acme Brain 3", 10))
    assert offers_of("rack", (a,), whole(a)) == ()


FILE = """\
apiVersion: infctl/v1
name: shop
targets: {{rack: {{type: rack}}}}
models:
  chat:
    uri: hf://meta-llama/Llama-3.1-8B-Instruct
    workload: {{isl: {{mean: 900}}, osl: {{mean: 200}}, rate: {rate}}}
    slo: {{ttft: {{p95: 500ms}}}}
  embed: {{uri: hf://BAAI/bge-m3, task: embed, engine: onnxruntime}}
  other: {{uri: hf://a/b, engine: sglang, gpu: {{count: 1}}}}
{rest}
"""


def stack_of(folder: Path, rate: str = "6/s", rest: str = "") -> Stack:
    (folder / "inference.yaml").write_text(FILE.format(rate=rate, rest=rest))
    return load_stack(Inputs(folder), RackTypes())


def test_a_model_is_sized_when_the_file_says_its_load_or_what_it_owes(tmp_path: Path) -> None:
    stack = stack_of(tmp_path)
    assert [name for name, model in stack.models.items() if is_sized(model)] == ["chat"]
    ask = ask_of(stack, stack.models["chat"])
    assert (ask.engine, ask.gpus, ask.replicas, ask.order) == ("auto", None, (1, None), ("rack",))
    assert ask.operated == ("onnxruntime", "sglang")


def test_a_decision_is_made_from_the_files_words_kept_or_read(tmp_path: Path) -> None:
    stack = stack_of(tmp_path)
    kept = stack_from(stack_to_plain(stack), tmp_path, stack.sources)
    same = inputs_of(stack, stack.models["chat"])
    assert inputs_of(kept, kept.models["chat"]) == same
    other = stack_of(tmp_path, rate="7/s")
    assert inputs_of(other, other.models["chat"]) != same


def test_a_field_that_came_later_changes_no_decision_that_was_made_without_it(tmp_path: Path) -> None:
    stack = stack_of(tmp_path)
    assert inputs_of(stack, stack.models["chat"]) == "3954d256e6384af2"  # as before there was prefix_cache_hit_rate
    cached = stack_of(tmp_path, rate="6/s, prefix_cache_hit_rate: 40%")
    assert inputs_of(cached, cached.models["chat"]) != inputs_of(stack, stack.models["chat"])


def test_nothing_is_decided_without_knowing_what_there_is(tmp_path: Path) -> None:
    stack = stack_of(tmp_path)
    assert size_models(stack, {}, None, {}, renamed={}).models == {}
    assert filled(stack, {}) is stack


def test_who_finds_nothing_to_run_on_is_told_where_to_look(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text(json.dumps(LLAMA_8B))
    path = tmp_path / "inference.yaml"
    path.write_text(
        "apiVersion: infctl/v1\nname: shop\ntargets: {rack: {type: rack}}\n"
        "models:\n  chat: {uri: 'file:m', workload: {isl: {mean: 9}, osl: {mean: 9}, rate: 1/s}}\n"
    )
    stack = load_stack(Inputs(tmp_path), RackTypes())
    with pytest.raises(InfctlError) as failed:
        size_models(stack, {}, lambda _: (), {}, renamed={})
    (told,) = failed.value.diagnostics
    assert (told.code, told.path) == ("slo-infeasible", "models.chat")
    assert "infctl explain chat" in told.hint
    assert "infctl doctor" in told.hint


def test_a_denied_engine_is_not_chosen(tmp_path: Path) -> None:
    assert allowed_engines(stack_of(tmp_path)) == ()
    denying = stack_of(tmp_path, rest="policies: {deny: [{engine: vllm, reason: no}, {engine: tgi, task: embed}]}")
    assert "vllm" not in allowed_engines(denying)
    assert {"tgi", "sglang"} <= set(allowed_engines(denying))


def test_a_model_that_owes_latencies_and_says_no_load_is_named(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text(json.dumps(LLAMA_8B))
    path = tmp_path / "inference.yaml"
    path.write_text(
        "apiVersion: infctl/v1\nname: shop\ntargets: {rack: {type: rack}}\n"
        "models:\n  chat: {uri: 'file:m', slo: {ttft: {p95: 500ms}}}\n  odd: {uri: 'hf://a/b', workload: {rate: 1/s}}\n"
    )
    stack = load_stack(Inputs(tmp_path), RackTypes())
    offers = offers_of("rack", (place("a", (H100, 79)),), whole(place("a", (H100, 79))))
    env = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    with pytest.raises(InfctlError) as failed:
        size_models(stack, {}, lambda _: offers, env, renamed={})
    assert [each.path for each in failed.value.diagnostics] == ["models.odd.uri"]
    alone = replace(stack, models={"chat": stack.models["chat"]})
    found = size_models(alone, {}, lambda _: offers, env, renamed={})
    assert [(each.code, each.path) for each in found.warnings] == [("no-load", "models.chat.slo")]
    assert found.models["chat"].decided.gpu == "H100-SXM-80GB"
