"""Owns the fields of a target of type kubernetes. Imports pydantic: only reading a file anew needs this."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from infctl.provider.served import NOT_SERVED

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]


class Toleration(BaseModel):
    """A taint that models may run under, in the cluster's own words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field("", description="the taint's key; with Exists none is any")
    operator: Literal["Exists", "Equal"] = Field("Exists", description="whether the key is enough, or its value counts")
    value: str = Field("", description="the taint's value, with Equal")
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = Field(
        "", description="what the taint does to pods; none is all of it"
    )


class ClusterTarget(BaseModel):
    """The fields of a target of type kubernetes, besides `type`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    context: str = Field("", description="the context of the kubeconfig; default: its current one")
    kubeconfig: str = Field("", description="the file; default: what kubectl takes, in a pod its service account")
    namespace: Name = Field("default", description="where models run; made, and removed again, where it is not there")
    node_selector: dict[str, str] = Field(default_factory=dict, description="labels that nodes of models must have")
    tolerations: tuple[Toleration, ...] = Field((), description="taints of nodes that models may run under")
    gpu_resource: str = Field("nvidia.com/gpu", description="what nodes call their GPUs")
    image_pull_secrets: tuple[Name, ...] = Field((), description="Secrets of the namespace with logins to registries")
    model_folders: dict[str, str] = Field(
        default_factory=dict,
        description="folders of this machine that every node has, HERE: THERE; mounted, not copied",
    )
    cpus: float = Field(0.0, ge=0, description="processors that one replica is sure to have; 0 for whatever is left")
    run_as_user: Annotated[int, Field(ge=1)] | None = Field(
        None, description="the user id that engines run as; default: as their image says"
    )
    elastic_nodes: bool = Field(
        default=False, description="whether the cluster adds nodes by itself, so that nothing is ever too much"
    )
    price_per_gpu_hour: float | None = Field(None, gt=0, description="dollars that an hour of one GPU costs, amortised")
    autoscaler: Literal["keda", "hpa", "none"] = Field(
        "none", description="who changes how many replicas run", json_schema_extra=NOT_SERVED
    )
    gateway: dict[str, Any] | None = Field(
        None, description="the Gateway that brings requests to models", json_schema_extra=NOT_SERVED
    )
    metrics: dict[str, Any] | None = Field(
        None, description="where an autoscaler reads the engines' metrics", json_schema_extra=NOT_SERVED
    )
