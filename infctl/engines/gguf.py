"""Owns reading the header of a GGUF file: its facts, and whether the file is whole. No weights are read.

Format: ggml/docs/gguf.md of ggml, versions 2 and 3, little-endian. Every count and length is held against the size of
the file before it is believed, so that a damaged or hostile file costs an error, not memory or minutes.
Knows nothing of what the facts are used for.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import field
from math import prod
from pathlib import Path
from typing import BinaryIO, Final

from infctl.diagnostics import InfctlError, error
from infctl.engines.ggml import FILE_TYPES, FORMATS
from infctl.engines.model_file import BAD_MODEL_FILE
from infctl.frozen import dataclass

MAGIC: Final = b"GGUF"
VERSIONS: Final = (2, 3)
LONGEST_KEY = 65_535  # bytes; gguf.md
MOST_KEYS = 65_536
MOST_TENSORS = 1_000_000
MOST_ELEMENTS = 1 << 25  # of all arrays together; the largest tokenizers have about a million
MOST_DIMENSIONS = 4  # GGML_MAX_DIMS
KEPT_ELEMENTS = 4_096  # of one numeric array: one figure per layer
ALIGNMENT = 32  # gguf.md: where general.alignment is not given
_STRING, _ARRAY = 8, 9
_SCALARS: Final[Mapping[int, struct.Struct]] = {
    kind: struct.Struct("<" + code)
    for kind, code in zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True)
}
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")

Scalar = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Header:
    """What a GGUF file says of itself. `metadata` are its single values, `arrays` its short numeric arrays, `lengths`
    the number of elements of every array. `weights` are the tensors' bytes, `parameters` their elements; `formats`
    are the bytes by number format ("Q8_0"), without formats that infctl does not know.
    """

    version: int
    metadata: Mapping[str, Scalar]
    arrays: Mapping[str, tuple[int | float, ...]]
    lengths: Mapping[str, int]
    tensors: int
    parameters: int
    weights: int
    formats: Mapping[str, int] = field(default_factory=dict)

    @property
    def architecture(self) -> str:
        return str(self.metadata.get("general.architecture", ""))

    @property
    def quantization(self) -> str:
        """The file type's name ("Q4_K_M"), else the number format that holds most bytes."""
        main = max(self.formats, key=lambda name: self.formats[name], default="")
        number = self.metadata.get("general.file_type")
        return FILE_TYPES.get(number, main) if isinstance(number, int) else main

    def figure(self, name: str) -> int:
        """Return the whole number under `ARCHITECTURE.name`, 0 where there is none or it is negative."""
        value = self.metadata.get(f"{self.architecture}.{name}")
        return value if isinstance(value, int) and value > 0 else 0


class _Damage(Exception):  # noqa: N818  -- the words of a diagnostic on their way to read_header
    pass


def read_header(path: Path, *, alone: bool = False) -> Header:
    """Return the header of the GGUF file at `path`; the file may be the header `alone`, where nobody is to load it.

    Raises InfctlError (bad-model-file) with the exact cause.
    """
    try:
        with path.open("rb", buffering=1 << 18) as file:
            return _read(_Cursor(file, os.fstat(file.fileno()).st_size), alone=alone)
    except OSError as failure:
        raise InfctlError(
            error(BAD_MODEL_FILE, f"{path} cannot be read", failure.strerror or str(failure), hint=_mode_hint(path))
        ) from failure
    except _Damage as damage:
        raise _refused(str(path), damage) from damage


def read_header_of(file: BinaryIO, size: int, name: str) -> Header:
    """Return the header of an open GGUF file of `size` bytes. Raises InfctlError (bad-model-file)."""
    try:
        return _read(_Cursor(file, size))
    except _Damage as damage:
        raise _refused(name, damage) from damage


def _refused(name: str, damage: _Damage) -> InfctlError:
    return InfctlError(error(BAD_MODEL_FILE, f"{name} cannot be served", str(damage), hint=BAD_MODEL_FILE.remedy))


def _mode_hint(path: Path) -> str:
    return f"name the file itself, as {path.name}/model.gguf" if path.is_dir() else "let this user read the file"


