"""Owns what an inspect of a container says in infctl's words: the field values that it stands for.

What a container was made with is in its labels. A field reads as that value as long as the daemon shows what would
be made of it; else as what the daemon shows. So whatever was edited by hand, or made anew with our labels, is seen.
Pure: the reverse of `container.body`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from infctl.address import Address
from infctl.provider.values import Observed, Values
from infctl.secrets import SecretRef
from infctl_docker.container import ASK_HEALTH, ASKS, NANO, Made, body
from infctl_docker.kinds import CONTAINER, KINDS
from infctl_docker.labels import TAG, Described

Doc = Mapping[str, Any]
OURS = ("Type", "Source", "Target", "ReadOnly")  # of a mount
REQUEST = ("Driver", "DeviceIDs", "Capabilities")  # of a request for devices
BLANK: Values = {
    **dict.fromkeys(KINDS[CONTAINER].fields, ""),
    **{name: {} for name in ("env", "sandbox", "mounts", "log", "probe", "args", "tags")},
    **dict.fromkeys(("memory", "memory_limit", "cpus", "port", "revision"), 0),
    **dict.fromkeys(("command", "devices"), ()),
}


def observed(doc: Doc, described: Described, address: Address, place: str) -> Observed:
    """Return the object that a container is."""
    made = made_of(described)
    state, name = doc["State"], doc["Name"].removeprefix("/")
    values = {**seen_values(doc, described.values, made), "renamed_to": "" if name == described.name else name}
    outputs = {"container": doc["Id"], "host": place, "endpoint": f"{place}:{made.port}"}
    running = bool(state["Running"]) and not state.get("Paused")
    return Observed(
        address,
        described.labels.id,
        described.name,
        described.target,
        values,
        outputs,
        described.labels,
        running,
        place,
    )


def made_of(described: Described) -> Made:
    """Return what the maker of a container chose, as far as this version of infctl knows it."""
    known = {name: value for name, value in described.made.items() if name in Made.__dataclass_fields__}
    return Made(**{"image": "", "port": 0, **known})


def adopted(doc: Doc, ident: str, target: str, address: Address, place: str) -> Observed:
    """Return a stranger's container as an object, as far as it shows; `ident` is what it is known by."""
    config, host = doc["Config"], doc["HostConfig"]
    ports = [(int(port.partition("/")[0]), bound) for port, bound in (host.get("PortBindings") or {}).items() if bound]
    port, bound = ports[0] if ports else (0, [{}])
    shown = _shown(doc)
    values = {name: shown.get(name, "") for name in KINDS[CONTAINER].fields} | {
        "host": place, "revision": 0, "image": config["Image"], "env": {}, "port": port, "memory": 0, "devices": (),
    }  # fmt: skip
    outputs = {"container": doc["Id"], "host": place, "endpoint": f"{place}:{bound[0].get('HostPort') or 0}"}
    name = doc["Name"].removeprefix("/")
    return Observed(address, ident, name, target, values, outputs, None, bool(doc["State"]["Running"]), place)


def seen_values(doc: Doc, wanted: Values, made: Made) -> dict[str, Any]:
    """Return the fields of a container that was made with these values, as they stand. `wanted` holds no secrets.

    What another version of infctl wrote may lack a field or have one more.
    """
    wanted = {name: wanted.get(name, blank) for name, blank in BLANK.items()}
    expected = body(wanted, made, {})
    shown, right = _shown(doc), _shown({"Config": expected, "HostConfig": expected["HostConfig"]})
    right["network"] = (wanted["network"],)
    asked = {word.partition("=")[0] for word in expected["Env"]}
    engines = set(wanted["sandbox"].get("env", {})) | {"PORT"}
    shown["env"], right["env"] = ({k: v for k, v in env.items() if k in asked} for env in (shown["env"], right["env"]))
    values = dict(wanted)
    for field, value in shown.items():
        if field == "env":
            values |= _env(wanted, value, right["env"], engines)
        elif value != right[field] and not _is_unset(field, wanted) and _is_held(field, made):
            values[field] = value
    values["tags"] = _tags(doc, wanted)
    return values


