"""A plan that no longer holds: what is said for each thing that is different now."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infctl.apply.pin import stale
from infctl.plan.model import Action, Assumption, Plan, ResourceChange
from infctl.provider.values import Device, Inventory, Observed, Place
from infctl.state.model import State
from tests.unit.apply.bench import create, delete, replica_at

STATE = State("lin", "shop", serial=4)
LIVE = Observed(replica_at("chat"), "a", "shop-chat", "here", {"memory": 1, "tags": {"team": "x"}}, {"url": "u"}, None)
GIB = 1024**3


def plan_of(*assumptions: Assumption) -> Plan:
    change = ResourceChange(
        LIVE.address, "here", "memory", "chat", Action.DELETE, LIVE.values, None, id_before="a", id_after="b"
    )
    gone = replace(delete("s1", "chat", "a"), seen=LIVE.fingerprint)
    steps = (gone, create("s2", "chat", "b", "s1"))
    return Plan("lin", 4, "shop", "default", "0.1", resource_changes=(change,), steps=steps, assumptions=assumptions)


def said(plan: Plan, state: State = STATE, *live: Observed, **facts: str) -> list[tuple[str, str]]:
    gpu = Device(0, "GPU-1", "Toy", 24 * GIB, 3 * GIB)
    inventories = {"here": Inventory((Place("one", 8, 8 * GIB, 2 * GIB), Place("two", 8, 8 * GIB, 1 * GIB, (gpu,))))}
    named = {what.replace("_", ":", 1): value for what, value in facts.items()}
    found = stale(plan, state, {thing.id: thing for thing in live or (LIVE,)}, inventories, named)
    assert all(diagnostic.code == "plan-stale" and "infctl plan" in diagnostic.hint for diagnostic in found)
    return [
        (d.summary.removeprefix("The plan is out of date: ").removesuffix(" is not what it was"), d.detail)
        for d in found
    ]


def test_a_plan_that_holds_has_nothing_to_say() -> None:
    assert said(plan_of()) == []


def test_another_state() -> None:
    assert said(plan_of(), replace(STATE, lineage="other")) == [("the lineage of the state", "lin -> other")]
    assert said(plan_of(), replace(STATE, serial=5)) == [("the serial of the state", "4 -> 5")]


MOVED, STOPPED = replace(LIVE, outputs={"url": "v"}), replace(LIVE, running=False)
CHANGED = replace(LIVE, values={"memory": 2, "tags": {"team": "y"}})


@pytest.mark.parametrize(
    ("live", "detail"),
    [
        (CHANGED, "memory 1, tags.team 'x' -> memory 2, tags.team 'y'"),
        (MOVED, f"fingerprint {LIVE.fingerprint} -> {MOVED.fingerprint}"),
        (STOPPED, f"fingerprint {LIVE.fingerprint} -> {STOPPED.fingerprint}, stopped"),
        (replace(LIVE, id="else"), "there -> gone"),
    ],
)
def test_another_object(live: Observed, detail: str) -> None:
    assert said(plan_of(), STATE, live) == [('fake_process.chat["here/0"]', detail)]


def test_an_object_that_a_killed_run_has_already_made() -> None:
    made = replace(LIVE, id="b", name="shop-chat-new")
    assert said(plan_of(), STATE, LIVE, made) == [('fake_process.chat["here/0"]', "not there -> shop-chat-new is")]


@pytest.mark.parametrize(
    ("what", "needs", "detail"),
    [
        ("memory:here", 3 * GIB, None),
        ("memory:here", 4 * GIB, "4.00 GiB needed of 5.00 GiB free -> 3.00 GiB free"),
        ("memory:here/two", 2 * GIB, "2.00 GiB needed of 5.00 GiB free -> 1.00 GiB free"),
        ("memory:elsewhere", 2 * GIB, None),
    ],
)
def test_memory(what: str, needs: int, detail: str | None) -> None:
    found = said(plan_of(Assumption(what, 5 * GIB, needs)))
    assert found == ([(f"the free memory of {what[7:]}", detail)] if detail else [])


@pytest.mark.parametrize(("needs", "is_stale"), [(3 * GIB, False), (4 * GIB, True)])
def test_a_device(needs: int, is_stale: bool) -> None:
    found = said(plan_of(Assumption("device:here/two/GPU-1", 5 * GIB, needs)))
    detail = "4.00 GiB needed of 5.00 GiB free -> 3.00 GiB free"
    assert found == ([("the free memory of GPU here/two/GPU-1", detail)] if is_stale else [])


def test_files_and_secrets() -> None:
    assumptions = (Assumption("checksum:x", "aa"), Assumption("secret:hf", "bb"), Assumption("secret:unknown", ""))
    assert said(plan_of(*assumptions), checksum_x="aa", secret_hf="bb", secret_unknown="cc") == []
    assert said(plan_of(*assumptions), checksum_x="zz") == [
        ("the file x", "aa -> zz"),
        ("the secret hf", "bb -> it cannot be read"),
    ]
