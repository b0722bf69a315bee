"""Which port is chosen, against ports that are really taken."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from infctl.provider.errors import ProviderError
from infctl_local.ports import choose_port, is_free

HOST = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind((HOST, 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_the_port_it_had_is_kept_while_it_is_free(taken: int) -> None:
    between = (20_000, 29_999)
    had = choose_port(HOST, "a", frozenset(), between)
    assert choose_port(HOST, "b", frozenset(), between, kept=had) == had
    assert choose_port(HOST, "b", frozenset({had}), between, kept=had) != had
    assert choose_port(HOST, "b", frozenset(), between, kept=taken) != taken


def test_seeds_spread_and_are_repeatable() -> None:
    between = (20_000, 29_999)
    chosen = [choose_port(HOST, str(seed), frozenset(), between) for seed in range(20)]
    assert len(set(chosen)) > 15
    assert chosen[:3] == [choose_port(HOST, str(seed), frozenset(), between) for seed in range(3)]


def test_taken_ports_are_passed_over_and_a_full_range_is_an_error_that_names_it(taken: int) -> None:
    assert not is_free(HOST, taken)
    around = (taken - 1, taken + 1)
    assert choose_port(HOST, "x", frozenset({taken - 1}), around) == taken + 1
    with pytest.raises(ProviderError, match=f"{HOST}") as caught:
        choose_port(HOST, "x", frozenset({taken - 1, taken + 1}), around)
    assert f"{taken - 1}-{taken + 1}" in caught.value.diagnostics[0].detail
