"""Owns filling in what a plan left open: references to outputs, and secrets at the moment they are needed.

Knows nothing of steps. Secrets stay here and in the Change they go into; `redact` keeps them out of words.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from infctl.diagnostics import Diagnostic
from infctl.provider.values import Health, Values
from infctl.secrets import REDACTED, Secret, SecretRef

_SHORTEST = 4  # characters: a shorter secret would blank out innocent words


class Vault:
    """The secrets of one run, each fetched once, when first needed. Safe to use from several threads."""

    def __init__(self, fetch: Callable[[str], Secret], digest_key: bytes) -> None:
        self._fetch = fetch
        self._key = digest_key
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Secret, str]] = {}

    def fill(self, values: Values) -> tuple[Values, Values]:
        """Return `values` as they are kept (references with digests) and as they are given (with the secrets).

        Raises InfctlError when a secret cannot be fetched.
        """
        kept = self._digested(values)
        return (values, values) if kept is values else (kept, self._revealed(kept))

    def redact(self, text: str) -> str:
        """Return `text` without any secret of this run: what a log or a place says may hold one."""
        for secret, _ in tuple(self._known.values()):
            value = secret.reveal()
            if len(value) >= _SHORTEST and value in text:
                text = text.replace(value, REDACTED)
        return text

    def redact_diagnostic(self, diagnostic: Diagnostic) -> Diagnostic:
        if not self._known:
            return diagnostic
        summary, detail = self.redact(diagnostic.summary), self.redact(diagnostic.detail)
        return replace(diagnostic, summary=summary, detail=detail, hint=self.redact(diagnostic.hint))

    def redact_health(self, health: Health) -> Health:
        if not self._known:
            return health
        return replace(health, detail=self.redact(health.detail), log=tuple(self.redact(line) for line in health.log))

    def _get(self, name: str) -> tuple[Secret, str]:
        with self._lock:
            if name not in self._known:
                secret = self._fetch(name)
                self._known[name] = (secret, secret.digest(self._key))
            return self._known[name]

    def _digested(self, value: Any) -> Any:
        return _mapped(value, lambda ref: replace(ref, digest=self._get(ref.name)[1]))

    def _revealed(self, value: Any) -> Any:
        return _mapped(value, lambda ref: Secret(self._get(ref.name)[0].reveal(), ref))


def _mapped(value: Any, change: Callable[[SecretRef], object]) -> Any:
    """Return `value` with each secret reference changed; the very same object when there is none in it."""
    if isinstance(value, SecretRef):
        return change(value)
    if isinstance(value, Mapping):
        mapped = {key: _mapped(item, change) for key, item in value.items()}
        return mapped if any(mapped[key] is not item for key, item in value.items()) else value
    if isinstance(value, (list, tuple)):
        items = tuple(_mapped(item, change) for item in value)
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value
