"""Owns the steps of a model's rollout: which replicas come in which wave, when traffic moves, when the old go.

The way was chosen before (`course`). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from infctl.address import Address
from infctl.placement.room import Rollout, Way, waves
from infctl.plan.book import Book, Key
from infctl.plan.compare import Verdict
from infctl.plan.course import Course, ModelVerdicts, first_to_leave
from infctl.plan.diff import pin_refs
from infctl.plan.model import Action
from infctl.provider.values import Do, Values, refs


def write_steps(model: ModelVerdicts, course: Course, book: Book) -> None:
    """Add the steps of one model to `book`, in the order the course asks for."""
    updates = {_update(verdict, model, book) for verdict in model.doing(Action.UPDATE)}
    batches = _batches(model, course)
    leaving = model.leaving
    done: set[Key] = set()
    if any(batches) and (course.waits or course.rollout is Rollout.SWAP):
        done = _make_room(batches, model, book, updates)
        leaving = [verdict for verdict in leaving if verdict not in first_to_leave(model)]
    if course.rollout is Rollout.SWAP:
        done = _swap(batches, model, book, done)
    else:
        done = _beside(batches, model, course, book, done)
        leaving += batches[-1] if course.rollout in {Rollout.SURGE, Rollout.ROLLING} else []
    switched = _final_switch(model, book, done | updates)
    for verdict in leaving:
        _retire(verdict, model, book, switched if model.routers else done)


def _batches(model: ModelVerdicts, course: Course) -> list[list[Verdict]]:
    """Return the new replicas in waves; new slots come last, once there is room for them."""
    replaced = model.doing(Action.REPLACE_BESIDE, Action.REPLACE)
    coming = model.doing(Action.CREATE)
    if course.rollout not in {Rollout.ROLLING, Rollout.SWAP}:
        return [[*replaced, *coming]]
    batches = [replaced[wave] for wave in waves(Way(course.rollout, course.batch), len(replaced))]
    return [*batches, coming] if coming else batches


def _make_room(batches: list[list[Verdict]], model: ModelVerdicts, book: Book, updates: set[Key]) -> set[Key]:
    """Have what only leaves go first, when nobody is sent there any more. Returns the keys that new ones wait for."""
    leaving = first_to_leave(model)
    if not leaving:
        return set(updates)
    done = updates | _switch(model, book, updates, waiting=[verdict for batch in batches for verdict in batch])
    return done.union(*(_retire(verdict, model, book, done) for verdict in leaving))


def _beside(
    batches: list[list[Verdict]], model: ModelVerdicts, course: Course, book: Book, after: set[Key]
) -> set[Key]:
    """New ones stand first. Returns the keys after which the last switch may come."""
    done = set(after)
    first: set[Key] = set()
    pending = [verdict for batch in batches for verdict in batch]
    for index, batch in enumerate(batches):
        created: set[Key] = set()
        for verdict in batch:
            key = book.create(
                verdict, done | first, timeout=_ready(model, verdict), ids=book.ids, beside=True,
                fetching=_fetching(model, verdict),
            )  # fmt: skip
            created.add(key)
            first = first or {key}
        pending = [verdict for verdict in pending if verdict not in batch]
        done |= created
        if course.rollout is Rollout.ROLLING and index < len(batches) - 1:
            switched = _switch(model, book, created, waiting=pending)
            for verdict in batch:
                done |= _retire(verdict, model, book, switched or created)
    return done


def _swap(batches: list[list[Verdict]], model: ModelVerdicts, book: Book, after: set[Key]) -> set[Key]:
    """Old ones leave before new ones come. Returns the keys after which the last switch may come."""
    done = set(after)
    pending = [verdict for batch in batches for verdict in batch]  # new slots too: nobody serves them yet
    for batch in batches:
        away = [verdict for verdict in batch if verdict.have and verdict.live]
        pending = [verdict for verdict in pending if verdict not in away]
        if away:
            switched = done | _switch(model, book, done, waiting=pending, absent=away)
            for verdict in away:
                done |= _retire(verdict, model, book, switched)
        made: list[Key] = []
        for verdict in batch:
            first = done | set(made[:1])
            ready, fetching = _ready(model, verdict), _fetching(model, verdict)
            made.append(book.create(verdict, first, timeout=ready, ids=book.ids, fetching=fetching))
        done |= set(made)
    return done


def _switch(
    model: ModelVerdicts, book: Book, needs: set[Key], *, waiting: Sequence[Verdict], absent: Sequence[Verdict] = ()
) -> set[Key]:
    """Add a switch on the way: slots in `waiting` still served by their predecessors, those in `absent` by nobody."""
    old = {v.address: v.have.id for v in waiting if v.have and v.live}
    nobody = {v.address for v in absent} | {v.address for v in waiting if not v.live}
    keys = set()
    for router in model.routers:
        if router.action is not Action.UPDATE:
            continue
        values = with_backends(router, {**book.ids, **old}, nobody)
        keys.add(
            book.update(router, needs, do=Do.SWITCH, values=values, timeout=drain_timeout(model, router), ids=book.ids)
        )
    return keys


def with_backends(router: Verdict, ids: Mapping[Address, str], nobody: AbstractSet[Address]) -> Values:
    """Return a router's values with its replicas' ids from `ids` (by address), and without those in `nobody`."""
    field = router.kind.backends
    backends: Any = tuple(
        item for item in router.values.get(field, ()) if nobody.isdisjoint(ref.address for ref in refs(item))
    )
    values: Values = pin_refs({**router.values, field: backends}, ids)
    return values


def _final_switch(model: ModelVerdicts, book: Book, needs: set[Key]) -> set[Key]:
    keys = set()
    for router in model.routers:
        timeout = drain_timeout(model, router)
        if router.action is Action.CREATE:
            keys.add(book.create(router, needs, timeout=timeout, ids=book.ids))
        elif router.action is Action.UPDATE:
            keys.add(book.update(router, needs, do=Do.SWITCH, timeout=timeout, ids=book.ids))
        elif router.action in {Action.REPLACE, Action.REPLACE_BESIDE}:
            gone = _delete(router, book, needs, timeout)
            keys.add(book.create(router, {gone}, timeout=timeout, ids=book.ids))
        elif router.action is Action.DELETE:
            keys.add(_delete(router, book, needs, timeout))
    return keys


def _update(verdict: Verdict, model: ModelVerdicts, book: Book) -> Key:
    return book.update(verdict, timeout=_ready(model, verdict), ids=book.ids)


def _retire(verdict: Verdict, model: ModelVerdicts, book: Book, needs: set[Key]) -> set[Key]:
    """Drain the object that stands now, where it serves anybody, then remove it."""
    if verdict.have is None or verdict.live is None:
        return set()
    after = set(needs)
    if verdict.is_replica and verdict.live.running and model.routers:
        seen = verdict.live.fingerprint
        after = {book.drain(verdict.have, needs, seen=seen, timeout=drain_timeout(model, verdict))}
    return {_delete(verdict, book, after, drain_timeout(model, verdict))}


def _delete(verdict: Verdict, book: Book, needs: set[Key], timeout: float) -> Key:
    assert verdict.have is not None  # noqa: S101  # only what stands is removed
    seen = verdict.live.fingerprint if verdict.live else ""
    revive = not verdict.have.deposed and verdict.action is not Action.DELETE
    return book.delete(verdict.have, needs, seen=seen, timeout=timeout, revive=revive, reason=verdict.reason)


def _ready(model: ModelVerdicts, verdict: Verdict) -> float:
    wish = model.wishes.get(verdict.target)
    return wish.ready_timeout if wish else 600.0


def _fetching(model: ModelVerdicts, verdict: Verdict) -> float:
    wish = model.wishes.get(verdict.target)
    return wish.pull_timeout if wish else 0.0


def drain_timeout(model: ModelVerdicts, verdict: Verdict) -> float:
    """Return how many seconds requests of the model may take to end."""
    wish = model.wishes.get(verdict.target)
    return wish.drain_timeout if wish else 120.0


def write_removals(models: Sequence[ModelVerdicts], book: Book) -> None:
    """Have lost objects that are seen again removed before anything else is done on their target."""
    lost = [(verdict, model) for model in models for verdict in model.lost]
    if not lost:
        return
    others = book.keys_by_target()
    for verdict, model in lost:
        key = _delete(verdict, book, set(), drain_timeout(model, verdict))
        for other in others.get(verdict.target, ()):
            book.needs[other].add(key)


def write_waits(models: Sequence[ModelVerdicts], courses: Mapping[str, Course], book: Book) -> None:
    """Have every new replica need the removal of what only leaves its target, where the courses ask for it."""
    created, deleted = book.keys_of(Do.CREATE), book.keys_of(Do.DELETE)
    gone: dict[str, set[Key]] = {}
    for verdict in (v for model in models for v in first_to_leave(model)):
        gone.setdefault(verdict.target, set()).update(deleted.get(verdict.have.id, ()) if verdict.have else ())
    for model in models:
        for verdict in model.replicas if courses[model.name].waits else ():
            for key in created.get(verdict.id, ()):
                book.needs[key] |= gone.get(verdict.target, set())
    _write_moves(models, courses, book)


def _write_moves(models: Sequence[ModelVerdicts], courses: Mapping[str, Course], book: Book) -> None:
    """Have every new replica that comes after moves need what they leave, on its target."""
    created, deleted = book.keys_of(Do.CREATE), book.keys_of(Do.DELETE)
    left: dict[str, set[Key]] = {}
    for verdict in (v for model in models if courses[model.name].goes_first for v in model.replicas):
        left.setdefault(verdict.target, set()).update(deleted.get(verdict.have.id, ()) if verdict.have else ())
    for verdict in (v for model in models if courses[model.name].comes_after for v in model.replicas):
        for key in created.get(verdict.id, ()):
            book.needs[key] |= left.get(verdict.target, set())
