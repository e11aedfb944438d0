"""What the samples of one image say together of its regions: where, how many, how large.

The functions take one label map after the other, so that the samples of a large image need not lie
in memory side by side.
"""

from collections.abc import Iterable

import numpy as np

from bitdiff_jax.metrics.boundary_pixels import border_pixels
from bitdiff_jax.posterior.distributions import Distribution
from bitdiff_jax.posterior.overlaps import overlap

LEVEL = 0.9  # probability that the intervals in tables hold


def boundary_share(samples: Iterable[np.ndarray]) -> np.ndarray:
    """The share of the samples in which a pixel has a neighbour of another region.

    Args:
        samples: label maps, integers [h, w], at least one.

    Returns:
        float32 [h, w] in [0, 1], that of `Posterior.boundary_probability`.
    """
    marked = (border_pixels(each, np.ones(each.shape, bool)).astype(np.int32) for each in samples)
    count, total = 1, next(marked)
    for each in marked:
        count, total = count + 1, total + each
    return (total / count).astype(np.float32)


def count_interval(samples: Iterable[np.ndarray]) -> tuple[int, int]:
    """The number of regions in a sample: (low, high), the central interval of `LEVEL`.

    Args:
        samples: label maps, integers [h, w], ids 1..n; 0, the background, does not count.
    """
    return _interval(np.array([int(each.max()) for each in samples]))


def area_intervals(
    label_map: np.ndarray, samples: Iterable[np.ndarray], scale: float, num_regions: int
) -> list[tuple[int, int]]:
    """For each region of a map, how large the region in its place is in the samples.

    Args:
        label_map: integers [h, w], ids in 1..num_regions; 0 is the background.
        samples: label maps of the same image, ids likewise.
        scale: pixels that a pixel of these maps stands for.
        num_regions: regions asked for.

    Returns:
        (low, high) of each region by ascending id: the central interval of `LEVEL` of
        `matched_areas` times `scale`. The area in the map itself may lie outside, if the map is no
        sample.
    """
    areas = np.stack([matched_areas(label_map, each, num_regions) for each in samples])
    return [_interval(np.rint(each * scale)) for each in areas.T]


def matched_areas(label_map: np.ndarray, sample: np.ndarray, num_regions: int) -> np.ndarray:
    """The area of the region in a sample that overlaps each region of a map best, by IoU.

    Where the sample joins the region with another one, that is the area of both; where it splits
    it, that of the part with the highest IoU, of equals the lowest id.

    Args:
        label_map: integers [h, w], ids in 1..num_regions; 0 is the background.
        sample: integers [h, w], ids >= 0; 0 is the background, with which no region is matched.
        num_regions: regions asked for.

    Returns:
        int64 [num_regions], pixels; 0 where the sample has nothing but background in the region's
        place.
    """
    x, y = label_map.ravel(), sample.ravel()
    meet = overlap(x, y, np.ones(x.size, np.int64))
    in_x, in_y = np.empty((2, len(meet.area)), np.int64)
    in_x[meet.pair], in_y[meet.pair] = x, y
    iou = meet.area / (meet.area_x + meet.area_y - meet.area)
    # The best of each region is written last.
    order = np.lexsort((-in_y, iou))
    order = order[(in_x[order] > 0) & (in_y[order] > 0)]
    areas = np.zeros(num_regions + 1, np.int64)
    areas[in_x[order]] = meet.area_y[order]
    return areas[1:]


def _interval(values: np.ndarray) -> tuple[int, int]:
    """The central interval of `LEVEL` of whole numbers [n], one of each sample."""
    weights = np.full(len(values), 1 / len(values))
    low, high = Distribution(values.astype(np.float64), weights).interval(LEVEL)
    return int(low), int(high)
