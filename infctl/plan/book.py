"""Owns the list of steps while it is being written: steps by key, edges between keys, numbers at the end.

Knows what a step is, not why one is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from infctl.address import Address
from infctl.graph import topological_order
from infctl.plan.compare import Verdict
from infctl.plan.diff import pin_refs
from infctl.plan.model import Gate, Step, Undo
from infctl.provider.values import Do, Values
from infctl.state.model import Resource

Key = tuple[Do, str, int]  # what is done, to which object, for the how-manieth time


class Book:
    """Steps under construction. `ids` maps each address to the object that will stand there at the end."""

    def __init__(self) -> None:
        self.ids: dict[Address, str] = {}
        self.needs: dict[Key, set[Key]] = {}
        self._drafts: dict[Key, Step] = {}

    def _add(self, step: Step, needs: Iterable[Key]) -> Key:
        count = 0
        while (step.do, step.object, count) in self._drafts:
            count += 1
        key = (step.do, step.object, count)
        self._drafts[key] = step
        self.needs[key] = set(needs)
        return key

    def create(
        self,
        verdict: Verdict,
        needs: Iterable[Key] = (),
        *,
        timeout: float,
        ids: Mapping[Address, str],
        beside: bool = False,
        fetching: float | None = None,
    ) -> Key:
        """Add the making of the verdict's object; `beside` its predecessor, when there is one. `timeout` is its gate's
        too, unless `fetching` seconds are told for the making alone (0: as long as it takes).
        """
        old = verdict.have.id if beside and verdict.have and verdict.live else verdict.beside
        step = self._standing(verdict, Do.CREATE, timeout, ids)
        took = timeout if fetching is None else fetching
        return self._add(replace(step, replaces=old, undo=Undo(Do.DELETE, verdict.id), timeout=took), needs)

    def update(
        self,
        verdict: Verdict,
        needs: Iterable[Key] = (),
        *,
        do: Do = Do.UPDATE,
        values: Values | None = None,
        timeout: float,
        ids: Mapping[Address, str],
        lasting: bool = False,
    ) -> Key:
        """Add a change in place: of all values, or to `values` on the way there. A `lasting` one has no undo."""
        before = None if lasting else verdict.have
        undo = Undo(do, before.id, before.values) if before and (verdict.fields or values is not None) else None
        step = replace(self._standing(verdict, do, timeout, ids), undo=undo)
        if before and before.pending == Do.CREATE and do is Do.UPDATE:  # taken back as if this run had begun it
            step = replace(step, undo=Undo(Do.DELETE, before.id), replaces=verdict.beside)
        return self._add(step if values is None else replace(step, set=values), needs)

    def drain(self, old: Resource, needs: Iterable[Key], *, seen: str, timeout: float) -> Key:
        return self._add(self._leaving(old, Do.DRAIN, seen, timeout), needs)

    def delete(
        self, old: Resource, needs: Iterable[Key] = (), *, seen: str, timeout: float, revive: bool, reason: str = ""
    ) -> Key:
        """Add a removal. With `revive`, taking it back means making the same object again."""
        undo = Undo(Do.CREATE, old.id, old.values) if revive else None
        return self._add(replace(self._leaving(old, Do.DELETE, seen, timeout), undo=undo, reason=reason), needs)

    def steps(self) -> tuple[Step, ...]:
        """Return the steps in a valid order, numbered, their needs by number."""
        order = topological_order({key: sorted(needs) for key, needs in self.needs.items()})
        number = {key: f"s{index}" for index, key in enumerate(order, 1)}
        return tuple(
            replace(
                self._drafts[key],
                id=number[key],
                needs=tuple(sorted((number[n] for n in self.needs[key] if n in number), key=lambda s: int(s[1:]))),
            )
            for key in order
        )

    def keys_of(self, *dos: Do) -> dict[str, list[Key]]:
        """Return the keys that do one of `dos`, by object id."""
        found: dict[str, list[Key]] = {}
        for key in self._drafts:
            if key[0] in dos:
                found.setdefault(key[1], []).append(key)
        return found

    def keys_by_target(self) -> dict[str, list[Key]]:
        found: dict[str, list[Key]] = {}
        for key, step in self._drafts.items():
            found.setdefault(step.target, []).append(key)
        return found

    def _standing(self, verdict: Verdict, do: Do, timeout: float, ids: Mapping[Address, str]) -> Step:
        want = verdict.want
        assert want is not None  # noqa: S101  # only wanted objects are made or changed
        return Step(
            "", verdict.address, verdict.target, verdict.model, do, verdict.id, verdict.name,
            set=pin_refs(verdict.values, ids),
            gate=Gate(timeout) if verdict.kind.gated else None,
            seen="" if do is Do.CREATE or verdict.live is None else verdict.live.fingerprint,
            revision=want.revision if do is Do.CREATE or not verdict.have else verdict.have.revision,
            spec_hash=want.spec_hash, lowering=verdict.lowering, inputs=verdict.inputs, timeout=timeout,
            resuming=_resumes(verdict, do), reason=verdict.reason,
        )  # fmt: skip

    def _leaving(self, old: Resource, do: Do, seen: str, timeout: float) -> Step:
        return Step(
            "", old.address, old.target, old.model, do, old.id, old.name, seen=seen, revision=old.revision,
            spec_hash=old.spec_hash, lowering=old.lowering, inputs=old.inputs, timeout=timeout,
            resuming=bool(old.pending),
        )  # fmt: skip


def _resumes(verdict: Verdict, do: Do) -> bool:
    """Return whether an earlier run began this very thing: the object that stands, or one that never came to stand."""
    have = verdict.have
    return have is not None and bool(have.pending) and (do is not Do.CREATE or verdict.live is None)
