"""Owns how an object on a Docker host describes itself: infctl's labels, written and read back. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from infctl.provider.values import Change, Labels, Share, Values, decode, encode, without_secrets
from infctl_docker.promises import DEVICES, FENCE, ID, LINEAGE, VALUES, write_shares

STACK, WORKSPACE, TARGET = "infctl.stack", "infctl.workspace", "infctl.target"
ADDRESS, MODEL, REVISION, SPEC = "infctl.address", "infctl.model", "infctl.revision", "infctl.spec_hash"
NAME, MADE, TAG = "infctl.name", "infctl.made", "infctl.tag."


class Described(NamedTuple):
    """What an object says of itself. `name` is the one it was given, `values` those it was made with, `made` what its
    maker chose.
    """

    labels: Labels
    target: str
    name: str
    values: Values
    made: Values


def write_labels(change: Change, made: Values) -> dict[str, str]:
    """Return the Docker labels of what `change` makes. Of a secret only its reference is in them."""
    labels, after = change.labels, change.after or {}
    tags = after.get("tags") or {}
    return {
        ID: labels.id,
        LINEAGE: labels.lineage,
        STACK: labels.stack,
        WORKSPACE: labels.workspace,
        TARGET: change.target,
        ADDRESS: labels.address,
        MODEL: labels.model,
        REVISION: str(labels.revision),
        SPEC: labels.spec_hash,
        FENCE: str(labels.fence),
        NAME: change.name,
        VALUES: _text(without_secrets(after)),
        MADE: _text(made),
        **({DEVICES: write_shares(Share(*one) for one in after["devices"])} if after.get("devices") else {}),
        **{f"{TAG}{name}": str(value) for name, value in tags.items()},
    }


def read_labels(found: Mapping[str, str] | None) -> Described | None:
    """Return what `write_labels` wrote, None where they are a stranger's, or were written by hand."""
    said = found or {}
    try:
        labels = Labels(
            said[ID], said[LINEAGE], said[STACK], said[WORKSPACE], said[ADDRESS], said[MODEL],
            int(said[REVISION]), said[SPEC], int(said[FENCE]),
        )  # fmt: skip
        values, made = decode(json.loads(said[VALUES])), decode(json.loads(said[MADE]))
        return Described(labels, said[TARGET], said[NAME], values, made)
    except (KeyError, ValueError):
        return None


def _text(values: Any) -> str:
    return json.dumps(encode(values), separators=(",", ":"), ensure_ascii=False, sort_keys=True)
