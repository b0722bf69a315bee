"""Owns the last lines of a run: what was done, where the models answer, and what to type next."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from infctl.views.style import Style, columns, seconds_text

if TYPE_CHECKING:
    from infctl.apply.outcome import Outcome
    from infctl.ops.apply import Applied
    from infctl.plan.model import Plan

_URLS: Final = 10  # of a larger stack `infctl output` shows the rest
_ASK: Final = {
    "generate": ("/completions", '{"model": "%s", "prompt": "Once upon a time", "max_tokens": 48, "stream": true}'),
    "embed": ("/embeddings", '{"model": "%s", "input": "Once upon a time"}'),
}


def show_applied(applied: Applied, again: str, style: Style) -> list[str]:
    """Return the last lines; `again` is the command that goes on where an interrupted run stopped."""
    outcome = applied.outcome
    if outcome is None:
        return []
    done = (
        f"{outcome.added:,} added, {outcome.changed:,} changed, {outcome.destroyed:,} destroyed. "
        f"{seconds_text(outcome.elapsed)}. State serial {outcome.state.serial}."
    )
    if outcome.interrupted:
        return [*_stopped(outcome, done, style), "To continue, run:", f"    {again}"]
    if not outcome.ok:
        return ["", style.paint("Apply stopped.", "bold", "red") + f" Resources: {done}"]
    word = "Destroy" if applied.plan.mode.value == "destroy" else "Apply"
    lines = ["", style.paint(f"{word} complete!", "bold", "green") + f" Resources: {done}"]
    return lines + _answers(applied.plan, outcome)


def _stopped(outcome: Outcome, done: str, style: Style) -> list[str]:
    left = []
    if outcome.in_flight:
        left.append(f"{len(outcome.in_flight)} begun and not waited for")
    return ["", style.paint(f"Stopped ({outcome.interrupted}).", "bold", "yellow") + f" Resources: {done}",
            *(style.wrap(f"{', '.join(left)}: the next run takes them up.") if left else [])]  # fmt: skip


def _answers(plan: Plan, outcome: Outcome) -> list[str]:
    """Return the addresses of the models that changed, and a line to paste that asks one of them."""
    outputs = outcome.state.outputs
    changed = [model for model in plan.models if f"{model.name}.url" in outputs and model.replicas_after]
    if not changed:
        return []
    rows = [(f"  {model.name}.url", f"= {outputs[f'{model.name}.url']}") for model in changed[:_URLS]]
    lines = ["", "Outputs:", *columns(rows, gap=1)]
    if len(changed) > _URLS:
        lines.append(f"  and {len(changed) - _URLS:,} more: infctl output")
    first = next((model for model in changed if model.template.get("task") in _ASK), None)
    if first is None:
        return lines
    path, body = _ASK[first.template["task"]]
    url = shlex.quote(f"{outputs[f'{first.name}.url']}{path}")
    return [*lines, "", "Ask it:", f"    curl -sN {url} -H 'content-type: application/json' \\",
            f"      -d '{body % first.name}'"]  # fmt: skip
