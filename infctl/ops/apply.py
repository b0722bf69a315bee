"""Owns making a plan true under the lock of state: one planned here and now, or one from a plan file.

Knows no flag and no terminal: who must agree is asked through `agree`, what happens is told through `emit`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from infctl.apply.events import Listener
from infctl.apply.executor import execute
from infctl.apply.interrupt import Interrupt
from infctl.apply.outcome import Outcome
from infctl.apply.pin import stale
from infctl.diagnostics import Diagnostic, InfctlError
from infctl.frozen import dataclass
from infctl.ops.pins import CACHE, Report
from infctl.ops.plan import Planned, needed_secrets, plan_stack
from infctl.ops.reading import Hear, Readings
from infctl.ops.session import Session
from infctl.plan.model import Plan
from infctl.plan.refresh import refresh
from infctl.plan.request import Request
from infctl.provider.protocol import SupportsTidying
from infctl.provider.values import Values, decode, encode
from infctl.secrets import Secret
from infctl.state.disk import make_folder
from infctl.state.model import State
from infctl.state.reach import renew_reach
from infctl.state.store import Lease, Waiting
from infctl.state.workspaces import FOLDER

if TYPE_CHECKING:
    from infctl.plan.request import TargetView

PARALLELISM = 10  # steps at a time, as Terraform


@dataclass(frozen=True, slots=True)
class Way:
    """How a run goes about it. `lock_timeout` in seconds; `hear`, `report`, `waiting`, `emit` are told what happens,
    `begin` is called when all is agreed and nothing is left but to do it.
    """

    parallelism: int = PARALLELISM
    lock_timeout: float = 0.0
    interrupt: Interrupt | None = None
    hear: Hear = lambda _event: None
    report: Report = lambda _path, _done, _all: None
    waiting: Waiting | None = None
    begin: Callable[[], None] = lambda: None
    emit: Listener = lambda _event: None


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of it. `outcome` is None where nothing was done: the plan is empty, or was not agreed to."""

    plan: Plan
    outcome: Outcome | None = None
    agreed: bool = True


def apply_stack(
    session: Session, request: Request, agree: Callable[[Planned], bool], way: Way, *, look: bool = True
) -> Applied:
    """Plan what `request` asks and make it true, under one lease. Raises InfctlError for what stops it before."""
    operation = "destroy" if request.mode.value == "destroy" else "apply"
    if session.stack is None:
        session.known_state()  # neither a file nor a state: a wrong folder, which must not look like an emptied one
    with session.lock(operation, timeout=way.lock_timeout, waiting=way.waiting) as lease:
        planned = plan_stack(session, request, look=look, hear=way.hear, report=way.report)
        agreed = agree(planned)
        if not agreed or planned.plan.is_empty:
            _keep_reach(session, planned, lease)
            return Applied(planned.plan, None, agreed)
        return Applied(planned.plan, _run(session, planned.plan, lease, way, planned.views))


def apply_plan(session: Session, plan: Plan, way: Way) -> Applied:
    """Make a plan from a file true, never planning again.

    Raises InfctlError (plan-stale: everything that is not as the plan saw it).
    """
    with session.lock("apply", timeout=way.lock_timeout, waiting=way.waiting) as lease:
        state = _state_for(session, plan)
        session.open_providers(state, plan.targets)
        views = Readings(session, state, way.hear).finish()
        live = {seen.id: seen for view in views.values() for seen in view.observed}
        have = {name: view.inventory for name, view in views.items()}
        problems = stale(plan, state, live, have, _facts(session, plan, way.report))
        if problems:
            raise InfctlError(*problems, *_unreadable(plan, views))
        if plan.is_empty:
            return Applied(plan)
        return Applied(plan, _run(session, plan, lease, way, views))


