"""Owns how an object on AWS describes itself: infctl's tags, written and read back. Pure.

A tag's value holds 256 characters of a small alphabet (docs.aws.amazon.com/tag-editor, "Tag naming limits"), so the
values that an object was made with stand in several, as base64 of what zlib made of their JSON.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Labels, Scope, Values, decode, encode, without_secrets

ID, LINEAGE, STACK, WORKSPACE, TARGET = (f"infctl:{word}" for word in ("id", "lineage", "stack", "workspace", "target"))
ADDRESS, MODEL, REVISION, SPEC, FENCE, NAME = (
    f"infctl:{word}" for word in ("address", "model", "revision", "spec_hash", "fence", "name")
)
VALUES = "infctl:values."
CHUNK = 256  # characters of a tag's value
MOST = 30  # tags of values: of the 50 that an object may have (IAM, ELB, EC2), labels take 12 and users want some

Tags = Mapping[str, str]


class Described(NamedTuple):
    """What an object says of itself. `values` are those it was made with."""

    labels: Labels
    target: str
    name: str
    values: Values


def write_tags(change: Change, values: Values) -> dict[str, str]:
    """Return the tags of what `change` makes; of a secret only its reference is in them.

    Raises ProviderError where the values are longer than tags can be.
    """
    labels = change.labels
    written = {
        "Name": change.name,
        ID: labels.id,
        LINEAGE: labels.lineage,
        STACK: labels.stack,
        WORKSPACE: labels.workspace,
        TARGET: change.target,
        ADDRESS: _pack(labels.address),
        MODEL: labels.model,
        REVISION: str(labels.revision),
        SPEC: labels.spec_hash,
        FENCE: str(labels.fence),
        NAME: change.name,
    }
    packed = _pack(encode(without_secrets(values)))
    chunks = [packed[start : start + CHUNK] for start in range(0, len(packed), CHUNK)]
    if len(chunks) > MOST:
        raise ProviderError(
            f"{change.address} says more of itself than AWS's tags can hold",
            f"{len(packed)} characters, {MOST * CHUNK} fit",
            hint="shorten the model's command, engine_args or env; a long setting belongs into the image",
            address=str(change.address),
        )
    return {**written, **{f"{VALUES}{number}": chunk for number, chunk in enumerate(chunks)}}


def read_tags(tags: Tags) -> Described | None:
    """Return what `write_tags` wrote, None where they are a stranger's, or were written by hand."""
    try:
        labels = Labels(
            tags[ID], tags[LINEAGE], tags[STACK], tags[WORKSPACE], str(_unpack(tags[ADDRESS])), tags[MODEL],
            int(tags[REVISION]), tags[SPEC], int(tags[FENCE]),
        )  # fmt: skip
        packed = "".join(tags[f"{VALUES}{number}"] for number in range(sum(key.startswith(VALUES) for key in tags)))
        return Described(labels, tags[TARGET], tags[NAME], decode(_unpack(packed)))
    except (KeyError, ValueError, zlib.error):
        return None


def user_tags(values: Values) -> dict[str, str]:
    """Return the model's own tags, for whoever reads bills."""
    return {str(name): str(value) for name, value in (values.get("tags") or {}).items()}


def launch_tags(change: Change, values: Values) -> dict[str, str]:
    """Return what parts of an object carry, as instances and disks of a group: whose they are, and the model's tags."""
    labels = change.labels
    mine = {"Name": change.name, LINEAGE: labels.lineage, STACK: labels.stack, MODEL: labels.model, ID: labels.id}
    return {**user_tags(values), **mine}


def stale(before: Tags, after: Tags) -> list[str]:
    """Return the keys of infctl's own tags that `after` has no more."""
    return sorted(key for key in before if key.startswith("infctl:") and key not in after)


def as_list(tags: Tags) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def as_tags(found: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {str(each["Key"]): str(each["Value"]) for each in found}


def mark_of(stack: str) -> tuple[str, str]:
    """Return the tag that everything of a stack carries, whatever its lineage: state may know objects of another."""
    return STACK, stack


def is_ours(described: Described, scope: Scope, target: str) -> bool:
    """Return whether an object that describes itself so is looked for on this target."""
    known = any(one.id == described.labels.id for one in scope.known)
    return described.target == target and (known or scope.covers(described.labels))


def _pack(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _unpack(packed: str) -> Any:
    return json.loads(zlib.decompress(base64.b64decode(packed)))
