import jax
import numpy as np
import pytest

from bitdiff_jax.encoding.rgb import RGBEncoding


def last(x):
    """The reference's channel-first [B, C, H, W] -> [B, H, W, C]."""
    return np.moveaxis(x, 1, -1)


def test_the_released_colours_match_the_reference(golden):
    vectors = golden("codec")
    encoding = RGBEncoding(125, as_released=True)
    for key, of in (("rgb/ints", "rgb/code_asis"), ("rgb/pad_ints", "rgb/pad_code")):
        got = jax.jit(encoding.encode)(vectors[key][:, 0])
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, last(vectors[of]))


def test_the_released_clip_leaves_27_colours_and_ours_all(golden):
    vectors = golden("codec")

    def distinct(encoding):
        colours = np.asarray(encoding.encode(np.arange(125)))
        clipped = np.clip(colours, *encoding.clip_range)
        decoded = len(np.unique(encoding.decode(clipped)))
        return len(np.unique(colours, axis=0)), len(np.unique(clipped, axis=0)), decoded

    released = (
        int(vectors["rgb/distinct_colours_asis"]),
        int(vectors["rgb/distinct_colours_after_clip"]),
    )
    assert distinct(RGBEncoding(125, as_released=True)) == (*released, 27) == (125, 27, 27)
    assert distinct(RGBEncoding(125)) == (125, 125, 125)


@pytest.mark.slow
@pytest.mark.parametrize("as_released", [False, True])
@pytest.mark.parametrize("num_codes", [1, 64, 121, 125])
def test_round_trip(num_codes, as_released):
    encoding = RGBEncoding(num_codes, as_released)
    codes = np.arange(num_codes)
    x0 = jax.jit(encoding.encode)(codes)
    np.testing.assert_array_equal(jax.jit(encoding.decode)(x0), codes)
    np.testing.assert_array_equal(encoding.certainty(x0), 1)


def test_our_colours_are_levels_of_bytes_in_minus_one_to_one():
    colours = RGBEncoding(125).colours
    np.testing.assert_allclose(
        (colours[[0, 24, 124]] + 1) * 127.5, [[0] * 3, [0, 255, 255], [255] * 3]
    )
    np.testing.assert_allclose(np.unique((colours + 1) * 127.5), [0, 64, 128, 192, 255], atol=1e-5)
    np.testing.assert_allclose(colours.var(0), 0.5, rtol=0.01)  # as the docstring says


@pytest.mark.parametrize("num_codes", [3, 121, 125])
def test_the_nearest_of_the_colours_that_are_codes(num_codes):
    encoding = RGBEncoding(num_codes)
    x0 = np.random.default_rng(0).uniform(-1.3, 1.3, (400, 3)).astype(np.float32)
    squared = np.square(x0[:, None].astype(float) - encoding.colours).sum(-1)
    np.testing.assert_array_equal(encoding.decode(x0), squared.argmin(-1))


@pytest.mark.slow
def test_certainty_of_a_mixture_of_two_levels():
    encoding = RGBEncoding(125)
    ends = encoding.encode(np.array([31, 32]))  # they differ in blue alone
    for share in (0.5, 0.6, 0.9, 1.0):
        x0 = share * ends[0] + (1 - share) * ends[1]
        np.testing.assert_allclose(encoding.certainty(x0), share, atol=1e-6)
    # Each channel between two levels: the product over channels.
    x0 = 0.75 * encoding.encode(np.array([0])) + 0.25 * encoding.encode(np.array([31]))
    np.testing.assert_allclose(encoding.certainty(x0), 0.75**3, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("as_released", [False, True])
def test_certainty_is_a_probability_anywhere(as_released):
    encoding = RGBEncoding(121, as_released)
    x0 = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32) * 2
    certainty = np.asarray(encoding.certainty(x0))
    assert certainty.dtype == np.float32
    assert ((certainty >= np.float32(1 / 121)) & (certainty <= 1)).all()
    np.testing.assert_array_equal(encoding.certainty(np.full((1, 3), -5.0)), 1)
    # The colour of code 124, which is none of the 121: its nearest is a whole level away.
    np.testing.assert_allclose(RGBEncoding(121).certainty(np.ones((1, 3))), 1 / 121, atol=0.02)


def test_misuse_is_named():
    for num_codes in (0, 126):
        with pytest.raises(ValueError, match=r"\[1, 125\]"):
            RGBEncoding(num_codes)
