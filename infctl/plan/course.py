"""Owns which way each model goes from what runs to what is wanted: surge, rolling, or drain-and-swap. Room decides.

With room for every new replica all stand beside the old and one switch moves the traffic; with room for some they go
in batches; with none each old one leaves before its successor comes. Pure; writes no steps (`rollout` does).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import NamedTuple

from infctl.diagnostics import Diagnostic, error
from infctl.frozen import dataclass
from infctl.placement.room import Held, Load, Pool, Rollout, Room, Way, add, best, fits, least, peak
from infctl.placement.shortage import NO_ROOM
from infctl.plan.compare import Verdict
from infctl.plan.model import Action
from infctl.plan.promised import of_all, promised, replicas_of, spot_of
from infctl.provider.values import Deployment

_GIB = 1024**3
_MAKES = (Action.REPLACE_BESIDE, Action.REPLACE, Action.CREATE)
_REPLACES = (Action.REPLACE_BESIDE, Action.REPLACE)


@dataclass(frozen=True, slots=True)
class Course:
    """The chosen way for one model, with the figures that chose it (bytes, on its tightest target; devices)."""

    rollout: Rollout
    batch: int = 0  # how many new replicas stand beside the old at a time
    needed: int = 0
    free: int = 0
    downtime: bool = False
    in_turn: bool = False  # its addresses are away for a moment, at one place after the other
    why: str = ""
    goes_first: bool = False  # what it leaves is for others, which come after
    comes_after: bool = False  # nothing new of it comes before those that go first are gone from where they were
    waits: bool = False  # nothing new comes, of any model, before what only leaves is gone
    takes: Held = field(default_factory=dict)  # the most, at any time, beyond what is held now
    gpus_needed: int = 0  # devices of all new replicas
    gpus_free: int = 0  # devices that have what a new replica asks of each


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
        every = (*self.doing(Action.DELETE), *self.leftovers)
        return [verdict for verdict in every if verdict.live and not verdict.is_lost]

    @property
    def lost(self) -> list[Verdict]:
        """Those that were given up when their place could not be read, and that are seen again."""
        return [verdict for verdict in self.leftovers if verdict.live and verdict.is_lost]


def choose(models: Sequence[ModelVerdicts], room: Room) -> tuple[dict[str, Course], list[Diagnostic]]:
    """Return the course of each model, and error[no-room] for those that none fits.

    Each model leaves those after it what they need at the very least, so that one's comfort is not another's refusal.
    Where that is too little, whatever only leaves, of any model, goes before anything comes.
    """
    room = opening(models, room)
    courses, problems = _choose(models, room)
    if problems and (moved := _after_moves(models, room)) is not None:
        return moved, []
    if not problems or not any(first_to_leave(model) for model in models):
        return courses, problems
    freed = with_back(room, (held_by(v, room) for model in models for v in first_to_leave(model)))
    staying = [replace(model, leftovers=(), replicas=tuple(_staying(model))) for model in models]
    later, refused = _choose(staying, freed)
    if len(refused) >= len(problems):
        return courses, problems
    return {name: replace(course, waits=True) for name, course in later.items()}, refused


def _after_moves(models: Sequence[ModelVerdicts], room: Room) -> dict[str, Course] | None:
    """Return the courses where models that only move go before all others; None where that is not enough."""
    movers = [model for model in models if only_moves(model)]
    others = [model for model in models if not only_moves(model)]
    first, refused = _choose(movers, room)
    room = with_back(room, (held_by(v, room) for model in movers for v in model.doing(*_REPLACES)))
    room = with_back(room, (needed_by(v, model, room) for model in movers for v in model.doing(*_REPLACES)), -1)
    rest, more = _choose(others, room)
    if not movers or refused or more:
        return None
    return {
        **{name: replace(course, goes_first=True) for name, course in first.items()},
        **{name: replace(course, comes_after=True) for name, course in rest.items()},
    }


def only_moves(model: ModelVerdicts) -> bool:
    """Return whether nothing is done to a model's replicas but that some go to another place or device."""
    acting = [verdict for verdict in model.replicas if verdict.action is not Action.NOOP]
    return bool(acting) and not model.leftovers and all(map(_is_move, acting))


def _is_move(verdict: Verdict) -> bool:
    spots = {verdict.kind.place, verdict.kind.devices}
    return verdict.action is Action.REPLACE_BESIDE and {change.path[0] for change in verdict.fields} <= spots


