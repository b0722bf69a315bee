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
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol
from unittest import SkipTest

from infctl.address import Address
from infctl.provider.errors import ProviderError
from infctl.provider.kinds import KindSpec, Role
from infctl.provider.protocol import Context, Provider
from infctl.provider.values import (
    Change,
    Deployment,
    Desired,
    Do,
    Health,
    Known,
    Labels,
    Observed,
    Progress,
    Reading,
    Ref,
    Scope,
    TargetWant,
    Values,
    digest,
    encode,
    leaves,
    refs,
)
from infctl.secrets import Secret, SecretRef

LOUD = "a-secret-value-that-must-not-be-seen"
_KEY = b"testkit"
_PAUSE = 0.05  # seconds between two probes


class Harness(Protocol):
    """One empty place, and what a check cannot know about it. Made anew for every check.

    `context` is whose work is done there; `ready_timeout` is the seconds within which a replica surely is ready.
    """

    context: Context
    ready_timeout: float

    def provider(self) -> Provider:
        """Return a new handle on the same place, as another process would have it."""
        ...

    def wish(self, revision: int, replicas: int, env: Mapping[str, SecretRef]) -> Deployment:
        """Return a deployment that becomes ready, of one and the same model; its template is the revision's own."""
        ...

    def doomed(self, revision: int) -> Deployment | None:
        """Return a deployment of the same model that never becomes ready; None where that cannot be had."""
        ...

    def add_stranger(self) -> bool:
        """Put an object there that is not infctl's, as like ours as can be; False where that cannot be had."""
        ...

    def break_place(self) -> bool:
        """Make a part of what stands there unreadable, all of it where there is one part only; False: it cannot."""
        ...

    def mend_place(self) -> None: ...

    def close(self) -> None:
        """Remove whatever stands there."""
        ...


Check = Callable[[Harness], None]


@dataclass
class _Bench:
    """Drives a provider as the executor would: values resolved, secrets opened, one change after the other."""

    harness: Harness
    provider: Provider
    seen: dict[str, Observed] = field(default_factory=dict)  # by id
    heard: list[Progress] = field(default_factory=list)

    @property
    def kinds(self) -> Mapping[str, KindSpec]:
        return self.provider.kinds

    def lower(self, *wishes: Deployment) -> tuple[Desired, ...]:
        have = self.provider.inventory().value
        return self.provider.lower(TargetWant(self.harness.context.target, wishes), have)

    def change(self, do: Do, want: Desired, *, before: Observed | None = None, salt: str = "") -> Change:
        ident = digest([str(want.address), want.revision if self.kinds[want.address.kind].role is Role.REPLICA else 0])
        context = self.harness.context
        labels = Labels(
            salt + ident[:12], context.lineage, context.stack, context.workspace, str(want.address), want.model,
            want.revision, want.spec_hash, 7,
        )  # fmt: skip
        name = f"kit-{want.address.kind}-{want.address.name}-r{want.revision}-{ident[:6]}".replace("_", "-")
        known = Known(before.address, before.id, before.name, before.outputs) if before else None
        takes = do in {Do.CREATE, Do.UPDATE, Do.SWITCH}
        after = self.resolved(want.values) if takes else None
        return Change(do, want.address, want.target, name, labels, after, known, self.harness.ready_timeout)

    def resolved(self, value: Any) -> Any:
        """Return `value` as a provider gets it: outputs instead of refs, secrets instead of their references."""
        if isinstance(value, Ref):
            by_address = {seen.address: seen.outputs for seen in self.seen.values()}
            _expect(value.path in by_address.get(value.address, {}), f"{value.address} gives the output {value.path}")
            return by_address[value.address][value.path]
        if isinstance(value, SecretRef):
            secret = Secret(LOUD)
            return Secret(LOUD, replace(value, digest=secret.digest(_KEY)))
        if isinstance(value, Mapping):
            return {key: self.resolved(item) for key, item in value.items()}
        return tuple(self.resolved(item) for item in value) if isinstance(value, (list, tuple)) else value

    def do(self, change: Change) -> Observed | None:
        seen = self.provider.apply(change, self.heard.append)
        if seen is not None:
            self.seen[seen.id] = seen
        if change.do is Do.DELETE:
            self.seen.pop(change.id, None)
        return seen

    def make(self, *wishes: Deployment) -> dict[Address, Change]:
        """Make everything that `wishes` are, what is referred to first; return each change by address."""
        made: dict[Address, Change] = {}
        for want in _ordered(self.lower(*wishes)):
            made[want.address] = self.change(Do.CREATE, want)
            seen = self.do(made[want.address])
            _expect(seen is not None, f"a create of {want.address} returns what stands now")
        return made

    def observe(self, *known: Known, provider: Provider | None = None) -> Reading[tuple[Observed, ...]]:
        context = self.harness.context
        scope = Scope(context.lineage, context.stack, context.workspace, known)
        return (provider or self.provider).observe(scope)

    def wait(self, what: Observed) -> Health:
        deadline = time.monotonic() + self.harness.ready_timeout
        while True:
            health = self.provider.probe(what)
            if health.ready or health.dead or time.monotonic() >= deadline:
                return health
            time.sleep(_PAUSE)


