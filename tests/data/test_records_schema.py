import hashlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bitdiff_jax.data import transforms
from bitdiff_jax.data.records import schema
from bitdiff_jax.errors import InputError


def item(height=30, width=41, high=9, maps=2):
    rng = np.random.default_rng(0)
    return {
        "name": "ä/b 1",
        "image": rng.integers(0, 256, (height, width, 3), np.uint8),
        "labels": tuple(
            rng.integers(-1, high, (height, width)).astype(np.int32) for _ in range(maps)
        ),
    }


@pytest.mark.parametrize(
    ("high", "mode"),
    [
        (-1, "L"), (0, "L"), (254, "L"), (255, "I;16"), (65_534, "I;16"), (65_535, "RGB"),
        (2**24 - 2, "RGB"), (2**24 - 1, "RGBA"), (2**31 - 2, "RGBA"), (2**31 - 1, "RGBA"),
    ],
)  # fmt: skip
def test_ids_of_any_size_are_kept_in_as_few_bytes_as_they_need(high, mode):
    ids = np.array([[-1, high, min(high, 7)], [high // 2, high, high - (high > 0)]], np.int32)
    data = schema.encode_ids(ids)
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG" and image.mode == mode
    np.testing.assert_array_equal(schema.decode_ids(data), ids)
    assert schema.decode_ids(data).dtype == np.int32


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.one_of(st.integers(-1, 300), st.integers(-1, 2**31 - 1)), min_size=1, max_size=12),
    st.booleans(),
)
def test_ids_come_back(values, upright):
    ids = np.array([values], np.int32)
    ids = ids.T if upright else ids
    np.testing.assert_array_equal(schema.decode_ids(schema.encode_ids(ids)), ids)


def test_the_number_in_the_png_is_as_documented():
    pixels = np.asarray(
        Image.open(io.BytesIO(schema.encode_ids(np.array([[70_000, -1]], np.int32))))
    )
    red, green, blue = pixels[0, 0].tolist()
    assert red + 256 * green + 65_536 * blue == 70_001 and not pixels[0, 1].any()


@pytest.mark.parametrize("image_format", ["jpeg", "png"])
def test_a_record_gives_its_item_back(image_format):
    before = item()
    after = schema.decode(schema.encode(before, image_format=image_format))
    assert after["name"] == before["name"]
    assert (after["height"], after["width"]) == (30, 41)
    for got, want in zip(after["labels"], before["labels"], strict=True):
        np.testing.assert_array_equal(got, want)
    assert after["image"].dtype == np.uint8 and after["image"].flags.writeable
    if image_format == "png":
        np.testing.assert_array_equal(after["image"], before["image"])
    else:
        buffer = io.BytesIO()
        Image.fromarray(before["image"]).save(buffer, "JPEG", quality=95, subsampling="4:4:4")
        np.testing.assert_array_equal(after["image"], np.asarray(Image.open(buffer)))


def test_the_hash_is_of_the_original():
    before = item(high=70_000)
    expected = b"30 41\n" + before["image"].tobytes()
    expected += b"".join(ids.astype("<i4").tobytes() for ids in before["labels"])
    shrunk = schema.shrink(before, 10)
    after = schema.decode(schema.encode(shrunk, original=before, image_format="jpeg"))
    assert after["sha256"] == hashlib.sha256(expected).hexdigest()
    assert (after["height"], after["width"]) == (30, 41)
    assert after["image"].shape == (7, 10, 3)


def test_shrinking_is_by_area_and_majority():
    before = item()
    after = schema.shrink(before, 16)
    np.testing.assert_array_equal(
        after["image"], transforms.resize_image(before["image"], (12, 16))
    )
    np.testing.assert_array_equal(
        after["labels"][1], transforms.resize_labels(before["labels"][1], (12, 16), "majority")
    )
    assert schema.shrink(before, 0) is before and schema.shrink(before, 41) is before


def test_bytes_are_the_same_each_time():
    assert schema.encode(item(), image_format="jpeg") == schema.encode(item(), image_format="jpeg")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"image": np.zeros((4, 4), np.uint8)}, "uint8"),
        ({"image": np.zeros((0, 4, 3), np.uint8)}, "uint8"),
        ({"image": np.zeros((30, 41, 3), np.float32)}, "float32"),
        ({"labels": ()}, "no label map"),
        ({"labels": (np.zeros((30, 40), np.int32),)}, "(30, 40)"),
        ({"labels": (np.zeros((30, 41), np.int64),)}, "int64"),
        ({"labels": (np.full((30, 41), -2, np.int32),)}, "-2"),
    ],
)
def test_items_of_another_form_are_refused(change, word):
    schema.check(item())
    with pytest.raises(InputError) as error:
        schema.check({**item(), **change})
    assert word in str(error.value) and "\n" not in str(error.value)


def test_what_jpeg_cannot_hold_is_refused():
    wide = {
        "name": "wide",
        "image": np.zeros((1, 70_000, 3), np.uint8),
        "labels": (np.zeros((1, 70_000), np.int32),),
    }
    with pytest.raises(InputError, match="--image_format png"):
        schema.encode(wide, image_format="jpeg")
    assert schema.decode(schema.encode(wide, image_format="png"))["width"] == 70_000


def test_damage_is_one_line():
    record = schema.encode(item(), image_format="png")
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(200):
        damaged = bytearray(record)
        for place in rng.integers(0, len(record), 3):
            damaged[place] = rng.integers(256)
        try:
            schema.decode(bytes(damaged[: rng.integers(1, len(record))]))
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 150