def _run(session: Session, plan: Plan, lease: Lease, way: Way, views: Mapping[str, TargetView]) -> Outcome:
    secrets = _fetched(plan, session.secret_reader(plan.secrets))
    for name in session.providers:
        make_folder(session.data(name))
    way.begin()
    state = session.store.load().current
    if state is None:
        state = State(plan.lineage, plan.stack, plan.workspace, infctl_version=plan.infctl_version)
        lease.commit(state)
    _tidy(session, state, lease.fence)
    return execute(
        plan,
        refresh(_reached(state, plan, views), views),  # a killed run may have left outputs that nobody wrote down
        lease,
        session.providers,
        secrets=secrets,
        digest_key=session.store.digest_key() if plan.secrets else b"",
        parallelism=way.parallelism,
        emit=way.emit,
        interrupt=way.interrupt,
    )


def _tidy(session: Session, state: State, fence: int) -> None:
    """Have what a killed run made for a while removed, also where this run has nothing to change."""
    for name in {thing.target for thing in state.resources.values() if thing.pending}:
        provider = session.providers.get(name)
        if isinstance(provider, SupportsTidying):
            provider.tidy(fence)


def _keep_reach(session: Session, planned: Planned, lease: Lease) -> None:
    """Write down how the plan's targets were reached, where that is all that is new."""
    state = session.store.load().current
    if state is not None and (renewed := _reached(state, planned.plan, planned.views)) is not state:
        lease.commit(replace(renewed, serial=state.serial + 1))


def _reached(state: State, plan: Plan, views: Mapping[str, TargetView]) -> State:
    reaches: dict[str, Values] = {  # as state reads them back: a list is a tuple there
        each.name: decode(encode({"type": each.type, "config": each.config})) for each in plan.targets
    }
    return renew_reach(state, reaches, {seen.id for view in views.values() for seen in view.observed})


def _fetched(plan: Plan, read: Callable[[str], Secret]) -> Callable[[str], Secret]:
    """Return what gives each secret that the plan's steps need, all of them read before the first step.

    Raises InfctlError for every one that cannot be had: found in mid-rollout, it would be found too late.
    """
    known: dict[str, Secret] = {}
    problems: list[Diagnostic] = []
    for name in needed_secrets(plan):
        try:
            known[name] = read(name)
        except InfctlError as problem:
            problems += problem.diagnostics
    if problems:
        raise InfctlError(*problems)
    return lambda name: known[name] if name in known else read(name)  # an undo may need one that the file has dropped


def _state_for(session: Session, plan: Plan) -> State:
    """Return the state to compare the plan with; where nothing ever ran, the one that the plan was made for."""
    found = session.store.load().current
    if found is None and plan.serial == 0:
        return State(plan.lineage, plan.stack, plan.workspace)
    return found if found is not None else session.state()


def _facts(session: Session, plan: Plan, report: Report) -> Mapping[str, Any]:
    """Return what the plan's assumptions about files and secrets are now; those that cannot be told are left out."""
    from infctl.desired.facts import checksum_of

    facts: dict[str, Any] = {}
    for assumption in plan.assumptions:
        kind, _, name = assumption.what.partition(":")
        try:
            if kind == "checksum":
                facts[assumption.what] = checksum_of(name, session.root, session.root / FOLDER / CACHE, report)
            elif kind == "secret":
                read = session.secret_reader(plan.secrets)
                facts[assumption.what] = read(name).digest(session.store.digest_key())
        except (InfctlError, OSError):
            continue
    return facts


def _unreadable(plan: Plan, views: Mapping[str, TargetView]) -> tuple[Any, ...]:
    """Return an error for each place that can no longer be read: why an object looks gone."""
    from infctl.diagnostics import error
    from infctl.plan.refusals import UNREACHABLE

    known = {place.place for place in plan.unreachable}
    return tuple(
        error(UNREACHABLE, f"{place.place} could not be read", place.reason, hint=place.hint or UNREACHABLE.remedy)
        for view in views.values()
        for place in view.unreadable
        if place.place not in known
    )
