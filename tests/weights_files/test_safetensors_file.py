"""safetensors files that are damaged, and files of no known format."""

import numpy as np
import pytest

from bitdiff_jax import weights_files
from bitdiff_jax.errors import InputError


def test_a_truncated_file_is_an_error_of_one_line(tmp_path):
    path = tmp_path / "w.safetensors"
    weights_files.write(path, {"a": np.ones((3, 4), np.float16)}, {"licence": "mine"})
    data = path.read_bytes()
    for length in (9, 30, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match="is not a whole safetensors file") as error:
            weights_files.read(path)
        assert "\n" not in str(error.value)


def test_an_array_is_written_as_it_looks(tmp_path):
    path = tmp_path / "w.safetensors"
    whole = np.arange(12.0).reshape(3, 4)
    weights_files.write(path, {"a": whole.T, "b": whole[:, 1]}, {})
    found = weights_files.read(path).tensors
    np.testing.assert_array_equal(found["a"], whole.T)
    np.testing.assert_array_equal(found["b"], whole[:, 1])


@pytest.mark.parametrize("data", [b"", b"hello", b"GIF89a" + bytes(100)])
def test_a_file_of_another_format_says_so(tmp_path, data):
    path = tmp_path / "photo.gif"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"is no file of weights .* give a safetensors"):
        weights_files.read(path)


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        weights_files.read(tmp_path / "none.pt")
