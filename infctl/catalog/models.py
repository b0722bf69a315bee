"""Owns the catalogue's models: the shape of well-known families, found by the names of their checkpoints.

Knows no file of a model: what a checkpoint's own config says is read elsewhere, and beats this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Final

from infctl.catalog.architecture import Architecture
from infctl.catalog.files import read_rows
from infctl.catalog.names import plain_model, without_owner
from infctl.frozen import dataclass

# What publishers append to a shape's name when only the weights, or how they are kept, are others.
_TAILS: Final = re.compile(
    r"-(instruct|chat|it|base|hf|fp8|fp4|nvfp4|fp8-kv|fp8-dynamic|kv|awq|gptq|int4|int8|gptq-int4|gptq-int8|gguf"
    r"|bnb|4bit|8bit|w8a8|w4a16|quantized|autoround|dynamic|block|marlin|mxfp4|v\d+(\.\d+)?|\d{4})$"
)

# What a checkpoint's name says of its format, the plainest word last.
_FORMATS: Final = (
    ("nvfp4", "nvfp4"), ("mxfp4", "mxfp4"), ("fp4", "nvfp4"), ("awq", "awq"), ("gptq-int8", "int8-gptq"),
    ("w8a16", "int8-gptq"), ("gptq", "gptq"), ("w4a16", "gptq"), ("autoround", "gptq"), ("w8a8", "int8"),
    ("fp8", "fp8"), ("bnb", "nf4"), ("4bit", "gptq"), ("int4", "gptq"), ("8bit", "int8-gptq"), ("int8", "int8"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Models:
    """The architectures of a catalogue, by name and by every other name they go by; `kept`: how single checkpoints
    keep their weights, by plain name, where their name does not say all of it.
    """

    rows: Mapping[str, Architecture]
    by_plain: Mapping[str, str]
    kept: Mapping[str, Mapping[str, Any]]

    def find(self, name: str) -> Architecture | None:
        """Return the shape of the checkpoint `name`, None where the catalogue does not know it.

        Endings that only say how the weights were trained or kept are tried without, and so is the owner: a
        re-upload has its original's shape.
        """
        for spelled in _spellings(name.strip().removeprefix("hf://")):
            if (row := self.by_plain.get(plain_model(spelled))) is not None:
                return replace(self.rows[row], name=name)
        return None

    def kept_as(self, name: str) -> Mapping[str, Any]:
        """Return how the checkpoint `name` keeps its weights: `precision`, and where they are known `kept` (the part
        of its linear layers in 16 bits) and `kv`. Nothing where its name says nothing: as its shape's `native`.
        """
        plain = plain_model(name.strip().removeprefix("hf://"))
        for spelled in (plain, without_owner(plain)):
            if (row := self.kept.get(spelled)) is not None:
                return row
        found = next(
            (what for word, what in _FORMATS if re.search(rf"(?:^|[-_.]){word}(?:$|[-_.@])", name.lower())), ""
        )
        return {"precision": found} if found else {}


def _spellings(name: str) -> list[str]:
    bare = re.sub(r"\s+", "-", re.sub(r"\.(w8a8|w4a16)$|\s*\(.*\)$", "", name))
    tried = [name, bare]
    while (shorter := _TAILS.sub("", tried[-1].lower())) != tried[-1].lower():
        tried.append(shorter)
    return [*tried, *(without_owner(each) for each in tried)]


@cache
def models(own: str = "") -> Models:
    """Return the catalogue's models, with the rows of a user's own file added. Raises InfctlError (bad-catalog)."""
    files = read_rows("models", own)
    found = {name: row for file in files for name, row in file["models"].items()}
    rows = {name: _architecture(name, row) for name, row in found.items()}
    plain: dict[str, str] = {}
    for name, row in found.items():
        for spelled in (name, *row.get("aliases", ())):
            plain[plain_model(spelled)] = name
            plain.setdefault(plain_model(without_owner(spelled)), name)
            shorter = _spellings(spelled)[-1]
            plain.setdefault(plain_model(shorter), name)
    kept: dict[str, Mapping[str, Any]] = {}
    for file in files:
        for name, row in file.get("checkpoints", {}).items():
            kept[plain_model(name)] = kept[plain_model(without_owner(name))] = row
            if "model" in row:
                plain[plain_model(name)] = plain[plain_model(without_owner(name))] = row["model"]
    return Models(rows, plain, kept)


def _architecture(name: str, row: Mapping[str, Any]) -> Architecture:
    return Architecture(name, **{key: value for key, value in row.items() if key != "aliases"})
