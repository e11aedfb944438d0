import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitdiff_jax.data.labelmaps import at_centres
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference.segmentation import Segmentation
from bitdiff_jax.inference.specks import Evidence

sides = st.tuples(st.integers(1, 9), st.integers(1, 9))


def segmentation(codes, shape, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.asarray(codes, np.int32)
    return Segmentation(
        image=rng.integers(0, 256, (*shape, 3), np.uint8),
        codes=codes,
        certainty=rng.random(codes.shape, np.float32),
        seed=seed,
    )


@settings(max_examples=30, deadline=None)
@given(sides, sides)
def test_each_pixel_takes_the_drawn_pixel_under_its_centre(drawn_shape, shape):
    drawn = np.arange(np.prod(drawn_shape)).reshape(drawn_shape)
    got = at_centres(drawn, shape)
    assert got.shape == shape and got.dtype == drawn.dtype
    for i, j in np.ndindex(*shape):
        row = int(np.floor((i + 0.5) / shape[0] * drawn_shape[0] + 1e-9))
        column = int(np.floor((j + 0.5) / shape[1] * drawn_shape[1] + 1e-9))
        assert got[i, j] == drawn[row, column]


@settings(max_examples=30, deadline=None)
@given(sides, st.integers(0, 9), st.integers(0, 9))
def test_nothing_that_was_drawn_is_lost_in_a_larger_image(drawn_shape, more, wider):
    drawn = np.arange(np.prod(drawn_shape)).reshape(drawn_shape)
    got = at_centres(drawn, (drawn_shape[0] + more, drawn_shape[1] + wider))
    np.testing.assert_array_equal(np.unique(got), drawn.ravel())


def test_whole_factors_repeat_and_leading_axes_stay():
    drawn = np.arange(12).reshape(2, 2, 3)
    want = drawn.repeat(4, axis=1).repeat(2, axis=2)
    np.testing.assert_array_equal(at_centres(drawn, (8, 6)), want)


def test_there_is_no_shift_to_one_side():
    # Of these sides no pixel's centre falls on the edge of a drawn one.
    drawn = np.arange(21 * 31).reshape(21, 31)
    shape = (54, 80)
    np.testing.assert_array_equal(
        at_centres(drawn[::-1, ::-1], shape), at_centres(drawn, shape)[::-1, ::-1]
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3, 4), (50, 31)])
def test_label_maps_have_no_hole_and_ids_from_1_to_n(shape):
    rng = np.random.default_rng(0)
    result = segmentation(rng.choice([0, 5, 63], (3, 8, 8)), shape)
    assert result.label_maps.shape == (3, *shape) and result.label_maps.dtype == np.int32
    assert result.confidence.shape == (3, *shape) and result.confidence.dtype == np.float32
    assert result.agreement.shape == shape and result.agreement.dtype == np.float32
    for sample in range(3):
        label_map = result.label_map(sample)
        np.testing.assert_array_equal(result.label_maps[sample], label_map)
        ids = np.unique(label_map)
        np.testing.assert_array_equal(ids, np.arange(1, len(ids) + 1))
        regions = result.regions(sample)
        assert [region.id for region in regions] == list(ids)
        assert sum(region.area for region in regions) == np.prod(shape)


def test_the_medoid_is_what_one_gets_unasked():
    outlier, usual = np.arange(16).reshape(4, 4), np.repeat([[0, 0, 1, 1]], 4, axis=0)
    result = segmentation([outlier, usual, usual], (4, 4))
    assert result.medoid == 1 and result.num_samples == 3
    np.testing.assert_array_equal(result.label_map(), usual + 1)
    assert result.regions() == result.regions(1)
    assert len(result.regions()) == 2 and len(result.regions(0)) == 16


def test_agreement_of_a_region_is_the_mean_over_its_pixels():
    halves = np.repeat([[0, 0, 1, 1]], 2, axis=0)
    result = segmentation([halves, np.zeros((2, 4))], (2, 4))
    assert [region.agreement for region in result.regions(0)] == [0.5, 0.5]


def test_a_single_sample_has_no_agreement():
    result = segmentation(np.zeros((1, 2, 2)), (5, 5))
    assert result.agreement is None and result.medoid == 0
    assert [region.agreement for region in result.regions()] == [None]


@pytest.mark.parametrize("sample", [-1, 2])
def test_a_sample_that_was_not_drawn_is_refused(sample):
    with pytest.raises(InputError, match=f"sample is {sample}"):
        segmentation(np.zeros((2, 2, 2)), (2, 2)).label_map(sample)


def mirror_of(result, codes):
    """As if drawn of the mirrored image: maps [n, h', w'] of it."""
    other = segmentation(codes, result.shape, seed=1)
    return dataclasses.replace(other, image=result.image[:, ::-1].copy())


def test_samples_of_the_mirrored_image_are_mirrored_back():
    rng = np.random.default_rng(0)
    codes = np.kron(rng.integers(0, 64, (2, 3, 4)), np.ones((4, 4), int))
    result = segmentation(codes[:1], (24, 32))
    other = mirror_of(result, codes[1:, :, ::-1])
    both = result.with_mirrored(other)
    np.testing.assert_array_equal(both.codes, codes)
    np.testing.assert_array_equal(both.certainty[1], other.certainty[0, :, ::-1])
    assert both.num_samples == 2 and both.redraw is None and both.drawn is None
    # Specks go to what each sample has drawn beside them, in the image's own direction.
    values = np.eye(64, dtype=np.float32)
    seen = [
        dataclasses.replace(each, drawn=Evidence(values[each.codes], values))
        for each in (result, other)
    ]
    drawn = seen[0].with_mirrored(seen[1]).drawn
    np.testing.assert_array_equal(drawn.x0.argmax(-1), codes)


def test_what_is_not_of_the_mirrored_image_is_refused():
    codes = np.zeros((1, 4, 4), int)
    result = segmentation(codes, (8, 8))
    with pytest.raises(InputError, match=r"mirrored is of another image.*image\[:, ::-1\]"):
        result.with_mirrored(result)
    with pytest.raises(InputError, match=r"mirrored has maps of \(5, 4\), and these have \(4, 4\)"):
        result.with_mirrored(mirror_of(result, np.zeros((1, 5, 4), int)))
