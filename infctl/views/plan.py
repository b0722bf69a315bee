"""Owns the plan as text: what changes and why, model by model, then one line per object, then the sum of it.

Renders the JSON view's value, so JSON can never lag. Plain strings: ten thousand lines in a third of a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from infctl.views.diagnostics import show_diagnostic
from infctl.views.plan_model import show_model
from infctl.views.style import Style, bytes_text, columns, count, dollars
from infctl.views.values import KNOWN_AFTER_APPLY, change_words, word

View = dict[str, Any]
SYMBOLS: Final = {
    "create": "+",
    "update": "~",
    "delete": "-",
    "replace": "-/+",
    "replace-beside": "+/-",
    "forget": ".",
}
_COLORS: Final = {"+": "green", "~": "yellow", "-": "red", "-/+": "red", "+/-": "green", ".": "dim"}
_WIDEST: Final = 56  # columns of an address to which the others are aligned
_ALIKE: Final = 3  # objects from which on those alike are told once
_FIELDS: Final = 6  # fields of one object that are listed; more are counted
_LEGEND: Final = (
    ("create", "+ create"),
    ("update", "~ update in place"),
    ("replace-beside", "+/- replace, the new one first"),
    ("replace", "-/+ replace, the old one first"),
    ("delete", "- destroy"),
    ("forget", ". forget, it is gone already"),
)


def show_plan(view: View, style: Style) -> list[str]:
    """Return a plan as text, without what is said after it (see `show_next`)."""
    lines: list[str] = []
    for part in (
        show_drifted(view, style),
        _changes(view, style),
        _outputs(view, style),
        _sentences(view, style),
        *(show_diagnostic(shown, style) for shown in view["infctl"]["warnings"]),
    ):
        lines += [*part, ""] if part else []
    return [*lines, *_sum(view, style)]


def _changes(view: View, style: Style) -> list[str]:
    changes = [change for change in view["resource_changes"] if change["infctl"]["action"] != "no-op"]
    if not changes and not view["infctl"]["models"]:
        return []
    used = {change["infctl"]["action"] for change in changes}
    lines = ["infctl will perform the following actions:"]
    lines.append(style.paint(f"  ({', '.join(words for action, words in _LEGEND if action in used)})", "dim"))
    width = min(_WIDEST, max((len(change["address"]) for change in changes), default=0))
    by_model: dict[str, list[View]] = {}
    cost = view["infctl"].get("cost", {}).get("by_model", {})
    for change in changes:
        by_model.setdefault(change["infctl"]["model"], []).append(change)
    for name, model in view["infctl"]["models"].items():
        own = by_model.pop(name, [])
        lines += ["", *show_model(name, model, own, style, cost.get(name)), ""]
        told = {tuple(field["path"]) for field in model["fields"]}
        lines += _resources(own, width, told, style)
    for own in by_model.values():
        lines += ["", *_resources(own, width, set(), style)]
    return lines


def _resources(changes: list[View], width: int, told: set[tuple[str, ...]], style: Style) -> list[str]:
    """Return the lines of objects: each replica's, and once what happens to all others of a kind (one on each host)."""
    alike: dict[Any, list[View]] = {}
    for change in changes:
        fields = tuple((*field["path"], arrow(field)) for field in change["infctl"]["fields"])
        one = change["address"] if str(change.get("index", "")).rpartition("/")[2].isdigit() else change["type"]
        alike.setdefault((one, change["name"], _what(change, told), fields), []).append(change)
    return [line for same in alike.values() for line in _same(same, width, told, style)]


def _same(changes: list[View], width: int, told: set[tuple[str, ...]], style: Style) -> list[str]:
    if len(changes) < _ALIKE:
        return [line for change in changes for line in _resource(change, _what(change, told), width, style)]
    what = f"{_what(changes[0], told)}, and {len(changes) - 1} more like it"
    return _resource(changes[0], what, width, style)


