"""Stopping early: nothing new starts, waits end, nothing is lost, and nobody waits for a call that hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from infctl.apply.events import Event, GateFailed, GateWaiting, StepDone, StepStarted, StillRunning
from infctl.apply.interrupt import GRACE, Interrupt
from infctl.apply.job import Job
from infctl.apply.narrator import Narrator
from infctl.provider.values import Change, Emit, Labels, Observed
from tests.fakes.memory import MemoryProvider, MemoryTarget
from tests.fakes.world import World
from tests.unit.apply.bench import CONTEXT, Bench, create, revised


def on(kind: type[Event], act: Callable[[], None]) -> Callable[[Event], None]:
    return lambda event: act() if isinstance(event, kind) else None


def test_a_wait_is_abandoned_and_recorded_as_begun() -> None:
    bench, interrupt = Bench(), Interrupt()
    outcome = bench.run(
        create("s1", "chat", "a", answers="never", timeout=600),
        create("s2", "chat", "b", "s1", slot=1),
        interrupt=interrupt,
        hear=on(GateWaiting, lambda: interrupt.request("SIGINT")),
        model_states=(revised("chat", 1),),
    )
    assert (outcome.interrupted, outcome.in_flight, outcome.failures) == ("SIGINT", ("s1",), ())
    assert outcome.elapsed < GRACE
    thing = bench.state.resources["a"]
    assert (thing.pending, thing.ready, thing.outputs) == ("create", False, {"url": "memory://a"})
    assert (bench.state.serial, bench.standing, "chat" in bench.state.models) == (1, ["a"], False)
    assert not outcome.ok


def test_what_is_nearly_done_is_waited_for_and_recorded() -> None:
    class Slow(MemoryProvider):
        def apply(self, change: Change, emit: Emit) -> Observed | None:
            started.set()
            time.sleep(0.2)
            return super().apply(change, emit)

    started = threading.Event()
    interrupt = Interrupt()
    bench = Bench(Slow(MemoryTarget(volatile=True), CONTEXT, World()))

    def ask() -> None:
        started.wait()
        interrupt.request("SIGTERM")

    threading.Thread(target=ask).start()
    steps = (create("s1", "chat", "a"), create("s2", "chat", "b", "s1"))
    outcome = bench.run(*steps, interrupt=interrupt)
    assert (outcome.interrupted, bench.standing) == ("SIGTERM", ["a"])


class Hanging(MemoryProvider):
    def __init__(self) -> None:
        super().__init__(MemoryTarget(volatile=True), CONTEXT, World())
        self.free = threading.Event()

    def apply(self, change: Change, emit: Emit) -> Observed | None:
        self.free.wait(30)
        return super().apply(change, emit)


def test_a_call_that_hangs_is_left_after_the_grace() -> None:
    provider, interrupt = Hanging(), Interrupt(timeout=0.1, grace=0.5)
    bench = Bench(provider)
    outcome = bench.run(create("s1", "chat", "a"), interrupt=interrupt)
    assert 0.6 <= outcome.elapsed < 3
    assert (outcome.interrupted, outcome.in_flight) == ("-timeout", ("s1",))
    assert bench.state.resources["a"].pending == "create"
    heard = len(bench.events)
    provider.free.set()
    time.sleep(0.1)
    assert len(bench.events) == heard  # a worker left behind has nothing more to say


def test_a_second_request_waits_for_nothing() -> None:
    provider, interrupt = Hanging(), Interrupt()
    bench = Bench(provider)

    def twice() -> None:
        interrupt.request("SIGINT")
        interrupt.request("SIGINT")

    outcome = bench.run(create("s1", "chat", "a"), interrupt=interrupt, hear=on(StepStarted, twice))
    provider.free.set()
    assert outcome.elapsed < 1
    assert interrupt.asked_again
    assert (outcome.in_flight, bench.state.resources["a"].pending) == (("s1",), "create")


def test_a_failed_rollout_is_not_taken_back_after_an_interrupt_and_that_is_said() -> None:
    bench, interrupt = Bench(), Interrupt()
    outcome = bench.run(
        create("s1", "chat", "a"),
        create("s2", "chat", "b", "s1", slot=1, answers="dies"),
        interrupt=interrupt,
        hear=on(GateFailed, lambda: interrupt.request("SIGINT")),
        model_states=(revised("chat", 1),),
    )
    assert [failure.code for failure in outcome.failures] == ["gate-failed", "undo-failed"]
    assert "stopped before model.chat was taken back" in outcome.failures[1].summary
    assert 'r1 at fake_process.chat["here/0"]' in outcome.failures[1].detail
    assert (bench.standing, outcome.undone, outcome.interrupted) == (["a", "b"], (), "SIGINT")
    assert bench.state.models["chat"].failure is not None


def test_an_interrupt_that_comes_too_late_changes_nothing() -> None:
    bench, interrupt = Bench(), Interrupt()
    outcome = bench.run(
        create("s1", "chat", "a"), interrupt=interrupt, hear=on(StepDone, lambda: interrupt.request("SIGINT"))
    )
    assert outcome.ok
    assert outcome.interrupted == ""


def test_an_interrupt_before_the_start_starts_nothing() -> None:
    bench, interrupt = Bench(), Interrupt()
    interrupt.request("SIGINT")
    outcome = bench.run(create("s1", "chat", "a"), interrupt=interrupt)
    assert (outcome.interrupted, bench.standing, bench.lease.writes) == ("SIGINT", [], [])


def test_long_steps_are_heard_of_every_ten_seconds() -> None:
    now = [0.0]
    heard: list[Event] = []
    teller = Narrator(heard.append, lambda: now[0])
    labels = Labels("a", "lin", "shop", "default", "", "chat", 1, "", 1)
    job = Job(create("s1", "chat", "a"), labels, None, threading.Event())
    teller.started(job)
    for now[0] in (4.0, 9.9, 10.0, 15.0, 20.0):
        teller.remind([job])
    assert [event.seconds for event in heard if isinstance(event, StillRunning)] == [10.0, 20.0]
    assert teller.until_reminder([job]) == pytest.approx(10.0)