def _bench(harness: Harness) -> _Bench:
    return _Bench(harness, harness.provider())


def _wish(harness: Harness, revision: int = 1, replicas: int = 2) -> Deployment:
    return harness.wish(revision, replicas, {"KIT_SECRET": SecretRef("kit", "env"), "KIT_FILE": SecretRef("kit")})


# ---------------------------------------------------------------- lower


def lower_is_pure_and_gives_exactly_the_fields_of_its_kinds(harness: Harness) -> None:
    bench = _bench(harness)
    wish = _wish(harness)
    first, second = bench.lower(wish), _bench(harness).lower(wish)
    _expect(_as_text(first) == _as_text(second), "equal wishes are lowered to equal resources, in the same order")
    _expect(len({want.address for want in first}) == len(first), "no address is given twice")
    roles = [bench.kinds[want.address.kind].role for want in first]
    _expect(roles.count(Role.REPLICA) == 2, "each slot is one replica")
    for want in first:
        kind = bench.kinds[want.address.kind]
        _expect(set(want.values) == set(kind.fields), f"{want.address.kind} has exactly the fields of its KindSpec")
        _expect(want.target == harness.context.target, "a resource stands on the target that was asked")
        if kind.role is Role.REPLICA:
            _expect((want.model, want.revision) == (wish.model, wish.revision), "a replica says whose it is")
            _expect(want.spec_hash == wish.spec_hash, "a replica carries the identity of what it runs")
    _expect(bench.lower() == (), "nothing wanted is nothing at all")
    addresses = {want.address for want in first}
    loose = [ref for want in first for ref in refs(want.values) if ref.address not in addresses]
    _expect(not loose, f"what is referred to on one's own target is wanted too: {loose}")


def kinds_are_whole(harness: Harness) -> None:
    provider = harness.provider()
    _expect(bool(provider.kinds) and provider.lowering >= 1, "kinds and lowering are given")
    for name, kind in provider.kinds.items():
        if kind.role is Role.ROUTER:
            _expect(kind.backends in kind.fields, f"{name}.backends names a field")
            _expect(kind.url_output in kind.outputs, f"{name}.url_output names an output")
            _expect(
                not kind.fields[kind.backends].forces_replace, f"{name} is switched, so its backends change in place"
            )
    _expect(any(kind.role is Role.REPLICA and kind.gated for kind in provider.kinds.values()), "a replica is gated")


# ---------------------------------------------------------------- create, observe, delete


def what_was_made_is_observed_as_it_was_wanted(harness: Harness) -> None:
    bench = _bench(harness)
    made = bench.make(_wish(harness))
    reading = bench.observe(provider=harness.provider())
    _expect(not reading.unreadable, f"everything can be read: {reading.unreadable}")
    _expect(
        sorted(seen.id for seen in reading.value) == sorted(change.id for change in made.values()),
        "observe finds what was made, all of it and nothing twice, by its labels alone",
    )
    for seen in reading.value:
        change = made[seen.address]
        _expect(seen.labels == change.labels, f"{seen.address} carries the labels it was given")
        _expect((seen.name, seen.target) == (change.name, change.target), f"{seen.address} has the name it was given")
        _expect(seen.running, f"{seen.address} runs")
        different = _difference(change.after or {}, seen.values)
        _expect(not different, f"{seen.address} is observed as it was wanted; different: {different}")
        missing = set(bench.kinds[seen.address.kind].outputs) - set(seen.outputs)
        _expect(not missing, f"{seen.address} gives its outputs; missing: {missing}")
        _expect(seen == bench.seen[seen.id], f"{seen.address} is observed as apply returned it")


