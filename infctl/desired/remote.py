"""Owns looking at models that are elsewhere: what stands behind a uri today, without fetching it.

Asks a hub or a server for names, sizes and checksums only. Knows no pin; how files come to a host is its provider's.
Sources: huggingface.co/docs/hub/api (GET /api/models/ID/revision/REV), RFC 9110 (ETag, Content-Length), Amazon S3's
API reference (HeadObject, ListObjectsV2).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from infctl.diagnostics import Code, InfctlError, did_you_mean, error
from infctl.engines.asked import HUB_URI
from infctl.provider.s3 import Object, bucket_from, digest_of, listing_query, read_listing
from infctl.secrets import Secret

MODEL_UNREACHABLE = Code(
    "model-unreachable",
    "A model that is not a local file could not be looked at, so it cannot be pinned.",
    "Mend the uri or the way there; a model that is pinned already is not looked at again.",
)
HUB = "https://huggingface.co"
TIMEOUT = 20.0  # seconds for one answer
LONGEST = 32_000_000  # bytes of an answer; a listing of ten thousand files has three million
_SHA256 = re.compile(r"sha256=([0-9a-f]{64})")
_PARTS = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
_NAMED = 8  # files that a hint lists
_NO_SUCH = frozenset({401, 403, 404})


@dataclass(frozen=True, slots=True)
class Remote:
    """What stands behind a uri. `uri` names the very file where one of several was chosen; `revision` is a commit, an
    ETag, or the digest of a listing (lines `ETAG  SIZE  KEY`, sorted by key); `bytes` the size of what an engine
    loads, 0 where nobody says; `sha256` that of a single file.
    """

    uri: str
    revision: str = ""
    sha256: str = ""
    bytes: int = 0


def look(uri: str, *, one_file: bool, quantization: str, env: Mapping[str, str]) -> Remote:
    """Return what stands behind `uri` now, for an engine that takes `one_file` (GGUF, quantized as asked) or the whole.

    `env` may hold HF_ENDPOINT, HF_TOKEN, and what `s3` reads. Raises InfctlError (model-unreachable).
    """
    scheme = uri.partition(":")[0]
    if scheme == "hf":
        return _look_at_hub(uri, env, one_file=one_file, quantization=quantization)
    if scheme in {"http", "https"}:
        return _look_at_file(uri)
    if scheme == "s3":
        return _look_at_bucket(uri, env, one_file=one_file)
    hint = "name a file:, hf://, https:// or s3:// instead"
    raise InfctlError(error(MODEL_UNREACHABLE, f"{uri} cannot be looked at", f"no code reads {scheme}:", hint=hint))


# ---------------------------------------------------------------- Hugging Face Hub


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of a hub at one commit. `file` is the one that its uri names, `files` what the hub says of each."""

    uri: str
    id: str
    file: str
    revision: str
    files: Mapping[str, Mapping[str, Any]]
    endpoint: str
    token: Secret

    def address(self, file: str) -> str:
        """Return where a file's bytes are."""
        return f"{self.endpoint}/{self.id}/resolve/{self.revision}/{quote(file)}"


def list_hub(uri: str, env: Mapping[str, str]) -> Repository:
    """Return the repository that an `hf://` uri names. Raises InfctlError (model-unreachable)."""
    named = HUB_URI.fullmatch(uri)
    if named is None:
        raise _refuse(uri, "it is not OWNER/NAME", "write hf://OWNER/NAME, hf://OWNER/NAME@REVISION or …/FILE.gguf")
    owner, asked = named["id"], named["revision"] or "main"
    endpoint, token = env.get("HF_ENDPOINT", "").rstrip("/") or HUB, Secret(env.get("HF_TOKEN", ""))
    address = f"{endpoint}/api/models/{owner}/revision/{quote(asked, safe='')}?blobs=true"
    body = _ask(uri, _request(address, token), _hub_hint(owner, asked, token.reveal()))[1]
    try:
        told = json.loads(body)
        files = {str(each["rfilename"]): each for each in told["siblings"]}
        revision = str(told["sha"])
    except (ValueError, KeyError, TypeError) as failure:
        raise _refuse(uri, f"{endpoint} did not answer as a hub does", "see HF_ENDPOINT") from failure
    return Repository(uri, owner, named["file"] or "", revision, files, endpoint, token)


