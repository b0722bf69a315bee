"""Owns how a diagnostic looks: as JSON in Terraform's shape, and as text that points at the place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from infctl.diagnostics import Diagnostic, Severity
from infctl.views.style import Style

_COLORS = {"error": "red", "warning": "yellow"}
_SNIPPET = 160  # characters of a source line that are shown; the caret stays in sight


def diagnostic_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """Return Terraform's fields (`severity summary detail address range snippet`), ours under `infctl`."""
    found: dict[str, Any] = {
        "severity": diagnostic.severity.value,
        "summary": diagnostic.summary,
        "detail": diagnostic.detail,
    }
    if diagnostic.address:
        found["address"] = diagnostic.address
    span = diagnostic.span
    if span is not None:
        start = {"line": span.line, "column": span.column}
        found["range"] = {
            "filename": span.file,
            "start": start,
            "end": {**start, "column": span.column + span.length},
        }
        found["snippet"] = {
            "code": span.text,
            "start_line": span.line,
            "highlight_start_offset": span.column - 1,
            "highlight_end_offset": span.column - 1 + span.length,
        }
    found["infctl"] = {"code": str(diagnostic.code), "hint": diagnostic.hint, "path": diagnostic.path}
    return found


def show_diagnostics(diagnostics: Iterable[Diagnostic], style: Style) -> list[str]:
    """Return all of them as text, errors last so that they are seen, a blank line after each but the last."""
    lines: list[str] = []
    for diagnostic in sorted(diagnostics, key=lambda d: d.severity is Severity.ERROR):
        if lines:
            lines.append("")
        lines += show_diagnostic(diagnostic_json(diagnostic), style)
    return lines


def show_diagnostic(view: dict[str, Any], style: Style) -> list[str]:
    """Return one diagnostic's JSON as text."""
    color = _COLORS[view["severity"]]
    head = f"{view['severity']}[{view['infctl']['code']}]: "
    first, *more = style.wrap(head + view["summary"], hanging="  ")
    lines = [style.paint(head, color, "bold") + style.paint(first[len(head) :], "bold"), *more]
    place = "  ".join(part for part in (_range(view), view["infctl"]["path"] or view.get("address", "")) if part)
    if place:
        lines.append(f"  {place}")
    if view.get("snippet", {}).get("code"):
        lines += _snippet(view, style, color)
    elif view["detail"]:
        lines += style.wrap(view["detail"], "  ")
    if view["infctl"]["hint"]:
        lines += style.wrap(f"hint: {view['infctl']['hint']}", "  ", "        ")
    return lines


def _range(view: dict[str, Any]) -> str:
    found = view.get("range")
    return f"{found['filename']}:{found['start']['line']}:{found['start']['column']}" if found else ""


def _snippet(view: dict[str, Any], style: Style, color: str) -> list[str]:
    """Return the source line and the caret under it; the detail stands beside the caret where there is room."""
    snippet = view["snippet"]
    number = str(snippet["start_line"])
    margin = " " * (len(number) + 2)
    code, start = snippet["code"].replace("\t", " "), snippet["highlight_start_offset"]
    room = max(20, min(_SNIPPET, style.width - len(number) - 5))
    cut = max(0, start - room // 2) if len(code) > room else 0
    shown = code[cut : cut + room]
    length = max(1, min(snippet["highlight_end_offset"] - start, len(shown) - (start - cut)))
    caret = " " * (start - cut) + "^" * length
    lines = [f"  {number} | {shown}"]
    detail = view["detail"]
    if detail and len(margin) + 3 + len(caret) + 1 + len(detail) <= style.width:
        return [*lines, f"{margin} | {style.paint(caret, color)} {detail}"]
    lines.append(f"{margin} | {style.paint(caret, color)}")
    return lines + (style.wrap(detail, "  ") if detail else [])
