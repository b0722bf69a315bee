"""Owns what a plan says about its verdicts: net changes, model changes, drift, assumptions, outputs. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from infctl.placement.room import Pool, Rollout, add
from infctl.plan.compare import Verdict, World, drift_of
from infctl.plan.course import Course, ModelVerdicts, freed_first, needed_by
from infctl.plan.diff import diff
from infctl.plan.model import (
    Action,
    Assumption,
    DeviceUse,
    Drift,
    Effect,
    FieldChange,
    Mode,
    ModelChange,
    ResourceChange,
)
from infctl.plan.promised import LITTLE, replicas_of, room_of, spot_of
from infctl.plan.request import Question, TargetView
from infctl.provider.kinds import KindSpec, Role
from infctl.provider.values import Deployment, Ref, leaves, template_from, template_values
from infctl.secrets import SecretRef
from infctl.state.model import ModelState, State

_FILE = "file:"  # a model from elsewhere is held to its checksum by whoever fetches it


def resource_change(verdict: Verdict, question: Question) -> ResourceChange:
    have, want = verdict.have, verdict.want
    leaves_only = verdict.action in {Action.DELETE, Action.FORGET}
    view = question.views[verdict.target]
    spot = spot_of(verdict.kind, verdict.values) if verdict.is_replica else None
    return ResourceChange(
        verdict.address,
        verdict.target,
        view.type,
        verdict.model,
        verdict.action,
        have.values if have and verdict.live else None,
        None if leaves_only else verdict.values,
        verdict.fields,
        verdict.reason,
        have.id if have and verdict.live else "",
        "" if leaves_only else verdict.id,
        have.revision if have and verdict.live else 0,
        want.revision if want and not leaves_only else 0,
        spot.place if spot else "",
        tuple(DeviceUse(uuid, _index(view, uuid), memory) for uuid, memory in spot.devices) if spot else (),
    )


def _index(view: TargetView, uuid: str) -> int:
    found = (device.index for place in view.inventory.places for device in place.devices if device.uuid == uuid)
    return next(found, -1)


def moves(part: ModelVerdicts) -> bool:
    return any(v.action is not Action.NOOP for v in (*part.replicas, *part.routers))


def model_change(part: ModelVerdicts, course: Course, question: Question) -> ModelChange:
    before = [v for v in part.replicas if v.have and v.live]
    after = [v for v in part.replicas if v.want is not None]
    known = question.state.models.get(part.name, ModelState(part.name))
    wish = next(iter(part.wishes.values()), None)
    where: dict[str, int] = {}
    places: dict[str, int] = {}
    for verdict in after:
        where[verdict.target] = where.get(verdict.target, 0) + replicas_of(verdict.kind, verdict.values)
        if (spot := spot_of(verdict.kind, verdict.values)) is not None:
            place = f"{verdict.target}/{spot.place}"
            places[place] = places.get(place, 0) + 1
    if not after:
        action = Action.DELETE
    elif not before:
        action = Action.CREATE
    else:
        action = Action.UPDATE
    removed = action is Action.DELETE
    return ModelChange(
        name=part.name,
        action=action,
        revision_before=known.revision if before else 0,
        revision_after=0 if removed or wish is None else wish.revision,
        replicas_before=sum(replicas_of(v.kind, v.have.values) for v in before if v.have),
        replicas_after=sum(replicas_of(v.kind, v.values) for v in after),
        spec_hash_before=before[0].have.spec_hash if before and before[0].have else "",
        spec_hash_after=wish.spec_hash if wish and not removed else "",
        template=template_values(wish.template) if wish and not removed else {},
        fields=_template_changes(known, wish) if before and wish and not removed else (),
        where=where,
        rollout=course.rollout,
        downtime=course.downtime,
        in_turn=course.in_turn,
        memory_needed=course.needed,
        memory_free=course.free,
        places=places,
        gpus_needed=course.gpus_needed,
        gpus_free=course.gpus_free,
        served_names=wish.served_names if wish and not removed else (),
        why_rollout=course.why,
    )


_TEMPLATE = KindSpec(Role.REPLICA, {})


def _template_changes(known: ModelState, wish: Deployment) -> tuple[FieldChange, ...]:
    before = next((entry.template for entry in known.revisions if entry.number == known.revision), None)
    if not before or known.revision == wish.revision:  # {}: a recovered state knows only its hash
        return ()
    old = template_values(template_from(next(iter(before.values()))))
    changes = diff(_TEMPLATE, old, template_values(wish.template))
    return tuple(replace(change, effect=Effect.REPLACE) for change in changes)


def model_states(
    question: Question, models: Mapping[str, ModelState], verdicts: list[Verdict]
) -> tuple[tuple[ModelState, ...], tuple[str, ...]]:
    """Return what state will say of each changed model, and the models that leave it.

    A model that is only partly selected keeps its record: the next whole plan completes it. Routes that could not be
    read, and what is given up, do not hold it back: they follow when their place is back.
    """
    partial = {v.model for v in verdicts if v.unknown and not v.is_lost and not _follows(question, v)}
    before = question.state.models
    changed = tuple(m for name, m in models.items() if m != before.get(name) and name not in partial)
    staying = {v.model for v in verdicts if v.want is not None or v.unknown}
    if question.request.mode is Mode.DESTROY or not question.request.targets:
        return changed, tuple(sorted(name for name in before if name not in staying and name not in models))
    return changed, ()


def _follows(question: Question, verdict: Verdict) -> bool:
    """Return whether it is a route whose place could not be read."""
    if verdict.have is None or verdict.kind.role is not Role.ROUTER:
        return False
    view = question.views[verdict.target]
    return view.places_replicas and not view.reads(view.place_of(verdict.address, verdict.have.values))


def drifted(state: State, world: World) -> tuple[Drift, ...]:
    return tuple(found for have in state.resources.values() if (found := drift_of(have, world)))


def assumptions(
    question: Question, parts: Collection[ModelVerdicts], courses: Mapping[str, Course]
) -> tuple[Assumption, ...]:
    """Return what apply must find as it was: free memory, the model files, the secrets."""
    found: dict[str, Assumption] = {}
    memory: dict[str, int] = {}  # by target: what comes beside all that is held
    room = room_of(question.views, question.state.resources.values())
    for part in parts:
        made = [v for v in part.replicas if v.action in {Action.CREATE, Action.REPLACE_BESIDE, Action.REPLACE}]
        for verdict in made:
            template = part.wishes[verdict.target].template
            if template.model_sha256 and template.model_uri.startswith(_FILE):
                found[f"checksum:{template.model_uri}"] = Assumption(
                    f"checksum:{template.model_uri}", template.model_sha256
                )
            for leaf in leaves(template.env):
                if isinstance(leaf, SecretRef):
                    digest = question.secret_digests.get(leaf.name, "")
                    found[f"secret:{leaf.name}"] = Assumption(f"secret:{leaf.name}", digest)
            placed = question.views[verdict.target].places_replicas
            if not placed and courses[part.name].rollout in {Rollout.FIRST, Rollout.SURGE, Rollout.NONE}:
                comes = needed_by(verdict, part, room).get(Pool(verdict.target), 0)
                memory[verdict.target] = memory.get(verdict.target, 0) + comes
    freed = freed_first(parts, courses, room)
    needs = {Pool(target): comes - freed.get(Pool(target), 0) for target, comes in memory.items()}
    for part in parts:
        add(needs, {pool: size for pool, size in courses[part.name].takes.items() if pool.place})
    add(needs, {pool: size for pool, size in freed.items() if pool.place and pool in needs}, -1)
    for pool, size in needs.items():
        if size > 0 and pool in room.free:
            what = f"{'device' if pool.device else 'memory'}:{'/'.join(filter(None, pool))}"
            whole = size == room.whole.get(pool)  # what a driver holds of an idle device goes up and down
            found[what] = Assumption(what, room.free[pool], int(size * (1 - LITTLE)) if whole else size)
    return tuple(found[what] for what in sorted(found))


def notes(question: Question, verdicts: list[Verdict]) -> tuple[str, ...]:
    said = [*_unswitched(question, verdicts), *_given_up(question, verdicts), *_left(question, verdicts)]
    said += _crossing(question, verdicts)
    kept = sum(1 for v in verdicts if v.want and v.have and v.lowering < question.views[v.target].lowering)
    if kept:
        said.append(
            f"{kept} resources would be rendered differently by this version of infctl; `plan -upgrade` shows how."
        )
    return tuple(said)


def _unswitched(question: Question, verdicts: list[Verdict]) -> Iterator[str]:
    """Yield a sentence for each route that cannot follow its model's replicas: its place could not be read."""
    if not any(view.unreadable for view in question.views.values()):
        return
    moving = {v.model for v in verdicts if v.is_replica and v.action not in {Action.NOOP, Action.UPDATE}}
    for verdict in verdicts:
        if verdict.unknown and verdict.want and verdict.kind.role is Role.ROUTER and verdict.model in moving:
            place = question.views[verdict.target].place_of(verdict.address, verdict.values) or verdict.target
            yield (
                f"{verdict.address} cannot follow: {place} could not be read. "
                f"If {place} still runs, it goes on sending to the replicas it knows until the next apply reaches it."
            )


