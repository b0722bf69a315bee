"""Failed rollouts: what is taken back, in which order, what state says, and what the person is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infctl.apply.events import GateFailed, StepDone, StepLeft, StepStarted, UndoDone, UndoStarted
from infctl.apply.undo import undo_steps
from infctl.plan.model import Step
from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Do, Emit, Health, Observed, Values
from infctl.state.model import Failure
from tests.fakes.memory import MemoryProvider, MemoryTarget
from tests.fakes.world import World
from tests.unit.apply.bench import CONTEXT, NOON, Bench, create, delete, process, revised, route, switch, url_of


class Stubborn(MemoryProvider):
    """Fails when told to do one of `fails` ("delete b"); half of the work is done first when `after` is set."""

    def __init__(self, *fails: str, after: bool = False) -> None:
        super().__init__(MemoryTarget(volatile=True), CONTEXT, World())
        self.fails = fails
        self.after = after
        self.done: list[str] = []

    def apply(self, change: Change, emit: Emit) -> Observed | None:
        what = f"{change.do} {change.id}"
        if what in self.fails and not self.after:
            raise ProviderError(f"cannot {what}")
        seen = super().apply(change, emit)
        self.done.append(what)
        if what in self.fails:
            raise ProviderError(f"cannot {what}")
        return seen


def running(provider: MemoryProvider | None = None) -> Bench:
    """Return a world where revision 1 of chat serves."""
    bench = Bench(provider) if provider else Bench()
    ref = url_of("chat", "a")
    outcome = bench.run(
        create("s1", "chat", "a"),
        switch("s2", "chat", Do.CREATE, "s1", to=route(ref)),
        model_states=(revised("chat", 1),),
        outputs={"chat.revision": 1},
    )
    assert outcome.ok
    return bench


def surge(**second: str) -> tuple[Step, ...]:
    """Return revision 2 of chat: new ones beside the old, a switch, the old one's end."""
    old, new = route(url_of("chat", "a")), route(url_of("chat", "b"))
    drain = replace(delete("s4", "chat", "a", "s3"), do=Do.DRAIN)
    return (
        create("s1", "chat", "b", revision=2, replaces="a", answers=second.get("first", 0)),
        create("s2", "chat", "c", "s1", slot=1, revision=2, answers=second.get("second", 0)),
        switch("s3", "chat", Do.SWITCH, "s2", to=new, back=old),
        drain,
        delete("s5", "chat", "a", "s4", revive=process()),
    )


def backends(bench: Bench) -> object:
    return next(thing["values"]["backends"] for thing in bench.provider.world.things() if "route" in thing["id"])


def test_a_failed_gate_takes_the_rollout_back_and_the_old_one_serves() -> None:
    bench = running()
    outcome = bench.run(*surge(second="dies"), model_states=(revised("chat", 2),), outputs={"chat.revision": 2})
    assert (bench.standing, bench.known) == (["a", "route-chat"], ["a", "route-chat"])
    assert not bench.state.resources["a"].deposed
    assert (outcome.undone, outcome.skipped) == (("chat",), ("s3", "s4", "s5"))
    assert (outcome.added, outcome.changed, outcome.destroyed) == (0, 0, 0)
    assert bench.state.outputs == {"chat.revision": 1}
    assert [event.log for event in bench.events if isinstance(event, GateFailed)] == [("loading", "out of memory")]


def test_the_failure_says_what_the_log_says_and_what_serves_now() -> None:
    bench = running()
    (failure,) = bench.run(*surge(first="dies"), model_states=(revised("chat", 2),)).failures
    assert failure.code == "gate-failed"
    assert failure.summary == "Rollout of model.chat stopped at a gate"
    assert failure.detail.splitlines() == [
        'r2 ended before it was ready at fake_process.chat["here/0"]: it ended',
        "its log says: out of memory",
        "last lines of its log:",
        "  loading",
        "Taken back: r1 serves as before.",
    ]
    assert "infctl logs chat -revision 2" in failure.hint


def test_what_never_answered_is_told_with_what_it_wrote() -> None:
    bench = running()
    mute = create("s1", "chat", "b", revision=2, replaces="a", timeout=0.0, answers="mute")
    (failure,) = bench.run(mute, model_states=(revised("chat", 2),)).failures
    assert "nothing listens there yet" in failure.detail
    assert "line 399" in failure.detail


def test_a_failed_gate_is_remembered_and_its_number_used_up() -> None:
    bench = running()
    bench.run(*surge(first="dies"), model_states=(revised("chat", 2),))
    chat = bench.state.models["chat"]
    reason = 'r2 ended before it was ready at fake_process.chat["here/0"]: it ended; its log says: out of memory'
    assert chat.failure == Failure(2, "hash-2", reason, NOON)
    assert (chat.revision, chat.next_revision, len(chat.revisions)) == (1, 3, 1)


