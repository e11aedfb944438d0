"""Files of an encoder's parameters: our own, and those in which the originals were published."""

import hashlib
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from jax.typing import DTypeLike

from bitdiff_jax import traces, weights_files
from bitdiff_jax.errors import InputError
from bitdiff_jax.nets.encoders.interface import Encoder
from bitdiff_jax.nets.encoders.original_names import Originals

_BUNDLED = pathlib.Path(__file__).parents[2] / "weights"


def bundled(name: str) -> pathlib.Path | None:
    """The file of an encoder's weights that comes with the package, or None if none does."""
    path = _BUNDLED / f"{name}.safetensors"
    return path if path.is_file() else None


def load_params(encoder: Encoder, path: epath.PathLike) -> Any:
    """Reads an encoder's parameters, checking that they are all there and nothing else is.

    Args:
        encoder: the encoder.
        path: a file that `save_params` wrote; or one with the published weights, if the encoder
            has a method `from_original`: safetensors, an ONNX graph, or a PyTorch state dict,
            of which nothing is executed. Its names tell which of the two it is.

    Returns:
        The tree that `encoder.init` returns, as NumPy arrays in the dtypes of the file.

    Raises:
        InputError: the file cannot be read, is damaged, or a tensor is missing, is not the
            encoder's, has another shape or no floating-point values.
    """
    file = weights_files.read(path)
    shapes = _flat(traces.shapes(lambda: encoder.init(jax.random.key(0)), encoder))
    tensors = file.tensors
    convert = getattr(encoder, "from_original", None)
    if convert is not None and not tensors.keys() & shapes.keys():
        originals = Originals(file.path, tensors, encoder.name)
        converted = convert(originals, list(shapes))
        tensors = {
            name: laid_out(each, name, shapes[name].ndim) for name, each in converted.items()
        }
    for name in [*shapes, *tensors]:
        if name not in tensors:
            trouble = f"has no tensor {name!r}"
        elif name not in shapes:
            trouble = f"has a tensor {name!r}, which {encoder.name} has no place for"
        elif tensors[name].shape != shapes[name].shape:
            given, needed = list(tensors[name].shape), list(shapes[name].shape)
            trouble = f"tensor {name!r} has shape {given}, not {needed}"
        elif not jnp.issubdtype(tensors[name].dtype, jnp.floating):
            trouble = f"tensor {name!r} is {tensors[name].dtype}, not floating-point"
        else:
            continue
        raise InputError(f"{file.path}: {trouble}; give the weights of {encoder.name}")
    return flax.traverse_util.unflatten_dict({name: tensors[name] for name in shapes}, sep="/")


def save_params(
    path: epath.PathLike,
    params: Any,
    *,
    dtype: DTypeLike = jnp.float16,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes parameters as safetensors, a tensor's name being its path in the tree, 'a/b/kernel'.

    Args:
        path: the file to write.
        params: nested dicts of arrays.
        dtype: what to store them in.
        metadata: texts that go with them, such as their origin and licence.

    Raises:
        InputError: the place cannot be written, or a value is too large for the dtype.
    """
    tensors = {name: np.asarray(each) for name, each in _flat(params).items()}
    with np.errstate(over="ignore"):  # it is told below
        stored = {name: each.astype(dtype) for name, each in tensors.items()}
    for name, each in stored.items():
        if not np.isfinite(each.astype(np.float32)).all():
            raise InputError(
                f"{path}: tensor {name!r} is not finite in {np.dtype(dtype).name}; give a dtype "
                "with more range, or finite parameters"
            )
    weights_files.write(path, stored, metadata or {})


def weights_hash(weights: Any) -> str:
    """The SHA-256 of weights, in hexadecimal: of their names, dtypes, shapes and values.

    It is the same for a file of `save_params` and for the parameters that were read from it.

    Args:
        weights: nested dicts of arrays, or the path of a file of weights in any format.

    Raises:
        InputError: the file cannot be read.
    """
    if isinstance(weights, str | os.PathLike):
        tensors = dict(weights_files.read(weights).tensors)
    else:
        tensors = _flat(weights)
    digest = hashlib.sha256()
    for name, each in sorted(tensors.items()):
        array = np.asarray(each)
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _flat(params: Any) -> dict[str, Any]:
    return flax.traverse_util.flatten_dict(params, sep="/")


def laid_out(array: np.ndarray, name: str, ndim: int) -> np.ndarray:
    """A tensor in the layout of flax: PyTorch puts output channels first.

    Args:
        array: a convolution's weight [out, in, h, w], a linear layer's [out, in], or another.
        name: the parameter's path.
        ndim: its dimensions; the kernel of a convolution of 1 x 1 has two, and a vector loses the
            empty dimensions that it was given.
    """
    while array.ndim > ndim and array.shape[-1] == 1:
        array = array[..., 0]
    if name.endswith("/kernel"):
        return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
    return array
