"""Owns how the status of the models looks: one row each, and below it what needs attention."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from infctl.ops.status import ModelStatus, Status
from infctl.views.style import Style, ago, columns

FORMAT_VERSION = "1.0"
_HEAD = ("MODEL", "REV", "READY", "WHERE", "ENGINE", "URL")
_SPARE = 4  # the column that goes where there is no room for all


def status_json(status: Status) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "stack": status.stack,
        "workspace": status.workspace,
        "serial": status.serial,
        "models": [_model_json(model) for model in status.models],
        "infctl": {
            "unreachable": [{"place": u.place, "reason": u.reason, "hint": u.hint} for u in status.unreadable],
        },
    }


def _model_json(model: ModelStatus) -> dict[str, Any]:
    hold, failure = model.hold, model.failure
    return {
        "name": model.name,
        "revision": model.revision,
        "ready": model.ready,
        "desired": model.desired,
        "where": [
            {
                "address": replica.address,
                "target": replica.target,
                "place": replica.place,
                "revision": replica.revision,
                "state": replica.state,
                "detail": replica.detail,
            }
            for replica in model.replicas
        ],
        "owner": model.owner,
        "url": model.url,
        "engine": model.engine,
        "hold": None if hold is None else {"revision": hold.revision, "by": hold.by, "at": hold.at},
        "last_failure": None
        if failure is None
        else {"revision": failure.revision, "reason": failure.reason, "at": failure.at},
    }


def show_status(view: dict[str, Any], style: Style, now: datetime) -> list[str]:
    """Return the table; a model that is not whole says below what is the matter, and how long before `now`."""
    models = view["models"]
    if not models:
        return ["No models are applied here."]
    rows = [_HEAD, *(_row(model) for model in models)]
    head, *lines = columns(rows)
    if any(len(line) > style.width for line in (head, *lines)):
        head, *lines = columns([(*row[:_SPARE], *row[_SPARE + 1 :]) for row in rows])
    told = [style.paint(head, "bold")]
    for model, line in zip(models, lines, strict=True):
        whole = model["ready"] >= model["desired"]
        told.append(style.cut(line) if whole else style.paint(style.cut(line), "red"))
    notes = [line for model in models for line in _notes(model, now)]
    notes += [f"{place['place']} cannot be read: {place['reason']}" for place in view["infctl"]["unreachable"]]
    return told + (["", *(line for note in notes for line in style.wrap(note, hanging="  "))] if notes else [])


def _row(model: dict[str, Any]) -> tuple[str, ...]:
    where: dict[str, int] = {}
    for replica in model["where"]:
        where[replica["target"]] = where.get(replica["target"], 0) + 1
    places = ", ".join(f"{target} {count}" for target, count in where.items())
    revision = f"r{model['revision']}" if model["revision"] else "-"
    return model["name"], revision, f"{model['ready']}/{model['desired']}", places or "-", model["engine"], model["url"]


def _on(replica: dict[str, Any]) -> str:
    return f" on {replica['place']}" if replica["place"] else ""


def _notes(model: dict[str, Any], now: datetime) -> list[str]:
    name = model["name"]
    notes = [
        f"{replica['address']} r{replica['revision']}{_on(replica)} is {replica['state']}"
        + (f": {replica['detail']}" if replica["detail"] else "")
        for replica in model["where"]
        if replica["state"] != "ready"
    ]
    hold, failure = model["hold"], model["last_failure"]
    if hold:
        notes.append(f"{name} is held at r{hold['revision']} ({hold['by']}, {ago(hold['at'], now)})")
    if failure:
        notes.append(f"{name} r{failure['revision']} failed {ago(failure['at'], now)}: {failure['reason']}")
    return notes
