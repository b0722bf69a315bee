"""Owns settling what each model is pinned to: what the file asks for now beside what inference.lock.yaml holds.

Reads model files, writes nothing: `plan`, `apply` and `lock` each decide what becomes of the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from infctl.frozen import dataclass
from infctl.provider import registry
from infctl.provider.protocol import SupportsImages
from infctl.state.workspaces import FOLDER

if TYPE_CHECKING:
    from infctl.desired.build import Shares
    from infctl.desired.complete import Lookups
    from infctl.desired.decide import Decisions
    from infctl.desired.settle import Settled
    from infctl.diagnostics import Diagnostic
    from infctl.engines.pin import Key, Pin
    from infctl.ops.asking import Offers
    from infctl.ops.session import Session
    from infctl.ops.sized import Sized
    from infctl.plan.request import Request, TargetView
    from infctl.spec.model import Model
    from infctl.spec.stack import Stack
    from infctl.state.model import State

CACHE = "cache"  # ROOT/.infctl/cache: what is known of model files

Report = Callable[[Path, int, int], None]  # a model file being read: path, bytes done, bytes in all


@dataclass(frozen=True, slots=True)
class Pins:
    """`path` is the lock file, `locked` what it holds, `settled` what it should hold. `stack` is as it was given, with
    what was decided for `sized` models filled in.
    """

    path: Path
    locked: Mapping[Key, Pin]
    decisions: Decisions
    settled: Settled
    stack: Stack
    sized: Mapping[str, Sized] = field(default_factory=dict)
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def every(self) -> Mapping[Key, Pin]:
        """What runs: the settled pins, and of models that were decided for one target, the same on further ones."""
        pins = self.settled.pins
        if not self.sized:
            return pins
        return {**pins, **{key: pins[first] for key, first in _followers(self.stack, self.sized) if first in pins}}

    @property
    def shares(self) -> Shares:
        """How many replicas each target has of the models that were decided for several."""
        several = ((name, each.parts) for name, each in self.sized.items() if each.more)
        return {name: {part.target: part.decided.replicas for part in parts} for name, parts in several}


def _followers(stack: Stack, sized: Mapping[str, Sized]) -> Iterator[tuple[Key, Key]]:
    """Yield the further targets of models that were decided for others, each with its first: it runs the same."""
    for name, each in sized.items():
        own = {part.target for part in each.parts}
        for target in stack.models[name].placement.order:
            if target not in own:
                yield (name, target), (name, each.target)


def settle_pins(
    stack: Stack,
    report: Report,
    *,
    lookups: Callable[[], Lookups] | None = None,
    only: Collection[str] | None = None,
    upgrade: bool = False,
    offers: Callable[[], Offers] | None = None,
    env: Mapping[str, str] | None = None,
) -> Pins:
    """Return what `stack` pins now. With `only`, other models keep what they have; with `upgrade` the newest engine,
    image and model. Without `lookups` nobody is asked, and new pins of containers stay without digest and revision;
    without `offers` nothing is decided that is not pinned.

    Raises InfctlError: all that is wrong with models, model files and the lock file.
    """
    from infctl.desired.decide import Held, decide
    from infctl.desired.facts import gather
    from infctl.desired.lockfile import LOCK_FILE, read_lock
    from infctl.desired.settle import settle

    path = stack.root / LOCK_FILE
    renamed = {move.to: move.from_ for move in stack.moved}
    containers = containers_of(stack)
    sized: Mapping[str, Sized] = {}
    variants: Mapping[Key, Model] = {}
    warnings: tuple[Diagnostic, ...] = ()
    if containers:  # their flags are judged by what is pinned, so that comes first
        locked = read_lock(path)
        if any(model.workload is not None or model.slo is not None for model in stack.models.values()):
            from infctl.ops.sized import filled, size_models, variants_of

            sizing = size_models(
                stack, locked, offers() if offers else None, env or {}, renamed=renamed, only=only, upgrade=upgrade
            )
            sized, warnings = sizing.models, sizing.warnings
            variants = variants_of(stack, sized)
            stack = filled(stack, sized, containers)
        facts = gather(stack, stack.root / FOLDER / CACHE, report, containers)
        made = {
            (name, part.target): (str(part.decided), part.inputs) for name, each in sized.items() for part in each.parts
        }
        held = _by_new_names(locked, renamed)
        followers = {key: held[first] for key, first in _followers(stack, sized) if first in held}
        decisions = decide(stack, facts, containers, Held({**held, **followers}, upgrade), made, variants=variants)
    else:
        facts = gather(stack, stack.root / FOLDER / CACHE, report)
        decisions = decide(stack, facts)
        locked = read_lock(path)
    own = dict(decisions.pins)
    for key, _ in _followers(stack, sized):
        own.pop(key, None)
    settled = settle(locked, own, renamed=renamed, only=only, upgrade=upgrade)
    if containers and lookups is not None:
        from infctl.desired.complete import complete

        settled = complete(stack, settled, lookups())
    return Pins(path, locked, decisions, settled, stack, sized, warnings)


def offers_of_world(
    stack: Stack, state: State, request: Request, look: Callable[[], Mapping[str, TargetView]]
) -> Offers:
    """Return what says which devices targets have; the world is looked at when something is to be decided by it."""
    from infctl.ops.asking import offers_when_asked

    return offers_when_asked(stack, state, request, look)


def containers_of(stack: Stack) -> frozenset[str]:
    """Return the targets of `stack` whose replicas are containers of images."""
    return frozenset(each.name for each in stack.targets.values() if "image" in registry.load(each.type).serves)


def lookups_of(session: Session) -> Lookups:
    """Return how new pins of `session` are completed: tags by the provider of the target, models by this machine."""
    from infctl.desired.complete import Lookups
    from infctl.desired.remote import look

    def image(target: str, name: str) -> str:
        providers = session.providers or session.open_providers(session.state())
        provider = providers[target]
        return provider.resolve_image(name) if isinstance(provider, SupportsImages) else name

    return Lookups(
        image, lambda uri, one_file, asked: look(uri, one_file=one_file, quantization=asked, env=session.where.env)
    )


def _by_new_names(locked: Mapping[Key, Pin], renamed: Mapping[str, str]) -> Mapping[Key, Pin]:
    now = {old: new for new, old in renamed.items()}
    moved = {(now[model], target): pin for (model, target), pin in locked.items() if model in now}
    return {**moved, **locked}
