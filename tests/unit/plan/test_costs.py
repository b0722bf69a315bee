"""What a plan costs, and the policies that its cost may break."""

from __future__ import annotations

from pathlib import Path

import pytest

from infctl.plan.file import read_plan, write_plan
from infctl.plan.model import Cost, Plan, Unpriced
from infctl.plan.policies import break_policies
from infctl.plan.request import Request
from infctl.provider.values import Purchase
from infctl.spec.vocabulary import Policies
from infctl.views.plan import show_plan
from infctl.views.plan_json import plan_json, plan_view
from infctl.views.style import Style
from tests.property.fleets import Fleet, GpuWish
from tests.property.stacks import Wishes
from tests.unit.plan.test_places import applied

OWNED: dict[str, tuple[float, Purchase]] = {"a": (2.0, "owned"), "b": (2.0, "owned")}


def fleet(prices: dict[str, tuple[float, Purchase]]) -> Fleet:
    return Fleet(200, gpus={"a": (80, 80), "b": (80, 80)}, prices=prices)


def test_whole_devices_and_shares_cost_their_part() -> None:
    stack = fleet(OWNED)
    wishes: Wishes = {"chat": GpuWish(2, gpus=1), "embed": GpuWish(1, gpus=1, share=20)}
    first = applied(stack, wishes)
    assert first.costs == (Cost("chat", "rack", "owned", 0.0, 4.0), Cost("embed", "rack", "owned", 0.0, 0.5))
    again = stack.plan(wishes)
    assert again.is_empty
    assert again.costs == (Cost("chat", "rack", "owned", 4.0, 4.0), Cost("embed", "rack", "owned", 0.5, 0.5))
    less = stack.plan({"chat": GpuWish(1, gpus=1)})
    assert less.costs == (Cost("chat", "rack", "owned", 4.0, 2.0), Cost("embed", "rack", "owned", 0.5, 0.0))


def test_what_has_no_price_is_said_rather_than_counted_as_nothing(tmp_path: Path) -> None:
    stack = fleet({})
    plan = stack.plan({"chat": GpuWish(1, gpus=1), "embed": GpuWish(1, gpus=1, share=20)})
    assert (plan.costs, plan.unpriced) == ((), (Unpriced("rack", 0.0, 1.25),))
    said = plan_json(plan)["infctl"]
    assert "cost" not in said
    assert said["unpriced"] == {"rack": {"before": 0.0, "after": 1.25}}
    assert show_plan(plan_view(plan), Style(200))[-1] == "Cost: not known (no price of rack is known)."
    write_plan(plan, tmp_path / "x.plan")
    assert read_plan(tmp_path / "x.plan").unpriced == plan.unpriced


def test_of_hosts_without_gpus_nobody_asks_a_price() -> None:
    plan = fleet({}).plan({"chat": GpuWish(1)})
    assert plan.unpriced == ()
    assert not any("Cost:" in line for line in show_plan(plan_view(plan), Style(200)))


def test_a_policy_that_nobody_can_judge_is_broken_by_what_is_new_only() -> None:
    for name in ("max_cost_per_hour", "max_cost_increase"):
        policies = Policies(**{name: 0.9})
        (found,) = break_policies(policies, (), (Unpriced("rack", 1, 3), Unpriced("lab", 1, 1)))
        assert found.summary == f"Whether the plan keeps {name} is not known: no price of rack is"
        assert found.detail == "it takes 2 more GPUs of rack"
        assert found.hint.startswith("give rack a price (price_per_gpu_hour of the target")
        assert not list(break_policies(policies, (), (Unpriced("rack", 2, 2),)))
    assert not list(break_policies(Policies(), (), (Unpriced("rack", 0, 2),)))


def test_what_cannot_be_read_goes_on_costing_what_it_did() -> None:
    stack = fleet(OWNED)
    wishes: Wishes = {"chat": GpuWish(2, gpus=2)}
    applied(stack, wishes)
    stack.world.down.add("b")
    plan = stack.plan(wishes, Request(allow_unreachable=True))
    assert plan.costs == (Cost("chat", "rack", "owned", 8.0, 8.0),)


def test_totals_are_told_by_model_target_and_purchase() -> None:
    stack = fleet({"a": (2.0, "owned"), "b": (5.0, "spot")})
    plan = stack.plan({"chat": GpuWish(2, gpus=2)})
    said = plan_json(plan)["infctl"]["cost"]
    assert (said["before"], said["after"]) == (0.0, 14.0)
    assert said["by_model"] == {"chat": {"before": 0.0, "after": 14.0}}
    assert said["by_purchase"] == {
        "owned": {"before": 0.0, "after": 4.0},
        "spot": {"before": 0.0, "after": 10.0},
    }
    text = show_plan(plan_view(plan), Style(200))
    assert "    cost       $0.00/h → $14.00/h" in text
    assert (
        text[-1] == "Cost: $0.00/h → $14.00/h · owned $0.00/h → $4.00/h, spot $0.00/h → $10.00/h, by the fleet's list."
    )


def cost(before: float, after: float) -> tuple[Cost, ...]:
    return (Cost("chat", "rack", "owned", before, after), Cost("embed", "rack", "owned", 1.0, 1.0))


@pytest.mark.parametrize(
    ("policies", "costs", "broken"),
    [
        ({"max_cost_per_hour": 5}, cost(0, 4), None),
        ({"max_cost_per_hour": 5}, cost(0, 4.5), "The stack would cost $5.50/h"),
        ({"max_cost_per_hour": 5}, cost(9, 8), None),  # too dear still, but less so than now
        ({"max_cost_increase": 0.2}, cost(9, 11), None),
        ({"max_cost_increase": 0.2}, cost(9, 11.5), "The plan would raise the cost by 25%: $10.00/h → $12.50/h"),
        ({"max_cost_increase": 0.2}, (Cost("chat", "rack", "owned", 0, 9),), None),  # the first is no increase
    ],
)
def test_policies_are_held_against_the_costs(
    policies: dict[str, float], costs: tuple[Cost, ...], broken: str | None
) -> None:
    found = list(break_policies(Policies(**policies), costs))
    assert [each.summary for each in found] == ([broken] if broken else [])
    assert all("chat" in each.detail for each in found)


def test_the_dearest_models_are_named_first() -> None:
    costs = tuple(Cost(f"m{index}", "rack", "owned", 0.0, float(index)) for index in range(6))
    (found,) = break_policies(Policies(max_cost_per_hour=1), costs)
    assert found.detail == "at most $1.00/h is allowed; m5 $5.00/h, m4 $4.00/h, m3 $3.00/h and 2 more"


def test_a_plan_file_keeps_its_costs(tmp_path: Path) -> None:
    plan: Plan = fleet(OWNED).plan({"chat": GpuWish(1, gpus=1)})
    path = tmp_path / "x.plan"
    write_plan(plan, path)
    assert read_plan(path).costs == plan.costs
