"""Which workspace is meant, and what may be done to one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from infctl.state import workspaces
from infctl.state.local import LocalStore
from infctl.state.testkit import sample
from tests.unit.state.words import refused


def test_a_new_workspace_is_selected_and_the_environment_overrides(tmp_path: Path) -> None:
    assert workspaces.selected(tmp_path, {}) == "default"
    workspaces.new(LocalStore(tmp_path, "blue"), tmp_path, {})
    assert workspaces.selected(tmp_path, {}) == "blue"
    assert workspaces.selected(tmp_path, {"INFCTL_WORKSPACE": "green"}) == "green"
    assert workspaces.selected(tmp_path, {"INFCTL_WORKSPACE": ""}) == "blue"
    workspaces.select(LocalStore(tmp_path), tmp_path, {})
    assert workspaces.selected(tmp_path, {}) == "default"
    assert "workspace-exists" in refused(lambda: workspaces.new(LocalStore(tmp_path, "blue"), tmp_path, {}))
    assert (tmp_path / ".infctl" / "workspace").stat().st_mode & 0o777 == 0o600


def test_selecting_under_an_override_would_be_silent(tmp_path: Path) -> None:
    LocalStore(tmp_path, "blue").create()
    env = {"INFCTL_WORKSPACE": "green"}
    assert "unset INFCTL_WORKSPACE" in refused(lambda: workspaces.select(LocalStore(tmp_path, "blue"), tmp_path, env))


def test_a_slip_in_a_name_is_not_an_empty_state(tmp_path: Path) -> None:
    LocalStore(tmp_path, "blue").create()
    workspaces.require(LocalStore(tmp_path, "blue"))
    for act in (workspaces.require, partial(workspaces.select, root=tmp_path, env={})):
        assert 'did you mean "blue"?' in refused(partial(act, LocalStore(tmp_path, "bleu")))
        assert "infctl workspace new q makes it" in refused(partial(act, LocalStore(tmp_path, "q")))


@pytest.mark.parametrize("name", ["workspace", "Blue", "blue/green", "..", "", "a" * 41])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    assert "bad-workspace" in refused(lambda: workspaces.new(LocalStore(tmp_path, name), tmp_path, {}))
    if name:
        assert "bad-workspace" in refused(lambda: workspaces.selected(tmp_path, {"INFCTL_WORKSPACE": name}))


def test_a_workspace_that_holds_something_is_deleted_only_by_force(tmp_path: Path) -> None:
    blue = LocalStore(tmp_path, "blue")
    workspaces.new(blue, tmp_path, {})
    delete = partial(workspaces.delete, blue, tmp_path, {})
    assert "it is the selected one" in refused(delete)
    workspaces.select(LocalStore(tmp_path), tmp_path, {})
    with blue.lock("ops", "apply") as lease:
        lease.commit(sample())
    assert "it holds 2 objects" in refused(delete)
    delete(force=True)
    assert blue.workspaces() == ("default",)
    assert "no-such-workspace" in refused(delete)
    assert "the default workspace always stays" in refused(
        lambda: workspaces.delete(LocalStore(tmp_path), tmp_path, {"INFCTL_WORKSPACE": "blue"}, force=True)
    )


def test_an_unreadable_workspace_is_deleted_only_by_force(tmp_path: Path) -> None:
    blue = LocalStore(tmp_path, "blue")
    blue.create()
    (tmp_path / ".infctl" / "blue" / "state.json").write_text("{")
    assert "state-damaged" in refused(lambda: workspaces.delete(blue, tmp_path, {}))
    workspaces.delete(blue, tmp_path, {}, force=True)
    assert blue.workspaces() == ("default",)
