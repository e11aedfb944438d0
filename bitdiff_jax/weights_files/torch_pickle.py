"""PyTorch's .pt and .pth files, read without PyTorch and without executing them.

Such a file is a pickle, and a pickle may call any function of any module. The reader here follows
the few references that a state dict consists of, and refuses every other one, so that nothing of
the file's choice is ever imported or called. Format: `torch/serialization.py` of PyTorch.
"""

import collections
import io
import math
import pickle
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from bitdiff_jax.errors import InputError
from bitdiff_jax.weights_files.named_tensors import NamedTensors, broken

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGES = {
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "DoubleStorage": "<f8",
    "BFloat16Storage": jnp.bfloat16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


class _Storage(NamedTuple):
    """A file's block of numbers, and the dtype to read it in."""

    key: str
    dtype: np.dtype


class _View(NamedTuple):
    """A tensor: a part of a storage, which the legacy format puts after the tensors."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def parse_archive(path: str, data: bytes) -> NamedTensors:
    """Reads the bytes of a file of PyTorch 1.6 and later, a zip archive; `path` is for messages.

    Raises:
        InputError: the file is cut short or damaged, refers to something other than tensors and
            plain values, or holds no state dict.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(each.file_size for each in archive.infolist()) > len(data):
                raise ValueError("it is compressed, which torch.save does not do")
            blocks = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
        if "data.pkl" not in blocks:
            raise ValueError("it is an archive of something else, without data.pkl")
        contents = _Unpickler(path, io.BytesIO(blocks["data.pkl"])).load()
        found = _tensors(path, contents, lambda key: blocks[f"data/{key}"])
    except InputError:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        raise broken(path, "PyTorch", _one_line(error)) from None
    return NamedTensors(path, found)


def parse_legacy(path: str, data: bytes) -> NamedTensors:
    """Reads the bytes of a file of before PyTorch 1.6, four pickles and the blocks after them.

    Args:
        path: the file, for messages.
        data: its bytes.

    Raises:
        InputError: as `parse_archive`.
    """
    file = io.BytesIO(data)
    try:
        if _Unpickler(path, file).load() != _LEGACY_MAGIC:
            raise InputError(
                f"{path}: is a pickle, but not one that torch.save wrote; give a file of weights"
            )
        for _ in ("protocol version", "system"):
            _Unpickler(path, file).load()
        reader = _Unpickler(path, file)
        contents = reader.load()
        blocks = {}
        for key in _Unpickler(path, file).load():
            count = int.from_bytes(file.read(8), "little")
            blocks[key] = file.read(count * reader.dtypes[key].itemsize)
        found = _tensors(path, contents, blocks.__getitem__)
    except InputError:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        raise broken(path, "PyTorch", _one_line(error)) from None
    return NamedTensors(path, found)


class _Unpickler(pickle.Unpickler):
    """Makes `_View`s, dicts and plain values, and nothing else."""

    def __init__(self, path: str, file: io.BytesIO):
        super().__init__(file, encoding="utf-8")
        self.path = path
        self.dtypes: dict[str, np.dtype] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return _view
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _parameter
        if module == "torch" and name in _STORAGES:
            # As a name, so that a file cannot call it.
            return name
        raise InputError(
            f"{self.path}: refers to {module}.{name}, which is not executed; give a file that "
            "holds a state dict alone, or its weights as safetensors"
        )

    def persistent_load(self, reference: Any) -> _Storage:
        kind, storage, key, *_ = reference
        if kind != "storage":
            raise ValueError(f"refers to a {kind}")
        self.dtypes[key] = np.dtype(_STORAGES[storage])
        return _Storage(key, self.dtypes[key])


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _view(storage: _Storage, offset: int, shape: Any, strides: Any, *_: Any) -> _View:
    return _View(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _parameter(data: _View, *_: Any) -> _View:
    return data


def _tensors(path: str, contents: Any, block: Callable[[str], bytes]) -> dict[str, np.ndarray]:
    """The arrays of a state dict, or of the one within a training's checkpoint."""
    if isinstance(contents, Mapping):
        for key in ("state_dict", "model", "teacher"):
            if isinstance(contents.get(key), Mapping):
                contents = contents[key]
        views = {key: each for key, each in contents.items() if isinstance(each, _View)}
        if views:
            return {name: _array(each, block(each.storage.key)) for name, each in views.items()}
    raise InputError(f"{path}: holds no state dict (tensors by name); save model.state_dict()")


def _array(view: _View, data: bytes) -> np.ndarray:
    """A tensor's values, copied; refuses what reaches beyond its block."""
    values = np.frombuffer(data, view.storage.dtype)
    last = view.offset + sum(
        (n - 1) * stride for n, stride in zip(view.shape, view.strides, strict=True)
    )
    if min((view.offset, *view.shape, *view.strides)) < 0:
        raise ValueError("a tensor has a negative size")
    if 0 not in view.shape and (last >= values.size or math.prod(view.shape) > values.size):
        raise ValueError(f"a tensor of shape {view.shape} has a block of {values.size} values")
    steps = tuple(stride * values.itemsize for stride in view.strides)
    return np.lib.stride_tricks.as_strided(values[view.offset :], view.shape, steps).copy()
