"""Masks as runs, against pycocotools; and painting them."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco_mask

from bitdiff_jax.data.readers import overlaps, runs
from bitdiff_jax.errors import InputError
from tests.data.readers import coco_files

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40))


def decode(pixels, height, width):
    return overlaps.paint([(1, pixels)], height, width, uncovered=0).astype(bool)


@settings(max_examples=60, deadline=None)
@given(MASKS)
def test_both_forms_of_rle_give_the_mask(mask):
    for form in (coco_files.packed(mask), coco_files.listed(mask)):
        found = runs.runs(form, *mask.shape)
        np.testing.assert_array_equal(decode(found, *mask.shape), mask)
        assert (found[:, 1] > 0).all() and (np.diff(found[:, 0]) > 0).all()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.lists(st.floats(-5, 45, allow_nan=False, width=32), min_size=6, max_size=14).map(
            lambda xy: xy[: len(xy) // 2 * 2]
        ),
        min_size=1,
        max_size=4,
    )
)
def test_polygons_are_drawn_as_pycocotools_draws_them(polygons):
    expected = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, 31, 40)))
    np.testing.assert_array_equal(decode(runs.runs(polygons, 31, 40), 31, 40), expected)


def test_long_runs_take_several_characters():
    mask = np.zeros((2000, 3000), bool)
    mask[700:, 900:] = True
    mask[5, 5] = True
    np.testing.assert_array_equal(
        decode(runs.runs(coco_files.packed(mask), 2000, 3000), 2000, 3000), mask
    )


@pytest.mark.parametrize("nothing", [[], [[]], [[1.0, 1.0, 3.0, 3.0]]])
def test_polygons_without_an_area_cover_nothing(nothing):
    assert runs.runs(nothing, 4, 5).shape == (0, 2)


GOOD = coco_files.packed(np.eye(30, dtype=bool))["counts"]


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"size": [30, 30], "counts": GOOD[: len(GOOD) // 2]}, "damaged"),
        ({"size": [30, 30], "counts": GOOD + "5"}, "damaged"),
        ({"size": [30, 30], "counts": "P"}, "cut short"),
        ({"size": [30, 30], "counts": "a b"}, "cut short"),
        ({"size": [30, 30], "counts": "o" * 20 + "1"}, "32 bits"),
        ({"size": [30, 30], "counts": "é"}, "ASCII"),
        ({"size": [30, 30], "counts": ""}, "cover 0"),
        ({"size": [30, 30], "counts": [900, -1, 1]}, "negative"),
        ({"size": [30, 30], "counts": [400, 400]}, "cover 800"),
        ({"size": [30, 30], "counts": [1.5, 898.5]}, "RLE count 0 is 1.5; write a whole number"),
        ({"size": [30, 30], "counts": [10**30]}, r"below 2\^31"),
        ({"size": [30, 30], "counts": None}, "whole numbers"),
        ({"size": [30, 31], "counts": GOOD}, "size"),
        ({"counts": GOOD}, "size"),
        (None, "polygons or RLE"),
        ("GOOD", "polygons or RLE"),
        ([1, 2, 3, 4, 5, 6], "flat list of numbers; a segmentation is a list of polygons"),
        ([[1, 2], [3, 4], [5, 6]], r"list of points \[x, y\]"),
        ([[1, 2, 3, 4, 5]], "by turns"),
        ([[1, 2, 3, 4, 5, float("nan")]], "by turns"),
        ([[1, 2, 3, 4, 5, "6"], 7], "by turns"),
        ([[1, 2, 3, 4, 5, None]], "by turns"),
        ([[[1, 2], [3, 4], [5, 6]]], "by turns"),
        ([[0, 0, 1e9, 0, 0, 5]], "damaged"),
        ([[1e12, 0, 1e12, 1, 1e12, 5]], "damaged"),
        ([[0, 0, 9000, 9000] * 200], "damaged"),
    ],
)
def test_what_is_no_mask_is_an_error_of_one_line(segmentation, message):
    with pytest.raises(InputError, match=message) as caught:
        runs.runs(segmentation, 30, 30)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_numbers_of_masks_may_be_floats_or_text():
    plain = runs.runs({"size": [4, 5], "counts": [3, 6, 11]}, 4, 5)
    for size, counts in (([4.0, 5.0], [3.0, 6.0, 11.0]), (["4", "5"], ["3", "6", "11"])):
        found = runs.runs({"size": size, "counts": counts}, 4, 5)
        np.testing.assert_array_equal(found, plain)


def test_mutated_masks_are_masks_or_errors():
    rng = np.random.default_rng(0)
    for _ in range(3000):
        codes = bytearray(GOOD.encode())
        for _ in range(rng.integers(1, 4)):
            codes[rng.integers(len(codes))] = rng.integers(0, 128)
        try:
            found = runs.runs({"size": [30, 30], "counts": codes.decode()}, 30, 30)
        except InputError:
            continue
        assert found.min(initial=0) >= 0 and found.sum(axis=1).max(initial=0) <= 900
        rle = {"size": [30, 30], "counts": bytes(codes)}
        np.testing.assert_array_equal(decode(found, 30, 30), coco_mask.decode(rle))


def test_polygons_without_pycocotools_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(InputError, match=r"pip install 'bitdiff_jax\[coco\]'"):
        runs.runs([[0, 0, 5, 0, 5, 5]], 10, 10)
    assert len(runs.runs({"size": [30, 30], "counts": GOOD}, 30, 30)) == 30


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(bool, st.tuples(st.integers(0, 6), st.just(9), st.just(7))))
def test_overlaps_go_by_the_order(masks):
    pairs = list(enumerate(masks, start=100_000))
    forms = [(region, runs.runs(coco_files.packed(mask), 9, 7)) for region, mask in pairs]
    blank = [(-1, np.zeros((9, 7)))]
    expected = {
        "later": pairs,
        "earlier": pairs[::-1],
        "smaller": sorted(pairs, key=lambda pair: pair[1].sum(), reverse=True),
    }
    for order, ordered in expected.items():
        found = overlaps.paint(forms, 9, 7, order=order)
        np.testing.assert_array_equal(found, coco_files.paint(blank + ordered))
        assert found.dtype == np.int32 and found.flags.c_contiguous


def test_of_masks_of_one_size_the_later_is_above():
    mask = np.ones((2, 2), bool)
    form = runs.runs(coco_files.packed(mask), 2, 2)
    assert (overlaps.paint([(1, form), (2, form)], 2, 2, order="smaller") == 2).all()
