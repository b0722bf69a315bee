"""Owns a real node of the bed's cluster: a host with containerd (its CRI), Debian's CNI plugins, kubelet, kube-proxy.

Its pods run real containers, at addresses that this machine and so the API server reach. Services answer on it, at
their cluster addresses and at their ports of the node. No cluster DNS.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import yaml

from tests.testbed import images
from tests.testbed.bed import CGROUPS, run
from tests.testbed.hosts import DockerHost
from tests.testbed.kube import answers, nodes
from tests.testbed.kube.cluster import START_SECONDS, config_of
from tests.testbed.kube.flags import SERVICES
from tests.testbed.kube.plane import BedCluster

NUMBER = 240  # the last of the node's address: hosts of the bed's pool count from 11
SOCKET = "/run/ctr/ctr.sock"
ETC = "/etc/kubernetes"
PAUSE = "docker.io/library/pause:1"
DAEMONS = {
    "containerd": "containerd --config /etc/containerd/bed.toml",
    "kubelet": f"kubebed kubelet --config {ETC}/kubelet.yaml --kubeconfig {ETC}/kubeconfig",  # and who it is
    "proxy": f"kubebed proxy --config {ETC}/proxy.yaml",
}
CONTAINERD = f"""version = 3
root = "/var/lib/docker/ctr" # overlayfs cannot stand on the host's overlay
state = "/run/ctr"
[grpc]
address = "{SOCKET}"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE}"
[plugins."io.containerd.cri.v1.images".registry]
config_path = "/etc/containerd/certs.d"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "/usr/local/sbin/runc"
"""


class Node:
    """On from when it is made, on a host that is its own and off until then; `host` is what can be hurt
    (partition, crash, heal), and `up` brings back what is down."""

    def __init__(self, cluster: BedCluster, host: DockerHost, number: int = 0) -> None:
        self.cluster, self.host, self.name = cluster, host, host.name
        self.subnet = f"10.78.{host.bed.number}.{64 * number}/26"  # of its pods
        self._group = f"infctl-bed-{host.bed.number}-{host.name}-kube"
        self._had: tuple[tuple[str, ...], ...] = ((), ())  # labels and resources of GPUs that are not there
        host.bed.closing.append(host.remove)
        host.up()
        self._install()
        self.up()

    def up(self) -> None:
        """Undo its host's faults, start what does not run, wait until it is ready, let pods in; its GPUs go."""
        if self.host.on:
            self.host.heal()
        else:
            self.host.up()
        self._make_groups()
        self.host.sh("sh", "-c", "iptables -P FORWARD ACCEPT && echo 1 >/proc/sys/net/ipv4/ip_forward")  # dockerd drops
        run("ip", "route", "replace", self.subnet, "via", self.host.address)
        played = f"10.77.{self.host.bed.number}.{answers.INDEX}"
        self.host.sh("ip", "route", "replace", f"10.79.{self.host.bed.number}.0/24", "via", played)
        self.host.sh(
            "ip", "route", "replace", SERVICES, "dev", "eth0"
        )  # without any the kernel asks no rule of the proxy
        since = self._start_daemons()
        until = time.monotonic() + START_SECONDS
        while not self._ready(since):
            assert self._runs("kubelet"), self.host.sh("tail", "-n", "20", "/var/log/kubelet.log")
            assert time.monotonic() < until, self.host.sh("tail", "-n", "20", "/var/log/kubelet.log")
            time.sleep(0.1)
        self.cluster.kubectl("uncordon", self.name)
        if any(self._had):
            self.set_gpus("")

    def _start_daemons(self) -> str:
        """Return since when the node is to be ready: what it was before its kubelet came back does not count."""
        since = ""
        who = f"--hostname-override {self.name} --node-ip {self.host.address} --node-labels bed/real=yes"
        for daemon, command in DAEMONS.items():
            if not self._runs(daemon):
                since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                argv = f"{command} {who}" if daemon == "kubelet" else command
                self.host.sh("sh", "-c", f"setsid {argv} </dev/null >>/var/log/{daemon}.log 2>&1 &")
            if daemon == "containerd":
                self._wait_for_containerd()
                self.load("pause:1")
        return since

    def _ready(self, since: str) -> bool:
        path = '-o=jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status} {.lastHeartbeatTime}{end}'
        status, _, at = self.cluster.kubectl("get", "node", self.name, path, check=False).partition(" ")
        return status == "True" and at >= since

    def load(self, name: str) -> None:
        """Put an image of images.IMAGES into it unless it is there, as docker.io/library/NAME."""
        ctr = ("ctr", "--address", SOCKET, "--namespace", "k8s.io", "images")
        if f"docker.io/library/{name} " not in self.host.sh(*ctr, "list"):
            self.host.sh(*ctr, "import", "-", given=images.archive(name).read_bytes())

    def set_gpus(self, gpus: str, *, shared: int = 1) -> None:
        """Let it have GPUs that are not there, as nodes.node takes them, until the next `up`; no device plugin is."""
        labels, resources = nodes.gpus_of(gpus, shared) if gpus else ({}, {})
        gone_labels, gone = (dict.fromkeys(had) for had in self._had)
        self._patch({"metadata": {"labels": {**gone_labels, **labels}}})
        has = {**gone, **resources}
        self._patch({"status": {"capacity": has, "allocatable": has}}, "--subresource=status")
        self._had = (tuple(labels), tuple(resources))

    def _patch(self, change: dict[str, Any], *options: str) -> None:
        self.cluster.kubectl("patch", "node", self.name, "--type=merge", *options, "-p", json.dumps(change))

    def _runs(self, daemon: str) -> bool:
        return bool(self.host.sh("pgrep", "-f", f"^{DAEMONS[daemon]}", check=False))

    def _wait_for_containerd(self) -> None:
        until = time.monotonic() + START_SECONDS
        while "Server:" not in (said := self.host.sh("ctr", "--address", SOCKET, "version", check=False)):
            assert time.monotonic() < until, said + self.host.sh("tail", "-n", "20", "/var/log/containerd.log")
            time.sleep(0.05)

    def _make_groups(self) -> None:
        """Make the control group that kubelet puts pods under, in every hierarchy; the bed removes what is named so."""
        hierarchies = [CGROUPS] if (CGROUPS / "cgroup.controllers").exists() else [*CGROUPS.iterdir()]
        for top in hierarchies:
            if top.is_dir() and not top.is_symlink():
                (top / self._group).mkdir(exist_ok=True)
        for field in ("cpuset.cpus", "cpuset.mems"):  # a new group of version 1 has neither, and takes no process so
            own = CGROUPS / "cpuset" / self._group / field
            if own.exists():
                own.write_text((CGROUPS / "cpuset" / field).read_text())

    def _install(self) -> None:
        """Write its programs, certificates and configuration; a power cut leaves them."""
        host, bed = self.host, self.host.bed
        self._put("/usr/local/sbin/kubebed", self.cluster.binary.read_bytes(), mode="755")
        host.sh("ln", "-sf", "/opt/newer/usr/bin/ctr", "/usr/local/sbin/ctr")
        authority, folder = self.cluster.authority, self.cluster.folder / self.name
        authority.sign(f"system:node:{self.name}", folder / "client", groups=("system:nodes",))
        authority.sign("system:kube-proxy", folder / "proxy")
        authority.sign(host.address, folder / "serving", also=(self.name,))
        for who in ("client", "proxy", "serving"):
            for file in ("cert.pem", "key.pem"):
                self._put(f"{ETC}/{who}-{file}", (folder / who / file).read_bytes())
        self._put(f"{ETC}/ca.pem", (folder / "client" / "ca.pem").read_bytes())
        cluster = {"server": self.cluster.url, "certificate-authority": f"{ETC}/ca.pem"}
        for who, file in {"client": "kubeconfig", "proxy": "proxy.kubeconfig"}.items():
            shown = {"client-certificate": f"{ETC}/{who}-cert.pem", "client-key": f"{ETC}/{who}-key.pem"}
            self._put(f"{ETC}/{file}", yaml.safe_dump(config_of(cluster, shown)).encode())
        self._put(f"{ETC}/kubelet.yaml", yaml.safe_dump(self._kubelet()).encode())
        self._put(f"{ETC}/proxy.yaml", yaml.safe_dump(self._proxy()).encode())
        self._put("/etc/containerd/bed.toml", CONTAINERD.encode())
        self._put("/etc/cni/net.d/10-bed.conflist", json.dumps(self._network()).encode())
        for port in (5000, 5001):
            at = f"{bed.address}:{port}"
            told = f'server = "http://{at}"\n[host."http://{at}"]\ncapabilities = ["pull", "resolve"]\n'
            self._put(f"/etc/containerd/certs.d/{at}/hosts.toml", told.encode())

    def _put(self, path: str, content: bytes, mode: str = "600") -> None:
        self.host.sh("mkdir", "-p", str(Path(path).parent))
        self.host.sh("sh", "-c", 'cat >"$1" && chmod "$2" "$1"', "sh", path, mode, given=content)

    def _network(self) -> dict[str, Any]:
        ipam = {"type": "host-local", "ranges": [[{"subnet": self.subnet}]], "routes": [{"dst": "0.0.0.0/0"}]}
        bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "ipam": ipam}
        ports = {"type": "portmap", "capabilities": {"portMappings": True}}
        return {"cniVersion": "1.0.0", "name": "bed", "plugins": [bridge, ports]}

    def _proxy(self) -> dict[str, Any]:
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": f"{ETC}/proxy.kubeconfig"},
            "hostnameOverride": self.name,
            "mode": "iptables",
            "clusterCIDR": self.subnet,
            "conntrack": {"maxPerCore": 0, "min": 0},  # the machine's own: a namespace may not write it
        }

    def _kubelet(self) -> dict[str, Any]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "x509": {"clientCAFile": f"{ETC}/ca.pem"},
                "webhook": {"enabled": True},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": f"{ETC}/serving-cert.pem",
            "tlsPrivateKeyFile": f"{ETC}/serving-key.pem",
            "containerRuntimeEndpoint": f"unix://{SOCKET}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self._group}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "enforceNodeAllocatable": [],
            "localStorageCapacityIsolation": False,  # it cannot tell how much of an overlay is used
            "imageGCHighThresholdPercent": 100,
            "imagePullCredentialsVerificationPolicy": "NeverVerify",  # else what was pulled too counts as absent
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "nodeStatusUpdateFrequency": "2s",
            "nodeStatusReportFrequency": "2s",
            "syncFrequency": "5s",
            "oomScoreAdj": 0,  # less than 0 asks for CAP_SYS_RESOURCE
            "makeIPTablesUtilChains": False,
        }
