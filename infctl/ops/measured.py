"""Owns reading a user's own measurements and finding those that speak of a question. Knows no formula.

The file has the columns of a table of measurements (`infctl size -batch` reads the same): a row of the same engine on
the same device with the same model in the same format is what a prediction is fitted to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from infctl.catalog.gpus import gpus
from infctl.catalog.names import plain_gpu, plain_model
from infctl.diagnostics import InfctlError, error
from infctl.ops.size import CANNOT_SIZE, METRICS, Asked, asked_of, case_of, read_table
from infctl.sizing.measured import Factors, Measured, fit
from infctl.sizing.predict import expected
from infctl.sizing.spelled import find_engine


def fitted_to(path: Path, own: str = "", env: Mapping[str, str] | None = None) -> Callable[[Asked], Factors | None]:
    """Return a function that says what the measurements in `path` make of a question: None where none is of its engine,
    device and model. Raises InfctlError (cannot-size) where a row cannot be read.
    """
    rows = read_table(path)
    try:
        told = [(asked_of(row), _figures(row)) for row in rows]
    except ValueError as failure:
        raise InfctlError(error(CANNOT_SIZE, f"{path} has a row that means nothing", str(failure))) from failure

    @cache
    def of(key: tuple[str, ...]) -> Factors | None:
        alike = [(asked, figures) for asked, figures in told if _key(asked) == key and figures]
        if not alike:
            return None
        known = bool(gpus(own).find(alike[0][0].gpu))
        cases = [Measured(case_of(asked, own, env, described=True), figures) for asked, figures in alike]
        return fit(cases, expected, known=known)

    return lambda asked: of(_key(asked))


def _key(asked: Asked) -> tuple[str, ...]:
    """Return what has to be the same for a measurement to speak of a question."""
    engine = find_engine(asked.engine) or asked.engine
    return (engine, plain_gpu(asked.gpu), plain_model(asked.model), asked.precision, str(asked.tensor or asked.gpus))


def _figures(row: Mapping[str, str]) -> Mapping[str, float]:
    return {name: float(row[name]) for name in METRICS if (row.get(name) or "").strip()}
