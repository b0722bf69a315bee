"""Owns the kinds of resource on a cluster, as data: what each field's change means, and what only the cluster knows.

Pure. Knows nothing of how any of them is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from infctl.provider.kinds import FieldSpec, KindSpec, Role

NAMESPACE, ACCOUNT = "kubernetes_namespace", "kubernetes_service_account"
DEPLOYMENT, SERVICE, BUDGET = "kubernetes_deployment", "kubernetes_service", "kubernetes_disruption_budget"
LOWERING = 1
NAME_LIMIT = 46  # characters of a Deployment's: its pods add 17, and their host names have 63 (RFC 1123)
LABEL_LIMIT = 63  # characters of a Service's name (RFC 1123), and of a label's value

_IN_PLACE = FieldSpec()
_STAYS = FieldSpec("an object stays in its namespace")
_REPLACED = "what pods run is never changed, only replaced by a new revision beside it"

_DEPLOYMENT = KindSpec(
    role=Role.REPLICA,
    fields=MappingProxyType(
        {
            "namespace": _STAYS,
            "revision": FieldSpec("a revision is never changed, only replaced by another"),
            "replicas": _IN_PLACE,
            "pod": FieldSpec(_REPLACED),
            "account": FieldSpec(_REPLACED),
            "secrets": FieldSpec("a pod gets its secrets once, at its start"),
            "probe": FieldSpec("what counts as ready is part of the revision"),
            "gpus": FieldSpec(_REPLACED),
            "memory": _IN_PLACE,
            "tags": _IN_PLACE,
        }
    ),
    outputs=("name", "namespace", "uid", "selector"),
    gated=True,
    count="replicas",
    devices="gpus",
    name_limit=NAME_LIMIT,
)
_SERVICE = KindSpec(
    role=Role.ROUTER,
    fields=MappingProxyType(
        {
            "namespace": _STAYS,
            "name": FieldSpec("the name is the address"),
            "port": _IN_PLACE,
            "backends": _IN_PLACE,
        }
    ),
    outputs=("url", "name", "namespace", "uid"),
    backends="backends",
    url_output="url",
    url_fields=("name", "port"),
    name_limit=LABEL_LIMIT,
)
_NAMESPACE = KindSpec(
    role=Role.SUPPORT,
    fields=MappingProxyType({"name": FieldSpec("a namespace keeps its name"), "labels": _IN_PLACE}),
    outputs=("name", "uid"),
    name_limit=LABEL_LIMIT,
)
_ACCOUNT = KindSpec(
    role=Role.SUPPORT,
    fields=MappingProxyType({"namespace": _STAYS, "token": _IN_PLACE}),
    outputs=("name", "namespace", "uid"),
    name_limit=LABEL_LIMIT,
)
_BUDGET = KindSpec(
    role=Role.SUPPORT,
    fields=MappingProxyType({"namespace": _STAYS, "selector": _IN_PLACE, "max_unavailable": _IN_PLACE}),
    outputs=("name", "namespace", "uid"),
    name_limit=LABEL_LIMIT,
)

KINDS: Mapping[str, KindSpec] = MappingProxyType(
    {NAMESPACE: _NAMESPACE, ACCOUNT: _ACCOUNT, DEPLOYMENT: _DEPLOYMENT, SERVICE: _SERVICE, BUDGET: _BUDGET}
)
