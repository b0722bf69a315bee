"""Owns where a cluster is and who asks it, as kubeconfig files or the pod that infctl runs in say. Connects to nothing.

Source of the format: kubernetes.io/docs/reference/config-api/kubeconfig.v1. Files named by $KUBECONFIG are merged as
kubectl does it: the first that says something wins, and relative paths start at the file that has them.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from infctl.provider.errors import ProviderError

DEFAULT = "~/.kube/config"
POD = Path(
    "/var/run/secrets/kubernetes.io/serviceaccount"
)  # kubernetes.io/docs/tasks/run-application/access-api-from-pod
_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


@dataclass(frozen=True, slots=True)
class Access:
    """How a cluster is reached. Certificates and keys are PEM; `login` is the user's part of a kubeconfig: what
    `credentials` makes a header of. `namespace` is the context's.
    """

    server: str
    context: str = ""
    namespace: str = ""
    authority: str = ""
    verify: bool = True
    server_name: str = ""
    proxy: str = ""
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    login: Mapping[str, Any] = field(default_factory=dict, repr=False)
    cluster: Mapping[str, Any] = field(default_factory=dict, repr=False)


def read_access(kubeconfig: str = "", context: str = "", env: Mapping[str, str] = os.environ) -> Access:
    """Return the access that `context` of `kubeconfig` gives; each left out is what kubectl would take.

    Raises ProviderError that says what is missing in which file.
    """
    paths = [Path(each).expanduser() for each in (kubeconfig or env.get("KUBECONFIG", "")).split(os.pathsep) if each]
    found = [path for path in (paths or [Path(DEFAULT).expanduser()]) if path.exists()]
    if not found and not kubeconfig and not context and env.get("KUBERNETES_SERVICE_HOST"):
        return _from_pod(env)
    if not found:
        named = ", ".join(map(str, paths)) or DEFAULT
        hint = "say `kubeconfig:` of the target, or set KUBECONFIG"
        raise ProviderError("There is no kubeconfig to reach the cluster with", f"not there: {named}", hint=hint)
    return _chosen(_merged(found), context, ", ".join(map(str, found)))


def _from_pod(env: Mapping[str, str]) -> Access:
    """Return the access of a pod's own service account, whose token is renewed in place."""
    host, port = env["KUBERNETES_SERVICE_HOST"], env.get("KUBERNETES_SERVICE_PORT", "443")
    try:
        authority = (POD / "ca.crt").read_text("utf-8")
        namespace = (POD / "namespace").read_text("utf-8").strip()
    except OSError as failure:
        hint = "give the pod a service account whose token is mounted, or a kubeconfig"
        raise ProviderError("This pod has no service account to ask with", str(failure), hint=hint) from failure
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return Access(server, "in-cluster", namespace, authority, login={"tokenFile": str(POD / "token")})


def _merged(paths: list[Path]) -> dict[str, Any]:
    whole: dict[str, Any] = {"clusters": {}, "users": {}, "contexts": {}, "current-context": ""}
    for path in paths:
        try:
            said = yaml.load(path.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as failure:
            raise ProviderError(f"{path} cannot be read", str(failure)) from failure
        if not isinstance(said, dict):
            raise ProviderError(f"{path} is no kubeconfig", "it holds no mapping")
        whole["current-context"] = whole["current-context"] or said.get("current-context") or ""
        for part, word in (("clusters", "cluster"), ("users", "user"), ("contexts", "context")):
            for name, value in _named(said.get(part), word):
                whole[part].setdefault(name, _with_whole_paths(value, path.parent))
    return whole


def _named(items: Any, word: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for each in items if isinstance(items, list) else ():
        if isinstance(each, dict) and isinstance(each.get(word), dict):
            yield str(each.get("name")), each[word]


def _with_whole_paths(value: dict[str, Any], folder: Path) -> dict[str, Any]:
    exact: dict[str, Any] = {name: str(folder / value[name]) for name in _FILES if value.get(name)}
    run = value.get("exec")
    if isinstance(run, dict) and "/" in str(run.get("command", "")):  # a word without a slash is looked up in PATH
        exact["exec"] = {**run, "command": str(folder / str(run["command"]))}
    return {**value, **exact}


def _chosen(whole: Mapping[str, Any], asked: str, files: str) -> Access:
    name = asked or whole["current-context"]
    if not name:
        raise ProviderError(
            "No context is chosen", f"{files} has no current-context", hint="say `context:` of the target"
        )
    context = _part(whole, "contexts", name, files)
    cluster = _part(whole, "clusters", str(context.get("cluster", "")), files)
    user = _part(whole, "users", str(context["user"]), files) if context.get("user") else {}
    server = str(cluster.get("server", "")).rstrip("/")
    if not server:
        raise ProviderError(f"The cluster of context {name} has no server", files)
    return Access(
        server, name, str(context.get("namespace") or ""), _pem(cluster, "certificate-authority"),
        not cluster.get("insecure-skip-tls-verify", False), str(cluster.get("tls-server-name") or ""),
        str(cluster.get("proxy-url") or ""), _pem(user, "client-certificate"), _pem(user, "client-key"), user, cluster,
    )  # fmt: skip


def _part(whole: Mapping[str, Any], part: str, name: str, files: str) -> dict[str, Any]:
    if name not in whole[part]:
        there = ", ".join(whole[part]) or "none"
        raise ProviderError(
            f"There is no {part[:-1]} {name} in {files}", f"there: {there}", hint="`kubectl config view` lists them"
        )
    found: dict[str, Any] = whole[part][name]
    return found


def _pem(value: Mapping[str, Any], name: str) -> str:
    """Return the certificate or key that stands in the file, or in the file that it names."""
    try:
        if data := value.get(f"{name}-data"):
            return base64.b64decode(data, validate=True).decode()
        return Path(value[name]).read_text("utf-8") if value.get(name) else ""
    except (OSError, UnicodeDecodeError, binascii.Error) as failure:
        raise ProviderError(f"{name} of the kubeconfig cannot be read", str(failure)) from failure
