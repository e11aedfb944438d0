import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bitdiff_jax.data import transforms
from bitdiff_jax.errors import InputError

MEAN = np.array([0.485, 0.456, 0.406])
STD = np.array([0.229, 0.224, 0.225])

sides = st.integers(1, 13)


def blocks(array, shape):
    """The source pixels under each target pixel, cut into equal parts: [H, W, h * w, ...]."""
    (h, w), (H, W) = array.shape[:2], shape
    fine = array.repeat(H, axis=0).repeat(W, axis=1)
    fine = fine.reshape(H, h, W, w, *array.shape[2:]).swapaxes(1, 2)
    return fine.reshape(H, W, h * w, *array.shape[2:])


def golden_names(file):
    return [key.split("/")[0] for key in file if key.endswith("/image128")]


def test_shapes_agree_with_the_reference(golden):
    file = golden("preprocess")
    got = [transforms.resized_shape(h, w, 128) for h, w in file["resize/hw"].tolist()]
    np.testing.assert_array_equal(got, file["resize/out"])


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(1, 1, (64, 64)), (1, 3000, (1, 64)), (3000, 1, (64, 1)), (5, 128, (2, 64))],
)
def test_shapes_at_the_ends(height, width, expected):
    assert transforms.resized_shape(height, width, 64) == expected


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (5, -1)])
def test_shape_without_pixels_is_refused(shape):
    with pytest.raises(InputError, match="at least 1"):
        transforms.resized_shape(*shape, 64)


def test_images_agree_with_the_reference(golden):
    file = golden("preprocess")
    assert golden_names(file)
    for name in golden_names(file):
        image, expected = file[f"{name}/image"], file[f"{name}/image128"]
        height, width = shape = transforms.resized_shape(*image.shape[:2], 128)
        got = transforms.resize_image(image, shape)
        assert got.shape == (*shape, 3) and got.dtype == np.uint8
        released = (expected[:height, :width] * STD + MEAN) * 255
        # OpenCV enlarges with 11-bit weights, hence one step of 255; it shrinks in float32.
        tolerance = 0.01 if max(image.shape) >= 128 else 1.01
        np.testing.assert_allclose(got, released, atol=tolerance)
        assert not expected[height:].any() and not expected[:, width:].any()


@settings(max_examples=30, deadline=None)
@given(
    image=hnp.arrays(np.uint8, st.tuples(sides, sides, st.just(3))),
    shape=st.tuples(sides, sides),
)
def test_image_is_the_mean_over_the_covered_area(image, shape):
    expected = blocks(image, shape).astype(np.float64).mean(axis=2)
    # Half a step of rounding, and float32.
    np.testing.assert_allclose(transforms.resize_image(image, shape), expected, atol=0.501)


def test_a_large_image_is_reduced_in_bands():
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    large = small.repeat(50, axis=0).repeat(60, axis=1)
    np.testing.assert_array_equal(transforms.resize_image(large, (30, 40)), small)


@pytest.mark.parametrize("method", ["nearest", "majority"])
def test_thin_and_tiny_images(method):
    line = np.repeat(np.arange(4, dtype=np.int32), 750)[None]
    resized = transforms.resize_labels(line, transforms.resized_shape(1, 3000, 64), method)
    np.testing.assert_array_equal(resized, np.repeat(np.arange(4), 16)[None])
    point = transforms.resize_labels(np.array([[7]], np.int32), (64, 64), method)
    assert point.shape == (64, 64) and (point == 7).all()
    image = np.full((1, 1, 3), 9, np.uint8)
    assert (transforms.resize_image(image, (64, 64)) == 9).all()


def test_padding_does_not_crop():
    with pytest.raises(InputError, match="9x3"):
        transforms.pad_to_square(np.zeros((9, 3)), 8)


def test_example_pads_and_names():
    image = np.full((10, 20, 3), 200, np.uint8)
    labels = np.where(np.arange(20) < 10, 3, 9)[None].repeat(10, axis=0)
    labels[:, -4:] = -1
    got = transforms.example(image, labels, 16, name="a picture")
    assert {key: (value.shape, value.dtype) for key, value in got.items()} == {
        "image": ((16, 16, 3), np.uint8),
        "labels": ((16, 16), np.int32),
        "size": ((2,), np.int32),
        "image_id": ((), np.uint32),
    }
    assert got["size"].tolist() == [8, 16]
    assert got["image_id"] == zlib.crc32(b"a picture")
    assert (got["image"][:8] == 200).all() and not got["image"][8:].any()
    assert (got["labels"][8:] == -1).all()
    np.testing.assert_array_equal(np.unique(got["labels"][:8]), [-1, 0, 1])


@pytest.mark.parametrize(("lowest", "padding"), [(0, 0), (3, 0)])
def test_released_padding_is_the_region_zero(lowest, padding):
    image = np.zeros((8, 16, 3), np.uint8)
    labels = np.where(np.arange(16) < 8, lowest, 9)[None].repeat(8, axis=0).astype(np.int32)
    got = transforms.example(image, labels, 16, label_padding=padding)["labels"]
    assert (got[8:] == 0).all()
    # Where the picture has no region 0 of its own, the padding is a region more.
    assert got[0, 0] == (0 if lowest == 0 else 1) and got[0, -1] == got[0, 0] + 1
