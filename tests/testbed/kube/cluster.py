"""Owns a Kubernetes that tests ask, whoever's it is: kubectl, definitions, users. Knows nothing of how it runs."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
START_SECONDS = 100.0  # on a machine that does much else


class Cluster:
    """A cluster by its kubeconfig, whose user may do everything; what is made beside it lies in `folder`."""

    def __init__(self, kubeconfig: Path, folder: Path, kubectl: Sequence[str]) -> None:
        self.kubeconfig, self.folder, self.command = kubeconfig, folder, tuple(kubectl)

    @property
    def url(self) -> str:
        return str(_of_current(yaml.safe_load(self.kubeconfig.read_text()), "cluster")["server"])

    def kubectl(
        self, *argv: str, given: str | bytes = "", check: bool = True, seconds: float = 60, by: Path | None = None
    ) -> str:
        """Run kubectl as the admin, or by another kubeconfig; returns what it printed, both streams if it failed."""
        who = [f"--kubeconfig={by or self.kubeconfig}", f"--cache-dir={self.folder / 'kubectl'}"]
        told = given.encode() if isinstance(given, str) else given
        done = subprocess.run(
            [*self.command, *who, *argv], input=told, capture_output=True, timeout=seconds, check=False
        )
        said = done.stdout.decode()
        if done.returncode:
            said += done.stderr.decode()
            assert not check, f"kubectl {' '.join(argv)} ended with {done.returncode}: {said}"
        return said

    def get(self, *what: str) -> Any:
        """Return `kubectl get WHAT...` as JSON."""
        return json.loads(self.kubectl("get", *what, "-o", "json"))

    def apply(self, *objects: Mapping[str, Any], manager: str = "bed") -> None:
        """Apply objects server-side by force."""
        given = yaml.safe_dump_all([dict(one) for one in objects])
        self.kubectl("apply", "--server-side", "--force-conflicts", f"--field-manager={manager}", "-f-", given=given)

    def load_crds(self, *groups: str) -> None:
        """Make the definitions in crds/ of groups ("keda.sh") known, unmodified, and wait until they are served."""
        files = [str(file) for group in groups for file in sorted((HERE / "crds").glob(f"{group}_*.yaml"))]
        assert files, f"crds/ has nothing of {', '.join(groups)}"
        self.kubectl("apply", "--server-side", *(f"-f{file}" for file in files))
        names = [f"crd/{'.'.join(reversed(Path(file).stem.split('_')))}" for file in files]
        until = time.monotonic() + START_SECONDS
        while "NotFound" in (said := self.kubectl("get", *names, check=False)) or not self._established(names):
            assert time.monotonic() < until, said
            time.sleep(0.1)

    def _established(self, names: Sequence[str]) -> bool:
        told = self.get(*names)
        conditions = [one.get("status", {}).get("conditions", []) for one in told.get("items", [told])]
        return all(any(c["type"] == "Established" and c["status"] == "True" for c in each) for each in conditions)

    def user(self, name: str, *groups: str) -> Path:
        """Return the kubeconfig of a user, here by acting as them: the way in to a cluster that is not the bed's."""
        config = yaml.safe_load(self.kubeconfig.read_text())
        _of_current(config, "user").update({"as": name, "as-groups": list(groups)})
        return self._write(name, config)

    def account(self, namespace: str, name: str) -> Path:
        """Return the kubeconfig of a service account, made now unless it is there; its token lasts an hour.

        Deleting the account ends the token: the API server remembers it for 10 s more.
        """
        self.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}})
        token = self.kubectl("create", "token", name, "-n", namespace).strip()
        return self._write(f"{namespace}-{name}", self._config_of({"token": token}))

    def _config_of(self, user: Mapping[str, str]) -> dict[str, Any]:
        return config_of(_of_current(yaml.safe_load(self.kubeconfig.read_text()), "cluster"), user)

    def _write(self, name: str, config: Mapping[str, Any]) -> Path:
        return write_config(self.folder / f"{name.replace(':', '-')}.kubeconfig", config)


def config_of(cluster: Mapping[str, str], user: Mapping[str, str]) -> dict[str, Any]:
    """Return a kubeconfig of one cluster and one user."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "bed", "cluster": dict(cluster)}],
        "users": [{"name": "bed", "user": dict(user)}],
        "contexts": [{"name": "bed", "context": {"cluster": "bed", "user": "bed"}}],
        "current-context": "bed",
    }


def write_config(path: Path, config: Mapping[str, Any]) -> Path:
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(dict(config)))
    return path


def _of_current(config: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return the cluster or the user of a kubeconfig's current context."""
    contexts = {one["name"]: one["context"] for one in config["contexts"]}
    name = contexts[config["current-context"]][what]
    found: dict[str, Any] = next(one[what] for one in config[f"{what}s"] if one["name"] == name)
    return found
