"""Owns how a graph is written down: DOT for Graphviz, Mermaid for Markdown. A model's nodes stand together."""

from __future__ import annotations

import json
from collections.abc import Iterator

from infctl.ops.graph import Graph


def dot(graph: Graph) -> Iterator[str]:
    yield "digraph {"
    yield '  rankdir = "RL"; node [shape = "box"];'
    for number, (model, nodes) in enumerate(_by_model(graph).items()):
        indent = "    " if model else "  "
        if model:
            yield f"  subgraph cluster_{number} {{"
            yield f"    label = {_quoted(f'model.{model}')};"
        for ident, label in nodes:
            yield f"{indent}{_quoted(ident)} [label = {_quoted(label)}];"
        if model:
            yield "  }"
    for needs, needed in graph.edges:
        yield f"  {_quoted(needs)} -> {_quoted(needed)};"
    yield "}"


def mermaid(graph: Graph) -> Iterator[str]:
    yield "graph RL"
    short = {ident: f"n{number}" for number, (ident, _, _) in enumerate(graph.nodes)}
    for model, nodes in _by_model(graph).items():
        indent = "    " if model else "  "
        if model:
            yield f"  subgraph model_{model.replace('-', '_')} [model.{model}]"
        for ident, label in nodes:
            yield f'{indent}{short[ident]}["{label.replace(chr(34), "#quot;")}"]'
        if model:
            yield "  end"
    for needs, needed in graph.edges:
        yield f"  {short[needs]} --> {short[needed]}"


def _by_model(graph: Graph) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for ident, label, model in graph.nodes:
        found.setdefault(model, []).append((ident, label))
    return found


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
