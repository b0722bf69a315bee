"""Owns a place to run that fails: before doing what it is told, after doing it, at its gates; as a seed decides.

Everything it does do it does like the memory provider. Whether a call fails depends on the seed, the call and how
often it was made, never on which thread came first.
"""

from __future__ import annotations

import hashlib
import threading
from typing import ClassVar

from pydantic import BaseModel

from infctl.provider.errors import ProviderError
from infctl.provider.protocol import Context
from infctl.provider.values import Change, Emit, Health, Observed
from tests.fakes.memory import MemoryProvider, MemoryTarget
from tests.fakes.world import World


class FailingTarget(MemoryTarget):
    """Rates are from 0 to 1: calls refused, calls done and then said to have failed, gates that say "dead",
    calls that raise what a provider must not. `passing` is the share of refusals that say "try again".
    """

    seed: int = 0
    refused: float = 0.0
    half_done: float = 0.0
    dead: float = 0.0
    defects: float = 0.0
    passing: float = 0.0


class FailingProvider(MemoryProvider):
    config: ClassVar[type[BaseModel]] = FailingTarget

    def __init__(self, config: BaseModel, context: Context, world: World | None = None) -> None:
        assert isinstance(config, FailingTarget)
        super().__init__(config, context, world)
        self.faults: FailingTarget = config
        self._calls: dict[str, int] = {}
        self._lock = threading.Lock()

    def apply(self, change: Change, emit: Emit) -> Observed | None:
        what = f"{change.do} {change.address} {change.labels.revision}"
        retryable = self._strikes("passing", what, self.faults.passing)
        if self._strikes("refused", what, self.faults.refused):
            raise ProviderError(f"{what}: refused", address=str(change.address), retryable=retryable)
        if self._strikes("defect", what, self.faults.defects):
            raise KeyError(what)
        seen = super().apply(change, emit)
        if self._strikes("half", what, self.faults.half_done):
            raise ProviderError(f"{what}: done, and then the line went dead", address=str(change.address))
        return seen

    def probe(self, what: Observed) -> Health:
        revision = what.labels.revision if what.labels else 0
        if self._strikes("dead", f"{what.address} {revision}", self.faults.dead):
            return Health(ready=False, detail="it ended", dead=True, log=("cannot allocate memory",))
        return super().probe(what)

    def _strikes(self, kind: str, what: str, rate: float) -> bool:
        with self._lock:
            key = f"{kind} {what}"
            count = self._calls[key] = self._calls.get(key, 0) + 1
        found = hashlib.sha256(f"{self.faults.seed} {key} {count}".encode()).digest()
        return int.from_bytes(found[:4]) < rate * 2**32
