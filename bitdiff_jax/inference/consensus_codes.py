"""One map for several that were drawn, at the network's resolution."""

import numpy as np

from bitdiff_jax.inference import specks
from bitdiff_jax.posterior import Posterior
from bitdiff_jax.posterior.consensus import default_criterion


def criterion_for(posterior: Posterior, criterion: str | None) -> str:
    """The criterion by which the map of an image is found.

    Args:
        posterior: of the maps as drawn.
        criterion: the one that was asked for; None for `posterior.consensus.default_criterion` of
            the number of different maps.

    Returns:
        A key of `posterior.consensus.CRITERIA`; 'medoid' where all maps are the same partition,
        which needs no search.
    """
    different = len(posterior.atoms.regions)
    if different == 1:
        return "medoid"
    return default_criterion(different) if criterion is None else criterion


def consensus_codes(
    posterior: Posterior,
    maps: np.ndarray,
    criterion: str,
    min_area: float,
    has_background: bool,
) -> np.ndarray:
    """The consensus of maps as drawn, without specks.

    Where boundaries of the samples nearly coincide, a consensus may draw slivers of a few pixels
    between them: pieces smaller than `min_area` go to the neighbour with the longest border, as
    specks of a sample do where it is not known what they were drawn from.

    Args:
        posterior: of `maps`.
        maps: int32 [n, h', w'], without specks.
        criterion: as in `Posterior.consensus`.
        min_area: pixels as drawn, see `specks.threshold`.
        has_background: code 0 is the background. It is that of the consensus as well: its regions
            that are background for more than half, on average over pixels and samples.

    Returns:
        int32 [h', w'], >= 0; each distinct number is one region, 0 with `has_background` the
        background.
    """
    codes = posterior.consensus(criterion) + 1
    if has_background:
        share = np.bincount(codes.ravel(), (maps == 0).mean(axis=0).ravel())
        codes[(share > 0.5 * np.bincount(codes.ravel()))[codes]] = 0
    return specks.remove(codes, min_area)
