"""Owns rebuilding a lost or damaged state from what runs, and what the backups beside it say.

Looks at every target and stores what it found under the lock, once that was agreed to. The world is not touched.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from infctl.diagnostics import InfctlError
from infctl.frozen import dataclass
from infctl.ops.reading import observe
from infctl.ops.session import Session
from infctl.provider.kinds import Role
from infctl.provider.values import Observed, Scope, Unreadable
from infctl.state.model import State
from infctl.state.recover import Recovered, recover
from infctl.state.store import Salvaged, Waiting, new_state


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was found. `before` is the state as it could be read, None where it is gone or damaged.

    `unreadable` are places nobody could look at: what may be there is as the backup has it.
    """

    recovered: Recovered
    before: State | None = None
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def is_news(self) -> bool:
        """Whether storing it would change what state knows."""
        after = self.recovered.state
        return self.before is None or (self.before.resources, self.before.models) != (after.resources, after.models)


def recover_state(
    session: Session,
    agree: Callable[[Rebuilt], bool],
    *,
    lineage: str = "",
    timeout: float = 0.0,
    waiting: Waiting | None = None,
) -> bool:
    """Rebuild the state of `session` and store it if `agree` says so; returns whether it was stored.

    Raises InfctlError (nothing-to-recover, ambiguous-lineage, state-too-new, state-locked ...).
    """
    with session.lock("state recover", timeout=timeout, waiting=waiting) as lease:
        rebuilt = _rebuild(session, lineage)
        if not agree(rebuilt):
            return False
        lease.commit(rebuilt.recovered.state, force=True)
    return True


def _rebuild(session: Session, lineage: str) -> Rebuilt:
    salvaged = session.store.salvage()
    base = salvaged.state or new_state(session.stack.name if session.stack else "", session.store.workspace)
    session.open_providers(base)
    observed, unreadable = _look(session, salvaged, base, lineage)
    recovered = recover(
        observed,
        salvaged,
        stack=base.stack,
        workspace=base.workspace,
        reach={name: {"type": reach.type, "config": reach.config} for name, reach in session.reaches.items()},
        unreadable=unreadable,
        lineage=lineage,
    )
    recovered = replace(recovered, state=with_outputs(recovered.state, session))
    before = None
    with suppress(InfctlError):  # that it cannot be loaded is why it is rebuilt
        before = session.store.load().current
    return Rebuilt(recovered, before, tuple(place for places in unreadable.values() for place in places))


def _look(
    session: Session, salvaged: Salvaged, base: State, lineage: str
) -> tuple[tuple[Observed, ...], dict[str, tuple[Unreadable, ...]]]:
    """Return what is live on every target, and by target what could not be read."""
    wanted = lineage or (salvaged.state.lineage if salvaged.state else "")
    observed: list[Observed] = []
    unreadable: dict[str, tuple[Unreadable, ...]] = {}
    for name, provider in session.providers.items():
        known = tuple(thing.known for thing in base.resources.values() if thing.target == name)
        scope = Scope(wanted, base.stack, base.workspace, known)
        reading = observe(provider, name, scope)
        observed += reading.value
        if reading.unreadable:
            unreadable[name] = reading.unreadable
    return tuple(observed), unreadable


def with_outputs(state: State, session: Session) -> State:
    """Return `state` with the outputs that its objects tell: MODEL.url, .urls, .revision and .engine."""
    found: dict[str, Any] = {}
    for thing in sorted(state.resources.values(), key=lambda thing: thing.address):
        kind = session.providers[thing.target].kinds[thing.address.kind]
        serving = thing.model in state.models and thing.revision == state.models[thing.model].revision
        if kind.role is Role.ROUTER and kind.url_output in thing.outputs:
            url, urls = thing.outputs[kind.url_output], found.setdefault(f"{thing.model}.urls", {})
            urls[thing.target] = (*urls.get(thing.target, ()), url)
            found.setdefault(f"{thing.model}.url", url)
        elif kind.role is Role.REPLICA and serving:
            found[f"{thing.model}.revision"] = thing.revision
            found[f"{thing.model}.engine"] = thing.values.get("engine") or _engine_in_file(session, thing.model)
    return replace(state, outputs={**state.outputs, **{name: value for name, value in found.items() if value}})


def _engine_in_file(session: Session, model: str) -> str:
    from infctl.engines.resolve import engine_of

    stack = session.stack
    return engine_of(stack.models[model]) if stack is not None and model in stack.models else ""
