"""Errors of labels, planted into maps that are right: what `planted_errors` looks for."""

from collections.abc import Callable, Iterator

import numpy as np
from scipy import ndimage

from bitdiff_jax.data import labelmaps
from bitdiff_jax.data.pipeline import Source

MIN_SHARE = 0.02  # of the image, of a region that an error is planted into
SHIFT = 0.06  # of the longest side

Planted = tuple[np.ndarray, np.ndarray]  # the map, and bool [h, w]: the regions of the error


def neighbours(label_map: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of regions side by side, each large enough."""
    share = np.bincount(label_map[label_map >= 0]) / label_map.size
    beside = np.stack([label_map[:, :-1].ravel(), label_map[:, 1:].ravel()], axis=1)
    above = np.stack([label_map[:-1].ravel(), label_map[1:].ravel()], axis=1)
    pairs = np.unique(np.sort(np.concatenate([beside, above]), axis=1), axis=0)
    return [(i, j) for i, j in pairs.tolist() if i != j and i >= 0
            and min(share[[i, j]]) >= MIN_SHARE]  # fmt: skip


def merge(label_map: np.ndarray, rng: np.random.Generator) -> Planted | None:
    """Two neighbouring regions as one."""
    pairs = neighbours(label_map)
    if not pairs:
        return None
    i, j = pairs[rng.integers(len(pairs))]
    wrong = np.where(label_map == j, i, label_map)
    return wrong, wrong == i


def split(label_map: np.ndarray, rng: np.random.Generator) -> Planted | None:
    """A region in two halves of equal area, by a line in a random direction."""
    share = np.bincount(label_map[label_map >= 0]) / label_map.size
    large = np.flatnonzero(share >= 4 * MIN_SHARE)
    if not large.size:
        return None
    inside = label_map == large[rng.integers(len(large))]
    angle = rng.random() * np.pi
    rows, columns = np.indices(label_map.shape)
    across = np.cos(angle) * rows + np.sin(angle) * columns
    half = inside & (across > np.median(across[inside]))
    return np.where(half, label_map.max() + 1, label_map), inside


def shift(label_map: np.ndarray, rng: np.random.Generator) -> Planted | None:
    """A boundary moved into one of the two regions, if that does not swallow it."""
    pairs = neighbours(label_map)
    if not pairs:
        return None
    i, j = rng.permutation(pairs[rng.integers(len(pairs))])
    near = ndimage.distance_transform_edt(label_map != i) <= SHIFT * max(label_map.shape)
    wrong = np.where((label_map == j) & near, i, label_map)
    return (wrong, (wrong == i) | (wrong == j)) if (wrong == j).any() else None


ERRORS: dict[str, Callable[[np.ndarray, np.random.Generator], Planted | None]] = {
    "merge": merge,
    "split": split,
    "shift": shift,
}


def planted(source: Source, index: int, rng: np.random.Generator) -> Iterator[tuple[str, Planted]]:
    """The first person's map of an image as it was (''), and with each error."""
    label_map, other = (
        labelmaps.renumber(np.asarray(source[i % len(source)]["labels"][0]))[1].astype(np.int32)
        for i in (index, index + 1)
    )
    yield "", (label_map, np.zeros(label_map.shape, bool))
    for name, plant in ERRORS.items():
        if (found := plant(label_map, rng)) is not None:
            yield name, found
    swapped = labelmaps.at_centres(other, label_map.shape)
    yield "swap", (swapped, swapped >= 0)
