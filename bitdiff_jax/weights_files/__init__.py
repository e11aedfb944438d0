"""Files of weights, in the formats in which networks are published, as NumPy arrays by name.

safetensors, the initialisers of an ONNX graph, and PyTorch's .pt and .pth files. None of these
readers needs PyTorch or onnx, and none executes what a file says. The room knows no network.
"""

from bitdiff_jax.weights_files.named_tensors import NamedTensors
from bitdiff_jax.weights_files.reading import read
from bitdiff_jax.weights_files.safetensors_file import write

__all__ = ["NamedTensors", "read", "write"]
