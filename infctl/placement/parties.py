"""Owns the question that is put to placement, as values: who must be placed, where there is room; and its answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field

from infctl.frozen import dataclass
from infctl.placement.fit import Asked, Option
from infctl.placement.room import Held, Load, Room
from infctl.placement.shape import Site
from infctl.provider.values import Place, Spot

Key = tuple[str, str, int]  # model, target, slot


@dataclass(frozen=True, slots=True)
class Seat:
    """A replica to be placed: what it asks of a place of `target`, what its predecessor holds, and where that is.

    `elsewhere` are further targets that it may live on, best first, with what it asks there. `runs` where its
    predecessor is as wanted, so that it is replaced only if it moves.
    """

    target: str
    slot: int
    asked: Asked
    old: Held = field(default_factory=dict)
    was: Spot | None = None
    elsewhere: tuple[tuple[str, Asked], ...] = ()
    runs: bool = False

    @property
    def choices(self) -> tuple[tuple[str, Asked], ...]:
        return ((self.target, self.asked), *self.elsewhere)


@dataclass(frozen=True, slots=True)
class Party:
    """What moves of one model: replicas that are replaced, that come, and that only leave (what these hold).

    `staying` counts the replicas that stay, by target and place. `spread` is "host" where no two may share a place,
    "zone" where no two may share a zone, "none" where they may be packed, "" where they are spread as far as that
    goes. `mates` are the models that its replicas are to be beside. `steady` is how many replicas of it must not be
    on spot instances. `standing` are those that stay unless all others have room only if they move; they are not
    counted in `staying`.
    """

    model: str
    replaced: tuple[Seat, ...] = ()
    coming: tuple[Seat, ...] = ()
    leaving: tuple[Held, ...] = ()
    staying: Mapping[tuple[str, str], int] = field(default_factory=dict)
    spread: str = ""
    mates: tuple[str, ...] = ()
    steady: int = 0
    standing: tuple[Seat, ...] = ()

    @property
    def seats(self) -> tuple[Seat, ...]:
        return (*self.replaced, *self.coming)

    def load(self, given: Mapping[Key, Option]) -> Load:
        """Return what moves when every seat has what it was given."""

        def new(seat: Seat) -> Held:
            return given[self.model, seat.target, seat.slot].held

        return Load(tuple((seat.old, new(seat)) for seat in self.replaced), tuple(map(new, self.coming)), self.leaving)


@dataclass(frozen=True, slots=True)
class Sites:
    """The places that can be read, by target, and the room there. Of a target's places that do not stand yet
    (`Place.most` is not 1) so many may be begun as `most` says. `single` are targets of which each replica has such a
    place for itself.
    """

    places: Mapping[str, tuple[Place, ...]]
    room: Room
    most: Mapping[str, int] = field(default_factory=dict)
    single: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Missing:
    """`count` replicas of a model that go nowhere, on no target that they may live on, and the places there as the
    first of them found them.
    """

    party: Party
    seat: Seat
    sites: tuple[Site, ...]
    count: int = 1