def a_create_may_be_repeated(harness: Harness) -> None:
    bench = _bench(harness)
    made = bench.make(_wish(harness, replicas=1))
    for change in made.values():
        again = harness.provider().apply(change, bench.heard.append)
        _expect(again is not None and again.id == change.id, "a create whose id stands is a success")
    found = bench.observe().value
    _expect(sorted(seen.id for seen in found) == sorted(c.id for c in made.values()), "the same id twice is one object")
    for seen in found:
        _expect(seen.outputs == bench.seen[seen.id].outputs, f"{seen.address} is still the same: {seen.outputs}")


def a_delete_may_be_repeated_and_leaves_nothing(harness: Harness) -> None:
    bench = _bench(harness)
    made = bench.make(_wish(harness))
    for address in reversed(made):
        gone = replace(made[address], do=Do.DELETE, after=None)
        _expect(bench.do(gone) is None, "a delete returns nothing")
        _expect(harness.provider().apply(gone, bench.heard.append) is None, "to delete what is gone is a success")
    known = tuple(Known(change.address, change.id, change.name, {}) for change in made.values())
    _expect(bench.observe(*known).value == (), "what was deleted is not observed, even when state still knows it")


def what_state_knows_is_found_without_its_lineage(harness: Harness) -> None:
    bench = _bench(harness)
    bench.make(_wish(harness, replicas=1))
    context = harness.context
    other = Scope("another-lineage", context.stack, context.workspace)
    _expect(bench.provider.observe(other).value == (), "objects of another lineage are not ours")
    known = tuple(Known(seen.address, seen.id, seen.name, seen.outputs) for seen in bench.seen.values())
    found = bench.provider.observe(replace(other, known=known)).value
    _expect({seen.id for seen in found} == set(bench.seen), "what state knows by id is found whatever its labels")
    lost = bench.provider.observe(Scope("", context.stack, context.workspace)).value
    _expect({seen.id for seen in lost} == set(bench.seen), "a lost state finds the objects of its stack and workspace")


def a_strangers_object_is_not_ours(harness: Harness) -> None:
    if not harness.add_stranger():
        raise SkipTest("the harness cannot put a stranger's object there")
    bench = _bench(harness)
    _expect(bench.observe().value == (), "an object without our labels is not reported as ours")
    bench.make(_wish(harness, replicas=1))
    _expect({seen.id for seen in bench.observe().value} == set(bench.seen), "strangers do not get among ours")


# ---------------------------------------------------------------- changes in place


def a_router_is_switched_in_place(harness: Harness) -> None:
    bench = _bench(harness)
    wish = _wish(harness)
    bench.make(wish)
    router = _one(bench, bench.lower(wish), Role.ROUTER)
    field_name = bench.kinds[router.address.kind].backends
    fewer = replace(router, values={**router.values, field_name: tuple(router.values[field_name])[:1]})
    for values in (fewer, router):
        before = bench.seen[bench.change(Do.SWITCH, values).id]
        seen = bench.do(bench.change(Do.SWITCH, values, before=before))
        _expect(seen is not None and seen.id == before.id, "a switch changes the router that stands")
        found = _found(bench, before.id)
        _expect(found.outputs == before.outputs, f"a switched router keeps its address: {found.outputs}")
        different = _difference(bench.resolved(values.values), found.values)
        _expect(not different, f"a switched router is observed as it was wanted; different: {different}")


def a_router_made_anew_keeps_an_automatic_address(harness: Harness) -> None:
    bench = _bench(harness)
    wish = _wish(harness, replicas=1)
    made = bench.make(wish)
    router = _one(bench, bench.lower(wish), Role.ROUTER)
    old = bench.seen[made[router.address].id]
    bench.do(replace(made[router.address], do=Do.DELETE, after=None))
    seen = bench.do(bench.change(Do.CREATE, router, before=old, salt="n"))
    url = bench.kinds[router.address.kind].url_output
    _expect(seen is not None and seen.outputs[url] == old.outputs[url], "the predecessor's address is taken over")


