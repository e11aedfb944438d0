import pathlib

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.errors import InputError
from bitdiff_jax.inference.image_input import as_rgb, name_of
from tests.inference import tiny


def test_rgb_is_taken_as_it_is():
    image = tiny.image(4, 5)
    np.testing.assert_array_equal(as_rgb(image), image)
    np.testing.assert_array_equal(as_rgb(jnp.asarray(image)), image)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_an_array_is_what_the_file_of_it_is(tmp_path, mode):
    rng = np.random.default_rng(0)
    shape = (6, 7) if mode == "L" else (6, 7, len(mode))
    array = rng.integers(0, 256, shape, np.uint8)
    Image.fromarray(array, mode).save(tmp_path / "a.png")
    got = as_rgb(array)
    assert got.shape == (6, 7, 3) and got.dtype == np.uint8
    np.testing.assert_array_equal(got, as_rgb(tmp_path / "a.png"))
    np.testing.assert_array_equal(got, as_rgb(str(tmp_path / "a.png")))


def test_one_channel_is_grey():
    grey = tiny.image(4, 5)[..., :1]
    np.testing.assert_array_equal(as_rgb(grey), as_rgb(grey[..., 0]))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((4, 4, 3)), "float64"),
        (np.zeros((4, 4, 3), np.uint16), "uint16"),
        (np.zeros((4, 4, 2), np.uint8), r"\(4, 4, 2\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"\(1, 4, 4, 3\)"),
        (np.zeros((4,), np.uint8), r"\(4,\)"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\)"),
        (Image.new("P", (3, 3)), "Image"),
        ([[1, 2]], "list"),
        (None, "NoneType"),
        ("", "image: the name of the file is empty; give its path"),
    ],
)
def test_anything_else_is_refused_in_one_line(image, words):
    with pytest.raises(InputError, match=words) as error:
        as_rgb(image)
    assert "\n" not in str(error.value)


def test_names():
    assert name_of("some/where/cat.jpg") == name_of(pathlib.Path("cat.png")) == "cat"
    assert name_of("a.b.png") == "a.b"
    assert name_of(np.zeros((2, 2), np.uint8)) == ""
    assert name_of(b"caf\xe9.png".decode("utf-8", "surrogateescape")) == r"caf\xe9"
