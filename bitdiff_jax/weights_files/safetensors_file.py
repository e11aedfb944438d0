"""safetensors files; the only importer of that package."""

import json
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from etils import epath
from jax.typing import DTypeLike

from bitdiff_jax import files
from bitdiff_jax.weights_files.named_tensors import NamedTensors, broken

_DTYPES: dict[str, DTypeLike] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": jnp.bfloat16,
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}


def parse(path: str, data: bytes) -> NamedTensors:
    """Reads the bytes of a safetensors file; `path` is for messages.

    Raises:
        InputError: the file is cut short or damaged.
    """
    try:
        # Not safetensors.numpy.load, which does not read bfloat16.
        tensors = {
            name: np.frombuffer(each["data"], _DTYPES[each["dtype"]]).reshape(each["shape"])
            for name, each in safetensors.deserialize(data)
        }
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise broken(path, "safetensors", " ".join(str(error).split())) from None
    return NamedTensors(path, tensors, header.get("__metadata__", {}))


def write(
    path: epath.PathLike, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Writes a safetensors file, whole or not at all; the same arrays and texts, the same bytes.

    Args:
        path: the file to write.
        tensors: arrays by name, in any dtype that the format has, bfloat16 among them.
        metadata: texts by name.

    Raises:
        InputError: the place cannot be written.
    """
    whole = {name: np.ascontiguousarray(each) for name, each in tensors.items()}
    files.write(path, _sorted_metadata(safetensors.numpy.save(whole, dict(metadata))))


def _sorted_metadata(data: bytes) -> bytes:
    """The bytes of a file with its metadata sorted: safetensors has it in another order each time.

    The tensors' order is the same each time, and so is where their values begin.
    """
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # values are aligned to 8 bytes
    return b"".join([len(text).to_bytes(8, "little"), text, memoryview(data)[end:]])
