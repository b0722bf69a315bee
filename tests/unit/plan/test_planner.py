"""The planner over a toy target: what it decides, in which order, and that it is empty the second time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infctl.address import Address, parse_address
from infctl.diagnostics import InfctlError
from infctl.placement.room import Rollout
from infctl.plan.file import read_plan, write_plan
from infctl.plan.model import Action, Mode, Plan, Step
from infctl.plan.planner import make_plan
from infctl.plan.request import Request
from infctl.provider.values import Probe, Unreadable
from infctl.state.moves import rename_model
from tests.unit.plan.toys import Toy, Wish, wish


def does(plan: Plan) -> list[str]:
    return [f"{step.do} {step.address}" for step in plan.steps]


def position(plan: Plan, do: str, what: str) -> int:
    return next(i for i, step in enumerate(plan.steps) if step.do == do and what in f"{step.address} {step.name}")


def backends_of(step: Step) -> tuple[Mapping[str, Any], ...]:
    assert step.set is not None
    found: tuple[Mapping[str, Any], ...] = step.set["backends"]
    return found


def applied(*wishes: Wish) -> Toy:
    toy = Toy()
    toy.carry_out(toy.plan(*wishes))
    return toy


def codes(caught: pytest.ExceptionInfo[InfctlError]) -> list[str]:
    return [str(d.code) for d in caught.value.diagnostics]


def test_the_first_plan_creates_support_replica_route_in_this_order() -> None:
    plan = Toy().plan(wish())
    assert does(plan) == ["create toy_relay.here", 'create toy_engine.chat["here/0"]', 'create toy_route.chat["here"]']
    assert plan.models[0].rollout is Rollout.FIRST
    assert plan.models[0].revision_after == 1


@pytest.mark.parametrize("wishes", [(wish(),), (wish(replicas=3), wish("embed", 2))])
def test_a_second_plan_is_empty(wishes: tuple[Wish, ...]) -> None:
    toy = applied(*wishes)
    plan = toy.plan(*wishes)
    assert plan.is_empty, plan


def test_first_replica_gates_the_others() -> None:
    plan = Toy().plan(wish(replicas=3))
    engines = [step for step in plan.steps if step.address.kind == "toy_engine"]
    assert all(engines[0].id in step.needs for step in engines[1:])
    assert all(step.gate for step in engines)


def test_with_room_all_new_ones_stand_before_one_switch_and_the_old_leave_last() -> None:
    toy = applied(wish(replicas=3, ctx=1))
    plan = toy.plan(wish(replicas=3, ctx=2))
    assert plan.models[0].rollout is Rollout.SURGE
    assert [str(step.do) for step in plan.steps] == ["create"] * 3 + ["switch"] + ["drain"] * 3 + ["delete"] * 3
    assert all(c.action is Action.REPLACE_BESIDE for c in plan.changes if c.address.kind == "toy_engine")
    assert plan.models[0].fields[0].path == ("args", "ctx")
    toy.carry_out(plan)
    assert toy.plan(wish(replicas=3, ctx=2)).is_empty
    assert {seen.name for seen in toy.live.values() if "engine" in seen.address.kind} == {
        "acme-chat-r2-0", "acme-chat-r2-1", "acme-chat-r2-2",
    }  # fmt: skip


def test_with_room_for_one_they_roll_one_by_one() -> None:
    toy = applied(wish(replicas=3, ctx=1))
    toy.free = 15
    plan = toy.plan(wish(replicas=3, ctx=2))
    assert plan.models[0].rollout is Rollout.ROLLING
    rhythm = [str(step.do) for step in plan.steps]
    assert rhythm == ["create", "switch", "drain", "delete"] * 3
    backends = [[item["url"].id for item in backends_of(step)] for step in plan.steps if step.do == "switch"]
    new = [step.object for step in plan.steps if step.do == "create"]
    assert [sum(ident in new for ident in each) for each in backends] == [1, 2, 3]
    toy.carry_out(plan)
    assert toy.plan(wish(replicas=3, ctx=2)).is_empty


def test_without_room_the_old_leaves_first_and_the_plan_says_so() -> None:
    toy = applied(wish(ctx=1))
    toy.free = 5
    plan = toy.plan(wish(ctx=2))
    assert plan.models[0].rollout is Rollout.SWAP
    assert plan.models[0].downtime
    assert [str(step.do) for step in plan.steps] == ["switch", "drain", "delete", "create", "switch"]
    assert backends_of(plan.steps[0]) == ()
    assert plan.steps[2].undo is not None
    assert plan.steps[2].undo.do == "create"


def test_what_only_one_may_have_makes_the_old_leave_first() -> None:
    def fixed(ctx: int) -> Wish:
        target, asked = wish(ctx=ctx)
        return target, replace(asked, template=replace(asked.template, port=9000))

    toy = applied(fixed(1))
    plan = toy.plan(fixed(2))
    assert plan.models[0].rollout is Rollout.SWAP
    assert plan.models[0].why_rollout == "old and new cannot stand side by side"
    toy.carry_out(plan)
    assert toy.plan(fixed(2)).is_empty


def test_no_room_at_all_is_refused() -> None:
    with pytest.raises(InfctlError) as caught:
        Toy(free=15).plan(wish(replicas=2))
    assert codes(caught) == ["no-room"]


def test_models_share_the_room() -> None:
    with pytest.raises(InfctlError) as caught:
        Toy(free=15).plan(wish(), wish("embed"))
    assert codes(caught) == ["no-room"]


def test_scaling_keeps_what_runs() -> None:
    toy = applied(wish(replicas=1))
    up = toy.plan(wish(replicas=3))
    assert [str(s.do) for s in up.steps] == ["create", "create", "switch"]
    assert not up.model_states
    toy.carry_out(up)
    down = toy.plan(wish(replicas=1))
    assert [str(s.do) for s in down.steps] == ["switch", "drain", "drain", "delete", "delete"]


def test_destroy_takes_routes_first_and_support_last() -> None:
    toy = applied(wish())
    plan = toy.plan(request=Request(mode=Mode.DESTROY))
    assert does(plan) == [
        'delete toy_route.chat["here"]', 'drain toy_engine.chat["here/0"]',
        'delete toy_engine.chat["here/0"]', "delete toy_relay.here",
    ]  # fmt: skip
    toy.carry_out(plan)
    assert not toy.live
    assert not toy.state.resources
    assert not toy.state.models


def test_a_removed_model_goes_and_the_other_is_untouched() -> None:
    toy = applied(wish(), wish("embed"))
    plan = toy.plan(wish())
    assert {step.model for step in plan.steps} == {"embed"}
    assert plan.forgotten_models == ("embed",)


def test_gone_is_made_again_stopped_is_started_changed_is_mended() -> None:
    toy = applied(wish(replicas=3))
    ids = {seen.address.key: i for i, seen in toy.live.items() if seen.address.kind == "toy_engine"}
    del toy.live[ids["here/0"]]
    toy.live[ids["here/1"]] = replace(toy.live[ids["here/1"]], running=False)
    other = toy.live[ids["here/2"]]
    toy.live[ids["here/2"]] = replace(other, values={**other.values, "note": "scribble"})
    plan = toy.plan(wish(replicas=3))
    found = {("here/0", "gone"), ("here/1", "stopped"), ("here/2", "changed")}
    assert {(d.address.key, d.kind) for d in plan.drift} == found
    assert {(c.address.key, c.action) for c in plan.changes if c.address.kind == "toy_engine"} == {
        ("here/0", Action.CREATE), ("here/1", Action.UPDATE), ("here/2", Action.UPDATE),
    }  # fmt: skip
    assert plan.forget == (ids["here/0"],)
    toy.live[ids["here/1"]] = replace(toy.live[ids["here/1"]], running=True)
    toy.carry_out(plan)
    assert toy.plan(wish(replicas=3)).is_empty


def test_an_unreadable_place_is_not_an_empty_place() -> None:
    toy = applied(wish())
    toy.live.clear()
    toy.unreadable = (Unreadable("host", "no answer"),)
    with pytest.raises(InfctlError) as caught:
        toy.plan(wish())
    assert codes(caught) == ["unreachable"]
    plan = toy.plan(wish(), request=Request(allow_unreachable=True))
    assert not plan.steps
    assert not plan.forget
    assert not plan.drift
    assert plan.unreachable


def test_empty_state_beside_live_objects_is_an_error() -> None:
    toy = applied(wish())
    toy.state = Toy().state
    with pytest.raises(InfctlError) as caught:
        toy.plan(wish())
    assert codes(caught) == ["state-lost"]


def test_a_late_write_is_planned_for_removal() -> None:
    toy = applied(wish(), wish("embed"))
    stray = next(seen for seen in toy.live.values() if seen.name == "acme-embed-r1-0")
    toy.live["stray"] = replace(stray, id="stray", name="acme-embed-r0-0")
    plan = toy.plan(wish(), wish("embed"))
    assert [(s.do, s.object) for s in plan.steps if s.do == "delete"] == [("delete", "stray")]
    assert "late write of run 1" in plan.steps[-1].reason


def test_a_half_done_replacement_is_finished() -> None:
    """Killed after the new one stood: the next plan switches, drains and removes, and makes nothing new."""
    toy = applied(wish(ctx=1))
    plan = toy.plan(wish(ctx=2))
    toy.carry_out(replace(plan, steps=plan.steps[:1], model_states=()))
    rest = toy.plan(wish(ctx=2))
    assert [str(step.do) for step in rest.steps] == ["switch", "drain", "delete"]
    toy.carry_out(rest)
    assert toy.state.models["chat"].revision == 2
    assert toy.plan(wish(ctx=2)).is_empty


def test_a_half_done_replacement_can_be_called_off() -> None:
    """The file went back to what the old one runs: the old one stays, the half-made one goes."""
    toy = applied(wish(ctx=1))
    old = {i for i, seen in toy.live.items() if seen.address.kind == "toy_engine"}
    plan = toy.plan(wish(ctx=2))
    toy.carry_out(replace(plan, steps=plan.steps[:1], model_states=()))
    back = toy.plan(wish(ctx=1))
    assert [str(step.do) for step in back.steps] == ["drain", "delete"]
    toy.carry_out(back)
    assert {i for i, seen in toy.live.items() if seen.address.kind == "toy_engine"} == old
    assert toy.plan(wish(ctx=1)).is_empty


def test_protect_refuses_destroy_and_downtime_with_its_line() -> None:
    toy = applied(wish(ctx=1))
    for request, free in ((Request(mode=Mode.DESTROY), 1000), (Request(), 5)):
        toy.free = free
        wishes = () if request.mode is Mode.DESTROY else (wish(ctx=2),)
        with pytest.raises(InfctlError) as caught:
            toy.plan(*wishes, request=request, protected={"chat": None})
        assert codes(caught) == ["protected"]
    toy.free = 1000
    assert toy.plan(wish(ctx=2), protected={"chat": None}).steps


def test_rollback_holds_until_the_model_changes() -> None:
    toy = applied(wish(ctx=1))
    toy.carry_out(toy.plan(wish(ctx=2)))
    back = toy.plan(wish(ctx=2), request=Request(rollback={"chat": 0}, by="ops@here", at="today"))
    held = "chat is held at r1 by ops@here since today; the file asks for r2."
    assert back.holds == (f"{held} To let it go: infctl apply -release=chat",)
    toy.carry_out(back)
    assert {s.name for s in toy.live.values() if "engine" in s.address.kind} == {"acme-chat-r1-0"}
    assert toy.plan(wish(ctx=2)).is_empty
    assert toy.plan(wish(ctx=2)).holds
    released = toy.plan(wish(ctx=2), request=Request(release=("chat",)))
    assert released.models[0].revision_after == 2
    assert toy.plan(wish(ctx=3)).models[0].revision_after == 3


def test_restart_is_a_new_revision_of_the_same_spec() -> None:
    toy = applied(wish())
    plan = toy.plan(wish(), request=Request(restart=("chat",)))
    assert plan.models[0].revision_after == 2
    assert plan.models[0].rollout is Rollout.SURGE
    toy.carry_out(plan)
    assert toy.plan(wish()).is_empty


def test_targets_select_and_bring_company() -> None:
    toy = applied(wish(ctx=1), wish("embed", ctx=1))
    both = (wish(ctx=2), wish("embed", ctx=2))
    only = toy.plan(*both, request=Request(targets=(Address("model", "chat"),)))
    assert {step.model for step in only.steps} == {"chat"}
    rest = toy.plan(*both, request=Request(excludes=(Address("model", "chat"),)))
    assert {step.model for step in rest.steps} == {"embed"}
    one = toy.plan(*both, request=Request(targets=(parse_address('toy_engine.chat["here/0"]'),)))
    assert "switch" in {step.do for step in one.steps}
    with pytest.raises(InfctlError) as caught:
        toy.plan(*both, request=Request(targets=(Address("model", "chta"),)))
    assert codes(caught) == ["unmatched-target"]
    assert 'did you mean "model.chat"?' in caught.value.diagnostics[0].hint


def test_a_partial_destroy_leaves_what_others_stand_on() -> None:
    toy = applied(wish(), wish("embed"))
    plan = toy.plan(request=Request(mode=Mode.DESTROY, targets=(Address("model", "chat"),)))
    assert {step.model for step in plan.steps} == {"chat"}


def test_replace_is_honoured_without_downtime() -> None:
    """The same revision twice: the names differ, so the new one stands beside the old."""
    toy = applied(wish())
    request = Request(replace=(parse_address("toy_engine.chat"),))
    for name in ("acme-chat-r1-0-", "acme-chat-r1-0"):
        plan = toy.plan(wish(), request=request)
        assert [c.reason for c in plan.changes if c.address.kind == "toy_engine"] == ["asked for"]
        assert plan.models[0].rollout is Rollout.SURGE
        toy.carry_out(plan)
        assert [s.name.startswith(name) for s in toy.live.values() if s.address.kind == "toy_engine"] == [True]
        assert toy.plan(wish()).is_empty


def test_a_newer_lowering_alone_plans_no_change() -> None:
    toy = applied(wish())
    toy.lowering = 2
    plan = toy.plan(wish())
    assert plan.is_empty
    assert "plan -upgrade" in plan.notes[0]


def test_a_better_estimate_of_memory_alone_plans_no_change() -> None:
    toy = applied(wish())
    target, asked = wish()
    assert toy.plan((target, replace(asked, template=replace(asked.template, memory=11)))).is_empty


def test_the_same_question_gives_the_same_bytes_and_survives_its_file(tmp_path: Path) -> None:
    toy = applied(wish(replicas=2, ctx=1), wish("embed"))
    question, models = toy.question(wish(replicas=2, ctx=2), wish("rerank"))
    first, second = make_plan(question, models), make_plan(question, models)
    write_plan(first, tmp_path / "a")
    write_plan(second, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert read_plan(tmp_path / "a") == first


@pytest.mark.parametrize("text", ["", "{}", "not json", '{"format":"infctl-plan","format_version":9}\n{}', "[1]\n"])
def test_what_is_not_a_plan_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "p").write_text(text)
    with pytest.raises(InfctlError) as caught:
        read_plan(tmp_path / "p")
    assert codes(caught) == ["bad-plan-file"]


def test_a_renamed_model_is_no_other_revision() -> None:
    """What the probe asks for by name is no reason to replace what runs; the old name goes on being served."""
    toy = applied(named("chat"))
    toy.state = rename_model(toy.state, "chat", "assistant")
    plan = toy.plan(named("assistant"))
    assert [(step.do, step.address.kind) for step in plan.steps] == [("switch", "toy_route")]
    toy.carry_out(plan)
    assert toy.plan(named("assistant")).is_empty
    assert toy.state.models["assistant"].aliases == ("chat",)


def named(model: str) -> Wish:
    target, asked = wish(model)
    probe = Probe("completions", "/v1/completions", model)
    return target, replace(asked, template=replace(asked.template, probe=probe))
