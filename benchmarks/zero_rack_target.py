"""The fields of a target of type zero_rack."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ZeroRackTarget(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    hosts: int = 100
    gpus: int = 8
    product: str = "NVIDIA H100 80GB HBM3"
    price_per_gpu_hour: float = 2.5
