"""Owns the lines of `-json`: Terraform's machine-readable UI, with ours under `infctl`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from infctl import __version__
from infctl.apply.events import Event, RunFinished, StepEvent, plain
from infctl.diagnostics import Diagnostic
from infctl.plan.model import Plan
from infctl.views.diagnostics import diagnostic_json
from infctl.views.outputs import outputs_json
from infctl.views.plan_json import change_json, output_changes, summary
from infctl.views.style import Style

UI_VERSION: Final = "1.2"  # Terraform's
_TYPES: Final = {
    "step_start": "apply_start",
    "step_progress": "apply_progress",
    "step_running": "apply_progress",
    "gate_wait": "apply_progress",
    "step_complete": "apply_complete",
    "step_errored": "apply_errored",
}
_ACTIONS: Final = {"create": "create", "delete": "delete"}  # all else is an update in place
_PLANNED: Final = {"replace-beside": "replace", "forget": "remove", "no-op": "noop"}


def line(kind: str, message: str, level: str = "info", **more: Any) -> str:
    """Return one line, without its newline."""
    stamp = datetime.now(UTC).isoformat(timespec="microseconds")
    head = {"@level": level, "@message": message, "@module": "infctl.ui", "@timestamp": stamp, "type": kind}
    return json.dumps({**head, **more}, ensure_ascii=False, separators=(",", ":"))


def version_line() -> str:
    return line("version", f"infctl {__version__}", infctl=__version__, ui=UI_VERSION)


def plan_lines(plan: Plan) -> Iterator[str]:
    """Yield a plan as lines: each change, the drift, the outputs, the sum."""
    for change in plan.resource_changes:
        shown = change_json(change)
        action = shown["infctl"]["action"]
        yield line(
            "planned_change",
            f"{shown['address']}: Plan to {_PLANNED.get(action, action)}",
            change={"resource": _resource(shown), "action": _PLANNED.get(action, action)},
            infctl=shown["infctl"],
        )
    for found in plan.drift:
        yield line("resource_drift", f"{found.address}: {found.kind}",
                   change={"resource": {"addr": str(found.address)}, "action": "update"})  # fmt: skip
    for warning in plan.warnings:
        yield diagnostic_line(warning)
    outputs = output_changes(plan)
    if outputs:
        shown_outputs = {
            name: {"action": change["actions"][0], "sensitive": False, "value": change["after"]}
            for name, change in outputs.items()
        }
        yield line("outputs", f"Outputs: {len(outputs)}", outputs=shown_outputs)
    total = summary(plan)
    words = f"Plan: {total['add']} to add, {total['change']} to change, {total['remove']} to destroy."
    yield line("change_summary", words, changes=total)


def event_line(event: Event) -> str:
    """Return one event of a run."""
    ours = plain(event)
    kind = str(ours.pop("type"))
    if isinstance(event, RunFinished):
        total = {"add": event.added, "change": event.changed, "remove": event.destroyed, "import": 0}
        words = f"{event.added} added, {event.changed} changed, {event.destroyed} destroyed"
        return line("change_summary", f"Apply {'complete' if event.ok else 'stopped'}! Resources: {words}.",
                    changes={**total, "operation": "apply"}, infctl=ours)  # fmt: skip
    message = _message(event)
    level = "error" if kind in {"step_errored", "gate_fail"} else "info"
    if not isinstance(event, StepEvent):
        return line(kind, message, infctl=ours)
    hook = {
        "resource": {
            "addr": str(event.address),
            "resource": str(event.address),
            "resource_type": event.address.kind,
            "resource_name": event.address.name,
            "resource_key": event.address.key or None,
        },
        "action": _ACTIONS.get(event.do, "update"),
        "elapsed_seconds": round(event.seconds, 3),
    }
    return line(_TYPES.get(kind, kind), message, level, hook=hook, infctl={"event": kind, **ours})


def diagnostic_line(diagnostic: Diagnostic) -> str:
    shown = diagnostic_json(diagnostic)
    level = "warn" if shown["severity"] == "warning" else "error"
    return line("diagnostic", f"{shown['severity'].capitalize()}: {shown['summary']}", level, diagnostic=shown)


def diagnostic_lines(diagnostics: Iterable[Diagnostic]) -> Iterator[str]:
    return map(diagnostic_line, diagnostics)


def outputs_line(outputs: dict[str, Any]) -> str:
    return line("outputs", f"Outputs: {len(outputs)}", outputs=outputs_json(outputs))


def _resource(shown: dict[str, Any]) -> dict[str, Any]:
    return {
        "addr": shown["address"],
        "module": "",
        "resource": shown["address"],
        "implied_provider": shown["provider_name"],
        "resource_type": shown["type"],
        "resource_name": shown["name"],
        "resource_key": shown.get("index"),
    }


def _message(event: Event) -> str:
    from infctl.views.progress import said, show_event

    if isinstance(event, StepEvent):
        return f"{event.address}: {said(event)}"
    return " ".join(show_event(event, Style())) or event.type.replace("_", " ")
