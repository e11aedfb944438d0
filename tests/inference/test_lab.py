import numpy as np

from bitdiff_jax.inference import lab


def test_colours_of_the_literature():
    # sRGB under D65, as e.g. colormine.org and Lindbloom's calculator give them.
    got = lab.from_rgb(np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 0, 255]], np.uint8))
    want = [[0, 0, 0], [100, 0, 0], [53.24, 80.09, 67.20], [32.30, 79.19, -107.86]]
    np.testing.assert_allclose(got, want, atol=0.02)


def test_greys_have_no_colour_and_get_lighter():
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    lightness, *colour = lab.from_rgb(greys).T
    np.testing.assert_allclose(colour, 0, atol=0.02)
    assert (np.diff(lightness) > 0).all()
