"""Whatever a state holds, its text gives it back; whatever a journal holds, replay is the same however it was cut."""

from __future__ import annotations

import json
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from infctl.address import Address
from infctl.provider import values
from infctl.provider.values import Ref
from infctl.secrets import UNKNOWN, SecretRef
from infctl.state import codec, journal, kept, snapshot
from infctl.state.journal import Record, What, replay
from infctl.state.model import Failure, Hold, ModelState, Resource, Revision, State

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,6}[a-z0-9]", fullmatch=True)
WORDS = st.text(max_size=8)
COUNTS = st.integers(0, 10**9)
ADDRESSES = st.builds(
    Address,
    st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True),
    NAMES,
    st.from_regex(r"([a-z]{1,4}(/[0-9]{1,2})?)?", fullmatch=True),
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    WORDS,
    st.just(UNKNOWN),
    st.builds(Ref, ADDRESSES, WORDS, WORDS),
    st.builds(SecretRef, WORDS, st.sampled_from(("file", "env")), WORDS),
)
KEYS = WORDS.filter(lambda key: not key.startswith("$"))  # "$ref" and its like are the writing's own
TREES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3).map(tuple), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)
MAPPINGS = st.dictionaries(KEYS, TREES, max_size=3)
RESOURCES = st.builds(
    Resource,
    ADDRESSES,
    st.text("0123456789abcdef", min_size=1, max_size=2),
    WORDS,
    NAMES,
    st.one_of(st.just(""), NAMES),
    COUNTS,
    WORDS,
    MAPPINGS,
    MAPPINGS,
    MAPPINGS,
    COUNTS,
    WORDS,
    COUNTS,
    st.booleans(),
    st.sampled_from(("", "create", "delete")),
    st.booleans(),
)
MODELS = st.builds(
    ModelState,
    NAMES,
    COUNTS,
    COUNTS,
    st.lists(st.builds(Revision, COUNTS, WORDS, MAPPINGS, WORDS), max_size=2).map(tuple),
    st.one_of(st.none(), st.builds(Hold, COUNTS, WORDS, WORDS, WORDS)),
    st.one_of(st.none(), st.builds(Failure, COUNTS, WORDS, WORDS, WORDS)),
    st.lists(NAMES, max_size=2).map(tuple),
)
RECORDS = st.builds(
    Record,
    WORDS,
    st.sampled_from(get_args(What)),
    st.one_of(st.none(), RESOURCES),
    st.one_of(st.just(""), st.text("0123456789abcdef", min_size=1, max_size=2)),
    st.one_of(st.none(), MODELS),
    WORDS,
)
STATES = st.builds(
    State,
    WORDS.filter(bool),
    NAMES,
    NAMES,
    COUNTS,
    WORDS,
    st.lists(RESOURCES, max_size=3).map(lambda things: {thing.id: thing for thing in things}),
    st.lists(MODELS, max_size=2).map(lambda models: {model.name: model for model in models}),
    MAPPINGS,
)


@given(STATES, COUNTS)
def test_a_snapshot_gives_back_the_state_and_the_same_state_the_same_bytes(state: State, fence: int) -> None:
    text = snapshot.encode(state, fence)
    assert snapshot.decode(text, "state.json") == snapshot.Snapshot(state, fence)
    assert snapshot.encode(snapshot.decode(text, "state.json").state, fence) == text


@given(STATES, COUNTS)
def test_what_is_kept_of_a_snapshot_says_the_same(state: State, fence: int) -> None:
    text = snapshot.encode(state, fence)
    said = kept.decode(kept.encode(state, fence, text), text)
    assert said == snapshot.decode(text, "state.json")
    assert said is not None
    assert snapshot.encode(said.state, said.fence) == text


@given(TREES)
def test_the_quick_writing_is_the_one_of_the_provider_values(tree: Any) -> None:
    assert json.loads(codec.dump(tree)) == json.loads(json.dumps(values.encode(tree)))


@given(st.lists(RECORDS, max_size=5), st.integers(0, 5), COUNTS)
def test_a_journal_gives_back_its_records_however_many_writes_it_took(
    records: list[Record], cut: int, fence: int
) -> None:
    head = journal.encode_header("lineage", 3)
    first = journal.encode(records[:cut], 1, fence)
    second = journal.encode(records[cut:], len(records[:cut]) + 1, fence)
    found = journal.decode(head + first + second, "journal.jsonl")
    assert (found.lineage, found.serial, found.records) == ("lineage", 3, tuple(records))
    assert found.length == len(head + first + second)


@given(STATES, st.lists(RECORDS, max_size=5), st.integers(0, 5))
@settings(max_examples=60)
def test_replay_does_not_care_where_a_run_was_cut_nor_whether_it_was_replayed_before(
    state: State, records: list[Record], cut: int
) -> None:
    whole = replay(state, records)
    assert replay(replay(state, records[:cut]), records[cut:]) == whole
    assert replay(whole, records) == whole
