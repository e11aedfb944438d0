"""The figures of one scene: its drawn maps against the one true map."""

import math

import numpy as np
from scipy import ndimage

from bitdiff_jax.evaluation import image_measures, protocols
from bitdiff_jax.posterior import Posterior

# Smaller pieces are orphans: pixels that belong to no region one would point at.
_ORPHAN_PIXELS = 4
_OF_ONE = ("ari", "iou", "pq", "vi", "regions", "regions_true")
_OF_SEVERAL = ("ari_best", "ari_medoid", "iou_best", "iou_medoid", "diversity_rand")


def score(samples: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Metrics of the maps of a scene.

    Args:
        samples: int [n, h, w], the drawn codes.
        labels: int [h, w], the true regions.

    Returns:
        ARI, IoU, PQ, variation of information and the numbers of regions, means over samples; the
        share of pixels in pieces of less than 4 pixels, 'orphans'; of several samples besides the
        best one's, the medoid's and the consensus' ARI and IoU, and the samples' diversity.
    """
    values = image_measures.score(
        list(samples), (labels,), protocols.NATIVE, image_measures.TABLE_MEASURES
    )
    found = {name: float(values[name]) for name in _OF_ONE}
    found["orphans"] = float(np.mean([orphan_share(each) for each in samples]))
    if len(samples) > 1:
        found |= {name: float(values[name]) for name in _OF_SEVERAL}
        one = Posterior.from_maps(samples).consensus()
        of_consensus = image_measures.score(
            [one], (labels,), protocols.NATIVE, image_measures.TABLE_MEASURES
        )
        found |= {f"{name}_consensus": float(of_consensus[name]) for name in ("ari", "iou")}
    return found


def orphan_share(codes: np.ndarray) -> float:
    """Share of pixels in connected pieces of one code with less than 4 pixels.

    Args:
        codes: int [h, w]; pixels side by side are connected, those at corners are not.
    """
    if not codes.size:
        return math.nan
    orphans = 0
    for code in np.unique(codes):
        pieces, _ = ndimage.label(codes == code)
        areas = np.bincount(pieces.ravel())[1:]
        orphans += int(areas[areas < _ORPHAN_PIXELS].sum())
    return orphans / codes.size
