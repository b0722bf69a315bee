"""Owns which spec the file asks of each model now. Looks at model files, asks no place, writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from infctl.desired.build import build
from infctl.ops.pins import settle_pins
from infctl.ops.plan import where_now
from infctl.provider.values import template_hash
from infctl.state.model import spec_of

if TYPE_CHECKING:
    from infctl.spec.stack import Stack
    from infctl.state.model import State


def asked_specs(stack: Stack, state: State) -> Mapping[str, str]:
    """Return model -> spec hash, as the next plan would take it. Raises InfctlError for what is wrong with models."""
    pins = settle_pins(stack, lambda _path, _done, _all: None)
    hashes: dict[str, dict[str, str]] = {}
    for wish in build(pins.stack, pins.decisions, pins.every, where_now(state), pins.shares):
        hashes.setdefault(wish.deployment.model, {})[wish.target] = template_hash(wish.deployment.template)
    return {model: spec_of(by_target) for model, by_target in hashes.items()}
