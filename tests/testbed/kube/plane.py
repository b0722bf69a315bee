"""Owns the bed's own Kubernetes: a control plane at the bed's address and nodes that KWOK plays, hurt and healed."""

from __future__ import annotations

import json
import secrets
import ssl
import threading
import time
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any

import yaml

from tests.testbed.bed import Bed, run
from tests.testbed.certs import Authority
from tests.testbed.kube import answers, flags, nodes, parts
from tests.testbed.kube.cluster import START_SECONDS, Cluster, config_of, write_config
from tests.testbed.leash import Leashed

STANDARD = {"gpu-1": "h100x8", "gpu-2": "h100x8", "gpu-3": "l4x4", "cpu-1": ""}
PARTS = ("etcd", "apiserver", "controllers", "scheduler", "kwok")
# The daemon's end is the shell's, and the shell's end (its owner is gone) is the daemon's.
DAEMON = 'exec 3<&0; "$@" </dev/null >&2 & daemon=$!; { read -r _ <&3; kill -KILL $daemon; } & wait $daemon'


class BedCluster(Cluster):
    """A control plane at the bed's address, with nodes that KWOK plays; its processes end with this one's."""

    def __init__(self, bed: Bed) -> None:
        built = parts.folder("kubebed")
        assert built, "kubebed was not built"
        self.binary = built / "kubebed"
        folder = bed.folder / "kube"
        folder.mkdir()
        super().__init__(folder / "admin.kubeconfig", folder, (str(self.binary), "kubectl"))
        self.bed = bed
        self.authority = Authority(folder / "ca")
        self.front = Authority(folder / "front")  # by which the API server vouches for users to APIs behind it
        self._running: dict[str, Leashed] = {}
        self._starting = threading.Lock()
        self._log = folder / "pods.log"
        self._write_identity()
        self._write_played_pods()
        self.answers = answers.Answers(bed)
        bed.closing.append(self.stop)
        self.start()

    def _write_identity(self) -> None:
        names = ("10.96.0.1", "kubernetes.default.svc", "localhost")
        self.authority.sign(self.bed.address, self.folder / "server", also=names)
        self.authority.sign("service-accounts", self.folder / "accounts")
        self.authority.sign("apiserver", self.folder / "kubelets", groups=("system:masters",))
        self.front.sign("front-proxy", self.folder / "proxy")
        self._token = secrets.token_hex(16)
        tokens = self.folder / "tokens.csv"
        tokens.touch(mode=0o600)
        tokens.write_text(f'{self._token},admin,admin,"system:masters"\n')
        authority = b64encode((self.folder / "ca" / "ca.pem").read_bytes()).decode()
        cluster = {"server": f"https://{self.bed.address}:{flags.API}", "certificate-authority-data": authority}
        write_config(self.kubeconfig, config_of(cluster, {"token": self._token}))

    def _write_played_pods(self) -> None:
        """Write where the log of played pods is, and who answers what is forwarded to their ports."""
        log = {"logsFile": str(self._log), "previousLogsFile": str(self._log)}
        engine = f"10.79.{self.bed.number}.254"
        ports = [{"ports": [port], "target": {"port": port, "address": engine}} for port in answers.PORTS]
        told = {"ClusterLogs": {"logs": [log]}, "ClusterPortForward": {"forwards": ports}}
        about = {"apiVersion": "kwok.x-k8s.io/v1alpha1", "metadata": {"name": "all"}}
        documents = [{**about, "kind": kind, "spec": spec} for kind, spec in told.items()]
        (self.folder / flags.PLAYED_PODS).write_text(yaml.safe_dump_all(documents))
        self.log()

    # Parts

    def start(self, *names: str) -> None:
        """Start parts that do not run, all if none is named, and wait until the API server is ready."""
        with self._starting:  # a test may start them in a thread, and end before it
            wanted = [name for name in names or PARTS if not self.runs(name)]
            for name in wanted:
                if name not in ("etcd", "apiserver"):
                    self.wait_ready()
                self.run(name, str(self.binary), name, *flags.of(name, self.folder, self.bed))
            self.wait_ready()
        if "kwok" in wanted:
            self._wait_useful()

    def run(self, name: str, *argv: str) -> None:
        """Run a program beside the cluster as one of its parts: it is crashed by its name, and ends with the rest."""
        self._running[name] = Leashed(["sh", "-c", DAEMON, "sh", *argv], log=self.folder / f"{name}.log")

    def runs(self, name: str) -> bool:
        return name in self._running and self._running[name].alive

    def crash(self, *names: str) -> None:
        """Kill parts at once ("apiserver"); `start` starts them again over the same data."""
        for name in names:
            self._running.pop(name).kill()

    def freeze(self, name: str) -> None:
        """Stop a part in its tracks: it accepts and does not answer."""
        self._signal("STOP", name)

    def thaw(self, name: str) -> None:
        self._signal("CONT", name)

    def _signal(self, signal: str, name: str) -> None:
        run("pkill", f"-{signal}", "-f", f"^{self.binary} {name} .*{self.folder}/")

    def stop(self) -> None:
        self.crash(*reversed(self._running))

    def wait_ready(self) -> None:
        until = time.monotonic() + START_SECONDS
        while not self.ready:
            for name in filter(self._running.get, PARTS):
                assert self.runs(name), f"{name} ended: {(self.folder / f'{name}.log').read_text()[-2000:]}"
            assert time.monotonic() < until, (self.folder / "apiserver.log").read_text()[-2000:]
            time.sleep(0.05)

    @property
    def ready(self) -> bool:
        """Whether the API server says so."""
        asked = urllib.request.Request(f"{self.url}/readyz", headers={"Authorization": f"Bearer {self._token}"})
        trusted = ssl.create_default_context(cafile=str(self.folder / "ca" / "ca.pem"))
        try:
            with urllib.request.urlopen(asked, timeout=5, context=trusted) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _wait_useful(self) -> None:
        """Wait for nodes, and for the service account without which pods are refused."""
        self.apply(*(nodes.node(name, gpus) for name, gpus in STANDARD.items()))
        self.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "node", "-l", nodes.PLAYED)
        self.kubectl("wait", "--for=create", "--timeout=60s", "-n", "default", "serviceaccount/default")

    def well(self) -> None:
        """Start what does not run; exactly the standard nodes, as they were, and pods that answer."""
        self.answers.well()
        self.log()
        self.start()
        standard = {name: nodes.node(name, gpus) for name, gpus in STANDARD.items()}
        every = {one["metadata"]["name"]: one for one in self.get("node")["items"]}
        there = {name: one for name, one in every.items() if nodes.PLAYED in one["metadata"]["labels"]}
        for name in every.keys() - there.keys():
            if not every[name]["spec"].get("unschedulable"):
                self.kubectl(
                    "cordon", name
                )  # pods that are to be played do not go to a real node, unless a test has it
        if strange := [f"node/{name}" for name in there if name not in standard]:
            self.kubectl("delete", "--wait=false", *strange)
        if not all(name in there and nodes.is_as(there[name], wanted) for name, wanted in standard.items()):
            self.kubectl("delete", "--ignore-not-found", *(f"node/{name}" for name in standard))
            self._wait_useful()

    # Use

    def add_node(self, name: str, gpus: str = "", **fields: Any) -> None:
        """Add a node that KWOK plays, see nodes.node, or change it."""
        self.apply(nodes.node(name, gpus, **fields))
        self.kubectl("wait", "--for=condition=Ready", "--timeout=60s", f"node/{name}")

    def user(self, name: str, *groups: str, days: int = 2) -> Path:
        """Return the kubeconfig of a user with a certificate; days=0 for one that has ended."""
        folder = self.folder / "users" / name
        self.authority.sign(name, folder, groups=groups, days=days)
        files = {"client-certificate-data": "cert.pem", "client-key-data": "key.pem"}
        shown = {field: b64encode((folder / file).read_bytes()).decode() for field, file in files.items()}
        return self._write(name, self._config_of(shown))

    def log(self, *lines: str) -> None:
        """Let these lines be the log of every played pod, of its last run as well."""
        self._log.write_text("".join(f"2026-11-01T00:00:00.000000000Z stdout F {line}\n" for line in lines))

    def asked(self, user: str) -> tuple[tuple[str, str], ...]:
        """Return what a user, not the admin, has asked until now, in order: ("list", "/api/v1/pods?limit=500")."""
        log = self.folder / flags.AUDIT
        told = (json.loads(line) for line in log.read_text().splitlines()) if log.exists() else ()
        return tuple((one["verb"], one["requestURI"]) for one in told if one["user"]["username"] == user)