def test_a_failed_call_is_taken_back_but_not_held_against_the_revision() -> None:
    bench = running(Stubborn("create c", after=True))
    outcome = bench.run(*surge(), model_states=(revised("chat", 2),))
    assert [failure.code for failure in outcome.failures] == ["provider-failed"]
    assert bench.state.models["chat"].failure is None
    assert bench.standing == ["a", "route-chat"]  # the half-made c is gone too


def test_the_first_revision_that_fails_leaves_nothing() -> None:
    bench = Bench()
    outcome = bench.run(create("s1", "chat", "a", answers="dies"), model_states=(revised("chat", 1),))
    assert (bench.standing, bench.known) == ([], [])
    assert outcome.failures[0].detail.endswith("Taken back: nothing of it is left running.")


def test_other_models_go_on() -> None:
    bench = Bench()
    outcome = bench.run(
        create("s1", "chat", "a", answers="dies"),
        create("s2", "embed", "b"),
        create("s3", "embed", "c", "s2", slot=1),
        model_states=(revised("chat", 1), revised("embed", 1)),
    )
    assert (bench.standing, outcome.undone) == (["b", "c"], ("chat",))
    assert bench.state.models["embed"].revision == 1


def test_undo_runs_backwards_with_intents_and_a_gate_for_what_is_started_again() -> None:
    provider = Stubborn()
    bench = running(provider)
    provider.done.clear()
    old, new = route(url_of("chat", "a")), route(url_of("chat", "b"))
    steps = (
        switch("s1", "chat", Do.SWITCH, to=route(), back=old),
        delete("s2", "chat", "a", "s1", revive=process()),
        create("s3", "chat", "b", "s2", revision=2, replaces="a", answers="dies"),
        switch("s4", "chat", Do.SWITCH, "s3", to=new, back=route()),
    )
    bench.run(*steps)
    assert provider.done == [
        "switch route-chat", "delete a", "create b", "delete b", "create a", "switch route-chat",
    ]  # fmt: skip
    assert (bench.standing, backends(bench)) == (["a", "route-chat"], ["memory://a"])
    undos = [record for record in bench.lease.records if record.what.startswith("undo")]
    assert [f"{record.what} {record.step}" for record in undos] == [
        "undo-begin undo-s3", "undo-done undo-s3",
        "undo-begin undo-s2", "undo-begin undo-s2", "undo-done undo-s2",
        "undo-begin undo-s1",
    ]  # the last result is in the snapshot  # fmt: skip
    assert bench.state.resources["a"].revision == 1
    started = [event.step for event in bench.events if isinstance(event, StepStarted)]
    assert started == ["s1", "s2", "s3", "undo-s3", "undo-s2", "undo-s1"]


def test_an_undo_that_fails_says_exactly_what_runs() -> None:
    provider = Stubborn("delete b")
    bench = running(provider)
    outcome = bench.run(*surge(second="dies"), model_states=(revised("chat", 2),))
    assert [failure.code for failure in outcome.failures] == ["gate-failed", "undo-failed"]
    told = outcome.failures[1]
    assert told.summary == "model.chat could not be taken back from r2 everywhere"
    assert told.detail.splitlines() == [
        "cannot delete b",
        'r1 at fake_process.chat["here/0"] (shop-chat-r1-0-a on here)',
        'r2 at fake_process.chat["here/0"] (shop-chat-r2-0-b on here, delete not finished)',
        'r0 at fake_route.chat["here"] (chat-route on here)',
    ]
    assert outcome.undone == ()
    assert "infctl apply" in told.hint


def test_what_the_old_one_needs_to_come_back_is_not_removed_when_it_does_not_come_back() -> None:
    provider = Stubborn()
    bench = running(provider)
    provider.fails = ("delete a2", "create a")
    steps = (
        create("s1", "chat", "b", revision=2, replaces="a"),
        delete("s2", "chat", "a", "s1", revive=process()),
        create("s3", "chat", "c", "s2", slot=1, revision=2, answers="dies"),
    )
    bench.run(*steps)
    assert bench.standing == ["b", "route-chat"]  # b was not removed, for a is not back


def test_a_cleanup_that_fails_does_not_take_the_new_revision_back() -> None:
    bench = running(Stubborn("delete a"))
    outcome = bench.run(*surge(), model_states=(revised("chat", 2),), outputs={"chat.revision": 2})
    assert [failure.code for failure in outcome.failures] == ["provider-failed"]
    assert bench.standing == ["a", "b", "c", "route-chat"]
    assert bench.state.models["chat"].revision == 2
    assert bench.state.resources["a"].deposed
    assert outcome.undone == ()


def test_a_destroy_that_fails_in_one_place_goes_on_elsewhere() -> None:
    bench = Bench(Stubborn("delete a"))
    bench.run(create("s1", "chat", "a"), create("s2", "chat", "b", slot=1), model_states=(revised("chat", 1),))
    outcome = bench.run(delete("s1", "chat", "a"), delete("s2", "chat", "b", slot=1), forgotten_models=("chat",))
    assert (bench.standing, bench.known, outcome.destroyed) == (["a"], ["a"], 1)
    assert bench.state.resources["a"].pending == "delete"
    assert "chat" in bench.state.models


