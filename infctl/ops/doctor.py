"""Owns finding out what keeps a stack from working, before anything is tried. Reads only, changes nothing.

Knows no flag and no terminal; what is wrong with a place its provider says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from infctl.diagnostics import InfctlError, Severity
from infctl.frozen import dataclass
from infctl.ops.adopt import require_target
from infctl.ops.session import Session, load
from infctl.ops.where import Where
from infctl.provider.errors import ProviderError
from infctl.provider.protocol import Finding, Provider, SupportsCheck
from infctl.spec.stack import Stack
from infctl.state.model import State
from infctl.state.store import Store, new_state

ELSEWHERE = "://"  # part of the location of a store that is no folder: reading it showed that it can be reached


@dataclass(frozen=True, slots=True)
class Row:
    """One finding, and what it is `about`: "stack", "state", "engines", "models" or "target.NAME"."""

    about: str
    finding: Finding


def examine(where: Where) -> tuple[Row, ...]:
    """Return everything there is to say of the stack that `where` names: files, state, models, targets."""
    rows: list[Row] = []
    try:
        stack = load(where)
        rows.append(Row("stack", _file(stack)))
    except InfctlError as failure:
        stack = None
        rows.append(Row("stack", _broken_file(failure)))
    try:
        session = Session.open(where, read=False)
    except InfctlError as failure:
        return (*rows, Row("state", _refused("workspace", failure)))
    session.stack = stack
    with session:
        state, found = _state(session.store)
        rows += (Row("state", each) for each in (found, _writable(session.store), _lock(session.store)))
        rows += (Row("engines", each) for each in (_engines(stack) if stack else ()))
        rows += (Row("models", each) for each in (_model_files(stack) if stack else ()))
        rows += _targets(session, state)
    return tuple(rows)


def examine_target(where: Where, name: str) -> tuple[Row, ...]:
    """Return what there is to say of one target. Raises InfctlError (unknown-target, what is wrong with a file)."""
    with Session.open(where, stack=False) as session:
        providers = session.open_providers(session.state())
        require_target(name, providers)
        return tuple(Row(f"target.{name}", each) for each in _check(providers[name]))


def _file(stack: Stack) -> Finding:
    detail = f"{len(stack.models)} models on {', '.join(stack.targets)}"
    if len(stack.models) == 1:
        detail = f"model {next(iter(stack.models))} on {', '.join(stack.targets)}"
    if stack.warnings:
        warned = "1 warning" if len(stack.warnings) == 1 else f"{len(stack.warnings)} warnings"
        detail += f"; {warned}: infctl validate shows more"
    return Finding(", ".join(stack.files), ok=True, detail=detail)


def _broken_file(failure: InfctlError) -> Finding:
    first, *more = [each for each in failure.diagnostics if each.severity is Severity.ERROR]
    where = first.span.file if first.span else "inference.yaml"
    others = f", and {len(more)} more" if more else ""
    hint = "infctl validate shows them all" if more or first.span else first.hint
    return Finding(where, ok=False, detail=f"{first.summary}{others}", hint=hint)


def _refused(what: str, failure: InfctlError) -> Finding:
    told = failure.diagnostics[0]
    detail = f"{told.summary}: {told.detail}" if told.detail else told.summary
    return Finding(what, ok=False, detail=detail, hint=told.hint)


# ---------------------------------------------------------------- state


def _state(store: Store) -> tuple[State | None, Finding]:
    try:
        loaded = store.load()
    except InfctlError as failure:
        return None, _refused("readable", failure)
    state = loaded.current
    if state is None:
        return None, Finding("readable", ok=True, detail=f"nothing was applied yet in workspace {store.workspace}")
    detail = f"serial {state.serial} with {len(state.resources)} objects"
    if loaded.journal:
        hint = "infctl apply goes on where it stopped"
        return state, Finding("readable", ok=False, detail=f"{detail}; the last run was cut short", hint=hint)
    return state, Finding("readable", ok=True, detail=detail)


def _writable(store: Store) -> Finding:
    if ELSEWHERE in store.location:
        return Finding("kept at", ok=True, detail=store.location)
    folder = Path(store.location).absolute().parent
    there = next(each for each in (folder, *folder.parents) if each.exists())
    ok = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    return Finding("writable", ok, str(there), "" if ok else f"let this user write in {there}")


def _lock(store: Store) -> Finding:
    try:
        info = store.lock_info()
    except InfctlError as failure:
        return _refused("lock", failure)
    if info is None:
        return Finding("lock", ok=True, detail="free")
    detail = f"held by {info.who} for {info.operation} since {info.since}"
    hint = f"wait for it with -lock-timeout=5m; if it is surely dead: infctl force-unlock {info.id}"
    return Finding("lock", ok=False, detail=detail, hint=hint)


# ---------------------------------------------------------------- engines, models and targets


def _engines(stack: Stack) -> Iterator[Finding]:
    """Yield what is installed of the engines that the models use, beside what they are pinned to."""
    from infctl.desired.facts import installed, order_of
    from infctl.desired.lockfile import LOCK_FILE, read_lock
    from infctl.engines.resolve import DISTRIBUTIONS, engine_of
    from infctl.ops.pins import containers_of

    try:
        pins = read_lock(stack.root / LOCK_FILE)
    except InfctlError as failure:
        yield _refused(LOCK_FILE, failure)
        return
    versions = installed()
    containers = containers_of(stack)
    here = (model for model in stack.models.values() if not containers.issuperset(order_of(stack, model)))
    for engine in sorted({engine_of(model) for model in here} & DISTRIBUTIONS.keys()):
        have = versions.get(engine, "")
        pinned = sorted({p.engine_version for p in pins.values() if p.engine == engine and not p.image} - {have})
        if not have:
            yield Finding(engine, ok=False, detail="not installed", hint=f"run: pip install {DISTRIBUTIONS[engine]}")
        elif pinned:
            hint = f"run: infctl lock -upgrade, or: pip install {DISTRIBUTIONS[engine]}=={pinned[-1]}"
            yield Finding(engine, ok=False, detail=f"{have} is installed, {', '.join(pinned)} is pinned", hint=hint)
        else:
            yield Finding(engine, ok=True, detail=have)


def _model_files(stack: Stack) -> Iterator[Finding]:
    """Yield what is wrong with each model file at a glance, its checksum apart."""
    from infctl.desired.facts import files_asked, glance
    from infctl.ops.pins import containers_of

    containers = containers_of(stack)
    each = (asked for model in stack.models.values() for asked in files_asked(stack, model, containers))
    for asked in dict.fromkeys(each):
        try:
            yield Finding(asked[0], ok=True, detail=f"a file of {glance(asked, stack.root):,} bytes")
        except InfctlError as failure:
            yield _refused(asked[0], failure)


def _targets(session: Session, state: State | None) -> Iterator[Row]:
    try:
        name = session.stack.name if session.stack is not None else ""
        providers = session.open_providers(state or new_state(name, session.store.workspace))
    except InfctlError as failure:
        yield Row("targets", _refused("provider", failure))
        return
    for name, provider in providers.items():
        yield from (Row(f"target.{name}", each) for each in _check(provider))


def _check(provider: Provider) -> tuple[Finding, ...]:
    if not isinstance(provider, SupportsCheck):
        return (Finding("reachable", ok=True, detail="its provider has no checks"),)
    try:
        return provider.check()
    except ProviderError as failure:
        return (_refused("check", failure),)
