"""Owns the picture of an explained decision: where lines, marks and words stand on one page that needs no network.

Computes places; colours and markup are the template's. Reads the JSON document, so that the page cannot say otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import floor, log10
from typing import Any, Final

from infctl.templating import render
from infctl.views.explain import headline, show_explained
from infctl.views.style import Style

View = dict[str, Any]
WIDTH, HEIGHT = 440, 280
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 16, 44
_PARTS: Final = ("p50", "p95", "p99")
_METRICS: Final = (
    ("ttft", "Time to the first token"),
    ("itl", "Time between tokens"),
    ("e2e", "Time to the whole answer"),
)
_LOADS: Final = (("at_rate", "mean rate"), ("at_peak", "peak"))
_ABOVE: Final = 1.35  # times the highest mark: where a chart ends
_TICKS: Final = 5
_PIECES: Final = (
    ("weights", "weights"),
    ("kv", "KV cache"),
    ("activations", "activations"),
    ("graphs", "graphs"),
    ("other", "other"),
)
_BAR: Final = 900  # units of a memory bar's width
_MOST_BARS: Final = 8
_TEXT_WIDTH: Final = 110


def explain_html(view: View) -> str:
    """Return the document as one page."""
    models = [
        {
            "name": model["name"],
            "text": "\n".join(show_explained({"models": [model]}, Style(_TEXT_WIDTH))),
            "headline": headline(model),
            "charts": list(_charts(model)),
            "bars": _bars(model),
            "pieces": [name for _, name in _PIECES],
        }
        for model in view["models"]
    ]
    return render("explain/page.html.j2", stack=view["stack"], models=models, width=WIDTH, height=HEIGHT,
                  bar=_BAR, left=LEFT, right=WIDTH - RIGHT, top=TOP, bottom=HEIGHT - BOTTOM)  # fmt: skip


# ---------------------------------------------------------------- latency against load


def _charts(model: View) -> Iterator[View]:
    """Yield a chart for each latency: a line for each percentile, the bound, and the points of the plan."""
    loads, decision = model["loads"], model["decision"]
    if not loads or decision is None or decision["at_peak"] is None:
        return
    for metric, title in _METRICS if "itl_p50" in loads[0]["latency"] else _METRICS[-1:]:
        if f"{metric}_p50" in loads[0]["latency"]:
            yield _chart(model, metric, title)


def _chart(model: View, metric: str, title: str) -> View:
    loads, decision = model["loads"], model["decision"]
    widest = model["breaks_at"] or loads[-1]["rate"]
    owed = {name: bound for name, bound in model["slo"]["objectives"].items() if name.startswith(f"{metric}_")}
    marked = sorted({*_PARTS, *(name.partition("_")[2] for name in owed)}, key=lambda part: int(part[1:]))
    looked_at = tuple(name.partition("_")[2] for name in owed) or ("p95",)
    loaded = [(said, decision[key]) for key, said in _LOADS if decision[key]["rate"]]
    points = [point for _, point in loaded] or [decision["at_peak"]]
    names = [f"at the {said}, {_number(point['rate'])}/s of a replica" for said, point in loaded]
    highest = max(
        *owed.values(),
        *(point["latency"][f"{metric}_{part}"]["value"] for point in points for part in looked_at),
        loads[0]["latency"][f"{metric}_p95"]["value"],
        0.001,
    )
    top = highest * _ABOVE
    scale = _Scale(widest, top)
    return {
        "title": title,
        "x_ticks": [(scale.x(each), _number(each)) for each in _ticks(widest)],
        "y_ticks": [(scale.y(each), _time(each)) for each in _ticks(top)],
        "lines": [
            {"part": part, "path": scale.path([_point(one, f"{metric}_{part}") for one in loads])} for part in marked
        ],
        "bounds": [
            {"y": scale.y(bound), "said": f"{metric.upper()} {name.partition('_')[2].upper()} ≤ {_time(bound)}"}
            for name, bound in sorted(owed.items())
        ],
        "marks": [
            {
                "x": scale.x(point["rate"]), "y": scale.y(point["latency"][f"{metric}_{part}"]["value"]), "part": part,
                "said": f"{said}: {part.upper()} "
                f"{_time(point['latency'][f'{metric}_{part}']['value'])}",
                "chosen": point is points[-1],
            }
            for said, point in zip(names or ["with nobody else"], points, strict=True)
            for part in looked_at
        ],
        "capacity": scale.x(min(widest, decision["capacity"])) if decision["capacity"] else None,
        "peak": scale.x(decision["at_peak"]["rate"]),
    }  # fmt: skip


def _point(load: View, name: str) -> tuple[float, float]:
    return load["rate"], load["latency"][name]["value"]


class _Scale:
    """Where a rate and a latency stand in a chart."""

    def __init__(self, widest: float, top: float) -> None:
        self.widest, self.top = widest, top

    def x(self, rate: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * min(1.0, rate / self.widest), 1)

    def y(self, seconds: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(1.05, seconds / self.top), 1)

    def path(self, points: Sequence[tuple[float, float]]) -> str:
        """Return an SVG path, up to where it leaves the chart."""
        kept = []
        for rate, seconds in points:
            kept.append(f"{self.x(rate)},{self.y(seconds)}")
            if seconds > self.top:
                break
        return "M" + " L".join(kept)


def _ticks(top: float) -> list[float]:
    """Return round numbers from 0 to `top`."""
    rough = top / _TICKS
    unit = 10 ** floor(log10(rough))
    step = next(times * unit for times in (1, 2, 5, 10) if times * unit >= rough)
    return [step * index for index in range(int(top / step) + 1)]


# ---------------------------------------------------------------- memory


def _bars(model: View) -> list[View]:
    """Return a bar for each GPU of a replica: what lies in its memory, and what is free."""
    decision = model["decision"]
    memory = decision["memory"] if decision else None
    if memory is None:
        return []
    unit = _BAR / max(memory["gpu"], memory["total"])
    pieces, at = [], 0.0
    for name, said in _PIECES:
        pieces.append({"name": name, "x": round(at, 1), "width": round(memory[name] * unit, 1),
                       "said": f"{said} {memory[name]:.2f} GiB"})  # fmt: skip
        at += memory[name] * unit
    shown = min(_MOST_BARS, decision["gpus"])
    return [
        {
            "label": f"GPU {index + 1} of {decision['gpus']}" if decision["gpus"] > 1 else decision["gpu"],
            "pieces": pieces,
            "free": round(memory["free"] * unit, 1),
            "usable": round(min(memory["usable"], memory["gpu"]) * unit, 1),
            "whole": round(memory["gpu"] * unit, 1),
            "said": f"{memory['total']:.1f} GiB of {memory['free']:.1f} GiB free",
        }
        for index in range(shown)
    ]


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def _number(value: float) -> str:
    return f"{value:.3g}"
