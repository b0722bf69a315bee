"""Owns reading what a target's hosts have, and what of it can still be promised.

One pipelined read of each daemon and one command on each host, side by side. Knows nothing of what is wanted.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any

from infctl.provider.values import Change, Inventory, Place, Reading, Share, Unreadable
from infctl_docker.ask import Said, ask_by_shell, ask_in_container
from infctl_docker.errors import DaemonError
from infctl_docker.facts.amd import parse_amd_smi, parse_doors, parse_rocm_smi
from infctl_docker.facts.cdi import parse_cdi
from infctl_docker.facts.daemon import Daemon, parse_daemon, parse_taken
from infctl_docker.facts.machine import Disk, disk_of, parse_cgroups, parse_df, parse_meminfo
from infctl_docker.facts.nvidia import Gpu, parse_apps, parse_gpus, parse_slice_memory, parse_slices
from infctl_docker.facts.topology import parse_islands
from infctl_docker.gpus import Tell, claims, count_devices
from infctl_docker.hosts import Fleet, Host
from infctl_docker.pipeline import Answer
from infctl_docker.promises import DEVICES, LINEAGE, Promise, fence_of, is_ours, read_promises
from infctl_docker.reserve import reserved, sweep

PRICED = "price_per_gpu_hour of the file"
READS = ("/info", "/version", "/containers/json?all=1")
AT_ONCE = 6  # containers made and started at a time on a host: fewer than `sessions.SESSIONS`, so that gates ask too
HOOKS = ("nvidia-container-runtime-hook", "nvidia-container-runtime")
TOLD = ("gpus", "oldgpus", "apps", "list", "rocm", "amdlist")  # sections in which a tool may complain


@dataclass(frozen=True, slots=True)
class Sight:
    """A host as it was seen: the place, its daemon, and how devices are given to containers there.

    `room` is, by uuid, how many bytes of each device all replicas together may be promised. `disk` is the one that
    Docker writes to.
    """

    place: Place
    daemon: Daemon
    tell: Tell
    room: Mapping[str, int]
    disk: Disk | None = None


class Sights:
    """What was seen of the hosts of a target in this run; each host is looked at once.

    `reserve` are the devices that nobody of us may have, by host; `images` those with which a host that has no shell
    is asked before others that it has; `lineage` is ours: what it reserved and holds no more does not count. `price` is
    what an hour of a device costs.
    """

    def __init__(
        self,
        fleet: Fleet,
        reserve: Mapping[str, Sequence[str | int]],
        images: Sequence[str],
        lineage: str,
        price: float | None = None,
    ) -> None:
        self._fleet = fleet
        self._reserve = reserve
        self._images = images
        self._lineage = lineage
        self._price = price
        self._seen: dict[str, Sight] = {}
        self._tidied: set[str] = set()
        self._turns: dict[str, threading.Semaphore] = {}
        self._locks = {host.name: threading.Lock() for host in fleet.hosts}

    def of(self, host: Host) -> Sight:
        """Return what was seen of a host, looking now unless it was. Raises HostDown."""
        with self._locks[host.name]:
            if host.name not in self._seen:
                sight = look(host, self._reserve.get(host.name, ()), self._images, self._lineage)
                priced = PRICED if self._price else ""
                place = replace(sight.place, price=self._price, zone=host.zone, priced=priced)
                self._seen[host.name] = replace(sight, place=place)
            return self._seen[host.name]

    def inventory(self) -> Reading[Inventory]:
        """Return the places of all hosts that answer, looked at anew; the others are unreadable."""
        self._seen.clear()
        places, unreadable = [], []
        for found in self._fleet.each(self._try).values():
            if isinstance(found, Sight):
                places.append(found.place)
            else:
                unreadable.append(found if isinstance(found, Unreadable) else found.as_unreadable())
        return Reading(Inventory(tuple(places)), tuple(unreadable))

    def hold(self, host: Host, shares: Sequence[Share], change: Change, image: str) -> AbstractContextManager[None]:
        """Hold shares of a host's devices while the container of this change is made or started: see `reserved`."""
        labels = replace(change.labels, fence=fence_of(change))
        return reserved(host, shares, labels, image=image, room=self.of(host).room) if shares else nullcontext()

    def turn(self, host: Host) -> AbstractContextManager[object]:
        """Return what lets as many containers be made and started at a time as suit a host.

        A daemon of two processors is quickest with some four at a time, and what it was asked is a while on its way
        (benchmarks/docker_apply.py).
        """
        with self._locks[host.name]:
            return self._turns.setdefault(host.name, threading.Semaphore(AT_ONCE))

    def tidy(self, host: Host, fence: int) -> None:
        """Remove what an earlier run of ours left on a host and did not live to remove; asked once in a run."""
        with self._locks[host.name]:
            if host.name not in self._tidied:
                sweep(host, self._lineage, fence)
            self._tidied.add(host.name)

    def _try(self, host: Host) -> Sight | Unreadable:
        try:
            return self.of(host)
        except DaemonError as failure:
            return Unreadable(host.name, failure.message, "look at Docker on the host: `docker info` there must answer")


