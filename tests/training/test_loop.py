"""Training from end to end on a tiny network."""

import contextlib
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax.checkpoint import describe, open_for_reading
from bitdiff_jax.errors import InputError
from bitdiff_jax.training import loop, resume


def tiny(**changes):
    config = config_lib.load("base:smoke")
    # The loop is tested here, not the network.
    config.model.net.implementation = "tests.own_network:ThreeConvs"
    config.eval.data = ""
    config.train.log_every = 1
    for path, value in changes.items():
        with config.ignore_type():
            config.update_from_flattened_dict({path.replace("__", "."): value})
    return config


def losses(workdir):
    rows = {}
    for part in sorted((pathlib.Path(workdir) / "metrics").glob("*.jsonl")):
        for line in part.read_text().splitlines():
            row = json.loads(line)
            if "loss" in row:
                rows[row["step"]] = row["loss"]
    return rows


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """A run of six steps and an evaluation: its state and workdir, and printed.txt in it."""
    workdir = tmp_path_factory.mktemp("unbroken")
    config = tiny(eval__data="scenes,level=1,seed=1", train__eval_every=6)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        state = loop.train(config, workdir)
    (workdir / "printed.txt").write_text(printed.getvalue())
    return state, workdir


@pytest.mark.slow
def test_a_run_leaves_what_it_promises(unbroken):
    state, workdir = unbroken
    assert int(state.step) == 6
    assert sorted(losses(workdir)) == [1, 2, 3, 4, 5, 6]
    assert json.loads((workdir / "config.json").read_text())["train"]["num_steps"] == 6
    checkpoints, step = open_for_reading(workdir)
    with checkpoints:
        assert step == 6
        about = checkpoints.about(step)
    assert about["config"]["model"]["image_size"] == 32
    assert about["trained_on"] and about["fingerprint"]
    for leaf in jax.tree.leaves(state.params):
        assert np.isfinite(leaf).all()


@pytest.mark.slow
def test_a_broken_run_ends_where_the_unbroken_one_does(unbroken, tmp_path):
    """Three steps, a new start, three more: bit for bit the same on a CPU."""
    whole, whole_dir = unbroken
    # Decay off in neither: the rate depends on the total, so stop by the checkpoint instead.
    config = tiny()
    stop_after(config, tmp_path, 3)
    assert sorted(losses(tmp_path)) == [1, 2, 3]
    resumed = loop.train(config, tmp_path)
    assert losses(tmp_path) == losses(whole_dir)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(resumed), strict=True):
        np.testing.assert_array_equal(a, b)


def stop_after(config, workdir, step):
    """Interrupts a training once the checkpoint of `step` has been asked for."""

    class Stop(Exception):
        pass

    save = loop.Checkpoints.save

    def save_and_stop(self, number, *args):
        save(self, number, *args)
        if number == step:
            raise Stop

    loop.Checkpoints.save = save_and_stop
    try:
        with pytest.raises(Stop):
            loop.train(config, workdir)
    finally:
        loop.Checkpoints.save = save


@pytest.mark.slow
def test_a_finished_run_does_nothing_more(unbroken):
    whole, workdir = unbroken
    again = loop.train(tiny(), workdir)
    assert int(again.step) == int(whole.step) == 6


@pytest.mark.slow
def test_evaluation_and_its_image(unbroken):
    _, workdir = unbroken
    assert (workdir / "samples" / "00000006.png").is_file()
    out = (workdir / "printed.txt").read_text()
    assert "ARI" in out and "ETA" in out and "images/s" in out


@pytest.mark.slow
def test_another_model_in_the_workdir_is_refused(unbroken):
    _, workdir = unbroken
    with pytest.raises(InputError, match=r"model\.num_bits=6, the config says 4"):
        loop.train(tiny(model__num_bits=4), workdir)
    with pytest.raises(InputError, match=r"model\.net\.num_heads=4, the config says 2"):
        loop.train(tiny(model__net__num_heads=2), workdir)


