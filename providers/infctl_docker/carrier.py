"""Owns the container that brings a model's files into the volume of its host, and what it says meanwhile.

It is called after the model, so that of all who want the same model at once, in this infctl or in another, the daemon
lets one make it; the others follow its lines. It goes on after a cut link, or ends when nobody feeds it any more; what
it has written stays and is continued. Knows no scheme: see `model_copy` and `model_fetch`.
"""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple

from infctl.provider.values import Emit, Progress
from infctl_docker.delivery import is_there
from infctl_docker.errors import DaemonError
from infctl_docker.hosts import Host
from infctl_docker.lower import MODELS, MODELS_VOLUME
from infctl_docker.probing import log_lines
from infctl_docker.promises import COPIES

NAME = "infctl-model-"
KEPT = "/infctl"  # where it finds what no command line may show
PATIENCE = 5  # seconds in which whoever made a carrier that has ended removes it
LEFT = 3_600  # seconds after which nobody listens to a carrier that has ended
STALE = 30  # seconds in which a copy that nobody feeds any more does not grow; then it is taken over
EVERY_LINE = 1_000_000_000
ENDED = frozenset(
    {"ok", "bad", "full", "short", "http", "tls", "lost", "changed", "no-tool"}
)  # first words of the last
# POSIX shell, also busybox'. Words: folder below /models, name of the whole, its checksum ("" for none), "many" for a
# folder, then name, size (0: not known) and revision of each file.
BEGIN = r"""
set -u
umask 022
key=$1 name=$2 pinned=$3 many=$4; shift 4
mkdir -p "/models/$key" && cd "/models/$key" || exit 1
size() { if [ -f "$1" ]; then stat -c %s "$1"; else echo 0; fi; }
left() { df -Pk . | { read -r _; read -r _ _ _ free _; echo $((free * 1024)); }; }
drop() { while [ $# -gt 0 ]; do rm -f "./$1.part"; shift 3; done; }
fail_full() { echo "full $1 $(left)"; exit 1; }
look() {
  have='' need=0
  while [ $# -gt 0 ]; do
    mkdir -p "$(dirname "./$1")"
    got=$(size "./$1.part")
    [ "$2" -eq 0 ] || [ "$got" -le "$2" ] || { rm -f "./$1.part"; got=0; }
    have="$have $got"
    [ "$2" -eq 0 ] || need=$((need + $2 - got))
    shift 3
  done
  [ "$need" -le "$(left)" ] || fail_full "$need"
  echo "have$have"
}
count() { sum=0; while [ $# -gt 0 ]; do sum=$((sum + $(size "./$1.part"))); shift 3; done; echo "done $sum"; }
watch() { while sleep 1; do count "$@"; done; }
listing() {
  while [ $# -gt 0 ]; do
    one=$(sha256sum <"./$1.part"); echo "${one%% *}  ${1#"$name/"}"; shift 3
  done
}
digest() { if [ "$many" ]; then listing "$@" | sha256sum; else sha256sum <"./$1.part"; fi; }
keep() { while [ $# -gt 0 ]; do mv -f "./$1.part" "./$1"; shift 3; done; }
finish() {
  echo check
  if [ "$pinned" ]; then
    found=$(digest "$@"); found=${found%% *}
    [ "$found" = "$pinned" ] || { drop "$@"; echo "bad $found"; exit 1; }
  fi
  keep "$@"
  sync -f . 2>/dev/null || sync
  mkdir -p "./$name.complete"
  echo ok
}
look "$@"
watch "$@" &
"""


class Item(NamedTuple):
    """One file: its name below the parcel's folder, its size in bytes (0: not known), and how it is known again."""

    name: str
    size: int = 0
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is to be there. `key` is its folder below /models, `name` the file's or folder's in it; `pinned` the
    SHA-256 of the file, or of the list `SHA256  NAME` of a folder's; "" where nobody knows it.
    """

    key: str
    name: str
    items: tuple[Item, ...]
    pinned: str = ""
    many: bool = False

    @property
    def path(self) -> str:
        """Where a container finds it."""
        return f"{MODELS}/{self.key}/{self.name}"

    @property
    def total(self) -> int:
        return sum(item.size for item in self.items)

    def words(self) -> list[str]:
        told = [word for item in self.items for word in (item.name, str(item.size), item.revision)]
        return [self.key, self.name, self.pinned, "many" if self.many else "", *told]


class Job(NamedTuple):
    """How a carrier is run: `way` is "copy" for one that is fed, else "fetch"; `script` follows BEGIN."""

    way: str
    image: str
    script: str
    network: str
    run: Callable[[Carrier], Ended]
    labels: Mapping[str, str]  # whose it is
    env: tuple[str, ...] = ()


class Ended(NamedTuple):
    """The last that a carrier said: a word of ENDED ("" when it was killed), and what follows it."""

    word: str
    rest: str
    resumed: bool


class Carrier:
    """A carrier that was made on a host and does not run yet; it is removed at the end of the context."""

    def __init__(self, host: Host, parcel: Parcel, emit: Emit, ident: str) -> None:
        self.host, self.parcel, self.ident = host, parcel, ident
        self._emit = emit

    def __enter__(self) -> Carrier:
        return self

    def __exit__(self, *_: object) -> None:
        _remove(self.host, self.ident)

    def is_done(self) -> bool:
        """Return whether the parcel is there already."""
        return is_there(self.host, self.ident, f"{self.parcel.path}.complete")

    def give(self, files: Mapping[str, bytes]) -> None:
        """Put files below KEPT that only root may read."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            folder = tarfile.TarInfo(KEPT.lstrip("/"))
            folder.type, folder.mode = tarfile.DIRTYPE, 0o700
            tar.addfile(folder)
            for name, data in files.items():
                info = tarfile.TarInfo(f"{folder.name}/{name}")
                info.mode, info.size = 0o600, len(data)
                tar.addfile(info, io.BytesIO(data))
        self.host.api.put_archive(self.ident, "/", buffer.getvalue())

    def start(self) -> Iterator[str]:
        """Start it, and return its lines from the first on."""
        self.host.api.start(self.ident)
        return log_lines(self.host, self.ident, tail=EVERY_LINE, follow=True)

    def listen(self, lines: Iterator[str], *, resumed: bool = False, quiet: bool = False) -> Ended:
        """Follow it to its end, saying how far it is (`quiet`: who feeds it says it)."""
        said, ended = "", None
        for line in lines:  # to the end, so that the stream can be used again
            word, _, rest = line.partition(" ")
            if word == "have":
                have = sum(int(one) for one in rest.split())
                resumed = have > 0
                _say(self._emit, self.parcel, str(have))
            elif word == "check":
                self._emit(Progress("fetch", f"checksum of {self.parcel.name}"))
            elif word == "done":
                if not quiet:
                    _say(self._emit, self.parcel, rest)
            else:
                said = line
                ended = Ended(word, rest, resumed) if word in ENDED else ended
        return ended or Ended("", said, resumed)