def look(host: Host, reserve: Sequence[str | int], images: Sequence[str], lineage: str) -> Sight:
    """Return what a host has. Raises HostDown where it does not answer, DaemonError where its Docker says no."""
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask_by_shell, host, nvidia=not _is_here(host)) if host.has_shell else None
        info, version, listed = (_value(host, answer) for answer in host.read(READS))
        said = asked.result() if asked else Said({})
    daemon = parse_daemon(info, version)
    if not said.sections:
        said = ask_in_container(host, daemon, _images(host, listed, images))
    promises = [
        one
        for one in read_promises(listed, daemon.clock, lineage)
        if not (one.reservation and one.labels.get(LINEAGE) == lineage)
    ]
    tell = read_tell(said, daemon)
    if _is_here(host):
        tell = _with_nvml(tell)
    memory = parse_meminfo(said.sections.get("meminfo", ""))
    strangers, taken = _read_containers(host, listed, promises, inspect=bool(tell.gpus) or not memory)
    counted = count_devices(tell, promises, claims(strangers, tell), reserve, memory)
    if memory:
        free = memory.available - sum(max(0, one.memory - taken.get(one.container, 0)) for one in promises)
    else:  # what is free nobody tells: what no container may claim
        free = daemon.memory - _limits(strangers) - sum(one.memory for one in promises)
    devices = tuple(one.device for one in counted)
    place = Place(host.name, daemon.cpus, memory.total if memory else daemon.memory, max(0, free), devices)
    disk = disk_of(daemon.root, parse_df(said.sections.get("df", "")))
    return Sight(place, daemon, tell, {one.device.uuid: one.room for one in counted}, disk)


def read_tell(said: Said, daemon: Daemon) -> Tell:
    """Return what the tools' answers say of the GPUs."""
    sections = said.sections
    cdi = tuple(dict.fromkeys((*daemon.cdi, *(parse_cdi(sections.get("cdi", "")) if daemon.cdi_enabled else ()))))
    complaints = "\n".join(filter(None, (said.refusal, *(sections.get(name, "") for name in TOLD))))
    if amd := _amd(sections):
        doors = parse_doors(sections.get("doors", ""))
        return Tell(amd, access="amd", cdi=cdi, said=complaints, doors=doors)
    return Tell(
        parse_gpus(sections.get("oldgpus") or sections.get("gpus", "")),
        parse_slices(sections.get("list", "")),
        parse_slice_memory(sections.get("table", "")),
        parse_apps(sections.get("apps", "")),
        parse_cgroups(sections.get("cgroups", "")),
        parse_islands(sections.get("topo", "")),
        said.way or _way(daemon, sections.get("hooks", "").split(), cdi),
        cdi,
        complaints,
    )


def _way(daemon: Daemon, hooks: Sequence[str], cdi: Sequence[str]) -> str:
    """Return how this daemon gives NVIDIA's devices to containers, "" where it cannot."""
    if "nvidia" in daemon.runtimes or any(hook in hooks for hook in HOOKS):
        return "nvidia"
    return "cdi" if any(name.startswith("nvidia.com/gpu=") for name in cdi) else ""


def _amd(sections: Mapping[str, str]) -> tuple[Gpu, ...]:
    """Return AMD's devices; none where its tool answers with something else, which `said` keeps for doctor."""
    with suppress(ValueError):
        if "rocm" in sections:
            return parse_rocm_smi(sections["rocm"])
        if "amdlist" in sections:
            return parse_amd_smi(sections["amdlist"], sections.get("amdstatic", ""), sections.get("amdmetric", ""))
    return ()


def _with_nvml(tell: Tell) -> Tell:
    from infctl_docker.nvml import read_nvml  # noqa: PLC0415  -- only a machine that is a target itself pays for it

    here = read_nvml()
    if tell.gpus and not here.gpus:
        return tell  # AMD's
    return replace(here, access=tell.access, cdi=tell.cdi, said=f"{here.said}\n{tell.said}".strip())


def _is_here(host: Host) -> bool:
    return host.has_shell and host.config.url.startswith("unix://")


def _read_containers(
    host: Host, listed: Sequence[Mapping[str, Any]], promises: Sequence[Promise], *, inspect: bool
) -> tuple[list[Mapping[str, Any]], Mapping[str, int]]:
    """Return what inspect says of the running containers that are not infctl's, and the bytes that ours have taken.

    Of a container that ended just now nothing is said.
    """
    running = [one["Id"] for one in listed if one.get("State") == "running" and not is_ours(one)] if inspect else []
    ours = [one.container for one in promises if one.memory]
    paths = [f"/containers/{ident}/json" for ident in running]
    paths += [f"/containers/{ident}/stats?stream=false&one-shot=true" for ident in ours]
    answers = [answer.json() if answer.status < 400 else {} for answer in (host.read(paths) if paths else ())]  # noqa: PLR2004
    strangers, stats = answers[: len(running)], answers[len(running) :]
    return [one for one in strangers if one], {ident: parse_taken(one) for ident, one in zip(ours, stats, strict=True)}


def _images(host: Host, listed: Sequence[Mapping[str, Any]], first: Sequence[str]) -> tuple[str, ...]:
    """Return the images that a host has: those of replicas, then `first`, then all others by name."""
    (answer,) = host.read(("/images/json",))
    there = sorted(tag for one in _value(host, answer) for tag in one.get("RepoTags") or () if "<none>" not in tag)
    ours = (one["Image"] for one in listed if DEVICES in (one.get("Labels") or {}))
    return tuple(dict.fromkeys((*ours, *(image for image in first if image in there), *there)))


def _limits(strangers: Sequence[Mapping[str, Any]]) -> int:
    """Return what running containers may claim: all that is known where the host does not tell what is free."""
    return sum(int((one.get("HostConfig") or {}).get("Memory") or 0) for one in strangers)


def _value(host: Host, answer: Answer) -> Any:
    if answer.status >= 400:  # noqa: PLR2004
        raise DaemonError(host.name, answer.status, answer.body.decode(errors="replace").strip())
    return answer.json()
