"""Owns the fields of a target of type docker. Knows how a host is named, not how it is reached."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from infctl_docker.hosts import HostConfig

Port = Annotated[int, Field(ge=1, le=65_535)]
Device = Annotated[int, Field(ge=0)] | str
SECRET = "secret://"  # noqa: S105  # the scheme of a reference
PORTS = (20_000, 29_999)  # below the ports that Linux gives out by itself (ip(7), ip_local_port_range: from 32768)
PROXY_IMAGE = "haproxy:3.0.11-alpine"


class Proxy(BaseModel):
    """The proxy on each host."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str = Field(PROXY_IMAGE, description="HAProxy's image, of 3.0 or newer")


class RackTarget(BaseModel):
    """The fields of a target of type docker, besides `type`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hosts: tuple[HostConfig, ...] = Field(min_length=1, description="the machines: a url each, or a mapping with more")
    registry_auth: dict[str, str] = Field(
        default_factory=dict, description="a login for each registry: secret://NAME, the secret being USER:PASSWORD"
    )
    image_mirror: dict[str, str] = Field(
        default_factory=dict, description="where images of a registry are pulled from instead"
    )
    model_mirror: dict[str, str] = Field(
        default_factory=dict,
        description="where hosts fetch models of a source from instead: the source is hf, s3 or https://HOST",
    )
    model_folders: dict[str, str] = Field(
        default_factory=dict,
        description="folders of this machine that all hosts have, HERE: THERE; models below are mounted, not copied",
    )
    gpu_reserve: dict[str, tuple[Device, ...]] = Field(
        default_factory=dict, description="devices of a host that infctl must not touch: indices or uuids"
    )
    price_per_gpu_hour: float | None = Field(
        None, gt=0, description="dollars that an hour of one device costs, amortised; for costs and policies"
    )
    proxy: Proxy = Field(default_factory=Proxy, description="the proxy on each host")
    ports: tuple[Port, Port] = Field(PORTS, description="first and last port to choose from where none is given")
    cpus: float = Field(0.0, ge=0, description="most processors that one replica may use; 0 for all")

    @field_validator("hosts")
    @classmethod
    def _told_apart(cls, hosts: tuple[HostConfig, ...]) -> tuple[HostConfig, ...]:
        names = [host.name for host in hosts]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two hosts are called {twice}: give one of them another `name`")
        return hosts

    @field_validator("model_folders")
    @classmethod
    def _whole_paths(cls, folders: dict[str, str]) -> dict[str, str]:
        wrong = next((there for there in folders.values() if not there.startswith("/") or ":" in there), None)
        if wrong is not None:
            raise ValueError(f"{wrong!r} must be a whole path on the hosts, as /srv/models")
        return folders

    @field_validator("registry_auth")
    @classmethod
    def _referred_to(cls, logins: dict[str, str]) -> dict[str, str]:
        wrong = next((registry for registry, login in logins.items() if not login.startswith(SECRET)), None)
        if wrong is not None:
            raise ValueError(f"the login of {wrong} must be a reference, as {SECRET}NAME: a file is no place for it")
        return logins

    @model_validator(mode="after")
    def _whole(self) -> RackTarget:
        first, last = self.ports
        if first > last:
            raise ValueError("ports: the first must not be above the last")
        names = {host.name for host in self.hosts}
        unknown = next((name for name in self.gpu_reserve if name not in names), None)
        if unknown is not None:
            raise ValueError(f"gpu_reserve: no host is called {unknown}; hosts: {', '.join(sorted(names))}")
        return self
