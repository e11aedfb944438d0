"""The regions of a consensus by how much the label maps differ about them."""

from typing import NamedTuple

import numpy as np

from bitdiff_jax.posterior import points
from bitdiff_jax.posterior.posterior import Posterior


class DisputedRegion(NamedTuple):
    """One region of a consensus.

    Attributes:
        id: of the region in the consensus, from 0.
        area: pixels.
        entropy: mean of `Posterior.entropy` over its pixels, in bits; 0 where all maps agree.
        part: its part in the mean over all pixels, in bits: entropy * area / pixels of the image.
        point: (row, column) of its most interior pixel.
    """

    id: int
    area: int
    entropy: float
    part: float
    point: tuple[int, int]


def disputed_regions(posterior: Posterior, criterion: str | None = None) -> list[DisputedRegion]:
    """All regions of the consensus, those first that explain most of how far the maps differ.

    They are ordered by `part`, of equals the larger one first. By the mean over its own pixels
    alone, slivers of a few pixels would be first.

    Args:
        posterior: of the maps.
        criterion: of the consensus, as in `Posterior.consensus`.

    Returns:
        The regions. The sum of their parts is the expected variation of information from the
        consensus.

    Raises:
        InputError: there is no such criterion.
    """
    label_map = posterior.consensus(criterion)
    known = label_map >= 0
    ids, bits = label_map[known], posterior.entropy(criterion)[known]
    areas, sums = np.bincount(ids), np.bincount(ids, bits)
    places = points.interior(label_map, len(areas))
    regions = [
        DisputedRegion(
            id=k,
            area=int(areas[k]),
            entropy=float(sums[k] / areas[k]),
            part=float(sums[k] / len(ids)),
            point=(int(places[k, 0]), int(places[k, 1])),
        )
        for k in range(len(areas))
    ]
    # Sums of the same numbers in another order differ by roundings.
    return sorted(regions, key=lambda region: -round(region.part, 9))
