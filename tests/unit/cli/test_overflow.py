"""Replicas that the first target of their order has no room for go on to the next, from the command line."""

from __future__ import annotations

import json

import pytest

from tests.shell import Shell

GIB = 1 << 30
TARGETS = """
  rack: {type: yard, places: [a, b], gpus: {a: [81920], b: [81920]}}
  lab: {type: yard, places: [c], gpus: {c: [40960, 40960]}}
  prod: {type: platform}
  burst: {type: platform, elastic: false, gpus: {one: [40960]}, most: 2}
  large: {type: platform, elastic: false, gpus: {g6e.12xlarge: [40960, 40960, 40960, 40960]}, most: 2}
  small: {type: platform, elastic: false, gpus: {n1: [40960], n2: [40960]}}
"""
HEAD = f"apiVersion: infctl/v1\nname: acme\ntargets:{TARGETS}models:\n"
SERVES = f"engine: custom, image: 'me/chat@sha256:{'1' * 64}', command: [serve], port: 80, health: /up"


def chat(replicas: int, order: str = "rack, lab", **more: str) -> str:
    said = "".join(f", {name}: {value}" for name, value in more.items())
    return f"chat: {{{SERVES}, replicas: {replicas}, gpu: {{count: 1}}, placement: {{order: [{order}]}}{said}}}\n"


def small(replicas: int, order: str) -> str:
    return f"small: {{uri: 'file:m.gguf', replicas: {replicas}, placement: {{order: [{order}]}}}}\n"


def where(shell: Shell) -> dict[str, dict[str, int]]:
    """Return model -> target -> replicas, as state has them."""
    found: dict[str, dict[str, int]] = {}
    for each in json.loads(shell("show", "-json").out)["values"]["root_module"]["resources"]:
        if each["type"] == "fake_process":
            target = each["index"].partition("/")[0]
            mine = found.setdefault(each["name"], {})
            mine[target] = mine.get(target, 0) + each["values"].get("replicas", 1)
    return found


def applied(shell: Shell, models: str) -> str:
    shell.write(models, HEAD)
    done = shell("apply", "-auto-approve")
    assert done.code == 0, done.out + done.err
    again = shell("plan", "-detailed-exitcode")
    assert (again.code, "No changes" in again.out) == (0, True), again.out + again.err
    return " ".join(done.out.split())


def test_the_next_target_takes_what_the_first_has_no_room_for(shell: Shell) -> None:
    said = applied(shell, chat(3))
    assert where(shell) == {"chat": {"rack": 2, "lab": 1}}
    assert "rack 2 (a 1, b 1)" in said
    assert "lab 1 (c 1)" in said
    assert "rack has room for 2 of 3 replicas, 1 to lab" in said


def ids(shell: Shell) -> dict[str, str]:
    """Return the id of each replica by its address, as state has it."""
    found = json.loads(shell("state", "pull").out)["resources"]
    every = found.values() if isinstance(found, dict) else found
    return {each["address"]: each["id"] for each in every if each["address"].startswith("fake_process")}


def test_what_runs_stays_while_replicas_come_and_go(shell: Shell) -> None:
    applied(shell, chat(2))
    before, lock = ids(shell), (shell.folder / "inference.lock.yaml").read_text()
    assert "2 to lab" in applied(shell, chat(4))
    assert where(shell) == {"chat": {"rack": 2, "lab": 2}}
    assert before.items() <= ids(shell).items()
    assert (shell.folder / "inference.lock.yaml").read_text() == lock
    applied(shell, chat(3))
    assert where(shell) == {"chat": {"rack": 2, "lab": 1}}
    assert before.items() <= ids(shell).items()


def test_room_on_the_first_target_later_moves_nothing(shell: Shell) -> None:
    other = chat(1, "rack").replace("chat:", "other:")
    applied(shell, other + chat(2))
    assert where(shell) == {"other": {"rack": 1}, "chat": {"rack": 1, "lab": 1}}
    applied(shell, chat(2))
    assert where(shell) == {"chat": {"rack": 1, "lab": 1}}
    applied(shell, chat(3))
    assert where(shell) == {"chat": {"rack": 2, "lab": 1}}


def test_the_next_in_the_order_comes_before_the_last_though_some_are_there_already(shell: Shell) -> None:
    applied(shell, chat(3, "rack, prod"))
    assert where(shell) == {"chat": {"rack": 2, "prod": 1}}
    applied(shell, chat(5, "rack, lab, prod"))
    assert where(shell) == {"chat": {"rack": 2, "lab": 2, "prod": 1}}


