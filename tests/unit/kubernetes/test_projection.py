"""What of a live object is ours: defaults and others' additions are no difference, a change of ours is."""

from __future__ import annotations

from typing import Any

import pytest

from infctl_kubernetes.projection import as_seen

OURS: dict[str, Any] = {
    "containers": (
        {"name": "engine", "image": "a@sha256:1", "args": ("--port", "1"), "env": ({"name": "A", "value": "1"},)},
    ),
    "tolerations": ({"key": "gpu", "operator": "Exists"},),
    "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
}
ENGINE: dict[str, Any] = {
    "name": "engine",
    "image": "a@sha256:1",
    "args": ["--port", "1"],
    "env": [{"name": "A", "value": "1"}],
    "imagePullPolicy": "IfNotPresent",
}
LIVE: dict[str, Any] = {
    "containers": [ENGINE],
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
    "dnsPolicy": "ClusterFirst",
}


def test_what_the_cluster_fills_in_is_no_difference() -> None:
    assert as_seen(OURS, LIVE) == OURS


def test_a_container_and_a_variable_that_admission_adds_are_no_difference() -> None:
    engine = {**ENGINE, "env": [{"name": "ADDED", "value": "x"}, *ENGINE["env"]]}
    sidecar = {"name": "proxy", "image": "proxy:1"}
    assert as_seen(OURS, {**LIVE, "containers": [sidecar, engine]}) == OURS


@pytest.mark.parametrize(
    ("engine", "seen"),
    [
        ({"image": "b:1"}, {"image": "b:1"}),
        ({"args": ["--port", "2"]}, {"args": ("--port", "2")}),
        ({"args": ["--port"]}, {"args": ("--port",)}),
        ({"args": None}, {"args": None}),
        ({"env": [{"name": "A", "value": "2"}]}, {"env": ({"name": "A", "value": "2"},)}),
        ({"env": []}, {"env": ()}),
    ],
)
def test_what_somebody_changed_of_ours_is_seen(engine: dict[str, Any], seen: dict[str, Any]) -> None:
    found = as_seen(OURS, {**LIVE, "containers": [{**ENGINE, **engine}]})
    assert found == {**OURS, "containers": ({**OURS["containers"][0], **seen},)}


def test_a_list_without_names_is_whole() -> None:
    more = [*LIVE["tolerations"], {"key": "spot", "operator": "Exists"}]
    assert as_seen(OURS, {**LIVE, "tolerations": more})["tolerations"] == tuple(more)


def test_what_is_gone_is_none() -> None:
    assert as_seen(OURS, {**LIVE, "securityContext": None})["securityContext"] is None
