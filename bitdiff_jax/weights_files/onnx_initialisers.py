"""The weights in an ONNX graph, by the names that the modules of its PyTorch original had.

An exporter folds batch norms into convolutions, transposes the weights of linear layers, and then
calls what it made `onnx::Conv_2293` or `onnx::MatMul_2385`. The node that uses such a tensor still
carries the path of its module, `/layers.1/blocks.0/attn/qkv/MatMul`, so a tensor gets its name from
there. Formats: https://protobuf.dev/programming-guides/encoding, and onnx.proto of ONNX.
"""

import itertools
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from bitdiff_jax.weights_files.named_tensors import NamedTensors, broken

# TensorProto.data_type, and the field of TensorProto that holds such values one by one.
_DTYPES = {1: "<f4", 7: "<i8", 10: "<f2", 11: "<f8"}
# Operators whose second argument is a weight, and those that follow a norm's division.
_WEIGHTS = {"Conv": "weight", "Gemm": "weight", "MatMul": "weight", "Mul": "weight", "Add": "bias"}


class _Node(NamedTuple):
    """An operation of the graph; a Constant has its tensor, if it is one of numbers."""

    name: str
    kind: str
    inputs: list[str]
    outputs: list[str]
    constant: np.ndarray | None


def parse(path: str, data: bytes) -> NamedTensors:
    """Reads the bytes of an ONNX file.

    Args:
        path: the file, for messages.
        data: its bytes.

    Returns:
        The initialisers, and constants of at least one dimension that enter a product or sum, as
        PyTorch names and lays them out: a linear layer's weight is [out, in].

    Raises:
        InputError: the file is cut short or damaged, or keeps its weights in another file.
    """
    try:
        graph = [value for number, value in _fields(data) if number == 7]
        nodes: list[_Node] = []
        tensors: dict[str, np.ndarray] = {}
        for number, value in _fields(b"".join(graph)):
            if number == 1:
                nodes.append(_node(value))
            elif number == 5:
                name, values = _tensor(value)
                tensors[name] = values
    except (ValueError, IndexError, KeyError, struct.error) as error:
        raise broken(path, "ONNX", str(error) or type(error).__name__) from None
    if not tensors:
        raise broken(path, "ONNX", "it has no initialisers")
    constants: dict[str, np.ndarray] = {}
    for node in nodes:
        if node.constant is not None and node.constant.ndim:
            constants[node.outputs[0]] = node.constant
        if node.kind not in _WEIGHTS:
            continue
        for place, name in enumerate(node.inputs):
            array = constants.get(name)
            if name.startswith("onnx::") and name in tensors:  # a name that the exporter made up
                array = tensors.pop(name)
            if array is not None:
                # A convolution's third argument is its bias.
                leaf = "bias" if place == 2 else _WEIGHTS[node.kind]
                laid_out = array.T if node.kind == "MatMul" else array
                tensors[f"{_module(node.name)}.{leaf}"] = laid_out
    return NamedTensors(path, tensors)


def _module(name: str) -> str:
    """'/patch_embed/seq/seq.0/c/Conv' -> 'patch_embed.seq.0.c'.

    The path of a module in a container repeats the container's name.
    """
    *parts, _ = name.strip("/").split("/")
    pairs = itertools.zip_longest(parts, parts[1:], fillvalue="")
    return ".".join(part for part, after in pairs if not after.startswith(f"{part}."))


def _node(data: bytes) -> _Node:
    """Reads a NodeProto."""
    fields = list(_fields(data))
    texts = {i: [str(value, "utf-8") for n, value in fields if n == i] for i in (1, 2, 3, 4)}
    constant = None
    for number, value in fields:
        if number == 5:
            attribute = dict(_fields(value))
            if attribute.get(1) == b"value" and 5 in attribute:
                constant = _tensor(attribute[5])[1]
    return _Node("".join(texts[3]), "".join(texts[4]), texts[1], texts[2], constant)


def _tensor(data: bytes) -> tuple[str, np.ndarray]:
    """A TensorProto: its name and values."""
    shape: list[int] = []
    name, kind, raw = "", 0, b""
    for number, value in _fields(data):
        if number == 1:
            shape += [value] if isinstance(value, int) else _varints(value)
        elif number == 2:
            kind = value
        elif number == 8:
            name = value.decode()
        elif number in (4, 9):  # packed floats, raw bytes
            raw = value
        elif number == 13:
            raise ValueError(f"tensor {name!r} lies in another file")
    dtype = _DTYPES.get(kind)
    if dtype is None:  # such as integers and flags that shape the graph, and are no weights
        return name, np.zeros(())
    return name, np.frombuffer(raw, np.dtype(dtype)).reshape(shape)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a protobuf message, in order: number and value, bytes if it has a length."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, place = _varint(data, place)
            yield number, value
            continue
        size = {1: 8, 5: 4}.get(wire)
        if wire == 2:
            size, place = _varint(data, place)
        if size is None or place + size > len(data):
            raise ValueError(f"it ends or is damaged at byte {place}")
        yield number, data[place : place + size]
        place += size


def _varints(data: bytes) -> list[int]:
    values, place = [], 0
    while place < len(data):
        value, place = _varint(data, place)
        values.append(value)
    return values


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
        if shift > 63:
            raise ValueError("a number is too long")
