"""Owns which addresses a plan touches: `-target`, `-exclude`, `-replace`, and what they bring along.

A selected object brings what it refers to; a selected replica brings the routers that send it traffic, and a router
left out leaves its replicas out: a replica replaced behind an unchanged router would serve nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from infctl.address import Address, selects
from infctl.diagnostics import Code, Diagnostic, InfctlError, did_you_mean, error
from infctl.frozen import dataclass
from infctl.plan.request import Request

UNMATCHED_TARGET = Code(
    "unmatched-target",
    "A -target, -exclude or -replace matches nothing in the file and nothing in state.",
    "`infctl state list` and `infctl plan` print addresses; model.NAME and target.NAME select all that is theirs.",
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An address with what it belongs to and what it refers to."""

    address: Address
    model: str
    target: str
    refers_to: tuple[Address, ...] = ()
    referred_to: tuple[Address, ...] = ()  # before: what leaves may still be sent to
    routes: bool = False
    replica: bool = False


def select(candidates: Iterable[Candidate], request: Request) -> frozenset[Address]:
    """Return the addresses to plan. Raises InfctlError (unmatched-target) with every selector that matches nothing."""
    every = {candidate.address: candidate for candidate in candidates}
    _refuse_unmatched(every, request)
    chosen = set(every)
    if request.targets:
        chosen = _with_company(every, {a for s in request.targets for a in _matching(every, s)})
    if request.excludes:
        chosen -= _with_dependents(every, {a for s in request.excludes for a in _matching(every, s)})
    return frozenset(chosen)


def to_replace(candidates: Iterable[Candidate], request: Request) -> frozenset[Address]:
    """Return the addresses that `-replace` selects, and the replicas of the models that a restart names.

    To replace a model or what is on a target means the replicas: an address that clients use is not taken away.
    Raises InfctlError (unmatched-target) with every selector that matches nothing.
    """
    every = {candidate.address: candidate for candidate in candidates}
    _refuse_unmatched(every, request)
    asked = {
        address
        for selector in request.replace
        for address in _matching(every, selector)
        if every[address].replica or selector.kind not in {"model", "target"}
    }
    return frozenset(asked | {a for a, c in every.items() if c.replica and c.model in request.restart})


def _matching(every: Mapping[Address, Candidate], selector: Address) -> list[Address]:
    return [a for a, c in every.items() if selects(selector, a, model=c.model, target=c.target)]


def _with_company(every: Mapping[Address, Candidate], chosen: set[Address]) -> set[Address]:
    routers = {c.address for c in every.values() if c.routes and not chosen.isdisjoint((*c.refers_to, *c.referred_to))}
    waiting = list(chosen | routers)
    company: set[Address] = set()
    while waiting:
        address = waiting.pop()
        if address not in company and address in every:
            company.add(address)
            if address in chosen or not every[address].routes:
                waiting += every[address].refers_to
            else:  # a router that came along brings its own support, not its other replicas
                waiting += (a for a in every[address].refers_to if a in every and not every[a].model)
    return company


def _with_dependents(every: Mapping[Address, Candidate], dropped: set[Address]) -> set[Address]:
    routers = [
        c for a, c in every.items() if c.routes and a in dropped
    ]  # these stay as they are, and so whom they serve
    dropped |= {a for c in routers for a in (*c.refers_to, *c.referred_to) if a in every and every[a].replica}
    growing = True
    while growing:
        more = {
            a for a, c in every.items() if a not in dropped and not c.routes and not dropped.isdisjoint(c.refers_to)
        }
        growing = bool(more)
        dropped |= more
    return dropped


def _refuse_unmatched(every: Mapping[Address, Candidate], request: Request) -> None:
    problems: list[Diagnostic] = []
    for flag, selectors in (
        ("-target", request.targets),
        ("-exclude", request.excludes),
        ("-replace", request.replace),
    ):
        for selector in selectors:
            if not _matching(every, selector):
                known = {str(a) for a in every} | {f"model.{c.model}" for c in every.values() if c.model}
                problems.append(
                    error(
                        UNMATCHED_TARGET,
                        f"{flag}={selector} matches nothing",
                        hint=did_you_mean(str(selector), sorted(known)) or UNMATCHED_TARGET.remedy,
                    )
                )
    if problems:
        raise InfctlError(*problems)
