"""The few different answers that many samples give: clusters of samples by their distance."""

import dataclasses

import numpy as np

from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior import overlaps
from bitdiff_jax.posterior.agreement import pairwise
from bitdiff_jax.posterior.atoms import Atoms

_PRECISION = 1e-12


@dataclasses.dataclass(frozen=True, eq=False)
class Mode:
    """Samples that are alike, and the one in their middle.

    Attributes:
        weight: probability of the mode, the sum of its samples' weights.
        label_map: int32 [h, w], the sample with the least expected distance to the others of the
            mode; region 0 is the largest, -1 = ignore.
        samples: intp [s], the indices of the samples that belong to it.
        medoid: the index of the sample in its middle; of equal ones the lowest.
    """

    weight: float
    label_map: np.ndarray
    samples: np.ndarray
    medoid: int


def modes(atoms: Atoms, count: int) -> list[Mode]:
    """Clusters of the samples around `count` of them, by variation of information.

    Args:
        atoms: of the label maps.
        count: modes wanted; there are no more than different partitions.

    Returns:
        The modes by falling weight, of equals that of the first partition.
    """
    nearest = medoids(pairwise(atoms, overlaps.variation_of_information), atoms.weights, count)
    found = [
        Mode(
            float(atoms.weights[nearest == middle].sum()),
            atoms.label_map(atoms.regions[middle]),
            np.flatnonzero(atoms.of_maps(nearest == middle)),
            int(np.argmax(atoms.partition == middle)),
        )
        for middle in np.unique(nearest)
    ]
    return sorted(found, key=lambda mode: -round(mode.weight, 9))


def medoids(distances: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """Partitioning around medoids (Kaufman & Rousseeuw 1990): greedy choice, then exchanges.

    The medoids that make the expected distance to the nearest of them small: they are added one
    after the other, each the best addition, and then exchanged for others as long as it helps. It
    is deterministic; the first of equals is taken.

    Args:
        distances: float64 [m, m], symmetric, 0 on the diagonal.
        weights: float64 [m], with sum 1.
        count: medoids wanted, >= 1; there are no more than m.

    Returns:
        intp [m], for each the place of its medoid in `distances`: the nearest, and of equals the
        one of most weight.

    Raises:
        InputError: `count` is not an integer >= 1.
    """
    if not isinstance(count, int | np.integer) or count < 1:
        raise InputError(f"k is {count!r}; ask for 1 mode or more")

    def cost(chosen: list[int]) -> float:
        return float(weights @ distances[:, chosen].min(axis=1))

    everyone = range(len(weights))
    chosen: list[int] = []
    while len(chosen) < min(count, len(weights)):
        rest = [each for each in everyone if each not in chosen]
        chosen.append(_least([cost([*chosen, each]) for each in rest], rest))
    while True:
        swaps = [
            [*chosen[:place], each, *chosen[place + 1 :]]
            for place in range(len(chosen))
            for each in everyone
            if each not in chosen
        ]
        costs = [cost(each) for each in swaps]
        if not costs or min(costs) >= cost(chosen) - _PRECISION:
            break
        chosen = swaps[int(np.argmin(costs))]
    order = sorted(chosen, key=lambda each: (-weights[each], each))
    return np.array(order)[distances[:, order].argmin(axis=1)]


def _least(costs: list[float], items: list[int]) -> int:
    values = np.array(costs)
    return items[int(np.argmax(values <= values.min() + _PRECISION))]
