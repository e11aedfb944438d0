"""The region that clicks mean: what samples join with clicks inside, and not with those outside.

A click that a sample answers wrongly moves the region of that sample far off, so that to impose
clicks on a map and to draw the rest makes it worse with every click. All samples together are
seldom wrong at once: each click is asked of each of them.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior import points
from bitdiff_jax.posterior.atoms import Atoms

# Pixels of more than this belong to the region: then more samples join them with a click inside
# than do not, and more than join them with one outside.
THRESHOLD = 0.5


def belief(atoms: Atoms, inside: ArrayLike, outside: ArrayLike = ()) -> np.ndarray:
    """How far the samples say that each pixel is of the clicked region.

    With p the probability that a pixel lies in one region with any click inside, and q the same of
    those outside: p / max(1, p + q), which is above 1/2 if and only if p > 1/2 and p > q. Of one
    click it is p. Where samples do not tell a pixel from either (p = q > 1/2), the nearest click
    does: it has p if that is inside, and 1 - p if it is outside, so that each click is on its own
    side whatever the samples say.

    Args:
        atoms: of the label maps.
        inside: points (row, column) of the region, integers [n, 2], at least one.
        outside: points that are not of it, integers [m, 2]; () for none.

    Returns:
        float32 [h, w]; above `THRESHOLD` in the region, NaN = ignore.

    Raises:
        InputError: a point is none, see `points.atoms_at`, or both inside and outside; or none is
            inside.
    """
    within, without = (
        _places(atoms, given, name) for given, name in ((inside, "inside"), (outside, "outside"))
    )
    if not len(within):
        raise InputError("inside: there is no point; give one or more of the region that is meant")
    for row, column in without.tolist():
        if (within == (row, column)).all(axis=1).any():
            raise InputError(
                f"outside: point ({row}, {column}) is inside as well; leave one of them out"
            )
    p, q = (_joined_with(atoms, places) for places in (within, without))
    found = atoms.values_map(p / np.maximum(1, p + q))
    torn = np.append((p == q) & (p > THRESHOLD), False)[atoms.index]
    if torn.any():
        nearer = _distance(atoms, within) < _distance(atoms, without)
        sure = atoms.values_map(p)
        found = np.where(torn, np.where(nearer, sure, 1 - sure), found)
    return found


def _places(atoms: Atoms, given: ArrayLike, name: str) -> np.ndarray:
    """Points as integers [n, 2]; one point is as good as a list of it."""
    if not np.size(given):
        return np.zeros((0, 2), np.intp)
    found = points.atoms_at(atoms.index, given, name)
    if found.ndim > 1:
        raise InputError(f"{name} must be points (row, column), got {points.brief(given)}")
    return np.reshape(given, (-1, 2))


def _joined_with(atoms: Atoms, places: np.ndarray) -> np.ndarray:
    """float64 [a]: probability that an atom lies in one region with any of the places."""
    clicked = np.unique(atoms.index[tuple(places.T)])
    share = np.zeros(len(atoms.areas))
    for row, weight in zip(atoms.regions, atoms.weights, strict=True):
        chosen = np.zeros(int(row.max()) + 1, bool)
        chosen[row[clicked]] = True
        share += weight * chosen[row]
    joined: np.ndarray = np.round(share, 12)  # as `Atoms.together`
    return joined


def _distance(atoms: Atoms, places: np.ndarray) -> np.ndarray:
    """float64 [h, w], of each pixel from the nearest of the places."""
    empty = np.ones(atoms.index.shape, bool)
    empty[tuple(places.T)] = False
    distance: np.ndarray = ndimage.distance_transform_edt(empty)
    return distance
