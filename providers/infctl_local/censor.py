"""Owns keeping secrets out of what a child prints, piece by piece as it comes. Plain stdlib.

Knows nothing of logs and processes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = b"(sensitive)"
SHORTEST = 4  # bytes; hiding shorter lines would garble every output and protect nothing


class Censor:
    """Replaces secrets by `HIDDEN`, each line of theirs by itself: what prints them may break or prefix lines."""

    def __init__(self, secrets: Iterable[str]) -> None:
        lines = {line.strip().encode() for secret in secrets for line in secret.splitlines()}
        self._secrets = sorted((line for line in lines if len(line) >= SHORTEST), key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, self._secrets)) or b"(?!)")  # the longest first
        self._held = b""

    def read(self, data: bytes) -> bytes:
        """Return what may be shown; an end that may be the beginning of a secret waits for what comes next."""
        text, shown, at = self._held + data, b"", 0
        while (found := self._pattern.search(text, at)) and found.start() < self._sure(text, at):
            shown += text[at : found.start()] + HIDDEN
            at = found.end()
        end = self._sure(text, at)
        self._held = text[end:]
        return shown + text[at:end]

    def rest(self) -> bytes:
        """Return what still waits: nothing comes next."""
        text, self._held = self._held, b""
        return self._pattern.sub(HIDDEN, text)

    def _sure(self, text: bytes, at: int) -> int:
        """Return where the text from `at` on ends, or its earliest end begins that a secret may begin with."""
        if not self._secrets:
            return len(text)
        first = max(at, len(text) - len(self._secrets[0]) + 1)
        ends = (n for n in range(first, len(text)) for s in self._secrets if s != text[n:] and s.startswith(text[n:]))
        return next(ends, len(text))
