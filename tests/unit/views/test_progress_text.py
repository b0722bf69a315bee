"""A run as lines of text: what is said of a wait, of what was not done, and of the log of what failed."""

from __future__ import annotations

from typing import Any

from infctl.address import Address
from infctl.apply.events import GateFailed, GateWaiting, StepProgress, StepSkipped, StepStarted, StillRunning
from infctl.views.progress import fitted, said, show_event
from infctl.views.reading import show_waiting
from infctl.views.style import Style
from infctl.views.waits import Waits

STYLE = Style(80)


def about(elapsed: float = 0.0, do: str = "create", step: str = "s1") -> dict[str, Any]:
    address = Address("toy_engine", "chat", "here/0")
    return {
        "elapsed": elapsed, "step": step, "address": address, "model": "chat", "target": "here", "place": "",
        "revision": 2, "do": do, "object": "id", "seconds": elapsed,
    }  # fmt: skip


def waiting(elapsed: float, detail: str, step: str = "s1") -> GateWaiting:
    return GateWaiting(**about(elapsed, step=step), timeout=60, detail=detail)


def test_a_wait_is_told_once_and_then_every_ten_seconds_with_what_it_waits_for() -> None:
    waits = Waits()
    words = ["", "starting", "nothing listens there yet", "loading"]
    told = [line for n, detail in enumerate(words) for line in waits.show(waiting(n, detail), STYLE)]
    assert [line.split("here/0")[1].strip() for line in told] == ["load: waiting for an answer"]
    still = StillRunning(**about(13), phase="load")
    (line,) = waits.show(still, STYLE)
    assert "load: loading  13s" in line
    assert waits.show(waiting(14, "warming up"), STYLE) == []
    assert "load: busy" in waits.show(waiting(23, "busy"), STYLE)[0]
    assert len(waits.show(waiting(24, "", step="s2"), STYLE)) == 1


def test_each_phase_is_told_as_it_begins_and_then_every_ten_seconds_as_far_as_it_is() -> None:
    waits, mib = Waits(), 1 << 20

    def shown(elapsed: float, phase: str, detail: str, done: int = 0, total: int = 0) -> list[str]:
        event = StepProgress(**about(elapsed), phase=phase, detail=detail, done=done, total=total, unit="bytes")
        return [line.split("here/0")[1].strip().split("  ")[0] for line in waits.show(event, STYLE)]

    assert shown(0.1, "pull", "box:7") == ["pull: box:7"]
    assert shown(0.2, "pull", "box:7", mib, 5 * mib) == ["pull 1.0 MiB of 5.0 MiB: box:7"]
    assert shown(0.3, "unpack", "box:7", mib, 5 * mib) == ["unpack 1.0 MiB of 5.0 MiB: box:7"]
    assert shown(0.4, "pull", "box:7", 2 * mib, 5 * mib) == []  # layers come and are unpacked in turns
    assert shown(0.5, "fetch", "m.gguf", 3 * mib, 9 * mib) == ["fetch 3.0 MiB of 9.0 MiB: m.gguf"]
    assert shown(9.0, "fetch", "m.gguf", 6 * mib, 9 * mib) == []
    (line,) = waits.show(StillRunning(**about(10), phase="fetch"), STYLE)
    assert "fetch 6.0 MiB of 9.0 MiB: m.gguf  10s" in line
    assert shown(11, "fetch", "checksum of m.gguf") == ["fetch: checksum of m.gguf"]
    assert len(waits.show(waiting(12, ""), STYLE)) == 1


def test_a_replica_is_told_with_its_host() -> None:
    address = Address("toy_engine", "chat", "rack/0")
    event = StepProgress(**{**about(), "address": address, "place": "gpu-01"}, phase="pull", detail="box:7")
    assert show_event(event, STYLE) == ["  chat r2      rack/0 gpu-01 pull: box:7"]


def test_hosts_that_are_not_read_yet_are_named_with_how_far_they_are() -> None:
    looking = {"h1": "", "h2": "connect", "h3": "read", "h4": "read"}
    assert show_waiting("rack", looking, 3.2) == "rack  reading… 3s: connect h2 · read h3, h4"
    assert (
        show_waiting("rack", dict.fromkeys(("a", "b", "c", "d"), "connect"), 1) == "rack  reading… 1s: connect 4 hosts"
    )
    assert show_waiting("here", {}, 1) == "here  reading… 1s"


def test_what_was_to_go_and_stays_is_not_called_not_started() -> None:
    skipped = {do: StepSkipped(**about(do=do)) for do in ("create", "switch", "drain", "delete")}
    assert {do: said(event) for do, event in skipped.items()} == {
        "create": "not started", "switch": "not switched over", "drain": "not drained", "delete": "not removed",
    }  # fmt: skip
    assert [do for do, event in skipped.items() if show_event(event, STYLE)] == ["create", "switch"]


def test_the_log_of_what_failed_is_left_to_the_error() -> None:
    failed = GateFailed(**about(), detail="it ended", log=("out of memory",))
    assert [line.split("here/0")[1].strip() for line in show_event(failed, STYLE)] == ["never answered: it ended"]


def test_a_line_that_is_indented_stays_so_where_it_goes_on() -> None:
    assert Style(40).wrap("the log:\n  one two three four five six seven eight nine", "  ") == [
        "  the log:",
        "    one two three four five six seven",
        "        eight nine",
    ]


def test_the_lines_of_a_run_stand_below_each_other_however_long_its_names_are() -> None:
    names = (("chat", "here/0"), ("summarise-documents", "rack/12"), ("chat", "rack/gpu-01.example"))
    events = [
        StepStarted(**{**about(), "model": m, "address": Address("toy_route", m, k)}, resuming=False) for m, k in names
    ]
    style = Style(120)
    for event in events:
        style = fitted(style, event)
    lines = [line for event in events for line in show_event(event, style)]
    assert lines == [
        "  chat r2                here/0              starting",
        "  summarise-documents r2 rack/12             starting",
        "  chat route             rack/gpu-01.example creating",
    ]
