"""How many replicas a load asks for, and what they cost."""

from __future__ import annotations

import pytest

from infctl.sizing.decision import Load
from infctl.sizing.fleet import cost_of, enough_up, fleet_of, spare_of
from tests.unit.sizing.asked import CHAT, offer


def test_mean_peak_and_spare() -> None:
    found = fleet_of(CHAT, 6.1, 0.999, least=2)
    assert (found.mean, found.peak, found.spare, found.total) == (1, 4, 1, 5)
    assert fleet_of(CHAT, 30.0, None, least=2).total == 2
    assert fleet_of(CHAT, 20.0, None, least=1).peak == 1  # just enough is enough


def test_spare_replicas_follow_from_the_chance_that_enough_are_up() -> None:
    assert spare_of(4, None) == 0
    assert spare_of(4, 0.98) == 0  # 0.995^4 = 0.980
    assert spare_of(4, 0.999) == 1
    assert spare_of(40, 0.99999) == 4
    assert enough_up(5, 1, 0.995) == pytest.approx(0.995**5 + 5 * 0.005 * 0.995**4)


def test_cost_of_tokens_as_dstack_published_it() -> None:
    """8 H100 at 23.92 $/h, 1393.9 tokens/s in and out: 4.767 $ of a million (dstack, November 2024)."""
    load = Load(1.0, {}, 1.0, 1.0, 0.5, 1393.9, 500.0)
    found = cost_of(offer("H100", price=2.99), 8, load, 1.0, 0.5)
    assert found is not None
    assert found.per_hour == pytest.approx(23.92)
    assert found.per_1m == pytest.approx(4.767, abs=0.001)
    assert found.per_1m_out == pytest.approx(4.767 * 1393.9 / 500, rel=1e-3)
    assert found.full_per_1m == pytest.approx(4.767 / 2, rel=1e-3)


def test_no_price_no_cost_and_no_load_no_price_of_tokens() -> None:
    assert cost_of(offer("H100"), 8) is None
    found = cost_of(offer("H100", price=2.0), 8)
    assert found is not None
    assert (found.per_hour, found.per_1m) == (16.0, None)
