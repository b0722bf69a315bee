"""Owns running a plan's steps: intents before actions, side by side where nothing needs the other, gates, undo.

Runs the plan's steps and nothing else. Knows no provider, no file and no terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from infctl.apply.events import Listener
from infctl.apply.interrupt import Interrupt
from infctl.apply.outcome import Outcome
from infctl.plan.model import Plan
from infctl.provider.protocol import Provider
from infctl.secrets import Secret
from infctl.state.model import State
from infctl.state.store import Lease


def execute(
    plan: Plan,
    state: State,
    lease: Lease,
    providers: Mapping[str, Provider],
    *,
    secrets: Callable[[str], Secret],
    digest_key: bytes,
    parallelism: int = 10,
    emit: Listener = lambda _event: None,
    interrupt: Interrupt | None = None,
) -> Outcome:
    """Make `plan` true and return what is true now, committed through `lease`.

    `state` is the store's `Loaded.current`, `providers` are by target name, `secrets` gives a secret's value by
    its name (raising InfctlError when it cannot), called only when a step needs it. `emit` is called from one
    thread at a time. Never raises for what a place or a model does: that is in `Outcome.failures`.
    """
    raise NotImplementedError
