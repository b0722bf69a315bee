"""Owns how an object of a cluster describes itself: infctl's labels and annotations, written and read back. Pure.

What is selected by is a label (at most 63 characters); what is long is an annotation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from infctl.provider.values import Change, Labels, Scope, Values, decode, encode, without_secrets

PREFIX = "infctl.io/"
MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "infctl"  # also the field manager of everything that is written
ID, LINEAGE, STACK, WORKSPACE = (PREFIX + word for word in ("id", "lineage", "stack", "workspace"))
TARGET, MODEL, REVISION = (PREFIX + word for word in ("target", "model", "revision"))
ADDRESS, SPEC, FENCE = (PREFIX + word for word in ("address", "spec-hash", "fence"))
NAME, VALUES, STOPPED, TAG = (PREFIX + word for word in ("name", "values", "stopped", "tag."))


class Described(NamedTuple):
    """What an object says of itself. `name` is the one it was given, `values` those it was made with."""

    labels: Labels
    target: str
    name: str
    values: Values


def write_labels(labels: Labels, target: str) -> dict[str, str]:
    """Return what an object is found by. Of no model, it has no such label."""
    return {
        MANAGED_BY: MANAGER,
        ID: labels.id,
        LINEAGE: labels.lineage,
        STACK: labels.stack,
        WORKSPACE: labels.workspace,
        TARGET: target,
        REVISION: str(labels.revision),
        **({MODEL: labels.model} if labels.model else {}),
    }


def write_annotations(change: Change) -> dict[str, str]:
    """Return what else an object says of itself. Of a secret only its reference is in it."""
    values = encode(without_secrets(change.after or {}))
    return {
        ADDRESS: change.labels.address,
        SPEC: change.labels.spec_hash,
        FENCE: str(change.labels.fence),
        NAME: change.name,
        VALUES: json.dumps(values, separators=(",", ":"), ensure_ascii=False, sort_keys=True),
        STOPPED: "false",
        **{f"{TAG}{name}": str(value) for name, value in ((change.after or {}).get("tags") or {}).items()},
    }


def pod_labels(labels: Labels) -> dict[str, str]:
    """Return the labels of a replica's pods: of whom they are, and what Services, budgets and people select by."""
    return {
        MANAGED_BY: MANAGER, ID: labels.id, STACK: labels.stack, WORKSPACE: labels.workspace, MODEL: labels.model,
        REVISION: str(labels.revision),
    }  # fmt: skip


def scope_selector(scope: Scope) -> str:
    """Return the label selector of all that is looked for by labels."""
    of = f"{LINEAGE}={scope.lineage}" if scope.lineage else f"{STACK}={scope.stack},{WORKSPACE}={scope.workspace}"
    return f"{MANAGED_BY}={MANAGER},{of}"


def read_labels(thing: Mapping[str, Any]) -> Described | None:
    """Return what an object says of itself, None where it says nothing, or what was written by hand."""
    meta = thing.get("metadata") or {}
    labels, notes = meta.get("labels") or {}, meta.get("annotations") or {}
    try:
        said = Labels(
            labels[ID], labels[LINEAGE], labels[STACK], labels[WORKSPACE], notes[ADDRESS], labels.get(MODEL, ""),
            int(labels[REVISION]), notes[SPEC], int(notes[FENCE]),
        )  # fmt: skip
        return Described(said, labels[TARGET], notes[NAME], decode(json.loads(notes[VALUES])))
    except (KeyError, ValueError):
        return None


def is_stopped(thing: Mapping[str, Any]) -> bool:
    return ((thing.get("metadata") or {}).get("annotations") or {}).get(STOPPED) == "true"
