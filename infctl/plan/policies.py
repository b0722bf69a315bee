"""Owns what a plan's costs may not be: its stack's `policies`, and who breaks them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from infctl.diagnostics import Diagnostic, error
from infctl.plan.model import Cost, Unpriced
from infctl.spec.policy_rules import POLICY_BROKEN

if TYPE_CHECKING:
    from infctl.spec.vocabulary import Policies

_NAMED = 3  # models that are named; the dearest ones


def break_policies(
    policies: Policies, costs: Iterable[Cost], unpriced: Iterable[Unpriced] = ()
) -> Iterator[Diagnostic]:
    """Yield an error for each policy that the costs of a plan break, or of which nobody can tell whether they do. A
    stack's first costs are no increase.
    """
    costs, more = tuple(costs), tuple(each for each in unpriced if each.after > each.before)
    for field in ("max_cost_per_hour", "max_cost_increase"):
        if more and getattr(policies, field) is not None:
            yield _not_known(field, more)
    before, after = sum(each.before for each in costs), sum(each.after for each in costs)
    if policies.max_cost_per_hour is not None and after > policies.max_cost_per_hour and after > before:
        rows = {name: cost for name, (_, cost) in _by_model(costs).items() if cost}
        yield _broken(
            "max_cost_per_hour",
            f"The stack would cost ${after:,.2f}/h",
            f"at most ${policies.max_cost_per_hour:,.2f}/h is allowed; {_most(rows)}",
        )
    if policies.max_cost_increase is not None and before and after > before * (1 + policies.max_cost_increase):
        rows = {name: now - was for name, (was, now) in _by_model(costs).items() if now > was}
        yield _broken(
            "max_cost_increase",
            f"The plan would raise the cost by {after / before - 1:.0%}: ${before:,.2f}/h → ${after:,.2f}/h",
            f"at most {policies.max_cost_increase:.0%} is allowed; {_most(rows)}",
        )


def _not_known(field: str, more: Iterable[Unpriced]) -> Diagnostic:
    names = [each.target for each in more]
    used = ", ".join(f"{each.after - each.before:g} more GPUs of {each.target}" for each in more)
    return error(
        POLICY_BROKEN,
        f"Whether the plan keeps {field} is not known: no price of {' and '.join(names)} is",
        f"it takes {used}",
        hint=f"give {names[0]} a price (price_per_gpu_hour of the target, or of its instances in "
        "inference.catalog.yaml), or take the policy out",
        path=f"policies.{field}",
    )


def _by_model(costs: Iterable[Cost]) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for each in costs:
        was, now = found.get(each.model, (0.0, 0.0))
        found[each.model] = was + each.before, now + each.after
    return found


def _most(rows: dict[str, float]) -> str:
    """Return the dearest models in words."""
    dearest = sorted(rows.items(), key=lambda row: (-row[1], row[0]))
    said = ", ".join(f"{name} ${cost:,.2f}/h" for name, cost in dearest[:_NAMED])
    return said if len(dearest) <= _NAMED else f"{said} and {len(dearest) - _NAMED} more"


def _broken(field: str, summary: str, detail: str) -> Diagnostic:
    return error(POLICY_BROKEN, summary, detail, hint="take fewer or cheaper devices, or raise the policy",
                 path=f"policies.{field}")  # fmt: skip
