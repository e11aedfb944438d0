"""Parameters in files: what is read is what was written, and what does not fit is named."""

import jax
import ml_dtypes
import numpy as np
import pytest

from bitdiff_jax import weights_files
from bitdiff_jax.errors import InputError
from bitdiff_jax.nets import encoders


class Tiny:
    name = "tiny"

    def init(self, key):
        return {"a": {"kernel": jax.random.normal(key, (3, 2))}, "b": jax.numpy.zeros(4)}


PARAMS = {"a": {"kernel": np.arange(6.0).reshape(3, 2)}, "b": np.full(4, 0.1)}


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_what_is_read_is_what_was_written(tmp_path, dtype):
    path = tmp_path / "weights.safetensors"
    encoders.save_params(path, PARAMS, dtype=dtype, metadata={"licence": "mine"})
    found = encoders.load_params(Tiny(), path)
    assert found["b"].dtype == dtype
    np.testing.assert_array_equal(found["a"]["kernel"], PARAMS["a"]["kernel"].astype(dtype))
    np.testing.assert_array_equal(found["b"], PARAMS["b"].astype(dtype))
    assert weights_files.read(path).metadata == {"licence": "mine"}
    assert encoders.weights_hash(path) == encoders.weights_hash(found)


def test_the_hash_is_of_names_dtypes_shapes_and_values():
    digest = encoders.weights_hash({"a": np.zeros(2, np.float32), "b": np.ones(1)})
    assert len(digest) == 64
    assert digest == encoders.weights_hash({"b": np.ones(1), "a": np.zeros(2, np.float32)})
    for other in (
        {"a": np.zeros(2, np.float32), "c": np.ones(1)},
        {"a": np.zeros(2, np.int32), "b": np.ones(1)},
        {"a": np.zeros((2, 1), np.float32), "b": np.ones(1)},
        {"a": np.zeros(2, np.float32), "b": np.full(1, 2.0)},
    ):
        assert encoders.weights_hash(other) != digest


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({"b": np.zeros(4)}, "has no tensor 'a/kernel'"),
        ({"a/kernel": np.zeros((3, 2)), "b": np.zeros(4), "c": np.zeros(1)}, "has a tensor 'c'"),
        ({"a/kernel": np.zeros((2, 3)), "b": np.zeros(4)}, r"'a/kernel' has shape \[2, 3\], not"),
        ({"a/kernel": np.zeros((3, 2), np.int8), "b": np.zeros(4)}, "'a/kernel' is int8"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(tmp_path, tensors, says):
    path = tmp_path / "weights.safetensors"
    weights_files.write(path, tensors, {})
    with pytest.raises(InputError, match=says) as error:
        encoders.load_params(Tiny(), path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)


def test_values_beyond_the_dtype_are_refused(tmp_path):
    with pytest.raises(InputError, match="'a' is not finite in float16"):
        encoders.save_params(tmp_path / "w.safetensors", {"a": np.array([1e6])})
