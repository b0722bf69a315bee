"""Owns which step may start when: those whose needs are done, in the order in which they became free.

Linear in steps and needs. Knows nothing of what a step does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from infctl.plan.model import Step


class Order:
    """Steps waiting for others, and steps that are ready."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self._missing: dict[str, int] = {}
        self._users: dict[str, list[Step]] = {}
        self.ready: deque[Step] = deque()
        self.add(steps)

    def add(self, steps: Iterable[Step]) -> None:
        """Queue `steps`, none of whose needs is done yet: those that need nothing are ready."""
        for step in steps:
            self._missing[step.id] = len(step.needs)
            for need in step.needs:
                self._users.setdefault(need, []).append(step)
            if not step.needs:
                self.ready.append(step)

    def done(self, step: Step) -> None:
        """Take note that `step` is done: what needed nothing else is ready now."""
        for user in self.users(step):
            self._missing[user.id] -= 1
            if not self._missing[user.id]:
                self.ready.append(user)

    def users(self, step: Step) -> Sequence[Step]:
        """Return the steps that need `step`."""
        return self._users.get(step.id, ())
