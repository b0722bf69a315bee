"""Owns how rows of the catalogue look: as JSON, as a table, and one in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from infctl.catalog.gpus import gpus
from infctl.catalog.instances import Instance, Price, Purchase, instances
from infctl.catalog.models import models
from infctl.catalog.quality import quality
from infctl.catalog.support import supports
from infctl.diagnostics import Code, InfctlError, did_you_mean, error
from infctl.views.style import columns

if TYPE_CHECKING:
    from infctl.ops.catalog import Updated

NO_SUCH_ROW = Code(
    "no-such-row",
    "A name given to `catalog show` or `catalog list -gpu` is not in the catalogue.",
    "`infctl catalog list gpus` and its like list what is; a file of your own adds rows: inference.catalog.yaml.",
)
_HEADS = {
    "gpus": ("GPU", "MEMORY", "BANDWIDTH", "FP16", "FP8", "LINK", "COMPUTE"),
    "models": ("MODEL", "PARAMETERS", "ACTIVE", "LAYERS", "CONTEXT", "CACHE"),
    "instances": ("INSTANCE", "GPU", "NVLINK", "VCPUS", "MEMORY", "USD/H", "A GPU", "REGION", "AS OF"),
    "prices": ("INSTANCE", "BUY", "REGION", "USD/H", "A GPU", "AS OF", "", "SOURCE"),
    "engines": ("ENGINE", "STATE", "TASKS", "CLASSES", "FORMATS"),
    "support": ("ENGINE", "FORMATS", "COMPUTES IN IT", "KEEPS WEIGHTS IN IT", "VERSIONS", "SOURCE"),
    "quality": ("FORMAT", "COSTS", "WORST", "MEASURED ON", "AUTO TAKES IT"),
}


# ---------------------------------------------------------------- rows as plain values


def rows_of(kind: str, own: str = "", gpu: str = "") -> list[dict[str, Any]]:
    """Return the rows of a kind, as the catalogue has them, with what is counted from them; of instances and prices
    only those with a `gpu` where one is named. Raises InfctlError (no-such-row).
    """
    if kind == "gpus":
        return [{"kind": "gpu", **asdict(row)} for row in gpus(own).rows.values()]
    if kind == "models":
        return [_model(row) for row in models(own).rows.values()]
    if kind in {"instances", "prices"}:
        named = _gpus_named(gpu, own)
        found = [row for row in instances(own).rows.values() if not gpu or row.gpu in named]
        return [_instance(row) for row in found] if kind == "instances" else [*_prices(found)]
    if kind == "engines":
        return [{"kind": "engine", **asdict(row)} for row in supports(own).engines.values()]
    if kind == "support":
        return [
            {"kind": "support", "engine": engine.name, "of": of, **asdict(row)}
            for engine in supports(own).engines.values()
            for of, rows in (("weights", engine.methods), ("kv cache", engine.kv))
            for row in rows
        ]
    return [*_formats(own)]


def _gpus_named(name: str, own: str) -> frozenset[str]:
    found = gpus(own).find(name) if name else ()
    if name and not found:
        hint = did_you_mean(name, gpus(own).rows) or NO_SUCH_ROW.remedy
        raise InfctlError(error(NO_SUCH_ROW, f"There is no GPU {name!r} in the catalogue", hint=hint))
    return frozenset(row.name for row in found)


def _model(row: Any) -> dict[str, Any]:
    active = row.active_linear + row.embeddings
    counted = {"parameters": row.total, "parameters_active": active, "kv_numbers_per_token": row.kv_elements(1)}
    return {"kind": "model", **asdict(row), **counted}


def _instance(row: Instance) -> dict[str, Any]:
    held = row.price() or row.price(Purchase.CAPACITY_BLOCK) or row.price(Purchase.SPOT)
    told = {"usd_per_hour": held.usd, "usd_per_gpu_hour": held.usd / row.gpus} if held else {}
    of = {"region": held.region, "price_as_of": held.date, "purchase": held.purchase.value} if held else {}
    return {"kind": "instance", **asdict(row), **told, **of}


def _prices(rows: Sequence[Instance]) -> Iterator[dict[str, Any]]:
    for row in rows:
        for price in row.prices:
            counts = price == row.price(price.purchase, price.region)
            per_gpu = {"usd_per_gpu": price.usd / row.gpus, "counts": counts}
            yield {"kind": "price", "instance": row.name, "gpu": row.gpu, **asdict(price), **per_gpu}


def _formats(own: str) -> Iterator[dict[str, Any]]:
    """Yield what each format costs over all that was measured, and what it did for speed."""
    known = quality(own)
    for method in dict.fromkeys([row.method for row in known.losses] + [row.method for row in known.effects]):
        found = known.loss(method)
        yield {
            "kind": "format",
            "name": method,
            "loss": found.percent if found else None,
            "worst": found.worst if found else None,
            "auto": known.refuse(method, None) or "yes",
            "losses": [asdict(row) for row in (found.rows if found else ())],
            "effects": [asdict(row) for row in known.effects if row.method == method],
        }


def rows_named(name: str, own: str = "") -> list[dict[str, Any]]:
    """Return the rows that `name` may mean, of whatever kind. Raises InfctlError (no-such-row)."""
    meant = {row.name for row in gpus(own).find(name)}
    if not meant and (shape := models(own).find(name)) is not None:
        rows = models(own).rows.values()
        meant = {row.name for row in rows if row.total == shape.total and row.family == shape.family}
    if not meant and (rented := instances(own).find(name)) is not None:
        meant = {rented.name}
    named = meant or {name}
    kinds = ("gpus", "models", "instances", "engines", "quality")
    found = [row for kind in kinds for row in rows_of(kind, own) if row["name"] in named]
    if not found:
        known = [row["name"] for kind in kinds for row in rows_of(kind, own)]
        hint = did_you_mean(name, known) or NO_SUCH_ROW.remedy
        raise InfctlError(error(NO_SUCH_ROW, f"There is no {name!r} in the catalogue", hint=hint))
    return [_with_rent(row, own) if row["kind"] == "gpu" else row for row in found]


def _with_rent(row: dict[str, Any], own: str) -> dict[str, Any]:
    """Return a GPU's row with where it is rented out for least, by kind of purchase."""
    offers = {purchase.value: instances(own).cheapest(row["name"], purchase) for purchase in Purchase}
    told = {
        purchase: f"{offer[1].usd / offer[0].gpus:.2f} USD/h a GPU: {offer[0].name}, {_when(offer[1])}"
        for purchase, offer in offers.items()
        if offer
    }
    return {**row, "cheapest": told}