def test_of_two_models_the_one_that_may_goes_elsewhere(shell: Shell) -> None:
    other = chat(2, "rack").replace("chat:", "other:")
    applied(shell, chat(1) + other)
    assert where(shell) == {"other": {"rack": 2}, "chat": {"lab": 1}}


def test_a_new_revision_that_no_longer_fits_goes_on_too(shell: Shell) -> None:
    applied(shell, chat(1, "rack, lab"))
    assert where(shell) == {"chat": {"rack": 1}}
    applied(shell, chat(1, "rack, lab").replace("count: 1", "count: 2"))
    assert where(shell) == {"chat": {"lab": 1}}


@pytest.mark.parametrize(
    ("order", "split"), [("tight, cloud", {"tight": 1, "cloud": 2}), ("cloud, tight", {"cloud": 2, "tight": 1})]
)
def test_a_target_that_places_by_itself_takes_its_part(shell: Shell, order: str, split: dict[str, int]) -> None:
    roomy = HEAD.replace("models:", "  tight: {type: fleet, places: [d]}\nmodels:")
    shell.write(small(1, "tight"), roomy)
    assert shell("plan", "-out=p").code == 0
    (model,) = json.loads(shell("show", "-json", "p").out)["infctl"]["models"].values()
    need = model["memory"]["total"]
    cloud = f"  cloud: {{type: memory, memory: {int(need * 2.5)}}}\n"
    tight = f"  tight: {{type: fleet, places: [d], memory: {int(need * 1.5)}}}\n"
    head = HEAD.replace("models:", f"{cloud}{tight}models:")
    shell.write(small(3, order), head)
    done = shell("apply", "-auto-approve")
    assert done.code == 0, done.out + done.err
    assert where(shell) == {"small": split}
    assert "No changes" in shell("plan").out
    shell.write(small(4, order), head)
    assert "error[no-room]" in shell("plan").err


def test_a_platform_takes_whatever_is_left_and_hosts_what_a_platform_has_no_room_for(shell: Shell) -> None:
    assert "3 to prod" in applied(shell, chat(5, "rack, prod"))
    assert where(shell) == {"chat": {"rack": 2, "prod": 3}}
    applied(shell, chat(6, "rack, prod"))
    assert where(shell) == {"chat": {"rack": 2, "prod": 4}}
    applied(shell, chat(3, "rack, prod"))
    assert where(shell) == {"chat": {"rack": 2, "prod": 1}}


def test_hosts_take_what_a_platform_has_no_devices_for(shell: Shell) -> None:
    applied(shell, chat(1, "small, rack"))
    assert where(shell) == {"chat": {"small": 1}}
    applied(shell, chat(4, "small, rack"))
    assert where(shell) == {"chat": {"small": 2, "rack": 2}}


def test_no_more_instances_are_counted_on_than_may_be_begun(shell: Shell) -> None:
    applied(shell, chat(3, "burst, rack"))
    assert where(shell) == {"chat": {"burst": 2, "rack": 1}}
    applied(shell, chat(4, "burst, rack"))
    assert where(shell) == {"chat": {"burst": 2, "rack": 2}}
    shell.write(chat(3, "rack, burst").replace("chat:", "other:") + chat(4, "burst, rack"), HEAD)
    said = shell("plan")
    assert "error[no-room]" in said.err
    assert "no more of burst's places may be begun" in said.err


def test_an_instance_is_one_replicas_and_costs_what_all_of_it_costs(shell: Shell) -> None:
    said = applied(shell, chat(3, "large, rack"))
    assert where(shell) == {"chat": {"large": 2, "rack": 1}}
    assert "Cost: $0.00/h → $20.99/h, by g6e.12xlarge in us-east-1, on demand: AWS on-demand list" in said
    assert "Not in it: no price of rack is known." in said


def test_where_no_target_has_room_all_are_named(shell: Shell) -> None:
    shell.write(chat(5), HEAD)
    said = shell("plan")
    assert said.code == 1
    assert "rack and lab have no room for chat" in said.err
    for place in ("rack/a", "rack/b", "lab/c"):
        assert f"{place}: none of its" in said.err
    assert "hint:" in said.err


def test_a_replica_that_is_asked_for_by_its_address_goes_nowhere_else(shell: Shell) -> None:
    shell.write(chat(3), HEAD)
    said = shell("plan", '-target=fake_process.chat["rack/2"]', '-target=fake_process.chat["rack/1"]',
                 '-target=fake_process.chat["rack/0"]')  # fmt: skip
    assert "error[no-room]" in said.err
