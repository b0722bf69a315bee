"""Owns how the lock file compares with what would be decided now: what is kept, what is renewed, what must be said.

A pin is out of date when what it was decided from has changed: the model's uri, engine, task, quantization or image
in the file, or the contents of the model file. It is not out of date because a newer engine is installed: the pinned
version stays until `infctl lock -upgrade`, and so a new infctl alone plans no change. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from infctl.desired.lockfile import LOCK_FILE
from infctl.diagnostics import Code, Diagnostic, InfctlError, error
from infctl.engines.pin import Key, Pin
from infctl.frozen import dataclass

LOCK_OUT_OF_DATE = Code(
    "lock-out-of-date",
    "inference.lock.yaml does not pin what the file asks for now, and nobody is there to agree to a new pin.",
    "Run `infctl lock MODEL`, look at what changed, and commit the file.",
)
_MOST_SAID = 10
_SHOWN = (("engine", "engine"), ("model_uri", "uri"), ("quantization", "quantization"))
_SHORT = 12  # characters of a digest or revision that are shown


@dataclass(frozen=True, slots=True)
class PinChange:
    """One pin that is made (`before` is None), renewed or, with an upgrade, moved to another engine version."""

    model: str
    target: str
    before: Pin | None
    after: Pin

    @property
    def why(self) -> str:
        """What changed, as a short phrase."""
        if self.before is None:
            return "not pinned yet"
        said = []
        for name, word in _SHOWN:
            old, new = getattr(self.before, name), getattr(self.after, name)
            if old != new:
                said.append(f"{word} {old or 'none'} → {new or 'none'}")
        if not said and self.before.model_sha256 != self.after.model_sha256:
            said.append(f"{self.after.model_uri} has other contents")
        if not said and self.before.inputs != self.after.inputs:
            said.append("its task or image is another")
        if self.before.engine_version != self.after.engine_version and self.before.engine == self.after.engine:
            said.append(f"{self.after.engine} {self.before.engine_version or 'none'} → {self.after.engine_version}")
        return ", ".join([*said, *self._moved()])

    def _moved(self) -> Iterator[str]:
        """Yield what stands behind the same name now."""
        if self.before is None:
            return
        if self.before.image and self.after.image and self.before.image != self.after.image:
            yield f"image {_shortened(self.before.image)} → {_shortened(self.after.image)}"
        if self.before.model_revision and self.before.model_revision != self.after.model_revision:
            yield f"revision {self.before.model_revision[:_SHORT]} → {self.after.model_revision[:_SHORT]}"


@dataclass(frozen=True, slots=True)
class Settled:
    """`pins` are what runs and what the lock file should hold; `changes` is how that differs from what it holds.
    Pins of models that left the stack are not among them: they go with the next write.
    """

    pins: Mapping[Key, Pin]
    changes: tuple[PinChange, ...] = ()


def settle(
    locked: Mapping[Key, Pin],
    decided: Mapping[Key, Pin],
    *,
    renamed: Mapping[str, str] | None = None,
    only: Collection[str] | None = None,
    upgrade: bool = False,
) -> Settled:
    """Return `locked` brought up to date with `decided`.

    `renamed` maps new names of models to old ones (`moved` of the stack). With `only`, other models keep what they
    have. With `upgrade`, a newer engine is taken too. A pin that is renewed takes the engine installed now.
    """
    old_names = renamed or {}
    pins: dict[Key, Pin] = {}
    changes = []
    for key, now in decided.items():
        model, target = key
        before = locked.get(key) or locked.get((old_names.get(model, model), target))
        if before is not None and not upgrade and still_holds(before, now):
            pins[key] = before
        elif only is not None and model not in only:
            if before is not None:
                pins[key] = before
        else:
            pins[key] = now
            if before != now:
                changes.append(PinChange(model, target, before, now))
    return Settled(pins, tuple(changes))


def still_holds(pin: Pin, now: Pin) -> bool:
    """Return whether `pin` is what would be decided now, newer engines and what others publish apart.

    A model from elsewhere is not looked at again, so nothing is known of its contents.
    """
    same = pin.inputs == now.inputs and pin.engine == now.engine
    return same and (pin.model_sha256 == now.model_sha256 or _from_elsewhere(now))


def _from_elsewhere(pin: Pin) -> bool:
    return bool(pin.image and pin.model_uri) and not pin.model_uri.startswith("file:")


def _shortened(image: str) -> str:
    name, at, digest = image.rpartition("@")
    return digest.removeprefix("sha256:")[:_SHORT] if at else name or image


def refuse(settled: Settled) -> None:
    """Raise InfctlError (lock-out-of-date) if anything would have to be written to the lock file."""
    if settled.changes:
        raise InfctlError(*_out_of_date_errors(settled.changes))


def _out_of_date_errors(changes: tuple[PinChange, ...]) -> Iterator[Diagnostic]:
    for change in changes[:_MOST_SAID]:
        name = change.model
        yield error(
            LOCK_OUT_OF_DATE,
            f"{LOCK_FILE} is out of date for {name} on {change.target}",
            change.why,
            hint=f"run: infctl lock {name}",
            path=f"models.{name}",
            address=f"model.{name}",
        )
    if len(changes) > _MOST_SAID:
        more = len(changes) - _MOST_SAID
        yield error(LOCK_OUT_OF_DATE, f"{LOCK_FILE} is out of date for {more} more", hint="run: infctl lock")
