"""Label maps, and a segmentation of several samples, for the tests of formats."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bitdiff_jax.inference.segmentation import Segmentation
from tests.inference import tiny


def _coarse(pair):
    label_map, (down, right) = pair
    return label_map.repeat(down, axis=0).repeat(right, axis=1)


_small = arrays.arrays(
    np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)
)
_factors = st.tuples(st.integers(1, 4), st.integers(1, 4))
# Of single pixels, and of blocks, whose borders can be simplified.
label_maps = st.one_of(_small, st.tuples(_small, _factors).map(_coarse))


def blobs(height, width, number, seed=0):
    """A label map with ragged borders between `number` regions."""
    rng = np.random.default_rng(seed)
    centres = rng.random((number, 2)) * [height, width]
    places = np.stack(np.mgrid[:height, :width], axis=-1).astype(float)
    waves = rng.random((2, 6, 3)) * 6
    for axis in range(2):
        for down, right, shift in waves[axis]:
            turns = (down - 3) * places[..., 0] + (right - 3) * places[..., 1]
            places[..., axis] += np.sin(turns / 9 + shift)
    distance = np.square(places[:, :, None] - centres).sum(axis=-1)
    return distance.argmin(axis=-1).astype(np.int32) + 1


def segmentation(name="cat", file="", has_background=False, num_samples=3):
    """Holes, a region in two pieces, a single pixel, and samples that differ."""
    codes = np.full((num_samples, 12, 16), 3, np.int32)
    codes[:, 2:7, 3:9] = 5
    codes[:, 4, 5] = 3
    codes[:2, 9:, 10:] = 7
    codes[:, 0, 0] = 7
    codes[:, 10, 2] = 0
    return Segmentation(
        tiny.image(48, 64),
        codes,
        np.ones(codes.shape, np.float32),
        0,
        name,
        num_codes=64,
        min_area=0,
        edges="nearest",
        has_background=has_background,
        criterion="medoid",
        file=file,
    )