def _when(price: Price) -> str:
    return f"{price.region}, as of {price.date}"


# ---------------------------------------------------------------- tables


def show_rows(kind: str, rows: Sequence[Mapping[str, Any]], own: str = "") -> list[str]:
    lines = columns([_HEADS[kind], *(_LINES[kind](row) for row in rows)])
    if kind in {"instances", "prices"}:
        lines += [
            "",
            f"Prices as of {instances(own).as_of}, list prices without taxes; `infctl catalog update` fetches newer.",
        ]
    return lines


def _gpu_line(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        row["name"], f"{row['memory']:6.1f} GiB", f"{row['bandwidth']:5,.0f} GB/s", f"{row['fp16']:5,.0f}",
        f"{row['fp8']:5,.0f}" if row["fp8"] else "    -", f"{row['link_kind']} {row['link_rate']:.0f}",
        row["compute"],
    )  # fmt: skip


def _model_line(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        row["name"], f"{row['parameters'] / 1e9:7.2f} B", f"{row['parameters_active'] / 1e9:6.2f} B",
        f"{row['layers']:3}", f"{row['context']:7,}", f"{row['kv_numbers_per_token'] * 2 / 1024:5.0f} KiB/token",
    )  # fmt: skip


def _instance_line(row: Mapping[str, Any]) -> tuple[str, ...]:
    cards = f"{row['count']} x {row['gpu']}" + (f" ({row['part']:.2g} of it)" if row["part"] != 1 else "")
    size = (row["name"], cards, str(row["joined"] or "-"), f"{row['vcpus']:3}", f"{row['memory']:5,.0f} GiB")
    if "usd_per_hour" not in row:
        return (*size, "      -", "    -", "", "")
    kind = "" if row["purchase"] == "on_demand" else f" {row['purchase']}"
    usd = (f"{row['usd_per_hour']:7.2f}", f"{row['usd_per_gpu_hour']:5.2f}")
    return (*size, *usd, row["region"], row["price_as_of"] + kind)