def _request(address: str, token: Secret) -> Request:
    """Return a question that carries the token, to this address only: large files are redirected elsewhere."""
    request = Request(address)  # noqa: S310  -- http(s): the user's own endpoint
    if token.reveal():
        request.add_unredirected_header("Authorization", f"Bearer {token.reveal()}")
    return request


def read_part(repository: Repository, file: str, start: int, count: int) -> bytes:
    """Return at most `count` bytes of a file from `start` on. Raises InfctlError (model-unreachable)."""
    request = _request(repository.address(file), repository.token)
    request.add_header("Range", f"bytes={start}-{start + count - 1}")
    where = f"{repository.uri}, {file},"
    headers, body = _ask(where, request, lambda _status: "", most=count)
    if start and not headers.get("Content-Range", "").startswith(f"bytes {start}-"):
        raise _refuse(where, f"{request.host} does not give parts of files", "name a folder that has the files instead")
    return body


def _look_at_hub(uri: str, env: Mapping[str, str], *, one_file: bool, quantization: str) -> Remote:
    found = list_hub(uri, env)
    files = found.files
    if one_file or found.file:
        name = _choose(uri, found.file, tuple(files), quantization)
        base = uri if found.file else f"{uri.rstrip('/')}/{name}"
        return Remote(base, found.revision, str((files[name].get("lfs") or {}).get("sha256", "")), _size(files[name]))
    weights = [each for name, each in files.items() if name.endswith(".safetensors")] or list(files.values())
    return Remote(uri, found.revision, "", sum(map(_size, weights)))


def _size(file: Mapping[str, Any]) -> int:
    size = file.get("size")
    return size if isinstance(size, int) else 0


def _choose(uri: str, asked: str, files: tuple[str, ...], quantization: str) -> str:
    """Return the file that is meant. Raises InfctlError where none or several are."""
    if asked:
        if asked in files:
            return asked
        hint = did_you_mean(asked, files) or _listed(files)
        raise _refuse(uri, f"the repository has no {asked}", hint)
    fitting = [name for name in files if name.endswith(".gguf")]
    wanted = quantization.partition(":")[2].lower()
    if wanted:
        fitting = [name for name in fitting if re.search(rf"(?:^|[-._/]){re.escape(wanted)}(?:[-./]|$)", name.lower())]
    if len(fitting) == 1 and not _PARTS.search(fitting[0]):
        return fitting[0]
    if not fitting:
        what = f"no GGUF file of {quantization.partition(':')[2]}" if wanted else "no GGUF file"
        raise _refuse(uri, f"it has {what}", _listed([name for name in files if name.endswith(".gguf")]))
    if any(map(_PARTS.search, fitting)):
        raise _refuse(uri, "it is cut into parts", "name a repository that has the file in one piece")
    raise _refuse(uri, f"it has {len(fitting)} GGUF files", f"name one: {_listed(fitting)}")


