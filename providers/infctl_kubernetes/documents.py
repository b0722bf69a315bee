"""Owns small documents kept as Secrets of a namespace, for what the core shares: one Secret each, replaced only where
its resourceVersion is the one that was seen. Knows nothing of what is kept.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from infctl.provider.errors import ProviderError
from infctl_kubernetes.client import Api
from infctl_kubernetes.errors import CONFLICT, NOT_FOUND, in_words, read_refusal
from infctl_kubernetes.kubeconfig import read_access
from infctl_kubernetes.labels import MANAGED_BY, MANAGER, NAME, PREFIX

MOST_BYTES = 900 * 1024  # of one: a Secret may have 1 MiB (kubernetes.io/docs/concepts/configuration/secret)
PATIENCE = 15.0  # seconds for one answer: several tries have to end within half a lease
COLLECTION = PREFIX + "state"
TYPE = "infctl.io/state"
_FIELD = "document"
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class SecretDocuments:
    """The Secrets of a namespace that carry the label of `collection`."""

    most_bytes = MOST_BYTES

    def __init__(self, api: Api, namespace: str, collection: str) -> None:
        self._api, self._collection = api, collection
        self._path = f"/api/v1/namespaces/{namespace}/secrets"
        self.location = f"kubernetes://{namespace}/{collection}"

    def read(self, name: str) -> tuple[bytes, str] | None:
        status, found = self._ask("GET", f"{self._path}/{self._secret(name)}", missing={NOT_FOUND})
        if status == NOT_FOUND:
            return None
        data = base64.b64decode((found.get("data") or {}).get(_FIELD, ""))
        return data, str(found["metadata"]["resourceVersion"])

    def write(self, name: str, data: bytes, seen: str) -> str:
        manifest = self._manifest(name, data, seen)
        if seen:
            path = f"{self._path}/{self._secret(name)}?fieldManager={MANAGER}"
            status, found = self._ask("PUT", path, manifest, missing={CONFLICT, NOT_FOUND})
        else:
            status, found = self._ask("POST", f"{self._path}?fieldManager={MANAGER}", manifest, missing={CONFLICT})
        return "" if status in {CONFLICT, NOT_FOUND} else str(found["metadata"]["resourceVersion"])

    def drop(self, name: str, seen: str = "") -> bool:
        options = {"kind": "DeleteOptions", "apiVersion": "v1"}
        only = {"preconditions": {"resourceVersion": seen}} if seen else {}
        path = f"{self._path}/{self._secret(name)}"
        status, _ = self._ask("DELETE", path, {**options, **only}, missing={CONFLICT, NOT_FOUND})
        return status not in {CONFLICT, NOT_FOUND}

    def names(self) -> tuple[str, ...]:
        found: list[str] = []
        going = ""
        while True:
            query = {"labelSelector": f"{COLLECTION}={self._collection}", "limit": 500, "continue": going}
            path = f"{self._path}?{urlencode(query)}"
            _, page = self._ask("GET", path, accept=_METADATA_ONLY)
            found += [each["metadata"].get("annotations", {}).get(NAME, "") for each in page.get("items") or ()]
            going = (page.get("metadata") or {}).get("continue") or ""
            if not going:
                return tuple(name for name in found if name)

    def _secret(self, name: str) -> str:
        return f"infctl-state-{self._collection}.{name.replace('/', '.')}"

    def _manifest(self, name: str, data: bytes, seen: str) -> dict[str, Any]:
        metadata = {
            "name": self._secret(name),
            "labels": {MANAGED_BY: MANAGER, COLLECTION: self._collection},
            "annotations": {NAME: name},
            **({"resourceVersion": seen} if seen else {}),
        }
        content = {_FIELD: base64.b64encode(data).decode()}
        return {"apiVersion": "v1", "kind": "Secret", "type": TYPE, "metadata": metadata, "data": content}

    def _ask(
        self, method: str, path: str, body: Any = None, *, missing: set[int] | None = None, accept: str = ""
    ) -> tuple[int, dict[str, Any]]:
        """Return the answer, of a status below 400 or one of `missing`. Raises ProviderError."""
        text = None if body is None else json.dumps(body).encode()
        headers = {"Accept": accept or "application/json", **({"Content-Type": "application/json"} if text else {})}
        status, data = self._api.reply(method, path, text, headers, PATIENCE)
        if status >= 400 and status not in (missing or set()):  # noqa: PLR2004  # HTTP's errors
            raise in_words(read_refusal(status, data, path), f"{method} {self.location}")
        try:
            found = json.loads(data)
        except ValueError as failure:
            raise ProviderError(f"{self.location} gave no whole answer", f"{len(data)} bytes of no JSON") from failure
        return status, found if isinstance(found, dict) else {}


def open_documents(config: Mapping[str, str], collection: str) -> SecretDocuments:
    """Return the documents of `collection` where `config` says: `namespace`, `context`, `kubeconfig`. Nothing is asked
    yet. Raises ProviderError.
    """
    access = read_access(config.get("kubeconfig", ""), config.get("context", ""))
    return SecretDocuments(Api(access), config.get("namespace", "") or access.namespace or "default", collection)
