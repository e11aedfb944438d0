"""Credible balls of partitions (Wade & Ghahramani 2018, section 4)."""

import dataclasses

import numpy as np

from bitdiff_jax.posterior import overlaps
from bitdiff_jax.posterior.atoms import Atoms
from bitdiff_jax.posterior.distributions import check_level

# Digits to which distances and sums of weights are compared: roundings must not decide.
_DIGITS = 9


@dataclasses.dataclass(frozen=True, eq=False)
class CredibleBall:
    """The smallest ball around a consensus that holds at least `level` of the probability.

    Its bounds are the extreme partitions among the samples in the ball. The vertical ones go
    towards fewer and towards more regions, the horizontal one is the farthest.

    Attributes:
        level: probability that was asked for.
        probability: probability of the samples in the ball.
        radius: variation of information in bits, the distance of the farthest sample in the ball.
        inside: bool [n], which samples lie in the ball; false for samples of weight 0.
        upper: int32 [h, w], of the samples in the ball with the fewest regions the farthest from
            the consensus.
        lower: int32 [h, w], of those with the most regions the farthest.
        horizontal: int32 [h, w], of all the farthest.
    """

    level: float
    probability: float
    radius: float
    inside: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    horizontal: np.ndarray


def credible_ball(atoms: Atoms, labels: np.ndarray, level: float) -> CredibleBall:
    """The partitions nearest to another one, as many as have at least `level` of the weight.

    Args:
        atoms: of the label maps.
        labels: int [a], >= 0, the region of each atom in the consensus.
        level: in (0, 1].

    Raises:
        InputError: the level is out of its range.
    """
    check_level(level)
    distances = np.array(
        [overlaps.variation_of_information(labels, row, atoms.areas) for row in atoms.regions]
    ).round(_DIGITS)
    order = np.argsort(distances, kind="stable")
    reached = np.cumsum(atoms.weights[order]).round(_DIGITS) >= round(level, _DIGITS)
    radius = distances[order[np.argmax(reached)]]
    inside = distances <= radius
    count = atoms.regions.max(axis=1)
    extremes = (
        inside & (count == count[inside].min()),
        inside & (count == count[inside].max()),
        inside,
    )
    farthest = (int(np.where(each, distances, -1).argmax()) for each in extremes)
    return CredibleBall(
        level,
        float(atoms.weights[inside].sum()),
        float(radius),
        atoms.of_maps(inside),
        *(atoms.label_map(atoms.regions[place]) for place in farthest),
    )
