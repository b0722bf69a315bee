"""Which number a wish gets after failures, holds, renames and restarts that went wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infctl.diagnostics import InfctlError
from infctl.plan.model import Action
from infctl.plan.request import Request
from infctl.plan.revisions import assign
from infctl.state.model import Failure
from infctl.state.moves import rename_model
from tests.property.stacks import Death, Stack, Wish
from tests.unit.plan.toys import Toy, wish


def held_at_first() -> Toy:
    """Return a model of two revisions, rolled back to its first."""
    toy = Toy()
    toy.carry_out(toy.plan(wish(x=1)))
    toy.carry_out(toy.plan(wish(x=2)))
    toy.carry_out(toy.plan(wish(x=2), request=Request(rollback={"chat": 0}, by="ops", at="now")))
    return toy


def test_a_restart_that_failed_does_not_stop_what_serves_as_before() -> None:
    toy = Toy()
    toy.carry_out(toy.plan(wish()))
    chat = toy.state.models["chat"]
    toy.state = toy.state.put_model(replace(chat, failure=Failure(2, chat.revisions[-1].spec_hash, "died", "")))
    assert toy.plan(wish(), request=Request(unattended=True)).is_empty
    with pytest.raises(InfctlError, match="failed before"):
        toy.plan(wish(), request=Request(unattended=True, restart=("chat",)))


@pytest.mark.parametrize("at", range(1, 24))
def test_a_restart_cut_short_goes_on_and_takes_no_name_twice(at: int) -> None:
    stack, wishes = Stack(), {"chat": Wish(2)}
    stack.apply(stack.plan(wishes))
    stack.apply(stack.plan(wishes, Request(restart=("chat",))), death=Death(at))
    begun = any(thing.revision == 2 for thing in stack.state.resources.values())
    stack.apply(stack.plan(wishes))
    stack.converged(wishes)
    assert not begun or stack.state.models["chat"].revision == 2


def test_a_held_model_restarts_as_a_new_revision_and_stays_held() -> None:
    toy = held_at_first()
    plan = toy.plan(wish(x=2), request=Request(restart=("chat",)))
    (chat,) = plan.models
    assert (chat.revision_after, chat.template["args"], chat.downtime) == (3, {"x": 1}, False)
    toy.carry_out(plan)
    again = toy.plan(wish(x=2))
    assert again.is_empty
    assert again.holds[0].startswith("chat is held at r3 by ops since now; the file asks for r2")


def test_a_held_model_keeps_its_old_name_served_when_it_is_renamed() -> None:
    toy = held_at_first()
    state = rename_model(toy.state, "chat", "assistant")
    (_, wanted) = wish("assistant", x=2)
    assert assign((("here", wanted),), state, Request()).deployments[0].served_names == ("assistant", "chat")


def test_the_same_spec_on_one_more_target_is_no_new_revision() -> None:
    toy = Toy()
    toy.carry_out(toy.plan(wish()))
    (_, wanted) = wish()
    assert assign((("here", wanted), ("there", wanted)), toy.state, Request()).models["chat"].revision == 1


def test_a_target_more_or_less_is_no_new_revision_and_replaces_nothing() -> None:
    toy = Toy()
    toy.carry_out(toy.plan(wish(x=1)))
    more = toy.plan(wish(x=1), wish(x=2, target="there"))
    assert {(str(each.address.target), each.action) for each in more.changes} >= {("there", Action.CREATE)}
    assert not any(each.action in {Action.REPLACE, Action.REPLACE_BESIDE} for each in more.changes)
    toy.carry_out(more)
    assert toy.plan(wish(x=1), wish(x=2, target="there")).is_empty
    (known,) = toy.state.models["chat"].revisions
    assert {target: values["args"] for target, values in known.template.items()} == {
        "here": {"x": 1}, "there": {"x": 2},
    }  # fmt: skip
    toy.carry_out(toy.plan(wish(x=1)))
    assert (toy.state.models["chat"].revision, len(toy.state.models["chat"].revisions)) == (1, 1)
    changed = toy.plan(wish(x=1), wish(x=3, target="there"))
    assert [model.revision_after for model in changed.models] == [1]
    toy.carry_out(changed)
    assert [model.revision_after for model in toy.plan(wish(x=1), wish(x=4, target="there")).models] == [2]


def test_a_hold_stays_when_a_held_model_lives_on_a_target_more() -> None:
    toy = held_at_first()
    wider = toy.plan(wish(x=2), wish(x=5, target="there"))
    assert wider.holds
    assert {model.revision_after for model in wider.models} == {1}
    toy.carry_out(wider)
    assert toy.plan(wish(x=2)).holds
    assert not toy.plan(wish(x=3)).holds
