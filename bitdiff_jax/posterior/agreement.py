"""How far several label maps of one image say the same, whatever they call their regions.

Pure functions of integer label maps [n, h, w], one per sample. Ids need not mean the same in two
maps; only which pixels lie together counts. A pixel that any map ignores (a negative id) is left
out of all of them, as in `atoms.refine`.
"""

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from bitdiff_jax.posterior import overlaps
from bitdiff_jax.posterior.atoms import Atoms, refine

# Of two partitions and the areas of the atoms.
Distance = Callable[[np.ndarray, np.ndarray, np.ndarray], float]


def agreement(label_maps: ArrayLike) -> np.ndarray | None:
    """For each pixel, how much the samples agree on the region it lies in.

    For two samples a and b it is |A and B| / |A or B|, A being the region of a that holds the pixel
    and B that of b: of the pixels that lie with this one in either sample, the share that does so
    in both. For more samples, the mean over all pairs. 1 where all samples draw the same region
    around the pixel, near 0 where a large region of one is a small one of another. It says how
    sure the model is of its answer, not that the answer is right.

    Args:
        label_maps: integers [n, h, w]; negative = ignore.

    Returns:
        float32 [h, w] in (0, 1], NaN where a map ignores the pixel; None for n = 1, where there is
        nothing to compare.

    Raises:
        InputError: not integers [n, h, w] with n, h, w >= 1, or no pixel is labelled in all maps.
    """
    atoms = refine(label_maps)
    count = len(atoms.partition)
    if count == 1:
        return None
    sums = np.zeros(len(atoms.areas))
    for i, j in itertools.combinations(atoms.partition, 2):
        meet = overlaps.overlap(atoms.regions[i], atoms.regions[j], atoms.areas)
        sums += (meet.area / (meet.area_x + meet.area_y - meet.area))[meet.pair]
    return atoms.values_map(sums / (count * (count - 1) / 2))


def disagreement(atoms: Atoms, labels: np.ndarray) -> np.ndarray:
    """What each atom's pixels add to the expected variation of information from a partition.

    Args:
        atoms: of the label maps.
        labels: int [a], >= 0, the region of each atom in the partition.

    Returns:
        float64 [a], >= 0, in bits: the mean over the samples of log2(|C| |S| / |C and S|^2), C and
        S being the regions of the atom in the partition and in the sample. The mean over the pixels
        is the expected variation of information (Meila 2007; Wade & Ghahramani 2018, equation 9).
    """
    sums = np.zeros(len(labels))
    for row, weight in zip(atoms.regions, atoms.weights, strict=True):
        meet = overlaps.overlap(labels, row, atoms.areas)
        sums += weight * overlaps.information_distance(meet)[meet.pair]
    return sums


def pairwise_rand(label_maps: ArrayLike) -> np.ndarray:
    """Rand index of every two samples: the share of pixel pairs that both join or both part.

    Args:
        label_maps: integers [n, h, w]; negative = ignore.

    Returns:
        float64 [n, n], symmetric, 1 on the diagonal; 1 throughout for a single pixel.

    Raises:
        InputError: as `agreement`.
    """
    atoms = refine(label_maps)
    pairs = pairwise(atoms, overlaps.disagreeing_pairs)[np.ix_(atoms.partition, atoms.partition)]
    return 1 - pairs / max(atoms.num_pixels * (atoms.num_pixels - 1), 1)


def medoid(label_maps: ArrayLike) -> int:
    """Index of the sample that is closest to all the others, by mean Rand index.

    Of the samples at hand it is the one with the least expected number of wrongly joined or parted
    pixel pairs, if the truth is as likely to be any of them. The lowest index of equals.

    Args:
        label_maps: integers [n, h, w]; negative = ignore.

    Raises:
        InputError: as `agreement`.
    """
    atoms = refine(label_maps)
    return int(np.argmax(are_medoids(atoms)[atoms.partition]))


def are_medoids(atoms: Atoms) -> np.ndarray:
    """bool [m]: partitions with the least expected number of disagreeing pixel pairs."""
    expected = pairwise(atoms, overlaps.disagreeing_pairs) @ atoms.weights
    # Sums of the same numbers in another order differ by roundings.
    equal: np.ndarray = expected <= expected.min() * (1 + 1e-12)
    return equal


def pairwise(atoms: Atoms, distance: Distance) -> np.ndarray:
    """float64 [m, m], a symmetric distance of `overlaps` between the different partitions."""
    rows = atoms.regions
    matrix = np.zeros((len(rows), len(rows)))
    for i, j in itertools.combinations(range(len(rows)), 2):
        matrix[i, j] = matrix[j, i] = distance(rows[i], rows[j], atoms.areas)
    return matrix
