"""Waiting until something answers: every way in which a wait may end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from infctl.address import Address
from infctl.apply.failures import LOG_LINES, gate_failed
from infctl.apply.gates import wait_ready
from infctl.provider.errors import ProviderError
from infctl.provider.values import Health, Observed
from tests.unit.apply.bench import create

SEEN = Observed(Address("fake_process", "chat", "here/0"), "a", "a", "here", {}, {}, None)
READY, LOADING, DEAD = Health(ready=True), Health(ready=False, detail="loading"), Health(ready=False, dead=True)


class Told(threading.Event):
    """A wait that takes no time: it moves the clock instead."""

    def __init__(self, after: int = 10**9) -> None:
        super().__init__()
        self.now = 0.0
        self.pauses: list[float] = []
        self.after = after

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.now += timeout
        self.pauses.append(timeout)
        return len(self.pauses) > self.after


def wait(
    *answers: Health | ProviderError,
    timeout: float = 30.0,
    abandon: Told | None = None,
    words: Callable[[], str] = lambda: "",
) -> tuple[Health | None, Told, list[str]]:
    abandon = abandon or Told()
    said: list[str] = []
    told: Iterator[Health | ProviderError] = iter(answers)
    last = answers[-1]

    def probe(_what: Observed) -> Health:
        answer = next(told, last)
        if isinstance(answer, ProviderError):
            raise answer
        return answer

    health = wait_ready(
        probe, SEEN, timeout=timeout, abandon=abandon, tell=said.append, words=words, clock=lambda: abandon.now
    )
    return health, abandon, said


def test_ready_at_once_waits_for_nothing() -> None:
    health, clock, said = wait(READY)
    assert (health, clock.pauses, said) == (READY, [], [])


def test_dead_ends_the_wait() -> None:
    health, clock, _ = wait(LOADING, DEAD)
    assert (health, len(clock.pauses)) == (DEAD, 1)


def test_pauses_grow_from_20_ms_to_1_s() -> None:
    _, clock, _ = wait(LOADING, timeout=60)
    assert clock.pauses[0] == 0.02
    assert max(clock.pauses) == 1.0
    assert all(later >= sooner for sooner, later in zip(clock.pauses, clock.pauses[1:-1], strict=False))


def test_the_time_is_over_on_the_dot_and_one_last_look_is_taken() -> None:
    health, clock, _ = wait(LOADING, timeout=3)
    assert health == LOADING
    assert clock.now == pytest.approx(3.0)


def test_an_abandoned_wait_has_no_answer() -> None:
    assert wait(LOADING, abandon=Told(after=2))[0] is None


def test_each_new_detail_is_told_once() -> None:
    other = Health(ready=False, detail="warming up")
    assert wait(LOADING, LOADING, other, other, READY)[2] == ["loading", "warming up"]


def test_what_it_writes_while_it_loads_is_told_each_five_seconds() -> None:
    written = iter(("shards: 25 %", "shards: 25 %", "shards: 75 %"))
    _, clock, said = wait(LOADING, timeout=20, words=lambda: next(written))
    assert said == ["loading", "loading; its log: shards: 25 %", "loading; its log: shards: 75 %"]
    assert wait(LOADING, timeout=4, words=lambda: "too early")[2] == ["loading"]
    assert clock.now == pytest.approx(20)


def test_a_place_that_cannot_be_asked_is_not_ready_yet() -> None:
    health, _, said = wait(ProviderError("no route to host"), READY)
    assert (health, said) == (READY, ["no route to host"])


def test_a_failed_gate_shows_the_last_lines_and_the_limit() -> None:
    step = create("s1", "chat", "a", revision=4)
    log = tuple(f"line {number}" for number in range(100))
    failure = gate_failed(step, Health(ready=False, detail="loading", log=log), 30.0, 30.2)
    assert failure.detail.startswith('r4 was not ready after 30s (limit 30s) at fake_process.chat["here/0"]: loading')
    assert failure.detail.count("\n") == LOG_LINES + 1
    assert failure.detail.endswith("line 99")
