"""Owns asking places, before anything is done, whether they would take what a plan does there. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from infctl.diagnostics import Code, Diagnostic, warning
from infctl.plan.diff import resolve
from infctl.provider.errors import ProviderError
from infctl.provider.protocol import Provider, SupportsRehearsal
from infctl.provider.values import Change, Do, Labels

if TYPE_CHECKING:
    from infctl.plan.model import Plan, Step
    from infctl.plan.request import TargetView

WOULD_BE_REFUSED = Code(
    "would-be-refused",
    "A place says, asked without doing it, that it would refuse what the plan does there.",
    "Mend what the detail names before you apply: apply would stop there.",
)
AT_ONCE = 8
_WRITES = frozenset({Do.CREATE, Do.UPDATE, Do.SWITCH})


def rehearse(plan: Plan, providers: Mapping[str, Provider], views: Mapping[str, TargetView]) -> tuple[Diagnostic, ...]:
    """Return a warning for each object that its place would refuse, of targets that can be asked."""
    asked = [
        (step, provider)
        for step in _first_writes(plan)
        if isinstance(provider := providers.get(step.target), SupportsRehearsal)
    ]
    if not asked:
        return ()
    outputs = {seen.id: seen.outputs for view in views.values() for seen in view.observed}

    def ask(each: tuple[Step, SupportsRehearsal]) -> Diagnostic | None:
        step, provider = each
        labels = Labels(
            step.object, plan.lineage, plan.stack, plan.workspace, str(step.address), step.model, step.revision,
            step.spec_hash, 0,
        )  # fmt: skip
        values = resolve(step.set, outputs, {})
        try:
            provider.rehearse(Change(step.do, step.address, step.target, step.name, labels, values))
        except ProviderError as failure:
            said = failure.diagnostics[0]
            detail = ": ".join(filter(None, (said.summary, said.detail)))
            summary = f"Apply would be refused at {step.address}"
            return warning(WOULD_BE_REFUSED, summary, detail, hint=said.hint, address=str(step.address))
        return None

    from concurrent.futures import ThreadPoolExecutor  # only where somebody is asked

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return tuple(said for said in pool.map(ask, asked) if said is not None)


def _first_writes(plan: Plan) -> Iterator[Step]:
    """Yield the first step that writes each object."""
    met: set[str] = set()
    for step in plan.steps:
        if step.do in _WRITES and step.object not in met:
            met.add(step.object)
            yield step
