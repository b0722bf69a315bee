"""Owns the calls to one API server: who asks, over how many connections, how often again, and its refusals as values.

A call that a busy server puts off is made again, after the time that the server asks for, until its deadline: every
call here may be repeated. Knows paths and JSON, no kinds.
"""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import urllib3

from infctl.provider.errors import ProviderError, reason_of
from infctl_kubernetes.credentials import Credentials, Login
from infctl_kubernetes.errors import SERVER_ERROR, TOO_MANY, UNAUTHORIZED, ApiError, read_refusal
from infctl_kubernetes.kubeconfig import Access

TIMEOUT = 30.0  # seconds for one answer
PATIENCE = 60.0  # seconds for a call with all its repetitions to a busy server, where the caller says nothing
AWAY = 5.0  # seconds that a server may be away for a reading; one that is started again takes one to three
CONNECTIONS = 16  # at once, to one server
PAGE = 500  # objects of a list in one answer: as kubectl's default chunk
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0  # seconds between repetitions where the server asks for none
_NAMES_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
# What a proxy in the API server says of the thing behind it (502, 503 of a pod) is an answer, not a busy server.
_PUT_OFF = frozenset({TOO_MANY, SERVER_ERROR, 502, 503, 504})

Json = dict[str, Any]


class UnreachedError(ProviderError):
    """The API server did not answer at all. It may be there a moment later."""


class Api:
    """One API server, as one user. Safe between threads; connects when it is first asked."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._credentials = Credentials(access)
        self._lock = threading.Lock()
        self._pools: dict[str, urllib3.PoolManager] = {}  # by certificate: a plug-in may give another

    def get(self, path: str, *, patience: float = PATIENCE, **query: Any) -> Json:
        """Return what stands at `path`. Raises ApiError, and UnreachedError."""
        return self._call("GET", path, query, patience=patience)

    def find(self, path: str) -> Json | None:
        """Return what stands at `path`, None where nothing does."""
        try:
            return self.get(path)
        except ApiError as failure:
            if failure.status == 404:  # noqa: PLR2004  # HTTP's own number
                return None
            raise

    def pages(self, path: str, *, names_only: bool = False, **query: Any) -> Iterator[Json]:
        """Yield every object of a list, page by page; of `names_only` just the metadata."""
        going = ""
        while True:
            more = {"continue": going} if going else {}
            accept = _NAMES_ONLY if names_only else ""
            found = self._call("GET", path, {"limit": PAGE, **query, **more}, accept=accept)
            yield from found.get("items") or ()
            going = (found.get("metadata") or {}).get("continue") or ""
            if not going:
                return

    def put(self, path: str, manifest: Json, manager: str, *, patience: float = PATIENCE, dry: bool = False) -> Json:
        """Return what stands at `path` once `manifest` is applied there (server-side apply), or would with `dry`."""
        query = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict", "dryRun": "All" if dry else ""}
        return self._call("PATCH", path, query, manifest, kind="application/apply-patch+yaml", patience=patience)

    def merge(self, path: str, patch: Json, manager: str) -> Json:
        return self._call("PATCH", path, {"fieldManager": manager}, patch, kind="application/merge-patch+json")

    def post(self, path: str, body: Json) -> Json:
        return self._call("POST", path, {}, body)

    def delete(self, path: str, uid: str) -> None:
        """Have what stands at `path` deleted with all that it owns, if it is still the one with this `uid`."""
        options = {"propagationPolicy": "Foreground", "preconditions": {"uid": uid}}
        self._call("DELETE", path, {}, {"kind": "DeleteOptions", "apiVersion": "v1", **options})

    def stream(self, path: str, **query: Any) -> Iterator[bytes]:
        """Yield the bytes of an answer as they come. Raises ApiError, UnreachedError."""
        answer, _ = self._send("GET", _url(path, query), None, {}, timeout=None)
        try:
            if answer.status >= 400:  # noqa: PLR2004
                raise read_refusal(answer.status, answer.data, path)
            with contextlib.suppress(urllib3.exceptions.HTTPError):  # it ends when the other side does
                yield from answer.stream(8192)
        finally:
            answer.close()

    def reply(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> tuple[int, bytes]:
        """Return status and body of one call, whatever they are; made once. Raises UnreachedError."""
        answer, _ = self._send(method, _url(path, {}), body, headers, timeout=timeout)
        return answer.status, answer.data

    def close(self) -> None:
        with self._lock:
            for pool in self._pools.values():
                pool.clear()
            self._pools.clear()

    def _call(
        self, method: str, path: str, query: Mapping[str, Any], body: Any = None, *,
        kind: str = "application/json", accept: str = "", patience: float = PATIENCE,
    ) -> Json:  # fmt: skip
        text = None if body is None else json.dumps(body).encode()
        headers = {"Accept": accept or "application/json", **({"Content-Type": kind} if body is not None else {})}
        begun, pause, fresh = time.monotonic(), FIRST_PAUSE, False
        deadline = begun + patience
        while True:
            try:
                answer, login = self._send(method, _url(path, query), text, headers)
                if answer.status < 400:  # noqa: PLR2004
                    found: Json = json.loads(answer.data)
                    return found
                failure: ApiError | UnreachedError = read_refusal(
                    answer.status, answer.data, path, answer.headers.get("Retry-After", "")
                )
                if answer.status == UNAUTHORIZED and not fresh and self._credentials.forget(login):
                    fresh = True
                    continue
                again = answer.status in _PUT_OFF and not (isinstance(failure, ApiError) and _is_final(failure))
            except UnreachedError as unreached:
                failure, again = unreached, unreached.retryable
            asked = failure.after if isinstance(failure, ApiError) else 0.0
            wait, now = asked or pause, time.monotonic()
            limit = begun + AWAY if isinstance(failure, UnreachedError) and method == "GET" else deadline
            if not again or now + wait > limit:
                raise failure
            time.sleep(wait)
            pause = min(LONGEST_PAUSE, 2 * pause)

    def _send(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        timeout: float | None = TIMEOUT,
    ) -> tuple[urllib3.BaseHTTPResponse, Login]:
        login = self._credentials.login()
        pool = self._pool(login)
        try:
            answer = pool.request(
                method, f"{self.access.server}{url}", body=body, headers=_headers(login, headers), retries=False,
                timeout=urllib3.Timeout(connect=TIMEOUT, read=timeout),
                preload_content=timeout is not None, redirect=False,
            )  # fmt: skip
        except urllib3.exceptions.HTTPError as failure:
            raise self._unreached(failure) from failure
        return answer, login

    def _unreached(self, failure: Exception) -> UnreachedError:
        reason = reason_of(failure)
        trust = "CERTIFICATE_VERIFY_FAILED" in reason or "certificate" in reason.lower()
        hint = (
            "the kubeconfig's certificate-authority is not the one of this server: get the kubeconfig anew"
            if trust
            else "is the cluster up, and can it be reached from here? `kubectl version` asks the same"
        )
        host = urlsplit(self.access.server).netloc
        return UnreachedError(f"{host} does not answer", reason, hint=hint, retryable=not trust)

    def _pool(self, login: Login) -> urllib3.PoolManager:
        certificate = login.certificate or self.access.certificate
        with self._lock:
            if (found := self._pools.get(certificate)) is None:
                found = self._pools[certificate] = _open(self.access, certificate, login.key or self.access.key)
            return found


def _headers(login: Login, more: Mapping[str, str]) -> urllib3.HTTPHeaderDict:
    found = urllib3.HTTPHeaderDict(more)
    for name, value in login.headers.items():
        for each in (value,) if isinstance(value, str) else value:
            found.add(name, each)
    return found


def _is_final(failure: ApiError) -> bool:
    """Return whether a server's error is its last word: a webhook or a schema refused, and would again."""
    if failure.status != SERVER_ERROR:
        return False
    return failure.reason not in {"ServerTimeout", "Timeout", ""} and failure.after == 0