def test_a_failed_gate_ends_the_waits_of_its_model() -> None:
    bench = Bench()
    outcome = bench.run(
        create("s1", "chat", "a", answers="never", timeout=60),
        create("s2", "chat", "b", slot=1, answers="dies", timeout=60),
    )
    assert bench.said(StepLeft) == ["s1"]
    assert (bench.standing, outcome.elapsed < 5) == ([], True)


def test_a_model_that_cannot_be_completed_because_of_another_is_taken_back_too() -> None:
    bench = Bench()
    outcome = bench.run(
        create("s1", "embed", "e", answers="dies"),
        create("s2", "chat", "a"),
        switch("s3", "chat", Do.CREATE, "s1", "s2", to=route(url_of("chat", "a"))),
    )
    assert (bench.standing, set(outcome.undone)) == ([], {"chat", "embed"})


def test_a_drain_that_fails_before_the_switch_leaves_no_mark() -> None:
    bench = running(Stubborn("drain a"))
    drain = replace(delete("s1", "chat", "a"), do=Do.DRAIN)
    bench.run(drain, create("s2", "chat", "b", "s1", revision=2))
    assert bench.state.resources["a"].pending == ""


def test_events_frame_the_undo() -> None:
    bench = running()
    bench.run(*surge(second="dies"))
    framed = [event for event in bench.events if isinstance(event, (UndoStarted, UndoDone))]
    assert [(type(event), event.model, event.revision, event.back_to) for event in framed] == [
        (UndoStarted, "chat", 2, 1),
        (UndoDone, "chat", 2, 1),
    ]
    assert sorted(bench.said(StepDone)) == ["s1", "undo-s1", "undo-s2"]


@pytest.mark.parametrize("gated", [True, False])
def test_undos_of_a_plan_are_its_edges_turned_round(gated: bool) -> None:
    steps = surge()
    undos = undo_steps(steps, {}, lambda _step: gated)
    assert {ident: undo.needs for ident, undo in undos.items()} == {
        "s5": (),
        "s3": ("undo-s5",),
        "s2": ("undo-s3",),
        "s1": ("undo-s2",),
    }
    assert (undos["s5"].do, undos["s5"].object, undos["s5"].gate is not None) == (Do.CREATE, "a", gated)
    assert undos["s1"].gate is None


class Forgetful(MemoryProvider):
    """Revived objects take another address in the world."""

    def __init__(self) -> None:
        super().__init__(MemoryTarget(volatile=True), CONTEXT, World())
        self.lives = 0

    def _outputs(self, change: Change, old: dict[str, object] | None) -> dict[str, object]:
        self.lives += 1
        return super()._outputs(change, old) | (
            {"url": f"life-{self.lives}"} if "process" in str(change.address) else {}
        )


def test_a_switch_back_finds_the_revived_object_where_it_is_now() -> None:
    bench = running(Forgetful())
    old: Values = route(url_of("chat", "a"))
    steps = (
        switch("s1", "chat", Do.SWITCH, to=route(), back=old),
        delete("s2", "chat", "a", "s1", revive=process()),
        create("s3", "chat", "b", "s2", revision=2, replaces="a", answers="dies"),
    )
    bench.run(*steps)
    url = bench.state.resources["a"].outputs["url"]
    assert backends(bench) == [url]


def test_an_old_one_that_does_not_become_ready_again_is_an_undo_that_failed() -> None:
    class Tired(MemoryProvider):
        tired = False

        def probe(self, what: Observed) -> Health:
            return Health(ready=False, dead=True, log=("tired",)) if self.tired else super().probe(what)

    provider = Tired(MemoryTarget(volatile=True), CONTEXT, World())
    bench = running(provider)
    provider.tired = True
    outcome = bench.run(
        delete("s1", "chat", "a", revive=process()), create("s2", "chat", "b", "s1", revision=2, replaces="a")
    )
    assert [failure.code for failure in outcome.failures] == ["gate-failed", "undo-failed"]
    assert "create not finished" in outcome.failures[1].detail


def test_a_revived_object_that_fails_again_does_not_stand_for_its_successor() -> None:
    class Tired(MemoryProvider):
        def probe(self, what: Observed) -> Health:
            return Health(ready=False, dead=True, log=("tired",)) if what.id == "a" else super().probe(what)

    bench = Bench(Tired(MemoryTarget(volatile=True), CONTEXT, World()))
    bench.run(replace(create("s1", "chat", "a"), gate=None))
    bench.run(
        create("s1", "chat", "b", revision=2, replaces="a"),
        delete("s2", "chat", "a", "s1", revive=process()),
        create("s3", "chat", "c", "s2", slot=1, revision=2, answers="dies"),
    )
    assert {thing.id: thing.deposed for thing in bench.state.resources.values()} == {"a": True, "b": False}
