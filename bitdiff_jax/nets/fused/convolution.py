"""Convolutions as pure functions: of several maps side by side, folded maps, and upsampled maps."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from bitdiff_jax.nets.fused import folding
from bitdiff_jax.nets.fused.folding import PixelLayout

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def convolve(
    parts: Sequence[jax.Array],
    kernel: jax.Array,
    *,
    dtype: DTypeLike,
    stride: int = 1,
    source: PixelLayout = PixelLayout.PLAIN,
    result: PixelLayout = PixelLayout.PLAIN,
) -> jax.Array:
    """A square convolution over the channels of all parts, padded by k // 2 on each side.

    The parts stand for their concatenation, which is never made: their convolutions are summed, and
    XLA adds the second one as it writes it. `summands` describes the arguments.

    Returns:
        [B, H / stride, W / stride, Cout] of dtype `dtype`, laid out as `result`.
    """
    first, *others = summands(
        parts, kernel, dtype=dtype, stride=stride, source=source, result=result
    )
    return sum(others, first)


def summands(
    parts: Sequence[jax.Array],
    kernel: jax.Array,
    *,
    dtype: DTypeLike,
    stride: int = 1,
    source: PixelLayout = PixelLayout.PLAIN,
    result: PixelLayout = PixelLayout.PLAIN,
) -> list[jax.Array]:
    """The convolution of each part by its channels of the kernel; `convolve` adds them up.

    Args:
        parts: maps [B, H, W, Ci] laid out as `source`, in the order of the kernel's input channels.
            Staggered parts are zero at positions outside of the map.
        kernel: kernel [k, k, sum Ci, Cout] in parameter precision, k odd.
        dtype: compute dtype.
        stride: stride of the convolution: 1 keeps H and W, 2 halves them.
        source: pixel layout of the parts.
        result: pixel layout of the result. A staggered result is not masked at its outermost
            columns, which lie outside of the map.

    Returns:
        [B, H / stride, W / stride, Cout] each, of dtype `dtype`, laid out as `result`.
    """
    edge = kernel.shape[0] // 2
    sums: list[jax.Array] = []
    start = 0
    for part in parts:
        channels = part.shape[-1] // source.copies
        # Rounded slice by slice: the whole kernel in both precisions would be one more array.
        weights = kernel[:, :, start : start + channels].astype(dtype)
        start += channels
        strides, padding = (stride, stride), ((edge, edge), (edge, edge))
        if source is not PixelLayout.PLAIN:
            weights, strides, padding = folding.fold_kernel(weights, stride, source, result)
        part = part.astype(dtype)
        if result is PixelLayout.STAGGERED:
            y = _to_staggered(part, weights)
        else:
            y = jax.lax.conv_general_dilated(
                part, weights, strides, padding, dimension_numbers=_DIMENSIONS
            )
        sums.append(y)
    assert start == kernel.shape[2], (start, kernel.shape)
    return sums


@jax.custom_vjp
def _to_staggered(x: jax.Array, weights: jax.Array) -> jax.Array:
    """[B, H, P, C] by [3, 2, C, F], padded by 1 on all sides, to [B, H, P + 1, F].

    The gradient by the weights slides the smaller map over the larger one. Without this function
    XLA takes the larger one for the kernel, and transposes whole maps to do so.
    """
    return jax.lax.conv_general_dilated(
        x, weights, (1, 1), ((1, 1), (1, 1)), dimension_numbers=_DIMENSIONS
    )


def _to_staggered_forward(x, weights):  # type: ignore[no-untyped-def]
    return _to_staggered(x, weights), (x, weights)


def _to_staggered_backward(residuals, dy):  # type: ignore[no-untyped-def]
    x, weights = residuals
    turned = jnp.flip(weights, (0, 1)).swapaxes(2, 3)
    dx = jax.lax.conv_general_dilated(
        dy, turned, (1, 1), ((1, 1), (0, 0)), dimension_numbers=_DIMENSIONS
    )
    d_weights = jax.lax.conv_general_dilated(
        dy, x, (1, 1), ((1, 1), (0, 0)), dimension_numbers=("CHWN", "IHWO", "HWCN")
    )
    return dx, jnp.flip(d_weights, (0, 1))


_to_staggered.defvjp(_to_staggered_forward, _to_staggered_backward)


def upsample_convolve(
    x: jax.Array, kernel: jax.Array, *, dtype: DTypeLike, result: PixelLayout = PixelLayout.PLAIN
) -> jax.Array:
    """Nearest-neighbour upsampling by two and a 3x3 convolution, without making the larger map.

    A pixel of the result depends on at most 2 x 2 pixels of x, some of them under several of the
    kernel's nine weights, which are summed before they are multiplied. The two columns of the
    result that one column of x gives are features of one convolution, as pairs of pixels are (see
    `folding`). How the two rows are computed depends on the platform.

    Args:
        x: map [B, H, W, C].
        kernel: kernel [3, 3, C, Cout] in parameter precision.
        dtype: compute dtype.
        result: pixel layout of the result, plain or folded.

    Returns:
        [B, 2H, 2W, Cout] of dtype `dtype`, laid out as `result`.
    """
    above, here, below = map(_columns, kernel)
    by_row = jnp.stack([above, here, below]).astype(dtype)
    # Indexed by the offset of a row of the result from twice the row of x it reads: 2, 1, 0, -1.
    by_offset = jnp.stack([above, above + here, here + below, below]).astype(dtype)
    y = _upsampled(x.astype(dtype), by_row, by_offset)
    return y if result is PixelLayout.FOLDED else folding.unfold(y)


def _columns(row: jax.Array) -> jax.Array:
    """[3, C, F] over doubled pixels to [3, C, 2F] over x: the left and the right of a pair."""
    first, middle, last = row
    zero = jnp.zeros_like(first)
    left = jnp.stack([first, middle + last, zero])
    right = jnp.stack([zero, first + middle, last])
    return jnp.concatenate([left, right], axis=-1)


@jax.custom_vjp
def _upsampled(x: jax.Array, by_row: jax.Array, by_offset: jax.Array) -> jax.Array:
    """[B, H, W, C] to [B, 2H, W, 2F], by the same kernel in two forms.

    Args:
        x: the smaller map.
        by_row: kernel [3, 3, C, 2F] for the map with its rows doubled. It gets no gradient.
        by_offset: kernel [4, 3, C, 2F], indexed by the offset of rows.
    """
    return jax.lax.platform_dependent(
        x, by_row, by_offset, tpu=_of_doubled_rows, default=_row_by_row
    )


def _upsampled_forward(x, by_row, by_offset):  # type: ignore[no-untyped-def]
    return _upsampled(x, by_row, by_offset), (x, by_row, by_offset)


def _upsampled_backward(residuals, dy):  # type: ignore[no-untyped-def]
    x, by_row, by_offset = residuals
    dx, d_weights = jax.lax.platform_dependent(
        x, by_offset, dy, tpu=_upsampled_backward_strided, default=_upsampled_backward_row_by_row
    )
    return dx, jnp.zeros_like(by_row), d_weights


_upsampled.defvjp(_upsampled_forward, _upsampled_backward)


def _row_by_row(x: jax.Array, by_row: jax.Array | None, by_offset: jax.Array) -> jax.Array:
    """Even and odd rows apart, by 2 x 3 kernels, which take two thirds of the products."""
    del by_row
    batch, height, width, _ = x.shape
    rows = []
    for weights, padding in ((by_offset[0::2], (1, 0)), (by_offset[1::2], (0, 1))):
        y = jax.lax.conv_general_dilated(
            x, weights, (1, 1), (padding, (1, 1)), dimension_numbers=_DIMENSIONS
        )
        rows.append(y)
    return jnp.stack(rows, axis=2).reshape(batch, 2 * height, width, -1)


def _upsampled_backward_row_by_row(x, by_offset, dy):  # type: ignore[no-untyped-def]
    return jax.vjp(lambda *arguments: _row_by_row(arguments[0], None, arguments[1]), x, by_offset)[
        1
    ](dy)


def _of_doubled_rows(x: jax.Array, by_row: jax.Array, by_offset: jax.Array) -> jax.Array:
    """All rows at once, since a TPU would copy two sets of rows twice to interleave them."""
    del by_offset
    height = x.shape[1]
    # Rows are doubled by a product with zeros and ones; copying them takes a TPU longer.
    of_row = jnp.repeat(jnp.eye(height, dtype=x.dtype), 2, axis=0)
    doubled = jnp.einsum("oh,bhwc->bowc", of_row, x, precision=jax.lax.Precision.HIGHEST)
    return jax.lax.conv_general_dilated(
        doubled, by_row, (1, 1), ((1, 1), (1, 1)), dimension_numbers=_DIMENSIONS
    )


def _upsampled_backward_strided(x, by_offset, dy):  # type: ignore[no-untyped-def]
    """A convolution of stride 2 along the rows, and one by x with its rows 2 apart."""
    turned = jnp.flip(by_offset, (0, 1)).swapaxes(2, 3)
    dx = jax.lax.conv_general_dilated(
        dy, turned, (2, 1), ((1, 1), (1, 1)), dimension_numbers=_DIMENSIONS
    )
    d_weights = jax.lax.conv_general_dilated(
        dy, x, (1, 1), ((1, 1), (1, 1)), rhs_dilation=(2, 1),
        dimension_numbers=("CHWN", "IHWO", "HWCN"),
    )  # fmt: skip
    return dx, jnp.flip(d_weights, (0, 1))
