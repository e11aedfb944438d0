import errno

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.checkpoint import Checkpoints, open_for_reading
from bitdiff_jax.errors import InputError

STATE = {"step": np.int32(3), "params": {"a": {"kernel": np.arange(6.0).reshape(2, 3)}}}


def abstract(tree):
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    as_shape = lambda x: jax.ShapeDtypeStruct(np.shape(x), np.asarray(x).dtype, sharding=device)  # noqa: E731
    return jax.tree.map(as_shape, tree)


def float32(tree):
    return jax.tree.map(jnp.asarray, tree)


@pytest.fixture
def saved(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(3, float32(STATE), {"config": {"seed": 1}})
    return tmp_path


def test_round_trip(saved):
    checkpoints, step = open_for_reading(saved)
    with checkpoints:
        assert step == 3 and checkpoints.about(3) == {"config": {"seed": 1}}
        whole = checkpoints.restore(3, abstract(float32(STATE)))
        part = checkpoints.restore_part(3, "params", abstract(float32(STATE))["params"])
    np.testing.assert_array_equal(whole["params"]["a"]["kernel"], STATE["params"]["a"]["kernel"])
    np.testing.assert_array_equal(part["a"]["kernel"], STATE["params"]["a"]["kernel"])


def test_the_folder_of_checkpoints_may_be_named_itself(saved):
    checkpoints, step = open_for_reading(saved / "checkpoints")
    checkpoints.__exit__()
    assert step == 3


def test_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Checkpoints("runs/mine") as checkpoints:
        checkpoints.save(1, float32(STATE), {})
    checkpoints, step = open_for_reading("runs/mine")
    checkpoints.__exit__()
    assert step == 1


def test_only_the_last_ones_are_kept(tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step in (1, 2, 3, 4):
            checkpoints.save(step, float32(STATE), {})
    assert sorted(int(p.name) for p in (tmp_path / "checkpoints").iterdir()) == [3, 4]


def test_other_shapes_are_refused(saved):
    other = float32(STATE)
    other["params"]["a"]["kernel"] = jnp.zeros((2, 4))
    checkpoints, _ = open_for_reading(saved)
    with checkpoints:
        with pytest.raises(
            InputError, match=r"params/a/kernel has shape \(2, 3\) there and \(2, 4\)"
        ):
            checkpoints.restore(3, abstract(other))
        with pytest.raises(InputError, match=r"a/kernel has shape"):
            checkpoints.restore_part(3, "params", abstract(other)["params"])
        other["params"]["b"] = jnp.zeros(3)
        other["params"]["a"]["kernel"] = jnp.zeros((2, 3))
        with pytest.raises(InputError, match=r"params/b has shape none there"):
            checkpoints.restore(3, abstract(other))


def test_no_checkpoints(tmp_path):
    with pytest.raises(InputError, match="no 'checkpoints' folder"):
        open_for_reading(tmp_path / "nowhere")
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(InputError, match="no complete step"):
        open_for_reading(tmp_path)


def test_half_a_save_is_not_a_checkpoint(saved):
    (saved / "checkpoints" / "9.orbax-checkpoint-tmp").mkdir()
    checkpoints, step = open_for_reading(saved)
    checkpoints.__exit__()
    assert step == 3


def test_a_full_disk_is_named_and_loses_nothing(saved, monkeypatch):
    checkpoints = Checkpoints(saved)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints._manager, "save", full)
    with pytest.raises(InputError, match=r"no space left; free some and run the same"):
        checkpoints.save(4, float32(STATE), {})
    checkpoints.__exit__()
    checkpoints, step = open_for_reading(saved)
    checkpoints.__exit__()
    assert step == 3


def test_a_path_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write to checkpoints in"):
        Checkpoints(tmp_path / "file")
