"""Owns how a model gets from what runs to what is wanted: surge, rolling, or drain-and-swap; in which order.

Room decides: with room for every new replica all stand beside the old and one switch moves the traffic; with
room for some they go in batches; with none each old one leaves before its successor comes. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infctl.diagnostics import Code, Diagnostic, error
from infctl.plan.book import Book, Key, pin_refs
from infctl.plan.compare import Verdict
from infctl.plan.model import Action, Rollout
from infctl.provider.values import Deployment, Do, Values, refs

NO_ROOM = Code(
    "no-room",
    "A target has not enough free memory for what the file asks of it.",
    "Ask for fewer replicas, a smaller context or a smaller model, or free memory on the target.",
)
_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Course:
    """The chosen way for one model, with the figures that chose it (bytes, on its tightest target)."""

    rollout: Rollout
    batch: int = 0  # how many new replicas stand beside the old at a time
    needed: int = 0
    free: int = 0
    downtime: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class ModelVerdicts:
    """All that is judged about one model, by the part it plays. `leftovers` are removed without being replaced."""

    name: str
    replicas: tuple[Verdict, ...]
    routers: tuple[Verdict, ...]
    leftovers: tuple[Verdict, ...]
    wishes: Mapping[str, Deployment]  # by target

    def doing(self, *actions: Action) -> list[Verdict]:
        return [verdict for verdict in self.replicas if verdict.action in actions]


def choose(model: ModelVerdicts, room: dict[str, int]) -> tuple[Course, list[Diagnostic]]:
    """Return the course for `model` and take what it needs out of `room` (target -> free bytes; absent: no limit)."""
    swapped = model.doing(Action.REPLACE_BESIDE, Action.REPLACE)
    coming = model.doing(Action.CREATE)
    if not swapped and not coming:
        return Course(Rollout.NONE), []
    courses, problems = [], []
    for target in sorted({verdict.target for verdict in (*swapped, *coming)}):
        course, problem = _course(model, target, room)
        courses.append(course)
        problems += problem
    order = (Rollout.FIRST, Rollout.NONE, Rollout.SURGE, Rollout.ROLLING, Rollout.SWAP)
    worst = max(courses, key=lambda course: (order.index(course.rollout), -course.batch))
    return worst, problems


def _course(model: ModelVerdicts, target: str, room: dict[str, int]) -> tuple[Course, list[Diagnostic]]:
    swapped = [v for v in model.doing(Action.REPLACE_BESIDE, Action.REPLACE) if v.target == target]
    coming = [v for v in model.doing(Action.CREATE) if v.target == target]
    need = model.wishes[target].template.memory
    free = room.get(target)
    total = need * (len(swapped) + len(coming))
    if free is None or not need:
        beside = len(swapped)
        free_bytes = 0
    else:
        free_bytes = free
        beside = min(len(swapped), max(0, free // need - len(coming)))
        room[target] = free - need * (beside + len(coming))
    problems = []
    if free is not None and need:
        released = max((_memory(v) for v in swapped), default=0)
        if need * len(coming) > free or (swapped and not beside and need * (len(coming) + 1) > free + released):
            problems.append(_no_room(model.name, target, total, free))
    if not swapped:
        standing = any(v.live for v in model.replicas)
        return Course(Rollout.NONE if standing else Rollout.FIRST, 0, total, free_bytes), problems
    if any(v.action is Action.REPLACE for v in swapped):
        why = "the object keeps its name, so the old one leaves first"
        return Course(Rollout.SWAP, 1, total, free_bytes, _goes_dark(model), why), problems
    if beside == len(swapped):
        return Course(Rollout.SURGE, beside, total, free_bytes, why="room for old and new side by side"), problems
    if beside:
        return Course(Rollout.ROLLING, beside, total, free_bytes, why=f"room for {beside} beside the old"), problems
    return Course(Rollout.SWAP, 1, total, free_bytes, _goes_dark(model), "no room beside the old"), problems


def _goes_dark(model: ModelVerdicts) -> bool:
    return sum(1 for verdict in model.replicas if verdict.live and verdict.live.running) <= 1


def _memory(verdict: Verdict) -> int:
    found = verdict.have.values.get("memory", 0) if verdict.have else 0
    return found if isinstance(found, int) else 0


def _no_room(name: str, target: str, needed: int, free: int) -> Diagnostic:
    return error(
        NO_ROOM,
        f"{target} has no room for {name}",
        f"needs {needed / _GIB:.2f} GiB, {free / _GIB:.2f} GiB are free",
        hint=NO_ROOM.remedy,
        path=f"models.{name}",
        address=f"model.{name}",
    )


def write_steps(model: ModelVerdicts, course: Course, book: Book) -> None:
    """Add the steps of one model to `book`, in the order the course asks for."""
    updates = {v.address: _update(v, model, book) for v in model.doing(Action.UPDATE)}
    batches = _batches(model, course)
    done = _swap(batches, model, book) if course.rollout is Rollout.SWAP else _beside(batches, model, course, book)
    switched = _final_switch(model, book, {*done, *updates.values()})
    retired = switched if model.routers else done
    for verdict in (*model.doing(Action.DELETE), *model.leftovers):
        _retire(verdict, model, book, retired)
    if course.rollout in {Rollout.SURGE, Rollout.ROLLING}:
        for verdict in batches[-1]:
            if verdict.live:
                _retire(verdict, model, book, retired)


def _batches(model: ModelVerdicts, course: Course) -> list[list[Verdict]]:
    """Return the new replicas in waves: with a rolling course one first, then as many as fit, new slots last."""
    swapped = model.doing(Action.REPLACE_BESIDE, Action.REPLACE)
    coming = model.doing(Action.CREATE)
    if course.rollout is Rollout.SWAP:
        return [[verdict] for verdict in swapped] + ([coming] if coming else [])
    if course.rollout is Rollout.ROLLING:
        rest = [swapped[start : start + course.batch] for start in range(1, len(swapped), course.batch)]
        batches = [swapped[:1], *rest]
        batches[-1] = [*batches[-1], *coming]
        return batches
    return [[*swapped, *coming]]


def _beside(batches: list[list[Verdict]], model: ModelVerdicts, course: Course, book: Book) -> set[Key]:
    """New ones stand first. Returns the keys after which the last switch may come."""
    done: set[Key] = set()
    first: set[Key] = set()
    pending = [verdict for batch in batches for verdict in batch]
    for index, batch in enumerate(batches):
        created: set[Key] = set()
        for verdict in batch:
            key = book.create(verdict, done | first, timeout=_ready(model, verdict), ids=book.ids, beside=True)
            created.add(key)
            first = first or {key}
        pending = [verdict for verdict in pending if verdict not in batch]
        done |= created
        if course.rollout is Rollout.ROLLING and index < len(batches) - 1:
            switched = _switch(model, book, created, waiting=pending)
            for verdict in batch:
                done |= _retire(verdict, model, book, switched or created)
    return done


def _swap(batches: list[list[Verdict]], model: ModelVerdicts, book: Book) -> set[Key]:
    """Old ones leave first, one at a time. Returns the keys after which the last switch may come."""
    done: set[Key] = set()
    pending = [verdict for batch in batches for verdict in batch]  # new slots too: nobody serves them yet
    for batch in batches:
        away = [verdict for verdict in batch if verdict.have and verdict.live]
        pending = [verdict for verdict in pending if verdict not in away]
        if away:
            done |= _switch(model, book, done, waiting=pending, absent=away)
            for verdict in away:
                done |= _retire(verdict, model, book, done)
        first: set[Key] = set()
        for verdict in batch:
            key = book.create(verdict, done | first, timeout=_ready(model, verdict), ids=book.ids)
            first = first or {key}
            done |= {key}
    return done


def _switch(
    model: ModelVerdicts, book: Book, needs: set[Key], *, waiting: Sequence[Verdict], absent: Sequence[Verdict] = ()
) -> set[Key]:
    """Add a switch on the way: slots in `waiting` still served by their predecessors, those in `absent` by nobody."""
    old = {str(v.address): v.have.id for v in waiting if v.have and v.live}
    nobody = {str(v.address) for v in absent} | {str(v.address) for v in waiting if not v.live}
    keys = set()
    for router in model.routers:
        if router.action is not Action.UPDATE:
            continue
        values = _with_backends(router, {**book.ids, **old}, nobody)
        keys.add(book.update(router, needs, do=Do.SWITCH, values=values, timeout=_drain(model, router), ids=book.ids))
    return keys


def _with_backends(router: Verdict, ids: Mapping[str, str], nobody: set[str]) -> Values:
    field = router.kind.backends
    backends: Any = tuple(
        item for item in router.values.get(field, ()) if nobody.isdisjoint(str(ref.address) for ref in refs(item))
    )
    values: Values = pin_refs({**router.values, field: backends}, ids)
    return values


def _final_switch(model: ModelVerdicts, book: Book, needs: set[Key]) -> set[Key]:
    keys = set()
    for router in model.routers:
        timeout = _drain(model, router)
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
        after = {book.drain(verdict.have, needs, seen=seen, timeout=_drain(model, verdict))}
    return {_delete(verdict, book, after, _drain(model, verdict))}


def _delete(verdict: Verdict, book: Book, needs: set[Key], timeout: float) -> Key:
    assert verdict.have is not None  # noqa: S101  # only what stands is removed
    seen = verdict.live.fingerprint if verdict.live else ""
    revive = not verdict.have.deposed and verdict.action is not Action.DELETE
    return book.delete(verdict.have, needs, seen=seen, timeout=timeout, revive=revive, reason=verdict.reason)


def _ready(model: ModelVerdicts, verdict: Verdict) -> float:
    wish = model.wishes.get(verdict.target)
    return wish.ready_timeout if wish else 600.0


def _drain(model: ModelVerdicts, verdict: Verdict) -> float:
    wish = model.wishes.get(verdict.target)
    return wish.drain_timeout if wish else 120.0
