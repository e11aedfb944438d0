import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bitdiff_jax.data.labelmaps import at_centres
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import specks, upsampling
from bitdiff_jax.inference.segmentation import Segmentation

drawn_maps = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.integers(0, 4)
)


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def placed(labels, shape):
    """The labels [h, w] at the size `shape`, through the same sizes on the way as `refine`."""
    for size in upsampling._sizes(labels.shape, shape):
        labels = at_centres(labels, size)
    return labels


def disc(side, radius=0.35):
    """A map of two regions, and an image that shows them in two colours with a little noise."""
    rows, columns = (np.mgrid[:side, :side] + 0.5) / side - 0.5
    truth = (rows**2 + columns**2 < radius**2).astype(np.int32)
    colours = np.array([[60, 90, 150], [180, 140, 60]])
    image = colours[truth] + np.random.default_rng(0).integers(-15, 16, (side, side, 3))
    return truth, image.astype(np.uint8)


def segmentation(codes, image, **changes):
    codes = np.asarray(codes, np.int32)[None]
    certainty = np.random.default_rng(1).random(codes.shape, np.float32)
    return Segmentation(image=image, codes=codes, certainty=certainty, seed=0, **changes)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(drawn_maps, st.integers(0, 30), st.integers(0, 30), st.integers(0, 2**16))
def test_pieces_stay_what_they_were(codes, more, wider, seed):
    shape = (codes.shape[0] + more, codes.shape[1] + wider)
    certainty = np.random.default_rng(seed).random(codes.shape, np.float32)
    refined = upsampling.refine(codes, certainty, noise(shape, seed))
    assert refined.shape == shape and refined.dtype == codes.dtype
    # Each piece has kept some of its pixels, and there is none without such pixels.
    kept = refined == placed(codes, shape)
    before, after = placed(specks.pieces(codes), shape), specks.pieces(refined)
    np.testing.assert_array_equal(np.unique(before[kept]), np.unique(before))
    np.testing.assert_array_equal(np.unique(after[kept]), np.unique(after))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**16))
def test_it_is_deterministic_and_away_from_boundaries_nothing_changes(seed):
    codes = np.repeat([[0] * 8 + [1] * 8], 12, axis=0)
    image = noise((60, 110), seed)
    certainty = np.random.default_rng(seed).random(codes.shape, np.float32)
    refined = upsampling.refine(codes, certainty, image)
    np.testing.assert_array_equal(refined, upsampling.refine(codes, certainty, image))
    changed = refined != at_centres(codes, image.shape[:2])
    columns = np.flatnonzero(changed.any(axis=0)) / 110 * 16
    assert columns.size and columns.min() > 5 and columns.max() < 11


@pytest.mark.parametrize(("side", "drawn"), [(96, 16), (256, 16), (40, 32)])
def test_edges_follow_those_of_the_image(side, drawn):
    truth, image = disc(side)
    codes = disc(drawn)[0]
    certainty = np.ones(codes.shape, np.float32)
    nearest = (at_centres(codes, truth.shape) != truth).mean()
    assert (upsampling.refine(codes, certainty, image) != truth).mean() < 0.25 * nearest


def test_without_colours_distance_decides_and_corners_are_cut():
    codes = np.zeros((8, 8), np.int32)
    codes[:4, :4] = 1
    certainty = np.ones(codes.shape, np.float32)
    grey = np.full((80, 80, 3), 128, np.uint8)
    refined = upsampling.refine(codes, certainty, grey)
    assert 0 < (refined != at_centres(codes, (80, 80))).mean() < 0.05


def test_the_certain_win_where_colours_do_not_tell():
    codes = np.array([[0, 0, 0, 1, 1, 1]] * 4)
    certainty = np.where(codes == 1, 1.0, 0.1).astype(np.float32)
    refined = upsampling.refine(codes, certainty, np.full((40, 60, 3), 90, np.uint8))
    assert (refined == 1).sum() > (refined == 0).sum()


@pytest.mark.parametrize(
    ("codes", "shape"),
    [
        (np.zeros((1, 1)), (1, 1)),
        (np.zeros((1, 1)), (7, 5)),
        (np.arange(64).reshape(1, 64) // 16, (1, 3000)),
        (np.arange(64).reshape(64, 1), (3000, 1)),
        (np.arange(64).reshape(8, 8), (50, 64)),
        (np.arange(64).reshape(8, 8), (8, 8)),
        (np.arange(64).reshape(8, 8), (5, 40)),
        (np.zeros((16, 16)), (100, 90)),
    ],
    ids=str,
)
def test_any_map_and_image_give_a_whole_label_map(codes, shape):
    image = noise(shape)
    refined = segmentation(codes, image, min_area=0)
    nearest = segmentation(codes, image, min_area=0, edges="nearest")
    np.testing.assert_array_equal(
        nearest.label_map() > 0, at_centres(np.ones(codes.shape, bool), shape)
    )
    assert refined.label_map().shape == shape
    assert refined.label_map().max() == nearest.label_map().max()


def test_a_grey_image_is_as_good_as_one_of_colours():
    truth, image = disc(96)
    grey = np.repeat(image[..., :1], 3, axis=2)
    codes = disc(16)[0]
    refined = upsampling.refine(codes, np.ones(codes.shape, np.float32), grey)
    assert (refined != truth).mean() < 0.3 * (at_centres(codes, truth.shape) != truth).mean()


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.int32, (9, 12), elements=st.integers(0, 3)), st.integers(0, 2**16))
def test_no_speck_is_left_at_the_images_size(codes, seed):
    result = segmentation(codes, noise((60, 83), seed))
    areas = np.bincount(specks.pieces(result.label_map()).ravel())
    smallest = 8 * 60 * 83 / (9 * 12)
    assert areas.min() >= smallest or areas.max() < smallest


def test_the_background_keeps_0():
    truth, image = disc(96)
    result = segmentation(disc(16)[0] * 9, image, has_background=True)
    np.testing.assert_array_equal(np.unique(result.label_map()), [0, 1])
    assert (result.label_map() != truth).mean() < 0.02


def test_a_label_map_is_the_callers_own():
    result = segmentation(disc(16)[0], disc(96)[1])
    first = result.label_map()
    first[:] = 7
    assert result.label_map().max() == 2


def test_unknown_edges_are_refused():
    with pytest.raises(InputError, match="edges is 'sharp'; use one of image, nearest"):
        segmentation(np.zeros((2, 2)), noise((4, 4)), edges="sharp")
