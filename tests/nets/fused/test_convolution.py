"""Convolutions of folded, staggered and upsampled maps against the plain ones, with gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.nets.fused import folding
from bitdiff_jax.nets.fused.convolution import convolve, upsample_convolve
from bitdiff_jax.nets.fused.folding import PixelLayout
from tests.nets.helpers import lower_as_on

RNG = np.random.default_rng(0)


def plain(x, kernel, stride=1):
    edge = kernel.shape[0] // 2
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), ((edge, edge),) * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def laid_out(x, layout):
    """x [B, H, W, C] in the layout, zero where the array is not the map's."""
    if layout is PixelLayout.STAGGERED:
        x = jnp.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0)))
    return x if layout is PixelLayout.PLAIN else folding.fold(x)


def taken_out(x, layout):
    """The inverse."""
    x = x if layout is PixelLayout.PLAIN else folding.unfold(x)
    return x[:, :, 1:-1] if layout is PixelLayout.STAGGERED else x


def assert_same(ours, theirs, *arguments):
    """Values and gradients of two functions, by all arguments."""
    weights = jnp.asarray(RNG.standard_normal(jax.eval_shape(theirs, *arguments).shape), "float32")

    def total(f):
        return jax.jit(jax.value_and_grad(lambda a: jnp.sum(f(*a) * weights)))

    for a, b in zip(*(jax.tree.leaves(total(f)(arguments)) for f in (theirs, ours)), strict=True):
        np.testing.assert_allclose(b, a, atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("width", [2, 6])
@pytest.mark.parametrize(
    ("size", "stride", "source", "result"),
    [
        (3, 1, PixelLayout.PLAIN, PixelLayout.PLAIN),
        (3, 2, PixelLayout.PLAIN, PixelLayout.PLAIN),
        (1, 1, PixelLayout.FOLDED, PixelLayout.FOLDED),
        (3, 1, PixelLayout.FOLDED, PixelLayout.FOLDED),
        (3, 2, PixelLayout.FOLDED, PixelLayout.PLAIN),
        (3, 1, PixelLayout.FOLDED, PixelLayout.STAGGERED),
        (3, 1, PixelLayout.STAGGERED, PixelLayout.FOLDED),
    ],
)
def test_of_parts_in_every_layout(size, stride, source, result, width):
    maps = [jnp.asarray(RNG.standard_normal((2, 4, width, c)), "float32") for c in (3, 5)]
    kernel = jnp.asarray(RNG.standard_normal((size, size, 8, 4)), "float32")

    def ours(first, second, kernel):
        parts = [laid_out(x, source) for x in (first, second)]
        y = convolve(parts, kernel, dtype=jnp.float32, stride=stride, source=source, result=result)
        return taken_out(y, result)

    def theirs(first, second, kernel):
        return plain(jnp.concatenate([first, second], axis=-1), kernel, stride)

    assert_same(ours, theirs, *maps, kernel)


@pytest.mark.slow
@pytest.mark.parametrize("result", [PixelLayout.PLAIN, PixelLayout.FOLDED])
@pytest.mark.parametrize("shape", [(2, 3, 5, 4), (1, 1, 1, 4)])
@pytest.mark.parametrize("platform", ["cpu", "tpu"])
def test_of_an_upsampled_map(monkeypatch, platform, shape, result):
    lower_as_on(monkeypatch, platform)
    x = jnp.asarray(RNG.standard_normal(shape), "float32")
    kernel = jnp.asarray(RNG.standard_normal((3, 3, 4, 6)), "float32")

    def ours(x, kernel):
        return taken_out(upsample_convolve(x, kernel, dtype=jnp.float32, result=result), result)

    def theirs(x, kernel):
        return plain(x.repeat(2, axis=1).repeat(2, axis=2), kernel)

    assert_same(ours, theirs, x, kernel)


def test_folding_is_the_same_memory():
    x = RNG.standard_normal((2, 3, 4, 5)).astype(np.float32)
    folded = folding.fold(jnp.asarray(x))
    assert folded.shape == (2, 3, 2, 10)
    np.testing.assert_array_equal(np.ravel(folded), x.ravel())
    np.testing.assert_array_equal(folding.unfold(folded), x)
