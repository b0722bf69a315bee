"""Owns what must happen at each address on its own: wish, memory and world in, one verdict out.

How verdicts become ordered steps is `rollout`'s. Pure.
"""

from __future__ import annotations

import re
from dataclasses import field

from infctl.address import Address
from infctl.frozen import dataclass, replace
from infctl.plan.diff import diff, pin_refs, resolve, with_digests
from infctl.plan.model import REPLACE_ASKED_FOR, Action, Drift, Effect, FieldChange
from infctl.plan.request import Question, TargetView
from infctl.provider.kinds import KindSpec, Role
from infctl.provider.values import Deployment, Desired, Observed, Values, digest, leaves, refs
from infctl.secrets import UNKNOWN, SecretRef
from infctl.state.model import Resource

_NOOP = Action.NOOP  # looking a member up costs as much as the rest of a verdict


@dataclass(frozen=True, slots=True)
class Verdict:
    """One address: what is wanted, remembered and live, and the action that follows.

    `values` are the wish's values with secret digests; `id` and `name` are those of the object that will stand.
    `restart` is whether an update is needed though no field differs (stopped, or its gate was never passed).
    `beside` is the id of the predecessor that still stands next to an object that an earlier run began.
    """

    address: Address
    target: str
    model: str
    kind: KindSpec
    action: Action
    want: Desired | None = None
    have: Resource | None = None
    live: Observed | None = None
    values: Values = field(default_factory=dict)
    fields: tuple[FieldChange, ...] = ()
    id: str = ""
    name: str = ""
    reason: str = ""
    restart: bool = False
    beside: str = ""
    lowering: int = 1
    inputs: str = ""
    unknown: bool = False  # its place could not be read: untouched

    @property
    def is_replica(self) -> bool:
        return self.kind.role is Role.REPLICA

    @property
    def is_lost(self) -> bool:
        """Whether it was given up when its place could not be read."""
        return self.have is not None and self.have.lost


class World:
    """The question, indexed once: what stands where, by id and by address."""

    def __init__(self, question: Question) -> None:
        self.question = question
        state = question.state
        self.live: dict[str, Observed] = {}
        released = frozenset(state.released)
        self.strangers: list[tuple[TargetView, Observed]] = []
        for view in question.views.values():
            for seen in view.observed:
                self.live[seen.id] = seen
                ours = seen.labels is not None and seen.labels.lineage == state.lineage
                if ours and seen.id not in state.resources and seen.id not in released:
                    self.strangers.append((view, seen))
        self.current: dict[Address, Resource] = {}
        self.deposed: list[Resource] = []
        for thing in state.resources.values():
            if thing.deposed:
                self.deposed.append(thing)
            else:
                self.current[thing.address] = thing
        self.beside = {thing.address: thing.id for thing in self.deposed if thing.id in self.live}
        names = {seen.name for seen in self.live.values()}
        self.outputs = {i: seen.outputs for i, seen in self.live.items()}
        self.ids = {address: thing.id for address, thing in self.current.items() if thing.id in self.live}
        for thing in state.resources.values():
            if thing.id not in self.live and not self.reads(thing):  # untouched: taken as it was
                self.outputs[thing.id] = thing.outputs
                names.add(thing.name)
                if not thing.deposed:
                    self.ids[thing.address] = thing.id
        self.names = frozenset(names)
        self.deployments = {
            (where, wish.model): wish for where, wish in zip(question.placed_on, question.deployments, strict=True)
        }

    def reads(self, thing: Resource) -> bool:
        """Return whether the place of `thing` could be read."""
        view = self.question.views[thing.target]
        return view.reads(view.place_of(thing.address, thing.values))

    def inputs(self, want: Desired) -> str:
        """Return the digest of what this object was lowered from."""
        wish = self.deployments.get((want.target, want.model))
        return _wish_digest(wish) if wish else ""

    def values_of(self, want: Desired, have: Resource | None, view: TargetView) -> tuple[Values, int]:
        """Return the values to plan for and their lowering: a newer lowering of the same inputs is no change."""
        if (
            have is not None
            and have.lowering < view.lowering
            and not self.question.request.upgrade
            and (not want.spec_hash or want.revision == have.revision)
            and have.inputs == self.inputs(want)
        ):
            return pin_refs(have.values, self.ids), have.lowering  # of what it refers to, what stands there now
        values: Values = want.values
        if self.question.secrets:
            values = with_digests(values, self.question.secret_digests)
        return values, view.lowering


