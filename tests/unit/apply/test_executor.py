"""The executor over hand-made plans: order, intents, records, secrets, counts."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace

import pytest

from infctl.address import Address
from infctl.apply.events import ModelDone, RunFinished, RunStarted, StepDone, StepFailed, StepSkipped, StepStarted
from infctl.plan.model import Step
from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Do, Emit, Observed, Ref, Values, encode
from infctl.secrets import Secret, SecretRef
from infctl.state.journal import replay
from infctl.state.model import ModelState, State
from tests.fakes.memory import MemoryProvider, MemoryTarget
from tests.fakes.world import World
from tests.unit.apply.bench import (
    CONTEXT,
    KEY,
    NOON,
    Bench,
    create,
    delete,
    process,
    replica_at,
    revised,
    route,
    switch,
    url_of,
)


class Watched(MemoryProvider):
    """Looks at the journal before it does anything, and remembers what it was told."""

    def __init__(self, bench: Bench | None = None) -> None:
        super().__init__(MemoryTarget(volatile=True), CONTEXT, World())
        self.bench = bench
        self.changes: list[Change] = []
        self.intents: list[bool] = []
        self.busy = 0
        self.busiest = 0
        self._counting = threading.Lock()

    def apply(self, change: Change, emit: Emit) -> Observed | None:
        assert self.bench is not None
        durable = replay(self.bench.lease.snapshot, self.bench.lease.records).resources.get(change.id)
        self.intents.append(durable is not None and durable.pending == change.do)
        with self._counting:
            self.changes.append(change)
            self.busy += 1
            self.busiest = max(self.busiest, self.busy)
        time.sleep(0.01)
        with self._counting:
            self.busy -= 1
        return super().apply(change, emit)


def watched() -> tuple[Bench, Watched]:
    provider = Watched()
    bench = Bench(provider)
    provider.bench = bench
    return bench, provider


def test_an_empty_plan_writes_nothing_and_keeps_the_serial() -> None:
    bench = Bench()
    outcome = bench.run()
    assert outcome.ok
    assert outcome.state == State("lin", "shop")
    assert bench.lease.commits == []
    assert [type(event) for event in bench.events] == [RunStarted, RunFinished]


def test_what_a_step_needs_is_done_before_it() -> None:
    bench, provider = watched()
    first = create("s1", "chat", "a")
    bench.run(first, switch("s2", "chat", Do.CREATE, "s1", to=route(url_of("chat", "a"))))
    assert [change.id for change in provider.changes] == ["a", "route-chat"]
    assert bench.standing == ["a", "route-chat"]


def test_every_intent_is_durable_before_its_call() -> None:
    bench, provider = watched()
    old = process()
    bench.run(create("s1", "chat", "a"), create("s2", "embed", "b"))
    bench.run(create("s1", "chat", "c", replaces="a", revision=2), delete("s2", "chat", "a", "s1", revive=old))
    assert provider.intents == [True] * 4


def test_what_starts_together_is_one_durable_write() -> None:
    bench = Bench()
    bench.run(*(create(f"s{n}", f"m{n}", f"id{n}") for n in range(10)))
    begun = [record for record in bench.lease.writes[0] if record.what == "begin"]
    assert [record.step for record in begun] == [f"s{n}" for n in range(10)]


def test_results_ride_along_with_the_next_intents() -> None:
    bench = Bench()
    steps = [replace(create(f"s{n}", "chat", f"id{n}", *([f"s{n - 1}"] if n else [])), gate=None) for n in range(20)]
    bench.run(*steps)
    assert len(bench.lease.writes) == 20  # one a step; the last result is in the snapshot


def test_a_created_object_is_recorded_with_all_that_a_destroy_needs() -> None:
    bench = Bench()
    step = replace(create("s1", "chat", "a", revision=3), lowering=4, inputs="in")
    bench.run(step)
    thing = bench.state.resources["a"]
    assert (thing.address, thing.model, thing.revision, thing.spec_hash) == (replica_at("chat"), "chat", 3, "hash-3")
    assert (thing.lowering, thing.inputs, thing.fence, thing.pending, thing.ready) == (4, "in", 7, "", True)
    assert thing.reach == {"type": "memory", "config": {"memory": 5}}
    assert thing.outputs == {"url": "memory://a"}
    labels = bench.provider.world.things()[0]["labels"]
    assert (labels["lineage"], labels["fence"], labels["revision"], labels["spec_hash"]) == ("lin", 7, 3, "hash-3")


def test_a_kill_between_two_steps_leaves_what_is_true_in_the_journal() -> None:
    bench = Bench()
    found: list[State] = []

    def hear(event: object) -> None:
        if isinstance(event, StepStarted) and event.step == "s3":
            found.append(replay(bench.lease.snapshot, bench.lease.records))

    bench.run(create("s1", "chat", "a"), delete("s2", "chat", "a", "s1"), create("s3", "chat", "b", "s2"), hear=hear)
    assert [(thing.id, thing.pending) for thing in found[0].resources.values()] == [("b", "create")]


def test_references_are_given_resolved_and_kept_as_references() -> None:
    bench, provider = watched()
    ref = url_of("chat", "a")
    bench.run(create("s1", "chat", "a"), switch("s2", "chat", Do.CREATE, "s1", to=route(ref)))
    given = provider.changes[1].after
    assert given is not None
    assert given["backends"] == ("memory://a",)
    assert bench.state.resources["route-chat"].values["backends"] == (ref,)


def test_a_reference_to_nothing_is_a_failure_that_names_it() -> None:
    bench = Bench()
    outcome = bench.run(switch("s1", "chat", Do.CREATE, to=route(url_of("chat", "ghost"))))
    assert [failure.code for failure in outcome.failures] == ["unresolved-reference"]
    assert 'fake_process.chat["here/0"].url' in outcome.failures[0].detail
    assert bench.standing == []


def test_a_predecessor_is_deposed_from_the_intent_on_and_told_to_the_provider() -> None:
    bench, provider = watched()
    bench.run(create("s1", "chat", "a"))
    bench.run(create("s1", "chat", "b", replaces="a", revision=2))
    first = bench.lease.writes[0]
    assert [(record.put.id, record.put.deposed, record.put.pending) for record in first if record.put] == [
        ("a", True, ""),
        ("b", False, "create"),
    ]
    before = provider.changes[-1].before
    assert before is not None
    assert before.id == "a"


def test_an_automatic_port_is_kept_when_a_route_is_made_anew() -> None:
    bench = Bench()
    bench.run(switch("s1", "chat", Do.CREATE, to=route()))
    port = bench.state.resources["route-chat"].outputs["port"]
    gone = replace(delete("s1", "chat", "route-chat"), address=Address("fake_route", "chat", "here"))
    again = replace(switch("s2", "chat", Do.CREATE, "s1", to=route()), object="new", name="new")
    bench.run(create("s0", "noise", "n"), gone, again)
    assert bench.state.resources["new"].outputs["port"] == port


def test_secrets_are_given_as_values_and_kept_as_digests() -> None:
    bench, provider = watched()
    asked: list[str] = []

    def fetch(name: str) -> Secret:
        asked.append(name)
        return Secret(f"hunter2-{name}")

    values = process(TOKEN=SecretRef("hf", "env"))
    bench.run(create("s1", "chat", "a", values=values), create("s2", "embed", "b", values=values), secrets=fetch)
    assert asked == ["hf"]  # once, however many need it
    after = provider.changes[0].after
    assert after is not None
    given = after["template"]["env"]["TOKEN"]
    digest = Secret("hunter2-hf").digest(KEY)
    assert given.reveal() == "hunter2-hf"
    assert given.ref == SecretRef("hf", "env", digest)
    assert bench.state.resources["a"].values["template"]["env"]["TOKEN"] == SecretRef("hf", "env", digest)
    everything = json.dumps([[encode(r.put.values) for r in bench.lease.records if r.put], repr(bench.events)])
    assert "hunter2" not in everything


def test_a_secret_that_cannot_be_fetched_fails_its_step_alone() -> None:
    bench = Bench()

    def fetch(name: str) -> Secret:
        raise ProviderError(f"no {name} today")

    values = process(TOKEN=SecretRef("hf"))
    outcome = bench.run(create("s1", "chat", "a", values=values), create("s2", "embed", "b"), secrets=fetch)
    assert "no hf today" in outcome.failures[0].summary
    assert bench.standing == ["b"]
    assert bench.known == ["b"]


def test_what_a_place_says_is_redacted() -> None:
    class Blabbing(MemoryProvider):
        def apply(self, change: Change, emit: Emit) -> Observed | None:
            del change, emit
            raise ProviderError("bad token hunter2-hf", "hunter2-hf refused")

    bench = Bench(Blabbing(MemoryTarget(volatile=True), CONTEXT, World()))
    step = create("s1", "chat", "a", values=process(TOKEN=SecretRef("hf")))
    outcome = bench.run(step, secrets=lambda name: Secret(f"hunter2-{name}"))
    assert "bad token (sensitive)" in outcome.failures[0].summary
    assert "hunter2" not in repr(outcome) + repr(bench.events)


def test_independent_models_run_side_by_side_up_to_the_limit() -> None:
    bench, provider = watched()
    bench.run(*(create(f"s{n}", f"m{n}", f"id{n}") for n in range(8)), parallelism=3)
    assert provider.busiest == 3


def test_one_at_a_time_is_the_plans_order() -> None:
    bench, provider = watched()
    bench.run(*(create(f"s{n}", f"m{n}", f"id{n}") for n in range(8)), parallelism=1)
    assert [change.id for change in provider.changes] == [f"id{n}" for n in range(8)]


def test_a_models_record_is_put_when_all_its_steps_are_done_with_the_time_filled_in() -> None:
    bench = Bench()
    bench.run(create("s1", "chat", "a"), create("s2", "embed", "b"), model_states=(revised("chat", 1),))
    assert bench.state.models["chat"].revisions[0].at == NOON
    assert bench.state.models["chat"].revision == 1
    done = [event for event in bench.events if isinstance(event, ModelDone)]
    assert {event.model for event in done} == {"chat", "embed"}


def test_models_without_steps_renames_and_what_is_gone_are_state_only() -> None:
    bench = Bench()
    bench.run(create("s1", "chat", "a"), create("s2", "embed", "b"), model_states=(revised("chat", 1),))
    outcome = bench.run(moved=(("chat", "talk"),), forget=("b",), model_states=(revised("other", 1),))
    assert outcome.ok
    assert (bench.state.serial, bench.known) == (3, ["a"])  # the rename is a commit of its own
    assert str(bench.state.resources["a"].address) == 'fake_process.talk["here/0"]'
    assert set(bench.state.models) == {"talk", "other"}
    assert bench.state.models["talk"].aliases == ("chat",)


def test_a_forgotten_model_leaves_with_its_last_object() -> None:
    bench = Bench()
    outputs = {"chat.url": url_of("chat", "a"), "chat.revision": 1}
    bench.run(create("s1", "chat", "a"), model_states=(revised("chat", 1),), outputs=outputs)
    assert bench.state.outputs == {"chat.url": "memory://a", "chat.revision": 1}
    outcome = bench.run(delete("s1", "chat", "a"), forgotten_models=("chat",))
    assert (outcome.added, outcome.changed, outcome.destroyed) == (0, 0, 1)
    assert (dict(bench.state.models), dict(bench.state.outputs)) == ({}, {})


def test_counts_are_of_objects_not_of_steps() -> None:
    bench = Bench()
    start = switch("s1", "chat", Do.CREATE, to=route())
    assert bench.run(start, switch("s2", "chat", Do.SWITCH, "s1", to=route(), back=route())).added == 1
    two = [switch(f"s{n}", "chat", Do.SWITCH, *([f"s{n - 1}"] * (n > 1)), to=route(), back=route()) for n in (1, 2)]
    outcome = bench.run(*two)
    assert (outcome.added, outcome.changed, outcome.destroyed) == (0, 1, 0)


def test_steps_that_need_a_failed_one_are_skipped_and_others_go_on() -> None:
    bench = Bench()
    alone = Step("s1", Address("fake_route", "x", "here"), "here", "", Do.SWITCH, "ghost", "ghost", set=route())
    outcome = bench.run(alone, create("s2", "chat", "a", "s1"), create("s3", "embed", "b"))
    assert bench.said(StepFailed) == ["s1"]
    assert bench.said(StepSkipped) == ["s2"]
    assert bench.said(StepDone) == ["s3"]
    assert outcome.skipped == ("s2",)
    assert bench.standing == ["b"]


def test_a_call_that_may_succeed_later_is_made_again() -> None:
    class Moody(MemoryProvider):
        calls = 0

        def apply(self, change: Change, emit: Emit) -> Observed | None:
            self.calls += 1
            if self.calls == 1:
                raise ProviderError("busy", retryable=True)
            return super().apply(change, emit)

    bench = Bench(Moody(MemoryTarget(volatile=True), CONTEXT, World()))
    assert bench.run(create("s1", "chat", "a")).ok
    assert bench.standing == ["a"]


@pytest.mark.parametrize("answer", ["nothing", "a defect"])
def test_a_defect_of_a_provider_is_a_diagnostic(answer: str) -> None:
    class Broken(MemoryProvider):
        def apply(self, change: Change, emit: Emit) -> Observed | None:
            del emit
            if change.do is Do.DELETE or answer == "nothing":
                return None
            raise KeyError("oops")

    bench = Bench(Broken(MemoryTarget(volatile=True), CONTEXT, World()))
    outcome = bench.run(create("s1", "chat", "a"))
    assert [failure.code for failure in outcome.failures] == ["step-crashed"]
    assert bench.known == []


def test_a_full_disk_starts_nothing_and_says_so() -> None:
    bench = Bench()
    outcome = bench.run(create("s1", "chat", "a"), fails_at=1)
    assert [failure.code for failure in outcome.failures] == ["state-unwritable"]
    assert (bench.standing, outcome.in_flight) == ([], ())


def test_a_lost_lease_calls_no_provider_and_writes_nothing() -> None:
    bench = Bench()
    outcome = bench.run(create("s1", "chat", "a"), lose=True)
    assert [failure.code for failure in outcome.failures] == ["lease-lost"]
    assert (bench.standing, bench.lease.commits) == ([], [])


def test_a_lease_lost_on_the_way_stops_before_the_next_call() -> None:
    bench = Bench()

    def hear(event: object) -> None:
        if isinstance(event, StepDone) and event.step == "s1":
            bench.lease.lost = True

    outcome = bench.run(create("s1", "chat", "a"), create("s2", "chat", "b", "s1"), hear=hear)
    assert [failure.code for failure in outcome.failures] == ["lease-lost"]
    assert bench.standing == ["a"]


def test_a_resumed_create_says_so_and_makes_no_second_object() -> None:
    bench = Bench()
    bench.run(create("s1", "chat", "a"))
    bench.state = bench.state.put(replace(bench.state.resources["a"], pending="create", ready=False))
    bench.run(create("s1", "chat", "a", resuming=True))
    assert [event.resuming for event in bench.events if isinstance(event, StepStarted)] == [True]
    assert (bench.standing, bench.state.resources["a"].pending, bench.state.resources["a"].ready) == (["a"], "", True)


def test_an_unchanged_record_of_a_model_is_kept() -> None:
    bench = Bench(state=State("lin", "shop", models={"chat": ModelState("chat", 3, 4)}))
    bench.run(create("s1", "chat", "a", revision=3))
    assert bench.state.models["chat"] == ModelState("chat", 3, 4)


def values_of(change: Change) -> Values:
    assert change.after is not None
    return change.after


def test_a_ref_may_point_across_models() -> None:
    bench, provider = watched()
    ref: Ref = url_of("embed", "b")
    bench.run(create("s1", "embed", "b"), switch("s2", "chat", Do.CREATE, "s1", to=route(ref)))
    assert values_of(provider.changes[-1])["backends"] == ("memory://b",)


def test_what_is_gone_stays_gone_even_when_the_plan_also_mends_its_record() -> None:
    bench = Bench()
    bench.run(create("s1", "chat", "a"))
    thing = bench.state.resources["a"]
    bench.run(refreshed=(replace(thing, deposed=True),), forget=("a",))
    assert bench.known == []
