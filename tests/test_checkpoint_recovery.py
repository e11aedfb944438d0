"""Checkpoints that were torn or changed on the disk, and saves that did not happen."""

import json
import logging
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.checkpoint import Checkpoints, Damaged, restore_last_good, store
from bitdiff_jax.errors import InputError
from tests.test_checkpoint import abstract, float32


def state(step):
    rng = np.random.default_rng(step)
    weights = {"kernel": rng.normal(size=(64, 64)), "bias": rng.normal(size=64)}
    return float32({"step": np.int32(step), "params": weights})


ABSTRACT = abstract(state(0))


@pytest.fixture
def saved(tmp_path):
    """Steps 1, 2 and 3."""
    with Checkpoints(tmp_path, keep=3) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, state(step), {"config": {"step": step}})
    return tmp_path


def folder(workdir, step):
    return workdir / "checkpoints" / str(step)


def largest_file(path):
    return max((p for p in path.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


def flip_a_bit(path):
    file = largest_file(path / "state")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 8
    file.write_bytes(content)


def change_a_weight(path):
    """What no file format would notice: a whole checkpoint, with one number changed."""
    sums = next((path / "checksums").iterdir())
    text = json.loads(sums.read_text())
    text["state"]["params/bias"] ^= 1
    sums.write_text(json.dumps(text))


def change_about(path):
    file = next((path / "about").iterdir())
    file.write_text(file.read_text().replace("3", "4"))


def cut_about(path):
    file = next((path / "about").iterdir())
    file.write_text(file.read_text()[:-3])


def empty(path):
    shutil.rmtree(path)
    path.mkdir()


def drop_the_state(path):
    shutil.rmtree(path / "state")


def cut_the_largest(path):
    file = largest_file(path / "state")
    file.write_bytes(file.read_bytes()[:100])


DAMAGES = (
    flip_a_bit,
    change_a_weight,
    change_about,
    cut_about,
    empty,
    drop_the_state,
    cut_the_largest,
)


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda f: f.__name__)
def test_what_is_damaged_is_found_and_set_aside(saved, damage, caplog):
    damage(folder(saved, 3))
    with Checkpoints(saved, keep=3) as checkpoints:
        with pytest.raises(Damaged, match=r"checkpoints/3 is damaged \(.*sets it aside"):
            checkpoints.about(3)
            checkpoints.restore(3, ABSTRACT)
        with caplog.at_level(logging.WARNING):
            step, got = restore_last_good(checkpoints, ABSTRACT)
        assert step == 2 and "Step 3 was moved to" in caplog.text
        for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(state(2)), strict=True):
            np.testing.assert_array_equal(a, b)
        # The same step can be saved again, and is the last one.
        checkpoints.save(3, state(30), {})
        checkpoints.wait()
        assert restore_last_good(checkpoints, ABSTRACT)[0] == 3
    assert (saved / "quarantine" / "3").is_dir()
    damage(folder(saved, 3)) if damage is not change_about else cut_about(folder(saved, 3))
    with Checkpoints(saved) as checkpoints:
        assert restore_last_good(checkpoints, ABSTRACT)[0] == 2
    assert {p.name for p in (saved / "quarantine").iterdir()} == {"3", "3.1"}


def test_a_whole_run_of_damaged_ones(saved):
    for step in (2, 3):
        flip_a_bit(folder(saved, step))
    with Checkpoints(saved) as checkpoints:
        assert restore_last_good(checkpoints, ABSTRACT)[0] == 1
    flip_a_bit(folder(saved, 1))
    with (
        Checkpoints(saved) as checkpoints,
        pytest.raises(InputError, match=r"none of the 1 checkpoints in .* is whole"),
    ):
        restore_last_good(checkpoints, ABSTRACT)
    assert folder(saved, 1).is_dir()


def test_only_steps_below(saved, tmp_path_factory):
    with Checkpoints(saved) as checkpoints:
        assert restore_last_good(checkpoints, ABSTRACT, below=3)[0] == 2
        assert checkpoints.steps() == [1, 2]
        assert restore_last_good(checkpoints, ABSTRACT, below=1) is None
        assert checkpoints.latest_step() is None
    with Checkpoints(tmp_path_factory.mktemp("new")) as checkpoints:
        assert restore_last_good(checkpoints, ABSTRACT) is None