def _resource(change: View, what: str, width: int, style: Style) -> list[str]:
    """Return one object's line; an update lists its fields, a replacement names those its model did not tell."""
    action = change["infctl"]["action"]
    symbol = SYMBOLS[action]
    address = change["address"]
    head = style.paint(symbol.rjust(3), _COLORS[symbol])
    if 4 + max(width, len(address)) + 2 + len(what) > style.width:
        width = 0  # not below the others, but in one line
    if 4 + max(width, len(address)) + 2 + len(what) > style.width:
        lines = [f"{head} {address}", *style.wrap(what, "      ")] if what else [f"{head} {address}"]
    else:
        lines = [f"{head} {address.ljust(width)}  {what}".rstrip()]
    if action == "update":
        lines += _fields(change["infctl"]["fields"], style)
    return lines


def _what(change: View, told: set[tuple[str, ...]]) -> str:
    ours = change["infctl"]
    action, reason = ours["action"], ours["reason"]
    if action in {"replace", "replace-beside"}:
        order = "new before old" if action == "replace-beside" else "old before new"
        paths = (tuple(field["path"]) for field in ours["fields"] if field["effect"] == "replace")
        names = dict.fromkeys(path[0] for path in paths if path not in told and path != ("revision",))
        because = ", ".join(names) if ours["fields"] else reason
        what = f"replaced{_where(ours)}, {order}"
        return f"{what} ({because})" if because else what
    words = {
        "create": "created",
        "update": "updated in place" if ours["fields"] else "started again",
        "delete": "destroyed",
        "forget": "leaves state",
    }[action]
    words += _where(ours) if action in {"create", "delete"} else ""
    return f"{words} ({reason})" if reason else words


def _where(ours: View) -> str:
    """Return where an object comes to be, or was: its host, and what it has of the devices there."""
    if not ours.get("host"):
        return ""
    parts: dict[int, list[str]] = {}
    for device in ours["devices"]:
        parts.setdefault(device["memory"], []).append(str(device["index"]) if device["index"] >= 0 else device["uuid"])
    said = (f"{f'{bytes_text(size)} of ' if size else ''}GPU {', '.join(names)}" for size, names in parts.items())
    return " ".join((f" on {ours['host']}", *(f"with {each}" for each in said)))


def _fields(fields: list[View], style: Style) -> Iterator[str]:
    rows = [(".".join(field["path"]), arrow(field)) for field in fields[:_FIELDS]]
    for line in columns(rows, gap=3):
        yield style.cut(f"        {line}")
    if len(fields) > _FIELDS:
        yield f"        and {count(len(fields) - _FIELDS, 'more field')}"


def arrow(field: View) -> str:
    """Return a field's change as `old → new`."""
    if field["after_unknown"]:
        return f"{word(field['before'])} → {KNOWN_AFTER_APPLY}"
    return change_words(field["before"], field["after"])


def show_drifted(view: View, style: Style) -> list[str]:
    """Return what the world changed by itself."""
    found = view["resource_drift"]
    if not found:
        return []
    lines = [style.paint("Changed outside of infctl since the last apply:", "bold"), ""]
    width = min(_WIDEST, max(len(drift["address"]) for drift in found))
    for drift in found:
        kind = drift["infctl"]["kind"]
        words = {"gone": "is gone", "stopped": "has stopped", "changed": "has changed"}.get(kind, kind)
        place = drift["infctl"].get("place")
        if place and place not in drift["address"]:
            words += f" {'from' if kind == 'gone' else 'on'} {place}"
        lines.append(f"  {style.paint('~', 'yellow')} {drift['address'].ljust(width)}  {words}")
        lines += _fields(drift["infctl"]["fields"], style)
    return lines


def _outputs(view: View, style: Style) -> list[str]:
    changes = {name: change for name, change in view["output_changes"].items() if not name.endswith(".urls")}  # as .url
    if not changes or len(changes) > 3 * 20:
        return []
    rows = []
    for name, change in changes.items():
        action = change["actions"][0]
        after = KNOWN_AFTER_APPLY if change["after_unknown"] else word(change["after"])
        text = after if action == "create" else f"{word(change['before'])} → {after}"
        rows.append((SYMBOLS[action], name, text if action != "delete" else word(change["before"])))
    return ["Outputs:", *(style.cut(f"  {line}") for line in columns(rows))]