def _price_line(row: Mapping[str, Any]) -> tuple[str, ...]:
    usd = (f"{row['usd']:7.2f}", f"{row['usd_per_gpu']:5.2f}")
    counts = "" if row["counts"] else "older" if not row["own"] else "older of yours"
    return (row["instance"], row["purchase"], row["region"], *usd, row["date"], counts, row["source"])


def _engine_line(row: Mapping[str, Any]) -> tuple[str, ...]:
    names = dict.fromkeys(name for each in row["methods"] for name in each["names"])
    state = f"{row['state']}: {row['successor']}" if row["state"] else "-"
    return (row["name"], state, " ".join(row["tasks"]) or "-", str(len(row["classes"] or ())), " ".join(names) or "-")


def _support_line(row: Mapping[str, Any]) -> tuple[str, ...]:
    span = " to ".join(filter(None, (row["since"], row["until"]))) if row["since"] and row["until"] else (
        f"{row['since']} on" if row["since"] else f"up to {row['until']}" if row["until"] else "all")  # fmt: skip
    names = " ".join(row["names"]) + (" (kv cache)" if row["of"] == "kv cache" else "")
    return (
        row["engine"],
        names,
        " ".join(row["native"]) or "-",
        " ".join(row["weight_only"]) or "-",
        span,
        row["source"],
    )


def _format_line(row: Mapping[str, Any]) -> tuple[str, ...]:
    if row["loss"] is None:
        return (row["name"], "      -", "      -", "nobody", row["auto"])
    measured = f"{len(row['losses'])} models or settings"
    return (row["name"], f"{row['loss']:5.1f} %", f"{row['worst']:5.1f} %", measured, row["auto"])


_LINES = {
    "gpus": _gpu_line,
    "models": _model_line,
    "instances": _instance_line,
    "prices": _price_line,
    "engines": _engine_line,
    "support": _support_line,
    "quality": _format_line,
}


# ---------------------------------------------------------------- one row in full


def show_whole(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines: list[str] = []
    for row in rows:
        said = [
            (key, _plain(value)) for key, value in row.items() if value not in (0, 0.0, "", (), [], {}, False, None)
        ]
        simple = [(key, text) for key, text in said if "\n" not in text]
        lines += [*([""] if lines else []), *columns(simple)]
        for key, text in said:
            lines += [f"{key}:", *(f"  {each}" for each in text.splitlines())] if "\n" in text else []
    return lines


def _plain(value: Any) -> str:
    """Return a value as text; rows inside of a row as lines, each ending in a line break."""
    if isinstance(value, (tuple, list)) and value and isinstance(value[0], Mapping):
        return "".join(f"{_inner(each)}\n" for each in value)
    if isinstance(value, Mapping):
        numbers = all(isinstance(item, int) for item in value.values())
        return ", ".join(f"{key} x {item}" for key, item in value.items()) if numbers else _named(value)
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _named(value: Mapping[str, Any]) -> str:
    return "".join(f"{key}: {item}\n" for key, item in value.items())


def _inner(row: Mapping[str, Any]) -> str:
    words = ((key, " ".join(each) if isinstance(each, (tuple, list)) else str(each)) for key, each in row.items())
    return ", ".join(f"{key} {text}" for key, text in words if text not in {"", "False", "None"})


# ---------------------------------------------------------------- what an update did


def updated_json(done: Sequence[Updated], path: str) -> dict[str, Any]:
    return {"file": path, "lists": [asdict(each) for each in done]}


def show_updated(done: Sequence[Updated], path: str) -> list[str]:
    lines: list[str] = []
    for each in done:
        lines.append(f"{each.cloud}: {each.kept:,} of {each.read:,} prices are of use, {len(each.changed):,} changed.")
        rows = [
            (f"  {one.instance}", one.purchase.value, one.region, f"{one.before:g}" if one.before else "new",
             f"-> {one.after:g} USD/h", f"{100 * (one.after / one.before - 1):+.0f} %" if one.before else "")
            for one in each.changed
        ]  # fmt: skip
        lines += columns(rows)
    return [*lines, f"Written to {path}."]