def test_another_model_is_not_damage(saved):
    other = abstract({**state(0), "params": {"kernel": jnp.zeros((64, 65)), "bias": jnp.zeros(64)}})

    def refuse(about):
        raise InputError("no")

    with Checkpoints(saved) as checkpoints:
        with pytest.raises(InputError, match="is of another model"):
            restore_last_good(checkpoints, other)
        with pytest.raises(InputError, match=r"^no$"):
            restore_last_good(checkpoints, ABSTRACT, check=refuse)
    assert not (saved / "quarantine").exists()


def test_a_network_may_stumble_once(saved, monkeypatch):
    with Checkpoints(saved) as checkpoints:
        read, failures = store.Checkpoints.read, [OSError("unavailable")]

        def stumbling(self, *args):
            if failures:
                raise Damaged(str(failures.pop()))
            return read(self, *args)

        monkeypatch.setattr(store.Checkpoints, "read", stumbling)
        assert restore_last_good(checkpoints, ABSTRACT)[0] == 3


def test_no_permission_is_not_damage(saved, monkeypatch):
    def refuse(self, step, item):
        raise PermissionError("not yours")

    monkeypatch.setattr(store.Checkpoints, "_json", refuse)
    with (
        Checkpoints(saved) as checkpoints,
        pytest.raises(InputError, match="check its permissions") as error,
    ):
        restore_last_good(checkpoints, ABSTRACT)
    assert not isinstance(error.value, Damaged)


def test_checkpoints_without_checksums_still_load(saved):
    shutil.rmtree(folder(saved, 3) / "checksums")
    with Checkpoints(saved) as checkpoints:
        assert restore_last_good(checkpoints, ABSTRACT)[0] == 3


@pytest.mark.parametrize("step", [2, 3])
def test_a_save_that_orbax_leaves_out_is_an_error(saved, step):
    with (
        Checkpoints(saved) as checkpoints,
        pytest.raises(InputError, match=rf"step {step} was not saved .* where step 3 is already"),
    ):
        checkpoints.save(step, state(step), {})


def test_a_save_that_vanished_is_an_error(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, state(1), {})
    checkpoints._manager.wait_until_finished()
    shutil.rmtree(folder(tmp_path, 1))
    with pytest.raises(InputError, match=r"step 1 was saved .* but is not there"):
        checkpoints.save(2, state(2), {})
    checkpoints.__exit__()


def test_what_stays(tmp_path):
    scores = {1: 0.1, 2: 0.9, 3: float("nan"), 5: 0.2, 6: 0.9}
    options = dict(keep=1, keep_every=4, keep_best=1, best_by="ari")
    with Checkpoints(tmp_path, **options) as checkpoints:
        for step in range(1, 6):
            checkpoints.save(step, state(step), {})
            if step in scores:
                checkpoints.add_scores(step, {"ari": scores[step]})
    names = lambda: sorted(int(p.name) for p in (tmp_path / "checkpoints").iterdir())  # noqa: E731
    assert names() == [2, 4, 5]
    with Checkpoints(tmp_path, **options) as checkpoints:  # it knows the best of earlier starts
        assert checkpoints.about(2) == {"scores": {"ari": 0.9}}
        checkpoints.save(6, state(6), {})
        checkpoints.add_scores(6, {"ari": 0.5})
        checkpoints.save(7, state(7), {})
    assert names() == [2, 4, 7]


def test_half_written_steps_are_cleared_away_by_a_training_alone(saved):
    torn = saved / "checkpoints" / "9.orbax-checkpoint-tmp"
    torn.mkdir()
    with Checkpoints(saved, create=False):
        pass
    assert torn.exists()
    with Checkpoints(saved) as checkpoints:
        checkpoints.save(9, state(9), {})
    assert not torn.exists() and folder(saved, 9).is_dir()


def test_a_state_may_be_donated_while_it_is_saved(tmp_path):
    """The write goes on in the background; the buffers are overwritten meanwhile."""
    step = jax.jit(lambda s: jax.tree.map(lambda x: x * 3 + 1, s), donate_argnums=0)
    now = step(state(1))
    with Checkpoints(tmp_path) as checkpoints:
        wanted = jax.tree.map(lambda x: np.array(x, copy=True), now)
        checkpoints.save(1, now, {})
        for _ in range(20):
            now = step(now)
        checkpoints.wait()
        got = checkpoints.restore(1, ABSTRACT)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_array_equal(a, b)
