"""Owns the kubernetes target: one namespace of a cluster, and the models that run there.

Ties the parts together and keeps none of them; nothing is connected to before it is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, ClassVar

from infctl.provider.errors import ProviderError
from infctl.provider.form import form
from infctl.provider.kinds import KindSpec
from infctl.provider.protocol import Context, Finding
from infctl.provider.values import (
    Change,
    Desired,
    Do,
    Emit,
    Health,
    Inventory,
    Observed,
    Reading,
    Scope,
    TargetWant,
    Unreadable,
    Values,
)
from infctl_kubernetes.kinds import DEPLOYMENT, KINDS, LOWERING, NAMESPACE, SERVICE
from infctl_kubernetes.lower import Estate, lower
from infctl_kubernetes.pod import Grounds

if TYPE_CHECKING:
    from pydantic import BaseModel

    from infctl_kubernetes.objects import Cluster

SERVED = (
    *("image", "engine", "uri", "quantization", "task", "served_names", "tags", "expose.port"),
    *("gpu.count", "gpu.product"),
)


class KubernetesProvider:
    """The six methods for a cluster, with logs, images, rehearsal, rights and check."""

    config: ClassVar[type[BaseModel]] = form("infctl_kubernetes.config", "ClusterTarget")
    kinds: ClassVar[Mapping[str, KindSpec]] = KINDS
    serves: ClassVar[frozenset[str]] = frozenset(SERVED)
    lowering: ClassVar[int] = LOWERING

    def __init__(self, config: BaseModel | Values, context: Context) -> None:
        self._config: Values = config if isinstance(config, Mapping) else config.model_dump(mode="json")
        self._context = context
        import_module("yaml")  # its halves import each other: begun by two threads at once, they deadlock

    @cached_property
    def _cluster(self) -> Cluster:
        """Return the cluster, which is not connected to yet. Raises ProviderError about the kubeconfig."""
        from infctl_kubernetes.client import Api  # noqa: PLC0415  -- urllib3 costs more than a plan of others may
        from infctl_kubernetes.kubeconfig import read_access  # noqa: PLC0415
        from infctl_kubernetes.objects import Cluster  # noqa: PLC0415

        said = self._config["kubeconfig"]
        path = str(self._context.root / Path(said).expanduser()) if said else ""
        access = read_access(path, self._config["context"])
        return Cluster(Api(access), self._context.target, self._config["namespace"])

    def inventory(self) -> Reading[Inventory]:
        from infctl_kubernetes.inventory import read_inventory  # noqa: PLC0415  -- as above

        said = self._config
        elastic: bool = said["elastic_nodes"]
        try:
            have = read_inventory(self._cluster, said["gpu_resource"], said["price_per_gpu_hour"], elastic=elastic)
        except Exception as failure:  # noqa: BLE001  -- sorted in _unreadable, which raises what it does not know
            return Reading(Inventory(), (self._unreadable(failure),))
        return Reading(have)

    def lower(self, want: TargetWant, have: Inventory) -> tuple[Desired, ...]:
        said, context = self._config, self._context
        there = have.facts.get("namespace") or {"is_there": True, "stack": "", "workspace": ""}
        ours = (there["stack"], there["workspace"]) == (context.stack, context.workspace)
        root = PurePosixPath(context.root.absolute())
        grounds = Grounds(
            said["gpu_resource"], said["node_selector"], said["tolerations"], said["image_pull_secrets"],
            said["model_folders"], root, said["cpus"], said["run_as_user"],
            have.facts.get("products", ()),
        )  # fmt: skip
        made = ours or not there["is_there"]
        return lower(want, Estate(context.stack, context.workspace, said["namespace"], made, grounds))

    def observe(self, scope: Scope) -> Reading[tuple[Observed, ...]]:
        from infctl_kubernetes.objects import observe  # noqa: PLC0415  -- as above

        try:
            return Reading(observe(self._cluster, scope))
        except Exception as failure:  # noqa: BLE001  -- as in inventory
            return Reading((), (self._unreadable(failure),))

    def apply(self, change: Change, emit: Emit) -> Observed | None:
        if change.address.kind not in KINDS:
            raise ProviderError(f"{change.address} is of a kind that targets of type kubernetes do not have")
        from infctl_kubernetes.errors import ApiError, in_words  # noqa: PLC0415  -- as above

        try:
            return self._carry_out(change, emit)
        except ApiError as failure:
            raise in_words(failure, f"{change.do} of {change.address}", str(change.address)) from failure

    def _carry_out(self, change: Change, emit: Emit) -> Observed | None:
        from infctl_kubernetes import objects, replicas  # noqa: PLC0415  -- as above

        cluster, kind = self._cluster, change.address.kind
        if change.do is Do.DRAIN:
            return replicas.drain(cluster, change, emit) if kind == DEPLOYMENT else None
        if change.do is Do.STOP:
            return replicas.stop(cluster, change) if kind == DEPLOYMENT else None
        if change.do is Do.DELETE:
            if kind == NAMESPACE:
                objects.refuse_full_namespace(cluster, change)
            objects.remove(cluster, change, emit)
            return None
        made = objects.make(cluster, change)
        if kind == SERVICE and made.values["backends"]:
            replicas.await_endpoints(cluster, made)
        return made

    def probe(self, what: Observed) -> Health:
        from infctl_kubernetes.errors import ApiError, in_words  # noqa: PLC0415  -- as above
        from infctl_kubernetes.probing import probe_deployment  # noqa: PLC0415

        try:
            return probe_deployment(self._cluster.api, what)
        except ApiError as failure:
            said = in_words(failure, "its cluster").diagnostics[0]
            return Health(ready=False, detail=": ".join(filter(None, (said.summary, said.detail))))
        except ProviderError as failure:
            said = failure.diagnostics[0]
            return Health(ready=False, detail=": ".join(filter(None, (said.summary, said.detail))))

    def logs(self, what: Observed, *, tail: int, follow: bool) -> Iterator[str]:
        """Yield the lines of a model's pods; with several, one pod's after the other's, each line with its pod."""
        from infctl_kubernetes.probing import deployment_lines  # noqa: PLC0415  -- as above

        return deployment_lines(self._cluster.api, what, tail, follow=follow)

    def rehearse(self, change: Change) -> None:
        from infctl_kubernetes.errors import ApiError, in_words  # noqa: PLC0415  -- as above
        from infctl_kubernetes.objects import rehearse  # noqa: PLC0415

        try:
            rehearse(self._cluster, change)
        except ApiError as failure:
            raise in_words(failure, f"{change.do} of {change.address}", str(change.address)) from failure

    def resolve_image(self, image: str) -> str:
        from infctl.provider.images import resolve_image  # noqa: PLC0415  -- as above

        return resolve_image(image)

    def bootstrap(self) -> str:
        from infctl_kubernetes.rights import manifests  # noqa: PLC0415  -- as above

        there = self.inventory().value.facts.get("namespace", {}).get("is_there", False)
        return manifests(self._config["namespace"], makes_namespace=not there)

    def check(self) -> tuple[Finding, ...]:
        from infctl_kubernetes.doctor import check_cluster  # noqa: PLC0415  -- as above

        reading = self.inventory()
        if reading.unreadable:
            wrong = reading.unreadable[0]
            return (Finding("cluster", ok=False, detail=wrong.reason, hint=wrong.hint),)
        found = check_cluster(self._cluster.api, self._config["namespace"], reading.value, self._config["gpu_resource"])
        access = self._cluster.api.access
        return (Finding("cluster", ok=True, detail=f"{access.server} (context {access.context})"), *found)

    def close(self) -> None:
        cluster = self.__dict__.get("_cluster")
        if cluster is not None:
            cluster.api.close()

    def _unreadable(self, failure: Exception) -> Unreadable:
        """Return the whole target as a place that cannot be read. Raises what is no failure of the cluster."""
        from infctl_kubernetes.errors import ApiError, in_words  # noqa: PLC0415  -- as above

        told = in_words(failure, self._context.target) if isinstance(failure, ApiError) else failure
        if not isinstance(told, ProviderError):
            raise failure
        said = told.diagnostics[0]
        return Unreadable(self._context.target, ": ".join(filter(None, (said.summary, said.detail))), said.hint)
