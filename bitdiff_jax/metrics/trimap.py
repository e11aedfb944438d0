"""IoU of matched regions, counted only near the target's boundaries."""

import numpy as np
from jax.typing import ArrayLike

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics.boundary import check_pair
from bitdiff_jax.metrics.boundary_pixels import border_pixels


def trimap_iou(
    pred: ArrayLike, target: ArrayLike, *, width: float = 0.02, matched: str = "picture"
) -> float:
    """Mean IoU over target regions in a band along the target's boundaries, float64 in [0, 1].

    Trimap IoU (Kohli, Ladicky & Torr 2009; Krahenbuhl & Koltun 2011) scores classes; regions
    without a class need partners first. `matched` says where the Hungarian matching looks for them:
    on the whole image ("picture", the analogue of fixed classes, since a region is the same outside
    the band) or on the band alone ("band", which is never lower).

    Args:
        pred: int [H, W]; every value is a region, a negative one that of unassigned pixels.
        target: int [H, W]; negative pixels are ignored.
        width: width of the band on either side of a boundary, as a share >= 0 of the image's
            diagonal. The band holds every labelled pixel that is at most that far from the nearest
            pixel with a neighbour of another region, including that pixel. The literature gives
            pixels; Boundary IoU (Cheng et al. 2021) uses a share of .02.
        matched: "picture" to match regions on the whole image, "band" on the band alone.

    Returns:
        The mean IoU; NaN without a boundary in the target.

    Raises:
        InputError: maps are not integer [H, W] of one shape, the width is negative, or `matched` is
            neither of the two words.
    """
    # Imported here: reading the package must not cost the import of scipy.
    from scipy.ndimage import distance_transform_edt
    from scipy.optimize import linear_sum_assignment

    if matched not in ("picture", "band"):
        raise InputError(f"matched is {matched!r}; use 'picture' or 'band'")
    if not width >= 0:
        raise InputError(f"width is {width}; use a share of the diagonal, 0 or more")
    labels, truths = check_pair(pred, target)
    labelled = truths[0] >= 0
    borders = border_pixels(truths[0], labelled)
    if not borders.any():
        return np.nan
    reach = width * float(np.hypot(*labels.shape))
    band = (distance_transform_edt(~borders) <= reach)[labelled]
    rows = np.unique(labels[labelled], return_inverse=True)[1]
    columns = np.unique(truths[0][labelled], return_inverse=True)[1]
    shape = rows.max() + 1, columns.max() + 1

    def overlaps(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        index = rows * shape[1] + columns
        counts = np.bincount(index, minlength=shape[0] * shape[1]).reshape(shape)
        union = counts.sum(1, keepdims=True) + counts.sum(0) - counts
        shares: np.ndarray = counts / np.maximum(union, 1)
        return shares

    iou = overlaps(rows[band], columns[band])
    judged = overlaps(rows, columns) if matched == "picture" else iou
    pairs = linear_sum_assignment(judged, maximize=True)
    # A region that reaches no boundary (an island in ignored pixels) has nothing to score.
    present = np.bincount(columns[band], minlength=shape[1]) > 0
    return float(iou[pairs].sum() / present.sum())