def _wish_digest(wish: Deployment) -> str:
    plain = {name: getattr(wish, name) for name in wish.__dataclass_fields__ if name not in {"revision", "template"}}
    if not wish.spots:  # digests made before there were spots stay as they are
        del plain["spots"]
    return digest([plain, wish.spec_hash])


def judge(want: Desired, world: World, replaced: frozenset[Address]) -> Verdict:
    """Return the verdict on an address that something is wanted at."""
    view = world.question.views[want.target]
    kind = view.kinds[want.address.kind]
    have = world.current.get(want.address)
    live = world.live.get(have.id) if have else None
    values, lowering = world.values_of(want, have, view)

    ident, name = (have.id, have.name) if have else ("", "")
    base = Verdict(
        want.address, want.target, want.model, kind, _NOOP, want, have, live, values, (),
        ident, name, "", False, world.beside.get(want.address, ""), lowering,
    )  # fmt: skip
    if have is None:
        if view.unreadable and not view.takes_new(view.place_of(want.address, want.values)):
            return replace(base, reason="its place could not be read", unknown=True)
        return _made_anew(base, Action.CREATE, "", world)
    if live is None:
        if not world.reads(have):
            return replace(base, reason="its place could not be read", unknown=True)
        reason = "begun by an earlier run, not found" if have.pending else f"gone from {want.target}"
        return _made_anew(base, Action.CREATE, reason, world)
    fields = _changes(kind, have, live, values, world)
    base = replace(base, fields=fields) if fields else base
    if why := _why_replace(fields, want.address in replaced):
        new = _made_anew(base, Action.REPLACE_BESIDE, why, world)
        clash = bool(values.get(kind.exclusive)) and values[kind.exclusive] == live.values.get(kind.exclusive)
        return replace(new, action=Action.REPLACE) if kind.role is not Role.REPLICA or clash else new
    restart = not live.running or (kind.gated and not have.ready) or bool(have.pending)
    if fields or restart:
        begun = "begun by an earlier run" if have.pending else "not known to be ready"
        reason = "" if fields else "stopped" if not live.running else begun
        return replace(base, action=Action.UPDATE, reason=reason, restart=restart, inputs=world.inputs(want))
    return base


def _made_anew(base: Verdict, action: Action, reason: str, world: World) -> Verdict:
    """Return `base` as a new object, its id and name derived from what is known, so that plans are repeatable."""
    want, state = base.want, world.question.state
    assert want is not None  # noqa: S101  # nothing else is made
    seed = [state.lineage, str(want.address), state.serial, base.have.id if base.have else ""]
    while (ident := digest(seed)[:12]) in state.resources or ident in world.live:
        seed.append(ident)  # a killed run, whose serial never came to be, made one just so
    name = native_name(want, base.kind, state.stack, state.workspace)
    if name in world.names:  # of the same revision: its predecessor's
        name = native_name(want, base.kind, state.stack, state.workspace, ident[:4])
    return replace(base, action=action, reason=reason, id=ident, name=name, inputs=world.inputs(want))


def _changes(kind: KindSpec, have: Resource, live: Observed, values: Values, world: World) -> tuple[FieldChange, ...]:
    """Return what differs between the wish and the live object; of secrets, between the wish and state."""
    if live.values == values:
        return ()
    after = resolve(values, world.outputs, world.ids)
    found = diff(kind, live.values, after)
    if not world.question.secrets:
        return found
    rotated = tuple(c for c in diff(kind, have.values, values) if isinstance(c.old, SecretRef) and c not in found)
    return found + rotated