class _Cursor:
    """Reads forward and never believes that there is more than the file holds."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.size = size
        self.at = 0
        self.elements = MOST_ELEMENTS

    def need(self, count: int, what: str) -> None:
        if count > self.size - self.at:
            raise _Damage(f"it ends inside {what}: {count} bytes are due at byte {self.at} of {self.size}")

    def take(self, count: int, what: str) -> bytes:
        self.need(count, what)
        found = self._file.read(count)
        self.at += len(found)
        if len(found) != count:
            raise _Damage(f"it became shorter while {what} was read")
        return found

    def skip(self, count: int, what: str) -> None:
        self.need(count, what)
        self._file.seek(count, os.SEEK_CUR)
        self.at += count

    def u32(self, what: str) -> int:
        found: int = _U32.unpack(self.take(4, what))[0]
        return found

    def u64(self, what: str) -> int:
        found: int = _U64.unpack(self.take(8, what))[0]
        return found

    def text(self, longest: int, what: str) -> str:
        count = self.u64(what)
        if count > longest:
            raise _Damage(f"{what} claims {count} bytes; at most {longest} are allowed")
        return self.take(count, what).decode("utf-8", "replace")

    def spend(self, count: int, what: str) -> None:
        if count > self.elements:
            raise _Damage(f"{what} claims {count} elements; at most {MOST_ELEMENTS} are allowed in one file")
        self.elements -= count

    def pass_strings(self, count: int, what: str) -> None:
        """Go past `count` strings: each is 8 bytes of length and that many bytes."""
        self.need(8 * count, what)
        for _ in range(count):
            self.skip(self.u64(what), what)


def _read(cursor: _Cursor, *, alone: bool = False) -> Header:
    magic = cursor.take(4, "the first four bytes") if cursor.size >= 4 else b""  # noqa: PLR2004  # the length of MAGIC
    if magic != MAGIC:
        raise _Damage("it is empty" if not cursor.size else f"it is not a GGUF file: it begins with {magic!r}")
    version = cursor.u32("the version")
    if version not in VERSIONS:
        if not version & 0xFFFF:
            raise _Damage("it is a big-endian GGUF file; this machine needs the little-endian one")
        raise _Damage(f"it has GGUF version {version}; llama.cpp reads {' and '.join(map(str, VERSIONS))}")
    tensors, keys = cursor.u64("the tensor count"), cursor.u64("the metadata count")
    for count, most, what in ((tensors, MOST_TENSORS, "tensors"), (keys, MOST_KEYS, "metadata keys")):
        if count > most:
            raise _Damage(f"it claims {count} {what}; at most {most} are allowed")
    metadata: dict[str, Scalar] = {}
    arrays: dict[str, tuple[int | float, ...]] = {}
    lengths: dict[str, int] = {}
    for _ in range(keys):
        _read_entry(cursor, metadata, arrays, lengths)
    alignment = metadata.get("general.alignment", ALIGNMENT)
    parameters, weights, formats = _read_tensors(cursor, tensors, alignment, alone=alone)
    return Header(version, metadata, arrays, lengths, tensors, parameters, weights, formats)


def _read_entry(
    cursor: _Cursor,
    metadata: dict[str, Scalar],
    arrays: dict[str, tuple[int | float, ...]],
    lengths: dict[str, int],
) -> None:
    key = cursor.text(LONGEST_KEY, "a metadata key")
    what = f"metadata {key[:80]!r}"
    kind = cursor.u32(what)
    if kind == _STRING:
        metadata[key] = cursor.text(cursor.size, what)
    elif kind in _SCALARS:
        scalar = _SCALARS[kind]
        metadata[key] = scalar.unpack(cursor.take(scalar.size, what))[0]
    elif kind == _ARRAY:
        element, count = cursor.u32(what), cursor.u64(what)
        cursor.spend(count, what)
        lengths[key] = count
        if element == _STRING:
            cursor.pass_strings(count, what)
        elif element not in _SCALARS:
            raise _Damage(f"{what} is an array of type {element}, which does not exist")
        elif count <= KEPT_ELEMENTS:
            packed = struct.Struct(f"<{count}{_SCALARS[element].format[1:]}")
            arrays[key] = packed.unpack(cursor.take(packed.size, what))
        else:
            cursor.skip(_SCALARS[element].size * count, what)
    else:
        raise _Damage(f"{what} has type {kind}, which does not exist")


def _read_tensors(cursor: _Cursor, count: int, alignment: Scalar, *, alone: bool) -> tuple[int, int, dict[str, int]]:
    """Return (elements, bytes, bytes by number format). Checks that the data is there: all, or none if `alone`."""
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        raise _Damage(f"its alignment is {alignment!r}, not a power of two")
    cursor.need(24 * count, "the list of tensors")
    parameters = 0
    formats: dict[str, int] = {}
    ends: list[tuple[int, str]] = []
    for _ in range(count):
        name = cursor.text(LONGEST_KEY, "a tensor's name")
        what = f"tensor {name[:80]!r}"
        dimensions = cursor.u32(what)
        if not 1 <= dimensions <= MOST_DIMENSIONS:
            raise _Damage(f"{what} has {dimensions} dimensions")
        sizes = struct.unpack(f"<{dimensions}Q", cursor.take(8 * dimensions, what))
        kind, offset = cursor.u32(what), cursor.u64(what)
        elements = prod(sizes)
        parameters += elements
        known = FORMATS.get(kind)
        if known is None:  # newer than infctl: llama.cpp will say whether it can
            continue
        size = known.bytes_of(sizes[0]) * prod(sizes[1:])
        formats[known.name] = formats.get(known.name, 0) + size
        ends.append((offset + size, name))
    start = -(-cursor.at // alignment) * alignment
    last, name = max(ends, default=(0, ""))
    if ends and start + last > cursor.size and not (alone and cursor.size <= start):
        raise _Damage(
            f"it has {cursor.size} bytes, but tensor {name[:80]!r} ends at byte {start + last}: it was cut short"
        )
    weights = sum(formats.values()) if len(ends) == count else max(0, cursor.size - start)
    return parameters, weights, formats
