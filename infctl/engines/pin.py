"""Owns what a model is pinned to on one target: the value behind an entry of inference.lock.yaml.

Knows nothing of the lock file (see `infctl.desired.lockfile`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infctl.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Pin:
    """What runs, decided once and kept until `infctl lock`. Sizes in bytes; "" and 0 where there is no such thing.

    `engine_version` is what was installed when it was pinned, or what the image brings; "" where nobody knows.
    `quantization` is the model file's ("Q8_0"). `inputs` is the digest of what the decision was made from.
    `image` is NAME@sha256:DIGEST, "" on targets that bring their engine. `model_revision` is how a model that is no
    local file is known again: a commit, an ETag or a version. `decided` is what was decided beyond
    (see `infctl.engines.decided`).
    """

    engine: str
    engine_version: str = ""
    model_uri: str = ""
    model_sha256: str = ""
    model_bytes: int = 0
    quantization: str = ""
    inputs: str = ""
    image: str = ""
    model_revision: str = ""
    decided: str = ""


def what_to_fetch(pin: Pin) -> Mapping[str, Any]:
    """Return how a model that is no local file is known again, for `Template.container`."""
    if not pin.model_uri or pin.model_uri.startswith("file:"):
        return {}
    said = {"model_revision": pin.model_revision, "model_bytes": pin.model_bytes}
    return {name: value for name, value in said.items() if value}


Key = tuple[str, str]  # model and target: what a pin belongs to
