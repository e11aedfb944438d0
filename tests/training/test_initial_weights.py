"""A training that starts from trained weights: what is kept, what is new, and the resumed run."""

import jax
import numpy as np
import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax import model_config, training
from bitdiff_jax.cli import main as cli
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import load, pack
from bitdiff_jax.nets import encoders
from bitdiff_jax.training import initial_weights
from tests.inference import tiny

LICENCE = "research, non-commercial"


def own_config(**model):
    """Three convolutions, which train within a second."""
    config = config_lib.load("base:smoke")
    config.model.image_size = 16
    config.model.net.implementation = "tests.own_network:ThreeConvs"
    config.eval.data = ""
    config.train.num_steps = 2
    config.optimizer.warmup_steps = 1
    config.optimizer.decay_steps = 0
    config.train.checkpoint_every = 1
    config.train.log_every = 1
    config.update_from_flattened_dict(model)
    return config


def with_encoder(folder, **encoder):
    weights = folder / "means.safetensors"
    encoders.save_params(weights, {"gain": np.float32([0.5, 1, 1])}, dtype=np.float32)
    config = own_config()
    config.model.encoder.update(
        {
            "name": "tests.own_encoder:Means",
            "grid": 8,
            "channels": 5,
            "weights": str(weights),
            **encoder,
        }
    )
    return config


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A file of trained weights, and the parameters in it."""
    folder = tmp_path_factory.mktemp("start")
    loaded = load(tiny.save_checkpoint(folder / "run", own_config()))
    pack(loaded, folder / "start.safetensors", dtype="float32", licence=LICENCE)
    return folder / "start.safetensors", loaded.params


def kept(path, config):
    return initial_weights.kept(path, model_config.from_config(config))


def equal(a, b):
    return jax.tree.all(jax.tree.map(np.array_equal, a, b))


def test_everything_is_kept_of_the_same_model_at_any_size(start):
    path, params = start
    found = kept(path, own_config(**{"model.image_size": 32}))
    assert not found.new and not found.unused
    assert found.num_kept == found.num_params == sum(x.size for x in jax.tree.leaves(params))
    first, notice = found.report().splitlines()
    assert first == (
        f"started from {path} (step {tiny.STEP}): {found.num_kept:,} of {found.num_kept:,} "
        "parameters kept"
    )
    assert notice == f"{path}: terms of use: {LICENCE}"


def test_other_bits_make_the_first_and_the_last_layer_new(start):
    path, _ = start
    found = kept(path, own_config(**{"model.num_bits": 4}))
    assert found.new == {
        "net/first": "its kernel is [3, 3, 7, 8] here, [3, 3, 9, 8] there",
        "net/last": "its kernel is [1, 1, 8, 4] here, [1, 1, 8, 6] there",
    }
    # As a whole: the bias of the first layer would have fitted.
    layers = {name.rpartition("/")[0] for name in found.leaves}
    assert layers == {"net/second", "net/time"}
    assert "  new: net/first, its kernel is [3, 3, 7, 8] here" in found.report()


def test_an_encoder_is_new_to_a_model_without_one(start, tmp_path):
    path, _ = start
    found = kept(path, with_encoder(tmp_path))
    assert found.new == {
        "features/cells": "not among them",
        "net/first": "its kernel is [3, 3, 14, 8] here, [3, 3, 9, 8] there",
    }
    run = tiny.save_checkpoint(tmp_path / "run", with_encoder(tmp_path))
    back = kept(run, own_config())
    assert back.unused == ("features/cells",) and list(back.new) == ["net/first"]
    assert "  not in this model: features/cells" in back.report()
    assert not kept(run, with_encoder(tmp_path, image_size=64)).new


def test_features_of_another_encoder_mean_something_else(tmp_path, monkeypatch):
    run = tiny.save_checkpoint(tmp_path / "run", with_encoder(tmp_path))
    model = model_config.from_config(with_encoder(tmp_path))
    monkeypatch.setattr(initial_weights, "_encoder", lambda each: f"{id(each)}")
    found = initial_weights.kept(run, model)
    assert list(found.new) == ["features/cells"]
    assert found.new["features/cells"].startswith("trained there on features of ")


def test_a_tuned_encoder_begins_with_the_frozen_one(tmp_path):
    run = tiny.save_checkpoint(tmp_path / "run", with_encoder(tmp_path))
    found = kept(run, with_encoder(tmp_path, tuned=True))
    np.testing.assert_array_equal(found.leaves["encoder/gain"], [0.5, 1, 1])


def test_nothing_that_fits_is_refused(start):
    path, _ = start
    unet = config_lib.load("base:smoke")
    with pytest.raises(InputError, match=r"init is '.*start.safetensors', of which not one layer"):
        kept(path, unet)


@pytest.mark.slow
def test_a_training_starts_from_them_and_resumes_without(start, tmp_path, capsys, monkeypatch):
    path, params = start
    config = own_config()
    setup = training.prepare(config)
    state = initial_weights.put_into(setup.init(), setup.model, kept(path, config).leaves)
    assert equal(state.params, params) and equal(state.ema_params, params)
    assert not equal(setup.init().params, params)

    whole = training.train(config, tmp_path / "whole", init=path)
    assert f"started from {path} (step 7): " in capsys.readouterr().out
    # After two steps of a learning rate that is still rising.
    for now, then in zip(jax.tree.leaves(whole.params), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(now, then, atol=1e-3)
    assert not equal(whole.params, params)
    config.train.num_steps = 1
    training.train(config, tmp_path / "halves", init=path)
    capsys.readouterr()
    monkeypatch.setattr(initial_weights, "kept", None)  # it is not asked for again
    config.train.num_steps = 2
    resumed = training.train(config, tmp_path / "halves", init=path)
    assert "started from" not in capsys.readouterr().out
    assert equal(resumed.params, whole.params) and equal(resumed.ema_params, whole.ema_params)
    assert load(tmp_path / "halves").licence == LICENCE


@pytest.mark.slow
def test_the_command_line(start, tmp_path, capsys):
    path, _ = start
    arguments = ["train", "--config=base:smoke", f"--workdir={tmp_path / 'run'}", "--dry_run"]
    arguments += ["--config.model.image_size=16"]
    own = "--config.model.net.implementation=tests.own_network:ThreeConvs"
    assert cli.main([*arguments, own, f"--init={path}"]) == 0
    assert f"started from {path}" in capsys.readouterr().out
    assert cli.main([*arguments, own, "--init=/no/such/run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("bitdiff train: error: weights /no/such/run: no such folder or file")
