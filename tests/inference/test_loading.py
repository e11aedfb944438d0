import shutil

import jax
import numpy as np
import pytest

from bitdiff_jax import model_config
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import load
from bitdiff_jax.parallel.mesh import make_mesh, replicated
from tests.inference import tiny


def same(a, b):
    return jax.tree.all(jax.tree.map(np.array_equal, a, b))


def refused(workdir, *parts, **kwargs):
    with pytest.raises(InputError) as error:
        load(workdir, **kwargs)
    message = str(error.value)
    assert "\n" not in message and len(message) < 600
    for part in parts:
        assert part in message
    return message


def test_what_was_saved_comes_back(workdir):
    loaded = load(workdir)
    config = tiny.tiny_config()
    assert loaded.config.to_dict() == config.to_dict()
    assert loaded.model == model_config.from_config(config)
    assert (loaded.step, loaded.trained_on, loaded.param_set) == (tiny.STEP, tiny.TRAINED_ON, "ema")
    assert same(loaded.params, tiny.random_params(loaded.model))
    assert same(load(workdir / "checkpoints").params, loaded.params)


def test_raw_parameters_are_the_others(workdir):
    raw = load(workdir, "raw")
    assert raw.param_set == "raw"
    assert same(raw.params, tiny.random_params(raw.model, seed=1))
    assert not same(raw.params, load(workdir, "ema").params)


def test_the_config_says_which_parameters_if_nobody_else_does(tmp_path):
    config = tiny.tiny_config()
    config.sampling.weights = "raw"
    tiny.save_checkpoint(tmp_path, config)
    assert load(tmp_path).param_set == "raw"
    assert load(tmp_path, "ema").param_set == "ema"


def test_parameters_lie_where_they_are_wanted(workdir):
    mesh = make_mesh()
    loaded = load(workdir, mesh=mesh)
    assert all(leaf.sharding == replicated(mesh) for leaf in jax.tree.leaves(loaded.params))


def test_settings_newer_than_the_checkpoint_get_their_defaults(tmp_path):
    def forget(about):
        del about["config"]["sampling"]["eps_after_clip"], about["config"]["mesh"]
        del about["config"]["sampling"]["temperature"]
        about.pop("trained_on")

    tiny.save_checkpoint(tmp_path, edit_about=forget)
    loaded = load(tmp_path)
    assert loaded.config.sampling.eps_after_clip is True and loaded.config.mesh.data == -1
    assert loaded.trained_on == "" and loaded.config.sampling.temperature == 1


def test_settings_that_are_not_known_are_refused(tmp_path):
    tiny.save_checkpoint(tmp_path, edit_about=lambda a: a["config"]["model"].update(dropout=0.1))
    refused(tmp_path, str(tmp_path), "dropout", "version")


def test_a_checkpoint_of_other_shapes_is_refused(tmp_path):
    tiny.save_checkpoint(tmp_path, edit_about=lambda a: a["config"]["model"].update(num_bits=4))
    refused(tmp_path, str(tmp_path), "(3, 3, 9, 8)", "(3, 3, 7, 8)", "another model")


def test_a_missing_checkpoint_is_refused(tmp_path):
    refused(tmp_path / "none", str(tmp_path / "none"), "--workdir")
    refused(tmp_path, str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    refused(tmp_path, "no complete step")
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file", "file")


def test_a_damaged_checkpoint_is_refused(workdir, tmp_path):
    for victim in ("state/manifest.ocdbt", "about/metadata", "state", "about"):
        copy = tmp_path / victim.replace("/", "_")
        shutil.copytree(workdir, copy)
        path = copy / "checkpoints" / str(tiny.STEP) / victim
        shutil.rmtree(path) if path.is_dir() else path.write_bytes(b"{")
        refused(copy, str(copy))


def test_other_parameters_are_refused(workdir, tmp_path):
    refused(workdir, "best", "ema", "raw", param_set="best")
    config = tiny.tiny_config()
    config.sampling.weights = "best"
    tiny.save_checkpoint(tmp_path, config)
    refused(tmp_path, "best", str(tmp_path))


def test_values_of_the_config_are_checked(tmp_path):
    tiny.save_checkpoint(
        tmp_path, edit_about=lambda a: a["config"]["model"].update(prediction="noise")
    )
    refused(tmp_path, "config.model.prediction", "noise")