def test_how_the_network_computes_may_change(tmp_path):
    def about(**net):
        changes = {"implementation": "fused"} | net
        config = tiny(**{f"model__net__{key}": value for key, value in changes.items()})
        return describe(config, "0" * 12, "scenes")

    how = {"remat": True, "dtype": "bfloat16", "implementation": "plain"}
    resume._check_resumable(about(), about(**how), tmp_path)
    for key, value in {"num_heads": 2, "implementation": "tests.own_network:ThreeConvs"}.items():
        with pytest.raises(InputError, match=f"model.net.{key}=.*config says {value}"):
            resume._check_resumable(about(), about(**{key: value}), tmp_path)


def test_the_optimizer_may_not_change(tmp_path):
    adamw, muon = (
        describe(tiny(optimizer__name=name), "0" * 12, "scenes") for name in ("adamw", "muon")
    )
    with pytest.raises(InputError, match=r"optimizer\.name=adamw, the config says muon"):
        resume._check_resumable(adamw, muon, tmp_path)
    del adamw["config"]["optimizer"]["name"]  # of a version that had no other
    with pytest.raises(InputError, match=r"optimizer\.name=adamw, the config says muon"):
        resume._check_resumable(adamw, muon, tmp_path)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    config = tiny(model__objective__loss="tests.own_parts:never_finite")
    with pytest.raises(InputError, match=r"the loss became nan within steps 1 to 1; lower .*rate"):
        loop.train(config, tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data__augment": "strong"}, "config.data.augment is 'strong'"),
        ({"data__train": "tiles"}, "unknown kind 'tiles'"),
        ({"data__train": "folder:/nonexistent"}, "/nonexistent"),
        ({"mesh__data": 3}, "config.mesh asks for data=3"),
        ({"model__objective__weight": "gamma"}, "config.model.objective.weight"),
        ({"model__num_bits": 0}, "num_bits"),
    ],
)
def test_bad_settings_are_named(changes, message, tmp_path):
    with pytest.raises(InputError, match=message):
        loop.train(tiny(**changes), tmp_path)


_SHARDED = """
import sys, jax
from bitdiff_jax.training import loop
from tests.training.test_loop import tiny, losses
assert jax.device_count() == 2
# Nothing of a step may wait for a copy that nobody asked for.
loop.train(tiny(telemetry__transfer_guard="disallow"), sys.argv[1])
"""


@pytest.mark.multiprocess
@pytest.mark.slow
def test_two_devices_give_the_losses_of_one(unbroken, tmp_path):
    """The whole loop; of the step alone tests/parallel says more."""
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2"
    env = os.environ | {"XLA_FLAGS": flags}
    subprocess.run([sys.executable, "-c", _SHARDED, str(tmp_path)], env=env, check=True)
    one, two = losses(unbroken[1]), losses(tmp_path)
    np.testing.assert_allclose(list(two.values()), list(one.values()), rtol=1e-5)


_ENDLESS = """
import sys
from bitdiff_jax.training import loop
from tests.training.test_loop import tiny
changes = dict(train__num_steps=100000, train__checkpoint_every=1, train__log_every=1000)
loop.train(tiny(**changes), sys.argv[1])
"""


@pytest.mark.slow
@pytest.mark.multiprocess
def test_killed_while_saving_it_resumes(tmp_path):
    """A checkpoint after every step: kill -9 falls into a save sooner or later."""
    process = subprocess.Popen([sys.executable, "-c", _ENDLESS, str(tmp_path)])
    folder = tmp_path / "checkpoints"
    deadline = time.monotonic() + 120
    while not (
        folder.is_dir() and any(p.name.isdigit() and int(p.name) > 5 for p in folder.iterdir())
    ):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    checkpoints, step = open_for_reading(tmp_path)
    checkpoints.__exit__()
    assert step >= 5
    config = tiny(train__num_steps=step + 2, optimizer__decay_steps=0)
    assert int(loop.train(config, tmp_path).step) == step + 2
