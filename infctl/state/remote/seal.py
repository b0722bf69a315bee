"""Owns the encryption of what leaves for a shared place: AES-256-GCM, each text bound to what it is called there.

A sealed text names its key, so that a wrong one is told from a damaged text. Knows no place and no key's source.
Sources: NIST SP 800-38D (random nonces of 96 bits: at most 2^32 texts under one key).
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from hashlib import sha256
from typing import TYPE_CHECKING

from infctl.diagnostics import Code, InfctlError, error
from infctl.frozen import dataclass
from infctl.state.problems import damaged

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from infctl.state.remote.kms import Kms

BAD_STATE_KEY = Code(
    "bad-state-key",
    "What `state.encryption` gives as a key is none.",
    "Make one with `openssl rand -base64 32` and keep it where the file says.",
)
WRONG_STATE_KEY = Code(
    "wrong-state-key",
    "The state was encrypted under another key than the one that is given, or under none.",
    "Give the key it was encrypted under; `state.encryption.previous` reads the old one while the new one writes.",
)
_MARK = b"infctl-sealed-1 "
_KMS = "kms:"
_SEALED = re.compile(re.escape(_MARK) + rb"([0-9a-f]{16}|kms:[A-Za-z0-9+/]+=*) ([A-Za-z0-9+/]+=*)\n?")
_KEY_BYTES = 32
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Seal:
    """`key` closes and opens, `previous` opens too; b"" is none. With `plain`, what was never closed opens as well.

    With `kms` keys come from there: it closes in the place of `key`, and opens what it closed.
    """

    key: bytes = b""
    previous: bytes = b""
    plain: bool = False
    kms: Kms | None = None

    def close(self, data: bytes, about: str) -> bytes:
        """Return `data` as only the key opens it, and only as `about`; without a key, as it is."""
        if self.key:
            ident, key = key_id(self.key), self.key
        elif self.kms:
            wrapped, key = self.kms.data_key
            ident = _KMS + wrapped
        else:
            return data
        nonce = os.urandom(_NONCE_BYTES)
        inside = base64.b64encode(nonce + _cipher(key).encrypt(nonce, data, about.encode()))
        return _MARK + ident.encode() + b" " + inside + b"\n"

    def open(self, text: bytes, about: str, where: str) -> bytes:
        """Return what was closed. Raises InfctlError (wrong-state-key, state-damaged)."""
        if not text.startswith(_MARK):
            if (self.key or self.kms) and text and not self.plain:
                raise _wrong(where, "it is not encrypted", "to encrypt it from now on: encryption: {…, previous: none}")
            return text
        found = _SEALED.fullmatch(text)
        if found is None:
            raise damaged(where, "it is encrypted, and cut short")
        return _decrypt(self._key_of(found[1].decode(), where), found[2], about, where)

    def _key_of(self, ident: str, where: str) -> bytes:
        if ident.startswith(_KMS) and self.kms:
            return self.kms.open(ident.removeprefix(_KMS))
        key = next((each for each in (self.key, self.previous) if each and key_id(each) == ident), b"")
        if not key:
            under = "a key of KMS" if ident.startswith(_KMS) else f"the key {ident}"
            given = f"the key that is given is {key_id(self.key)}" if self.key else "no key is given"
            raise _wrong(where, f"it is encrypted under {under}; {given}", WRONG_STATE_KEY.remedy)
        return key

    def is_current(self, text: bytes) -> bool:
        """Return whether `text` is closed as this seal would close it."""
        ident = key_id(self.key) if self.key else _KMS if self.kms else ""
        mark = _MARK + ident.encode() if ident else b""
        return text.startswith(mark) if mark else not text.startswith(_MARK)


def key_from(text: str, name: str) -> bytes:
    """Return the 32 bytes that `text` spells in base64 or in hex. Raises InfctlError (bad-state-key) about `name`."""
    try:
        key = bytes.fromhex(text) if re.fullmatch(r"[0-9a-fA-F]{64}", text) else base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        detail = "it is not 32 bytes in base64 or in hex"
        raise InfctlError(error(BAD_STATE_KEY, f"{name} is no key", detail, hint=BAD_STATE_KEY.remedy, path=name))
    return key


def key_id(key: bytes) -> str:
    """Return what a key is called: 16 hex digits that say nothing of it."""
    return sha256(b"infctl state key id" + key).hexdigest()[:16]


def _decrypt(key: bytes, inside: bytes, about: str, where: str) -> bytes:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415  -- few states are encrypted

    try:
        sealed = base64.b64decode(inside, validate=True)
        return _cipher(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about.encode())
    except (InvalidTag, binascii.Error, ValueError) as failure:
        raise damaged(where, "it is not what was encrypted: it was changed, or is another part's") from failure


def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  -- few states are encrypted

    return AESGCM(key)


def _wrong(where: str, detail: str, hint: str) -> InfctlError:
    return InfctlError(error(WRONG_STATE_KEY, f"{where} cannot be opened", detail, hint=hint))
