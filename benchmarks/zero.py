"""A place to run that costs no time: what remains is infctl's own work.

A replica is one line in a log of JSON, as `terraform_data` is one object in Terraform's own state: `[id, name,
labels, values]`, or `[id]` once it is gone. No relay and no routes, so that one replica stands against one
`terraform_data`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple
from typing import TYPE_CHECKING, Any, ClassVar

from infctl.address import Address, parse_address
from infctl.provider.form import form
from infctl.provider.kinds import FieldSpec, KindSpec, Role
from infctl.provider.protocol import Context
from infctl.provider.values import (
    Change,
    Desired,
    Emit,
    Health,
    Inventory,
    Labels,
    Observed,
    Reading,
    Scope,
    TargetWant,
    decode,
    encode,
)

if TYPE_CHECKING:
    from pydantic import BaseModel

KIND = "zero_replica"


class ZeroProvider:
    config: ClassVar[type[BaseModel]] = form("zero_target", "ZeroTarget")
    kinds: ClassVar[Mapping[str, KindSpec]] = {
        KIND: KindSpec(Role.REPLICA, {"engine": FieldSpec("read at start"), "args": FieldSpec("read at start")})
    }
    serves: ClassVar[frozenset[str]] = frozenset()
    lowering: ClassVar[int] = 1

    def __init__(self, config: object, context: Context) -> None:
        del config
        self._target = context.target
        self._path = context.data / "zero.jsonl"

    def inventory(self) -> Reading[Inventory]:
        return Reading(Inventory())

    def lower(self, want: TargetWant, have: Inventory) -> tuple[Desired, ...]:
        del have
        return tuple(
            Desired(
                Address(KIND, wish.model, f"{want.target}/{slot}"),
                want.target,
                {"engine": wish.template.engine, "args": wish.template.args},
                wish.model,
                wish.revision,
                wish.spec_hash,
            )
            for wish in want.deployments
            for slot in wish.slots
        )

    def observe(self, scope: Scope) -> Reading[tuple[Observed, ...]]:
        del scope
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        live: dict[str, list[Any]] = {}
        for ident, *thing in json.loads(f"[{','.join(lines)}]"):
            if thing:
                live[ident] = thing
            else:
                live.pop(ident, None)
        return Reading(tuple(self._seen(name, Labels(*labels), values) for name, labels, values in live.values()))

    def _seen(self, name: str, labels: Labels, values: Any) -> Observed:
        return Observed(parse_address(labels.address), labels.id, name, self._target, decode(values), {}, labels)

    def apply(self, change: Change, emit: Emit) -> Observed | None:
        del emit
        stands = () if change.after is None else (change.name, astuple(change.labels), encode(change.after))
        with self._path.open("a") as log:
            log.write(json.dumps((change.id, *stands)) + "\n")
        return self._seen(change.name, change.labels, stands[2]) if stands else None

    def probe(self, what: Observed) -> Health:
        del what
        return Health(ready=True)

    def close(self) -> None:
        """Nothing is held open."""
