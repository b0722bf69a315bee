"""A frozen class made by infctl.frozen is, to all that can be seen, what dataclasses makes."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from dataclasses import FrozenInstanceError, asdict, astuple, field, fields, replace
from functools import partial
from typing import Any, Generic, TypeVar

import pytest

from infctl import frozen

T = TypeVar("T")


class One:
    """One field."""

    only: int


class Several(Generic[T]):
    name: str
    kind: str = "a"
    inside: dict[str, int] = field(default_factory=dict)
    quiet: int = field(default=3, repr=False)
    aside: int = field(default=4, compare=False)
    unhashed: tuple[int, ...] = field(default=(), hash=False)

    @property
    def doubled(self) -> str:
        return self.name * 2


class Spoken:
    name: str = "x"

    def __repr__(self) -> str:
        return "spoken"


class Nothing:
    pass


def both(form: type) -> tuple[Any, Any]:
    def again() -> type:
        return type(form.__name__, form.__bases__, {k: v for k, v in vars(form).items() if k not in SLOTTED})

    return frozen.dataclass(frozen=True, slots=True)(again()), dataclasses.dataclass(frozen=True, slots=True)(again())


SLOTTED = {"__dict__", "__weakref__"}
CASES: list[tuple[type, tuple[Any, ...], dict[str, Any]]] = [
    (One, (1,), {}),
    (Several, ("n",), {}),
    (Several, ("n", "b"), {"inside": {"x": 1}, "aside": 9}),
    (Spoken, (), {}),
    (Nothing, (), {}),
]


def hashed(value: Any) -> int | str:
    try:
        return hash(value)
    except TypeError as failure:
        return str(failure)


@pytest.mark.parametrize(("form", "given", "named"), CASES)
def test_what_can_be_seen_is_the_same(form: type, given: tuple[Any, ...], named: dict[str, Any]) -> None:
    seen = []
    for made in both(form):
        value, twin = made(*given, **named), made(*given, **named)
        names = [each.name for each in fields(made)]
        seen.append(
            {
                "repr": repr(value).rpartition(".")[2],
                "equal": (value == twin, value != twin, value == given, value == object()),
                "hash": hashed(value),
                "fields": [(each.name, each.default, each.init, each.compare) for each in fields(made)],
                "values": [getattr(value, name) for name in names],
                "asdict": (asdict(value), astuple(value)),
                "copies": (copy.copy(value) == value, copy.deepcopy(value) == value),
                "replaced": [repr(replace(value, **{name: 7})).rpartition(".")[2] for name in names],
                "slots": (made.__slots__, hasattr(value, "__dict__")),
                "match": made.__match_args__,
                "signature": [
                    (p.name, p.kind, p.default is p.empty) for p in inspect.signature(made).parameters.values()
                ],
            }
        )
    assert seen[0] == seen[1]


@pytest.mark.parametrize("form", [One, Several])
def test_nothing_can_be_changed(form: type) -> None:
    told = []
    for made in both(form):
        value, name = made("x"), fields(made)[0].name
        changes = (partial(setattr, value, name, 1), partial(setattr, value, "other", 1), partial(delattr, value, name))
        for change in changes:
            with pytest.raises((FrozenInstanceError, TypeError)) as refused:
                change()
            told.append((type(refused.value), str(refused.value)))
    ours, theirs = told[: len(told) // 2], told[len(told) // 2 :]
    assert [ours[0], ours[2]] == [theirs[0], theirs[2]]


def test_defaults_are_made_anew_and_compared_by_what_they_say() -> None:
    made, _ = both(Several)
    assert made("a").inside is not made("a").inside
    assert made("a", aside=1) == made("a", aside=2)
    assert made("a", quiet=1) != made("a", quiet=2)
    assert made("n").doubled == "nn"
    assert Several[int] is not None
    with pytest.raises(TypeError):
        made()
    with pytest.raises(TypeError):
        made("a", nonsense=1)


def test_its_own_replace_is_that_of_dataclasses() -> None:
    value = Kept("a", (1,))
    assert frozen.replace(value, inside=()) == replace(value, inside=()) == Kept("a")
    assert frozen.replace(value) == value


@frozen.dataclass(frozen=True, slots=True)
class Kept:
    name: str
    inside: tuple[int, ...] = ()


def test_it_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(Kept("a", (1, 2)))) == Kept("a", (1, 2))  # noqa: S301  -- our own


def test_what_it_does_not_know_it_refuses() -> None:
    class Late:
        name: str

        def __post_init__(self) -> None: ...

    class Partly:
        name: str = field(init=False)

    for form in (Late, Partly):
        with pytest.raises(TypeError, match="infctl"):
            frozen.dataclass(frozen=True, slots=True)(form)
    with pytest.raises(TypeError, match="infctl"):
        frozen.dataclass(frozen=True, slots=False)
