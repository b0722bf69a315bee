"""Owns what a replica's container is in the daemon's words: values in, the body of POST /containers/create out.

Pure. `look.py` reads the same back from what an inspect says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

from infctl.provider.values import Values
from infctl.secrets import Secret, SecretRef

LOOPBACK = "127.0.0.1"  # a container is reached through the proxy of its host only
SECRETS = "/run/secrets"
NANO = 1_000_000_000
STOP_SECONDS = 30  # between SIGTERM and SIGKILL; requests are drained before anything is stopped
SHARED_MEMORY = 64 << 20  # bytes: Docker's own default, said so that it is ours
TMPFS = "exec"  # PyTorch and Triton compile kernels into their temporary folder, and load them from there
SECOND = 1_000_000_000  # nanoseconds
# An engine's image has one of these, or none: then nothing can be said of its health from inside. wget is given no
# time, for BusyBox 1.35 dies of -T; the daemon ends what takes longer than the check's Timeout.
ASKS = "command -v curl >/dev/null 2>&1 && exec curl "  # how that of every version of infctl begins
ASK_HEALTH = (
    f'{ASKS}-fsS -m 5 -o /dev/null "$1"; '
    'command -v wget >/dev/null 2>&1 && exec wget -q -O /dev/null "$1"; '
    "command -v python3 >/dev/null 2>&1 || exit 0; "
    'exec python3 -c "import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=5)" "$1"'
)
LOADING = 30 * 60 * SECOND  # while a model loads, a failed check means nothing; a good one ends this at once
EVERY = 30 * SECOND


@dataclass(frozen=True, slots=True)
class Made:
    """What the maker of a container chose, and no plan knows.

    `image` is what the container was made of (a mirror's name, or the id of an image that no registry knows);
    `entrypoint` and `arguments` are the image's own; `port` is the one on the host's loopback; `model` and `share`
    are what {model} and {gpu_share} stand for; `gpus` is the part of HostConfig that gives it its devices; `limits`
    is whether the daemon can limit memory and processors at all.
    """

    image: str
    port: int
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    model: str = ""
    share: str = "1"
    gpus: Values = field(default_factory=dict)
    limits: bool = True

    def values(self) -> dict[str, Any]:
        return asdict(self)


def body(values: Values, made: Made, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of a create. `values` may hold secrets; those that go as environment are in it."""
    more: Values = values["sandbox"]
    entrypoint, arguments = command(values, made)
    return {
        "Image": made.image,
        "Entrypoint": entrypoint,
        "Cmd": arguments,
        "Env": environment(values),
        "Labels": dict(labels),
        "ExposedPorts": {f"{values['port']}/tcp": {}},
        "Healthcheck": _healthcheck(values["health"], values["port"]),
        "StopTimeout": STOP_SECONDS,
        "HostConfig": {
            **_rights(more),
            **_limits(values, made),
            **made.gpus,
            "Mounts": _mounts(values),
            "Tmpfs": dict.fromkeys(more.get("tmpfs", ()), TMPFS),
            "ShmSize": more.get("shm_size", SHARED_MEMORY),
            "RestartPolicy": {"Name": values["restart"], "MaximumRetryCount": 0},
            "LogConfig": {"Type": "json-file", "Config": dict(values["log"])},
            "NetworkMode": values["network"],
            "PortBindings": {f"{values['port']}/tcp": [{"HostIp": LOOPBACK, "HostPort": str(made.port)}]},
        },
        "NetworkingConfig": {"EndpointsConfig": {values["network"]: {}}},
    }


def command(values: Values, made: Made) -> tuple[list[str], list[str]]:
    """Return entry point and arguments, with what the placeholders stand for; the image's own where nothing is said."""
    words = [_filled(word, values, made) for word in values["command"]]
    if words and not values["sandbox"].get("arguments_only"):
        return words, []
    return list(made.entrypoint), words or list(made.arguments)


def environment(values: Values) -> list[str]:
    """Return NAME=value of the engine's own variables and the model's; a secret file's path goes as NAME_FILE."""
    env: dict[str, str] = {"PORT": str(values["port"]), **values["sandbox"].get("env", {})}
    for name, value in values["env"].items():
        if isinstance(value, Secret | SecretRef):
            kind = delivery(value)
            env |= {name: _reveal(value)} if kind == "env" else {f"{name}_FILE": secret_path(name)}
        else:
            env[name] = str(value)
    return [f"{name}={value}" for name, value in sorted(env.items())]


def delivery(value: Secret | SecretRef) -> str:
    ref = value.ref if isinstance(value, Secret) else value
    return ref.delivery if ref else "file"


def secret_path(name: str) -> str:
    return f"{SECRETS}/{name}"


def secret_files(env: Values) -> dict[str, Secret]:
    """Return the secrets that go as files, by the names of these."""
    return {name: value for name, value in env.items() if isinstance(value, Secret) and delivery(value) == "file"}


def update(values: Values, made: Made) -> dict[str, Any]:
    """Return the body of POST /containers/ID/update: all that can be changed on a container that stands."""
    limits = _limits(values, made)
    return {**limits, "RestartPolicy": {"Name": values["restart"], "MaximumRetryCount": 0}}


def model_name(values: Values) -> str:
    """Return what {model} stands for where the engine downloads it by itself: the name without its scheme."""
    return str(values["model"]).partition("://")[2] or str(values["model"])


def part_of(values: Values, totals: Mapping[str, int]) -> str:
    """Return what {gpu_share} stands for: the part of each device that is the replica's, rounded down.

    `totals` are the bytes of the devices, by uuid; of unequal devices the smallest part counts.
    """
    parts = [memory / totals[device] for device, memory in values["devices"] if memory and totals.get(device)]
    return f"{int(min(parts, default=1.0) * 10_000) / 10_000:g}"


def _reveal(value: Secret | SecretRef) -> str:
    return value.reveal() if isinstance(value, Secret) else ""


def _filled(word: str, values: Values, made: Made) -> str:
    named = {"{port}": str(values["port"]), "{model}": made.model, "{gpu_share}": made.share}
    for placeholder, meant in named.items():
        word = word.replace(placeholder, meant)
    return word


def _rights(more: Values) -> dict[str, Any]:
    return {
        "ReadonlyRootfs": bool(more.get("read_only")),
        "CapDrop": ["ALL"],
        "CapAdd": list(more.get("caps", ())),
        "SecurityOpt": ["no-new-privileges"],
        "Privileged": False,
        "IpcMode": "private",
        "PidMode": "",
        "Init": True,  # engines start children, and few of them bury the dead
    }


def _limits(values: Values, made: Made) -> dict[str, Any]:
    if not made.limits:
        return {}
    most = int(values["memory_limit"])
    # Swapped-out weights serve nobody: no more swap than memory means none at all.
    return {
        "Memory": most,
        "MemorySwap": most,
        "MemoryReservation": int(values["memory"]),
        "NanoCpus": round(values["cpus"] * NANO),
    }


def _mounts(values: Values) -> list[dict[str, Any]]:
    mounts = [_mount(folder, volume) for folder, volume in sorted(values["mounts"].items())]
    if values["sandbox"].get("read_only") and any(_is_file(value) for value in values["env"].values()):
        mounts.append({"Type": "volume", "Target": SECRETS})  # nameless, and gone with the container
    return mounts


def _mount(folder: str, volume: str) -> dict[str, Any]:
    name, _, read_only = volume.partition(":")
    kind = "bind" if name.startswith("/") else "volume"
    mount = {"Type": kind, "Source": name, "Target": str(PurePosixPath(folder))}
    return {**mount, "ReadOnly": True} if read_only else mount


def _is_file(value: Any) -> bool:
    return isinstance(value, Secret | SecretRef) and delivery(value) == "file"


def _healthcheck(path: str, port: int) -> dict[str, Any]:
    if not path:
        return {"Test": ["NONE"]}
    url = f"http://{LOOPBACK}:{port}{path}"
    return {
        "Test": ["CMD", "sh", "-c", ASK_HEALTH, "sh", url],
        "Interval": EVERY,
        "Timeout": 10 * SECOND,
        "Retries": 3,
        "StartPeriod": LOADING,
        # Since 25.0 a daemon asks each 5 s while a container starts, and each time costs it some 50 ms of a processor
        # (docs.docker.com, Dockerfile reference, HEALTHCHECK --start-interval). Older ones pass over the field.
        "StartInterval": EVERY,
    }
