"""Owns revisions: which number a model's wish gets, and what a hold, a rollback or a failure makes of it.

A revision is a spec: the digest of a model's templates by target. The same spec is the same revision; a restart
is a new one on purpose. Knows nothing of resources or steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from infctl.diagnostics import Code, Diagnostic, InfctlError, did_you_mean, error
from infctl.frozen import dataclass, replace
from infctl.plan.request import Request
from infctl.provider.values import Deployment, template_from, template_hash, template_values
from infctl.state.model import REMEMBERED_REVISIONS, Hold, ModelState, Revision, State, spec_of

REVISION_FAILED = Code(
    "revision-failed",
    "The revision that the file asks for failed its gate before, and nobody is there to decide.",
    "Change the model, or say `-retry=MODEL` to try the same revision once more.",
)
NO_SUCH_REVISION = Code(
    "no-such-revision",
    "A rollback names a revision that is not remembered.",
    "`infctl show` lists the revisions that are; the last ten of each model are kept.",
)
NO_SUCH_MODEL = Code(
    "no-such-model",
    "A command names a model that is neither in the file nor in state.",
    "Check the name; `infctl status` lists the models.",
)


_HalfMade = Mapping[tuple[str, str], int]  # (model, spec hash, or "" for any) -> the highest revision to be had yet


@dataclass(frozen=True, slots=True)
class Assigned:
    """The wishes with their revisions, what state will say of each model once they stand, and the holds in words."""

    deployments: tuple[Deployment, ...]
    placed_on: tuple[str, ...]
    models: Mapping[str, ModelState]
    holds: tuple[str, ...] = ()


def assign(placed: tuple[tuple[str, Deployment], ...], state: State, request: Request) -> Assigned:
    """Return `placed` (target, wish) with revision numbers. Raises InfctlError with every problem found."""
    by_model: dict[str, list[tuple[str, Deployment]]] = {}
    for target, wish in placed:
        by_model.setdefault(wish.model, []).append((target, wish))
    half_made = _half_made(state)
    problems = [_unknown(name, by_model) for name in _named(request) if name not in by_model]
    assigned: list[tuple[str, Deployment]] = []
    models: dict[str, ModelState] = {}
    holds: list[str] = []
    for name, wishes in by_model.items():
        try:
            before = state.models.get(name) or ModelState(name)
            known, numbered, held = _assign_model(before, wishes, half_made, request)
        except InfctlError as problem:
            problems += problem.diagnostics
            continue
        models[name] = known
        assigned += numbered
        if held:
            holds.append(held)
    if problems:
        raise InfctlError(*problems)
    return Assigned(tuple(wish for _, wish in assigned), tuple(target for target, _ in assigned), models, tuple(holds))


def _half_made(state: State) -> _HalfMade:
    """Return the revisions that stand although their model never came to have them: a run failed, or was killed."""
    found: dict[tuple[str, str], int] = {}
    following = {name: model.next_revision for name, model in state.models.items()}
    for thing in state.resources.values():
        if thing.revision >= following.get(thing.model, 1) and thing.spec_hash:
            for key in ((thing.model, thing.spec_hash), (thing.model, "")):
                found[key] = max(found.get(key, 0), thing.revision)
    return found


def _assign_model(
    known: ModelState, wishes: list[tuple[str, Deployment]], half_made: _HalfMade, request: Request
) -> tuple[ModelState, list[tuple[str, Deployment]], str]:
    hashes = {target: template_hash(wish.template) for target, wish in wishes}
    asked = spec_of(hashes)
    held = _held_revision(known, hashes, request)
    number = held.number if held else _number(known, asked, hashes, half_made)
    if known.name in request.restart:
        number = _free_number(known, half_made)
    hold, sentence = None, ""
    if held is not None:
        wishes = [(target, _with_template(wish, held, target)) for target, wish in wishes]
        new = Hold(number, asked, request.by, request.at)
        hold = new if known.hold is None or known.name in request.rollback else replace(known.hold, revision=number)
        sentence = _held(known, hold)
    after = known
    if number != known.revision or hold != known.hold:
        after = replace(known, revision=number, next_revision=max(known.next_revision, number + 1), hold=hold)
    if number != known.revision:
        after = replace(after, aliases=())
        if held is None:
            _refuse_failed(known, asked, request)
            after = replace(after, failure=None)
        if held is None or number != held.number:
            after = _with_revision(after, held.spec_hash if held else asked, wishes)
    elif held is None and all((each.number, each.spec_hash) != (number, asked) for each in known.revisions):
        after = _with_revision(after, asked, wishes)  # on other targets than before
    ran = next((entry.template for entry in after.revisions if entry.number == number), {})
    numbered = [
        (target, replace(_as_promised(wish, ran.get(target)), revision=number, served_names=_names(wish, after)))
        for target, wish in wishes
    ]
    return after, numbered, sentence


def _with_revision(model: ModelState, spec_hash: str, wishes: list[tuple[str, Deployment]]) -> ModelState:
    """Return the model with the revision that it is at remembered as its newest."""
    templates = {target: template_values(wish.template) for target, wish in wishes}
    past = tuple(entry for entry in model.revisions if entry.number != model.revision)
    newest = Revision(model.revision, spec_hash, templates)
    return replace(model, revisions=(*past, newest)[-REMEMBERED_REVISIONS:])


def _with_template(wish: Deployment, held: Revision, target: str) -> Deployment:
    """Return the wish with what the held revision ran there; where it did not run, with what it ran elsewhere."""
    return replace(wish, template=template_from(held.template.get(target) or next(iter(held.template.values()))))


def _held(known: ModelState, hold: Hold) -> str:
    file_asks = next((r.number for r in reversed(known.revisions) if r.spec_hash == hold.asked), known.next_revision)
    return (
        f"{known.name} is held at r{hold.revision} by {hold.by} since {hold.at}; the file asks for r{file_asks}. "
        f"To let it go: infctl apply -release={known.name}"
    )


def _as_promised(wish: Deployment, ran: Mapping[str, Any] | None) -> Deployment:
    """Return the wish as its revision ran before: a new estimate of memory, a new name, is for new revisions."""
    asked = wish.template
    if not ran or (ran["memory"] == asked.memory and ran["probe"]["model"] == asked.probe.model):
        return wish
    return replace(wish, template=template_from(ran))


def _names(wish: Deployment, model: ModelState) -> tuple[str, ...]:
    if not model.aliases:
        return wish.served_names
    return (*wish.served_names, *(alias for alias in model.aliases if alias not in wish.served_names))


def _number(known: ModelState, asked: str, hashes: Mapping[str, str], half_made: _HalfMade) -> int:
    """Return the number of the spec `asked`: one half made, the current one, a remembered one, or the next."""
    if half_made and (half := max(half_made.get((known.name, each), 0) for each in hashes.values())):
        return half  # also a restart that was cut short: it goes on
    alike = [entry.number for entry in known.revisions if entry.spec_hash == asked]
    now = next((entry for entry in known.revisions if entry.number == known.revision), None)
    if known.revision in alike or (now is not None and _goes_on(now, hashes)):
        return known.revision
    return max(alike) if alike else _free_number(known, half_made)


def _goes_on(revision: Revision, hashes: Mapping[str, str]) -> bool:
    """Return whether a revision is what is asked for, on more targets or fewer: what runs is as it is to be."""
    ran = revision.template
    both = ran.keys() & hashes.keys()
    return bool(both) and all(template_hash(template_from(ran[target])) == hashes[target] for target in both)


def _free_number(known: ModelState, half_made: _HalfMade) -> int:
    """Return a number that no revision has, not even one that a failed run left standing: names carry it."""
    return max(known.next_revision, half_made.get((known.name, ""), 0) + 1)


def _held_revision(known: ModelState, hashes: Mapping[str, str], request: Request) -> Revision | None:
    """Return the revision that a rollback asks for or a hold insists on; None when the file decides."""
    if known.name in request.rollback:
        return _rollback_to(known, request.rollback[known.name])
    hold = known.hold
    if hold is None or known.name in request.release or not _still_asks(known, hold, hashes):
        return None
    return next((entry for entry in known.revisions if entry.number == hold.revision and entry.template), None)


def _still_asks(known: ModelState, hold: Hold, hashes: Mapping[str, str]) -> bool:
    """Return whether the file asks for what it asked for when the hold was set, if on other targets."""
    if hold.asked == spec_of(hashes) or hold.asked in hashes.values():
        return True
    return any(entry.spec_hash == hold.asked and _goes_on(entry, hashes) for entry in known.revisions)


def _rollback_to(known: ModelState, number: int) -> Revision:
    past = {entry.number: entry for entry in known.revisions if entry.template}  # a recovered one has only its hash
    wanted = number or max((n for n in past if n != known.revision and n < known.revision), default=0)
    if wanted not in past or (not number and wanted == known.revision):
        have = ", ".join(f"r{n}" for n in sorted(past)) or "none"
        what = f"r{number}" if number else "a revision before the current one"
        raise InfctlError(
            error(
                NO_SUCH_REVISION,
                f"{known.name} has no record of {what}",
                f"remembered: {have}",
                hint=f"infctl rollback {known.name} -to REV takes one of these"
                if past
                else "nothing to go back to yet",
            )
        )
    return past[wanted]


def _refuse_failed(known: ModelState, asked: str, request: Request) -> None:
    failure = known.failure
    if failure is None or failure.spec_hash != asked or not request.unattended or known.name in request.retry:
        return
    raise InfctlError(
        error(
            REVISION_FAILED,
            f"Revision r{failure.revision} of {known.name} failed before and is not retried unattended",
            failure.reason,
            hint=f"change models.{known.name}, or run again with -retry={known.name}",
            address=f"model.{known.name}",
        )
    )


def _named(request: Request) -> tuple[str, ...]:
    return (*request.restart, *request.rollback, *request.release, *request.retry)


def _unknown(name: str, known: Iterable[str]) -> Diagnostic:
    hint = did_you_mean(name, known) or NO_SUCH_MODEL.remedy
    return error(NO_SUCH_MODEL, f"There is no model {name!r} in this stack", hint=hint)
