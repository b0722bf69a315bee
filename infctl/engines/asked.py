"""Owns what a model asks of an engine in a container, as answers to small questions. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import prod
from typing import TYPE_CHECKING, Any

from infctl.diagnostics import Severity
from infctl.secrets import SecretRef
from infctl.spec.problems import Problem

if TYPE_CHECKING:
    from infctl.engines.serving import Serving
    from infctl.spec.model import Model

HUB = "hf://"
HUB_URI = re.compile(r"hf://(?P<id>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^/\s]+))?(?:/(?P<file>[^\s]+))?")
HUB_VARIABLE = "HF_TOKEN"  # which holds the token of the Hugging Face Hub


def from_hub(model: Model) -> bool:
    """Return whether the model is a repository of the Hugging Face Hub, or a file of one."""
    return (model.uri or "").startswith(HUB)


def token_is_a_file(model: Model) -> bool:
    """Return whether the model hands the hub's token to its engine as a file, which secrets are unless asked."""
    token = model.env.get(HUB_VARIABLE)
    return isinstance(token, SecretRef) and token.delivery == "file"


def shares(model: Model) -> bool:
    """Return whether a replica takes only a part of each device."""
    return model.gpu is not None and bool(model.gpu.memory or model.gpu.fraction)


def gpus_of(serving: Serving | None, model: Model) -> int:
    """Return the devices of one replica: as the model says, else as its engine needs."""
    if model.gpu is not None:
        return model.gpu.count
    return serving.gpus if serving else 0


def parts(serving: Serving, model: Model) -> int:
    """Return into how many groups the arguments split the devices of a replica."""
    asked = (model.engine_args.get(name) for name in serving.splits)
    return prod(each for each in asked if type(each) is int and each > 0)


def taken(model: Model, problems: Iterable[Problem]) -> dict[str, Any]:
    """Return the arguments of `model` without those that were found wrong."""
    refused = {each.loc[1] for each in problems if each.loc[0] == "engine_args" and _is_error(each)}
    return {name: _frozen(value) for name, value in model.engine_args.items() if name not in refused}


def _frozen(value: Any) -> Any:
    """Return a value of a file as it comes back from state: with tuples for lists."""
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    return {name: _frozen(each) for name, each in value.items()} if isinstance(value, dict) else value


def repository_of(uri: str) -> str:
    """Return OWNER/NAME of an `hf://` uri."""
    return "/".join(uri.removeprefix(HUB).split("@")[0].split("/")[:2])


def _is_error(found: Problem) -> bool:
    return found.diagnostic.severity is Severity.ERROR
