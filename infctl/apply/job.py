"""Owns what passes between the run and its workers: a step on its way, and what came of it.

Pure values, but for a job's own clock marks. Knows nothing of threads.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from infctl.diagnostics import Diagnostic
from infctl.plan.model import Step
from infctl.provider.values import Health, Known, Labels, Observed, Values


@dataclass(slots=True, eq=False)
class Job:
    """One step on its way. `abandon` ends its waits; `undoes` is the step it takes back, if it is an undo.

    `place` is where its object is, as in `events.StepEvent`. `started` and `heard` (when something was last said of it)
    are on the run's clock.
    """

    step: Step
    labels: Labels
    before: Known | None
    abandon: threading.Event
    undoes: Step | None = None
    place: str = ""
    started: float = 0.0
    heard: float = 0.0
    phase: str = ""


@dataclass(frozen=True, slots=True)
class Stands:
    """The place did it; the gate has begun. `kept` are the values with the digests of the secrets that were used."""

    job: Job
    seen: Observed
    kept: Values


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of a job. `failure` is None when all went well or the wait was `abandoned`; `lost` means that
    the lease is, so nothing may be written any more. `health` is the gate's last word, where there was a gate.
    """

    job: Job
    seen: Observed | None = None
    kept: Values | None = None
    failure: Diagnostic | None = None
    health: Health | None = None
    abandoned: bool = False
    lost: bool = False
