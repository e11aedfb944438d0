"""Model FLOPs: operations of the network's convolutions and matrix products, by its definition.

They do not depend on what a compiler makes of the network. A multiply-add counts as 2.
Multiplications with the zeros of a convolution's padding are not counted, as in XLA's own count
(they would add 3 % to the paper's network). Everything else (sums, norms and activations) is left
out: it is a hundredth of the whole, and does not run on matrix units.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from bitdiff_jax.feature_grids import StoredCells
from bitdiff_jax.image_condition import IMAGE_CHANNELS
from bitdiff_jax.model import Model
from bitdiff_jax.nets import FusedUNet


@functools.lru_cache
def forward_jaxpr(model: Model) -> core.Jaxpr:
    """The jaxpr of the forward pass of one image, traced without folding and not compiled."""
    side, channels = model.image_size, model.encoding.num_channels
    x = jax.ShapeDtypeStruct((1, side, side, channels), jnp.float32)
    cond = jax.ShapeDtypeStruct((1, side, side, model.cond_channels), jnp.float32)
    if isinstance(model.net, FusedUNet):
        # Folding would count multiplications with zeros.
        model = dataclasses.replace(model, net=model.net.clone(fold=False))
    params = jax.eval_shape(model.init, jax.random.key(0))
    previous = (x,) if model.self_conditioned else ()
    t = jax.ShapeDtypeStruct((1,), jnp.float32)
    return jax.make_jaxpr(model.apply)(params, x, t, cond, *previous).jaxpr


def forward_flops(model: Model) -> int:
    """FLOPs of the forward pass of one image."""
    return count(forward_jaxpr(model))


def map_bytes(jaxpr: core.Jaxpr) -> int:
    """Bytes of the results of all convolutions and products in a jaxpr and in those inside it."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("dot_general", "conv_general_dilated"):
            out = equation.outvars[0].aval
            total += math.prod(out.shape) * out.dtype.itemsize  # type: ignore[attr-defined]
        total += sum(map_bytes(sub) for v in equation.params.values() for sub in _jaxprs(v))
    return total


@functools.lru_cache
def stem_flops(model: Model, stored: bool = False) -> int:
    """FLOPs of the feature stem on one image, once for all steps; 0 without an encoder.

    Args:
        model: the model.
        stored: whether it is given stored cells of the whole image, and not features on its grid.
    """
    if model.features is None:
        return 0
    grid, encoder, side = model.features.grid, model.features.encoder, model.image_size
    features: Any = jax.ShapeDtypeStruct((1, grid, grid, encoder.channels), jnp.float32)
    if stored:
        num_cells = encoder.image_size // encoder.stride
        weights = jax.ShapeDtypeStruct((1, grid, num_cells), jnp.float32)
        features = StoredCells(
            jax.ShapeDtypeStruct((1, num_cells, num_cells, encoder.channels), jnp.int8),
            jax.ShapeDtypeStruct((1, encoder.channels), jnp.float32),
            weights,
            weights,
        )
    pixels = side * model.image_scale
    image = jax.ShapeDtypeStruct((1, pixels, pixels, IMAGE_CHANNELS), jnp.uint8)
    valid_mask = jax.ShapeDtypeStruct((1, side, side), jnp.bool_)
    params = jax.eval_shape(model.init, jax.random.key(0))
    return count(jax.make_jaxpr(model.encode_image)(params, image, valid_mask, features).jaxpr)


@functools.lru_cache
def encoder_flops(model: Model) -> int:
    """FLOPs of the encoder on one image and of reading off its grid; 0 without an encoder."""
    if model.features is None:
        return 0
    encoder = model.features.encoder
    params = {"encoder": jax.eval_shape(encoder.init, jax.random.key(0))}
    image = jax.ShapeDtypeStruct(
        (1, encoder.image_size, encoder.image_size, IMAGE_CHANNELS), jnp.uint8
    )
    size = jax.ShapeDtypeStruct((1, 2), jnp.int32)
    return count(jax.make_jaxpr(model.encode)(params, image, size, size).jaxpr)


