"""Owns the fields of a target of type local. Imports pydantic: only reading a file anew needs this."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ByteSize, ConfigDict, Field, model_validator

from infctl_local import ports

Port = Annotated[int, Field(ge=1, le=65_535)]


class LocalTarget(BaseModel):
    """The fields of a target of type local, besides `type`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory: ByteSize | None = Field(None, description="most memory that replicas here may be promised, as 8GB")
    ports: tuple[Port, Port] = Field(
        ports.DEFAULT, description="first and last port to choose from where none is given"
    )

    @model_validator(mode="after")
    def _ports_in_order(self) -> LocalTarget:
        first, last = self.ports
        if first > last:
            raise ValueError("ports: the first must not be above the last")
        return self
