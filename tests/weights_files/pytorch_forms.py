"""Writes PyTorch's files without PyTorch: the pickles that torch.save makes, byte by byte alike."""

import collections
import io
import pickle
import sys
import types
import zipfile

import numpy as np

STORAGES = {"float32": "FloatStorage", "float16": "HalfStorage", "int64": "LongStorage"}


class Tensor:
    """Pickled as torch pickles a tensor: a view of a storage."""

    def __init__(self, storage: np.ndarray, offset=0, shape=None, strides=None):
        self.storage = storage
        shape = storage.shape if shape is None else shape
        if strides is None:
            strides = tuple(s // storage.itemsize for s in np.zeros(shape, storage.dtype).strides)
        self.view = (offset, shape, strides)

    def __reduce__(self):
        function = sys.modules["torch._utils"]._rebuild_tensor_v2
        return function, (Storage(self.storage), *self.view, False, collections.OrderedDict())


class Storage:
    """Pickled as a persistent id."""

    def __init__(self, values):
        self.values = values


class Pickler(pickle.Pickler):
    def __init__(self, file, legacy):
        super().__init__(file, protocol=2)
        self.legacy, self.blocks = legacy, []

    def persistent_id(self, obj):
        if not isinstance(obj, Storage):
            return None
        self.blocks.append(obj.values)
        storage = getattr(sys.modules["torch"], STORAGES[obj.values.dtype.name])
        key = str(len(self.blocks) - 1)
        more = (None,) if self.legacy else ()
        return ("storage", storage, key, "cpu", obj.values.size, *more)


def fake_torch(monkeypatch):
    """Modules that the pickler finds torch's names in."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2():
        raise AssertionError

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def archive(contents) -> bytes:
    """As torch.save writes since 1.6."""
    main, out = io.BytesIO(), io.BytesIO()
    pickler = Pickler(main, legacy=False)
    pickler.dump(contents)
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("weights/data.pkl", main.getvalue())
        file.writestr("weights/version", "3\n")
        for key, block in enumerate(pickler.blocks):
            file.writestr(f"weights/data/{key}", block.tobytes())
    return out.getvalue()


def legacy(contents) -> bytes:
    """As torch.save wrote before 1.6."""
    out = io.BytesIO()
    for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
        pickle.dump(value, out, protocol=2)
    pickler = Pickler(out, legacy=True)
    pickler.dump(contents)
    pickle.dump([str(key) for key in range(len(pickler.blocks))], out, protocol=2)
    for block in pickler.blocks:
        out.write(block.size.to_bytes(8, "little") + block.tobytes())
    return out.getvalue()
