"""Group normalisation with the sums before it and the activation after it, in one pass each way.

The gradient is written by hand: of the maps, only the input is kept for the backward pass, and each
pass reads and writes the maps in their own dtype. Everything else is [B, C].
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from bitdiff_jax.nets.conventions import at_least_float32, num_groups
from bitdiff_jax.nets.fused import folding
from bitdiff_jax.nets.fused.folding import PixelLayout


def normalise(
    parts: Sequence[jax.Array],
    before: jax.Array,
    gain: jax.Array,
    offset: jax.Array,
    *,
    added: Sequence[jax.Array] = (),
    activate: bool = True,
    layout: PixelLayout = PixelLayout.PLAIN,
    epsilon: float = 1e-5,
    dtype: DTypeLike | None = None,
) -> tuple[jax.Array, ...]:
    """`silu(group_norm(x + before) * gain + offset)` of the concatenation x of the parts.

    The parts are never concatenated; a group may lie across two of them. Mean and variance
    take one pass over x.

    Args:
        parts: maps [B, H, W, Ci] of one dtype, laid out as `layout`.
        before: vector [B, C] or [1, C], with C the sum of all Ci, that is added to all pixels of an
            image.
        gain: factor [B, C] or [1, C] of the normalised map, in at least float32.
        offset: vector [B, C] or [1, C] that is added after it, in at least float32.
        added: maps that are to be added to the last part. Each gets its gradient from a computation
            of its own, which a TPU does inside the convolutions that read it. One gradient for all
            would have so many readers that it would be written and read as a map.
        activate: whether the SiLU is applied.
        layout: pixel layout of the parts. Positions of a staggered array outside of the map do not
            count and become 0.
        epsilon: constant that is added to the variance. A constant group gives `offset`.
        dtype: dtype of the results; None keeps that of the parts.

    Returns:
        The normalised parts.
    """
    batch = parts[0].shape[0]
    wide = at_least_float32(parts[0].dtype)
    channels = sum(part.shape[-1] for part in parts) // layout.copies
    before, gain, offset = (
        jnp.broadcast_to(a.astype(wide), (batch, channels)) for a in (before, gain, offset)
    )
    static = (activate, layout, epsilon, jnp.dtype(dtype or parts[0].dtype), len(added))
    return _normalise(static, (*parts, *added), before, gain, offset)


_Static = tuple[bool, PixelLayout, float, jnp.dtype, int]
_Parts = tuple[jax.Array, ...]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _normalise(
    static: _Static, maps: _Parts, before: jax.Array, gain: jax.Array, offset: jax.Array
) -> _Parts:
    return _forward(static, _parts(static, maps), before, gain, offset)[0]


def _parts(static: _Static, maps: _Parts) -> _Parts:
    """The parts, the last of which is the sum of all further maps."""
    last = len(maps) - static[-1] - 1
    return (*maps[:last], sum(maps[last + 1 :], maps[last]))


def _forward(
    static: _Static, parts: _Parts, before: jax.Array, gain: jax.Array, offset: jax.Array
) -> tuple[_Parts, tuple[jax.Array, ...]]:
    _, layout, epsilon, _, _ = static
    moments = [_moments(part, layout) for part in parts]
    mean, variance = (_concatenate(m, layout.copies) for m in zip(*moments, strict=True))
    # [B, copies, C]: moments of the group norm's input, for each pixel of a position and channel.
    mean = mean + before[:, None]
    centre = _group_mean(mean.mean(1))
    variance = _group_mean((variance + jnp.square(mean - centre[:, None])).mean(1))
    rstd = jax.lax.rsqrt(variance + epsilon)
    # x + before - centre is computed as one subtraction from x.
    pivot = centre - before
    lean = mean.mean(1) - centre
    return _apply(static, parts, pivot, rstd * gain, offset), (pivot, rstd, lean)


def _forward_with_residuals(static, maps, before, gain, offset):  # type: ignore[no-untyped-def]
    parts = _parts(static, maps)
    out, (pivot, rstd, lean) = _forward(static, parts, before, gain, offset)
    return out, (parts, pivot, rstd, lean, gain, offset)


def _backward(static, residuals, cotangents):  # type: ignore[no-untyped-def]
    activate, layout, _, _, num_added = static
    copies = layout.copies
    parts, pivot, rstd, lean, gain, offset = residuals
    wide = gain.dtype
    scale = rstd * gain

    def by_activation(x, dy, c, a, b):  # type: ignore[no-untyped-def]
        """Returns x minus its pivot, and the gradient by the activation's input."""
        centred, dy = x.astype(wide) - c, _masked(dy.astype(wide), layout)
        if not activate:
            return centred, dy
        z = centred * a + b
        s = jax.nn.sigmoid(z)
        return centred, dy * (s * (1 + z * (1 - s)))

    coefficients = [_split(v, parts, copies) for v in (pivot, scale, offset)]
    sums, moments, kept = [], [], []
    for x, dy, c, a, b in zip(parts, cotangents, *coefficients, strict=True):
        centred, dz = by_activation(x, dy, c, a, b)
        sums.append(dz.sum((1, 2)))
        moments.append((dz * centred).sum((1, 2)))
        kept.append(_kept(dz, x.dtype, by_activation, (x, dy, c, a, b)))
    d_offset = _concatenate(sums, copies).sum(1)
    d_gain = _concatenate(moments, copies).sum(1) * rstd
    pixels = folding.num_pixels(layout, parts[0].shape)
    # dx = scale * dz - level - slope * (x - pivot): the last two by the mean and the variance.
    by_group = _group_mean(jnp.concatenate([gain * d_offset, gain * d_gain])) / pixels
    level, slope = rstd * by_group[: len(gain)], rstd**2 * by_group[len(gain) :]
    d_before = scale * d_offset - pixels * (level + slope * lean)
    d_maps: list[jax.Array] = []
    # -level - slope * (x - pivot) as one line in x.
    coefficients = [_split(v, parts, copies) for v in (scale, slope, slope * pivot - level)]
    rows = list(zip(parts, kept, *coefficients, strict=True))
    for x, dz, a, m, b in rows + num_added * rows[-1:]:
        a = _again(a) if len(d_maps) >= len(parts) else a
        dx = a * dz.astype(wide) - m * x.astype(wide) + b
        d_maps.append(_masked(dx, layout).astype(x.dtype))
    return tuple(d_maps), d_before, d_gain, d_offset