def opening(models: Iterable[ModelVerdicts], room: Room) -> Room:
    """Return the room that new replicas find: without what starts again where it is, and with what goes before all."""
    models = tuple(models)
    room = with_back(room, (held_by(v, room) for model in models for v in model.lost))
    return with_back(room, (promised_by(v, room) for model in models for v in started_again(model)), -1)


def with_back(room: Room, held: Iterable[Held], sign: int = 1) -> Room:
    """Return `room` with what is given back, or with `sign` -1 taken, in the pools that have a limit."""
    free = dict(room.free)
    for each in held:
        add(free, {pool: size for pool, size in each.items() if pool in free}, sign)
    return replace(room, free=free)


def started_again(model: ModelVerdicts) -> Iterator[Verdict]:
    """Yield the stopped replicas that this plan starts again where they are."""
    return (v for v in model.doing(Action.UPDATE) if v.live and not v.live.running)


def first_to_leave(model: ModelVerdicts) -> list[Verdict]:
    """Return what only leaves and need not wait for the model's new replicas on another target."""
    targets = {v.target for v in model.doing(*_MAKES)}
    return [verdict for verdict in model.leaving if not targets or verdict.target in targets]


def freed_first(models: Iterable[ModelVerdicts], courses: Mapping[str, Course], room: Room) -> Held:
    """Return what is given back before anything comes: by lost objects, where courses wait by all that leave, and by
    those that move first.
    """
    freed: dict[Pool, int] = {}
    for model in models:
        for verdict in model.doing(*_REPLACES) if courses[model.name].goes_first else ():
            add(freed, held_by(verdict, room))
        first = first_to_leave(model) if courses[model.name].waits else ()
        for verdict in (*first, *model.lost):
            add(freed, held_by(verdict, room))
    return freed


def _staying(model: ModelVerdicts) -> Iterator[Verdict]:
    return (verdict for verdict in model.replicas if verdict.action is not Action.DELETE)


def held_by(verdict: Verdict, room: Room) -> Held:
    """Return what the object holds: nothing while it is stopped."""
    return promised_by(verdict, room) if verdict.live and verdict.live.running else {}


def promised_by(verdict: Verdict, room: Room) -> Held:
    return promised(verdict.target, verdict.kind, verdict.have.values, room) if verdict.have else {}


def needed_by(verdict: Verdict, model: ModelVerdicts, room: Room) -> Held:
    """Return what the new object of a verdict takes."""
    spot, memory = spot_of(verdict.kind, verdict.values), model.wishes[verdict.target].template.memory
    if verdict.kind.count:
        devices = verdict.values.get(verdict.kind.devices) or 0
        return of_all(verdict.target, replicas_of(verdict.kind, verdict.values), memory, devices)
    return {Pool(verdict.target): memory} if spot is None else room.held_at(verdict.target, spot, memory)


def _choose(models: Sequence[ModelVerdicts], room: Room) -> tuple[dict[str, Course], list[Diagnostic]]:
    loads = [_load(model, room) for model in models]
    leasts = [least(load) for load in loads]
    left, reserved = dict(room.free), dict.fromkeys(room.free, 0)
    for each in leasts:
        add(reserved, each)
    courses: dict[str, Course] = {}
    problems: list[Diagnostic] = []
    for model, load, mine in zip(models, loads, leasts, strict=True):
        add(reserved, mine, -1)
        pools = [pool for pool in load.total if pool in room.free]
        spare = {pool: left[pool] - reserved[pool] for pool in pools}
        free = spare if fits(mine, spare) else {pool: left[pool] for pool in pools}
        beside = not model.doing(Action.REPLACE)
        way = best(load, free, beside=beside)
        if way is None:
            problems += _no_room(model.name, load, mine, Room(free, {}, room.limits))
        way = way or Way(Rollout.SWAP, 1)
        takes = peak(load, way)
        needed, had = _devices(load, left, room)
        figures = _Figures(free, needed, had, _short_of_devices(load, free))
        courses[model.name] = replace(_course(model, load, way, figures, beside=beside), takes=takes)
        add(left, takes, -1)
    return courses, problems


def _load(model: ModelVerdicts, room: Room) -> Load:
    return Load(
        tuple((held_by(v, room), needed_by(v, model, room)) for v in model.doing(*_REPLACES)),
        (*(needed_by(v, model, room) for v in model.doing(Action.CREATE)), *_grown(model)),
        tuple(held_by(v, room) for v in first_to_leave(model)),
    )


