"""Owns how an explained decision looks: one document as JSON, and text rendered from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from infctl.sizing.fleet import UP
from infctl.sizing.told import tell_alternatives, tell_clash, tell_decision, tell_load
from infctl.views.style import Style, columns

if TYPE_CHECKING:
    from infctl.ops.explain import Explained
    from infctl.sizing.decision import Lengths, Workload

View = dict[str, Any]
FORMAT_VERSION: Final = "1.0"
_BILLION: Final = 1e9
_PARTS: Final = ("p50", "p95", "p99")
_SAID: Final = {"ttft": "TTFT", "itl": "ITL", "e2e": "E2E"}


def explain_json(stack: str, found: Sequence[Explained]) -> View:
    """Return the explanations of a stack's models as one document."""
    return {"format_version": FORMAT_VERSION, "stack": stack, "models": [_model_json(each) for each in found]}


def _model_json(each: Explained) -> View:
    checkpoint, slo, choice = each.asking.checkpoint, each.asking.slo, each.choice
    shape = checkpoint.shape
    return {
        "name": each.name,
        "uri": each.uri,
        "live": each.live,
        "unknown_devices": list(each.unknown),
        "speculative": each.asking.ask.speculative,
        "unreachable": [{"place": one.place, "reason": one.reason} for one in each.unreadable],
        "checkpoint": {
            "parameters": checkpoint.parameters or shape.total,
            "active_parameters": shape.active_linear + shape.embeddings + shape.norms,
            "experts": shape.experts,
            "linear_parameters": shape.linear,
            "precision": checkpoint.precision.name,
            "bits": checkpoint.precision.bits,
            "bytes": checkpoint.bytes,
            "context": shape.context,
            "assumed": list(checkpoint.assumed),
            "source": checkpoint.source or "catalogue",
        },
        "workload": _workload_json(each.asking.workload),
        "slo": {
            "objectives": {one.name: one.seconds for one in slo.objectives},
            "goodput": slo.goodput,
            "availability": slo.availability,
            "max_cost_per_1m_tokens": slo.max_cost_per_1m,
        },
        "offers": [
            {
                "target": one.target, "gpu": one.product, "devices": one.devices, "hosts": one.hosts,
                "free_gib": one.free_gib, "price": one.price, "purchase": one.purchase,
            }
            for one in (each.offers if each.live else ())
        ],
        "decision": None if choice.decision is None else tell_decision(choice.decision),
        "more": [tell_decision(part) for part in each.more],
        "clash": tell_clash(choice.clash),
        "alternatives": tell_alternatives(choice),
        "need": None if each.need is None else {
            "weights": each.need.weights, "kv": each.need.kv, "compute": each.need.compute,
            "process": each.need.process, "total": each.need.total,
        },
        "loads": [tell_load(one) for one in each.loads],
        "breaks_at": each.breaks_at,
    }  # fmt: skip


def _workload_json(load: Workload | None) -> View | None:
    if load is None:
        return None
    return {
        "isl": _lengths_json(load.isl), "osl": _lengths_json(load.osl), "rate": load.rate, "peak": load.peak,
        "burstiness": load.burstiness, "cached": load.cached, "requests": len(load.trace), "source": load.source,
    }  # fmt: skip


def _lengths_json(lengths: Lengths) -> View:
    return {"mean": lengths.mean, "p95": lengths.p95, "squared_cv": lengths.squared_cv}


# ---------------------------------------------------------------- text


def show_explained(view: View, style: Style) -> list[str]:
    """Return the document as text, models one after the other."""
    lines: list[str] = []
    for model in view["models"]:
        lines += ["", *_show_model(model, style)] if lines else _show_model(model, style)
    return lines


def _show_model(model: View, style: Style) -> list[str]:
    decision = model["decision"]
    parts = [_heading(model, style), list(_doubts(model, style))]
    if model["clash"]:
        parts.append(_clash(model["clash"], style))
    parts.append(_asked(model, style))
    if decision is not None:
        parts += [_memory(model, decision, style), _batching(decision, model["speculative"], style)]
        parts += [_latency(model, decision, style), _fleet(model, decision, style), _reasons(decision, style)]
    parts.append(_lost(model, style))
    return [line for part in parts if part for line in (*part, "")][:-1]


