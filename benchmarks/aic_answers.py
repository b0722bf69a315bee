"""Answers questions from standard input: runs in an interpreter that has `aiconfigurator`, and knows no infctl.

In and out: a JSON list. A question has the arguments of `aiconfigurator.cli.api.cli_estimate`, and in `config` the
config.json of a model that it does not carry. An answer is `{"ttft", "tpot"}` in milliseconds and `{"out_tok_s"}`, or
`{"why"}` there is none. Every question is asked in the database mode SILICON (measured kernels alone), then in HYBRID
(what is missing is reckoned from like ones); `mode` says which answered.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

logging.disable(logging.CRITICAL)

from aiconfigurator.cli.api import cli_estimate  # noqa: E402  # after its logs are off

_DATABASES = ("SILICON", "HYBRID")


def main() -> None:
    questions = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        for question in questions:
            if config := question.pop("config", None):
                question["model_path"] = _written(Path(folder), question["model_path"], config)
        json.dump([_answer(question) for question in questions], sys.stdout)


def _written(folder: Path, name: str, config: dict[str, Any]) -> str:
    model = folder / name.replace("/", "--")
    model.mkdir(exist_ok=True)
    (model / "config.json").write_text(json.dumps(config))
    return str(model)


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    why = ""
    for database in _DATABASES:
        try:
            found = cli_estimate(**question, database_mode=database)
        except Exception as failure:  # noqa: BLE001  # whatever it cannot answer, in many kinds of exceptions
            why = why or f"{type(failure).__name__}: {failure}"[:200]
            continue
        return {"ttft": float(found.ttft), "tpot": float(found.tpot), "out_tok_s": float(found.raw["tokens/s"]),
                "mode": database}  # fmt: skip
    return {"why": why}


if __name__ == "__main__":
    main()
