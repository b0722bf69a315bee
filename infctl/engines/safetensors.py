"""Owns reading the headers of safetensors files: which tensors there are and how large. No weights are read.

Format: github.com/huggingface/safetensors, README: eight bytes with the length of a JSON object, the object, the data.
Nothing that a file claims is believed before it was held against the file's size.
Knows nothing of what the facts are used for.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, TypeVar

from infctl.diagnostics import InfctlError, error
from infctl.engines.model_file import BAD_MODEL_FILE

INDEX: Final = "model.safetensors.index.json"
CONFIG: Final = "config.json"
LENGTH: Final = 8  # bytes in front of the header
LONGEST_HEADER = 100_000_000  # bytes; the format's own limit
LARGEST = 1 << 62  # bytes of any file
LONGEST_TEXT = 100_000_000  # bytes of an index or a config.json
_MOST_DIMENSIONS = 16
_BITS: Final[Mapping[str, int]] = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32,
    "U16": 16, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4, "C64": 64,
}  # fmt: skip
_SHARD: Final = re.compile(r"[\w.-]+\.safetensors")
T = TypeVar("T")


class Tensor(NamedTuple):
    """`kind` as the format spells it ("BF16"), `shape` in elements, `bytes` in the file."""

    kind: str
    shape: tuple[int, ...]
    bytes: int

    @property
    def elements(self) -> int:
        return prod(self.shape)


class Damage(Exception):  # noqa: N818  -- the words of a diagnostic on their way to whoever knows the file's name
    pass


def length_of(head: bytes, size: int) -> int:
    """Return the length of the header that the first bytes of a file of `size` bytes announce. Raises Damage."""
    if len(head) < LENGTH:
        raise Damage("it is empty" if not head else f"it ends inside the first {LENGTH} bytes")
    length = int.from_bytes(head[:LENGTH], "little")
    if length > LONGEST_HEADER:
        raise Damage(f"its header claims {length} bytes; at most {LONGEST_HEADER} are allowed")
    if length > size - LENGTH:
        raise Damage(f"it ends inside its header: {length} bytes are due, {max(0, size - LENGTH)} are there")
    return length


def parse_header(text: bytes, size: int) -> dict[str, Tensor]:
    """Return the tensors that a header announces, in a file of `size` bytes: all of it, or the header alone, which is
    what some keep of a checkpoint. Raises Damage.
    """
    told = parse_object(text, "its header")
    room = size - LENGTH - len(text) or LARGEST
    return {str(name): _tensor(str(name), each, room) for name, each in told.items() if name != "__metadata__"}


def parse_object(text: bytes, what: str) -> dict[str, Any]:
    """Return a JSON object. Raises Damage."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as failure:
        raise Damage(f"{what} is no JSON: {str(failure)[:100]}") from failure
    if not isinstance(told, dict):
        raise Damage(f"{what} is no JSON object")
    return told


def _tensor(name: str, told: Any, room: int) -> Tensor:
    what = f"tensor {name[:80]!r}"
    try:
        kind, shape, (start, end) = told["dtype"], told["shape"], told["data_offsets"]
    except (TypeError, KeyError, ValueError) as failure:
        raise Damage(f"{what} does not say dtype, shape and data_offsets") from failure
    if not all(type(each) is int and 0 <= each < LARGEST for each in (start, end)) or start > end:
        raise Damage(f"{what} has no sensible place: {str((start, end))[:80]}")
    if not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS:
        raise Damage(f"{what} has no sensible shape: {str(shape)[:80]}")
    if not all(type(each) is int and 0 <= each < LARGEST for each in shape):
        raise Damage(f"{what} has no sensible shape: {str(shape)[:80]}")
    bits = _BITS.get(kind) if isinstance(kind, str) else None
    if bits is not None and -(-prod(shape) * bits // 8) != end - start:
        raise Damage(f"{what} of {kind} and shape {shape} cannot have {end - start} bytes")
    if end > room:
        raise Damage(f"{what} ends at byte {end} of the data, but there are {max(0, room)}: it was cut short")
    return Tensor(str(kind), tuple(shape), end - start)


def shards_of(index: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the files that an index names. Raises Damage for what is no index, and for files elsewhere."""
    places = index.get("weight_map")
    if not isinstance(places, dict) or not places:
        raise Damage("it has no weight_map")
    names = sorted({str(name) for name in places.values()})
    for name in names:
        if not _SHARD.fullmatch(name):
            raise Damage(f"it names {name[:80]!r}, which is no .safetensors file beside it")
    return tuple(names)


def main_files(names: Iterable[str]) -> tuple[str, ...]:
    """Return, of a repository without an index, the files that hold the weights: Mistral's `consolidated` is another
    copy of them, and files in folders belong to other parts.
    """
    plain = sorted(name for name in names if _SHARD.fullmatch(name))
    return tuple(name for name in plain if not name.startswith("consolidated")) or tuple(plain)


# ---------------------------------------------------------------- a folder


class Folder(NamedTuple):
    """What a local folder says of its checkpoint: its config.json, and the tensors' headers (none where it keeps its
    weights in another format). `more` are other JSON files that were there, by name.
    """

    config: dict[str, Any]
    tensors: dict[str, Tensor]
    more: dict[str, dict[str, Any]]


def read_folder(folder: Path, more: Iterable[str] = ()) -> Folder:
    """Return what `folder` says; only headers are read. Raises InfctlError (bad-model-file) with the exact cause."""
    config = _parsed(folder / CONFIG, lambda file: parse_object(_text(file), "it"))
    if (folder / INDEX).is_file():
        names = _parsed(folder / INDEX, lambda file: shards_of(parse_object(_text(file), "it")))
    else:
        names = _parsed(folder, lambda place: main_files(entry.name for entry in place.iterdir()))
    tensors: dict[str, Tensor] = {}
    for name in names:
        tensors |= read_header(folder / name)
    others = {name: _parsed(folder / name, _object) for name in more if (folder / name).is_file()}
    return Folder(config, tensors, others)


def read_header(path: Path) -> dict[str, Tensor]:
    """Return the tensors of one file. Raises InfctlError (bad-model-file)."""
    return _parsed(path, _read_header)


def refused(name: str, detail: str) -> InfctlError:
    """Return the error of a file that cannot be understood."""
    return InfctlError(error(BAD_MODEL_FILE, f"{name} cannot be read", detail, hint=BAD_MODEL_FILE.remedy))


def _parsed(path: Path, parse: Callable[[Path], T]) -> T:
    try:
        return parse(path)
    except OSError as failure:
        raise refused(str(path), failure.strerror or str(failure)) from failure
    except Damage as damage:
        raise refused(str(path), str(damage)) from damage


def _object(path: Path) -> dict[str, Any]:
    return parse_object(_text(path), "it")


def _text(path: Path) -> bytes:
    with path.open("rb") as file:
        if (size := os.fstat(file.fileno()).st_size) > LONGEST_TEXT:
            raise Damage(f"it has {size} bytes; at most {LONGEST_TEXT} are allowed")
        return file.read()


def _read_header(path: Path) -> dict[str, Tensor]:
    with path.open("rb") as file:
        return header_of(file, os.fstat(file.fileno()).st_size)


def header_of(file: BinaryIO, size: int) -> dict[str, Tensor]:
    """Return the tensors of an open file of `size` bytes. Raises Damage."""
    length = length_of(file.read(LENGTH), size)
    text = file.read(length)
    if len(text) != length:
        raise Damage("it became shorter while its header was read")
    return parse_header(text, size)
