"""Owns the last lines of a run: what was done, where the models answer, and what to type next."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from infctl.views.style import Style, columns, seconds_text

if TYPE_CHECKING:
    from infctl.apply.outcome import Outcome
    from infctl.ops.apply import Applied
    from infctl.plan.model import Plan

_LOOPBACK: Final = re.compile(r"https?://(localhost|127\.|\[::1\])")
_URLS: Final = 10  # of a larger stack `infctl output` shows the rest
_ASK: Final[Mapping[str, tuple[str, Mapping[str, object]]]] = {
    "generate": ("/completions", {"prompt": "infctl is", "max_tokens": 60, "stream": True}),
    "embed": ("/embeddings", {"input": "infctl is"}),
}


def show_applied(applied: Applied, again: str, style: Style) -> list[str]:
    """Return the last lines; `again` is the command that goes on where an interrupted run stopped."""
    outcome = applied.outcome
    word = "Destroy" if applied.plan.mode.value == "destroy" else "Apply"
    if outcome is None:
        return ["", *_headline(f"{word} complete!", "0 added, 0 changed, 0 destroyed.", style, "green")]
    done = (
        f"{outcome.added:,} added, {outcome.changed:,} changed, {outcome.destroyed:,} destroyed. "
        f"{seconds_text(outcome.elapsed)}."
    )
    serial = f"State serial {outcome.state.serial}."
    if outcome.interrupted:
        return [*_stopped(outcome, done, style), serial, "To continue, run:", f"    {again}"]
    if not outcome.ok:
        return ["", *_headline("Apply stopped.", done, style, "red"), serial]
    return ["", *_headline(f"{word} complete!", done, style, "green"), serial, *_answers(applied.plan, outcome)]


def _headline(words: str, done: str, style: Style, color: str) -> list[str]:
    first, *more = style.wrap(f"{words} Resources: {done}", hanging="  ")
    return [style.paint(words, "bold", color) + first[len(words) :], *more]


def _stopped(outcome: Outcome, done: str, style: Style) -> list[str]:
    left = []
    if outcome.in_flight:
        left.append(f"{len(outcome.in_flight)} begun and not waited for")
    return ["", *_headline(f"Stopped ({outcome.interrupted}).", done, style, "yellow"),
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
    path, fields = _ASK[first.template["task"]]
    body = json.dumps({"model": next(iter(first.served_names), first.name), **fields}, separators=(",", ":"))
    return [
        *lines,
        "",
        f"Ask it{_from_where(outputs[f'{first.name}.url'], outcome)}:",
        f"  curl -sN {shlex.quote(outputs[f'{first.name}.url'] + path)} \\",
        "    -H 'content-type: application/json' \\",
        f"    -d {shlex.quote(body)}",
    ]


def _from_where(url: str, outcome: Outcome) -> str:
    """Return from which machine a url can be asked, where it is an address of that machine to itself."""
    if not _LOOPBACK.match(url):
        return ""
    things = outcome.state.resources.values()
    places = (thing.address.key.partition("/")[2] for thing in things if thing.outputs.get("url") == url)
    return next((f" on {place}" for place in places if place and not place.isdigit()), "")