def _heading(model: View, style: Style) -> list[str]:
    bad = model["clash"] is not None
    line = style.cut(headline(model), len(model["name"]) + 2)
    return [f"{style.paint(model['name'], 'bold')}  {style.paint(line, 'bold', 'red' if bad else 'green')}"]


def headline(model: View) -> str:
    """Return the decision in one line."""
    decision = model["decision"]
    if decision is None:
        return "no plan"
    said = f"{decision['engine']} {decision['engine_version']}".rstrip()
    split = f" (tensor {decision['parallelism']['tensor']})" if decision["parallelism"]["tensor"] > 1 else ""
    many = f"{decision['gpus']} × " if decision["gpus"] > 1 else ""  # noqa: RUF001  # as people write it
    total = decision["replicas"]["total"]
    replicas = f", {total} replica{'s' if total > 1 else ''}" if total else ""
    rest = "".join(f"; {part['target']}: {_replicas_there(part)}" for part in model["more"])
    nearest = "" if model["clash"] is None else "no plan; nearest: "
    place = f"{decision['target']}: " if model["live"] else ""
    return f"{nearest}{place}{said}, {decision['quantization']} on {many}{decision['gpu']}{split}{replicas}{rest}"


def _replicas_there(part: View) -> str:
    """Return what a part of a fleet on a further target is, in short."""
    many = f"{part['gpus']} × " if part["gpus"] > 1 else ""  # noqa: RUF001  # as people write it
    total = part["replicas"]["total"]
    return f"{part['quantization']} on {many}{part['gpu']}, {total} replica{'s' if total > 1 else ''}"


def _doubts(model: View, style: Style) -> Iterator[str]:
    if not model["live"]:
        text = "No target's inventory was read: all data-center GPUs of the catalogue are taken to be there, unpriced."
        yield from style.wrap(text)
    for place in model["unreachable"]:
        yield from style.wrap(f"{place['place']} cannot be read: {place['reason']}", hanging="  ")
    for product in model["unknown_devices"]:
        text = f"{product}: the catalogue does not know this device; add it to inference.catalog.yaml to have it used"
        yield from style.wrap(text, hanging="  ")
    for assumed in model["checkpoint"]["assumed"]:
        yield from style.wrap(f"Assumed: {assumed}", hanging="  ")


def _clash(clash: View, style: Style) -> list[str]:
    said = [each["said"] for each in clash["constraints"]]
    lines = style.wrap("These do not go together: " + "; ".join(said) if len(said) > 1 else f"In the way: {said[0]}")
    lines += style.wrap(clash["detail"][:1].upper() + clash["detail"][1:], hanging="  ") if clash["detail"] else []
    if clash["ways_out"]:
        lines += ["Ways out, the cheapest first:"]
        lines += [line for way in clash["ways_out"] for line in style.wrap(way, indent="  ", hanging="    ")]
    return lines


def _asked(model: View, style: Style) -> list[str]:
    checkpoint, load = model["checkpoint"], model["workload"]
    size = f"{checkpoint['parameters'] / _BILLION:.3g} B parameters"
    if checkpoint["experts"]:
        size += f", {checkpoint['active_parameters'] / _BILLION:.3g} B active"
    facts = [model["uri"], size, f"published in {checkpoint['precision']}", f"from {checkpoint['source']}"]
    rows = [("Model", " · ".join(each for each in facts if each))]
    if load is None:
        rows.append(("Workload", "none in the file: say workload: {isl, osl, rate} to have latencies and replicas"))
    else:
        rows.append(("Workload", _load_words(load)))
    return _pairs(rows, style)


def _load_words(load: View) -> str:
    comes = "at random" if load["burstiness"] < 1.05 else f"in bursts (squared variation {load['burstiness']:.2f})"  # noqa: PLR2004
    words = [f"{load['rate']:.3g}/s, {load['peak']:.3g}/s at the peak, {comes}"]
    for name, said in (("isl", "in"), ("osl", "out")) if load["osl"]["mean"] > 1 else (("isl", "in"),):
        tail = f" (p95 {load[name]['p95']:,.0f})" if load[name]["p95"] else ""
        words.append(f"{load[name]['mean']:,.0f} tokens {said}{tail}")
    if load["cached"]:
        words.append(f"{100 * load['cached']:.0f} % of a question cached")
    if load["requests"]:
        words.append(f"{load['requests']:,} requests of {load['source']}")
    return " · ".join(words)


