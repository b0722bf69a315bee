"""Owns what `infctl doctor` should say of a host: its GPUs, how containers get them, its disk and limits.

Pure: judges what was seen. Knows no connection.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from infctl.provider.protocol import Finding
from infctl_docker.ask import NO_IMAGE
from infctl_docker.facts.cdi import NVIDIA
from infctl_docker.facts.trouble import Trouble, read_trouble
from infctl_docker.inventory import Sight

GIB = 1024**3
LITTLE_DISK = 10 * GIB  # an image of a GPU engine unpacks to about that (vllm/vllm-openai:v0.10: 10 GiB)
WAYS = {"nvidia": "by NVIDIA's runtime", "cdi": "by CDI", "amd": "by their device nodes"}


def check_host(sight: Sight, reserve: Sequence[str | int]) -> tuple[Finding, ...]:
    """Return what may keep models from running on a host, and what mends it."""
    name = sight.place.name
    return tuple(
        Finding(f"{name}: {one.what}", one.ok, one.detail, one.hint)
        for one in (*_check_gpus(sight, reserve), *_check_daemon(sight))
    )


def _check_gpus(sight: Sight, reserve: Sequence[str | int]) -> Iterator[Finding]:
    tell = sight.tell
    trouble = read_trouble(tell.said)
    if not tell.gpus:
        yield _check_none(sight, trouble)
        return
    drivers = sorted({gpu.driver for gpu in tell.gpus if gpu.driver})
    products = ", ".join(f"{many}x {product}" for product, many in Counter(gpu.product for gpu in tell.gpus).items())
    yield Finding("GPUs", ok=True, detail=", ".join((products, *(f"driver {driver}" for driver in drivers))))
    if trouble:
        yield Finding("GPU driver", ok=False, detail=f"{trouble.what}: {trouble.said}", hint=trouble.hint)
    yield _check_access(sight)
    yield from _check_slices(sight)
    yield from _check_reserve(sight, reserve)


def _check_none(sight: Sight, trouble: Trouble | None) -> Finding:
    """Return what to say of a host that tells no GPU: it may have none, or something hides them."""
    if trouble is None or "select device driver" in trouble.said:  # who has no GPU has no driver for them
        return Finding("GPUs", ok=True, detail="none: models run on its processor")
    likely = "nvidia" in sight.daemon.runtimes or any(name.startswith(NVIDIA) for name in sight.tell.cdi)
    if trouble.said == NO_IMAGE and not likely:
        return Finding("GPUs", ok=True, detail="not known: no image is there yet to ask with; it has none, it seems")
    return Finding("GPUs", ok=False, detail=f"{trouble.what}: {trouble.said}", hint=trouble.hint)


def _check_access(sight: Sight) -> Finding:
    access = sight.tell.access
    if access in WAYS:
        rootless = access == "nvidia" and sight.daemon.rootless
        note = "; rootless Docker needs no-cgroups = true in /etc/nvidia-container-runtime/config.toml" * rootless
        return Finding("GPUs in containers", ok=True, detail=WAYS[access] + note)
    hint = "install nvidia-container-toolkit there, run `nvidia-ctk runtime configure`, and restart Docker"
    return Finding("GPUs in containers", ok=False, detail="Docker has no way to give them to containers", hint=hint)


def _check_slices(sight: Sight) -> Iterator[Finding]:
    cut = {part.parent for part in sight.tell.slices}
    for gpu in sight.tell.gpus:
        if gpu.mig and gpu.uuid not in cut:
            yield Finding(
                f"GPU {gpu.index}",
                ok=False,
                detail="in MIG mode without a slice: nothing of it can be used",
                hint=f"cut it (nvidia-smi mig -i {gpu.index} -cgi PROFILE -C), or end MIG mode (-mig 0)",
            )
        elif not gpu.memory_total and not gpu.shared and not gpu.mig:
            hint = f"look at `nvidia-smi -i {gpu.index}` there; it may need a reset"
            yield Finding(f"GPU {gpu.index}", ok=False, detail="does not tell its memory", hint=hint)


def _check_reserve(sight: Sight, reserve: Sequence[str | int]) -> Iterator[Finding]:
    tell = sight.tell
    known = {name for gpu in tell.gpus for name in (str(gpu.index), gpu.uuid)} | {part.uuid for part in tell.slices}
    for name in reserve:
        if str(name) not in known:
            hint = "name devices by their index or uuid, as `nvidia-smi -L` prints them"
            yield Finding("gpu_reserve", ok=False, detail=f"{name} is no device of this host", hint=hint)


def _check_daemon(sight: Sight) -> Iterator[Finding]:
    daemon, disk = sight.daemon, sight.disk
    yield Finding("Docker", ok=True, detail=f"{daemon.version}, API {daemon.api}{', rootless' * daemon.rootless}")
    if not daemon.limits:
        hint = "enable the memory controller of its cgroups; for rootless Docker, delegate it to the user in systemd"
        yield Finding("memory limits", ok=False, detail="Docker cannot hold a container to a limit", hint=hint)
    if disk:
        ok = disk.free >= LITTLE_DISK
        hint = "" if ok else "free some: `docker system df` there shows what can go"
        yield Finding("disk", ok, f"{disk.free / GIB:.1f} GiB free for images and models ({disk.mount})", hint)
