"""Owns the policies that show only once everything is pinned: what runs must be known by its digest. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from infctl.desired.complete import DIGEST
from infctl.diagnostics import Diagnostic, error
from infctl.engines.pin import Key, Pin
from infctl.spec.policy_rules import IMAGE_DIGEST, POLICY_BROKEN

if TYPE_CHECKING:
    from infctl.spec.stack import Stack


def break_by_pins(stack: Stack, pins: Mapping[Key, Pin]) -> Iterator[Diagnostic]:
    """Yield an error for each model that would run an image known by no digest, where the stack's policies ask for one.

    Targets that look images up pin them by digest, so this is for those that do not.
    """
    if stack.policies is None or IMAGE_DIGEST not in stack.policies.require:
        return
    for (model, target), pin in pins.items():
        if pin.image and DIGEST not in pin.image:
            path = f"models.{model}.image"
            yield error(
                POLICY_BROKEN,
                f"{model} would run {pin.image} on {target}, which is known by no digest",
                f"policies.require names {IMAGE_DIGEST}",
                hint="name the image with its digest: NAME@sha256:…",
                span=stack.locate(path),
                path=path,
                address=f"model.{model}",
            )
