"""Owns how each part of the control plane is started. Certificates are where plane.py writes them."""

from __future__ import annotations

from pathlib import Path

from tests.testbed.bed import Bed
from tests.testbed.kube.nodes import PLAYED

HERE = Path(__file__).resolve().parent
AUDIT = "audit.log"  # in the cluster's folder
PLAYED_PODS = "pods.yaml"  # the same, what KWOK is told of them beside stages.yaml
API, ETCD, PEERS, KUBELETS = 6443, 2379, 2380, 10250  # ports on the bed's address, which is this cluster's alone
SERVICES = "10.96.0.0/16"  # their cluster addresses


def of(part: str, here: Path, bed: Bed) -> list[str]:
    """Return the flags of a part of kubebed whose cluster lies in the folder `here`."""
    at, admin = bed.address, f"--kubeconfig={here}/admin.kubeconfig"
    quick = [admin, "--kube-api-qps=1000", "--kube-api-burst=2000", "--leader-elect=false", "--secure-port=0"]
    match part:
        case "etcd":
            return [
                f"--data-dir={here}/etcd", "--unsafe-no-fsync", "--log-level=error",
                f"--listen-client-urls=http://{at}:{ETCD}", f"--advertise-client-urls=http://{at}:{ETCD}",
                f"--listen-peer-urls=http://{at}:{PEERS}", f"--initial-advertise-peer-urls=http://{at}:{PEERS}",
                f"--initial-cluster=default=http://{at}:{PEERS}",
            ]  # fmt: skip
        case "apiserver":
            return [
                f"--etcd-servers=http://{at}:{ETCD}", f"--bind-address={at}", f"--advertise-address={at}",
                f"--secure-port={API}", f"--client-ca-file={here}/ca/ca.pem",
                f"--tls-cert-file={here}/server/cert.pem", f"--tls-private-key-file={here}/server/key.pem",
                f"--kubelet-client-certificate={here}/kubelets/cert.pem",
                f"--kubelet-client-key={here}/kubelets/key.pem", "--kubelet-preferred-address-types=InternalIP",
                f"--kubelet-certificate-authority={here}/ca/ca.pem",
                f"--requestheader-client-ca-file={here}/front/ca.pem",
                "--requestheader-allowed-names=front-proxy", "--requestheader-username-headers=X-Remote-User",
                "--requestheader-group-headers=X-Remote-Group",
                "--requestheader-extra-headers-prefix=X-Remote-Extra-",
                f"--proxy-client-cert-file={here}/proxy/cert.pem", f"--proxy-client-key-file={here}/proxy/key.pem",
                f"--service-account-key-file={here}/accounts/cert.pem",
                f"--service-account-signing-key-file={here}/accounts/key.pem",
                "--service-account-issuer=https://kubernetes.default.svc", f"--service-cluster-ip-range={SERVICES}",
                f"--token-auth-file={here}/tokens.csv", "--authorization-mode=Node,RBAC", "--allow-privileged",
                "--enable-admission-plugins=NodeRestriction",
                f"--audit-policy-file={HERE}/audit.yaml",
                f"--audit-log-path={here}/{AUDIT}",
                "--enable-aggregator-routing",  # to an API behind it by its endpoints: nothing routes a ClusterIP here
            ]  # fmt: skip
        case "controllers":
            return [
                *quick, "--controllers=*", "--use-service-account-credentials",
                f"--service-account-private-key-file={here}/accounts/key.pem", f"--root-ca-file={here}/ca/ca.pem",
                "--horizontal-pod-autoscaler-sync-period=2s", "--node-monitor-grace-period=50s",
            ]  # fmt: skip
        case "scheduler":
            return quick
        case _:
            return [
                admin, f"--config={HERE}/stages.yaml", f"--config={here}/{PLAYED_PODS}",
                f"--manage-nodes-with-label-selector={PLAYED}", "--node-lease-duration-seconds=40",
                f"--node-ip={at}", f"--cidr=10.79.{bed.number}.0/24",
                f"--node-port={KUBELETS}", f"--server-address={at}:{KUBELETS}",
                f"--tls-cert-file={here}/server/cert.pem", f"--tls-private-key-file={here}/server/key.pem",
            ]  # fmt: skip
