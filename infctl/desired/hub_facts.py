"""Owns reading what a repository of a hub says of its model: config.json and the headers of its weights, by ranges.

A few hundred kilobytes of many gigabytes are read. Knows no shape: what the words mean is said by sizing.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, Final, cast

from infctl.desired.remote import Repository, list_hub, read_part
from infctl.diagnostics import InfctlError, error
from infctl.engines.gguf import Header, read_header_of
from infctl.engines.model_file import BAD_MODEL_FILE
from infctl.engines.safetensors import (
    CONFIG,
    INDEX,
    LONGEST_TEXT,
    Damage,
    Folder,
    Tensor,
    header_of,
    main_files,
    parse_object,
    refused,
    shards_of,
)  # fmt: skip

AT_ONCE = 8  # headers that are asked for at a time; a large model has a hundred files and more
CHUNK: Final = 1 << 18  # bytes of one question; most headers are shorter


def read_repository(uri: str, env: Mapping[str, str], more: Iterable[str] = ()) -> Folder:
    """Return what the repository behind an `hf://` uri says of its model; only metadata is read.

    `env` may hold HF_ENDPOINT and HF_TOKEN. Raises InfctlError (model-unreachable, bad-model-file).
    """
    found = list_hub(uri, env)
    if CONFIG not in found.files:
        hint = "name a repository with a config.json, or one of its GGUF files: hf://OWNER/NAME/FILE.gguf"
        raise InfctlError(error(BAD_MODEL_FILE, f"{uri} has no {CONFIG}", hint=hint))
    names = shards_named(found)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        parts = list(pool.map(lambda name: _tensors(found, name), names))
    tensors = {name: tensor for part in parts for name, tensor in part.items()}
    others = {name: _object(found, name) for name in more if name in found.files}
    return Folder(_object(found, CONFIG), tensors, others)


def read_gguf(uri: str, env: Mapping[str, str]) -> Header:
    """Return the header of the GGUF file that an `hf://` uri names. Raises as `read_repository`."""
    found = list_hub(uri, env)
    if found.file not in found.files:
        raise InfctlError(error(BAD_MODEL_FILE, f"{uri} is not there", hint=f"{found.id} has no {found.file}"))
    return read_header_of(_open(found, found.file), _size(found, found.file), uri)


def shards_named(found: Repository) -> tuple[str, ...]:
    """Return the files that hold a repository's weights; none where they are in another format."""
    if INDEX not in found.files:
        return main_files(found.files)
    try:
        names = shards_of(_object(found, INDEX))
    except Damage as damage:
        raise refused(f"{found.uri}, {INDEX},", str(damage)) from damage
    if missing := [name for name in names if name not in found.files]:
        raise refused(f"{found.uri}, {INDEX},", f"it names {missing[0]}, which is not there")
    return names


def _tensors(found: Repository, name: str) -> dict[str, Tensor]:
    try:
        return header_of(_open(found, name), _size(found, name))
    except Damage as damage:
        raise refused(f"{found.uri}, {name},", str(damage)) from damage


def _object(found: Repository, name: str) -> dict[str, Any]:
    size = _size(found, name)
    if size > LONGEST_TEXT:
        raise refused(f"{found.uri}, {name},", f"it has {size} bytes; at most {LONGEST_TEXT} are allowed")
    try:
        return parse_object(read_part(found, name, 0, size or LONGEST_TEXT), "it")
    except Damage as damage:
        raise refused(f"{found.uri}, {name},", str(damage)) from damage


def _size(found: Repository, name: str) -> int:
    size = found.files[name].get("size")
    return size if isinstance(size, int) else 0


def _open(found: Repository, name: str) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(_Ranges(found, name), CHUNK))


class _Ranges(io.RawIOBase):
    """A file of a hub as a file: each read asks for a range."""

    def __init__(self, found: Repository, name: str) -> None:
        self._found, self._name, self._at = found, name, 0
        self._size = _size(found, name)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._size - self._at)
        if count <= 0:
            return 0
        part = read_part(self._found, self._name, self._at, count)
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)
