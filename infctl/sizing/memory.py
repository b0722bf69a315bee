"""Owns how much memory one llama.cpp replica needs on CPUs, and whether it fits. Pure.

Knows nothing of processes; `benchmarks` and the tests measure how far off it is.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes of one replica. `weights` are mapped from the model file and shared by the replicas of one machine;
    `kv` is the KV cache, `compute` the scratch of one batch, `process` the rest. `exact` is whether the KV cache
    is known and not an upper bound.
    """

    weights: int
    kv: int
    compute: int
    process: int
    exact: bool = True

    @property
    def total(self) -> int:
        return self.weights + self.kv + self.compute + self.process

    @property
    def private(self) -> int:
        """What each further replica of the same file on the same machine adds."""
        return self.kv + self.compute + self.process
