"""PyTorch's files: what is in them, and what is refused."""

import collections
import os
import pickle

import numpy as np
import pytest

from bitdiff_jax import weights_files
from bitdiff_jax.errors import InputError
from tests.weights_files import pytorch_forms
from tests.weights_files.pytorch_forms import Tensor

FORMS = {"archive": pytorch_forms.archive, "legacy": pytorch_forms.legacy}
VALUES = np.arange(12, dtype=np.float32)


@pytest.fixture(params=FORMS)
def saved(request, monkeypatch, tmp_path):
    pytorch_forms.fake_torch(monkeypatch)
    path = tmp_path / "weights.pth"

    def save(contents):
        path.write_bytes(FORMS[request.param](contents))
        return path

    return save


def state():
    return collections.OrderedDict(
        a=Tensor(VALUES.reshape(3, 4)),
        transposed=Tensor(VALUES, 0, (4, 3), (1, 4)),
        part=Tensor(VALUES, 5, (2, 2), (4, 1)),
        half=Tensor(np.array([0.5], np.float16)),
        count=Tensor(np.array(7, np.int64)),
    )


def test_tensors_are_read(saved):
    found = weights_files.read(saved(state())).tensors
    assert list(found) == ["a", "transposed", "part", "half", "count"]
    np.testing.assert_array_equal(found["a"], VALUES.reshape(3, 4))
    np.testing.assert_array_equal(found["transposed"], VALUES.reshape(3, 4).T)
    np.testing.assert_array_equal(found["part"], [[5, 6], [9, 10]])
    assert found["half"].dtype == np.float16 and found["count"] == 7


def test_a_state_dict_within_a_checkpoint_is_found(saved):
    found = weights_files.read(saved({"epoch": 3, "state_dict": state()})).tensors
    assert "part" in found and "epoch" not in found


class Command:
    """What a hostile file would hold."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_nothing_is_executed(saved, tmp_path):
    contents = {"a": Tensor(VALUES), "b": Command(str(tmp_path / "made"))}
    with pytest.raises(InputError, match=r"refers to (posix|nt).mkdir, which is not executed"):
        weights_files.read(saved(contents))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor(VALUES, 8, (5,), (1,)),
        Tensor(VALUES, 0, (3, 5), (4, 1)),
        Tensor(VALUES, 0, (1 << 40,), (0,)),
        Tensor(VALUES, 4, (2,), (-4,)),
    ],
    ids=["offset", "rows", "repeated", "backwards"],
)
def test_a_tensor_reaches_no_further_than_its_block(saved, tensor):
    with pytest.raises(InputError, match="not a whole PyTorch file") as error:
        weights_files.read(saved({"a": tensor}))
    assert "\n" not in str(error.value)


def test_a_truncated_file_is_an_error_of_one_line(saved):
    path = saved(state())
    data = path.read_bytes()
    for length in (3, len(data) // 4, len(data) // 2, len(data) - 3):
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match=r"weights.pth: ") as error:
            weights_files.read(path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("contents", [{}, {"a": 3}, [1], "weights"])
def test_a_file_without_tensors_says_so(saved, contents):
    with pytest.raises(InputError, match="holds no state dict"):
        weights_files.read(saved(contents))


def test_a_pickle_of_something_else_says_so(tmp_path):
    path = tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(InputError, match=r"is a pickle, but not one that torch.save wrote"):
        weights_files.read(path)