def a_new_revision_stands_beside_the_old(harness: Harness) -> None:
    bench = _bench(harness)
    bench.make(_wish(harness, replicas=1))
    old = _seen_role(bench, Role.REPLICA)
    new = _one(bench, bench.lower(_wish(harness, 2, 1)), Role.REPLICA)
    change = bench.change(Do.CREATE, new, before=old)
    _expect(bench.do(change) is not None and change.id != old.id, "a new revision is another object")
    replicas = [s for s in bench.observe().value if bench.kinds[s.address.kind].role is Role.REPLICA]
    _expect({seen.id for seen in replicas} == {old.id, change.id}, "both stand at one address, told apart by id")
    _expect(len({digest(encode(seen.outputs)) for seen in replicas}) == 2, "each has an address of its own")
    want = _one(bench, bench.lower(_wish(harness, replicas=1)), Role.REPLICA)
    for do in (Do.DRAIN, Do.DRAIN, Do.DELETE):
        bench.do(replace(bench.change(do, want), address=old.address))
    left = {s.id for s in bench.observe().value if bench.kinds[s.address.kind].role is Role.REPLICA}
    _expect(left == {change.id}, "the old one is drained, twice if asked so, and removed; the new one stays")


def an_update_changes_what_stands(harness: Harness) -> None:
    bench = _bench(harness)
    wish = _wish(harness, replicas=1)
    bench.make(wish)
    before = _seen_role(bench, Role.REPLICA)
    tagged = _one(bench, bench.lower(replace(wish, tags={"team": "kit"})), Role.REPLICA)
    kind = bench.kinds[tagged.address.kind]
    changed = {
        name
        for name, value in tagged.values.items()
        if value != _one(bench, bench.lower(wish), Role.REPLICA).values[name]
    }
    if not changed or any(kind.fields[name].forces_replace for name in changed):
        raise SkipTest("no field of a replica changes in place with the tags")
    for _ in range(2):
        seen = bench.do(bench.change(Do.UPDATE, tagged, before=before))
        _expect(seen is not None and seen.id == before.id, "an update changes the object that stands")
    found = _found(bench, before.id)
    different = _difference(bench.resolved(tagged.values), found.values)
    _expect(not different, f"an updated object is observed as it was wanted; different: {different}")


def what_was_stopped_runs_again(harness: Harness) -> None:
    bench = _bench(harness)
    wish = _wish(harness, replicas=1)
    bench.make(wish)
    want = _one(bench, bench.lower(wish), Role.REPLICA)
    bench.do(bench.change(Do.STOP, want))
    stopped = _found(bench, bench.change(Do.STOP, want).id)
    _expect(not stopped.running, "what was stopped is observed, as not running")
    _expect(not bench.provider.probe(stopped).ready, "what was stopped is not ready")
    for do in (Do.UPDATE, Do.CREATE):
        seen = bench.do(bench.change(do, want))
        _expect(seen is not None and seen.running, f"a {do} of what was stopped starts it")
        bench.do(bench.change(Do.STOP, want))


# ---------------------------------------------------------------- readiness


def a_replica_becomes_ready(harness: Harness) -> None:
    bench = _bench(harness)
    bench.make(_wish(harness, replicas=1))
    health = bench.wait(_seen_role(bench, Role.REPLICA))
    _expect(health.ready and not health.dead, f"a replica becomes ready: {health.detail} {health.log}")
    _expect(all(isinstance(word, Progress) for word in bench.heard), "what is said on the way is Progress")


def a_replica_that_cannot_answer_is_not_ready_and_says_why(harness: Harness) -> None:
    doomed = harness.doomed(1)
    if doomed is None:
        raise SkipTest("the harness has no deployment that never becomes ready")
    bench = _bench(harness)
    bench.make(doomed)
    health = bench.wait(_seen_role(bench, Role.REPLICA))
    _expect(not health.ready, "what cannot answer is not ready")
    _expect(bool(health.log) and bool(health.detail), "it says what is wrong, with the log lines that tell why")


def what_is_gone_is_not_ready(harness: Harness) -> None:
    bench = _bench(harness)
    made = bench.make(_wish(harness, replicas=1))
    what = _seen_role(bench, Role.REPLICA)
    bench.do(replace(made[what.address], do=Do.DELETE, after=None))
    health = bench.provider.probe(what)
    _expect(health.dead and not health.ready, "what is gone is dead: waiting longer is no use")


# ---------------------------------------------------------------- places, secrets, the end


def the_inventory_names_its_places(harness: Harness) -> None:
    reading = harness.provider().inventory()
    _expect(not reading.unreadable and bool(reading.value.places), "the inventory has places")
    for place in reading.value.places:
        _expect(0 <= place.memory_free <= place.memory_total, f"{place.name}: free memory is part of all memory")
        _expect(place.cpus > 0 and bool(place.name), f"{place.name}: a place has a name and processors")
    names = [place.name for place in reading.value.places]
    _expect(len(set(names)) == len(names), "no place is named twice")


