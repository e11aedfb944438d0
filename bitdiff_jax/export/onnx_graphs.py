"""ONNX graphs of functions, made by jax2onnx.

jax2onnx is no extra of this package, since it asks for another version of orbax: see
docs/export.md. For every operation it goes through all values of the graph so far, so that a graph
of twice the size takes four times as long: an encoder is exported for one image, at which nothing
of a shape has to be computed in the graph, and with each depthwise convolution as one operation.
"""

import importlib
import pathlib
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from bitdiff_jax.errors import InputError
from bitdiff_jax.model import Model, Params
from bitdiff_jax.nets.encoders import layers
from bitdiff_jax.nets.encoders.pixels import in_float32

# What jax2onnx takes for an input: the shape of a float32 array, or an array's shape and dtype.
Input = tuple[Any, ...] | jax.ShapeDtypeStruct


def graph(
    function: Callable[..., jax.Array],
    inputs: Sequence[Input],
    remedy: str = "export --to stablehlo",
) -> bytes:
    """The bytes of a function's ONNX graph, weights included.

    Args:
        function: of arrays; what it closes over becomes part of the graph.
        inputs: of each argument; a name in a shape is a length that is open.
        remedy: what to do about a function that cannot be exported.

    Raises:
        InputError: jax2onnx is not installed, or fails at an operation.
    """
    try:
        onnx, jax2onnx = (importlib.import_module(name) for name in ("onnx", "jax2onnx"))
    except ImportError as error:
        raise InputError(
            f"--to onnx needs jax2onnx, and {error.name} is not installed; docs/export.md has the "
            "two lines, since pip alone cannot bring it"
        ) from None
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "graph.onnx"
        try:
            jax2onnx.to_onnx(
                function, inputs=list(inputs), model_name="bitdiff", return_mode="file",
                output_path=str(path),
            )  # fmt: skip
        except InputError:
            raise
        except Exception as error:  # of an operation that it does not know it raises what it likes
            told = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(f"jax2onnx cannot export this network ({told}); {remedy}") from error
        whole = onnx.load(path)  # with the weights that lie beside it
    return bytes(whole.SerializeToString())


def encoder_graph(model: Model, params: Params) -> bytes:
    """The graph of what `Model.encode` does with one image.

    Its inputs are the image, uint8 [1, N, N, 3], its size within the square and that of the label
    map within its own, int32 [1, 2] each; its output are the features, float32 [1, G, G, C].

    Args:
        model: a model with an image encoder.
        params: parameters, the encoder's among them.

    Raises:
        InputError: as `graph`.
    """
    assert model.features is not None
    side = model.features.encoder.image_size
    given = {"encoder": in_float32(params["encoder"])}

    def encode(image: jax.Array, encoder_size: jax.Array, size: jax.Array) -> jax.Array:
        with layers.depthwise_as_convolutions():
            return model.encode(given, image, encoder_size, size)

    pair = jax.ShapeDtypeStruct((1, 2), jnp.int32)
    image = jax.ShapeDtypeStruct((1, side, side, 3), jnp.uint8)
    return graph(encode, [image, pair, pair], "leave the encoder out by --no_encoder")
