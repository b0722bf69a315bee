"""Owns how drift looks: as a plan document that changes nothing, and as text."""

from __future__ import annotations

from typing import Any

from infctl.plan.model import Plan
from infctl.views.plan import show_drifted
from infctl.views.plan_json import plan_json
from infctl.views.style import Style, count


def drift_json(plan: Plan) -> dict[str, Any]:
    return plan_json(plan)


def show_drift(view: dict[str, Any], style: Style) -> list[str]:
    found = view["resource_drift"]
    lines = [line for u in view["infctl"]["unreachable"] for line in style.wrap(
        f"Unknown: {u['place']} cannot be read: {u['reason']}", hanging="  ")]  # fmt: skip
    if not found:
        return [*lines, style.paint("No drift. ", "bold", "green") + "What runs is what the last apply made."]
    lines += [*show_drifted(view, style), "", f"{count(len(found), 'object')} drifted. To put it right, run:"]
    lines.append("    infctl apply")
    if view["infctl"]["refreshed"] or view["infctl"]["forget"]:
        lines += ["To keep it as it is now, run:", "    infctl apply -refresh-only"]
    return lines
