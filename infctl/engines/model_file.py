"""Owns what infctl knows of one model file, and the error codes of files that are no use.

Knows no file format (see `gguf`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from infctl.diagnostics import Code
from infctl.frozen import dataclass

BAD_MODEL_FILE = Code(
    "bad-model-file",
    "The file a model's uri names cannot be served.",
    "Name a whole GGUF file; if it was downloaded, fetch it again and compare its size and checksum.",
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What sizing needs of a model: its figures in tokens and elements; 0 where the file does not say.

    `kv_heads` is summed over all layers, for layers may differ. `key_length` and `value_length` are per head.
    `merges` are the tokenizer's. `plain` is whether every layer keeps the keys and values of the whole context: then
    the size of the KV cache is exact.
    """

    architecture: str
    context_length: int = 0
    layers: int = 0
    embedding_length: int = 0
    feed_forward_length: int = 0
    vocabulary: int = 0
    merges: int = 0
    heads: int = 0
    kv_heads: int = 0
    key_length: int = 0
    value_length: int = 0
    plain: bool = True


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One model file as it was read. `bytes` is its size, `weights` those of its tensors, `formats` the same by
    number format; `shape` is None for a file whose format nobody asked for (a custom engine's). Of a folder `bytes` is
    the sum over its files, `sha256` that of the list of their checksums and names.
    """

    uri: str
    path: Path
    bytes: int
    sha256: str
    weights: int = 0
    parameters: int = 0
    quantization: str = ""
    formats: Mapping[str, int] = field(default_factory=dict)
    shape: Shape | None = None
    folder: bool = False


def path_of(uri: str, root: Path) -> Path:
    """Return the file that a `file:` uri names; a relative one starts at `root`, the stack's folder."""
    return root / uri.removeprefix("file:").removeprefix("//")
