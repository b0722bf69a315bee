"""Owns renewing inference.lock.yaml on purpose: which pins change, and the file written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from infctl.diagnostics import InfctlError, did_you_mean, error
from infctl.frozen import dataclass
from infctl.ops.pins import Pins, Report, lookups_of, offers_of_world, settle_pins
from infctl.ops.reading import Readings
from infctl.plan.request import Request

if TYPE_CHECKING:
    from infctl.desired.settle import PinChange
    from infctl.engines.pin import Key, Pin
    from infctl.ops.session import Session
    from infctl.plan.request import TargetView
    from infctl.spec.stack import Stack


@dataclass(frozen=True, slots=True)
class Locked:
    """What the lock file holds now, and how that came. `dropped` are pins of what left the stack.

    `newer` maps an engine whose installed version is not the pinned one to (that version, the models that stay).
    """

    path: Path
    pins: Mapping[Key, Pin]
    changes: tuple[PinChange, ...] = ()
    dropped: tuple[Key, ...] = ()
    newer: Mapping[str, tuple[str, tuple[str, ...]]] | None = None
    written: bool = False


def lock_models(session: Session, models: Iterable[str], report: Report, *, upgrade: bool = False) -> Locked:
    """Pin `models` (all, where none is named) to what the file asks for now; with `upgrade` to the newest engine,
    image and model. Targets are asked what a new image's tag stands for, and what they have where that decides.

    Raises InfctlError (unknown-model, lock-unwritable, and all that is wrong with models and the lock file).
    """
    from infctl.desired.lockfile import write_lock

    stack = session.stack
    assert stack is not None  # noqa: S101  -- opened with its file
    only = frozenset(models)
    _refuse_unknown(stack, only)
    found = settle_pins(
        stack,
        report,
        lookups=lambda: lookups_of(session),
        only=only or None,
        upgrade=upgrade,
        offers=lambda: offers_of_world(stack, session.state(), Request(), lambda: _look(session)),
        env=session.where.env,
    )
    settled = found.settled
    renamed_from = {(move.from_, target) for move in stack.moved for _, target in settled.pins}
    dropped = tuple(sorted(key for key in found.locked.keys() - settled.pins.keys() if key not in renamed_from))
    written = write_lock(found.path, settled.pins)
    return Locked(found.path, settled.pins, settled.changes, dropped, _newer(found), written)


def _look(session: Session) -> Mapping[str, TargetView]:
    state = session.state()
    session.open_providers(state)
    return Readings(session, state, lambda _event: None).finish()


def _refuse_unknown(stack: Stack, models: frozenset[str]) -> None:
    from infctl.spec.like import UNKNOWN_MODEL

    problems = [
        error(
            UNKNOWN_MODEL,
            f"There is no model {name}",
            hint=did_you_mean(name, stack.models) or f"models: {', '.join(list(stack.models)[:10])}",
        )
        for name in sorted(models - stack.models.keys())
    ]
    if problems:
        raise InfctlError(*problems)


def _newer(found: Pins) -> Mapping[str, tuple[str, tuple[str, ...]]]:
    held: dict[str, dict[str, None]] = {}
    for (model, _), pin in found.settled.pins.items():
        installed = found.decisions.versions.get(pin.engine, "")
        if installed and pin.engine_version and installed != pin.engine_version and not pin.image:
            held.setdefault(pin.engine, {})[model] = None
    return {engine: (found.decisions.versions[engine], tuple(models)) for engine, models in held.items()}