def _listed(names: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"it has {', '.join(names[:_NAMED])}{more}" if names else "name a repository that has one"


def _hub_hint(owner: str, revision: str, token: str) -> Callable[[int], str]:
    def hint(status: int) -> str:
        if status not in _NO_SUCH:
            return ""
        way = "the token in HF_TOKEN may read it" if token else "set HF_TOKEN to a token that may read it"
        return f"see that {owner} has a revision {revision}; if it is private or gated, accept its terms and {way}"

    return hint


# ---------------------------------------------------------------- S3


def _look_at_bucket(uri: str, env: Mapping[str, str], *, one_file: bool) -> Remote:
    name, _, path = uri.removeprefix("s3://").partition("/")
    bucket = bucket_from(name, env)
    rights = "its credentials may read it" if bucket.key else "set AWS_ACCESS_KEY_ID and its like"

    def hint(status: int) -> str:
        return f"see that bucket and name are right, and {rights}" if status in _NO_SUCH else ""

    if one_file:
        headers, _ = _ask(uri, Request(bucket.address(path, method="HEAD"), method="HEAD"), hint)  # noqa: S310  -- http(s)
        return Remote(uri, _etag(headers), "", int(headers.get("Content-Length") or 0))
    found: list[Object] = []
    more = ""
    while not found or more:
        body = _ask(uri, Request(bucket.address(query=listing_query(path, more))), hint)[1]  # noqa: S310
        try:
            page, more = read_listing(body)
        except ValueError as failure:
            raise _refuse(uri, "the store did not answer as S3 does", "see AWS_ENDPOINT_URL") from failure
        if not page:
            raise _refuse(uri, "nothing is there", "name the folder that holds config.json and the weights")
        found += page
    weights = [each.size for each in found if each.key.endswith(".safetensors")] or [each.size for each in found]
    return Remote(uri, digest_of(found), "", sum(weights))


# ---------------------------------------------------------------- one file on a server


def _look_at_file(uri: str) -> Remote:
    address, _, fragment = uri.partition("#")
    told = _SHA256.fullmatch(fragment)
    if fragment and told is None:
        raise _refuse(uri, f"#{fragment} is not a checksum", "write #sha256= and 64 hexadecimal digits of 0-9a-f")
    headers = _head(uri, address)
    revision = _etag(headers) or headers.get("Last-Modified") or ""
    if not revision and told is None:
        hint = "add #sha256= and the file's checksum to the uri"
        raise _refuse(uri, "the server tells neither ETag nor Last-Modified, so a change would not show", hint)
    size = headers.get("Content-Range", "").rpartition("/")[2] or headers.get("Content-Length", "")
    return Remote(uri, revision, told[1] if told else "", int(size) if size.isdecimal() else 0)


def _etag(headers: HTTPMessage) -> str:
    return (headers.get("ETag") or "").removeprefix("W/").strip('"')


def _head(uri: str, address: str) -> HTTPMessage:
    """Return the headers of a file; servers that refuse HEAD are asked for its first byte."""
    try:
        return _ask(uri, Request(address, method="HEAD"), lambda _status: "")[0]  # noqa: S310  -- http(s), as the scheme says
    except InfctlError as refused:
        if not isinstance(refused.__cause__, HTTPError) or refused.__cause__.code == 404:  # noqa: PLR2004
            raise
    return _ask(uri, Request(address, headers={"Range": "bytes=0-0"}), lambda _status: "")[0]  # noqa: S310


def _ask(
    uri: str, request: Request, hint: Callable[[int], str], *, most: int | None = None
) -> tuple[HTTPMessage, bytes]:
    """Return an answer and `most` bytes of its body: all of a listing, none where only the headers were asked for."""
    request.add_header("User-Agent", "infctl")
    if most is None:
        most = LONGEST if request.get_method() == "GET" and not request.has_header("Range") else 0
    try:
        with urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310  -- http(s) only: see `look`
            return answer.headers, answer.read(most) if most else b""
    except HTTPError as failure:
        failure.close()
        raise _refuse(uri, f"{request.host} answered {failure.code} {failure.reason}", hint(failure.code)) from failure
    except (URLError, OSError, HTTPException) as failure:
        reason = failure.reason if isinstance(failure, URLError) else failure
        raise _refuse(uri, f"{request.host} did not answer: {reason}", "") from failure


def _refuse(uri: str, detail: str, hint: str) -> InfctlError:
    said = hint or MODEL_UNREACHABLE.remedy
    return InfctlError(error(MODEL_UNREACHABLE, f"{uri} cannot be pinned", detail, hint=said))
