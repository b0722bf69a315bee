"""Owns what is known of a model's checkpoint before it is loaded: its shape, how its weights are kept, their bytes.

Pure: what is parsed here was read elsewhere (a folder, a GGUF header, a hub, the catalogue).
"""

from __future__ import annotations

from infctl.catalog.architecture import Architecture
from infctl.frozen import dataclass
from infctl.sizing.precision import Precision


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One checkpoint. `bytes` of all tensors that an engine loads, None where they are computed from the shape; `kept`
    is the part (0 to 1) of the linear layers' parameters that are left in 16 bits. `parameters` in all.

    `assumed` says what was taken for granted, `source` where the facts were read: "catalogue", a folder, a hub's uri.
    """

    shape: Architecture
    precision: Precision
    bytes: int | None = None
    kept: float = 0.0
    parameters: int = 0
    assumed: tuple[str, ...] = ()
    source: str = ""
