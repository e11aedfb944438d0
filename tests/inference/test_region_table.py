import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.measure import regionprops

from bitdiff_jax.errors import InputError
from bitdiff_jax.inference.region_table import measure, number

codes = hnp.arrays(
    np.int32,
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    elements=st.sampled_from([0, 1, 7, 63]),
)


@settings(max_examples=30, deadline=None)
@given(codes)
def test_numbering_keeps_the_partition_and_starts_with_the_largest(drawn):
    got = number(drawn)
    assert got.dtype == np.int32 and got.shape == drawn.shape
    ids, areas = np.unique(got, return_counts=True)
    np.testing.assert_array_equal(ids, np.arange(1, len(ids) + 1))
    assert (np.diff(areas) <= 0).all()
    pairs = np.unique(np.stack([got.ravel(), drawn.ravel()]), axis=1)
    assert pairs.shape[1] == len(ids) == len(np.unique(drawn))


def test_of_equal_areas_the_lowest_code_comes_first():
    np.testing.assert_array_equal(number(np.array([[9, 9, 4, 4, 6]])), [[2, 2, 1, 1, 3]])


@settings(max_examples=30, deadline=None)
@given(codes, st.integers(0, 2**32 - 1))
def test_measures_are_those_of_skimage(drawn, seed):
    rng = np.random.default_rng(seed)
    label_map = number(drawn)
    image = rng.integers(0, 256, (*drawn.shape, 3), np.uint8)
    agreement = rng.random(drawn.shape, np.float32)
    got = measure(label_map, image, agreement)
    values = np.concatenate([image, agreement[..., None]], axis=2)
    want = regionprops(label_map, intensity_image=values)
    assert [region.id for region in got] == [props.label for props in want]
    for region, props in zip(got, want, strict=True):
        assert region.area == props.area
        assert region.box == props.bbox
        np.testing.assert_allclose(region.centroid, props.centroid)
        means = [*region.mean_color, region.agreement]
        np.testing.assert_allclose(means, props.intensity_mean, rtol=1e-6)


def test_pieces_of_many_strewn_regions_are_those_of_scipy():
    label_map = number(np.random.default_rng(0).integers(0, 300, (40, 60)), False)
    found = measure(label_map, np.zeros((40, 60, 3), np.uint8))
    want = [ndimage.label(label_map == each.id)[1] for each in found]
    assert [each.pieces for each in found] == want and max(want) > 4


def test_pieces_are_those_that_share_no_side():
    label_map = np.array([[1, 2, 1, 1], [2, 1, 2, 1], [1, 2, 2, 1]])
    one, two = measure(label_map, np.zeros((3, 4, 3), np.uint8))
    assert (one.pieces, two.pieces) == (4, 3)


def test_without_agreement_there_is_none():
    (region,) = measure(np.ones((1, 1), np.int32), np.full((1, 1, 3), 9, np.uint8))
    assert region.agreement is None
    assert region.box == (0, 0, 1, 1) and region.area == 1 and region.mean_color == (9, 9, 9)


def test_what_does_not_fit_is_refused():
    image = np.zeros((2, 3, 3), np.uint8)
    with pytest.raises(InputError, match="one picture"):
        measure(np.ones((3, 2), np.int32), image)
    with pytest.raises(InputError, match="one picture"):
        measure(np.ones((2, 3), np.int32), image, np.ones((3, 2), np.float32))
    for bad in (-1, 2):
        with pytest.raises(InputError, match="1 to n"):
            measure(np.full((2, 3), bad, np.int32), image)
