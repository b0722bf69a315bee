"""Owns finding what a model's replicas wrote, whichever provider keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from infctl.diagnostics import Code, InfctlError, did_you_mean, error
from infctl.ops.reading import Readings
from infctl.plan.revisions import NO_SUCH_MODEL
from infctl.provider.kinds import Role
from infctl.provider.protocol import SupportsLogs
from infctl.provider.values import Labels, Observed

if TYPE_CHECKING:
    from infctl.ops.session import Session
    from infctl.state.model import Resource, State

NO_LOGS = Code(
    "no-logs",
    "There are no lines to show: nothing of that revision ran or wrote, or its target keeps no logs.",
    "`infctl status` shows which revisions run; leave out -revision for the one that serves.",
)
Line = tuple[str, str]  # the replica's address, what it wrote


def logs_of(session: Session, model: str, *, revision: int, tail: int, follow: bool) -> Iterator[Line]:
    """Yield the lines of `model`'s replicas, each replica's oldest first; with `follow` as they come, from all.

    `revision` 0 is the one that serves. Raises InfctlError (no-such-model, no-logs).
    """
    state = session.known_state()
    if model not in state.models:
        hint = did_you_mean(model, state.models) or NO_SUCH_MODEL.remedy
        raise InfctlError(error(NO_SUCH_MODEL, f"There is no model {model!r} in state", hint=hint))
    session.open_providers(state)
    wanted = revision or state.models[model].revision
    sources = list(_sources(session, state, model, wanted))
    if not sources:
        raise _no_logs(model, wanted)
    streams = [(str(seen.address), provider.logs(seen, tail=tail, follow=follow)) for provider, seen in sources]
    if follow:
        return _together(streams) if len(streams) > 1 else _in_turn(streams)
    lines = _in_turn(streams)
    first = next(lines, None)
    if first is None and tail and wanted != state.models[model].revision:
        raise _no_logs(model, wanted)
    return chain(() if first is None else (first,), lines)


def _no_logs(model: str, revision: int) -> InfctlError:
    return InfctlError(
        error(NO_LOGS, f"There are no logs of {model} r{revision}", hint=NO_LOGS.remedy, address=f"model.{model}")
    )


def _sources(session: Session, state: State, model: str, revision: int) -> Iterator[tuple[SupportsLogs, Observed]]:
    """Yield each replica of that revision with its provider: live ones, or as they were where they are gone."""
    views = Readings(session, state, lambda _event: None).finish()
    live = {seen.id: seen for view in views.values() for seen in view.observed}
    things = [t for t in state.resources.values() if t.model == model and _is_replica(session, t)]
    for thing in things:
        provider = session.providers[thing.target]
        if not isinstance(provider, SupportsLogs):
            continue
        if thing.revision == revision:
            yield provider, live.get(thing.id) or _remembered(thing, state, revision)
        elif not any(t.revision == revision for t in things):
            yield provider, _remembered(thing, state, revision)


def _is_replica(session: Session, thing: Resource) -> bool:
    return session.providers[thing.target].kinds[thing.address.kind].role is Role.REPLICA


def _remembered(thing: Resource, state: State, revision: int) -> Observed:
    """Return what a replica of `revision` at this address was: a provider may have kept its log."""
    labels = Labels(
        "" if thing.revision != revision else thing.id, state.lineage, state.stack, state.workspace,
        str(thing.address), thing.model, revision, "", thing.fence,
    )  # fmt: skip
    return Observed(thing.address, labels.id, "", thing.target, {}, {}, labels, running=False)


def _in_turn(streams: list[tuple[str, Iterator[str]]]) -> Iterator[Line]:
    for address, lines in streams:
        for line in lines:
            yield address, line


def _together(streams: list[tuple[str, Iterator[str]]]) -> Iterator[Line]:
    inbox: SimpleQueue[Line | None] = SimpleQueue()

    def pump(address: str, lines: Iterator[str]) -> None:
        for line in lines:
            inbox.put((address, line))
        inbox.put(None)

    for address, lines in streams:
        Thread(target=pump, args=(address, lines), daemon=True).start()
    left = len(streams)
    while left:
        found = inbox.get()
        if found is None:
            left -= 1
        else:
            yield found
