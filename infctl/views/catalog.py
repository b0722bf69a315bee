"""Owns how rows of the catalogue look: as JSON, as a table, and one in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from infctl.catalog.gpus import gpus
from infctl.catalog.models import models
from infctl.diagnostics import Code, InfctlError, did_you_mean, error
from infctl.views.style import columns

NO_SUCH_ROW = Code(
    "no-such-row",
    "A name given to `catalog show` is not in the catalogue.",
    "`infctl catalog list gpus` and `infctl catalog list models` list what is; a file of your own adds rows: -catalog.",
)
_HEADS = {
    "gpus": ("GPU", "MEMORY", "BANDWIDTH", "FP16", "FP8", "LINK", "COMPUTE"),
    "models": ("MODEL", "PARAMETERS", "ACTIVE", "LAYERS", "CONTEXT", "CACHE"),
}


def rows_of(kind: str, own: str = "") -> list[dict[str, Any]]:
    """Return the rows of a kind, as the catalogue has them; of models also what is counted from their shape."""
    if kind == "gpus":
        return [{"kind": "gpu", **asdict(row)} for row in gpus(own).rows.values()]
    return [
        {
            "kind": "model",
            **asdict(row),
            "parameters": row.total,
            "parameters_active": row.active_linear + row.embeddings,
            "kv_numbers_per_token": row.kv_elements(1),
        }
        for row in models(own).rows.values()
    ]


def rows_named(name: str, own: str = "") -> list[dict[str, Any]]:
    """Return the rows that `name` may mean. Raises InfctlError (no-such-row)."""
    meant = {row.name for row in gpus(own).find(name)}
    if not meant and (shape := models(own).find(name)) is not None:
        meant = {
            row.name for row in models(own).rows.values() if row.total == shape.total and row.family == shape.family
        }
    found = [row for kind in _HEADS for row in rows_of(kind, own) if row["name"] in meant]
    if not found:
        known = (*gpus(own).rows, *models(own).rows)
        hint = did_you_mean(name, known) or NO_SUCH_ROW.remedy
        raise InfctlError(error(NO_SUCH_ROW, f"There is no {name!r} in the catalogue", hint=hint))
    return found


def show_rows(kind: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return columns([_HEADS[kind], *(_line(kind, row) for row in rows)])


def _line(kind: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    if kind == "gpus":
        return (
            row["name"], f"{row['memory']:6.1f} GiB", f"{row['bandwidth']:5,.0f} GB/s", f"{row['fp16']:5,.0f}",
            f"{row['fp8']:5,.0f}" if row["fp8"] else "    -", f"{row['link_kind']} {row['link_rate']:.0f}",
            row["compute"],
        )  # fmt: skip
    return (
        row["name"], f"{row['parameters'] / 1e9:7.2f} B", f"{row['parameters_active'] / 1e9:6.2f} B",
        f"{row['layers']:3}", f"{row['context']:7,}", f"{row['kv_numbers_per_token'] * 2 / 1024:5.0f} KiB/token",
    )  # fmt: skip


def show_whole(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines: list[str] = []
    for row in rows:
        said = [(key, _plain(value)) for key, value in row.items() if value not in (0, 0.0, "", (), {}, False)]
        lines += [*([""] if lines else []), *columns(said)]
    return lines


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} x {item}" for key, item in value.items())
    return (
        ", ".join(map(str, value))
        if isinstance(value, (tuple, list))
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )
