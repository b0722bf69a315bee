"""Owns how a model gets from what runs to what is wanted: surge, rolling, or drain-and-swap; in which order.

Room decides: with room for every new replica all stand beside the old and one switch moves the traffic; with
room for some they go in batches; with none each old one leaves before its successor comes. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from infctl.diagnostics import Code, Diagnostic, error
from infctl.plan.book import Book, Key
from infctl.plan.compare import Verdict
from infctl.plan.diff import pin_refs
from infctl.plan.model import Action, Rollout
from infctl.plan.room import Load, Way, best, least, peak, waves
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
    waits: bool = False  # nothing new comes, of any model, before what only leaves is gone


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

    @property
    def stands_still(self) -> bool:
        """Whether nothing is done about any of it."""
        return all(verdict.action is Action.NOOP for verdict in (*self.replicas, *self.routers, *self.leftovers))

    @property
    def leaving(self) -> list[Verdict]:
        """Those that stand and that nothing takes the place of."""
        return [verdict for verdict in (*self.doing(Action.DELETE), *self.leftovers) if verdict.live]


def choose(models: Sequence[ModelVerdicts], room: Mapping[str, int]) -> tuple[dict[str, Course], list[Diagnostic]]:
    """Return the course of each model, and error[no-room] for those that none fits.

    `room` is the free bytes by target (absent: no limit). Each model leaves those after it what they need at the
    very least, so that one's comfort is not another's refusal. Where that is too little, whatever only leaves, of
    any model, goes before anything comes.
    """
    room = {target: free - _started_again(models, target) for target, free in room.items()}
    courses, problems = _choose(models, room)
    if not problems or not any(_first_to_leave(model) for model in models):
        return courses, problems
    freed = {target: free + freed_first(models, target) for target, free in room.items()}
    staying = [replace(model, leftovers=(), replicas=tuple(_staying(model))) for model in models]
    later, refused = _choose(staying, freed)
    if len(refused) >= len(problems):
        return courses, problems
    return {name: replace(course, waits=True) for name, course in later.items()}, refused


def freed_first(models: Iterable[ModelVerdicts], target: str) -> int:
    """Return the bytes of what leaves `target` before anything comes, where the courses ask for it."""
    return sum(_memory(v) for model in models for v in _first_to_leave(model) if v.target == target)


def _started_again(models: Iterable[ModelVerdicts], target: str) -> int:
    """Return the bytes that stopped replicas of `target` take once they run again."""
    stopped = (v for model in models for v in model.doing(Action.UPDATE) if v.live and not v.live.running)
    return sum(_promised(verdict) for verdict in stopped if verdict.target == target)


def _first_to_leave(model: ModelVerdicts) -> list[Verdict]:
    """Return what only leaves and need not wait for the model's new replicas on another target."""
    targets = _targets(model)
    return [verdict for verdict in model.leaving if not targets or verdict.target in targets]


def _staying(model: ModelVerdicts) -> Iterator[Verdict]:
    return (verdict for verdict in model.replicas if verdict.action is not Action.DELETE)


def write_waits(models: Sequence[ModelVerdicts], courses: Mapping[str, Course], book: Book) -> None:
    """Have every new replica need the removal of what only leaves its target, where the courses ask for it."""
    created, deleted = book.keys_of(Do.CREATE), book.keys_of(Do.DELETE)
    gone: dict[str, set[Key]] = {}
    for verdict in (v for model in models for v in _first_to_leave(model)):
        gone.setdefault(verdict.target, set()).update(deleted.get(verdict.have.id, ()) if verdict.have else ())
    for model in models:
        for verdict in model.replicas if courses[model.name].waits else ():
            for key in created.get(verdict.id, ()):
                book.needs[key] |= gone.get(verdict.target, set())


