"""The weights of an ONNX graph, in bytes that are written here field by field."""

import numpy as np
import pytest

from bitdiff_jax import weights_files
from bitdiff_jax.errors import InputError


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name, array):
    kind = {"float32": 1, "int64": 7, "float16": 10}[array.dtype.name]
    dims = b"".join(field(1, n) for n in array.shape)
    return dims + field(2, kind) + field(8, name) + field(9, array.tobytes())


def node(kind, name, inputs, output, constant=None):
    out = b"".join(field(1, each) for each in inputs) + field(2, output) + field(3, name)
    out += field(4, kind)
    if constant is not None:
        out += field(5, field(1, "value") + field(20, 4) + field(5, tensor("", constant)))
    return out


def model(nodes, tensors):
    graph = b"".join(field(1, each) for each in nodes)
    graph += b"".join(field(5, tensor(name, array)) for name, array in tensors.items())
    return field(1, 8) + field(2, "pytorch") + field(7, graph)


WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)
PAIRS = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
GRAPH = model(
    [
        node("Conv", "/stem/stem.0/c/Conv", ["x", "onnx::Conv_1", "onnx::Conv_2"], "y"),
        node("MatMul", "/layers.0/attn/qkv/MatMul", ["y", "onnx::MatMul_3"], "z"),
        node("Constant", "/layers.0/attn/Constant", [], "/layers.0/attn/Constant_output_0", PAIRS),
        node("Add", "/layers.0/attn/Add", ["z", "/layers.0/attn/Constant_output_0"], "w"),
        node("Constant", "/e", [], "/e_output_0", np.array(1e-5, np.float32)),
        node("Add", "/norm/Add", ["w", "/e_output_0"], "v"),
        node("Add", "/layers.0/attn/qkv/Add", ["layers.0.attn.qkv.bias", "v"], "u"),
    ],
    {
        "layers.0.attn.qkv.bias": np.ones(3, np.float16),
        "onnx::Conv_1": np.ones((4, 3, 1, 1), np.float32),
        "onnx::Conv_2": np.zeros(4, np.float32),
        "onnx::MatMul_3": WEIGHT,
    },
)


def test_tensors_have_the_names_and_layout_of_the_original(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(GRAPH)
    found = weights_files.read(path).tensors
    assert found.keys() == {
        "layers.0.attn.qkv.bias", "stem.0.c.weight", "stem.0.c.bias", "layers.0.attn.qkv.weight",
        "layers.0.attn.bias",
    }  # fmt: skip
    np.testing.assert_array_equal(found["layers.0.attn.qkv.weight"], WEIGHT.T)
    np.testing.assert_array_equal(found["layers.0.attn.bias"], PAIRS)
    assert found["stem.0.c.weight"].shape == (4, 3, 1, 1)
    assert found["layers.0.attn.qkv.bias"].dtype == np.float16


@pytest.mark.parametrize("length", [1, 10, len(GRAPH) // 2, len(GRAPH) - 1])
def test_a_truncated_graph_is_an_error_of_one_line(tmp_path, length):
    path = tmp_path / "net.onnx"
    path.write_bytes(GRAPH[:length])
    with pytest.raises(InputError, match=r"net.onnx: ") as error:
        weights_files.read(path)
    assert "\n" not in str(error.value)


def test_weights_in_another_file_are_named(tmp_path):
    path = tmp_path / "net.onnx"
    outside = field(5, field(8, "far") + field(2, 1) + field(13, field(1, "location")))
    path.write_bytes(field(1, 8) + field(7, outside))
    with pytest.raises(InputError, match="tensor 'far' lies in another file"):
        weights_files.read(path)
