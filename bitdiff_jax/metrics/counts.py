"""How many regions too many or too few a prediction has, from a contingency table.

"signed" and "absolute" are DiC and |DiC|, the difference in count of the leaf segmentation
challenge (Scharr et al., "Leaf segmentation in plant phenotyping: a collation study", 2016), with
background a region like any other; "log2" is the same of the counts' logarithms.
"""

from typing import Any

import numpy as np
from jax.typing import ArrayLike

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics.host import metric_per_table

_KINDS = {
    "absolute": lambda pred, target: abs(pred - target),
    "signed": lambda pred, target: pred - target,
    "log2": lambda pred, target: np.log2(pred / target),
}


def region_count_error_from_table(table: ArrayLike, *, kind: str = "absolute") -> Any:
    """Predicted minus target regions among the pixels that count, float64 [...].

    A region is a row or column with a pixel: a distinct id, connected or not, and unassigned
    pixels of the prediction are one region. A predicted region wholly on ignored pixels is none.

    Args:
        table: contingency tables, integers [..., P, T].
        kind: "absolute" is |P - T|; "signed" is P - T, positive for over-segmentation; "log2" is
            log2(P / T), 1 for twice the regions whatever their number.

    Returns:
        float64 of shape [...]; NaN for a table without a pixel.

    Raises:
        InputError: an unknown `kind`, or the table does not hold integers or has fewer than two
            axes.
    """
    if kind not in _KINDS:
        raise InputError(f"kind is {kind!r}; use one of {', '.join(_KINDS)}")

    def metric(counts: np.ndarray) -> float:
        return float(_KINDS[kind](*counts.shape)) if counts.size else np.nan

    return metric_per_table(metric, table)
