"""Owns how a model's files of this machine get onto a host: what is missing there is fed to a carrier's input.

Works wherever Docker's API does, and continues where a cut link or a killed run stopped. Knows no remote scheme.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from infctl.provider.errors import ProviderError
from infctl.provider.values import Emit, Progress
from infctl_docker.carrier import Carrier, Ended, Item, Parcel
from infctl_docker.errors import HostDown
from infctl_docker.hosts import Host

CHUNK = 1 << 20
# dd reads no byte more than it is told to, so what follows in the stream stays for the next file.
SCRIPT = r"""
take() {
  while [ $# -gt 0 ]; do
    : >>"./$1.part"
    missing=$(($2 - $(size "./$1.part")))
    [ $missing -lt 1048576 ] ||
      dd bs=1048576 count=$((missing / 1048576)) iflag=fullblock 2>/dev/null >>"./$1.part"
    missing=$(($2 - $(size "./$1.part")))
    [ $missing -eq 0 ] || [ $missing -ge 1048576 ] ||
      dd bs=$missing count=1 iflag=fullblock 2>/dev/null >>"./$1.part"
    missing=$(($2 - $(size "./$1.part")))
    if [ $missing -ne 0 ]; then
      [ "$(left)" -lt 4194304 ] || { echo short; exit 1; }
      drop "$@"
      fail_full $missing
    fi
    shift 3
  done
}
take "$@"
finish "$@"
"""


def parcel_of(source: Path, checksum: str, emit: Emit) -> tuple[Parcel, tuple[Path, ...]]:
    """Return what to bring of a file or folder, and its files here. `checksum` "" is made now. Raises ProviderError."""
    if not source.exists():
        raise ProviderError(f"The model file {source} is not there", hint="put it back, or change uri")
    try:
        files = _files_in(source) if source.is_dir() else (source,)
        names = [f"{source.name}/{each.relative_to(source).as_posix()}" for each in files if source.is_dir()]
        items = tuple(Item(name, each.stat().st_size) for name, each in zip(names or [source.name], files, strict=True))
        key = checksum or _checksum(source, files, emit)
    except OSError as failure:
        raise _unreadable(source, failure) from failure
    return Parcel(key, source.name, items, key, source.is_dir()), files


def feed(carrier: Carrier, files: Sequence[Path], emit: Emit) -> Ended:
    """Send what the host lacks of the files, and return how it ended. Raises HostDown, ProviderError."""
    host, parcel = carrier.host, carrier.parcel
    stream: Any = host.bulk.attach_socket(carrier.ident, params={"stdin": 1, "stream": 1})
    lines = carrier.start()
    try:
        first = next(lines, "")
        word, _, rest = first.partition(" ")
        if word != "have":
            return carrier.listen(iter((first, *lines)))
        have = tuple(map(int, rest.split()))
        try:
            for data in _missing(host, parcel, files, have, emit):
                stream.sendall(data)
        except HostDown:  # it may have ended for a reason that it tells
            ended = carrier.listen(lines)
            if ended.word in {"", "short"}:
                raise
            return ended
        return carrier.listen(lines, resumed=any(have), quiet=True)
    finally:
        stream.shutdown(socket.SHUT_RDWR)


def _missing(host: Host, parcel: Parcel, files: Sequence[Path], have: Sequence[int], emit: Emit) -> Iterator[bytes]:
    done = sum(have)
    emit(Progress("fetch", parcel.name, done, parcel.total, "bytes"))
    for path, item, start in zip(files, parcel.items, have, strict=True):
        left = item.size - start
        try:
            with path.open("rb") as file:
                file.seek(start)
                while left and (data := file.read(min(CHUNK, left))):
                    yield data
                    left, done = left - len(data), done + len(data)
                    emit(Progress("fetch", parcel.name, done, parcel.total, "bytes"))
        except OSError as failure:
            raise _unreadable(path, failure) from failure
        if left:
            raise ProviderError(
                f"{path} became shorter while it was copied to {host.name}", hint="run the same command again"
            )


def _files_in(folder: Path) -> tuple[Path, ...]:
    """Return a folder's files, whatever their depth, in the order of its checksum; hidden ones are left out."""
    found = (each for each in folder.rglob("*") if each.is_file())
    return tuple(sorted(f for f in found if not any(part.startswith(".") for part in f.relative_to(folder).parts)))


def _checksum(source: Path, files: Sequence[Path], emit: Emit) -> str:
    emit(Progress("fetch", f"checksum of {source.name}"))
    if not source.is_dir():
        return _sha256(source)
    lines = "".join(f"{_sha256(each)}  {each.relative_to(source).as_posix()}\n" for each in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unreadable(path: Path, failure: OSError) -> ProviderError:
    hint = "put it back where inference.yaml says, readable"
    return ProviderError(f"{path} cannot be read", failure.strerror or str(failure), hint=hint)
