"""Owns the policies that a file can break by itself: fields that every model must have, and values that none may have.

What a plan costs is held against policies where the plan is made. Works on plain values, inherited ones included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from infctl.diagnostics import Code
from infctl.spec.model import Model
from infctl.spec.paths import Loc, listed, quote
from infctl.spec.problems import Problem, near, problem
from infctl.spec.shape import UNKNOWN_FIELD

if TYPE_CHECKING:
    from infctl.spec.vocabulary import Policies

POLICY_BROKEN = Code(
    "policy-broken",
    "The file, or what it would cost, breaks one of its own `policies`.",
    "Change what the message names, or the policy where it is no longer meant.",
)
IMAGE_DIGEST = "image_digest"  # what runs is pinned by digest: shows only once images are resolved
_REASON = "reason"


def check_policies(policies: Policies | None) -> Iterator[Problem]:
    """Yield every policy that speaks of what there is not."""
    if policies is None:
        return
    known = [name for name in Model.model_fields if name not in Model.hidden]
    for index, field in enumerate(policies.require):
        if field not in known and field != IMAGE_DIGEST:
            yield _no_field(field, ("policies", "require", index), [*known, IMAGE_DIGEST])
    for index, denied in enumerate(policies.deny):
        loc = ("policies", "deny", index)
        for key in denied:
            if key not in known and key != _REASON:
                yield _no_field(key, (*loc, key), known, at_key=True)
        if not denied.keys() - {_REASON}:
            hint = "name a field and the value it may not have, as {engine: tgi}"
            yield problem(POLICY_BROKEN, "This denies nothing", "no field of a model", loc=loc, hint=hint)


def breaches(policies: Policies | None, models: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield where the plain values of a model break a policy."""
    if policies is None:
        return
    for name, model in models.items():
        if not isinstance(model, Mapping):
            continue
        for field in policies.require:
            if field != IMAGE_DIGEST and model.get(field) in (None, "", [], {}):
                detail, hint = "policies.require names it", f"say {field} of {name}, or inherit it with like"
                loc = ("models", name, field)
                yield problem(POLICY_BROKEN, f"{name} says no {field}", detail, loc=loc, hint=hint, at_key=True)
        for denied in policies.deny:
            asked = {key: value for key, value in denied.items() if key != _REASON}
            if asked and all(model.get(key) == value for key, value in asked.items()):
                first = next(iter(asked))
                said = ", ".join(f"{key} {quote(value)}" for key, value in asked.items())
                why = str(denied.get(_REASON) or "policies.deny names it")
                loc = ("models", name, first)
                yield problem(POLICY_BROKEN, f"{said} is denied", why, loc=loc, hint=POLICY_BROKEN.remedy)


def _no_field(field: str, loc: Loc, known: list[str], *, at_key: bool = False) -> Problem:
    hint = near(field, known) or f"fields: {listed(known)}"
    detail = f"{quote(field)} is not a field of a model"
    return problem(UNKNOWN_FIELD, "No such field", detail, loc=loc, hint=hint, at_key=at_key)
