"""Owns the one place to import from what passes between the core and a provider: wishes, sightings, changes.

All are frozen; mappings in them are treated as frozen too. Knows no provider and does no I/O.
"""

from __future__ import annotations

from infctl.provider.changes import Change, Do, Emit, Health, Progress
from infctl.provider.plain import Ref, Values, decode, digest, encode, leaves, refs, without_secrets
from infctl.provider.seen import Device, Inventory, Known, Labels, Observed, Place, Purchase, Reading, Scope, Unreadable
from infctl.provider.wishes import (
    Deployment,
    Desired,
    Probe,
    Share,
    Spot,
    TargetWant,
    Template,
    template_from,
    template_hash,
    template_values,
)

__all__ = [
    "Change",
    "Deployment",
    "Desired",
    "Device",
    "Do",
    "Emit",
    "Health",
    "Inventory",
    "Known",
    "Labels",
    "Observed",
    "Place",
    "Probe",
    "Progress",
    "Purchase",
    "Reading",
    "Ref",
    "Scope",
    "Share",
    "Spot",
    "TargetWant",
    "Template",
    "Unreadable",
    "Values",
    "decode",
    "digest",
    "encode",
    "leaves",
    "refs",
    "template_from",
    "template_hash",
    "template_values",
    "without_secrets",
]
