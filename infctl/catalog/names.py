"""Owns how names of the world's products are compared: vendors, people and drivers spell them differently. Pure."""

from __future__ import annotations

import re
from typing import Final

_NOISE: Final = re.compile(r"\b(nvidia|amd|geforce|tesla|instinct|radeon|generation|gpu|graphics|server|edition)\b")
_SIZE: Final = re.compile(r"(?<![a-z\d])(\d+)\s*g(i?b)?\b")
_SOCKET: Final = re.compile(r"\bsxm\d\b")
_POINT: Final = re.compile(r"(?<=\d)_(?=\d)")
_PIECE: Final = re.compile(r"[a-z]+|\d+")


def plain_gpu(name: str) -> str:
    """Return a GPU's name without what does not tell one from another: `NVIDIA A100 80GB PCIe` is `100-80-a-pcie`.

    Words may come in any order, glued together or not; sizes lose their unit and SXM its socket number.
    """
    text = _NOISE.sub(" ", re.sub(r"[-_]", " ", name.lower()))
    return "-".join(sorted(_PIECE.findall(_SIZE.sub(r"\1 ", _SOCKET.sub("sxm", text)))))


def plain_model(name: str) -> str:
    """Return a model's name in lower case with nothing but letters, digits, what separates owner from name, and the
    point of a number: `opt-1.3b` is not `opt-13b`, `Qwen-1_8B` is `qwen1.8b`.
    """
    text = _POINT.sub(".", name.lower())
    return re.sub(r"[^a-z0-9/.]|(?<!\d)\.|\.(?!\d)", "", text)


def without_owner(name: str) -> str:
    """Return the part of a repository's name after its owner: `Qwen/Qwen3-8B` is `Qwen3-8B`."""
    return name.rpartition("/")[2]