def _given_up(question: Question, verdicts: list[Verdict]) -> Iterator[str]:
    waiting: dict[str, int] = {}
    for verdict in verdicts:
        if verdict.is_lost and verdict.unknown and verdict.have:
            place = question.views[verdict.target].place_of(verdict.address, verdict.have.values)
            waiting[place] = waiting.get(place, 0) + 1
    for place, count in waiting.items():
        replicas = "1 replica" if count == 1 else f"{count} replicas"
        yield f"{replicas} given up on {place} will be removed, before anything else, once {place} can be read."


def _crossing(question: Question, verdicts: list[Verdict]) -> Iterator[str]:
    """Yield a sentence for each model of which a new replica has devices that no fast link joins, where others are."""
    told: dict[tuple[str, str], None] = {}
    for verdict in verdicts:
        spot = spot_of(verdict.kind, verdict.values) if verdict.want and verdict.action is not Action.NOOP else None
        if spot is None or len(spot.devices) < 2:  # noqa: PLR2004  # of one there is nothing to join
            continue
        islands = {
            device.island
            for place in question.views[verdict.target].inventory.places
            for device in place.devices
            if place.name == spot.place and any(share.device == device.uuid for share in spot.devices)
        }
        if len(islands) > 1:
            told[verdict.model, spot.place] = None
    for model, place in told:
        yield f"GPUs of {model} on {place} are of several islands of NVLink: between these they talk over the bus."


