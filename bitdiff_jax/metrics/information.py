"""Variation of information: what one partition leaves unsaid about another, in bits or nats.

VI(S, S') = H(S | S') + H(S' | S) (Meila, "Comparing clusterings", 2007), a metric on partitions: 0
for equal ones, at most log(pixels). Published values differ by the logarithm: the BSDS500
benchmark (Arbelaez et al. 2011) and scikit-image take bits, scikit-learn's entropies are in nats.
`unit` chooses between them.
"""

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from jax.typing import ArrayLike

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics.host import metric_per_map, metric_per_table

_PER_NAT = {"bits": 1 / math.log(2.0), "nats": 1.0}


class Entropies(NamedTuple):
    """The two terms whose sum is the variation of information."""

    over: Any  # H(pred | target): the prediction splits regions of the target
    under: Any  # H(target | pred): the prediction joins regions of the target


def variation_of_information(
    pred: ArrayLike,
    target: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    num_labels: int,
    unit: str = "bits",
) -> Any:
    """Variation of information of label maps, on the host in float64; lower is better.

    Args:
        pred: integer label maps [..., H, W]; negative where there is no region, which counts as one
            region more.
        target: integer label maps of the same shape; negative ids are ignored.
        mask: bool of the same shape, true where pixels count; None counts all.
        num_labels: L, more than the largest id of either map.
        unit: "bits" (BSDS500, scikit-image) or "nats".

    Returns:
        A float64 scalar >= 0 for maps [H, W], a float64 array [...] for [..., H, W]. NaN for a map
        without a pixel to score.

    Raises:
        InputError: shapes or dtypes do not fit, an id is >= L, the unit is neither of the two, or
            it was called under `jit`.

    Example:
        >>> float(variation_of_information([[0, 0, 1, 2]], [[5, 5, 6, 6]], num_labels=7))
        0.5
    """
    metric = functools.partial(variation_of_information_from_table, unit=unit)
    return metric_per_map(metric, pred, target, mask, num_labels=num_labels)


def variation_of_information_from_table(table: ArrayLike, *, unit: str = "bits") -> Any:
    """`variation_of_information` of contingency tables, integers [..., P, T] -> float64 [...]."""
    over, under = conditional_entropies_from_table(table, unit=unit)
    return over + under


def conditional_entropies_from_table(table: ArrayLike, *, unit: str = "bits") -> Entropies:
    """H(pred | target) and H(target | pred) of contingency tables, float64 [...] each.

    Both are sums of terms that are all >= 0, so that equal partitions give exactly 0. The
    difference of entropies by which they are often computed would lose digits there.

    Raises:
        InputError: the table does not hold integers or has fewer than two axes, or the unit is
            neither of the two.
    """
    if unit not in _PER_NAT:
        raise InputError(f"unit is {unit!r}; use 'bits' or 'nats'")

    def entropy(counts: np.ndarray, axis: int) -> float:
        if not counts.size:
            return np.nan
        given = np.broadcast_to(counts.sum(axis, keepdims=True), counts.shape)
        some = counts > 0
        shares = counts[some] / counts.sum()
        # The logarithm of a quotient >= 1, so that no term is -0.0.
        return float(shares @ np.log(given[some] / counts[some])) * _PER_NAT[unit]

    over = metric_per_table(functools.partial(entropy, axis=0), table)
    under = metric_per_table(functools.partial(entropy, axis=1), table)
    return Entropies(over, under)
