"""Owns completing new pins: what a tag and a model's address stand for today, asked once and then kept.

Pins that are kept are not touched, so a plan of what is pinned asks nobody. Knows neither registries nor hubs: both
answers come through `Lookups`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from infctl.desired.remote import Remote
from infctl.desired.settle import PinChange, Settled
from infctl.diagnostics import Code, Diagnostic, InfctlError, error
from infctl.engines.pin import Key, Pin
from infctl.frozen import dataclass
from infctl.provider.errors import ProviderError

if TYPE_CHECKING:
    from infctl.spec.stack import Stack

IMAGE_UNRESOLVED = Code(
    "image-unresolved",
    "What an image's tag stands for could not be found out, so the image cannot be pinned.",
    "Mend the name or the way to the registry, or name the image with its digest: NAME@sha256:…",
)
DIGEST = "@sha256:"


@dataclass(frozen=True, slots=True)
class Lookups:
    """`image` returns, for a target, an image with its digest; raises ProviderError. `model` looks a uri up, for an
    engine that takes one file or a whole repository, quantized as asked; raises InfctlError.
    """

    image: Callable[[str, str], str]
    model: Callable[[str, bool, str], Remote]


def complete(stack: Stack, settled: Settled, lookups: Lookups) -> Settled:
    """Return `settled` with its changes complete; one that turns out to be none is dropped.

    Raises InfctlError with all that could not be found out.
    """
    asking = _Asking(stack, lookups)
    pins: dict[Key, Pin] = dict(settled.pins)
    changes = []
    for change in settled.changes:
        after = asking.complete(change)
        pins[change.model, change.target] = after
        if change.before != after:
            changes.append(replace(change, after=after))
    if asking.problems:
        raise InfctlError(*asking.problems)
    return Settled(pins, tuple(changes))


class _Asking:
    """Asks each question once, and keeps what went wrong."""

    def __init__(self, stack: Stack, lookups: Lookups) -> None:
        self._stack, self._lookups = stack, lookups
        self._images: dict[tuple[str, str], str] = {}
        self._models: dict[tuple[str, bool, str], Remote] = {}
        self.problems: list[Diagnostic] = []

    def complete(self, change: PinChange) -> Pin:
        pin = change.after
        if not pin.image:
            return pin
        return self._model(change, replace(pin, image=self._image(change, pin.image)))

    def _image(self, change: PinChange, image: str) -> str:
        if DIGEST in image:
            return image
        asked = (change.target, image)
        if asked not in self._images:
            self._images[asked] = image  # a second question would fail like the first
            try:
                self._images[asked] = self._lookups.image(*asked)
            except ProviderError as failure:
                said = failure.diagnostics[0]
                summary = f"{image} cannot be pinned for {change.model} on {change.target}"
                detail = f"{said.summary}: {said.detail}" if said.detail else said.summary
                self._tell(change, "image", error(IMAGE_UNRESOLVED, summary, detail, hint=said.hint))
        return self._images[asked]

    def _model(self, change: PinChange, pin: Pin) -> Pin:
        if not pin.model_uri or pin.model_uri.startswith("file:"):
            return pin
        model = self._stack.models[change.model]
        asked = (pin.model_uri, pin.engine == "llama.cpp", model.quantization)
        if asked not in self._models:
            self._models[asked] = Remote(pin.model_uri)
            try:
                self._models[asked] = self._lookups.model(*asked)
            except InfctlError as failure:
                for each in failure.diagnostics:
                    self._tell(change, "uri", each)
        found = self._models[asked]
        return replace(
            pin,
            model_uri=found.uri,
            model_revision=found.revision,
            model_sha256=found.sha256,
            model_bytes=found.bytes,
        )

    def _tell(self, change: PinChange, field: str, problem: Diagnostic) -> None:
        path = f"models.{change.model}.{field}"
        hint = problem.hint or problem.code.remedy
        placed = replace(problem, hint=hint, path=path, address=f"model.{change.model}")
        self.problems.append(placed.at(self._stack.locate(path)))
