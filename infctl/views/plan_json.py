"""Owns the plan as JSON: Terraform's plan document, with ours under `infctl`. What text says, this says first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from infctl.plan.model import (
    ACTIONS,
    REPLACE_ASKED_FOR,
    Action,
    Cost,
    Effect,
    FieldChange,
    ModelChange,
    Plan,
    ResourceChange,
    Step,
)
from infctl.provider.values import Ref, leaves
from infctl.secrets import Unknown
from infctl.views.diagnostics import diagnostic_json
from infctl.views.settings import said_fields, settings
from infctl.views.values import plain, sensitive, unknown

FORMAT_VERSION = "1.2"  # Terraform's, of `show -json`
_ADDS = frozenset({Action.CREATE, Action.REPLACE, Action.REPLACE_BESIDE})
# Terraform's words (its json-format document, `action_reason`), by action and whether -replace asked for it.
_REASONS = {
    (Action.REPLACE, False): "replace_because_cannot_update",
    (Action.REPLACE_BESIDE, False): "replace_because_cannot_update",
    (Action.REPLACE, True): "replace_by_request",
    (Action.REPLACE_BESIDE, True): "replace_by_request",
    (Action.DELETE, False): "delete_because_no_resource_config",
}
_REMOVES = frozenset({Action.DELETE, Action.REPLACE, Action.REPLACE_BESIDE})


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return the whole document."""
    view = plan_view(plan)
    return {
        "format_version": FORMAT_VERSION,
        "applyable": not plan.is_empty,
        "complete": not plan.unreachable,
        "errored": False,
        "planned_values": _planned_values(plan),
        **view,
        "infctl": view["infctl"] | {"steps": [_step_json(step) for step in plan.steps]},
    }


def plan_view(plan: Plan) -> dict[str, Any]:
    """Return the part of the document that text shows: what changes, not how."""
    return {
        "resource_changes": [change_json(change) for change in plan.resource_changes],
        "resource_drift": [_drift_json(found) for found in plan.drift],
        "output_changes": output_changes(plan),
        "infctl": _ours(plan),
    }


def summary(plan: Plan) -> dict[str, Any]:
    """Return Terraform's change summary: a replacement is one added and one removed."""
    actions = [change.action for change in plan.resource_changes]
    return {
        "add": sum(action in _ADDS for action in actions),
        "change": sum(action is Action.UPDATE for action in actions),
        "import": 0,
        "remove": sum(action in _REMOVES for action in actions),
        "operation": "destroy" if plan.mode.value == "destroy" else "plan",
    }


def change_json(change: ResourceChange) -> dict[str, Any]:
    """Return one element of `resource_changes`."""
    why = _REASONS.get((change.action, change.reason == REPLACE_ASKED_FOR))
    return {
        **resource_names(change),
        **({"action_reason": why} if why else {}),
        "change": {
            "actions": list(ACTIONS[change.action]),
            "before": plain(change.before),
            "after": _known(change.after, change.before),
            "after_unknown": unknown(change.after or {}, change.before),
            "before_sensitive": sensitive(change.before or {}),
            "after_sensitive": sensitive(change.after or {}),
            "replace_paths": [list(field.path) for field in change.fields if field.effect is Effect.REPLACE],
        },
        "infctl": {
            "action": change.action.value,
            "model": change.model,
            "target": change.target,
            "reason": change.reason,
            "fields": fields_json(change.fields),
            "id_before": change.id_before,
            "id_after": change.id_after,
            "revision_before": change.revision_before,
            "revision_after": change.revision_after,
            **({"host": change.place, "devices": list(map(asdict, change.devices))} if change.place else {}),
        },
    }


def resource_names(thing: ResourceChange) -> dict[str, Any]:
    """Return what Terraform calls a resource."""
    address = thing.address
    names: dict[str, Any] = {
        "address": str(address),
        "mode": "managed",
        "type": address.kind,
        "name": address.name,
        "provider_name": thing.provider,
    }
    if address.key:
        names["index"] = address.key
    return names


def _known(after: Any, before: Any) -> Any:
    """Return `after` without what only apply can tell."""
    if isinstance(after, Mapping):
        known = before if isinstance(before, Mapping) else {}
        return {
            key: _known(item, known.get(key))
            for key, item in after.items()
            if unknown(item, known.get(key)) is not True
        }
    return None if unknown(after, before) is True else plain(after)


def fields_json(fields: Iterable[FieldChange]) -> list[dict[str, Any]]:
    """Return what differs, field by field, each with its effect and the reason for it."""
    return [
        {
            "path": list(field.path),
            "before": plain(field.old),
            "after": plain(field.new),
            "after_unknown": any(isinstance(leaf, (Unknown, Ref)) for leaf in leaves(field.new)),
            "effect": field.effect.value,
            "why": field.why,
        }
        for field in fields
    ]


def output_changes(plan: Plan) -> dict[str, Any]:
    """Return the outputs that will be others, in Terraform's shape."""
    found: dict[str, Any] = {}
    for name, after in plan.outputs.items():
        before = plan.outputs_before.get(name)
        if before == after:
            continue
        not_known = _is_open(after)
        action = "create" if name not in plan.outputs_before else "update"
        found[name] = _output(action, before, None if not_known else plain(after), not_known)
    for name, before in plan.outputs_before.items():
        if name not in plan.outputs:
            found[name] = _output("delete", before, None, False)
    return found


