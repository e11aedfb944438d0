"""How far several label maps of one picture say the same, whatever they call their regions.

Pure functions of integer label maps [n, h, w], one per sample, ids >= 0. Ids need not mean the same
in two maps; only which pixels lie together counts.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics.relabel import relabel


class _Overlap(NamedTuple):
    """The pairs (region of a, region of b) that meet in a pixel."""

    pair: np.ndarray  # intp [h, w], which pair each pixel lies in
    area: np.ndarray  # int64 [m], pixels in both
    area_a: np.ndarray  # int64 [m], pixels of the region of a
    area_b: np.ndarray  # int64 [m], pixels of the region of b


def agreement(label_maps: ArrayLike) -> np.ndarray | None:
    """For each pixel, how much the samples agree on the region it lies in.

    For two samples a and b it is |A and B| / |A or B|, A being the region of a that holds the pixel
    and B that of b: of the pixels that lie with this one in either sample, the share that does so
    in both. For more samples, the mean over all pairs. 1 where all samples draw the same region
    around the pixel, near 0 where a large region of one is a small one of another. It says how
    sure the model is of its answer, not that the answer is right.

    Args:
        label_maps: integers [n, h, w].

    Returns:
        float32 [h, w] in (0, 1]; None for n = 1, where there is nothing to compare.

    Raises:
        InputError: not integers [n, h, w] with n, h, w >= 1, or a negative id.
    """
    maps = _check(label_maps)
    if len(maps) == 1:
        return None
    total = np.zeros(maps.shape[1:])
    for _, overlap in _overlaps(maps):
        union = overlap.area_a + overlap.area_b - overlap.area
        total += (overlap.area / union)[overlap.pair]
    return (total / (len(maps) * (len(maps) - 1) / 2)).astype(np.float32)


def pairwise_rand(label_maps: ArrayLike) -> np.ndarray:
    """Rand index of every two samples: the share of pixel pairs that both join or both part.

    Args:
        label_maps: integers [n, h, w].

    Returns:
        float64 [n, n], symmetric, 1 on the diagonal; 1 throughout for a single pixel.

    Raises:
        InputError: as `agreement`.
    """
    maps = _check(label_maps)
    pixels = maps[0].size
    return 1 - _disagreeing_pairs(maps) / max(pixels * (pixels - 1), 1)


def medoid(label_maps: ArrayLike) -> int:
    """Index of the sample that is closest to all the others, by mean Rand index.

    Of the samples at hand it is the one with the least expected number of wrongly joined or parted
    pixel pairs, if the truth is as likely to be any of them. The lowest index of equals.

    Args:
        label_maps: integers [n, h, w].

    Raises:
        InputError: as `agreement`.
    """
    return int(np.argmin(_disagreeing_pairs(_check(label_maps)).sum(axis=1)))


def _check(label_maps: ArrayLike) -> np.ndarray:
    maps = np.asarray(label_maps)
    if maps.ndim != 3 or not maps.size or not np.issubdtype(maps.dtype, np.integer):
        raise InputError(
            f"label_maps must be integers [n, h, w], at least one sample and one pixel, got "
            f"{maps.dtype} of shape {maps.shape}"
        )
    if maps.min() < 0:
        raise InputError(f"label_maps hold id {maps.min()}; ids must be 0 or more")
    return relabel(maps)


def _overlaps(maps: np.ndarray) -> Iterator[tuple[tuple[int, int], _Overlap]]:
    areas = [np.bincount(each.ravel()) for each in maps]
    for i, j in itertools.combinations(range(len(maps)), 2):
        # Only the pairs that occur: a full table of two maps of noise would not fit the memory.
        joint = maps[i].astype(np.int64) * len(areas[j]) + maps[j]
        pairs, pair, area = np.unique(joint, return_inverse=True, return_counts=True)
        in_i, in_j = np.divmod(pairs, len(areas[j]))
        yield (i, j), _Overlap(pair.reshape(joint.shape), area, areas[i][in_i], areas[j][in_j])


def _disagreeing_pairs(maps: np.ndarray) -> np.ndarray:
    """int64 [n, n]: ordered pixel pairs that one sample joins and the other parts."""
    joined = [int((np.bincount(each.ravel()).astype(np.int64) ** 2).sum()) for each in maps]
    pairs = np.zeros((len(maps), len(maps)), np.int64)
    for (i, j), overlap in _overlaps(maps):
        both = int((overlap.area.astype(np.int64) ** 2).sum())
        pairs[i, j] = pairs[j, i] = joined[i] + joined[j] - 2 * both
    return pairs
