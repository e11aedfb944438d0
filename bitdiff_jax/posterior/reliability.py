"""How near each label map is to the consensus of all the others."""

import dataclasses
from typing import NamedTuple

import numpy as np

from bitdiff_jax.posterior import overlaps
from bitdiff_jax.posterior.atoms import refine
from bitdiff_jax.posterior.posterior import Posterior


class Reliability(NamedTuple):
    """A map against the consensus of the others, which it had no part in.

    Attributes:
        ari: adjusted Rand index, at most 1; high for a map like the others.
        vi: variation of information in bits, at least 0; low for a map like the others.
    """

    ari: float
    vi: float


def leave_one_out(posterior: Posterior, criterion: str | None = None) -> list[Reliability | None]:
    """Compares each map with the consensus of the others, by their weights.

    Only pixels that no map ignores are compared, so that the figures of two maps are about the same
    pixels. A map of weight 0 is in no consensus and is compared like the rest.

    Args:
        posterior: of the maps.
        criterion: of the consensus, as in `Posterior.consensus`.

    Returns:
        One for each map; None where the others have no weight.

    Raises:
        InputError: there is no such criterion.
    """
    found: list[Reliability | None] = []
    for left_out, label_map in enumerate(posterior.label_maps):
        weights = posterior.weights.copy()
        weights[left_out] = 0
        if not weights.any():
            found.append(None)
            continue
        others = dataclasses.replace(posterior, weights=weights)
        found.append(_compared(label_map, others.consensus(criterion)))
    return found


def _compared(label_map: np.ndarray, consensus: np.ndarray) -> Reliability:
    both = refine(np.stack([label_map, consensus]))
    x, y = both.regions[both.partition]
    return Reliability(
        overlaps.adjusted_rand_index(x, y, both.areas),
        overlaps.variation_of_information(x, y, both.areas),
    )
