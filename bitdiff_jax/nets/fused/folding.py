"""Pairs of neighbouring pixels as one position of twice the channels: 64 channels fill 128 lanes.

A TPU computes on 128 channels at a time and stores no fewer. A map of 64 channels wastes half of
its lanes and three quarters of its matrix units. Folded, a map [B, H, W, C] lies as
[B, H, W/2, 2C], the channels of the left pixel first: in row-major memory the same numbers in the
same order. Its convolution is one of pairs, with zeros in the kernel where a pair reaches beyond
the three pixels that count.

From pairs to the same pairs these are half of a kernel of 3 x 3 pairs. From pairs to pairs that are
shifted by a pixel, 'staggered', a kernel of 3 x 2 pairs does, of which a quarter are zeros. So a
residual block goes there with its first convolution and comes back with its second.

Parameters are not folded; kernels are, at each use.
"""

import enum

import jax
import jax.numpy as jnp


class PixelLayout(enum.Enum):
    """How the pixels of a map [B, H, W, C] lie in an array."""

    PLAIN = "plain"  # [B, H, W, C]
    FOLDED = "folded"  # [B, H, W/2, 2C]: pairs of columns (0, 1), (2, 3), ...
    STAGGERED = "staggered"  # [B, H, W/2 + 1, 2C]: (-1, 0), (1, 2), ..., (W - 1, W)

    @property
    def copies(self) -> int:
        """Number of pixels in one position: 1 if plain, otherwise 2."""
        return 1 if self is PixelLayout.PLAIN else 2


def fold(x: jax.Array) -> jax.Array:
    """[B, H, W, C] to [B, H, W/2, 2C]; W is even."""
    batch, height, width, channels = x.shape
    return x.reshape(batch, height, width // 2, 2 * channels)


def unfold(x: jax.Array) -> jax.Array:
    """The inverse of `fold`."""
    batch, height, width, channels = x.shape
    return x.reshape(batch, height, 2 * width, channels // 2)


def inside(layout: PixelLayout, shape: tuple[int, ...]) -> jax.Array | None:
    """Where an array of the given shape holds pixels of the map, bool [1, 1, W', C'].

    None if it does everywhere: only a staggered array has columns outside of the map.
    """
    if layout is not PixelLayout.STAGGERED:
        return None
    positions = jax.lax.broadcasted_iota(jnp.int32, (1, 1, *shape[2:]), 2)
    left = jax.lax.broadcasted_iota(jnp.int32, (1, 1, *shape[2:]), 3) < shape[3] // 2
    return positions != jnp.where(left, 0, shape[2] - 1)


def num_pixels(layout: PixelLayout, shape: tuple[int, ...]) -> int:
    """Pixels of the map that an array of the given shape holds."""
    return shape[1] * (shape[2] * layout.copies - (2 if layout is PixelLayout.STAGGERED else 0))


def fold_kernel(
    kernel: jax.Array, stride: int, source: PixelLayout, result: PixelLayout
) -> tuple[jax.Array, tuple[int, int], tuple[tuple[int, int], tuple[int, int]]]:
    """Turns a kernel over pixels into one over pairs of pixels.

    Args:
        kernel: kernel [k, k, Cin, Cout], with k 1 or 3.
        stride: stride of the convolution: 1, or 2 from folded to plain.
        source: pixel layout of the map that is convolved: folded or staggered.
        result: pixel layout of the convolution's result.

    Returns:
        The kernel [k, pairs, 2 Cin, copies * Cout], and the strides and padding that belong to it.
    """
    edge = kernel.shape[0] // 2
    rows = (edge, edge)
    # For each pixel of the result's position: how many pixels lie to the left and right of those
    # that it sees, of all that the pairs under the kernel hold.
    if stride == 2:
        assert (source, result, edge) == (PixelLayout.FOLDED, PixelLayout.PLAIN, 1)
        return _over_pairs(kernel, (1, 0)), (2, 1), (rows, (1, 0))
    if source is result:
        pairs = _over_pairs(kernel, (edge, edge + 1), (edge + 1, edge))
        return pairs, (1, 1), (rows, rows)
    assert edge == 1
    columns = (1, 1) if result is PixelLayout.STAGGERED else (0, 0)
    return _over_pairs(kernel, (0, 1), (1, 0)), (1, 1), (rows, columns)


def _over_pairs(kernel: jax.Array, *pads: tuple[int, int]) -> jax.Array:
    """[k, w, Cin, Cout] padded along w for each pixel of the result; w then counted in pairs."""
    rows, _, channels, features = kernel.shape
    pixels = [jnp.pad(kernel, ((0, 0), pad, (0, 0), (0, 0))) for pad in pads]
    return jnp.concatenate(pixels, axis=3).reshape(rows, -1, 2 * channels, len(pads) * features)
