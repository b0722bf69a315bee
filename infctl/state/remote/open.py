"""Owns making a shared store of what a file says of it: its place, its seal, the secrets that both need.

Imports pydantic, and one backend: the one that is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infctl.secrets import Secret
from infctl.spec.backends import BACKENDS, HttpState, KubernetesState, PostgresState, S3State
from infctl.spec.secrets import SecretSource, resolve_secret
from infctl.state.remote.place import missing_extra
from infctl.state.remote.seal import Seal, key_from
from infctl.state.remote.store import RemoteStore

if TYPE_CHECKING:
    from infctl.spec.stack import StateConfig
    from infctl.state.remote.kms import Kms
    from infctl.state.remote.place import Place

_REFERENCE = "secret://"


def open_remote(
    config: StateConfig, workspace: str, root: Path, env: Mapping[str, str], lease_seconds: float
) -> RemoteStore:
    """Return the store that `config` describes; nothing is asked of its place yet. `root` is the stack's folder.

    Raises InfctlError (secret-unavailable, bad-state-key, extra-missing, state-forbidden ...).
    """
    options = BACKENDS[config.backend].model_validate(config.options)
    password = _password(config, root, env)
    return RemoteStore(_place(options, workspace, password), workspace, _seal(config, root, env), lease=lease_seconds)


def _place(options: Any, workspace: str, password: Secret) -> Place:
    match options:
        case S3State():
            from infctl.state.remote.s3 import open_s3  # noqa: PLC0415  -- one backend is loaded

            return open_s3(options, workspace)
        case PostgresState():
            from infctl.state.remote.postgres import open_postgres  # noqa: PLC0415

            return open_postgres(options, workspace, password)
        case HttpState():
            from infctl.state.remote.http import open_http  # noqa: PLC0415

            return open_http(options, workspace, password)
        case KubernetesState():
            return _documents("kubernetes", options, workspace)
    raise ValueError(f"{type(options).__name__} is no shared place")


def _documents(kind: str, options: KubernetesState, workspace: str) -> Place:
    """Return a place over documents that an installed plugin keeps. Raises InfctlError (extra-missing)."""
    from infctl.provider.documents import find_documents  # noqa: PLC0415
    from infctl.state.remote.documents import DocumentsPlace  # noqa: PLC0415

    try:
        opened = find_documents(kind)
    except ImportError as failure:
        raise missing_extra(kind, failure.name or str(failure), kind) from failure
    if opened is None:
        raise missing_extra(kind, f"a plugin that keeps documents of type {kind}", kind)
    config = options.model_dump(exclude_none=True, exclude={"key"})
    return DocumentsPlace(opened(config, options.key), workspace)


def _password(config: StateConfig, root: Path, env: Mapping[str, str]) -> Secret:
    name = str(config.options.get("password", "")).removeprefix(_REFERENCE)
    return resolve_secret(_source(name, config.secrets[name]), root, env) if name else Secret("")


def _seal(config: StateConfig, root: Path, env: Mapping[str, str]) -> Seal:
    if not config.encryption:
        return Seal()
    key, previous = config.encryption["key"], config.encryption.get("previous")
    sources = {"key": key, "previous": previous if isinstance(previous, Mapping) else {}}
    named = [source["aws_kms"] for source in sources.values() if source.get("aws_kms")]
    return Seal(
        _key("key", sources["key"], root, env),
        _key("previous", sources["previous"], root, env),
        plain=previous == "none",
        kms=_kms(named[0], config) if named else None,
    )


def _kms(name: str, config: StateConfig) -> Kms:
    from infctl.state.remote.kms import Kms  # noqa: PLC0415  -- few states have their keys there

    return Kms(name, config.options.get("region"), config.options.get("profile"))


def _key(name: str, source: Mapping[str, Any], root: Path, env: Mapping[str, str]) -> bytes:
    """Return the key that `source` gives, b"" where there is none, or KMS has it."""
    if not source or source.get("aws_kms"):
        return b""
    path = f"state.encryption.{name}"
    return key_from(resolve_secret(_source(path, source), root, env).reveal().strip(), path)


def _source(name: str, source: Mapping[str, Any]) -> SecretSource:
    return SecretSource(name, source.get("env") or "", source.get("file") or "", tuple(source.get("command") or ()))