def _again(x: jax.Array) -> jax.Array:
    """x behind a barrier, so that a TPU computes its results again instead of keeping them."""
    return jax.lax.platform_dependent(x, tpu=jax.lax.optimization_barrier, default=lambda x: x)


def _kept(dz, dtype, by_activation, inputs):  # type: ignore[no-untyped-def]
    """The gradient dz once more, for the second pass of the backward pass.

    A TPU writes it in `dtype` as it comes out of a convolution, and reads it from there; by default
    XLA would write the convolution's own result, and compute the activation's gradient twice. A GPU
    computes it twice, since the result of a library's convolution is in memory anyway; by default
    XLA would write dz beside it, in float32.
    """

    def written(dz, *inputs):  # type: ignore[no-untyped-def]
        return jax.lax.optimization_barrier(dz.astype(dtype)).astype(dz.dtype)

    def recomputed(dz, x, dy, *others):  # type: ignore[no-untyped-def]
        return by_activation(x, dy, *jax.lax.optimization_barrier(others))[1]

    return jax.lax.platform_dependent(
        dz, *inputs, tpu=written, cuda=recomputed, default=lambda dz, *inputs: dz
    )


_normalise.defvjp(_forward_with_residuals, _backward)


def _apply(
    static: _Static, parts: _Parts, pivot: jax.Array, scale: jax.Array, offset: jax.Array
) -> _Parts:
    activate, layout, _, dtype, _ = static
    out = []
    split = [_split(v, parts, layout.copies) for v in (pivot, scale, offset)]
    for x, c, a, b in zip(parts, *split, strict=True):
        y = (x.astype(scale.dtype) - c) * a + b
        y = jax.nn.silu(y) if activate else y
        out.append(_masked(y, layout).astype(dtype))
    return tuple(out)


def _moments(x: jax.Array, layout: PixelLayout) -> tuple[jax.Array, jax.Array]:
    """Mean and variance over the pixels, [B, copies * Ci], from one pass over x.

    They are taken about the value of a pixel, because a large offset would leave no digit of the
    variance. bfloat16 has no such digits to lose: there they are taken about 0, so that a TPU sums
    them up while it writes x.
    """
    wide = at_least_float32(x.dtype)
    about = x.astype(wide)
    # A pixel of the second column: part of a staggered array's first column is outside of the map.
    column = 1 if layout is PixelLayout.STAGGERED else 0
    pivot = about[:, :1, column : column + 1]
    if x.dtype != wide:
        pivot = jnp.zeros_like(pivot)
    about = _masked(about - pivot, layout)
    pixels = folding.num_pixels(layout, x.shape) // layout.copies
    mean = about.sum((1, 2)) / pixels
    variance = jnp.maximum(jnp.square(about).sum((1, 2)) / pixels - jnp.square(mean), 0)
    return mean + pivot[:, 0, 0], variance


def _masked(x: jax.Array, layout: PixelLayout) -> jax.Array:
    """Returns x, set to 0 at positions outside of the map."""
    mask = folding.inside(layout, x.shape)
    return x if mask is None else jnp.where(mask, x, 0)


def _group_mean(x: jax.Array) -> jax.Array:
    """The mean over each channel's group, [B, C] to [B, C].

    It is a product with a matrix of ones in blocks, which is one operation, where a sum and its
    broadcast back to the channels are three. A TPU takes a microsecond for each, however small.
    """
    channels = x.shape[-1]
    size = channels // num_groups(channels)
    if size == 1:
        return x
    group = jnp.arange(channels) // size
    together = (group[:, None] == group).astype(x.dtype)
    return jnp.matmul(x, together, precision=jax.lax.Precision.HIGHEST) / size


def _concatenate(values: Sequence[jax.Array], copies: int) -> jax.Array:
    """Values of the parts, [B, copies * Ci] each, to [B, copies, C]."""
    return jnp.concatenate([v.reshape(v.shape[0], copies, -1) for v in values], axis=-1)


def _split(x: jax.Array, parts: _Parts, copies: int) -> list[jax.Array]:
    """[B, C] to coefficients of the parts' positions, [B, 1, 1, copies * Ci] each."""
    pieces, start = [], 0
    for part in parts:
        size = part.shape[-1] // copies
        piece = jnp.tile(x[:, start : start + size], (1, copies))
        pieces.append(piece[:, None, None, :])
        start += size
    return pieces