def _memory(model: View, decision: View, style: Style) -> list[str]:
    memory = decision["memory"]
    if memory is None:
        return _host_memory(model["need"])
    checkpoint, batching = model["checkpoint"], decision["batching"]
    each = " on each GPU" if decision["gpus"] > 1 else " of the GPU"
    parameters = f"{checkpoint['parameters'] / _BILLION:.3g} B parameters in {decision['quantization']}"
    if decision["gpus"] > 1:
        parameters += f", shared by {decision['gpus']}"
    tokens = f"{memory['kv_tokens']:,} tokens of {memory['kv_bytes_per_token']:,.0f} B"
    if model["workload"]:
        one = model["workload"]["isl"]["mean"] + model["workload"]["osl"]["mean"]
        tokens += f": {memory['kv_tokens'] / one:,.0f} sequences of {one:,.0f}"
    rows = [
        ("weights", memory["weights"], parameters),
        ("KV cache", memory["kv"], tokens),
        ("activations", memory["activations"], f"a pass of {batching['max_num_batched_tokens']:,} tokens"),
        ("graphs", memory["graphs"], "CUDA graphs"),
        ("other", memory["other"], "context and libraries"),
    ]
    if not memory["kv_bytes_per_token"]:
        rows = [row for row in rows if row[0] != "KV cache"]
    cells = [(f"  {name}", f"{amount:7.2f} GiB", note) for name, amount, note in rows]
    free = f"of {memory['free']:.2f} GiB free, {memory['usable']:.2f} for the engine"
    cells.append(("  in all", f"{memory['total']:7.2f} GiB", free))
    return [f"Memory{each}", *(style.cut(line) for line in columns(cells))]


def _host_memory(need: View | None) -> list[str]:
    if need is None:
        return []
    gib = 1024**3
    cells = [(f"  {said}", f"{need[name] / gib:7.2f} GiB") for name, said in
             (("weights", "weights"), ("kv", "KV cache"), ("compute", "scratch"), ("process", "process"),
              ("total", "in all"))]  # fmt: skip
    return ["Memory of the host", *columns(cells)]


def _batching(decision: View, guessing: str, style: Style) -> list[str]:
    batching = decision["batching"]
    if decision["memory"] is None:
        return []
    on = [said for name, said in (("chunked_prefill", "chunked prefill"), ("prefix_caching", "prefix cache"))
          if batching[name]]  # fmt: skip
    share = batching["gpu_memory_utilization"]
    words = [f"{name} {batching[name]:,}" for name in ("max_num_seqs", "max_num_batched_tokens")]
    words += [f"max_model_len {decision['max_model_len']:,}", *on]
    words += [f"gpu_memory_utilization {share:g}"] if share else []
    words += [f"KV cache in {decision['kv_cache_dtype']}"] if decision["kv_cache_dtype"] != "auto" else []
    if guessing:
        words.append(f"speculative {guessing}, as the file says; what it gains is not predicted")
    return _pairs([("Engine", " · ".join(words))], style)


def _latency(model: View, decision: View, style: Style) -> list[str]:
    """Return the table of latencies: one replica's share of the mean and of the peak, beside what is owed."""
    usual, peak = decision["at_rate"], decision["at_peak"]
    if peak is None or usual is None:
        return _pairs([("Latency", f"not predicted; {decision['basis']}")], style)
    owed = model["slo"]["objectives"]
    at_peak = f"at {peak['rate']:.3g}/s, the peak" if peak["rate"] else "with nobody else"
    head = ("Latency", f"at {usual['rate']:.3g}/s" if usual["rate"] else "", at_peak, "80 % range", "owed")
    rows: list[tuple[str, ...]] = [head]
    for metric, said in _SAID.items() if "itl_p50" in peak["latency"] else (("e2e", "E2E"),):
        for part in _PARTS:
            name = f"{metric}_{part}"
            if name in peak["latency"] and name in usual["latency"]:
                rows.append(_latency_row(f"  {said} {part.upper()}", name, usual, peak, owed.get(name)))
    rows.append(("  running", f"{usual['running']:.1f}", f"{peak['running']:.1f}", "", ""))
    if owed:
        rows.append(_goodput_row(usual, peak, model["slo"]["goodput"]))
    return [style.cut(line) for line in columns(rows)]


