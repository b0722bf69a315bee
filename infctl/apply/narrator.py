"""Owns telling the story of a run: who is doing what, for how long; and never two voices at once.

Knows nothing of how it is shown, and decides nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from infctl.apply import events as said
from infctl.apply.job import Ended, Job
from infctl.plan.model import Step
from infctl.provider.values import Progress

REMIND_EVERY = 10.0  # seconds; DESIGN, invariant 14: no CI job is killed for silence


class Narrator:
    """Turns what happens into events. Silent after `close`: a worker left behind has nothing more to say."""

    def __init__(self, listener: said.Listener, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._listener = listener
        self._began = clock()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def elapsed(self) -> float:
        return self.clock() - self._began

    def say(self, event: said.Event) -> None:
        with self._lock:
            if not self._closed:
                self._listener(event)

    def close(self) -> None:
        with self._lock:
            self._closed = True

    def _about(self, step: Step, seconds: float, place: str = "") -> dict[str, Any]:
        return {
            "elapsed": self.elapsed,
            "step": step.id,
            "address": step.address,
            "model": step.model,
            "target": step.target,
            "place": place,
            "revision": step.revision,
            "do": str(step.do),
            "object": step.object,
            "seconds": seconds,
        }

    def _on(self, job: Job) -> dict[str, Any]:
        return self._about(job.step, self.clock() - job.started, job.place)

    def started(self, job: Job) -> None:
        job.started = job.heard = self.clock()
        self.say(said.StepStarted(**self._on(job), resuming=job.step.resuming))

    def progress(self, job: Job, word: Progress) -> None:
        job.phase = word.phase
        about = self._on(job)
        self.say(said.StepProgress(**about, **{name: getattr(word, name) for name in Progress.__dataclass_fields__}))

    def retrying(self, job: Job, reason: str) -> None:
        self.say(said.StepRetried(**self._on(job), reason=reason))

    def waiting(self, job: Job, detail: str) -> None:
        job.phase = "load"
        timeout = job.step.gate.timeout if job.step.gate else 0.0
        self.say(said.GateWaiting(**self._on(job), timeout=timeout, detail=detail))

    def skipped(self, step: Step) -> None:
        self.say(said.StepSkipped(**self._about(step, 0.0)))

    def ended(self, word: Ended) -> None:
        about, health, failure = self._on(word.job), word.health, word.failure
        if word.abandoned or word.lost:
            self.say(said.StepLeft(**about))
        elif failure is None:
            if health is not None:
                self.say(said.GatePassed(**about, detail=health.detail))
            self.say(said.StepDone(**about))
        else:
            if health is not None:
                self.say(said.GateFailed(**about, detail=health.detail, log=health.log))
            self.say(said.StepFailed(**about, reason=failure.summary))

    def remind(self, jobs: Iterable[Job]) -> None:
        """Say of each job that it still runs, when nothing was said of it for REMIND_EVERY seconds."""
        now = self.clock()
        for job in jobs:
            if now - job.heard >= REMIND_EVERY:
                job.heard = now
                self.say(said.StillRunning(**self._on(job), phase=job.phase))

    def until_reminder(self, jobs: Iterable[Job]) -> float:
        """Return the seconds until the next reminder is due."""
        return min((job.heard + REMIND_EVERY - self.clock() for job in jobs), default=REMIND_EVERY)