def _why_replace(fields: tuple[FieldChange, ...], asked: bool) -> str:
    if asked or not fields:
        return REPLACE_ASKED_FOR if asked else ""
    forced = {_in_words(change) for change in fields if change.effect is Effect.REPLACE}
    return ", ".join(sorted(forced))


def _in_words(change: FieldChange) -> str:
    old, new = change.old, change.new
    if isinstance(old, SecretRef) and isinstance(new, SecretRef) and old.name == new.name:
        return f"secret {new.name} has another value"
    return change.path[0].replace("_", " ")


def native_name(want: Desired, kind: KindSpec, stack: str, workspace: str, more: str = "") -> str:
    """Return `<stack>[-<workspace>]-<model>-r<rev>[-<slot>][-<more>]`, shortened with a hash to the kind's limit."""
    parts = [stack] if workspace == "default" else [stack, workspace]
    if kind.role is Role.REPLICA:
        parts += [want.model, f"r{want.revision}", *([] if kind.count else [str(want.address.slot)])]
    else:
        parts += [want.address.kind, want.address.name, *([want.address.key] if want.address.key else [])]
    parts += [more] if more else []
    name = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower())
    return name if len(name) <= kind.name_limit else f"{name[: kind.name_limit - 9]}-{digest(name)[:8]}"


def judge_unwanted(have: Resource, world: World) -> Verdict:
    """Return the verdict on an object in state that nothing asks for any more."""
    view = world.question.views[have.target]
    kind = view.kinds[have.address.kind]
    live = world.live.get(have.id)
    base = Verdict(
        have.address,
        have.target,
        have.model,
        kind,
        Action.NOOP,
        None,
        have,
        live,
        have.values,
        id=have.id,
        name=have.name,
    )
    if live is None:
        return replace(base, action=Action.FORGET) if world.reads(have) else replace(base, unknown=True)
    left = "given up when its place could not be read" if have.lost else "left behind by a replacement"
    return replace(base, action=Action.DELETE, reason=left if have.deposed else "")


def judge_stranger(view: TargetView, seen: Observed) -> Verdict:
    """Return the verdict on a live object of this lineage that state does not know: a late write of an old run."""
    labels = seen.labels
    assert labels is not None  # noqa: S101  # World only lists labelled ones
    have = Resource(
        seen.address, seen.id, seen.name, seen.target, labels.model, labels.revision, labels.spec_hash,
        seen.values, seen.outputs, {"type": view.type, "config": view.config}, fence=labels.fence, deposed=True,
    )  # fmt: skip
    return Verdict(
        seen.address, seen.target, labels.model, view.kinds[seen.address.kind], Action.DELETE,
        have=have, live=seen, values=seen.values, id=seen.id, name=seen.name,
        reason=f"late write of run {labels.fence}, not in state",
    )  # fmt: skip


def drift_of(have: Resource, world: World) -> Drift | None:
    """Return what the world changed in a remembered object behind infctl's back, in the fields infctl owns."""
    live = world.live.get(have.id)
    if have.pending or have.deposed:
        return None
    if live is None:
        return Drift(have.address, "gone", place=_place(have, world)) if world.reads(have) else None
    if not live.running:
        return Drift(have.address, "stopped", place=_place(have, world))
    if live.values == have.values:
        return None
    known = resolve(have.values, world.outputs, world.ids)
    kind = world.question.views[have.target].kinds[have.address.kind]
    fields = tuple(c for c in diff(kind, known, live.values) if UNKNOWN not in leaves(c.old))
    return Drift(have.address, "changed", fields, _place(have, world)) if fields else None


def _place(have: Resource, world: World) -> str:
    return world.question.views[have.target].place_of(have.address, have.values)


def referred(values: Values) -> tuple[Address, ...]:
    return tuple(ref.address for ref in refs(values))
