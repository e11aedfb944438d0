"""The vote of the samples on each pixel, their regions matched to those of the medoid."""

import numpy as np

from bitdiff_jax.posterior import overlaps
from bitdiff_jax.posterior.atoms import Atoms, by_first


def vote(atoms: Atoms, reference: int) -> np.ndarray:
    """For each atom the region of the reference for which most samples vote, by their weights.

    The regions of each sample are matched one to one to those of the reference so that the sum of
    their IoUs is largest. A region without a partner votes for a region of its own, and so does
    one whose partner it does not touch. The reference wins draws in which it takes part.

    Args:
        atoms: of the label maps.
        reference: row of `atoms.regions`, the medoid.

    Returns:
        intp [a], the region of each atom.
    """
    names = np.stack([_named(atoms, row, reference) for row in range(len(atoms.regions))])
    votes = np.zeros(names.shape)
    for one in range(len(names)):
        for other in range(len(names)):
            votes[one] += atoms.weights[other] * (names[one] == names[other])
    votes[reference] += 1e-9
    return by_first(names[votes.argmax(axis=0), np.arange(names.shape[1])])


def _named(atoms: Atoms, row: int, reference: int) -> np.ndarray:
    """The regions of one partition by the reference's numbers, unmatched ones by numbers beyond."""
    # Imported here, as in `metrics.matching`: reading the package must not cost it.
    from scipy.optimize import linear_sum_assignment

    own, target = atoms.regions[row], atoms.regions[reference]
    meet = overlaps.overlap(own, target, atoms.areas)
    iou = np.zeros((int(own.max()) + 1, int(target.max()) + 1))
    in_own, in_target = np.empty((2, len(meet.area)), np.intp)
    in_own[meet.pair], in_target[meet.pair] = own, target
    iou[in_own, in_target] = meet.area / (meet.area_x + meet.area_y - meet.area)
    beyond = iou.shape[1] + atoms.regions[:row].max(axis=1, initial=-1).sum() + row
    name = beyond + np.arange(len(iou))
    matched = linear_sum_assignment(iou, maximize=True)
    touching = iou[matched] > 0
    name[matched[0][touching]] = matched[1][touching]
    return name[own]
