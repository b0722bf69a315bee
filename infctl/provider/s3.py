"""Owns addresses of objects in S3, and in what speaks its language: signed for a while, so that whoever has one needs
no credentials; and what its listings say. No SDK: a signature is a few HMACs.

Sources: docs.aws.amazon.com/AmazonS3/latest/API (sigv4-query-string-auth, ListObjectsV2). Knows no model and no host.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from configparser import ConfigParser, Error
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit
from xml.etree.ElementTree import ParseError, fromstring

from infctl.secrets import Secret

ALGORITHM = "AWS4-HMAC-SHA256"
DEFAULT_REGION = "us-east-1"
LONGEST = 604_800  # seconds that a signature may hold


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket and the right to it. `endpoint` is the address of another store than Amazon's, "" for Amazon's; without
    `key` the address is not signed, as a public bucket needs.
    """

    name: str
    region: str = DEFAULT_REGION
    endpoint: str = ""
    key: str = ""
    secret: Secret = field(default_factory=lambda: Secret(""))
    token: Secret = field(default_factory=lambda: Secret(""))

    def address(
        self,
        path: str = "",
        *,
        method: str = "GET",
        query: Mapping[str, str] | None = None,
        seconds: int = 3_600,
        now: datetime | None = None,
    ) -> str:
        """Return the address of the object at `path`, or of the bucket itself, that holds for so many `seconds`."""
        base, begin = self._base()
        full = f"{begin}/{quote(path, safe='/~')}"
        asked = dict(query or {})
        if not self.key:
            return f"{base}{full}{'?' if asked else ''}{_query(asked)}"
        when = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{when[:8]}/{self.region}/s3/aws4_request"
        asked |= {
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{self.key}/{scope}",
            "X-Amz-Date": when,
            "X-Amz-Expires": str(min(seconds, LONGEST)),
            "X-Amz-SignedHeaders": "host",
        }
        if token := self.token.reveal():
            asked["X-Amz-Security-Token"] = token
        host = urlsplit(base).netloc
        request = f"{method}\n{full}\n{_query(asked)}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
        to_sign = f"{ALGORITHM}\n{when}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = hmac.new(self._signing_key(when[:8]), to_sign.encode(), hashlib.sha256).hexdigest()
        return f"{base}{full}?{_query(asked)}&X-Amz-Signature={signature}"

    def _base(self) -> tuple[str, str]:
        """Return scheme and host, and what every path begins with: other stores have the bucket in the path."""
        if self.endpoint:
            return self.endpoint.rstrip("/"), f"/{self.name}"
        if "." in self.name:  # a certificate for *.s3.amazonaws.com does not cover it
            return f"https://s3.{self.region}.amazonaws.com", f"/{self.name}"
        where = "" if self.region == DEFAULT_REGION else f".{self.region}"
        return f"https://{self.name}.s3{where}.amazonaws.com", ""

    def _signing_key(self, day: str) -> bytes:
        key = f"AWS4{self.secret.reveal()}".encode()
        for part in (day, self.region, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key


def _query(asked: Mapping[str, str]) -> str:
    return "&".join(f"{quote(name, safe='~')}={quote(asked[name], safe='~')}" for name in sorted(asked))


def bucket_from(name: str, env: Mapping[str, str]) -> Bucket:
    """Return a bucket with the rights of whoever runs infctl: AWS_ACCESS_KEY_ID and its like of `env`, else the
    profile AWS_PROFILE of ~/.aws/credentials, else none.
    """
    told = {
        word: env.get(f"AWS_{word.upper()}", "") for word in ("access_key_id", "secret_access_key", "session_token")
    }
    if not told["access_key_id"]:
        told = _profile(env)
    region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
    endpoint = env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL") or ""
    secret, token = Secret(told["secret_access_key"]), Secret(told["session_token"])
    return Bucket(name, region, endpoint, told["access_key_id"], secret, token)


class Object(NamedTuple):
    """One object of a listing; `size` in bytes."""

    key: str
    etag: str
    size: int


def listing_query(folder: str, after: str = "") -> Mapping[str, str]:
    """Return what a bucket's address is asked for a page of the objects below `folder`; `after` is the last page's."""
    asked = {"list-type": "2", "prefix": f"{folder.rstrip('/')}/"}
    return {**asked, "continuation-token": after} if after else asked


def read_listing(body: bytes) -> tuple[list[Object], str]:
    """Return the objects on a page, and the token of the next page. Raises ValueError for what is no listing."""
    try:
        told = fromstring(body)  # noqa: S314  -- the user's own store; expat bounds what entities may grow to
        rows = [{part.tag.rpartition("}")[2]: part.text or "" for part in each} for each in told.iter() if len(each)]
        page = [Object(row["Key"], row["ETag"].strip('"'), int(row["Size"])) for row in rows if "Key" in row]
    except (ParseError, KeyError) as failure:
        raise ValueError(str(failure)) from failure
    return page, next((row["NextContinuationToken"] for row in rows if "NextContinuationToken" in row), "")


def digest_of(objects: Iterable[Object]) -> str:
    """Return what stays equal as long as a listing says the same: the digest of lines `ETAG  SIZE  KEY`, by key."""
    return hashlib.sha256(
        "".join(f"{etag}  {size}  {key}\n" for key, etag, size in sorted(objects)).encode()
    ).hexdigest()


def _profile(env: Mapping[str, str]) -> dict[str, str]:
    file = env.get("AWS_SHARED_CREDENTIALS_FILE") or (Path(env["HOME"]) / ".aws/credentials" if env.get("HOME") else "")
    read, name = ConfigParser(interpolation=None), env.get("AWS_PROFILE", "default")
    try:
        read.read(file or ())
    except (OSError, Error, UnicodeDecodeError):  # whoever needs the rights is told that there are none
        read.clear()
    return {
        word: read.get(name, f"aws_{word}", fallback="")
        for word in ("access_key_id", "secret_access_key", "session_token")
    }
