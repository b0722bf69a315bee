"""Owns whether a host's key is the one we know: known_hosts files as OpenSSH reads them.

Knows names, patterns, hashed names, [host]:port and @revoked; lines of @cert-authority are passed over, since host
certificates are not asked for. Opens no connection.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Iterator
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple


class Line(NamedTuple):
    """One key that a file has for a host; `where` is FILE:LINE."""

    kind: str
    key: bytes
    revoked: bool
    where: str


class Verdict(Enum):
    KNOWN = "known"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


def find_keys(name: str, files: Iterable[str]) -> tuple[Line, ...]:
    """Return what the files have for `name` (host, or [host]:port), in order. Files that are not there have nothing."""
    return tuple(line for file in files for line in _lines(name, file))


def judge(lines: Iterable[Line], key: bytes) -> tuple[Verdict, str]:
    """Return what the known lines say of the key that a host showed, and where the line stands that says so.

    A known key of another kind makes it CHANGED as well: we ask a host for the kinds that are known of it.
    """
    where = ""
    verdict = Verdict.UNKNOWN
    for line in lines:
        if line.revoked:
            if line.key == key:
                return Verdict.REVOKED, line.where
        elif line.key == key:
            verdict, where = Verdict.KNOWN, line.where
        elif verdict is Verdict.UNKNOWN:
            verdict, where = Verdict.CHANGED, line.where
    return verdict, where


def fingerprint(key: bytes) -> str:
    """Return a key's fingerprint as ssh-keygen prints it: SHA256 in base64."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _lines(name: str, file: str) -> Iterator[Line]:
    try:
        text = Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) < 3 or words[0].startswith("#") or marker not in {"", "@revoked"}:  # noqa: PLR2004
            continue
        names, kind, encoded = words[:3]
        if not _names(names, name):
            continue
        try:
            key = base64.b64decode(encoded, validate=True)
        except ValueError:
            continue  # OpenSSH passes over such a line too; without another one the host stays unknown
        yield Line(kind, key, bool(marker), f"{file}:{number}")


def _names(patterns: str, name: str) -> bool:
    """Return whether a line's names hold `name`; a pattern with ! before it that does excludes the line."""
    if patterns.startswith("|1|"):
        salt, _, digest = patterns[3:].partition("|")
        try:
            mac = hmac.new(base64.b64decode(salt), name.encode(), hashlib.sha1).digest()
            return hmac.compare_digest(mac, base64.b64decode(digest))
        except ValueError:
            return False
    matched = False
    for pattern in patterns.lower().split(","):
        if fnmatchcase(name, pattern.removeprefix("!").replace("[", "[[]")):
            if pattern.startswith("!"):
                return False
            matched = True
    return matched
