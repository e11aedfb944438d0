"""How probable it is that a boundary runs beside a pixel."""

import numpy as np

from bitdiff_jax.metrics.boundary_pixels import border_pixels
from bitdiff_jax.posterior.atoms import Atoms


def boundary_share(atoms: Atoms) -> np.ndarray:
    """Weight of the partitions in which a pixel has a neighbour of another region.

    Returns:
        float32 [h, w] in [0, 1]; NaN = ignore.
    """
    known = atoms.index >= 0
    share = np.zeros(known.shape)
    for row, weight in zip(atoms.regions, atoms.weights, strict=True):
        share += weight * border_pixels(np.append(row, -1)[atoms.index], known)
    return np.where(known, np.minimum(share, 1), np.nan).astype(np.float32)