def _shown(doc: Doc) -> dict[str, Any]:
    """Return, by field, what an inspect (or the body of a create) shows of it, in a form that can be compared."""
    config, host = doc["Config"], doc["HostConfig"]
    networks = (doc.get("NetworkSettings") or {}).get("Networks") or {}
    log = host.get("LogConfig") or {}
    return {
        "image": config["Image"],
        "command": (*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())),
        "env": dict(word.partition("=")[::2] for word in config.get("Env") or ()),
        "port": _ports(host),
        "sandbox": _rights(host),
        "devices": _devices(host),
        "mounts": tuple(_mounts(host)),
        "health": _health(config),
        "log": {"driver": log.get("Type", ""), **(log.get("Config") or {})},
        "memory": host.get("MemoryReservation") or 0,
        "memory_limit": host.get("Memory") or 0,
        "cpus": (host.get("NanoCpus") or 0) / NANO,
        "restart": (host.get("RestartPolicy") or {}).get("Name", ""),
        "network": tuple(sorted(networks)),
    }


def _env(wanted: Values, shown: Values, right: Values, engines: Iterable[str]) -> dict[str, Any]:
    """Return env as it stands where it is not as wanted: each variable as it is, of a secret only its reference."""
    secret = {name for name, value in wanted["env"].items() if isinstance(value, SecretRef)}
    right = {name: shown.get(name) if name in secret else value for name, value in right.items()}
    if shown == right:
        return {}
    changed = {name: shown.get(name, "") for name in right if shown.get(name) != right[name]}
    if all(name in engines for name in changed):
        return {"sandbox": {**wanted["sandbox"], "env": {**wanted["sandbox"].get("env", {}), **changed}}}
    return {"env": {**wanted["env"], **{name: value for name, value in changed.items() if name not in secret}}}


def _is_unset(field: str, wanted: Values) -> bool:
    """Return whether a limit is none of ours: Docker has no way to lift one, so it is not ours to lift."""
    return field in {"memory", "memory_limit", "cpus"} and not wanted[field]


def _is_held(field: str, made: Made) -> bool:
    return made.limits or field not in {"memory", "memory_limit", "cpus"}


def _ports(host: Doc) -> Any:
    bindings = host.get("PortBindings") or {}
    return tuple(
        sorted(
            (port, one.get("HostIp", ""), one.get("HostPort", "")) for port, at in bindings.items() for one in at or ()
        )
    )


def _rights(host: Doc) -> dict[str, Any]:
    return {
        "shm_size": host.get("ShmSize"),
        "read_only": bool(host.get("ReadonlyRootfs")),
        "caps": tuple(sorted(map(_capability, host.get("CapAdd") or ()))),
        "caps_dropped": tuple(sorted(host.get("CapDrop") or ())),
        "security": tuple(sorted(word.replace(":true", "") for word in host.get("SecurityOpt") or ())),
        "privileged": bool(host.get("Privileged")),
        "tmpfs": tuple(sorted(host.get("Tmpfs") or ())),
        "ipc": host.get("IpcMode") or "private",
        "pid": host.get("PidMode") or "",
        "host_network": host.get("NetworkMode") == "host",
    }


def _capability(name: str) -> str:
    return name.removeprefix("CAP_")


def _devices(host: Doc) -> Any:
    requests = (tuple(_tuples(one.get(key)) for key in REQUEST) for one in host.get("DeviceRequests") or ())
    return (*requests, *(one.get("PathOnHost", "") for one in host.get("Devices") or ()))


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, (list, tuple)) else value or ""


def _mounts(host: Doc) -> Iterable[Any]:
    for mount in sorted(host.get("Mounts") or (), key=lambda one: one.get("Target", "")):
        yield tuple(mount.get(key) or "" for key in OURS)
    yield from sorted(host.get("Binds") or ())


def _health(config: Doc) -> Any:
    """Return how health is asked; whichever version of infctl wrote the script that asks, it is as good."""
    check = dict(config.get("Healthcheck") or {})
    test = check.get("Test") or ()
    check["Test"] = [ASK_HEALTH if word.startswith(ASKS) else word for word in test]
    return tuple(_tuples(check.get(key)) for key in ("Test", "Interval", "Timeout", "Retries", "StartPeriod"))


def _tags(doc: Doc, wanted: Values) -> Values:
    found = {
        name.removeprefix(TAG): word
        for name, word in (doc["Config"].get("Labels") or {}).items()
        if name.startswith(TAG)
    }
    tags: Values = wanted["tags"]
    return tags if found == {name: str(value) for name, value in tags.items()} else found
