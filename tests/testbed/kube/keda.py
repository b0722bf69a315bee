"""Owns the real KEDA beside the bed's cluster: its operator, and its metrics as an API behind the API server."""

from __future__ import annotations

import time
from base64 import b64encode

from tests.testbed.kube import parts
from tests.testbed.kube.cluster import START_SECONDS
from tests.testbed.kube.plane import BedCluster

METRICS, ADAPTER, HEALTH, OWN, OTHER = 9666, 9667, 9668, 9669, 9670  # ports on the bed's address
SERVICE = "keda-metrics-apiserver"
API = "v1beta1.external.metrics.k8s.io"


def start_keda(cluster: BedCluster) -> None:
    """Start KEDA, or what does not run of it, and wait until its metrics are served."""
    built = parts.folder("keda")
    assert built, "keda was not built"
    at, folder = cluster.bed.address, cluster.folder / "keda"
    if not folder.exists():
        cluster.kubectl("apply", "--server-side", "--force-conflicts", f"-f{built / 'data'}")
        cluster.authority.sign(at, folder, also=("localhost", f"{SERVICE}.keda.svc"))
        for name, file in {"ca.crt": "ca.pem", "tls.crt": "cert.pem", "tls.key": "key.pem"}.items():
            (folder / name).symlink_to(file)
        _serve(cluster)
    where = ("env", "KEDA_CLUSTER_OBJECT_NAMESPACE=keda", "WATCH_NAMESPACE=", "POD_NAMESPACE=keda")
    config, certificates = f"--kubeconfig={cluster.kubeconfig}", f"--cert-dir={folder}"
    if not cluster.runs("operator"):
        cluster.run(
            "operator", *where, str(built / "operator"), config, certificates,
            f"--metrics-service-bind-address={at}:{METRICS}", f"--health-probe-bind-address={at}:{HEALTH}",
            f"--metrics-bind-address={at}:{OWN}",
        )  # fmt: skip
    if not cluster.runs("adapter"):
        cluster.run(
            "adapter", *where, str(built / "adapter"), config, certificates,
            *(f"--{who}-kubeconfig={cluster.kubeconfig}" for who in ("authentication", "authorization", "lister")),
            f"--bind-address={at}", f"--secure-port={ADAPTER}", f"--tls-cert-file={folder}/tls.crt",
            f"--tls-private-key-file={folder}/tls.key", f"--client-ca-file={folder}/ca.crt",
            f"--metrics-service-address={at}:{METRICS}", f"--port={OTHER}",
        )  # fmt: skip
    until = time.monotonic() + START_SECONDS
    served = '-o=jsonpath={.status.conditions[?(@.type=="Available")].status}'
    while cluster.kubectl("get", "apiservice", API, served) != "True":
        for part in ("operator", "adapter"):
            assert cluster.runs(part), (cluster.folder / f"{part}.log").read_text()[-2000:]
        assert time.monotonic() < until, (cluster.folder / "adapter.log").read_text()[-2000:]
        time.sleep(0.1)


def _serve(cluster: BedCluster) -> None:
    """Let the API server find the adapter, a process of this machine, as a service of the cluster."""
    group, version = API.split(".", 1)[1], API.split(".", 1)[0]
    ports = [{"name": "https", "port": ADAPTER}]
    named = {"name": SERVICE, "namespace": "keda"}
    cluster.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "keda"}},
        {"apiVersion": "v1", "kind": "Service", "metadata": named, "spec": {"ports": ports}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**named, "labels": {"kubernetes.io/service-name": SERVICE}},
            "addressType": "IPv4",
            "ports": ports,
            "endpoints": [{"addresses": [cluster.bed.address], "conditions": {"ready": True}}],
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": API},
            "spec": {
                "group": group,
                "version": version,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "caBundle": b64encode((cluster.authority.folder / "ca.pem").read_bytes()).decode(),
                "service": {**named, "port": ADAPTER},
            },
        },
    )
