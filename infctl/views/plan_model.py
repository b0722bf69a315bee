"""Owns the block of a plan that says what happens to one model: what changes, memory, placement, rollout."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any, Final

from infctl.views.decision import decided_in_words, memory_in_words, slo_in_words, tokens_cost
from infctl.views.style import Style, bytes_text, columns, count, dollars
from infctl.views.values import KNOWN_AFTER_APPLY, change_words, image_word, word

View = dict[str, Any]
_LABEL: Final = 11  # columns of "placement  "
_HASH: Final = 7  # hex digits of a checksum, as git shows them
_NEVER_SHOWN: Final = frozenset({"model_sha256"})  # said in words instead
_IN_BYTES: Final = frozenset({"memory", "gpu_memory"})
_WHY_WIDTH: Final = 120  # columns from which on the reason stands beside the change


def show_model(name: str, model: View, changes: list[View], style: Style, cost: View | None = None) -> list[str]:
    """Return the block of `name`; `changes` are its objects', which know why a field forces a replacement. `cost` is
    its before and after, in dollars an hour.
    """
    lines = [style.paint(f"  # model.{name} {_headline(model)}", "bold")]
    if model["template"]:
        parts = (style.cut(part, 4) for part in _identity(model["template"], model["settings"]))
        lines += style.fill(parts, " · ", "    ")
    lines += _fields(model, changes, style)
    if model["replicas_after"]:
        decision = model.get("decision", {})
        lines += _label("decided", decided_in_words(decision), style)
        lines += _label("slo", " · ".join(slo_in_words(decision)), style)
        lines += _label("memory", memory_in_words(decision) or _memory(model), style)
        lines += _label("gpus", _gpus(model), style)
        prices = (dollars(**cost) if cost else "", tokens_cost(decision))
        lines += _label("cost", " · ".join(filter(None, prices)), style)
        lines += _label("placement", " · ".join(_placement(model)), style)
    rollout = _rollout(model)
    return lines + (_label("rollout", rollout, style) if rollout else [])


def _headline(model: View) -> str:
    before, after = model["revision_before"], model["revision_after"]
    was, will = model["replicas_before"], model["replicas_after"]
    if model["action"] == "delete":
        return f"will be destroyed: r{before}, {count(was, 'replica')}" if before else "will be destroyed"
    replicas = count(will, "replica") if was == will or not was else f"{was} → {count(will, 'replica')}"
    if model["action"] == "create":
        return f"will be created: r{after}, {replicas}"
    if before == after:
        return f"will be changed: r{after}, {replicas}"
    if not before:
        return f"will be taken over: r{after}, {replicas}"  # somebody else's, imported
    if not model["fields"]:
        return f"will be restarted as r{after}: {replicas}"
    return f"will {'go back' if after < before else 'be updated'}: r{before} → r{after}, {replicas}"


def _identity(template: View, settings: View) -> list[str]:
    """Return what runs, part by part: model, engine and its version, arguments, command."""
    checksum = template.get("model_sha256", "")
    model = template["model_uri"] + (f" @ {checksum[:_HASH]}" if checksum else "")
    engine = f"{template['engine']} {template['engine_version']}".strip()
    arguments = [f"{key} {word(value)}" for key, value in _fields_first(settings, template["args"])]
    command = "" if template["args"] else shlex.join(template.get("command", ()))  # else it is made of them
    return [part for part in (model, image_word(template.get("image", "")), engine, command, *arguments) if part]


def _fields_first(settings: View, args: View) -> list[tuple[str, Any]]:
    """Return the settings by name, those that are fields of the model before those of its engine."""
    return sorted(settings.items(), key=lambda entry: (entry[0] in args, entry[0]))


def _fields(model: View, changes: list[View], style: Style) -> list[str]:
    """Return what changes, old to new; the reason stands beside it where there is room, else below."""
    reasons = {
        tuple(field["path"]): field["why"] for change in changes for field in change["infctl"]["fields"] if field["why"]
    }
    made = bool(model["template"] and model["template"]["args"])  # then the command is only another form of them
    fields = [f for f in model["said"] if f["path"][-1] not in _NEVER_SHOWN and not (made and f["path"] == ["command"])]
    if len(fields) < len(model["said"]):
        fields = [*fields, *(field for field in model["said"] if field["path"][-1] in _NEVER_SHOWN)]
    rows = [(".".join(f["path"]), _arrow(f), _reason(f, reasons)) for f in fields]
    wide = columns(rows)
    if all(len(line) + 6 <= style.width for line in wide):
        return [f"      {line}" for line in wide]
    narrow = columns([row[:2] for row in rows])
    lines = []
    for line, (_, _, why) in zip(narrow, rows, strict=True):
        lines.append(style.cut(f"      {line}"))
        if why:
            lines += style.wrap(why, "          ")
    return lines


def _reason(field: View, reasons: dict[tuple[str, ...], str]) -> str:
    path: tuple[str, ...] = tuple(field.get("from") or field["path"])
    return (
        field["why"] or reasons.get(path, "") or reasons.get(("model", *path[1:]) if path[0] == "model_uri" else (), "")
    )


def _arrow(field: View) -> str:
    if field["path"][-1] in _IN_BYTES and isinstance(field["before"], int) and isinstance(field["after"], int):
        return f"{bytes_text(field['before'])} → {bytes_text(field['after'])}"
    if field["after_unknown"]:
        return f"{word(field['before'])} → {KNOWN_AFTER_APPLY}"
    return change_words(field["before"], field["after"])


def _memory(model: View) -> str:
    """Return what one replica needs, of what parts, and how that fits; amounts are not broken between lines."""
    parts, need, free = model["memory"], model["memory_needed"], model["memory_free"]
    said = []
    if parts:
        figures = (("weights", parts["weights"]), ("kv", parts["kv"]), ("other", parts["compute"] + parts["process"]))
        total = f"{'' if parts['exact'] else 'at most '}{_amount(parts['total'])} a replica"
        said.append(f"{total}: {' + '.join(f'{_amount(size)} {name}' for name, size in figures)}")
    if need and free:
        wants = f"needs {_amount(need)} of " if need != parts.get("total") else ""
        said.append(f"{wants}{_amount(free)} free")
    elif need and need != parts.get("total"):
        said.append(f"needs {_amount(need)}")
    return " · ".join(said)


def _gpus(model: View) -> str:
    """Return what one replica has of GPUs, and how many of these there are."""
    if not model.get("gpus_needed"):
        return ""
    template = model["template"]
    part = _amount(template["gpu_memory"]) if template.get("gpu_memory") else ""
    part = f"{template['gpu_fraction']:.0%}" if template.get("gpu_fraction") and not part else part
    each = f"{part} of each, " if part else ""
    return f"{each}{template.get('gpus', 0)} a replica · needs {model['gpus_needed']} of {model['gpus_free']} free"


def _placement(model: View) -> Iterator[str]:
    """Yield each target with its number of replicas, and where the core chose them, the places with theirs."""
    for target, number in model["where"].items():
        mine = {
            place.removeprefix(f"{target}/"): count
            for place, count in model.get("places", {}).items()
            if place.startswith(f"{target}/")
        }
        places = ", ".join(f"{place} {count}" for place, count in mine.items())
        yield f"{target} {number} ({places})" if places else f"{target} {number}"


def _amount(size: float) -> str:
    return bytes_text(size).replace(" ", "\xa0")


def _rollout(model: View) -> str:
    why = f" ({model['why_rollout']})" if model["why_rollout"] else ""
    return {
        "first": "one replica first; the others when it has answered" if model["replicas_after"] > 1 else "",
        "surge": "new beside old, one switch when all have answered: no downtime",
        "rolling": f"a few at a time, both revisions answer meanwhile, no downtime{why}",
        "drain-and-swap": (
            f"each old replica goes before its successor comes: "
            f"{'down meanwhile' if model['downtime'] else 'fewer replicas meanwhile'}{why}"
        ),
    }.get(model["rollout"], "")


def _label(label: str, text: str, style: Style) -> list[str]:
    if not text:
        return []
    lines = style.wrap(text, f"    {label.ljust(_LABEL)}", " " * (4 + _LABEL))
    return [line.replace("\xa0", " ") for line in lines]
