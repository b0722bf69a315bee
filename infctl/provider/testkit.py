"""Owns what every provider must do, as checks that any test runner can call: ours and third parties' pass the same.

Usage, with pytest, where `MyHarness` is a Harness over an empty place of your own:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_provider(check, tmp_path):
        with closing(MyHarness(tmp_path)) as harness:
            check(harness)

A check raises AssertionError with the rule that was broken, or unittest.SkipTest where the harness cannot bring the
place into the state that the check is about. Knows no particular provider.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Final
from unittest import SkipTest

from infctl.provider.kinds import Role
from infctl.provider.testbench import (
    KEY,
    LOUD,
    Harness,
    as_text,
    bench_of,
    difference,
    expect,
    found_again,
    one_of,
    seen_as,
    wish_of,
)
from infctl.provider.values import Do, Known, Progress, Scope, digest, encode, leaves, refs
from infctl.secrets import Secret, SecretRef

Check = Callable[[Harness], None]


# ---------------------------------------------------------------- lower


def lower_is_pure_and_gives_exactly_the_fields_of_its_kinds(harness: Harness) -> None:
    bench = bench_of(harness)
    wish = wish_of(harness)
    first, second = bench.lower(wish), bench_of(harness).lower(wish)
    expect(as_text(first) == as_text(second), "equal wishes are lowered to equal resources, in the same order")
    expect(len({want.address for want in first}) == len(first), "no address is given twice")
    replicas = [want for want in first if bench.kinds[want.address.kind].role is Role.REPLICA]
    counted = [want.values[count] if (count := bench.kinds[want.address.kind].count) else 1 for want in replicas]
    expect(sum(counted) == 2, "each slot is one replica")
    for want in first:
        kind = bench.kinds[want.address.kind]
        expect(set(want.values) == set(kind.fields), f"{want.address.kind} has exactly the fields of its KindSpec")
        expect(want.target == harness.context.target, "a resource stands on the target that was asked")
        if kind.role is Role.REPLICA:
            expect((want.model, want.revision) == (wish.model, wish.revision), "a replica says whose it is")
            expect(want.spec_hash == wish.spec_hash, "a replica carries the identity of what it runs")
    expect(bench.lower() == (), "nothing wanted is nothing at all")
    addresses = {want.address for want in first}
    loose = [ref for want in first for ref in refs(want.values) if ref.address not in addresses]
    expect(not loose, f"what is referred to on one's own target is wanted too: {loose}")


def kinds_are_whole(harness: Harness) -> None:
    provider = harness.provider()
    expect(bool(provider.kinds) and provider.lowering >= 1, "kinds and lowering are given")
    for name, kind in provider.kinds.items():
        for field in filter(None, (kind.place, kind.devices, kind.exclusive, kind.count, kind.begins)):
            expect(field in kind.fields, f"{name}.{field} names a field")
        expect(not (kind.count and kind.place), f"a {name} that stands for several is placed by its target")
        if kind.place and kind.role is Role.REPLICA:
            moved = {kind.place, *filter(None, (kind.devices,))}
            expect(all(kind.fields[field].forces_replace for field in moved), f"a {name} is moved by a new one")
            expect("memory" in kind.fields, f"{name}.memory says what of its place a replica was promised, in bytes")
        if kind.role is Role.ROUTER:
            expect(kind.backends in kind.fields, f"{name}.backends names a field")
            expect(kind.url_output in kind.outputs, f"{name}.url_output names an output")
            expect(
                not kind.fields[kind.backends].forces_replace, f"{name} is switched, so its backends change in place"
            )
    expect(any(kind.role is Role.REPLICA and kind.gated for kind in provider.kinds.values()), "a replica is gated")


# ---------------------------------------------------------------- create, observe, delete


def what_was_made_is_observed_as_it_was_wanted(harness: Harness) -> None:
    bench = bench_of(harness)
    made = bench.make(wish_of(harness))
    reading = bench.observe(provider=harness.provider())
    expect(not reading.unreadable, f"everything can be read: {reading.unreadable}")
    expect(
        sorted(seen.id for seen in reading.value) == sorted(change.id for change in made.values()),
        "observe finds what was made, all of it and nothing twice, by its labels alone",
    )
    for seen in reading.value:
        change = made[seen.address]
        expect(seen.labels == change.labels, f"{seen.address} carries the labels it was given")
        expect((seen.name, seen.target) == (change.name, change.target), f"{seen.address} has the name it was given")
        expect(seen.running, f"{seen.address} runs")
        different = difference(change.after or {}, seen.values)
        expect(not different, f"{seen.address} is observed as it was wanted; different: {different}")
        missing = set(bench.kinds[seen.address.kind].outputs) - set(seen.outputs)
        expect(not missing, f"{seen.address} gives its outputs; missing: {missing}")
        expect(seen == bench.seen[seen.id], f"{seen.address} is observed as apply returned it")


def a_create_may_be_repeated(harness: Harness) -> None:
    bench = bench_of(harness)
    made = bench.make(wish_of(harness, replicas=1))
    for change in made.values():
        again = harness.provider().apply(change, bench.heard.append)
        expect(again is not None and again.id == change.id, "a create whose id stands is a success")
    found = bench.observe().value
    expect(sorted(seen.id for seen in found) == sorted(c.id for c in made.values()), "the same id twice is one object")
    for seen in found:
        expect(seen.outputs == bench.seen[seen.id].outputs, f"{seen.address} is still the same: {seen.outputs}")


def a_delete_may_be_repeated_and_leaves_nothing(harness: Harness) -> None:
    bench = bench_of(harness)
    made = bench.make(wish_of(harness))
    for address in reversed(made):
        gone = replace(made[address], do=Do.DELETE, after=None)
        expect(bench.do(gone) is None, "a delete returns nothing")
        expect(harness.provider().apply(gone, bench.heard.append) is None, "to delete what is gone is a success")
    known = tuple(Known(change.address, change.id, change.name, {}) for change in made.values())
    expect(bench.observe(*known).value == (), "what was deleted is not observed, even when state still knows it")


def what_state_knows_is_found_without_its_lineage(harness: Harness) -> None:
    bench = bench_of(harness)
    bench.make(wish_of(harness, replicas=1))
    context = harness.context
    other = Scope("another-lineage", context.stack, context.workspace)
    expect(bench.provider.observe(other).value == (), "objects of another lineage are not ours")
    known = tuple(Known(seen.address, seen.id, seen.name, seen.outputs) for seen in bench.seen.values())
    found = bench.provider.observe(replace(other, known=known)).value
    expect({seen.id for seen in found} == set(bench.seen), "what state knows by id is found whatever its labels")
    lost = bench.provider.observe(Scope("", context.stack, context.workspace)).value
    expect({seen.id for seen in lost} == set(bench.seen), "a lost state finds the objects of its stack and workspace")


def a_strangers_object_is_not_ours(harness: Harness) -> None:
    if not harness.add_stranger():
        raise SkipTest("the harness cannot put a stranger's object there")
    bench = bench_of(harness)
    expect(bench.observe().value == (), "an object without our labels is not reported as ours")
    bench.make(wish_of(harness, replicas=1))
    expect({seen.id for seen in bench.observe().value} == set(bench.seen), "strangers do not get among ours")


# ---------------------------------------------------------------- changes in place


def a_router_is_switched_in_place(harness: Harness) -> None:
    bench = bench_of(harness)
    wish = wish_of(harness)
    bench.make(wish)
    router = one_of(bench, bench.lower(wish), Role.ROUTER)
    field_name = bench.kinds[router.address.kind].backends
    fewer = replace(router, values={**router.values, field_name: tuple(router.values[field_name])[:1]})
    for values in (fewer, router):
        before = bench.seen[bench.change(Do.SWITCH, values).id]
        seen = bench.do(bench.change(Do.SWITCH, values, before=before))
        expect(seen is not None and seen.id == before.id, "a switch changes the router that stands")
        found = found_again(bench, before.id)
        expect(found.outputs == before.outputs, f"a switched router keeps its address: {found.outputs}")
        different = difference(bench.resolved(values.values), found.values)
        expect(not different, f"a switched router is observed as it was wanted; different: {different}")


def a_router_made_anew_keeps_an_automatic_address(harness: Harness) -> None:
    bench = bench_of(harness)
    wish = wish_of(harness, replicas=1)
    made = bench.make(wish)
    router = one_of(bench, bench.lower(wish), Role.ROUTER)
    old = bench.seen[made[router.address].id]
    bench.do(replace(made[router.address], do=Do.DELETE, after=None))
    seen = bench.do(bench.change(Do.CREATE, router, before=old, salt="n"))
    url = bench.kinds[router.address.kind].url_output
    expect(seen is not None and seen.outputs[url] == old.outputs[url], "the predecessor's address is taken over")


def a_new_revision_stands_beside_the_old(harness: Harness) -> None:
    bench = bench_of(harness)
    bench.make(wish_of(harness, replicas=1))
    old = seen_as(bench, Role.REPLICA)
    new = one_of(bench, bench.lower(wish_of(harness, 2, 1)), Role.REPLICA)
    change = bench.change(Do.CREATE, new, before=old)
    expect(bench.do(change) is not None and change.id != old.id, "a new revision is another object")
    replicas = [s for s in bench.observe().value if bench.kinds[s.address.kind].role is Role.REPLICA]
    expect({seen.id for seen in replicas} == {old.id, change.id}, "both stand at one address, told apart by id")
    expect(len({digest(encode(seen.outputs)) for seen in replicas}) == 2, "each has an address of its own")
    want = one_of(bench, bench.lower(wish_of(harness, replicas=1)), Role.REPLICA)
    for do in (Do.DRAIN, Do.DRAIN, Do.DELETE):
        bench.do(replace(bench.change(do, want), address=old.address))
    left = {s.id for s in bench.observe().value if bench.kinds[s.address.kind].role is Role.REPLICA}
    expect(left == {change.id}, "the old one is drained, twice if asked so, and removed; the new one stays")


def an_update_changes_what_stands(harness: Harness) -> None:
    bench = bench_of(harness)
    wish = wish_of(harness, replicas=1)
    bench.make(wish)
    before = seen_as(bench, Role.REPLICA)
    tagged = one_of(bench, bench.lower(replace(wish, tags={"team": "kit"})), Role.REPLICA)
    kind = bench.kinds[tagged.address.kind]
    changed = {
        name
        for name, value in tagged.values.items()
        if value != one_of(bench, bench.lower(wish), Role.REPLICA).values[name]
    }
    if not changed or any(kind.fields[name].forces_replace for name in changed):
        raise SkipTest("no field of a replica changes in place with the tags")
    for _ in range(2):
        seen = bench.do(bench.change(Do.UPDATE, tagged, before=before))
        expect(seen is not None and seen.id == before.id, "an update changes the object that stands")
    found = found_again(bench, before.id)
    expect(found.running, "an updated object runs")
    different = difference(bench.resolved(tagged.values), found.values)
    expect(not different, f"an updated object is observed as it was wanted; different: {different}")


def what_was_stopped_runs_again(harness: Harness) -> None:
    bench = bench_of(harness)
    wish = wish_of(harness, replicas=1)
    bench.make(wish)
    want = one_of(bench, bench.lower(wish), Role.REPLICA)
    bench.do(bench.change(Do.STOP, want))
    stopped = found_again(bench, bench.change(Do.STOP, want).id)
    expect(not stopped.running, "what was stopped is observed, as not running")
    expect(not bench.provider.probe(stopped).ready, "what was stopped is not ready")
    for do in (Do.UPDATE, Do.CREATE):
        seen = bench.do(bench.change(do, want))
        expect(seen is not None and seen.running, f"a {do} of what was stopped starts it")
        bench.do(bench.change(Do.STOP, want))


# ---------------------------------------------------------------- readiness


def a_replica_becomes_ready(harness: Harness) -> None:
    bench = bench_of(harness)
    bench.make(wish_of(harness, replicas=1))
    health = bench.wait(seen_as(bench, Role.REPLICA))
    expect(health.ready and not health.dead, f"a replica becomes ready: {health.detail} {health.log}")
    expect(all(isinstance(word, Progress) for word in bench.heard), "what is said on the way is Progress")


def a_replica_that_cannot_answer_is_not_ready_and_says_why(harness: Harness) -> None:
    doomed = harness.doomed(1)
    if doomed is None:
        raise SkipTest("the harness has no deployment that never becomes ready")
    bench = bench_of(harness)
    bench.make(doomed)
    health = bench.wait(seen_as(bench, Role.REPLICA))
    expect(not health.ready, "what cannot answer is not ready")
    expect(bool(health.log) and bool(health.detail), "it says what is wrong, with the log lines that tell why")


def what_is_gone_is_not_ready(harness: Harness) -> None:
    bench = bench_of(harness)
    made = bench.make(wish_of(harness, replicas=1))
    what = seen_as(bench, Role.REPLICA)
    bench.do(replace(made[what.address], do=Do.DELETE, after=None))
    health = bench.provider.probe(what)
    expect(health.dead and not health.ready, "what is gone is dead: waiting longer is no use")


# ---------------------------------------------------------------- places, secrets, the end


def the_inventory_names_its_places(harness: Harness) -> None:
    reading = harness.provider().inventory()
    expect(not reading.unreadable and bool(reading.value.places), "the inventory has places")
    for place in reading.value.places:
        expect(0 <= place.memory_free <= place.memory_total, f"{place.name}: free memory is part of all memory")
        expect(place.cpus > 0 and bool(place.name), f"{place.name}: a place has a name and processors")
    names = [place.name for place in reading.value.places]
    expect(len(set(names)) == len(names), "no place is named twice")


def a_place_that_cannot_be_read_is_not_an_empty_place(harness: Harness) -> None:
    bench = bench_of(harness)
    bench.make(wish_of(harness))
    whole = {seen.id: seen for seen in bench.observe().value}
    hidden = harness.break_place()
    if not hidden:
        raise SkipTest("the harness cannot make a place unreadable")
    provider = harness.provider()
    reading = bench.observe(provider=provider)
    expect(bool(reading.unreadable), "a place that cannot be read is named in Reading.unreadable")
    for unreadable in reading.unreadable:
        expect(bool(unreadable.place and unreadable.reason), "with its name and the reason")
    expect(all(whole.get(seen.id) == seen for seen in reading.value), "what can be read is read as before")
    expect(len(reading.value) == len(whole) - hidden, "and all of it is reported")
    provider.inventory()  # must not raise either
    harness.mend_place()
    expect({seen.id for seen in bench.observe(provider=harness.provider()).value} == set(whole), "then all is back")


def secrets_are_not_observed_nor_said(harness: Harness) -> None:
    bench = bench_of(harness)
    bench.make(wish_of(harness, replicas=1))
    bench.wait(seen_as(bench, Role.REPLICA))
    found = bench.observe().value
    given = [leaf for seen in found for leaf in leaves(seen.values) if isinstance(leaf, SecretRef)]
    expect(bool(given), "a secret is observed as the reference that came with it")
    digests = {ref.digest for ref in given}
    expect(digests == {Secret(LOUD).digest(KEY)}, "with the digest of the value that the object was given")
    said = repr(found) + repr(bench.heard) + json.dumps([encode(seen.values) for seen in found])
    expect(LOUD not in said, "the value of a secret is in no value, label, output or progress")


def close_may_be_repeated(harness: Harness) -> None:
    bench = bench_of(harness)
    bench.make(wish_of(harness, replicas=1))
    bench.provider.close()
    bench.provider.close()
    after = bench.observe(provider=harness.provider()).value
    expect({seen.id for seen in after} == set(bench.seen), "what runs outlives the handle that made it")


CHECKS: Final[tuple[Check, ...]] = (
    lower_is_pure_and_gives_exactly_the_fields_of_its_kinds,
    kinds_are_whole,
    what_was_made_is_observed_as_it_was_wanted,
    a_create_may_be_repeated,
    a_delete_may_be_repeated_and_leaves_nothing,
    what_state_knows_is_found_without_its_lineage,
    a_strangers_object_is_not_ours,
    a_router_is_switched_in_place,
    a_router_made_anew_keeps_an_automatic_address,
    a_new_revision_stands_beside_the_old,
    an_update_changes_what_stands,
    what_was_stopped_runs_again,
    a_replica_becomes_ready,
    a_replica_that_cannot_answer_is_not_ready_and_says_why,
    what_is_gone_is_not_ready,
    the_inventory_names_its_places,
    a_place_that_cannot_be_read_is_not_an_empty_place,
    secrets_are_not_observed_nor_said,
    close_may_be_repeated,
)
