"""Owns how the result of `validate` looks: Terraform's document, and the one line a person reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from infctl.diagnostics import Diagnostic, Severity
from infctl.views.diagnostics import diagnostic_json
from infctl.views.style import Style, count

FORMAT_VERSION = "1.0"  # Terraform's, of `validate -json`


def validation_json(found: Sequence[Diagnostic]) -> dict[str, Any]:
    errors = sum(each.severity is Severity.ERROR for each in found)
    return {
        "format_version": FORMAT_VERSION,
        "valid": not errors,
        "error_count": errors,
        "warning_count": len(found) - errors,
        "diagnostics": [diagnostic_json(each) for each in found],
    }


def show_validation(view: dict[str, Any], style: Style) -> str:
    """Return the line after all diagnostics."""
    errors, warnings = count(view["error_count"], "error"), count(view["warning_count"], "warning")
    if not view["valid"]:
        return f"{errors} found" + (f", and {warnings}." if view["warning_count"] else ".")
    but = f", with {warnings}" if view["warning_count"] else ""
    return f"{style.paint('Success!', 'green', 'bold')} The configuration is valid{but}."
