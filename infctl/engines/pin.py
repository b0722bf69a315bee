"""Owns what a model is pinned to on one target: the value behind an entry of inference.lock.yaml.

Knows nothing of the lock file (see `infctl.desired.lockfile`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pin:
    """What runs, decided once and kept until `infctl lock`. Sizes in bytes; "" and 0 where there is no such thing.

    `engine_version` is what was installed when it was pinned, "" for an engine whose versions infctl does not know.
    `quantization` is the model file's ("Q8_0"). `inputs` is the digest of what the decision was made from.
    """

    engine: str
    engine_version: str = ""
    model_uri: str = ""
    model_sha256: str = ""
    model_bytes: int = 0
    quantization: str = ""
    inputs: str = ""


Key = tuple[str, str]  # model and target: what a pin belongs to
