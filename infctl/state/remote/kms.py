"""Owns data keys that AWS KMS makes and opens: each run seals with one of its own, whose wrapped form stands beside the
text. Who may not use the KMS key reads nothing. Imports boto3 when it is first asked.

Source: docs.aws.amazon.com/kms/latest/developerguide/data-keys.html.
"""

from __future__ import annotations

import base64
from functools import cached_property
from typing import Any

from infctl.state.remote.aws import client_of, refusal
from infctl.state.remote.place import forbidden, unreadable

_CONTEXT = {"infctl": "state"}  # what was wrapped for something else is not opened here


class Kms:
    """The key `name`: an id, an ARN or alias/NAME. `where` is what messages are about. Safe between threads."""

    def __init__(self, name: str, region: str | None, profile: str | None) -> None:
        self._name, self._region, self._profile = name, region, profile
        self._opened: dict[str, bytes] = {}

    @property
    def name(self) -> str:
        return self._name

    @cached_property
    def data_key(self) -> tuple[str, bytes]:
        """Return this run's own key, wrapped (base64) and as it is."""
        found = self._ask("generate_data_key", KeyId=self._name, KeySpec="AES_256")
        wrapped, key = base64.b64encode(found["CiphertextBlob"]).decode(), bytes(found["Plaintext"])
        self._opened[wrapped] = key
        return wrapped, key

    def open(self, wrapped: str) -> bytes:
        """Return the key that was wrapped. Raises InfctlError (state-forbidden, state-unreadable)."""
        if wrapped not in self._opened:
            found = self._ask("decrypt", CiphertextBlob=base64.b64decode(wrapped))
            self._opened[wrapped] = bytes(found["Plaintext"])
        return self._opened[wrapped]

    @cached_property
    def _client(self) -> Any:
        return client_of("kms", self._region, self._profile)

    def _ask(self, operation: str, **asked: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  -- loaded with the client

        where = f"the KMS key {self._name}"
        try:
            return getattr(self._client, operation)(EncryptionContext=_CONTEXT, **asked)
        except ClientError as answer:
            code, said = refusal(answer)
            hint = "correct state.encryption.key.aws_kms, or have kms:GenerateDataKey and kms:Decrypt allowed on it"
            raise forbidden(where, f"{code}: {said}", hint) from answer
        except BotoCoreError as failure:
            raise unreadable(where, str(failure)) from failure
