"""The conformance suite has teeth: for each rule a provider that breaks it, and the check that says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infctl.provider.testkit import CHECKS
from infctl.provider.values import (
    Change,
    Desired,
    Do,
    Emit,
    Health,
    Inventory,
    Observed,
    Progress,
    Reading,
    Scope,
    TargetWant,
)
from infctl.secrets import Secret
from tests.contract.test_fake_providers import FakeHarness
from tests.fakes.memory import MemoryProvider, MemoryTarget

Found = Reading[tuple[Observed, ...]]


class Moody(MemoryProvider):
    times = 0

    def lower(self, want: TargetWant, have: Inventory) -> tuple[Desired, ...]:
        Moody.times += 1
        found = super().lower(want, have)
        return tuple(reversed(found)) if Moody.times % 2 else found


class Wordy(MemoryProvider):
    def lower(self, want: TargetWant, have: Inventory) -> tuple[Desired, ...]:
        return tuple(replace(one, values={**one.values, "extra": 1}) for one in super().lower(want, have))


class Vague(MemoryProvider):
    def observe(self, scope: Scope) -> Found:
        found = super().observe(scope).value
        return Reading(tuple(replace(one, values={**one.values, "memory": 0}) for one in found))


class Unlabelled(MemoryProvider):
    def observe(self, scope: Scope) -> Found:
        return Reading(tuple(replace(one, labels=None) for one in super().observe(scope).value))


class Doubling(MemoryProvider):
    def apply(self, change: Change, emit: Emit) -> Observed | None:
        if change.do is Do.CREATE and self.world.get(change.id):
            change = replace(change, labels=replace(change.labels, id=f"{change.id}-2"), name=f"{change.name}-2")
        return super().apply(change, emit)


class Strict(MemoryProvider):
    def apply(self, change: Change, emit: Emit) -> Observed | None:
        if change.do is Do.DELETE and not self.world.get(change.id):
            raise KeyError(change.id)
        return super().apply(change, emit)


class Forgetful(MemoryProvider):
    def observe(self, scope: Scope) -> Found:
        return super().observe(replace(scope, known=()))


class Greedy(MemoryProvider):
    def observe(self, scope: Scope) -> Found:
        del scope
        return Reading(tuple(self._seen(thing) for thing in self.world.things()))


class Restless(MemoryProvider):
    def apply(self, change: Change, emit: Emit) -> Observed | None:
        seen = super().apply(change, emit)
        if seen and change.do is Do.CREATE:
            self.world.put({**(self.world.get(seen.id) or {}), "outputs": {"url": f"http://{seen.id}", "port": 1}})
            return replace(seen, outputs={"url": f"http://{seen.id}", "port": 1, "control": "x"})
        return seen


class Lazy(MemoryProvider):
    def apply(self, change: Change, emit: Emit) -> Observed | None:
        if change.do in {Do.UPDATE, Do.SWITCH} and (thing := self.world.get(change.id)):
            return self._seen(thing)
        return super().apply(change, emit)


class Tomb(MemoryProvider):
    def apply(self, change: Change, emit: Emit) -> Observed | None:
        seen = super().apply(change, emit)
        if change.do is Do.UPDATE and (thing := self.world.get(change.id)):
            self.world.put({**thing, "running": False})
        return seen


class Hopeful(MemoryProvider):
    def probe(self, what: Observed) -> Health:
        del what
        return Health(ready=True)


class Silent(MemoryProvider):
    def probe(self, what: Observed) -> Health:
        return replace(super().probe(what), log=(), detail="")


class Patient(MemoryProvider):
    def probe(self, what: Observed) -> Health:
        return replace(super().probe(what), dead=False)


class Blind(MemoryProvider):
    def observe(self, scope: Scope) -> Found:
        return Reading(super().observe(scope).value)


class Fragile(MemoryProvider):
    def observe(self, scope: Scope) -> Found:
        found = super().observe(scope)
        return replace(found, value=()) if found.unreadable else found


class Chatty(MemoryProvider):
    def apply(self, change: Change, emit: Emit) -> Observed | None:
        for value in _secrets(change.after):
            emit(Progress("login", f"with {value}"))
        return super().apply(change, emit)


class Brief(MemoryProvider):
    def close(self) -> None:
        for thing in self.world.things():
            self.world.drop(thing["id"])


class Nowhere(MemoryProvider):
    def inventory(self) -> Reading[Inventory]:
        return Reading(Inventory())


class OneAtATime(MemoryProvider):
    def apply(self, change: Change, emit: Emit) -> Observed | None:
        if change.do is Do.CREATE and change.before and "process" in change.address.kind:
            self.world.drop(change.before.id)
        return super().apply(change, emit)


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, dict):
        for item in value.values():
            yield from _secrets(item)


BROKEN = {
    Moody: "lower_is_pure_and_gives_exactly_the_fields_of_its_kinds",
    Wordy: "lower_is_pure_and_gives_exactly_the_fields_of_its_kinds",
    Vague: "what_was_made_is_observed_as_it_was_wanted",
    Unlabelled: "what_was_made_is_observed_as_it_was_wanted",
    Doubling: "a_create_may_be_repeated",
    Strict: "a_delete_may_be_repeated_and_leaves_nothing",
    Forgetful: "what_state_knows_is_found_without_its_lineage",
    Greedy: "a_strangers_object_is_not_ours",
    Restless: "a_router_made_anew_keeps_an_automatic_address",
    Lazy: "a_router_is_switched_in_place",
    Tomb: "an_update_changes_what_stands",
    Hopeful: "a_replica_that_cannot_answer_is_not_ready_and_says_why",
    Silent: "a_replica_that_cannot_answer_is_not_ready_and_says_why",
    Patient: "what_is_gone_is_not_ready",
    Blind: "a_place_that_cannot_be_read_is_not_an_empty_place",
    Fragile: "a_place_that_cannot_be_read_is_not_an_empty_place",
    Chatty: "secrets_are_not_observed_nor_said",
    Brief: "close_may_be_repeated",
    Nowhere: "the_inventory_names_its_places",
    OneAtATime: "a_new_revision_stands_beside_the_old",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_provider_that_breaks_a_rule_is_told_so(broken: type[MemoryProvider], tmp_path: Path) -> None:
    check = next(check for check in CHECKS if check.__name__ == BROKEN[broken])
    harness = FakeHarness(tmp_path, lambda context, world: broken(MemoryTarget(places=("one", "two")), context, world))
    with pytest.raises((AssertionError, KeyError)):
        check(harness)
