"""The plan as text, as a person reads it at 80 and at 200 columns.

The texts are in tests/golden/plan; INFCTL_GOLDEN=write writes them anew, to be read before they are committed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from infctl.diagnostics import Code, Span, warning
from infctl.plan.model import Mode, Plan
from infctl.plan.request import Request
from infctl.provider.values import Ref, Unreadable, encode
from infctl.views.plan import show_plan
from infctl.views.plan_json import plan_json, plan_view
from infctl.views.style import Style
from infctl.views.values import change_words
from tests.property.fleets import Fleet, GpuWish
from tests.unit.plan.toys import Toy, wish

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "plan"
OLD = Code("test-old-engine", "A test's own warning.", "Nothing.")


def first() -> Plan:
    return Toy().plan(wish(replicas=2, ctx_size=1024, parallel=4), wish("embed", ctx_size=512))


def surge() -> Plan:
    toy = Toy()
    toy.carry_out(toy.plan(wish(replicas=2, ctx_size=1024), wish("embed")))
    plan = toy.plan(wish(replicas=3, ctx_size=8192, cache_type_k="q8_0"), wish("embed"))
    memory = {"weights": 8_600_000_000, "kv": 30_900_000_000, "compute": 2_000_000_000, "process": 400_000_000}
    sized = {**memory, "total": 41_900_000_000, "exact": False}
    span = Span("inference.yaml", 41, 13, 3, "    engine: tgi")
    said = warning(OLD, "TGI is archived upstream", "read-only", hint="use vllm", span=span, path="models.chat.engine")
    models = (replace(plan.models[0], memory=sized, memory_free=44_500_000_000), *plan.models[1:])
    return replace(plan, models=models, warnings=(said,), notes=("2 resources would be rendered differently.",))


def swap() -> Plan:
    toy = Toy(free=10)
    toy.carry_out(toy.plan(wish(ctx_size=1024)))
    toy.free = 0
    (engine,) = (ident for ident, seen in toy.live.items() if seen.address.kind == "toy_engine")
    toy.live[engine] = replace(toy.live[engine], values={**toy.live[engine].values, "note": "changed by hand"})
    plan = toy.plan(wish(ctx_size=8192))
    unread = Unreadable("gpu-02", "no route to host", "mend the network")
    return replace(plan, unreachable=(unread,), holds=("embed is held at r7 by ops@example",), moved=(("a", "b"),))


def empty() -> Plan:
    toy = Toy()
    toy.carry_out(toy.plan(wish()))
    return replace(toy.plan(wish()), outputs={})


def gone() -> Plan:
    toy = Toy()
    toy.carry_out(toy.plan(wish(replicas=2), wish("embed")))
    return toy.plan(request=Request(mode=Mode.DESTROY))


def rack() -> Plan:
    gib = 1024**3
    rack = Fleet(200 * gib, gpus={"gpu-01": (24 * gib,) * 2, "gpu-02": (24 * gib,) * 2})
    small, whole = (
        GpuWish(1, gpus=1, share=8 * gib, memory=gib, port=8001),
        GpuWish(3, gpus=1, memory=4 * gib, port=8000),
    )
    rack.apply(rack.plan({"chat": whole, "embed": small}))
    return rack.plan({"chat": replace(whole, variant=1), "embed": replace(small, replicas=2)})


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("make", [first, surge, swap, empty, gone, rack])
def test_the_text_is_as_it_was_read_and_found_good(make: Callable[[], Plan], width: int) -> None:
    lines = show_plan(plan_view(make()), Style(width))
    path = GOLDEN / f"{make.__name__}-{width}.txt"
    text = "".join(f"{line}\n" for line in lines)
    if os.environ.get("INFCTL_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()
    assert all(len(line) <= width for line in lines)


def test_colours_change_nothing_but_colours() -> None:
    plain = show_plan(plan_view(surge()), Style(100))
    colored = show_plan(plan_view(surge()), Style(100, color=True))
    bare = [line for line in colored if "\x1b" not in line]
    assert len(plain) == len(colored)
    assert set(bare) < set(plain)


def test_the_document_has_terraforms_shape() -> None:
    document = plan_json(surge())
    assert document["format_version"] == "1.2"
    changes = {change["address"]: change for change in document["resource_changes"]}
    replaced = changes['toy_engine.chat["here/0"]']
    assert replaced["type"], replaced["name"] == ("toy_engine", "chat")
    assert replaced["index"] == "here/0"
    assert replaced["change"]["actions"] == ["create", "delete"]
    assert replaced["change"]["replace_paths"] == [["args", "cache_type_k"], ["args", "ctx_size"]]
    assert replaced["change"]["before"]["args"] == {"ctx_size": 1024}
    assert replaced["change"]["after"]["args"] == {"ctx_size": 8192, "cache_type_k": "q8_0"}
    added = changes['toy_engine.chat["here/2"]']["change"]
    assert (added["actions"], added["before"]) == (["create"], None)
    assert [step["do"] for step in document["infctl"]["steps"]].count("create") == 3


def test_what_only_apply_can_tell_is_unknown_and_not_in_after() -> None:
    changes = {change["address"]: change["change"] for change in plan_json(first())["resource_changes"]}
    route = changes['toy_route.chat["here"]']
    assert route["after_unknown"] == {"backends": [{"url": True}, {"url": True}], "relay": True}
    assert "relay" not in route["after"]
    outputs = plan_json(first())["output_changes"]
    assert outputs["chat.url"]["after_unknown"] is True
    assert outputs["chat.revision"]["after"] == 1


def test_no_marker_of_the_plan_file_leaks_into_the_document() -> None:
    plan = first()
    assert any(isinstance(value, Ref) for value in plan.outputs.values())
    assert "$ref" in str(encode(dict(plan.outputs)))
    assert "$ref" not in str(plan_json(plan))


def test_a_change_says_why_in_terraforms_words() -> None:
    reasons = {change["address"]: change.get("action_reason") for change in plan_json(surge())["resource_changes"]}
    assert reasons['toy_engine.chat["here/0"]'] == "replace_because_cannot_update"
    assert reasons['toy_engine.chat["here/2"]'] is None


def test_long_values_that_begin_alike_are_told_apart() -> None:
    start = "mkdir -p /tmp/www && echo fine >/tmp/www/health && exec httpd -f -p"
    assert change_words(["sh", "-c", f"{start} 80"], ["sh", "-c", f"{start} 8080 -v"]) == (
        "…tpd -f -p 80' → …tpd -f -p 8080 -v'"
    )
    assert change_words("a", "b") == "a → b"
    old, new = (f"hub.example:5000/tools/box@sha256:{digit * 64}" for digit in "ab")
    assert change_words(old, new) == "hub.example:5000/tools/box@sha256:aaaaaaa… → sha256:bbbbbbb…"
    assert change_words(old, f"box@sha256:{'b' * 64}").endswith("@sha256:aaaaaaa… → box@sha256:bbbbbbb…")
