"""Owns `dataclass(frozen=True, slots=True)` made in a quarter of the time, and its values in half of it.

The standard one compiles six functions for each class, and a plan loads a hundred classes: a fifth of a small plan
went there. Here one is compiled, `__init__`; the others are shared. What can be seen is the same: fields, defaults,
equality, hash, repr, `replace`, `asdict`, `copy`, and FrozenInstanceError for who tries. Knows nothing of infctl.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, fields
from dataclasses import dataclass as standard
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

T = TypeVar("T")
Row = Callable[[Any], tuple[Any, ...]]  # the values of some fields

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414  -- given on
    from dataclasses import replace as replace  # noqa: PLC0414
else:

    def dataclass(*, frozen: bool, slots: bool) -> Callable[[type], type]:
        """Return what makes a class a frozen dataclass with slots: there is no other kind here."""
        if not (frozen and slots):
            raise TypeError("infctl.frozen makes frozen classes with slots; dataclasses makes others")
        return _make

    def replace(value: T, /, **changes: object) -> T:
        """Return `dataclasses.replace` of a value of one of these classes, in a third of its time."""
        return value.__replace__(changes)


def _make(cls: type) -> type:
    cls.__doc__ = cls.__doc__ or cls.__name__  # else the standard one spells out a signature, which takes longest
    made: Any = standard(init=False, repr=False, eq=False, slots=True)(cls)
    every = fields(made)
    if hasattr(cls, "__post_init__") or not all(field.init for field in every):
        raise TypeError(f"{cls.__qualname__}: infctl.frozen knows neither __post_init__ nor field(init=False)")
    shown = tuple(field.name for field in every if field.repr)
    compared = _row(tuple(field.name for field in every if field.compare))
    hashed = _row(tuple(field.name for field in every if (field.compare if field.hash is None else field.hash)))
    for method in (_init(made), _repr(shown), _eq(compared), _hash(hashed)):
        if method.__name__ not in vars(cls):
            setattr(made, method.__name__, method)
    made.__setattr__, made.__delattr__ = _refuse_to_set, _refuse_to_delete
    row = _row(tuple(field.name for field in every))
    made.__reduce__, made.__replace__ = _reduce(row), _replace(row, tuple(field.name for field in every))
    return made  # type: ignore[no-any-return]


def _init(made: Any) -> Callable[..., None]:
    """Return `__init__`, which sets each slot through its descriptor: `__setattr__` refuses."""
    known: dict[str, Any] = {"MISSING": MISSING}
    takes, sets = ["self"], []
    for field in fields(made):
        name, value = field.name, field.name
        known[f"set_{name}"] = getattr(made, name).__set__
        if field.default_factory is not MISSING:
            known[f"make_{name}"] = field.default_factory
            takes.append(f"{name}=MISSING")
            value = f"make_{name}() if {name} is MISSING else {name}"
        elif field.default is not MISSING:
            known[f"default_{name}"] = field.default
            takes.append(f"{name}=default_{name}")
        else:
            takes.append(name)
        sets.append(f"set_{name}(self, {value})")
    exec(f"def __init__({', '.join(takes)}): {'; '.join(sets) or 'pass'}", known)  # noqa: S102  -- of names of fields
    init: Callable[..., None] = known["__init__"]
    return init


def _row(names: tuple[str, ...]) -> Row:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda self: tuple(getattr(self, name) for name in names)


def _eq(row: Row) -> Callable[[Any, object], bool]:
    def __eq__(self: Any, other: object) -> bool:  # noqa: N807
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self is other or row(self) == row(other)

    return __eq__


def _hash(row: Row) -> Callable[[Any], int]:
    def __hash__(self: Any) -> int:  # noqa: N807
        return hash(row(self))

    return __hash__


def _repr(names: tuple[str, ...]) -> Callable[[Any], str]:
    def __repr__(self: Any) -> str:  # noqa: N807
        return f"{self.__class__.__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return __repr__


def _reduce(row: Row) -> Callable[[Any], tuple[Any, ...]]:
    return lambda self: (self.__class__, row(self))


def _replace(row: Row, names: tuple[str, ...]) -> Callable[[Any, dict[str, Any]], Any]:
    places = {name: place for place, name in enumerate(names)}

    def __replace__(self: Any, changes: dict[str, Any]) -> Any:  # noqa: N807
        values = list(row(self))
        for name, value in changes.items():
            values[places[name]] = value
        return self.__class__(*values)

    return __replace__


def _refuse_to_set(_self: Any, name: str, _value: Any) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")
