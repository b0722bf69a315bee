"""Owns what a provider is asked for: deployments with what a replica runs, and the native resources that follow.

Knows neither what stands nor how it is changed.
"""

from __future__ import annotations

from dataclasses import dataclass as standard
from dataclasses import field
from functools import cached_property
from typing import Any, NamedTuple

from infctl.address import Address
from infctl.frozen import dataclass
from infctl.provider.plain import Values, digest


@dataclass(frozen=True, slots=True)
class Probe:
    """What counts as an answer: `kind` is completions | embeddings | http; `path` is under the engine's address.

    `model` is the name sent with the request; `requests` is how many must succeed (1 + warmup).
    """

    kind: str
    path: str
    model: str = ""
    requests: int = 1


class Share(NamedTuple):
    """What a replica is promised of one device, by uuid. `memory` in bytes; 0 is the whole device."""

    device: str
    memory: int = 0


class Spot(NamedTuple):
    """Where one replica runs: a place by its name, and what it has of the devices there."""

    place: str = ""
    devices: tuple[Share, ...] = ()


@standard(frozen=True)  # without slots: `identity` is kept, for a plan asks it of every replica
class Template:
    """What a replica runs, fully resolved by `infctl.engines`: the part of a model whose change is a new revision.

    `command` is argv, empty where the provider embeds the engine; in it `{port}`, `{model}` and `{gpu_share}` stand
    for the port to listen on, where the provider put the model's files, and the part (0 to 1) of each device that is
    the replica's. `args` are typed engine arguments under the engine's own names. `env` values are str or SecretRef.
    `memory` is the bytes one replica needs. `port` is the engine's own port, or 0 where the provider chooses.
    `gpus` devices are needed, of the product `gpu_product` if it is said; of each of them `gpu_memory` bytes, else the
    part `gpu_fraction`, else the whole.
    `container` is what else a container of the engine's image needs: see `infctl.engines.container`.
    """

    engine: str
    engine_version: str
    model_uri: str
    model_sha256: str
    task: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: Values = field(default_factory=dict)
    env: Values = field(default_factory=dict)
    port: int = 0
    probe: Probe = Probe("http", "/health")  # noqa: RUF009  -- frozen
    metrics_path: str = ""
    memory: int = 0
    gpus: int = 0
    gpu_memory: int = 0
    gpu_fraction: float = 0.0
    gpu_product: str = ""
    container: Values = field(default_factory=dict)

    @cached_property
    def identity(self) -> str:
        plain = template_values(self)
        del plain["memory"], plain["probe"]["model"]
        return digest(plain)

    def named(self, model: str) -> Template:
        """Return the same for another model: its probe asks for that name, and the identity need not be made again."""
        if self.probe.model in {"", model}:
            return self
        probe = Probe(self.probe.kind, self.probe.path, model, self.probe.requests)
        twin = object.__new__(Template)
        vars(twin).update(vars(self), probe=probe, identity=self.identity)
        return twin


@dataclass(frozen=True, slots=True)
class Deployment:
    """One model on one target. `slots` are the stable replica numbers that live here; `spots` says where each of
    them runs, in the same order, and is empty on targets that have one place or choose it themselves.

    `port` 0 means "choose one and keep it": the router's output says which, and `Change.before` keeps it.
    Timeouts in seconds; `pull_timeout` 0 is as long as it takes. `tags` are informative labels.
    """

    model: str
    revision: int
    template: Template
    slots: tuple[int, ...]
    served_names: tuple[str, ...]
    bind: str = "127.0.0.1"
    port: int = 0
    ready_timeout: float = 600.0
    drain_timeout: float = 120.0
    pull_timeout: float = 0.0
    tags: Values = field(default_factory=dict)
    spots: tuple[Spot, ...] = ()

    @property
    def spec_hash(self) -> str:
        return template_hash(self.template)


def template_hash(template: Template) -> str:
    """Return the identity of a revision: the digest of all that a replica runs.

    Left out are `memory`, our estimate (a better one in a new infctl is no other revision), and the name that
    the probe asks for (a renamed model is no other revision).
    """
    return template.identity


# Not written where unused: older templates stay equal.
_LATER = ("gpus", "gpu_memory", "gpu_fraction", "gpu_product", "container")


def template_values(template: Template) -> dict[str, Any]:
    """Return a template as plain values, for state, plan and diff; `template_from` is its inverse."""
    plain = {name: getattr(template, name) for name in Template.__dataclass_fields__}
    for name in _LATER:
        if not plain[name]:
            del plain[name]
    plain["probe"] = {name: getattr(template.probe, name) for name in Probe.__dataclass_fields__}
    return plain


def template_from(values: Values) -> Template:
    return Template(**{**values, "command": tuple(values["command"]), "probe": Probe(**values["probe"])})


@dataclass(frozen=True, slots=True)
class TargetWant:
    """Everything wanted on one target."""

    target: str
    deployments: tuple[Deployment, ...] = ()


@dataclass(frozen=True, slots=True)
class Desired:
    """One native resource that should exist. `values` holds exactly the fields of its KindSpec."""

    address: Address
    target: str
    values: Values
    model: str = ""
    revision: int = 0
    spec_hash: str = ""
