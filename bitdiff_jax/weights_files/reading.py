"""Reads a file of weights, whatever its format."""

import os

from etils import epath

from bitdiff_jax import files
from bitdiff_jax.errors import InputError
from bitdiff_jax.weights_files import onnx_initialisers, safetensors_file, torch_pickle
from bitdiff_jax.weights_files.named_tensors import NamedTensors


def read(path: epath.PathLike) -> NamedTensors:
    """Reads a file of weights; its first bytes tell the format, not its name.

    Args:
        path: a safetensors file, an ONNX graph, or a PyTorch file (a zip archive, or the format
            before PyTorch 1.6) that holds a state dict or a dict with one.

    Raises:
        InputError: the file is not there, cannot be read, is cut short or damaged, or has none of
            the formats; or a PyTorch file refers to something other than tensors and plain values.
    """
    name, data = os.fspath(path), files.read_bytes(path)
    if data[8:9] == b"{":
        return safetensors_file.parse(name, data)
    if data[:2] == b"PK":
        return torch_pickle.parse_archive(name, data)
    if data[:1] == b"\x80":
        return torch_pickle.parse_legacy(name, data)
    if data[:1] == b"\x08":
        return onnx_initialisers.parse(name, data)
    raise InputError(
        f"{name}: is no file of weights ({len(data)} bytes of another format); give a safetensors, "
        "ONNX, .pt or .pth file, or copy it again"
    )
