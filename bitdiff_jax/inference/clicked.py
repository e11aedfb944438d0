"""The region that points mean, found in the samples of an image and brought to its size."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from bitdiff_jax.data.labelmaps import at_centres
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import upsampling
from bitdiff_jax.inference.imposed import at_cell
from bitdiff_jax.posterior import Posterior, points
from bitdiff_jax.posterior.clicked import THRESHOLD


class Clicks(NamedTuple):
    """Points (row, column) of an image that say which of its regions is meant."""

    inside: tuple[tuple[int, int], ...]
    outside: tuple[tuple[int, int], ...] = ()

    @classmethod
    def on(cls, inside: ArrayLike, outside: ArrayLike, shape: tuple[int, int]) -> "Clicks":
        """Points as a caller gives them.

        Args:
            inside: one point or several, integers [n, 2].
            outside: the same; () for none.
            shape: (h, w) of the image.

        Raises:
            InputError: a point is none, or lies outside of the image.
        """
        found = []
        for name, given in (("inside", inside), ("outside", outside)):
            # A map of no size in memory: only where points lie is asked.
            places = np.asarray(given) if np.size(given) else np.zeros((0, 2), np.intp)
            points.atoms_at(np.broadcast_to(np.int32(0), shape), places, name)
            if places.ndim > 2:
                raise InputError(f"{name} must be points (row, column), got {points.brief(given)}")
            pairs = places.reshape(-1, 2).tolist()
            found.append(tuple((int(row), int(column)) for row, column in pairs))
        return cls(found[0], found[1])


def mask_of(posterior: Posterior, clicks: Clicks, image: np.ndarray, edges: str) -> np.ndarray:
    """The clicked region at the size of the image.

    Args:
        posterior: of the samples, at the size of the image or a smaller one.
        clicks: points of the image.
        image: uint8 [h, w, 3].
        edges: how a smaller region is brought to its size, see `Segmentation.edges`.

    Returns:
        bool [h, w]; it holds all points inside and none outside.

    Raises:
        InputError: none is inside, one is both, or two are too near to each other to be told apart.
    """
    shape = image.shape[:2]
    size = posterior.label_maps.shape[1:]
    inside, outside = ([at_cell(each, shape, size) for each in given] for given in clicks)
    for own, cell in zip(clicks.outside, outside, strict=True):
        if cell in inside and own not in clicks.inside:
            raise InputError(
                f"outside: point {own} is nearer to one inside than what is {size[0]} x {size[1]} "
                "pixels large can show; give points farther apart"
            )
    belief = posterior.region(inside, outside)
    mask: np.ndarray = belief > THRESHOLD
    if size != shape:
        if edges == "nearest":
            mask = at_centres(mask, shape)
        else:
            mask = upsampling.refine(mask.astype(np.int32), np.abs(2 * belief - 1), image) > 0
    for value, places in ((True, clicks.inside), (False, clicks.outside)):
        for place in places:
            mask[place] = value
    return mask
