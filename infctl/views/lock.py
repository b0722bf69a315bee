"""Owns how renewed pins look: one line each, what the file holds now, what to do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infctl.views.style import Style, columns, count

if TYPE_CHECKING:
    from infctl.engines.pin import Pin
    from infctl.ops.lock import Locked

_MOST_SHOWN = 50
_SHORT = 7  # characters of a checksum, a revision or a digest
_FEW = 3  # models that are named one by one


def show_locked(locked: Locked, style: Style) -> list[str]:
    """Return what `infctl lock` did, and why."""
    rows = [
        ("+", f"{change.model} on {change.target}", _pinned(change.after))
        if change.before is None
        else ("~", f"{change.model} on {change.target}", change.why)
        for change in locked.changes
    ]
    rows += [("-", f"{model} on {target}", "left the stack") for model, target in locked.dropped]
    lines = [style.cut(line) for line in columns(rows[:_MOST_SHOWN], gap=1)]
    if len(rows) > _MOST_SHOWN:
        lines.append(f"and {len(rows) - _MOST_SHOWN:,} more")
    lines += [""] if rows else []
    if locked.written:
        lines.append(f"Wrote {locked.path.name}: it pins {count(_models(locked), 'model')}. Commit it.")
    else:
        lines.append(f"{locked.path.name} is up to date: it pins {count(_models(locked), 'model')}.")
    for engine, (version, models) in (locked.newer or {}).items():
        who = ", ".join(models) if len(models) <= _FEW else count(len(models), "model")
        names = f" {' '.join(models)}" if len(models) <= _FEW else ""
        lines += style.wrap(f"{engine} {version} is installed and was not taken for {who}. To take it:")
        lines.append(f"    infctl lock{names} -upgrade")
    return lines


def _models(locked: Locked) -> int:
    return len({model for model, _ in locked.pins})


def _pinned(pin: Pin) -> str:
    """Return what is pinned, in few words: engine, file and contents."""
    known = pin.model_sha256 or pin.model_revision
    contents = f" @ {known[:_SHORT]}" if known else ""
    image = f"image {pin.image.rpartition(':')[2][:_SHORT]}" if pin.image else ""
    parts = (f"{pin.engine} {pin.engine_version}".rstrip(), f"{pin.model_uri}{contents}", pin.quantization, image)
    return " · ".join(part for part in parts if part)
