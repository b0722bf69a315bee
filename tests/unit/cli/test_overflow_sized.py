"""A model whose fleet is decided by what it owes, and that the first target of its order has too few devices for."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.test_rack_sized import LLAMA_8B
from tests.shell import Shell
from tests.testbed.hub import Hub

GPU = 46_068 * 1024**2
HEAD = """apiVersion: infctl/v1
name: acme
targets:
  rack: {{type: yard, places: [a], gpus: {{a: [{rack}]}}, prices: {{a: [0.85, owned]}}}}
  lab: {{type: yard, places: [b], gpus: {{b: [{lab}]}}, prices: {{b: [1.2, owned]}}{lab_more}}}
  prod: {{type: platform, elastic: false, gpus: {{n1: [{gpu}, {gpu}]}}}}
  burst: {{type: platform, elastic: false, gpus: {{g6e.xlarge: [{gpu}]}}, most: 8}}
models:
"""
CHAT = """chat:
  uri: hf://meta-llama/Llama-3.1-8B-Instruct
  max_model_len: 8192
  engine: vllm
  image: me/vllm@sha256:%s
  workload: {isl: {mean: 900, p95: 3000}, osl: {mean: 220, p95: 600}, rate: 6/s, peak: 12/s}
  slo: {ttft: {p95: 500ms}, itl: {p95: 40ms}, e2e: {p99: 30s}}
  replicas: {min: 3}
  placement: {order: [rack, lab]}
""" % ("1" * 64)
OTHER = """other:
  engine: custom
  image: me/other@sha256:%s
  command: [serve]
  port: 80
  health: /up
  gpu: {count: 1}
  placement: {order: [rack]}
""" % ("2" * 64)


def write(shell: Shell, rack: int, lab: int, lab_more: str = "", models: str = CHAT) -> None:
    gpus = {name: ", ".join([str(GPU)] * many) for name, many in (("rack", rack), ("lab", lab))}
    shell.write(models, HEAD.format(**gpus, lab_more=lab_more, gpu=GPU))


@pytest.fixture
def yards(shell: Shell, hub: Hub) -> Shell:
    hub.put("meta-llama/Llama-3.1-8B-Instruct", {"config.json": json.dumps(LLAMA_8B).encode()})
    shell.env["HF_ENDPOINT"] = hub.url
    return shell


def where(shell: Shell) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in json.loads(shell("show", "-json").out)["values"]["root_module"]["resources"]:
        if each["type"] == "fake_process":
            target = each["index"].partition("/")[0]
            found[target] = found.get(target, 0) + each["values"].get("replicas", 1)
    return found


def applied(shell: Shell) -> str:
    done = shell("apply", "-auto-approve")
    assert done.code == 0, done.out + done.err
    again = shell("plan", "-detailed-exitcode", "-input=false")
    assert again.code == 0, again.out + again.err
    return " ".join(done.out.split())


def test_a_fleet_is_spread_where_both_targets_have_the_same_devices(yards: Shell) -> None:
    write(yards, 2, 2)
    said = applied(yards)
    assert "rack 2 (a 2)" in said
    assert "lab 1 (b 1)" in said
    assert "will not do all" not in said
    assert where(yards) == {"rack": 2, "lab": 1}
    pinned = (yards.folder / "inference.lock.yaml").read_text()
    assert "    rack:\n" in pinned
    assert "    lab:\n" not in pinned  # what runs there is what was decided for the rack
    assert "replicas 3" in pinned
    assert "1 replica" in yards("status").out or "3/3" in yards("status").out


def test_a_fleet_that_fits_on_the_first_target_stays_there(yards: Shell) -> None:
    write(yards, 4, 4)
    applied(yards)
    assert where(yards) == {"rack": 3}


def test_others_may_take_the_room_that_a_fleet_was_decided_for(yards: Shell) -> None:
    write(yards, 3, 1)
    assert yards("lock").code == 0
    pinned = [line for line in (yards.folder / "inference.lock.yaml").read_text().splitlines() if "decided" in line]
    write(yards, 3, 1, models=CHAT + OTHER)
    applied(yards)
    assert where(yards) == {"rack": 3, "lab": 1}
    assert pinned[0] in (yards.folder / "inference.lock.yaml").read_text()


MIXED = ", products: {b: NVIDIA A10}"


def test_devices_of_another_kind_get_a_decision_of_their_own(yards: Shell) -> None:
    easy = CHAT.replace("itl: {p95: 40ms}", "itl: {p95: 80ms}").replace("ttft: {p95: 500ms}", "ttft: {p95: 2s}")
    write(yards, 2, 4, MIXED, models=easy)
    explained = " ".join(yards("explain", "chat").out.split())
    assert "on L40S, 2 replicas; lab: " in explained
    assert json.loads(yards("explain", "chat", "-json").out)["models"][0]["more"][0]["gpu"] == "A10"
    said = applied(yards)
    spread = where(yards)
    assert spread["rack"] == 2
    assert 1 <= spread["lab"] <= 4
    pinned = (yards.folder / "inference.lock.yaml").read_text()
    assert 'decided: "gpu L40S, ' in pinned
    assert 'decided: "gpu A10, ' in pinned
    assert "chat on lab was decided for what that has: vllm, gpu A10" in said
    assert "chat on lab" not in yards("plan").out
    assert yards("lock").code == 0
    assert (yards.folder / "inference.lock.yaml").read_text() == pinned


def test_where_all_together_have_too_little_the_first_is_said_to_lack_it(yards: Shell) -> None:
    write(yards, 1, 1, MIXED)
    said = yards("plan")
    assert said.code == 1
    assert "error[slo-infeasible]" in said.err


def test_a_platform_takes_part_with_what_it_has(yards: Shell) -> None:
    write(yards, 2, 0, models=CHAT.replace("order: [rack, lab]", "order: [rack, prod]"))
    assert "prod 1" in applied(yards)
    assert where(yards) == {"rack": 2, "prod": 1}


def test_what_one_has_is_used_where_a_cloud_that_has_enough_alone_costs_more(yards: Shell) -> None:
    write(yards, 2, 0, models=CHAT.replace("order: [rack, lab]", "order: [rack, burst]"))
    assert "burst 1" in applied(yards)
    assert where(yards) == {"rack": 2, "burst": 1}


def test_a_later_target_alone_is_taken_where_that_costs_less(yards: Shell) -> None:
    write(yards, 2, 4, models=CHAT)
    (yards.folder / "inference.yaml").write_text(
        (yards.folder / "inference.yaml").read_text().replace("[0.85, owned]", "[3.5, owned]")
    )
    applied(yards)
    assert where(yards) == {"lab": 3}


def test_a_fleet_may_be_all_on_a_platform(yards: Shell) -> None:
    write(yards, 0, 0, models=CHAT.replace("order: [rack, lab]", "order: [burst]"))
    applied(yards)
    assert where(yards) == {"burst": 3}
