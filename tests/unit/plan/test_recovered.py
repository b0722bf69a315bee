"""Planning over a state that was rebuilt from what runs: its revisions are known by hash, not by what they were."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infctl.diagnostics import InfctlError
from infctl.plan.request import Request
from infctl.plan.revisions import assign
from infctl.provider.values import Deployment, Labels, Scope, Template, template_hash
from infctl.state.model import Hold, ModelState, Revision, State

WISH = Deployment("chat", 0, Template("fake", "1", "file:x", "ab", "completions"), (0,), ("chat",))
RECOVERED = ModelState("chat", 4, 5, (Revision(4, template_hash(WISH.template), {}),))


def state_of(model: ModelState) -> State:
    return State("lineage", "stack", models={"chat": model})


def test_what_runs_keeps_its_number() -> None:
    assigned = assign((("here", WISH),), state_of(RECOVERED), Request())
    assert assigned.deployments[0].revision == 4
    assert assigned.models["chat"] == RECOVERED


def test_a_change_of_the_file_is_the_next_revision() -> None:
    other = replace(WISH, template=replace(WISH.template, model_uri="file:y"))
    assert assign((("here", other),), state_of(RECOVERED), Request()).deployments[0].revision == 5


def test_no_rollback_goes_to_what_nobody_remembers() -> None:
    with pytest.raises(InfctlError, match="no-such-revision"):
        assign((("here", WISH),), state_of(replace(RECOVERED, revision=5)), Request(rollback={"chat": 4}))
    held = replace(RECOVERED, hold=Hold(4, template_hash(WISH.template), "ops", ""))
    assert not assign((("here", WISH),), state_of(held), Request()).holds


def test_a_lost_state_looks_for_everything_of_its_stack_and_workspace() -> None:
    labels = Labels("a", "lineage-a", "stack", "default", "thing.chat", "chat", 1, "", 1)
    assert Scope("", "stack", "default").covers(labels)
    assert not Scope("", "stack", "blue").covers(labels)
    assert not Scope("", "other", "default").covers(labels)
    assert not Scope("", "stack", "default").covers(None)
    assert Scope("lineage-a", "renamed", "default").covers(labels)
    assert not Scope("lineage-b", "stack", "default").covers(labels)
