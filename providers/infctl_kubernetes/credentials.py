"""Owns who asks the cluster: the headers of a call, and the certificate, as the kubeconfig's user has them.

A token of a plug-in (`exec`, kubernetes.io/docs/reference/config-api/client-authentication.v1) or of a file is had
again before it expires, and once when the cluster no longer takes it. A plug-in that fails says so itself.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from infctl.provider.errors import ProviderError
from infctl_kubernetes.kubeconfig import Access

EARLY = 60.0  # seconds before its end a token is no longer used: clocks differ, calls take time
FILE_AGE = 60.0  # seconds; the kubelet renews a pod's token in place (an hour long, renewed at 80 %)
PLUGIN_TIME = 60.0  # seconds that a plug-in may take, browser logins apart
VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


@dataclass(frozen=True, slots=True)
class Login:
    """`headers` say who asks, several of one name as a tuple; `certificate` and `key` are PEM, where a plug-in gave
    them. `until` is the time (time.time) after which it no longer holds.
    """

    headers: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict, repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    until: float = float("inf")


class Credentials:
    """The login of one user, had when it is first needed and again when it no longer holds. Safe between threads."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._login: Login | None = None

    def login(self) -> Login:
        """Return a login that holds. Raises ProviderError where there is none to be had."""
        with self._lock:
            if self._login is None or time.time() >= self._login.until:
                self._login = _log_in(self._access)
            return self._login

    def forget(self, login: Login) -> bool:
        """Have the next call log in anew, for the cluster did not take this one; False where that is no use."""
        if not self._access.login.keys() & {"exec", "tokenFile"}:
            return False
        with self._lock:
            if self._login is login:
                self._login = None
            return True


def _log_in(access: Access) -> Login:
    user = access.login
    if "auth-provider" in user:
        name = str((user["auth-provider"] or {}).get("name", ""))
        hint = f"use a credential plug-in (`exec:`) for {name}: clients no longer have it built in"
        raise ProviderError("The kubeconfig's user logs in by an auth-provider, which is not served", name, hint=hint)
    acting = _acting(user)
    if user.get("tokenFile"):
        return Login({**acting, "Authorization": f"Bearer {_token_of(user)}"}, until=time.time() + FILE_AGE)
    if user.get("token"):
        return Login({**acting, "Authorization": f"Bearer {user['token']}"})
    if user.get("exec"):
        return _run(user["exec"], access, acting)
    if user.get("username"):
        both = f"{user['username']}:{user.get('password', '')}".encode()
        return Login({**acting, "Authorization": f"Basic {base64.b64encode(both).decode()}"})
    return Login(acting)


def _acting(user: Mapping[str, Any]) -> dict[str, str | tuple[str, ...]]:
    """Return the headers of whom the user acts as; to leave them out would be to act with other rights."""
    if user.get("as-user-extra") or user.get("as-uid"):
        raise ProviderError(
            "as-uid and as-user-extra of a kubeconfig are not served", hint="leave `as:` and `as-groups:`"
        )
    groups = {"Impersonate-Group": tuple(map(str, user["as-groups"]))} if user.get("as-groups") else {}
    return {**({"Impersonate-User": str(user["as"])} if user.get("as") else {}), **groups}


def _token_of(user: Mapping[str, Any]) -> str:
    try:
        return Path(user["tokenFile"]).read_text("utf-8").strip()
    except OSError as failure:
        raise ProviderError("The token of the kubeconfig's user cannot be read", str(failure)) from failure


def _run(plugin: Mapping[str, Any], access: Access, acting: Mapping[str, str | tuple[str, ...]]) -> Login:
    command = str(plugin.get("command", ""))
    summary = f"The credential plug-in {command} of context {access.context} gave no login"
    hint = str(plugin.get("installHint") or "") or f"run {command} by hand, with the arguments of the kubeconfig"
    version = str(plugin.get("apiVersion", ""))
    if version not in VERSIONS:
        raise ProviderError(
            summary, f"its apiVersion is {version or 'missing'}; known: {', '.join(VERSIONS)}", hint=hint
        )
    env = {**os.environ, **{str(one["name"]): str(one["value"]) for one in plugin.get("env") or ()}}
    env["KUBERNETES_EXEC_INFO"] = json.dumps(_about(plugin, access, version))
    argv = [command, *map(str, plugin.get("args") or ())]
    try:
        done = subprocess.run(
            argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=PLUGIN_TIME, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise ProviderError(summary, str(failure), hint=hint) from failure
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ProviderError(summary, said[-1] if said else f"it ended with {done.returncode}", hint=hint)
    try:
        status = json.loads(done.stdout)["status"]
        return _login_of(status, acting)
    except (ValueError, KeyError, TypeError) as failure:
        raise ProviderError(
            summary, "what it printed is no ExecCredential with a token or certificate", hint=hint
        ) from failure


def _login_of(status: Mapping[str, Any], acting: Mapping[str, str | tuple[str, ...]]) -> Login:
    token, ends = status.get("token"), status.get("expirationTimestamp")
    until = datetime.fromisoformat(ends).timestamp() - EARLY if ends else float("inf")
    if not token and not status.get("clientCertificateData"):
        raise KeyError("token")
    headers = {**acting, **({"Authorization": f"Bearer {token}"} if token else {})}
    return Login(headers, status.get("clientCertificateData", ""), status.get("clientKeyData", ""), until)


def _about(plugin: Mapping[str, Any], access: Access, version: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"interactive": False}
    if plugin.get("provideClusterInfo"):
        authority = base64.b64encode(access.authority.encode()).decode()
        spec["cluster"] = {"server": access.server, "certificate-authority-data": authority}
    return {"apiVersion": version, "kind": "ExecCredential", "spec": spec}
