"""Rows -> means with intervals, as text for the terminal, JSON and CSV."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bitdiff_jax.evaluation.scoring import Row

FIGURES = (
    "ari",
    "iou",
    "iou_penalised",
    "ari_best",
    "iou_best",
    "regions_pred",
    "regions_true",
)  # fmt: skip
_RESAMPLES = 2000


class Estimate(NamedTuple):
    """A mean over pictures and what it would be with other pictures of the kind."""

    mean: float
    low: float  # of the 95 % interval
    high: float
    num_images: int  # that have the figure


Summary = dict[str, Estimate]


def bootstrap(values: np.ndarray, *, seed: int = 0, resamples: int = _RESAMPLES) -> Estimate:
    """Mean of the finite values with the 95 % percentile interval of the bootstrap over them.

    The interval is that of the choice of pictures; it says nothing of another training.

    Args:
        values: float [n]; NaN are left out. Their order plays no part.
        seed: of the resampling.
        resamples: number of resampled means.

    Returns:
        NaN throughout if no value is finite; an interval of width 0 for a single one.
    """
    values = np.sort(values[np.isfinite(values)])
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan, 0)
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(values.mean()), float(low), float(high), len(values))


def summarise(rows: Sequence[Row], *, seed: int = 0) -> Summary:
    """Every figure's mean over the pictures, with its interval."""
    return {
        name: bootstrap(np.asarray([getattr(row, name) for row in rows], np.float64), seed=seed)
        for name in FIGURES
    }


def as_text(rows: Sequence[Row], summary: Summary) -> str:
    """A table for the terminal; the best of one sample is not worth a line."""
    lines = [f"{'figure':<15}{'mean':>8}   {'95 % interval':<18}{'pictures':>8}"]
    single = all(row.num_samples == 1 for row in rows)
    for name, (mean, low, high, num_images) in summary.items():
        if single and name.endswith("_best"):
            continue
        digits = 1 if name.startswith("regions") else 4
        interval = f"[{low:.{digits}f}, {high:.{digits}f}]"
        lines.append(f"{name:<15}{mean:>8.{digits}f}   {interval:<18}{num_images:>8}")
    return "\n".join(lines)


def as_json(summary: Summary, about: Mapping[str, Any]) -> bytes:
    """The summary and what it is of; figures that do not exist are null."""
    figures = {
        name: {k: _number(v) for k, v in estimate._asdict().items()}
        for name, estimate in summary.items()
    }
    return (json.dumps({**about, "figures": figures}, indent=2, allow_nan=False) + "\n").encode()


def as_csv(rows: Sequence[Row]) -> bytes:
    """One line per picture; figures that do not exist are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return text.getvalue().encode()


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _cell(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return f"{value:.6f}" if math.isfinite(value) else ""
