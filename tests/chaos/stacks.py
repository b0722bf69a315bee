"""Owns stacks that runs are killed in: what their file asks for, what really stands, and how the two compare.

A stack stands on some ground: pretend processes (MEMORY), real ones (LOCAL), or Docker hosts (`racks`); what is checked
is the same. Knows nothing of when a run is killed.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.chaos.forks import Forks, Ran
from tests.fakes.world import World
from tests.tiny_gguf import write_tiny_gguf

DATA = Path(".infctl/default/targets/here")
SETTLING = 5.0  # seconds in which a process that a killed run was just starting may still end by itself


@dataclass(frozen=True)
class Wish:
    """What the file says of a model. `context` in tokens: another one is another revision."""

    context: int = 512
    replicas: int = 1


Wishes = Mapping[str, Wish]  # by model; none: everything destroyed
NOTHING: Wishes = {}


@dataclass(frozen=True)
class Verdict:
    """What one further run made of a killed one. All is well when nothing is counted and `why` is empty."""

    readable: bool
    converged: bool
    orphans: int
    duplicates: int
    why: str = ""

    @property
    def good(self) -> bool:
        return self.readable and self.converged and not self.orphans and not self.duplicates


@dataclass(frozen=True)
class Standing:
    """What stands in the world: the addresses of its objects by id, and what is wrong with their processes."""

    objects: Mapping[str, str]
    twice: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()


class Ground(Protocol):
    """What a stack stands on. `env` is what every run on it needs."""

    @property
    def env(self) -> Mapping[str, str]: ...

    def text(self, wishes: Wishes) -> str:
        """Return the file that says so."""
        ...

    def expected(self, wishes: Wishes) -> list[str]:
        """Return the address of every object that `wishes` take."""
        ...

    def standing(self, folder: Path) -> Standing: ...

    def wipe(self) -> bool:
        """Remove whatever stands there, and return whether it can: not where others have something too."""
        ...


@dataclass(frozen=True)
class Here:
    """This machine: targets of type `kind`, whose kinds of objects begin with `prefix`."""

    kind: str
    prefix: str
    look: Callable[[Path], Standing]
    env: Mapping[str, str] = field(default_factory=dict)

    def text(self, wishes: Wishes) -> str:
        lines = ["apiVersion: infctl/v1", "name: chaos", f"targets: {{here: {{type: {self.kind}}}}}", "models:"]
        for name, wish in wishes.items():
            lines += [
                f"  {name}:", "    uri: file:m.gguf", f"    max_model_len: {wish.context}",
                f"    replicas: {wish.replicas}", "    engine_args: {threads: 1, parallel: 1}",
            ]  # fmt: skip
        return "\n".join(lines) + "\n"

    def expected(self, wishes: Wishes) -> list[str]:
        found = [f"{self.prefix}_relay.here"] if wishes else []
        for name, wish in wishes.items():
            found.append(f'{self.prefix}_route.{name}["here"]')
            found += [f'{self.prefix}_process.{name}["here/{slot}"]' for slot in range(wish.replicas)]
        return found

    def standing(self, folder: Path) -> Standing:
        return self.look(folder)

    def wipe(self) -> bool:
        return False


@dataclass
class Stack:
    """One stack in `folder`."""

    folder: Path
    forks: Forks
    ground: Ground
    wishes: Wishes = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_tiny_gguf(self.folder / "m.gguf")

    def run(self, wishes: Wishes, *flags: str, kill_after: float | None = None, fault: str = "") -> Ran:
        """Apply `wishes`, or destroy when there are none."""
        self.wishes = wishes
        command = "apply" if wishes else "destroy"
        if wishes:
            (self.folder / "inference.yaml").write_text(self.ground.text(wishes))
        return self._infctl(command, "-auto-approve", *flags, kill_after=kill_after, fault=fault)

    def settle(self, wishes: Wishes) -> None:
        """Apply `wishes` with nothing in the way."""
        done = self.run(wishes)
        assert done.code == 0, done.said

    def afresh(self, folder: Path) -> Stack:
        """Return a stack in `folder` that knows nothing, with nothing of this one left."""
        if not self.ground.wipe():
            self.run(NOTHING)
        return Stack(folder, self.forks, self.ground)

    def verdict(self, wishes: Wishes) -> Verdict:
        """Look at what a killed run left, run once more for `wishes`, and look again."""
        why = self._unreadable()
        readable = not why
        done = self.run(wishes)
        if done.code:
            why += done.said
        again = self._infctl("plan", "-detailed-exitcode", *([] if self.wishes else ["-destroy"]))
        if again.code or "No changes" not in again.out:
            why += again.said
        standing = self._standing_at_rest()
        known = self._known()
        missing = Counter(self.ground.expected(self.wishes)) - Counter(standing.objects.values())
        extra = Counter(standing.objects.values()) - Counter(self.ground.expected(self.wishes))
        unknown = [f"{ident} {address}" for ident, address in standing.objects.items() if ident not in known]
        if missing or extra or unknown or known.keys() - standing.objects or any(known.values()):
            why += f"missing {missing}, extra {extra}, not in state {unknown}, in state {known}\n"
        if standing.twice or standing.lost or standing.strays:
            why += f"twice {standing.twice}, not running {standing.lost}, strays {standing.strays}\n"
        twice = sum(count - 1 for count in Counter(standing.objects.values()).values())
        orphans = len(unknown) + len(standing.strays)
        converged = not done.code and not again.code and "No changes" in again.out and not missing and not extra
        converged = converged and not standing.lost and not any(known.values())
        return Verdict(readable, converged, orphans, twice + len(standing.twice), why)

    def _infctl(self, *words: str, kill_after: float | None = None, fault: str = "") -> Ran:
        env = {**self.ground.env, **({"INFCTL_FAULT": fault} if fault else {})}
        more = {} if kill_after is None else {"kill_after": kill_after}
        return self.forks.run(self.folder, *words, env=env, **more)

    def _unreadable(self) -> str:
        """Return what reading state says when it should not; a run that died first thing leaves none to read."""
        for words in (("show", "-json"), ("state", "pull")):
            read = self._infctl(*words)
            if read.code == 0:
                json.loads(read.out)
            elif "error[no-state]" not in read.err or (self.folder / ".infctl/default/state.json").exists():
                return read.said
        return ""

    def _known(self) -> dict[str, str]:
        """Return, by id, what is not finished about each object in state."""
        pulled = self._infctl("state", "pull")
        things = json.loads(pulled.out)["resources"] if pulled.code == 0 else []
        return {
            thing["id"]: thing["pending"] or ("deposed" if thing["deposed"] else "" if thing["ready"] else "not ready")
            for thing in things
        }

    def _standing_at_rest(self) -> Standing:
        until = time.monotonic() + SETTLING
        while True:
            found = self.ground.standing(self.folder)
            if not found.strays or time.monotonic() > until:
                return found
            time.sleep(0.1)


def _pretend(folder: Path) -> Standing:
    things = World(folder / DATA / "world-here.jsonl").things()
    stopped = tuple(thing["address"] for thing in things if not thing["running"])
    return Standing({thing["id"]: thing["address"] for thing in things}, lost=stopped)


def _real(folder: Path) -> Standing:
    """Return the objects of the local target, each of which has one supervisor and one child, but for routes."""
    objects: dict[str, str] = {}
    twice: list[str] = []
    lost: list[str] = []
    left = dict(processes_in(folder))
    runs = folder / DATA / "run"
    for place in sorted(runs.iterdir()) if runs.exists() else ():
        labels = json.loads((place / "object.json").read_text())["labels"]
        objects[labels["id"]] = labels["address"]
        mine = {pid: argv for pid, argv in left.items() if str(place) in argv}
        left = {pid: argv for pid, argv in left.items() if pid not in mine}
        supervisors = sum("infctl_local.supervisor" in argv for argv in mine.values())
        wanted = 0 if "_route." in labels["address"] else 1
        for what, count in (("supervisor", supervisors), ("child", len(mine) - supervisors)):
            if count != wanted:
                (twice if count > wanted else lost).append(f"{count} {what} of {place.name}")
    return Standing(objects, tuple(twice), tuple(lost), tuple(f"{pid} {argv}" for pid, argv in left.items()))


def processes_in(folder: Path) -> Iterator[tuple[int, str]]:
    """Yield pid and command line of every process that names `folder`."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                argv = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder) in argv:
                yield int(entry.name), argv


MEMORY, LOCAL = Here("memory", "fake", _pretend), Here("local", "local", _real)