def _url(path: str, query: Mapping[str, Any]) -> str:
    said = {name: value for name, value in query.items() if value not in {"", None}}
    return f"{path}?{urlencode(said, quote_via=quote)}" if said else path


def _open(access: Access, certificate: str, key: str) -> urllib3.PoolManager:
    kept: Json = {"maxsize": CONNECTIONS, "block": True}
    if access.server.startswith("https:"):
        kept["ssl_context"] = _context(access, certificate, key)
        if access.server_name:
            kept |= {"server_hostname": access.server_name, "assert_hostname": access.server_name}
    proxy = access.proxy or _proxy_of_environment(access.server)
    if not proxy:
        return urllib3.PoolManager(**kept)
    if proxy.startswith("socks"):
        hint = "name an http:// proxy, or open a tunnel"
        raise ProviderError("A SOCKS proxy is not served", proxy, hint=hint)
    return urllib3.ProxyManager(proxy, **kept)


def _proxy_of_environment(server: str) -> str:
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415  -- only for who has none of its own

    parts = urlsplit(server)
    return "" if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme, "")


def _context(access: Access, certificate: str, key: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=access.authority or None)
        if not access.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if certificate:
            _load(context, certificate, key)
    except (ssl.SSLError, ValueError) as failure:
        raise ProviderError("A certificate of the kubeconfig cannot be used", str(failure)) from failure
    return context


def _load(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Give the context its certificate. OpenSSL takes it from a file only, which is gone at once."""
    handle, path = tempfile.mkstemp()
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{certificate}\n{key}")
        context.load_cert_chain(path)
    finally:
        os.unlink(path)  # noqa: PTH108
