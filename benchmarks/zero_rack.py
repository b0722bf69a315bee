"""Hosts with GPUs that cost no time to ask: what remains is sizing, placement and the plan itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from infctl.address import Address
from infctl.provider.form import form
from infctl.provider.kinds import FieldSpec, KindSpec, Role
from infctl.provider.protocol import Context
from infctl.provider.values import (
    Change,
    Desired,
    Device,
    Emit,
    Health,
    Inventory,
    Observed,
    Place,
    Reading,
    Scope,
    TargetWant,
)

if TYPE_CHECKING:
    from pydantic import BaseModel

KIND = "zero_container"
_READ = FieldSpec("read at start")
MEMORY = 81_559 * 1024**2  # bytes, as nvidia-smi tells of an H100


class ZeroRack:
    config: ClassVar[type[BaseModel]] = form("zero_rack_target", "ZeroRackTarget")
    kinds: ClassVar[Mapping[str, KindSpec]] = {
        KIND: KindSpec(
            Role.REPLICA,
            {"command": _READ, "host": _READ, "devices": _READ, "memory": _READ},
            place="host",
            devices="devices",
        )
    }
    serves: ClassVar[frozenset[str]] = frozenset({"image", "engine", "uri", "quantization", "task", "gpu"})
    lowering: ClassVar[int] = 1

    def __init__(self, config: Any, context: Context) -> None:
        del context
        self._config = config

    def inventory(self) -> Reading[Inventory]:
        config = self._config
        return Reading(
            Inventory(
                tuple(
                    Place(
                        f"host-{host:03}", 128, 2 << 40, 2 << 40,
                        tuple(
                            Device(gpu, f"GPU-{host:03}-{gpu}", config.product, MEMORY, MEMORY, compute="9.0")
                            for gpu in range(config.gpus)
                        ),
                        config.price_per_gpu_hour,
                    )
                    for host in range(config.hosts)
                )
            )
        )  # fmt: skip

    def lower(self, want: TargetWant, have: Inventory) -> tuple[Desired, ...]:
        del have
        return tuple(
            Desired(
                Address(KIND, wish.model, f"{want.target}/{slot}"),
                want.target,
                {
                    "command": wish.template.command,
                    "host": spot.place,
                    "devices": tuple((share.device, share.memory) for share in spot.devices),
                    "memory": wish.template.memory,
                },
                wish.model,
                wish.revision,
                wish.spec_hash,
            )
            for wish in want.deployments
            for slot, spot in zip(wish.slots, wish.spots, strict=True)
        )

    def observe(self, scope: Scope) -> Reading[tuple[Observed, ...]]:
        del scope
        return Reading(())

    def resolve_image(self, image: str) -> str:
        return f"{image.partition(':')[0]}@sha256:{'0' * 64}"

    def apply(self, change: Change, emit: Emit) -> Observed | None:
        raise NotImplementedError("this rack is only planned")

    def probe(self, what: Observed) -> Health:
        del what
        return Health(ready=True)

    def close(self) -> None:
        """Nothing is held open."""