def _left(question: Question, verdicts: list[Verdict]) -> Iterator[str]:
    """Yield a sentence for each place that left its target while something is still known to be there."""
    left: dict[tuple[str, str], int] = {}
    for verdict in verdicts:
        view = question.views[verdict.target]
        if not verdict.unknown or verdict.have is None or verdict.is_lost or not view.places_replicas or view.is_dark:
            continue
        place = view.place_of(verdict.address, verdict.have.values)
        known = {each.name for each in view.inventory.places} | {each.place for each in view.unreadable}
        if place and place not in known:
            left[place, view.name] = left.get((place, view.name), 0) + 1
    for (place, target), count in left.items():
        objects = "1 object" if count == 1 else f"{count} objects"
        yield (
            f"{objects} on {place} cannot be removed: it is no longer a place of {target}. "
            f"Put it back for one apply, or forget them with `infctl state rm`."
        )


def outputs(parts: Mapping[str, ModelVerdicts], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return MODEL.url, MODEL.urls (by target), MODEL.revision and MODEL.engine; what only apply can tell is a Ref.

    MODEL.url is the first address whose place can be read. A model of which anything is left untouched keeps the
    revision and the engine that it has, and the addresses of places that cannot be read.
    """
    found: dict[str, Any] = {}
    for name, part in parts.items():
        wish = next(iter(part.wishes.values()), None)
        if wish is None:
            continue
        untouched = any(v.unknown for v in (*part.replicas, *part.routers))
        if untouched:
            found |= {output: value for output, value in before.items() if output.rpartition(".")[0] == name}
        routers = [v for v in part.routers if v.id and (v.want is not None or v.unknown)]
        if url := next((_url(router) for router in routers if not router.unknown), None):
            urls: dict[str, tuple[Any, ...]] = {}
            for router in routers:
                urls[router.target] = (*urls.get(router.target, ()), _url(router))
            found |= {f"{name}.url": url, f"{name}.urls": urls}
        if not untouched:
            found |= {f"{name}.revision": wish.revision, f"{name}.engine": wish.template.engine}
    return found


def _url(router: Verdict) -> Any:
    """Return a router's address as it is, a Ref where only apply can tell it."""
    output = router.kind.url_output
    stands = router.live or (router.have if router.unknown else None)
    stays = stands and not any(change.path[0] in router.kind.url_fields for change in router.fields)
    known = stands.outputs.get(output) if stands and stays else None
    return known or Ref(router.address, output, router.id)
