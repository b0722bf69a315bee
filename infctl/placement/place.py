"""Owns which replica lives on which target: fixed counts, in the order the file gives.

A replica keeps its target and its slot while it can, so that a plan moves nothing without need.
Knows neither models nor state: only names and numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import count, islice

from infctl.frozen import dataclass

Where = Mapping[str, Mapping[str, Collection[int]]]  # model -> target -> the slots there


@dataclass(frozen=True, slots=True)
class Placed:
    """The stable replica numbers of a model on one target, rising."""

    target: str
    slots: tuple[int, ...]


def place(
    order: tuple[str, ...],
    replicas: int,
    now: Mapping[str, Collection[int]],
    shares: Mapping[str, int] | None = None,
) -> tuple[Placed, ...]:
    """Return where `replicas` replicas live, in `order`. `now`: target -> the slots that run there.

    What runs on a target of `order` stays; what is too many goes from the last target and the highest slot; what is
    missing comes to the first target, in its lowest free slots, with `shares` to each target as far as that has fewer.
    Targets without a slot are left out, but the first is there when nothing is. Raises ValueError where `order` is
    empty or `replicas` is negative.
    """
    if not order or replicas < 0:
        raise ValueError(f"cannot place {replicas} replicas on {len(order)} targets")
    first = order[0]
    if not now and not shares:
        return (Placed(first, tuple(range(replicas))),)
    there = sorted(now.get(first, ()))
    if len(there) >= replicas:  # of nearly every model
        return (Placed(first, tuple(there[:replicas])),)
    kept: dict[str, tuple[int, ...]] = dict.fromkeys(order, ())
    left = replicas
    for target in order:
        kept[target] = tuple(sorted(now.get(target, ())))[:left]
        left -= len(kept[target])
    for target, share in (shares or {}).items():
        more = min(left, max(0, share - len(kept[target])))
        kept[target] = tuple(sorted((*kept[target], *islice(_free(kept[target]), more))))
        left -= more
    if left:
        kept[first] = tuple(sorted((*kept[first], *islice(_free(kept[first]), left))))
    return tuple(Placed(target, slots) for target, slots in kept.items() if slots) or (Placed(first, ()),)


def _free(taken: Collection[int]) -> Iterable[int]:
    return (slot for slot in count() if slot not in taken)