def a_place_that_cannot_be_read_is_not_an_empty_place(harness: Harness) -> None:
    bench = _bench(harness)
    bench.make(_wish(harness))
    whole = {seen.id: seen for seen in bench.observe().value}
    if not harness.break_place():
        raise SkipTest("the harness cannot make a place unreadable")
    provider = harness.provider()
    reading = bench.observe(provider=provider)
    _expect(bool(reading.unreadable), "a place that cannot be read is named in Reading.unreadable")
    for unreadable in reading.unreadable:
        _expect(bool(unreadable.place and unreadable.reason), "with its name and the reason")
    _expect(all(whole.get(seen.id) == seen for seen in reading.value), "what can be read is read as before")
    provider.inventory()  # must not raise either
    harness.mend_place()
    _expect({seen.id for seen in bench.observe(provider=harness.provider()).value} == set(whole), "then all is back")


def secrets_are_not_observed_nor_said(harness: Harness) -> None:
    bench = _bench(harness)
    bench.make(_wish(harness, replicas=1))
    bench.wait(_seen_role(bench, Role.REPLICA))
    found = bench.observe().value
    given = [leaf for seen in found for leaf in leaves(seen.values) if isinstance(leaf, SecretRef)]
    _expect(bool(given), "a secret is observed as the reference that came with it")
    digests = {ref.digest for ref in given}
    _expect(digests == {Secret(LOUD).digest(_KEY)}, "with the digest of the value that the object was given")
    said = repr(found) + repr(bench.heard) + json.dumps([encode(seen.values) for seen in found])
    _expect(LOUD not in said, "the value of a secret is in no value, label, output or progress")


def failures_are_provider_errors(harness: Harness) -> None:
    bench = _bench(harness)
    want = _one(bench, bench.lower(_wish(harness, replicas=1)), Role.REPLICA)
    broken = replace(bench.change(Do.UPDATE, replace(want, values={})), after={})
    try:
        bench.provider.apply(broken, bench.heard.append)
    except ProviderError as failure:
        _expect(bool(failure.diagnostics[0].summary), "a failure says what failed")
    except Exception as failure:  # noqa: BLE001  # that any other kind may come is what this check is about
        _expect(False, f"what goes wrong is raised as ProviderError, not as {type(failure).__name__}")


def close_may_be_repeated(harness: Harness) -> None:
    bench = _bench(harness)
    bench.make(_wish(harness, replicas=1))
    bench.provider.close()
    bench.provider.close()
    after = bench.observe(provider=harness.provider()).value
    _expect({seen.id for seen in after} == set(bench.seen), "what runs outlives the handle that made it")


# ---------------------------------------------------------------- what the checks are made of


def _as_text(wants: tuple[Desired, ...]) -> str:
    """Return the resources as text, equal for equal ones."""
    return json.dumps([[str(want.address), want.model, want.revision, encode(want.values)] for want in wants])


def _ordered(wants: tuple[Desired, ...]) -> Iterator[Desired]:
    """Yield what is referred to before what refers to it."""
    left = list(wants)
    while left:
        waiting = {want.address for want in left}
        free = [want for want in left if not any(ref.address in waiting for ref in refs(want.values))]
        _expect(bool(free), "resources do not refer to each other in a circle")
        yield from free
        left = [want for want in left if want not in free]


def _one(bench: _Bench, wants: tuple[Desired, ...], role: Role) -> Desired:
    return next(want for want in wants if bench.kinds[want.address.kind].role is role)


def _seen_role(bench: _Bench, role: Role) -> Observed:
    return next(seen for seen in bench.seen.values() if bench.kinds[seen.address.kind].role is role)


def _found(bench: _Bench, ident: str) -> Observed:
    found = [seen for seen in bench.observe(provider=bench.harness.provider()).value if seen.id == ident]
    _expect(len(found) == 1, f"{ident} is observed once")
    return found[0]


def _difference(wanted: Values, found: Values) -> tuple[str, ...]:
    """Return the fields that differ, where a secret is equal to the reference that came with it."""
    names = sorted({*wanted, *found})
    return tuple(n for n in names if encode(_written(wanted.get(n))) != encode(_written(found.get(n))))


def _written(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.ref
    if isinstance(value, Mapping):
        return {key: _written(item) for key, item in value.items()}
    return tuple(_written(item) for item in value) if isinstance(value, (list, tuple)) else value


def _expect(holds: bool, rule: str) -> None:
    if not holds:
        raise AssertionError(rule)


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
    failures_are_provider_errors,
    close_may_be_repeated,
)