def _grown(model: ModelVerdicts) -> Iterator[Held]:
    """Yield the devices that come where one object is to stand for more replicas than it does."""
    for verdict in model.doing(Action.UPDATE):
        if verdict.kind.count and verdict.have is not None:
            more = replicas_of(verdict.kind, verdict.values) - replicas_of(verdict.kind, verdict.have.values)
            devices = verdict.values.get(verdict.kind.devices) or 0
            if more > 0 and devices:
                yield of_all(verdict.target, more, 0, devices)


class _Figures(NamedTuple):
    """What decides: the free memory, devices that are needed and can be had, and whether these are too few."""

    free: Held
    needed: int
    had: int
    short: bool


def _devices(load: Load, left: Held, room: Room) -> tuple[int, int]:
    """Return how many devices all new replicas need, and how many of their targets have what they ask of each."""
    asked: dict[str, tuple[int, bool]] = {}
    needed = 0
    for held in (*(new for _, new in load.replaced), *load.coming):
        for pool, size in held.items():
            if pool.is_counted:
                return load.total[pool], left.get(pool, 0)
            if pool.device:
                needed += 1
                asked.setdefault(pool.target, (size, size == room.whole.get(pool)))
    if not asked:
        return 0, 0
    had = 0
    for pool, free in left.items():
        if pool.device and pool.target in asked:
            size, whole = asked[pool.target]
            had += free >= room.whole.get(pool, free + 1) if whole else free >= size
    return needed, had


def _short_of_devices(load: Load, free: Held) -> bool:
    return any(pool.device and size > free.get(pool, size) for pool, size in load.total.items())


def _course(model: ModelVerdicts, load: Load, way: Way, figures: _Figures, *, beside: bool) -> Course:
    rollout = way.rollout
    if not model.doing(*_MAKES):
        return Course(Rollout.NONE)
    if rollout is Rollout.FIRST and any(verdict.live for verdict in model.replicas):
        rollout = Rollout.NONE
    gpus = f": {figures.needed} GPUs needed, {figures.had} free" if figures.short and beside else ""
    why = {
        Rollout.SURGE: "room for old and new side by side",
        Rollout.ROLLING: f"room for {way.batch} beside the old{gpus}",
        Rollout.SWAP: f"no room beside the old{gpus}" if beside else "old and new cannot stand side by side",
    }
    dark = rollout is Rollout.SWAP and _goes_dark(model, way.batch if load.replaced else 0)
    needed, free = _tightest(load, figures.free)
    return Course(
        rollout,
        way.batch,
        needed,
        free,
        dark,
        why=why.get(rollout, ""),
        gpus_needed=figures.needed,
        gpus_free=figures.had,
    )


def _tightest(load: Load, free: Held) -> tuple[int, int]:
    """Return the memory that is needed and free on the target where least would be left."""
    needed: dict[str, int] = {}
    there: dict[str, int] = {}
    for pool, size in load.total.items():
        if not pool.device:
            needed[pool.target] = needed.get(pool.target, 0) + size
            there[pool.target] = there.get(pool.target, 0) + free.get(pool, size)
    tightest = min(needed, key=lambda target: there[target] - needed[target], default="")
    return needed.get(tightest, 0), there.get(tightest, 0)


def _goes_dark(model: ModelVerdicts, batch: int) -> bool:
    """Return whether nobody is left to answer while `batch` replicas are away."""
    staying = (v for v in model.replicas if v.action is not Action.DELETE)
    return sum(1 for verdict in staying if verdict.live and verdict.live.running) <= batch


def _no_room(name: str, load: Load, most: Held, room: Room) -> Iterator[Diagnostic]:
    """Yield an error for each pool that even the least way asks too much of."""
    total, free = load.total, room.free
    for pool, size in most.items():
        if pool in free and size > free[pool]:
            limit = room.limits.get(pool.target, "")
            lacks = f"needs {_size(pool, total[pool])}, {_size(pool, free[pool])} are free"
            yield error(
                NO_ROOM,
                f"{_in_words(pool)} has no room for {name}",
                f"{lacks}: {limit}" if limit else lacks,
                hint=NO_ROOM.remedy,
                path=f"models.{name}",
                address=f"model.{name}",
            )


def _size(pool: Pool, size: int) -> str:
    return f"{size} {pool.device}" if pool.is_counted else f"{size / _GIB:.2f} GiB"


def _in_words(pool: Pool) -> str:
    if pool.is_counted:
        return pool.target
    place = f"{pool.target}/{pool.place}" if pool.place else pool.target
    return f"GPU {pool.device} of {place}" if pool.device else place
