"""Owns values that must not be seen, and values that are not known yet.

A `Secret` prints as redacted wherever it ends up; its only way out is `reveal()`, called by a provider at the
moment of delivery. Knows nothing of where secrets come from (see `infctl.spec.secrets`).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final, NoReturn

from infctl.frozen import dataclass

REDACTED: Final = "(sensitive)"
_SHORTEST: Final = 4  # characters; replacing shorter values would garble every line and hide nothing
_seen: set[str] = set()


def redact(text: str) -> str:
    """Return `text` without any secret value that this process has held: the last net under every output."""
    for value in sorted(_seen, key=len, reverse=True):
        text = text.replace(value, REDACTED)
    return text


class Secret:
    """A secret's value. Compare by `digest`, never by `==`; it refuses to be pickled.

    `ref` is how the stack asked for it, with the digest of this value: set in a Change, so that a provider knows
    how to deliver it and can write down, and later observe, which value an object was given.
    """

    __slots__ = ("_value", "ref")

    def __init__(self, value: str, ref: SecretRef | None = None) -> None:
        self._value = value
        self.ref = ref
        if len(value) >= _SHORTEST:
            parts = (value, value.strip(), *value.splitlines())  # who prints one may break or indent its lines
            _seen.update(part for part in parts if len(part.strip()) >= _SHORTEST)

    def reveal(self) -> str:
        return self._value

    def digest(self, key: bytes) -> str:
        """Return HMAC-SHA256 of the value under `key` (the lineage's or the state's), 32 hex characters."""
        return hmac.new(key, self._value.encode(), hashlib.sha256).hexdigest()[:32]

    def __repr__(self) -> str:
        return REDACTED

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return REDACTED

    def __reduce__(self) -> NoReturn:
        msg = "a Secret is never serialised"
        raise TypeError(msg)


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A reference to a secret of the stack: what plans and states hold instead of the value.

    `delivery` is "file" (a 0600 file, its path in NAME_FILE) or "env". `digest` is the keyed digest of the
    value that was last applied, or "" while it is not known.
    """

    name: str
    delivery: str = "file"
    digest: str = ""


class Unknown:
    """The value that only apply can tell: an address, a port. One instance: `UNKNOWN`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "(known after apply)"


UNKNOWN: Final = Unknown()
