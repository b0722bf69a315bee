"""A lost state is rebuilt from what runs, and from what a backup remembers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from infctl.address import parse_address
from infctl.provider.values import Labels, Observed, Unreadable, digest
from infctl.state.model import ModelState, Resource
from infctl.state.moves import remove
from infctl.state.recover import Recovered, recover
from infctl.state.store import Salvaged
from infctl.state.testkit import sample
from tests.unit.state.words import refused

LOST = Salvaged(None, 6)
REACH = {"here": {"type": "fake", "config": {"place": "here"}}}


def seen(ident: str, slot: int = 0, *, revision: int = 1, target: str = "here", **labels: Any) -> Observed:
    """Return a live replica of chat that carries labels."""
    address = f'fake_process.chat["{target}/{slot}"]'
    written = {
        "id": ident,
        "lineage": "lineage-a",
        "stack": "stack",
        "workspace": "default",
        "address": address,
        "model": "chat",
        "revision": revision,
        "spec_hash": f"hash{revision}",
        "fence": revision,
        **labels,
    }
    here = parse_address(address)
    return Observed(here, ident, f"native-{ident}", target, {"a": 1}, {"pid": 7}, Labels(**written))


def rebuilt(*observed: Observed, salvaged: Salvaged = LOST, **how: Any) -> Recovered:
    return recover(observed, salvaged, stack="stack", workspace="default", reach=REACH, **how)


def test_what_runs_tells_what_the_state_was() -> None:
    stranger = replace(seen("s"), labels=None)
    other = seen("o", 3, lineage="lineage-b", stack="other")
    state = rebuilt(seen("a"), seen("b", 1), stranger, other).state
    assert (state.lineage, state.stack, state.serial) == ("lineage-a", "stack", 7)
    assert set(state.resources) == {"a", "b"}
    assert state.resources["b"] == Resource(
        parse_address('fake_process.chat["here/1"]'),
        "b",
        "native-b",
        "here",
        "chat",
        1,
        "hash1",
        {"a": 1},
        {"pid": 7},
        REACH["here"],
        fence=1,
    )


def test_the_serving_revision_is_known_by_its_hash_but_not_by_what_it_was_made_of() -> None:
    found = rebuilt(seen("a", revision=4))
    model = found.state.models["chat"]
    assert (model.revision, model.next_revision) == (4, 5)
    assert [(entry.number, entry.spec_hash, entry.template) for entry in model.revisions] == [(4, "hash4", {})]
    assert found.notes == ("chat: what r4 was made of is not known, so no rollback goes to it",)


def test_a_revision_on_two_targets_has_the_hash_that_planning_gives_it() -> None:
    model = rebuilt(seen("a"), seen("b", target="there", spec_hash="other")).state.models["chat"]
    assert model.revisions[0].spec_hash == digest({"here": "hash1", "there": "other"})


def test_of_two_objects_at_one_address_the_newer_was_begun_and_the_older_serves() -> None:
    state = rebuilt(seen("new", revision=2), seen("old", revision=1)).state
    assert (state.resources["new"].pending, state.resources["new"].ready) == ("create", False)
    assert state.resources["old"].deposed
    assert not state.resources["new"].deposed
    assert (state.models["chat"].revision, state.models["chat"].next_revision) == (1, 2)


def test_a_backup_adds_what_no_object_can_tell() -> None:
    backup = sample(5)
    known = backup.resources["0005"]
    live = seen("0005", revision=1, address='fake_process.oldname["here/0"]')
    found = rebuilt(live, salvaged=Salvaged(backup, 5, ("state.json is damaged",)))
    assert found.state.resources["0005"] == replace(known, outputs={"pid": 7})
    assert found.state.models["chat"] == backup.models["chat"]
    assert found.state.serial == 6
    assert found.notes == ("state.json is damaged", 'fake_router.chat["here"] (r0) is gone and left the state')


def test_an_adopted_object_without_labels_is_known_by_the_backup() -> None:
    live = replace(seen("x"), id="r0", labels=None)
    assert set(rebuilt(live, salvaged=Salvaged(sample(5), 5)).state.resources) == {"r0"}


def test_what_a_backup_knows_of_a_place_that_cannot_be_read_is_kept() -> None:
    places = {"here": (Unreadable("host-1", "it is down"),)}
    found = rebuilt(salvaged=Salvaged(sample(5), 5), unreadable=places)
    assert set(found.state.resources) == {"0005", "r0"}
    assert all("host-1 could not be read" in note for note in found.notes)


def test_a_stale_backup_is_brought_up_to_what_runs() -> None:
    backup = replace(sample(5), models={"chat": ModelState("chat", 1, 2)})
    state = rebuilt(seen("n", 1, revision=3), salvaged=Salvaged(backup, 9)).state
    assert (state.models["chat"].revision, state.models["chat"].next_revision, state.serial) == (3, 4, 10)


def test_nothing_and_too_much_are_refused() -> None:
    assert "nothing-to-recover" in refused(rebuilt)
    assert "nothing-to-recover" in refused(lambda: rebuilt(seen("a", stack="other")))
    assert "nothing-to-recover" in refused(lambda: rebuilt(lineage="lineage-b"))
    two = (seen("a"), seen("b", 1, lineage="lineage-b"), seen("c", 2, lineage="lineage-b"))
    words = refused(lambda: rebuilt(*two))
    assert "lineage-a: 1 objects; lineage-b: 2 objects" in words
    assert "-lineage=lineage-a" in words
    assert set(rebuilt(*two, lineage="lineage-b").state.resources) == {"b", "c"}


def test_what_was_forgotten_on_purpose_stays_so_and_is_named() -> None:
    before = rebuilt(seen("a"), seen("b", 1)).state
    backup, _ = remove(before, (parse_address('fake_process.chat["here/1"]'),))
    made = rebuilt(seen("a"), seen("b", 1), salvaged=Salvaged(backup, 8))
    assert set(made.state.resources) == {"a"}
    assert made.state.released == ("b",)
    assert 'fake_process.chat["here/1"] (b) was forgotten on purpose: infctl import takes it back' in made.notes


def test_of_two_at_one_address_the_later_run_made_the_one_that_was_begun() -> None:
    back = seen("back", revision=1, fence=3)  # a rollback from r2 to r1, cut short
    found = rebuilt(back, seen("old", revision=2)).state
    assert (found.resources["back"].pending, found.resources["old"].deposed) == ("create", True)
    assert found.models["chat"].revision == 2


def test_what_is_rebuilt_does_not_depend_on_the_order_of_the_answers() -> None:
    address = 'fake_process.embed["here/0"]'
    embed = replace(seen("b", model="embed", address=address), address=parse_address(address))
    both = (seen("a"), embed)
    assert list(rebuilt(*reversed(both)).state.models) == list(rebuilt(*both).state.models) == ["chat", "embed"]