def _choose(models: Sequence[ModelVerdicts], room: Mapping[str, int]) -> tuple[dict[str, Course], list[Diagnostic]]:
    loads = [{target: _load(model, target) for target in _targets(model)} for model in models]
    left, reserved = dict(room), dict.fromkeys(room, 0)
    for target, load in ((t, load) for mine in loads for t, load in mine.items() if t in room):
        reserved[target] += least(load)
    courses: dict[str, Course] = {}
    problems: list[Diagnostic] = []
    for model, mine in zip(models, loads, strict=True):
        found = []
        for target, load in mine.items():
            if target in room:
                reserved[target] -= least(load)
            spare = left[target] - reserved[target] if target in room else load.total
            free = spare if least(load) <= spare else left.get(target, 0)
            course, problem = _course(model, target, load, free)
            found.append(course)
            problems += [problem] if problem else []
        worst = courses[model.name] = max(found, key=_discomfort, default=Course(Rollout.NONE))
        for target, load in mine.items():
            left[target] = left.get(target, 0) - peak(load, Way(worst.rollout, worst.batch))
    return courses, problems


def _targets(model: ModelVerdicts) -> list[str]:
    """Return where replicas come or are replaced."""
    return sorted({v.target for v in model.doing(Action.REPLACE_BESIDE, Action.REPLACE, Action.CREATE)})


def _load(model: ModelVerdicts, target: str) -> Load:
    replaced = [v for v in model.doing(Action.REPLACE_BESIDE, Action.REPLACE) if v.target == target]
    return Load(
        model.wishes[target].template.memory,
        tuple(_memory(verdict) for verdict in replaced),
        sum(1 for verdict in model.doing(Action.CREATE) if verdict.target == target),
        sum(_memory(verdict) for verdict in model.leaving if verdict.target == target),
    )


def _discomfort(course: Course) -> tuple[int, int]:
    order = (Rollout.FIRST, Rollout.NONE, Rollout.SURGE, Rollout.ROLLING, Rollout.SWAP)
    swaps = course.rollout is Rollout.SWAP
    return order.index(course.rollout), course.batch if swaps else -course.batch


def _course(model: ModelVerdicts, target: str, load: Load, free: int) -> tuple[Course, Diagnostic | None]:
    """Return the best course on one target with `free` bytes, and error[no-room] where none fits."""
    alone = any(v.action is Action.REPLACE and v.target == target for v in model.replicas)
    way = best(load, free, beside=not alone)
    problem = _no_room(model.name, target, load.total, free) if way is None else None
    way = way or Way(Rollout.SWAP, 1)
    rollout = way.rollout
    if rollout is Rollout.FIRST and any(verdict.live for verdict in model.replicas):
        rollout = Rollout.NONE
    why = {
        Rollout.SURGE: "room for old and new side by side",
        Rollout.ROLLING: f"room for {way.batch} beside the old",
        Rollout.SWAP: "old and new cannot stand side by side" if alone else "no room beside the old",
    }
    dark = rollout is Rollout.SWAP and _goes_dark(model, way.batch if load.replaced else 0)
    return Course(rollout, way.batch, load.total, free, dark, why.get(rollout, "")), problem


def _goes_dark(model: ModelVerdicts, batch: int) -> bool:
    """Return whether nobody is left to answer while `batch` replicas are away."""
    staying = (v for v in model.replicas if v.action is not Action.DELETE)
    return sum(1 for verdict in staying if verdict.live and verdict.live.running) <= batch


def _memory(verdict: Verdict) -> int:
    """Return the bytes that the object holds: none while it is stopped."""
    return _promised(verdict) if verdict.live and verdict.live.running else 0


def _promised(verdict: Verdict) -> int:
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
    updates = {_update(verdict, model, book) for verdict in model.doing(Action.UPDATE)}
    batches = _batches(model, course)
    leaving = model.leaving
    done: set[Key] = set()
    if any(batches) and (course.waits or course.rollout is Rollout.SWAP):
        done = _make_room(batches, model, book, updates)
        leaving = [verdict for verdict in leaving if verdict not in _first_to_leave(model)]
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
    leaving = _first_to_leave(model)
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
            made.append(book.create(verdict, first, timeout=_ready(model, verdict), ids=book.ids))
        done |= set(made)
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
        values = with_backends(router, {**book.ids, **old}, nobody)
        keys.add(book.update(router, needs, do=Do.SWITCH, values=values, timeout=_drain(model, router), ids=book.ids))
    return keys


def with_backends(router: Verdict, ids: Mapping[str, str], nobody: AbstractSet[str]) -> Values:
    """Return a router's values with its replicas' ids from `ids` (by address), and without those in `nobody`."""
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