def _latency_row(said: str, name: str, usual: View, peak: View, owed: float | None) -> tuple[str, ...]:
    found = peak["latency"][name]
    ranged = f"{_time(found['low'])} to {_time(found['high'])}"
    kept = "" if owed is None else f"{_time(owed)} {'✓' if found['value'] <= owed else '✗'}"
    return said, _time(usual["latency"][name]["value"]), _time(found["value"]), ranged, kept


def _goodput_row(usual: View, peak: View, owed: float | None) -> tuple[str, ...]:
    kept = "" if owed is None else f"{100 * owed:g} % {'✓' if peak['goodput'] >= owed else '✗'}"
    return "  goodput", f"{100 * usual['goodput']:.1f} %", f"{100 * peak['goodput']:.1f} %", "", kept


def _fleet(model: View, decision: View, style: Style) -> list[str]:
    takes, load, many, cost = decision["capacity"], model["workload"], decision["replicas"], decision["cost"]
    rows = []
    if takes and load:
        both = takes * (load["isl"]["mean"] + load["osl"]["mean"])
        out = takes * load["osl"]["mean"]
        breaks = f"; queues grow from {model['breaks_at']:.3g}/s" if model["breaks_at"] else ""
        what = "within the SLO" if model["slo"]["objectives"] else "without a growing queue"
        tokens = f"{both:,.0f} tokens/s, {out:,.0f} of them out"
        rows.append(("Capacity", f"{takes:.3g} requests/s of a replica {what}: {tokens}{breaks}"))
        rows.append(("Replicas", _replica_words(model, many)))
    if cost is not None:
        rows.append(("Cost", _cost_words(cost, load)))
    elif model["live"]:
        rows.append(("Cost", f"not known: no price of {decision['target']} is"))
    return _pairs(rows, style)


def _replica_words(model: View, many: View) -> str:
    words = f"{many['mean']} for the mean, {many['peak']} for the peak"
    if many["spare"]:
        share = 100 * model["slo"]["availability"]
        words += f", {many['spare']} spare for {share:g} % (each is taken to be up {100 * UP:g} % of the time)"
    return f"{words}: {many['total']}"


def _cost_words(cost: View, load: View | None) -> str:
    words = [f"${cost['per_hour']:,.2f}/h" + (f" ({cost['priced']})" if cost["priced"] else "")]
    if cost["per_1m_tokens"] is not None and load:
        out = f", ${cost['per_1m_output_tokens']:.2f} of 1M out" if cost["per_1m_output_tokens"] else ""
        busy = f", which uses {100 * cost['utilisation']:.0f} %" if cost["utilisation"] else ""
        words.append(f"${cost['per_1m_tokens']:.2f} of 1M tokens in and out{out}, at {load['rate']:.3g}/s{busy}")
    if cost["per_1m_tokens_fully_used"] is not None:
        words.append(f"${cost['per_1m_tokens_fully_used']:.2f} at 100 %")
    return " · ".join(words)


def _reasons(decision: View, style: Style) -> list[str]:
    steps = [*decision["steps"], {"what": "basis", "why": decision["basis"]}]
    return ["Why", *_pairs([(f"  {each['what']}", each["why"]) for each in steps], style)]


def _lost(model: View, style: Style) -> list[str]:
    if not model["alternatives"]:
        return []
    lines = ["Next best" if model["clash"] is None else "What was tried"]
    for each in model["alternatives"]:
        lines += style.wrap(each["why"], indent="  ", hanging="    ")
    return lines


def _pairs(rows: Sequence[tuple[str, str]], style: Style) -> list[str]:
    """Return names with their sentences beside them, wrapped where a line would be too wide."""
    width = max((len(name) for name, _ in rows), default=0) + 2
    return [line for name, text in rows
            for line in style.wrap(text, indent=name.ljust(width), hanging=" " * width)]  # fmt: skip


def _time(seconds: float) -> str:
    if seconds >= 10:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"