def train_step_flops(model: Model, batch_size: int, encoder_in_step: bool = False) -> int:
    """FLOPs of a training step: the forward pass, and twice as much for the backward pass.

    What `remat` computes again is not counted. The first guess of a self-conditioned model is
    counted: it is one more forward pass. Of an encoder in the step, a frozen one has its forward
    pass alone. Then the feature stem has one product backward, by its parameters, for each of its
    forward pass: nothing flows on into what it is given.

    Args:
        model: the model.
        batch_size: number of images.
        encoder_in_step: whether the model's encoder is part of the step; if not, the step is given
            stored cells.
    """
    image = (3 + model.self_conditioned) * forward_flops(model)
    if model.features is not None:
        tuned = model.features.tuned
        image += (3 if tuned else 2) * stem_flops(model, stored=not encoder_in_step)
        if encoder_in_step:
            image += (3 if tuned else 1) * encoder_flops(model)
    return image * batch_size


def sample_flops(model: Model, batch_size: int, num_steps: int, guided: bool) -> int:
    """FLOPs of drawing one map of each image; guidance doubles those of the network.

    The feature stem counts once. An encoder does not: images are encoded beforehand.
    """
    image = forward_flops(model) * num_steps * (1 + guided) + stem_flops(model)
    return image * batch_size


def count(jaxpr: core.Jaxpr) -> int:
    """FLOPs of `dot_general` and `conv_general_dilated` in a jaxpr and those inside it.

    The body of a scan counts as often as it runs, and that of a while loop once, since its number
    of runs is not known. Of a conditional's branches the most expensive one counts.
    """
    total = 0
    for equation in jaxpr.eqns:
        name, params = equation.primitive.name, equation.params
        if name == "dot_general":
            total += _dot(equation)
        elif name == "conv_general_dilated":
            total += _convolution(equation)
        else:
            inner = [count(sub) for value in params.values() for sub in _jaxprs(value)]
            if name == "scan":
                total += params["length"] * sum(inner)
            elif name == "cond":
                total += max(inner, default=0)
            else:
                total += sum(inner)
    return total


def valid_positions(
    size: int,
    kernel: int,
    output: int,
    *,
    stride: int = 1,
    padding_low: int = 0,
    base_dilation: int = 1,
    kernel_dilation: int = 1,
) -> int:
    """Pairs of output and kernel positions, along one axis, that meet an input element.

    Args:
        size: length of the input along the axis.
        kernel: length of the kernel.
        output: length of the output.
        stride: distance of neighbouring outputs.
        padding_low: number of padded positions before the first input element; may be negative.
        base_dilation: distance of the input's elements, with zeros between them.
        kernel_dilation: distance of the kernel's elements.
    """
    if kernel == 1 and padding_low == 0 and base_dilation == 1 and stride * (output - 1) < size:
        return output
    last = (size - 1) * base_dilation
    pairs = 0
    for k in range(kernel):
        offset = k * kernel_dilation - padding_low
        positions = range(offset, offset + stride * output, stride)
        pairs += sum(1 for p in positions if 0 <= p <= last and p % base_dilation == 0)
    return pairs


def _jaxprs(value: Any) -> Sequence[core.Jaxpr]:
    if isinstance(value, core.ClosedJaxpr):
        return [value.jaxpr]
    if isinstance(value, core.Jaxpr):
        return [value]
    if isinstance(value, tuple | list):
        return [jaxpr for item in value for jaxpr in _jaxprs(item)]
    return []


def _dot(equation: Any) -> int:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = equation.invars[0].aval.shape
    depth = math.prod(left[i] for i in contracted)
    return 2 * math.prod(equation.outvars[0].aval.shape) * depth


def _convolution(equation: Any) -> int:
    params = equation.params
    numbers = params["dimension_numbers"]
    (lhs, rhs), out = (v.aval.shape for v in equation.invars), equation.outvars[0].aval.shape
    positions = 1
    for axis, (i, k, o) in enumerate(
        zip(numbers.lhs_spec[2:], numbers.rhs_spec[2:], numbers.out_spec[2:], strict=True)
    ):
        positions *= valid_positions(
            lhs[i],
            rhs[k],
            out[o],
            stride=params["window_strides"][axis],
            padding_low=params["padding"][axis][0],
            base_dilation=params["lhs_dilation"][axis],
            kernel_dilation=params["rhs_dilation"][axis],
        )
    # rhs_spec is (output features, input features of one group, ...).
    depth = rhs[numbers.rhs_spec[1]]
    batch, features = out[numbers.out_spec[0]], out[numbers.out_spec[1]]
    return 2 * positions * depth * batch * features
