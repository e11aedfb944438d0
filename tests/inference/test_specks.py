import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from bitdiff_jax.encoding.bits import BitEncoding
from bitdiff_jax.encoding.onehot import OneHotEncoding
from bitdiff_jax.encoding.rgb import RGBEncoding
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import specks

maps = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 3)
)


@settings(max_examples=30, deadline=None)
@given(maps)
def test_pieces_are_those_of_scipy_label_by_label(codes):
    found = specks.pieces(codes)
    count = 0
    for code in np.unique(codes):
        expected, n = ndimage.label(codes == code)
        count += n
        for i in range(1, n + 1):
            inside = expected == i
            assert len(np.unique(found[inside])) == 1
            assert not np.isin(found[inside][0], found[~inside])
    assert found.max() + 1 == count


@settings(max_examples=30, deadline=None)
@given(maps, st.integers(0, 9))
def test_only_small_pieces_change_and_only_to_codes_that_were_kept(codes, min_area):
    cleaned = specks.remove(codes, min_area)
    piece = specks.pieces(codes)
    large = (np.bincount(piece.ravel()) >= min_area)[piece]
    np.testing.assert_array_equal(cleaned[large], codes[large])
    if large.any():
        assert set(np.unique(cleaned)) == set(np.unique(codes[large]))
    else:
        np.testing.assert_array_equal(cleaned, codes)


def test_a_speck_on_a_border_goes_to_a_neighbour_and_a_far_piece_stays():
    codes = np.zeros((6, 9), np.int32)
    codes[:, 5:] = 1
    codes[2, 4] = 7  # between the two
    codes[0:2, 0:3] = 1  # of region 1, in six pixels
    cleaned = specks.remove(codes, 4)
    assert cleaned[2, 4] in (0, 1)
    cleaned[2, 4] = codes[2, 4]
    np.testing.assert_array_equal(cleaned, codes)


@settings(max_examples=30, deadline=None)
@given(maps, st.integers(2, 9), st.integers(0, 2**16))
def test_each_piece_goes_to_the_neighbour_that_explains_it_best(codes, min_area, seed):
    """The definition, piece by piece, for those that touch a large one."""
    encoding = RGBEncoding()  # of which codes have different lengths
    rng = np.random.default_rng(seed)
    values = specks.evidence(encoding, "code", np.zeros((1, 1, 1, 3))).values
    x0 = values[codes] + rng.normal(0, 0.3, (*codes.shape, 3))
    cleaned = specks.remove(codes, min_area, x0, values)
    piece = specks.pieces(codes)
    area = np.bincount(piece.ravel())
    if (area < min_area).all():
        np.testing.assert_array_equal(cleaned, codes)
        return
    large = (area >= min_area)[piece]
    np.testing.assert_array_equal(cleaned[large], codes[large])
    for number in np.flatnonzero(area < min_area):
        inside = piece == number
        touching = np.unique(codes[ndimage.binary_dilation(inside) & large])
        if touching.size:
            distance = [np.square(x0[inside] - values[code]).sum() for code in touching]
            assert (cleaned[inside] == touching[np.argmin(distance)]).all()
    assert set(np.unique(cleaned)) == set(np.unique(codes[large]))


def test_what_was_drawn_decides_against_the_longer_border():
    codes = np.zeros((6, 9), np.int32)
    codes[:, 5:] = 3
    codes[2:4, 4] = 1
    encoding = BitEncoding(2)
    x0 = np.asarray(encoding.encode(codes))[None].copy()
    x0[0, 2:4, 4] = [0.9, 0.4]  # both bits are set rather than not
    drawn = specks.evidence(encoding, "code", x0)
    assert (specks.clean(codes[None], 4, codes.shape)[0, 2:4, 4] == 0).all()
    assert (specks.clean(codes[None], 4, codes.shape, drawn)[0, 2:4, 4] == 3).all()


def test_there_is_no_evidence_where_codes_stand_for_no_pixel_or_are_too_many():
    x0 = np.zeros((1, 4, 4, 3))
    assert specks.evidence(RGBEncoding(), "dichotomy", x0) is None
    assert specks.evidence(BitEncoding(20), "code", x0) is None
    assert specks.evidence(BitEncoding(6), "code", None) is None
    assert specks.evidence(OneHotEncoding(16), "code", x0).values.shape == (16, 16)


def test_a_negative_area_is_refused():
    with pytest.raises(InputError, match="min_area is -1"):
        specks.remove(np.zeros((2, 2), np.int32), -1)


@pytest.mark.parametrize(
    ("min_area", "pixels"),
    [
        (0, 0), ("0", 0), ("0 drawn", 0),
        (16, 4), ("16", 4), (16.0, 4),  # the image has four times as many pixels
        ("1%", 0.48), ("100 %", 48),
        ("4 drawn", 4), (specks.DEFAULT, 8),
    ],
)  # fmt: skip
def test_an_area_in_pixels_of_the_image_as_a_share_and_as_drawn(min_area, pixels):
    assert specks.threshold(min_area, (12, 16), (6, 8)) == pytest.approx(pixels)


def test_less_than_a_pixel_is_taken_for_a_share_without_its_sign():
    with pytest.raises(InputError, match=r"min_area is 0\.1, less than a pixel; .*, 10%$"):
        specks.threshold(0.1, (12, 16), (6, 8))


@pytest.mark.parametrize("min_area", [-1, "x", "", "-1%", "101%", "nan", "inf", None, "3 px"])
def test_what_is_no_area_is_refused(min_area):
    with pytest.raises(InputError, match=f"min_area is {min_area}; give") as caught:
        specks.threshold(min_area, (8, 8), (8, 8))
    assert "\n" not in str(caught.value)


def test_maps_are_cleaned_each_by_itself():
    codes = np.zeros((2, 8, 8), np.int32)
    codes[0, 3, 3:5] = 9
    codes[1, :, 4:] = 1
    cleaned = specks.clean(codes, specks.DEFAULT, (8, 8))
    assert (cleaned[0] == 0).all() and (cleaned[1] == codes[1]).all()
    np.testing.assert_array_equal(specks.clean(codes, 0, (8, 8)), codes)
    # Two pixels as drawn are eight of an image of twice the side.
    assert (specks.clean(codes, 8, (16, 16))[0] == codes[0]).all()
    assert (specks.clean(codes, 9, (16, 16))[0] == 0).all()