def make_carrier(host: Host, parcel: Parcel, job: Job, emit: Emit) -> Carrier:
    """Return a carrier of its own, once no other brings the same parcel. Raises DaemonError, HostDown."""
    body = {
        "Image": job.image, "Entrypoint": ["sh"], "Cmd": ["-c", BEGIN + job.script, "infctl", *parcel.words()],
        "User": "0", "Env": ["NVIDIA_VISIBLE_DEVICES=void", *job.env], "Labels": {COPIES: job.way, **job.labels},
        "OpenStdin": job.way == "copy", "StdinOnce": True, "AttachStdin": True, "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "Mounts": [
                {"Type": "volume", "Source": MODELS_VOLUME, "Target": MODELS, "VolumeOptions": {"NoCopy": True}}
            ],
            "NetworkMode": job.network, "CapDrop": ["ALL"], "CapAdd": ["DAC_OVERRIDE"],
            "SecurityOpt": ["no-new-privileges"], "LogConfig": {"Type": "json-file", "Config": {}},
        },
    }  # fmt: skip
    name = f"{NAME}{parcel.key[:32]}"
    while True:
        try:
            return Carrier(host, parcel, emit, host.api.create_container_from_config(body, name)["Id"])
        except DaemonError as failure:
            if failure.status != HTTPStatus.CONFLICT:
                raise
        _wait_for_other(host, name, parcel, emit)


def sweep(host: Host, now: float) -> None:
    """Remove carriers that ended more than an hour ago, by the daemon's clock: whoever made them was killed."""
    asked = {"label": COPIES, "status": "exited"}
    for one in host.api.containers(all=True, filters=asked):
        if now - int(one["Created"]) > LEFT:
            _remove(host, str(one["Id"]))


def _wait_for_other(host: Host, name: str, parcel: Parcel, emit: Emit) -> None:
    """Follow the carrier that has the name until it is gone; one that nobody will end any more is removed."""
    until = time.monotonic() + PATIENCE
    while (doc := _look(host, name)) is not None:
        if doc["State"]["Running"]:
            _follow(host, doc, parcel, emit)
            until = time.monotonic() + PATIENCE
        elif time.monotonic() > until:
            _remove(host, doc["Id"])
        else:
            time.sleep(0.5)


def _follow(host: Host, doc: Mapping[str, Any], parcel: Parcel, emit: Emit) -> None:
    """Follow another's carrier to its end; a copy that does not grow any more is removed."""
    copies = doc["Config"]["Labels"].get(COPIES) == "copy"
    last, same = "", 0
    for line in log_lines(host, str(doc["Id"]), tail=1, follow=True):
        word, _, rest = line.partition(" ")
        if word == "check":
            copies = False  # reading takes its time, and nothing grows
        elif word == "done":
            _say(emit, parcel, rest)
            same = same + 1 if line == last else 0
            last = line
            if copies and same == STALE:
                _remove(host, doc["Id"])


def _say(emit: Emit, parcel: Parcel, done: str) -> None:
    emit(Progress("fetch", parcel.name, int(done), max(parcel.total, int(done)), "bytes"))


def _look(host: Host, name: str) -> Mapping[str, Any] | None:
    try:
        doc: Mapping[str, Any] = host.api.inspect_container(name)
    except DaemonError as failure:
        if failure.status == HTTPStatus.NOT_FOUND:
            return None
        raise
    return doc


def _remove(host: Host, ident: str) -> None:
    try:
        host.api.remove_container(ident, force=True)
    except DaemonError as failure:
        if failure.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:  # gone, or somebody else just removes it
            raise