def _is_open(value: Any) -> bool:
    return any(isinstance(leaf, (Ref, Unknown)) for leaf in leaves(value))


def _output(action: str, before: Any, after: Any, not_known: bool) -> dict[str, Any]:
    return {
        "actions": [action],
        "before": before,
        "after": after,
        "after_unknown": not_known,
        "before_sensitive": False,
        "after_sensitive": False,
    }


def _planned_values(plan: Plan) -> dict[str, Any]:
    """Return what will stand at the addresses that change."""
    resources = [
        {**resource_names(c), "schema_version": 0, "values": _known(c.after, c.before),
         "sensitive_values": sensitive(c.after)}
        for c in plan.resource_changes
        if c.after is not None
    ]  # fmt: skip
    outputs = {
        name: {"sensitive": False} | ({} if _is_open(value) else {"value": plain(value)})
        for name, value in plan.outputs.items()
    }
    return {"outputs": outputs, "root_module": {"resources": resources}}


def _drift_json(found: Any) -> dict[str, Any]:
    before = {".".join(field.path): plain(field.old) for field in found.fields}
    after = {".".join(field.path): plain(field.new) for field in found.fields}
    gone = found.kind == "gone"
    return {
        "address": str(found.address),
        "mode": "managed",
        "type": found.address.kind,
        "name": found.address.name,
        **({"index": found.address.key} if found.address.key else {}),
        "change": {"actions": ["delete" if gone else "update"], "before": before, "after": None if gone else after},
        "infctl": {
            "kind": found.kind,
            **({"place": found.place} if found.place else {}),
            "fields": fields_json(found.fields),
        },
    }


def _ours(plan: Plan) -> dict[str, Any]:
    return {
        "infctl_version": plan.infctl_version,
        "stack": plan.stack,
        "workspace": plan.workspace,
        "lineage": plan.lineage,
        "serial": plan.serial,
        "mode": plan.mode.value,
        "summary": summary(plan),
        **({"cost": cost_json(plan)} if plan.costs else {}),
        **({"unpriced": _unpriced_json(plan)} if plan.unpriced else {}),
        "models": {model.name: model_json(model) for model in plan.models},
        "assumptions": [{"what": a.what, "value": plain(a.value), "needs": a.needs} for a in plan.assumptions],
        "holds": list(plan.holds),
        "notes": list(plan.notes),
        "moved": [{"from": old, "to": new} for old, new in plan.moved],
        "forgotten_models": list(plan.forgotten_models),
        "unreachable": [{"place": u.place, "reason": u.reason, "hint": u.hint} for u in plan.unreachable],
        "warnings": [diagnostic_json(warning) for warning in plan.warnings],
        "refreshed": [str(thing.address) for thing in plan.refreshed],
        "forget": list(plan.forget),
    }


def model_json(model: ModelChange) -> dict[str, Any]:
    """Return what happens to one model. Memory in bytes.

    `said` and `settings` are `fields` and the template's arguments in the words of the user's own fields.
    """
    fields, template = fields_json(model.fields), plain(model.template)
    return {
        "action": model.action.value,
        "revision_before": model.revision_before,
        "revision_after": model.revision_after,
        "replicas_before": model.replicas_before,
        "replicas_after": model.replicas_after,
        "fields": fields,
        "template": template,
        "settings": dict(settings(template)) if template else {},
        "said": said_fields(template, fields) if template else fields,
        "where": dict(model.where),
        **({"places": dict(model.places)} if model.places else {}),
        **({"gpus_needed": model.gpus_needed, "gpus_free": model.gpus_free} if model.gpus_needed else {}),
        "rollout": model.rollout.value,
        "downtime": model.downtime,
        **({"in_turn": True} if model.in_turn else {}),
        "why_rollout": model.why_rollout,
        **({"decision": plain(model.decision)} if model.decision else {}),
        "memory": dict(model.memory),
        "memory_needed": model.memory_needed,
        "memory_free": model.memory_free,
    }


def _unpriced_json(plan: Plan) -> dict[str, Any]:
    """Return how many devices are in use, by target, of which nobody tells a price."""
    return {each.target: {"before": each.before, "after": each.after} for each in plan.unpriced}


def cost_json(plan: Plan) -> dict[str, Any]:
    """Return what the stack costs in dollars an hour, before and after: in all, by model, by target and purchase."""

    def total(costs: Iterable[Cost]) -> dict[str, float]:
        costs = tuple(costs)
        return {
            "before": round(sum(each.before for each in costs), 6),
            "after": round(sum(each.after for each in costs), 6),
        }

    def by(name: Callable[[Cost], str]) -> dict[str, Any]:
        found: dict[str, list[Cost]] = {}
        for each in plan.costs:
            found.setdefault(name(each), []).append(each)
        return {key: total(costs) for key, costs in found.items()}

    return {
        "currency": "USD",
        "per": "hour",
        "prices": list(plan.priced),
        **total(plan.costs),
        "by_model": by(lambda each: each.model),
        "by_target": by(lambda each: each.target),
        "by_purchase": by(lambda each: each.purchase),
    }


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "id": step.id,
        "address": str(step.address),
        "do": step.do.value,
        "object": step.object,
        "set": plain(step.set),
        "gate": None if step.gate is None else {"timeout": step.gate.timeout},
        "needs": list(step.needs),
        "undo": None if step.undo is None else {"do": step.undo.do.value, "id": step.undo.id},
        "resuming": step.resuming,
        "reason": step.reason,
    }
