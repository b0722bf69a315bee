"""The fields of a target of type zero: none."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ZeroTarget(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
