"""Changes of state that touch nothing in the world."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from infctl.address import Address, parse_address
from infctl.provider.values import Ref
from infctl.state.journal import Record
from infctl.state.local import LocalStore
from infctl.state.model import ModelState, State
from infctl.state.moves import migrate, move, push, remove
from infctl.state.store import Loaded
from infctl.state.testkit import sample
from tests.unit.state.words import refused

REPLICA = parse_address('fake_process.chat["here/0"]')
ROUTER = parse_address('fake_router.chat["here"]')


def at(text: str) -> Address:
    return parse_address(text)


def test_a_model_is_renamed_with_all_that_is_its_own() -> None:
    moved = move(sample(), at("model.chat"), at("model.assistant"))
    addresses = {str(thing.address) for thing in moved.resources.values()}
    assert addresses == {'fake_process.assistant["here/0"]', 'fake_router.chat["here"]'}
    assert moved.resources["0000"].model == "assistant"
    assert set(moved.models) == {"assistant"}
    assert moved.models["assistant"].name == "assistant"
    assert moved.models["assistant"].aliases == ("chat",), "the old name, not the alias that is the name now"
    assert set(moved.outputs) == {"assistant.url", "assistant.revision"}


def test_references_follow_a_move() -> None:
    moved = move(sample(), REPLICA, at('fake_process.chat["here/4"]'))
    assert moved.resources["0000"].address.slot == 4
    assert moved.resources["r0"].values["backends"] == (Ref(at('fake_process.chat["here/4"]'), "url", "0000"),)
    router = move(sample(), ROUTER, at('fake_router.talk["here"]'))
    assert router.outputs["chat.url"] == Ref(at('fake_router.talk["here"]'), "url")


def test_an_address_without_a_key_moves_every_instance() -> None:
    moved = move(sample(), at("fake_process.chat"), at("fake_process.talk"))
    assert str(moved.resources["0000"].address) == 'fake_process.talk["here/0"]'
    assert moved.resources["0000"].model == "talk"


@pytest.mark.parametrize(
    ("source", "to", "code"),
    [
        ("model.chatt", "model.b", 'not-in-state: State knows nothing at model.chatt|did you mean "model.chat"?'),
        ('fake_process.chat["here/1"]', 'fake_process.chat["here/2"]', 'not-in-state|did you mean "fake_process.chat['),
        ("model.chat", "model.other", "bad-move|model.other is there already"),
        ("model.chat", 'fake_process.a["here/0"]', "bad-move|a model moves to model.NAME only"),
        (str(REPLICA), 'fake_router.chat["here/0"]', "bad-move|an object of kind fake_process cannot"),
        (str(REPLICA), 'fake_process.chat["there/0"]', "bad-move|it runs on here: moving it to there takes a plan"),
        (str(REPLICA), "fake_process.chat", "bad-move|or neither"),
        (str(REPLICA), str(REPLICA), "bad-move|is taken"),
        ("fake_process.chat", "fake_process.other", 'bad-move|fake_process.other["here/0"] is taken'),
    ],
)
def test_what_cannot_be_moved_says_why(source: str, to: str, code: str) -> None:
    taken = replace(sample().resources["0000"], address=at('fake_process.other["here/0"]'), id="o1", model="other")
    state = sample().put(taken).put_model(ModelState("other"))
    words = refused(lambda: move(state, at(source), at(to)))
    for part in code.split("|"):
        assert part in words


def test_what_is_removed_leaves_state_with_its_model() -> None:
    left, gone = remove(sample(), (at("model.chat"),))
    assert [thing.id for thing in gone] == ["0000"]
    assert (set(left.resources), left.models, left.outputs) == ({"r0"}, {}, {})
    left, gone = remove(sample(), (ROUTER,))
    assert (set(left.resources), set(left.models), set(left.outputs)) == (
        {"0000"},
        {"chat"},
        {"chat.url", "chat.revision"},
    )
    assert "not-in-state" in refused(lambda: remove(sample(), (ROUTER, at("target.there"))))
    assert "not-in-state" in refused(lambda: remove(sample(), (at("model.chatt"),)))


def test_a_push_must_follow_what_is_stored() -> None:
    stored = Loaded(sample(4))
    assert push(sample(4), stored).serial == 5, "an edited copy of the stored state"
    assert push(sample(9), stored).serial == 9
    assert push(sample(2), Loaded(None)).serial == 2
    for unfit, why in (
        (sample(3), "it is serial 3, stored is serial 4"),
        (replace(sample(4), lineage="other"), "lineage other"),
        (replace(sample(4), workspace="blue"), "stack/blue"),
    ):
        assert why in refused(partial(push, unfit, stored))
        assert push(unfit, stored, force=True).serial == 5
    interrupted = Loaded(sample(4), (Record("s1", "begin"),))
    assert "interrupted run" in refused(lambda: push(sample(4), interrupted))
    assert push(sample(4), Loaded(None), highest=7, force=True).serial == 8


def filled(root: Path, state: State) -> LocalStore:
    root.mkdir()
    store = LocalStore(root)
    with store.lock("ops", "apply") as lease:
        lease.commit(state)
    return store


def test_a_state_moves_from_store_to_store_with_its_key_and_its_journal(tmp_path: Path) -> None:
    here, there = filled(tmp_path / "here", sample(4)), LocalStore(tmp_path)
    with here.lock("ops", "apply") as lease:
        lease.append((Record("s1", "done", drop="r0"),))
    moved = migrate(here, there, "ops")
    assert set(moved.resources) == {"0004"}
    assert there.load() == Loaded(moved)
    assert moved.serial == 4
    assert there.digest_key() == here.digest_key()
    assert here.lock_info() is there.lock_info() is None
    assert migrate(here, there, "ops").serial == 5, "doing it twice is fine"


def test_a_state_does_not_move_over_another(tmp_path: Path) -> None:
    here, other = filled(tmp_path / "here", sample(4)), filled(tmp_path / "other", replace(sample(8), lineage="b"))
    assert "another lineage, b" in refused(lambda: migrate(here, other, "ops"))
    other.digest_key()
    assert migrate(here, other, "ops", force=True).serial == 9
    empty = LocalStore(tmp_path)
    assert "holds no state" in refused(lambda: migrate(empty, here, "ops"))
    empty.digest_key()
    assert "another digest key" in refused(lambda: migrate(here, empty, "ops"))
    assert empty.load().state is None
