"""A place that can be asked beforehand says in the plan what it would refuse, once for each object."""

from __future__ import annotations

from typing import ClassVar

from infctl.address import Address
from infctl.ops.rehearse import WOULD_BE_REFUSED, rehearse
from infctl.plan.model import Mode, Plan, Step
from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Do, Ref
from infctl.secrets import UNKNOWN
from tests.fakes.memory import MemoryProvider

ADDRESS = Address("fake_process", "chat", "here/0")


class Picky(MemoryProvider):
    asked: ClassVar[list[Change]] = []

    def __init__(self) -> None:
        """Need no world: nothing is made."""

    def rehearse(self, change: Change) -> None:
        self.asked.append(change)
        if change.do is Do.CREATE:
            raise ProviderError("refused", "no tags", hint="name a digest")


class Silent(MemoryProvider):
    def __init__(self) -> None:
        """As above."""


def step(do: Do, ident: str, target: str = "here") -> Step:
    return Step(ident, ADDRESS, target, "chat", do, ident, "chat-r1", set={"a": Ref(ADDRESS, "url", "other")})


def plan(*steps: Step) -> Plan:
    return Plan("lineage", 1, "acme", "default", "0.1", Mode.NORMAL, steps=steps)


def test_what_would_be_refused_is_a_warning_that_says_why_and_what_to_do() -> None:
    Picky.asked.clear()
    asked = plan(step(Do.CREATE, "new"), step(Do.SWITCH, "route"), step(Do.SWITCH, "route"), step(Do.DELETE, "old"))
    (said,) = rehearse(asked, {"here": Picky()}, {})
    assert (said.code, said.detail, said.hint) == (WOULD_BE_REFUSED, "refused: no tags", "name a digest")
    assert str(ADDRESS) in said.summary
    assert sorted(change.id for change in Picky.asked) == ["new", "route"]
    assert all(change.after == {"a": UNKNOWN} for change in Picky.asked)


def test_who_cannot_be_asked_is_not() -> None:
    assert rehearse(plan(step(Do.CREATE, "new"), step(Do.CREATE, "far", "gone")), {"here": Silent()}, {}) == ()