def _sentences(view: View, style: Style) -> list[str]:
    ours = view["infctl"]
    said = [f"model.{move['from']} is now model.{move['to']}: nothing is restarted for it." for move in ours["moved"]]
    said += [f"Held: {hold}" for hold in ours["holds"]]
    said += [f"Not read: {u['place']}: {u['reason']}; what is there stays untouched." for u in ours["unreachable"]]
    said += [f"Note: {note}" for note in ours["notes"]]
    return [line for sentence in said for line in style.wrap(sentence, hanging="  ")]


def _sum(view: View, style: Style) -> list[str]:
    ours = view["infctl"]
    total = ours["summary"]
    if ours["mode"] == "refresh-only":
        return _sum_of_refresh(view, style)
    changed = any(change["infctl"]["action"] != "no-op" for change in view["resource_changes"])
    if not changed:
        if ours["moved"] or ours["forgotten_models"] or ours["models"]:
            return [style.paint("No objects change: apply writes to state what is said above.", "bold")]
        if ours["mode"] == "destroy":
            return [style.paint("No changes. ", "bold", "green") + "There is nothing to destroy."]
        held = ", with its holds," if ours["holds"] else ""
        return [style.paint("No changes. ", "bold", "green") + f"What runs is what the file{held} asks for."]
    line = f"{total['add']:,} to add, {total['change']:,} to change, {total['remove']:,} to destroy."
    lines = [style.paint("Plan:", "bold") + f" {line}"]
    if "cost" in ours or "unpriced" in ours:
        lines += style.wrap(_cost(ours.get("cost"), ours.get("unpriced", {})), hanging="  ")
    dark = [name for name, model in ours["models"].items() if model["downtime"]]
    turning = [name for name, model in ours["models"].items() if model.get("in_turn") and name not in dark]
    if (dark or turning) and ours["mode"] != "destroy":
        if dark:
            lines += style.wrap(f"Downtime: {', '.join(dark)} will not answer for a while.")
        if turning:
            each = f"each address of {', '.join(turning)} is away for a moment, one host after the other."
            lines += style.wrap(f"Downtime: {each}")
    elif any(model["rollout"] in {"surge", "rolling"} for model in ours["models"].values()):
        lines.append("Downtime: none.")
    return lines


def _cost(cost: View | None, unpriced: View) -> str:
    """Return what the stack costs, and what of it where and how paid for, when there are several; and what of it nobody
    knows the price of.
    """
    rest = f"no price of {' and '.join(unpriced)} is known" if unpriced else ""
    if cost is None:
        return f"Cost: not known ({rest})."
    words = _known_cost(cost)
    return f"{words} Not in it: {rest}." if rest else words


def _known_cost(cost: View) -> str:
    said = f"Cost: {dollars(cost['before'], cost['after'])}"
    if cost["before"] and cost["after"] != cost["before"]:
        said += f" ({cost['after'] / cost['before'] - 1:+.1%})"
    for part in ("by_target", "by_purchase"):
        if len(cost[part]) > 1:
            said += f" · {', '.join(f'{name} {dollars(**each)}' for name, each in cost[part].items())}"
    return f"{said}, by {' and '.join(cost['prices'])}." if cost["prices"] else f"{said}."


def _sum_of_refresh(view: View, style: Style) -> list[str]:
    ours = view["infctl"]
    if not ours["refreshed"] and not ours["forget"] and not view["resource_drift"]:
        return [style.paint("No changes. ", "bold", "green") + "State says what the world is."]
    changed, gone = len(ours["refreshed"]), len(ours["forget"])
    said = [f"takes in {count(changed, 'object')} as now found"] if changed else []
    said += [f"forgets {count(gone, 'object')} no longer there"] if gone else []
    if not said:
        return style.wrap("State has nothing to take in: only `infctl apply` starts what is stopped.")
    return style.wrap(f"Applying this plan changes nothing in the world: state {' and '.join(said)}.")
