"""Owns what the conformance checks are made of: the harness they ask for, and a bench that drives a provider.

Does what the executor would do: references resolved, secrets opened, one change after the other. Knows no
particular provider.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from infctl.address import Address
from infctl.provider.kinds import KindSpec, Role
from infctl.provider.protocol import Context, Provider
from infctl.provider.values import (
    Change,
    Deployment,
    Desired,
    Do,
    Health,
    Known,
    Labels,
    Observed,
    Progress,
    Reading,
    Ref,
    Scope,
    TargetWant,
    Values,
    digest,
    encode,
    refs,
)
from infctl.secrets import Secret, SecretRef

LOUD = "a-secret-value-that-must-not-be-seen"
KEY = b"testkit"
_PAUSE = 0.05  # seconds between two probes


class Harness(Protocol):
    """One empty place, and what a check cannot know about it. Made anew for every check.

    `context` is whose work is done there; `ready_timeout` is the seconds within which a replica surely is ready.
    """

    context: Context
    ready_timeout: float

    def provider(self) -> Provider:
        """Return a new handle on the same place, as another process would have it."""
        ...

    def wish(self, revision: int, replicas: int, env: Mapping[str, SecretRef]) -> Deployment:
        """Return a deployment that becomes ready, of one and the same model; its template is the revision's own."""
        ...

    def doomed(self, revision: int) -> Deployment | None:
        """Return a deployment of the same model that never becomes ready; None where that cannot be had."""
        ...

    def add_stranger(self) -> bool:
        """Put an object there that is not infctl's, as like ours as can be; False where that cannot be had."""
        ...

    def break_place(self) -> int:
        """Make a place unreadable, or a part of one; return how many of the objects there it hides (0: it cannot)."""
        ...

    def mend_place(self) -> None: ...

    def close(self) -> None:
        """Remove whatever stands there."""
        ...


@dataclass
class Bench:
    """Drives a provider as the executor would: values resolved, secrets opened, one change after the other."""

    harness: Harness
    provider: Provider
    seen: dict[str, Observed] = field(default_factory=dict)  # by id
    heard: list[Progress] = field(default_factory=list)

    @property
    def kinds(self) -> Mapping[str, KindSpec]:
        return self.provider.kinds

    def lower(self, *wishes: Deployment) -> tuple[Desired, ...]:
        have = self.provider.inventory().value
        return self.provider.lower(TargetWant(self.harness.context.target, wishes), have)

    def change(self, do: Do, want: Desired, *, before: Observed | None = None, salt: str = "") -> Change:
        ident = digest([str(want.address), want.revision if self.kinds[want.address.kind].role is Role.REPLICA else 0])
        context = self.harness.context
        labels = Labels(
            salt + ident[:12], context.lineage, context.stack, context.workspace, str(want.address), want.model,
            want.revision, want.spec_hash, 7,
        )  # fmt: skip
        name = f"kit-{want.address.kind}-{want.address.name}-r{want.revision}-{ident[:6]}".replace("_", "-")
        known = Known(before.address, before.id, before.name, before.outputs) if before else None
        takes = do in {Do.CREATE, Do.UPDATE, Do.SWITCH}
        after = self.resolved(want.values) if takes else None
        seconds = 0.0 if do is Do.CREATE else self.harness.ready_timeout  # to fetch takes as long as it takes
        return Change(do, want.address, want.target, name, labels, after, known, seconds)

    def resolved(self, value: Any) -> Any:
        """Return `value` as a provider gets it: outputs instead of refs, secrets instead of their references."""
        if isinstance(value, Ref):
            by_address = {seen.address: seen.outputs for seen in self.seen.values()}
            expect(value.path in by_address.get(value.address, {}), f"{value.address} gives the output {value.path}")
            return by_address[value.address][value.path]
        if isinstance(value, SecretRef):
            secret = Secret(LOUD)
            return Secret(LOUD, replace(value, digest=secret.digest(KEY)))
        if isinstance(value, Mapping):
            return {key: self.resolved(item) for key, item in value.items()}
        return tuple(self.resolved(item) for item in value) if isinstance(value, (list, tuple)) else value

    def do(self, change: Change) -> Observed | None:
        seen = self.provider.apply(change, self.heard.append)
        if seen is not None:
            self.seen[seen.id] = seen
        if change.do is Do.DELETE:
            self.seen.pop(change.id, None)
        return seen

    def make(self, *wishes: Deployment) -> dict[Address, Change]:
        """Make everything that `wishes` are, what is referred to first; return each change by address."""
        made: dict[Address, Change] = {}
        for want in in_order(self.lower(*wishes)):
            made[want.address] = self.change(Do.CREATE, want)
            seen = self.do(made[want.address])
            expect(seen is not None, f"a create of {want.address} returns what stands now")
        return made

    def observe(self, *known: Known, provider: Provider | None = None) -> Reading[tuple[Observed, ...]]:
        context = self.harness.context
        scope = Scope(context.lineage, context.stack, context.workspace, known)
        return (provider or self.provider).observe(scope)

    def wait(self, what: Observed) -> Health:
        deadline = time.monotonic() + self.harness.ready_timeout
        while True:
            health = self.provider.probe(what)
            if health.ready or health.dead or time.monotonic() >= deadline:
                return health
            time.sleep(_PAUSE)


def bench_of(harness: Harness) -> Bench:
    return Bench(harness, harness.provider())


def wish_of(harness: Harness, revision: int = 1, replicas: int = 2) -> Deployment:
    return harness.wish(revision, replicas, {"KIT_SECRET": SecretRef("kit", "env"), "KIT_FILE": SecretRef("kit")})


def as_text(wants: tuple[Desired, ...]) -> str:
    """Return the resources as text, equal for equal ones."""
    return json.dumps([[str(want.address), want.model, want.revision, encode(want.values)] for want in wants])


def in_order(wants: tuple[Desired, ...]) -> Iterator[Desired]:
    """Yield what is referred to before what refers to it."""
    left = list(wants)
    while left:
        waiting = {want.address for want in left}
        free = [want for want in left if not any(ref.address in waiting for ref in refs(want.values))]
        expect(bool(free), "resources do not refer to each other in a circle")
        yield from free
        left = [want for want in left if want not in free]


def one_of(bench: Bench, wants: tuple[Desired, ...], role: Role) -> Desired:
    return next(want for want in wants if bench.kinds[want.address.kind].role is role)


def seen_as(bench: Bench, role: Role) -> Observed:
    return next(seen for seen in bench.seen.values() if bench.kinds[seen.address.kind].role is role)


def found_again(bench: Bench, ident: str) -> Observed:
    found = [seen for seen in bench.observe(provider=bench.harness.provider()).value if seen.id == ident]
    expect(len(found) == 1, f"{ident} is observed once")
    return found[0]


def difference(wanted: Values, found: Values) -> tuple[str, ...]:
    """Return the fields that differ, where a secret is equal to the reference that came with it."""
    names = sorted({*wanted, *found})
    return tuple(n for n in names if encode(_written(wanted.get(n))) != encode(_written(found.get(n))))


def _written(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.ref
    if isinstance(value, Mapping):
        return {key: _written(item) for key, item in value.items()}
    return tuple(_written(item) for item in value) if isinstance(value, (list, tuple)) else value


def expect(holds: bool, rule: str) -> None:
    if not holds:
        raise AssertionError(rule)
