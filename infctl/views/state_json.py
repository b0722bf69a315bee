"""Owns the whole state as a document: Terraform's `show -json`, with ours under `infctl`; and as text."""

from __future__ import annotations

from typing import Any

from infctl.state.model import ModelState, State
from infctl.views.outputs import outputs_json, show_outputs
from infctl.views.state import resource_json, show_resource
from infctl.views.style import Style

FORMAT_VERSION = "1.0"  # Terraform's, of `show -json` without a plan


def state_json(state: State) -> dict[str, Any]:
    things = sorted(state.resources.values(), key=lambda thing: (str(thing.address), thing.id))
    return {
        "format_version": FORMAT_VERSION,
        "values": {
            "outputs": outputs_json(state.outputs),
            "root_module": {"resources": [resource_json(thing) for thing in things]},
        },
        "infctl": {
            "infctl_version": state.infctl_version,
            "stack": state.stack,
            "workspace": state.workspace,
            "lineage": state.lineage,
            "serial": state.serial,
            "models": {name: model_state_json(model) for name, model in sorted(state.models.items())},
        },
    }


def model_state_json(model: ModelState) -> dict[str, Any]:
    """Return what is remembered of one model: which revisions a rollback can go to, a hold, a failure."""
    hold, failure = model.hold, model.failure
    return {
        "revision": model.revision,
        "revisions": [{"number": r.number, "spec_hash": r.spec_hash, "at": r.at} for r in model.revisions],
        "hold": None if hold is None else {"revision": hold.revision, "by": hold.by, "at": hold.at},
        "failure": None
        if failure is None
        else {"revision": failure.revision, "reason": failure.reason, "at": failure.at},
        "aliases": list(model.aliases),
    }


def show_state(state: State, style: Style) -> list[str]:
    """Return the state as text: models with their revisions, objects, outputs."""
    view = state_json(state)
    ours = view["infctl"]
    lines = [f"{ours['stack']}, workspace {ours['workspace']}, serial {ours['serial']}", ""]
    for name, model in ours["models"].items():
        known = " ".join(f"r{revision['number']}" for revision in model["revisions"])
        lines.append(style.paint(f"# model.{name}", "bold") + f"  r{model['revision']} serves, remembered: {known}")
        if model["hold"]:
            lines.append(
                f"    held at r{model['hold']['revision']} by {model['hold']['by']} since {model['hold']['at']}"
            )
        if model["failure"]:
            lines += style.wrap(f"r{model['failure']['revision']} failed: {model['failure']['reason']}", "    ")
    for thing in sorted(state.resources.values(), key=lambda t: (str(t.address), t.id)):
        lines += ["", *show_resource(thing, style)]
    if state.outputs:
        lines += ["", "Outputs:", *(f"  {line}" for line in show_outputs(state.outputs))]
    return lines
