"""Owns a bucket as a shared place: conditional writes of one object, and objects beside it.

    KEY                                       the head
    KEY.history/… KEY.journal/…               its parts
    KEY.workspaces/NAME                       the head of another workspace, its parts beside it

Source: docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html (If-None-Match, If-Match; 412 where the
condition does not hold, 409 where another write was under way). Imports boto3 when it is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from infctl.diagnostics import InfctlError
from infctl.state.remote.aws import TRIES, client_of, refusal
from infctl.state.remote.place import Version, absent, forbidden, no_fencing, unreadable, unwritable
from infctl.state.store import DEFAULT_WORKSPACE

if TYPE_CHECKING:
    from infctl.spec.backends import S3State

T = TypeVar("T")
_OTHER_IS_THERE = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_NOT_THERE = frozenset({"NoSuchKey", "404", "NotFound"})
_FORBIDDEN = frozenset({"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AllAccessDisabled"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"})
_NOBODYS = f'"{"0" * 32}"'  # an ETag that no object has
_LOGIN = "log in again (aws sso login, or new keys), and run the same command again"
_CREDENTIALS = "set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or state.profile in the file"


class S3Place:
    """The state of one workspace in a bucket. `client` is boto3's, thread-safe; `extra` goes with every write."""

    holds_parts = True

    def __init__(
        self, client: Any, bucket: str, key: str, workspace: str, extra: Mapping[str, str], *, fenced: bool = False
    ) -> None:
        self._fenced = fenced  # whether its conditional writes need not be tried
        self._client, self._bucket, self._base, self._extra = client, bucket, key, dict(extra)
        self._key = key if workspace == DEFAULT_WORKSPACE else f"{key}.workspaces/{workspace}"
        self.location = f"s3://{bucket}/{self._key}"

    def read(self) -> Version | None:
        found = self._get(self._key)
        return None if found is None else Version(found[0], found[1])

    def write(self, text: bytes, seen: str) -> str:
        condition = {"IfMatch": seen} if seen else {"IfNoneMatch": "*"}

        def put() -> str:
            tag: str = self._put(self._key, text, **condition)["ETag"]
            return tag

        tag = self._ask(unwritable, put, otherwise={*_OTHER_IS_THERE, *_NOT_THERE}) or ""
        if tag and not self._fenced:
            self._try_fence(text)
        return tag

    def _try_fence(self, text: bytes) -> None:
        """Write what was written just now once more, under conditions that do not hold: both have to be refused.

        Stores that know no conditional writes ignore them without a word. Raises InfctlError (no-fencing).
        """
        for condition in ({"IfNoneMatch": "*"}, {"IfMatch": _NOBODYS}):
            refused = {*_OTHER_IS_THERE, *_NOT_THERE}
            again = partial(self._put, self._key, text, **condition)
            if self._ask(unwritable, again, otherwise=refused):
                detail = f"it took a write with {' '.join(condition)} although the condition did not hold"
                raise no_fencing(self.location, "has no conditional writes", detail)
        self._fenced = True

    def erase(self, seen: str) -> bool:
        def delete() -> bool:
            self._client.delete_object(Bucket=self._bucket, Key=self._key, IfMatch=seen)
            return True

        return self._ask(unwritable, delete, otherwise=_OTHER_IS_THERE | _NOT_THERE) or False

    def put(self, name: str, data: bytes) -> None:
        self._ask(unwritable, lambda: self._put(f"{self._key}.{name}", data))

    def get(self, name: str) -> bytes | None:
        found = self._get(f"{self._key}.{name}")
        return None if found is None else found[0]

    def drop(self, name: str) -> None:
        self._ask(unwritable, lambda: self._client.delete_object(Bucket=self._bucket, Key=f"{self._key}.{name}"))

    def names(self) -> tuple[str, ...]:
        start = len(self._key) + 1
        folders = (f"{self._key}.history/", f"{self._key}.journal/")
        return tuple(name[start:] for folder in folders for name in self._list(folder))

    def workspaces(self) -> tuple[str, ...]:
        prefix = f"{self._base}.workspaces/"
        return tuple(name.removeprefix(prefix) for name in self._list(prefix, Delimiter="/"))

    def enter(self, ident: str, dead: str) -> bool:  # noqa: ARG002  -- a bucket knows no locks
        return True

    def leave(self) -> None:
        """A bucket knows no locks."""

    # ---------------------------------------------------------------- requests

    def _get(self, key: str) -> tuple[bytes, str] | None:
        def get() -> tuple[bytes, str]:
            found = self._client.get_object(Bucket=self._bucket, Key=key)
            return found["Body"].read(), found["ETag"]

        for _ in range(TRIES - 1):  # boto3 tries a request again, but not a body that breaks off
            try:
                return self._ask(unreadable, get, otherwise=_NOT_THERE)
            except BrokenOffError:
                continue
        return self._ask(unreadable, get, otherwise=_NOT_THERE)

    def _put(self, key: str, data: bytes, **condition: str) -> Any:
        return self._client.put_object(Bucket=self._bucket, Key=key, Body=data, **condition, **self._extra)

    def _list(self, prefix: str, **asked: str) -> tuple[str, ...]:
        def pages() -> Iterator[str]:
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix, **asked
            ):
                yield from (each["Key"] for each in page.get("Contents", ()))

        return self._ask(unreadable, lambda: tuple(pages())) or ()

    def _ask(
        self,
        failed: Callable[[str, str], InfctlError],
        request: Callable[[], T],
        otherwise: frozenset[str] | set[str] = frozenset(),
    ) -> T | None:
        """Return what `request` gives, None where the bucket's answer is one of `otherwise`."""
        from botocore.exceptions import (  # noqa: PLC0415  -- loaded already, by whoever made the client
            BotoCoreError,
            ClientError,
            HTTPClientError,
            IncompleteReadError,
            NoCredentialsError,
            ResponseStreamingError,
        )

        try:
            return request()
        except ClientError as answer:
            code, said = refusal(answer)
            if code in otherwise:
                return None
            raise self._refused(code, said, failed) from answer
        except NoCredentialsError as failure:
            raise forbidden(self.location, "there are no credentials", _CREDENTIALS) from failure
        except (ResponseStreamingError, IncompleteReadError) as failure:
            raise BrokenOffError(*failed(self.location, "the answer broke off").diagnostics) from failure
        except (HTTPClientError, BotoCoreError) as failure:
            raise failed(self.location, str(failure)) from failure

    def _refused(self, code: str, said: str, failed: Callable[[str, str], InfctlError]) -> InfctlError:
        if code == "NoSuchBucket":
            hint = f"aws s3 mb s3://{self._bucket}, with versioning on; or correct state.bucket"
            return absent(self.location, f"there is no bucket {self._bucket}", hint)
        if code in _EXPIRED:
            return forbidden(self.location, f"{code}: {said}", _LOGIN)
        if code in _FORBIDDEN:
            return forbidden(self.location, f"{code}: {said}")
        return failed(self.location, f"{code}: {said}")


class BrokenOffError(InfctlError):
    """An answer that ended before its end."""


def open_s3(state: S3State, workspace: str) -> S3Place:
    """Return the place that `state` describes, with credentials as boto3 finds them; nothing is asked of it yet.

    Raises InfctlError (extra-missing, state-forbidden).
    """
    asked = {"ServerSideEncryption": state.sse, "SSEKMSKeyId": state.kms_key}
    client = client_of("s3", state.region, state.profile, state.endpoint, path_style=state.path_style)
    extra = {name: value for name, value in asked.items() if value}
    amazons = not (state.endpoint or client.meta.endpoint_url.rpartition(".amazonaws.com")[0] == "")
    return S3Place(client, state.bucket, state.key, workspace, extra, fenced=amazons)
