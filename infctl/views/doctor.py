"""Owns how findings look: an aligned list whose words say what is well and what is not, colour or no colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from infctl.views.style import Style, count

if TYPE_CHECKING:
    from infctl.ops.doctor import Row

FORMAT_VERSION = "1.0"
_OK, _NOT_OK = "ok", "not ok"


def findings_json(rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "ok": all(row.finding.ok for row in rows),
        "findings": [
            {
                "about": row.about,
                "what": row.finding.what,
                "ok": row.finding.ok,
                "detail": row.finding.detail,
                "hint": row.finding.hint,
            }
            for row in rows
        ],
    }


def show_findings(view: dict[str, Any], style: Style) -> list[str]:
    """Return a line for each finding, a hint below each that is not well, and the sum."""
    findings = view["findings"]
    about = max((len(each["about"]) for each in findings), default=0)
    what = max((len(each["what"]) for each in findings), default=0)
    lines: list[str] = []
    last = ""
    for each in findings:
        word, color = (_OK, "green") if each["ok"] else (_NOT_OK, "red")
        head = f"{'' if each['about'] == last else each['about']:<{about}}  {each['what']:<{what}}  "
        last = each["about"]
        painted = style.paint(word.ljust(len(_NOT_OK)), color)
        lines.append(f"{head}{painted}  {style.cut(each['detail'], len(head) + len(_NOT_OK) + 2)}".rstrip())
        if each["hint"] and not each["ok"]:
            indent = " " * len(head)
            lines += style.wrap(f"hint: {each['hint']}", indent, indent + "      ")
    bad = sum(not each["ok"] for each in findings)
    total = count(len(findings), "check")
    return [*lines, "", f"{bad} of {total} not ok." if bad else style.paint(f"All {total} ok.", "green")]
