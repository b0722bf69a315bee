"""Owns rebuilding a state from the world: from what live objects say of themselves, and what a backup remembers.

Labels tell what an object is; a backup adds what no object can tell: earlier revisions, holds, values as lowered.
Pure; reading places is the caller's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from infctl.address import Address, parse_address
from infctl.diagnostics import Code, InfctlError, error
from infctl.frozen import dataclass
from infctl.provider.values import Labels, Observed, Unreadable, Values
from infctl.state.model import ModelState, Resource, Revision, State, spec_of
from infctl.state.store import Salvaged, new_state

NOTHING_TO_RECOVER = Code(
    "nothing-to-recover",
    "Neither a running object nor a backup tells of a state.",
    "Check that the targets in the file are the ones the objects run on, and the workspace is the right one.",
)
AMBIGUOUS_LINEAGE = Code(
    "ambiguous-lineage",
    "The running objects belong to more than one state, and nothing says which one is to be rebuilt.",
    "Name it: `infctl state recover -lineage=LINEAGE`.",
)


@dataclass(frozen=True, slots=True)
class Recovered:
    """The state as rebuilt, its serial above all that was ever stored. `notes` are sentences for the person."""

    state: State
    notes: tuple[str, ...] = ()


def recover(
    observed: Iterable[Observed],
    salvaged: Salvaged,
    *,
    stack: str,
    workspace: str,
    reach: Mapping[str, Values],
    unreadable: Mapping[str, tuple[Unreadable, ...]] | None = None,
    lineage: str = "",
) -> Recovered:
    """Return the state of `stack` that the objects in `observed` make up.

    `reach` and `unreadable` are by target; what a backup knows of a target that could not be read whole is kept.
    `lineage` chooses among several. Raises InfctlError (nothing-to-recover, ambiguous-lineage).
    """
    live = tuple(sorted(observed, key=lambda seen: (seen.address, seen.id)))  # places answer in any order
    lineage = lineage or _lineage(live, salvaged, stack, workspace)
    base = salvaged.state if salvaged.state and salvaged.state.lineage == lineage else None
    known = base.resources if base else {}
    released = base.released if base else ()
    notes = list(salvaged.notes)
    resources: dict[str, Resource] = {}
    for seen in live:
        ident = seen.labels.id if seen.labels else seen.id
        if ident in known:
            resources[ident] = replace(known[ident], outputs=seen.outputs)
        elif seen.labels is not None and seen.labels.lineage == lineage:
            if ident in released:
                notes.append(f"{seen.address} ({ident}) was forgotten on purpose: infctl import takes it back")
                continue
            resources[ident] = from_labels(seen, seen.labels, reach.get(seen.target, {}))
    for ident, thing in known.items():
        if ident not in resources:
            notes.append(_absent(thing, resources, unreadable or {}))
    resources = _in_flight(resources, known)
    if not resources and base is None:
        raise _nothing(stack, workspace)
    state = base or replace(new_state(stack, workspace), lineage=lineage)
    models = models_of(resources, state.models)
    notes += _forgotten_revisions(models)
    return Recovered(replace(state, serial=salvaged.serial + 1, resources=resources, models=models), tuple(notes))


def _lineage(live: tuple[Observed, ...], salvaged: Salvaged, stack: str, workspace: str) -> str:
    if salvaged.state:
        return salvaged.state.lineage
    ours = [s.labels for s in live if s.labels and (s.labels.stack, s.labels.workspace) == (stack, workspace)]
    found = sorted({labels.lineage for labels in ours})
    if not found:
        raise _nothing(stack, workspace)
    if len(found) > 1:
        counts = "; ".join(f"{name}: {sum(1 for o in ours if o.lineage == name)} objects" for name in found)
        raise InfctlError(
            error(
                AMBIGUOUS_LINEAGE,
                f"Objects of {len(found)} lineages of {stack} are running",
                counts,
                hint=f"infctl state recover -lineage={found[0]}, or another of these",
            )
        )
    return found[0]


def _nothing(stack: str, workspace: str) -> InfctlError:
    return InfctlError(
        error(
            NOTHING_TO_RECOVER,
            f"Nothing tells of a state of {stack} in workspace {workspace}",
            "no running object carries its labels, and there is no readable backup",
            hint="if the stack was never applied there is nothing to mend: infctl plan",
        )
    )


def from_labels(seen: Observed, labels: Labels, reach: Values) -> Resource:
    """Return what state says of a live object that tells what it is; `reach` is how its target is reached."""
    return Resource(
        parse_address(labels.address),
        labels.id,
        seen.name,
        seen.target,
        labels.model,
        labels.revision,
        labels.spec_hash,
        seen.values,
        seen.outputs,
        reach,
        fence=labels.fence,
        ready=seen.running,
    )


def _absent(thing: Resource, resources: dict[str, Resource], unreadable: Mapping[str, tuple[Unreadable, ...]]) -> str:
    """Keep what may still stand where nobody could look, and say what became of `thing`."""
    places = unreadable.get(thing.target, ())
    if not places:
        return f"{thing.address} ({thing.id}) is gone and left the state"
    resources[thing.id] = thing
    return f"{thing.address} ({thing.id}) is kept as the backup has it: {places[0].place} could not be read"


def _in_flight(resources: Mapping[str, Resource], known: Mapping[str, Resource]) -> dict[str, Resource]:
    """Return `resources` with replacements that were cut short marked: the newest at an address came after the rest.

    Which of two is current no label tells, so the newest counts as begun and the others as its predecessors.
    """
    at: dict[Address, list[Resource]] = {}
    for thing in resources.values():
        at.setdefault(thing.address, []).append(thing)
    settled: dict[str, Resource] = {}
    for things in at.values():
        *older, newest = sorted(things, key=lambda thing: (thing.fence, thing.revision, thing.id))
        if older and newest.id not in known:
            newest = replace(newest, pending="create", ready=False)
            older = [replace(thing, deposed=True) for thing in older]
        settled.update((thing.id, thing) for thing in (*older, newest))
    return settled


def models_of(resources: Mapping[str, Resource], before: Mapping[str, ModelState]) -> dict[str, ModelState]:
    """Return what is remembered of each model, brought up to what runs."""
    models = dict(before)
    replicas: dict[str, list[Resource]] = {}
    for thing in resources.values():
        if thing.model and thing.spec_hash:
            replicas.setdefault(thing.model, []).append(thing)
    for name, things in replicas.items():
        have = before.get(name, ModelState(name))
        serving = max((thing.revision for thing in things if not thing.pending), default=have.revision)
        past = {entry.number: entry for entry in have.revisions}
        if serving and serving not in past:
            spec_hash = spec_of({thing.target: thing.spec_hash for thing in things if thing.revision == serving})
            past[serving] = Revision(serving, spec_hash, {})
        models[name] = replace(
            have,
            revision=serving,
            next_revision=max(have.next_revision, serving + 1),
            revisions=tuple(past[number] for number in sorted(past)),
        )
    return models


def _forgotten_revisions(models: Mapping[str, ModelState]) -> list[str]:
    return [
        f"{model.name}: what r{entry.number} was made of is not known, so no rollback goes to it"
        for model in models.values()
        for entry in model.revisions
        if not entry.template
    ]
