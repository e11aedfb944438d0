"""`Model.sample` as it is called by hand: compiled once, from keys of either style, and the same
under JAX_ENABLE_X64."""

import logging
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.diffusion.step_methods import Ddim
from tests import seeded_draws
from tests.diffusion import own_steps
from tests.test_model import batch_of, model_and_params, tiny


def sample(params, sampler, model=None, key=None, count=2):
    model = model or model_and_params()[0]
    batch = batch_of(count)
    keys = jax.random.split(jax.random.key(7) if key is None else key, count)
    return model.sample(params, batch["image"], batch["size"], keys, sampler)


@pytest.mark.slow
def test_by_hand_it_compiles_once_for_all_parameters_weights_and_equal_models(caplog):
    _, params = model_and_params()

    def compiled():
        """Of the sampler, since the last call."""
        found = [r for r in caplog.messages if r.startswith("Compiling jit(_sample)")]
        caplog.clear()
        return len(found)

    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        first = sample(params, Sampler(2, 1.0))
        assert compiled() == 1
        again = sample(params, Sampler(2, 1.0), model=tiny())  # another object, equal by value
        changed = sample(jax.tree.map(lambda x: -x, params), Sampler(2, 1.0))
        weaker = sample(params, Sampler(2, -0.5))
        assert compiled() == 0
        for sampler in (Sampler(2, 0.0), Sampler(2, 1.0, Ddim())):
            sample(params, sampler)
        assert compiled() == 2
        sample(params, Sampler(2, None))  # what a weight of 0 is
        assert compiled() == 0
    np.testing.assert_array_equal(first.codes, again.codes)
    # Had parameters or weight been constants of the program, these would be the first once more.
    assert (first.codes != changed.codes).any() and (first.codes != weaker.codes).any()


def test_the_programs_parameters_are_arguments():
    model, params = model_and_params()
    batch, keys = batch_of(1), jax.random.split(jax.random.key(0), 1)
    jaxpr = jax.make_jaxpr(model.sample)(params, batch["image"], batch["size"], keys)
    assert sum(np.size(const) for const in jaxpr.consts) < 100
    assert len(jaxpr.jaxpr.invars) == len(jax.tree.leaves(params)) + 3


@pytest.mark.slow
def test_inside_a_jit_it_is_the_same():
    model, params = model_and_params()
    batch, keys = batch_of(2), jax.random.split(jax.random.key(7), 2)
    arguments = params, batch["image"], batch["size"], keys, Sampler(2)
    inside = jax.jit(model.sample)(*arguments)
    np.testing.assert_array_equal(inside.codes, model.sample(*arguments).codes)


@pytest.mark.slow
def test_old_keys_train_and_sample_as_new_ones():
    model, params = model_and_params()
    old, new = jax.random.PRNGKey(7), jax.random.key(7)
    drawn = [sample(params, Sampler(2), key=key).codes for key in (old, new)]
    np.testing.assert_array_equal(*drawn)
    batch = batch_of(2)
    losses = [jax.jit(model.loss)(params, batch, key)[0] for key in (old, new)]
    assert losses[0] == losses[1]
    fresh = [jax.jit(model.init)(key) for key in (old, new)]
    jax.tree.map(np.testing.assert_array_equal, *fresh)
    no_palette = tiny(model__palette__layout="none")
    for split in (lambda key: key, lambda key: jax.random.split(key, 2)):
        targets = [
            no_palette.target(batch["labels"], batch["size"], split(key)).codes
            for key in (old, new)
        ]
        np.testing.assert_array_equal(*targets)


@pytest.mark.slow
def test_an_own_step_method_through_the_model():
    _, params = model_and_params()
    own = sample(params, Sampler(3, 1.0, own_steps.Churned(0.5)))
    gentle = sample(params, Sampler(3, 1.0, own_steps.GENTLE))
    plain = sample(params, Sampler(3, 1.0, Ddim()))
    assert np.mean(np.asarray(gentle.codes) == plain.codes) > 0.99
    assert np.mean(np.asarray(own.codes) == plain.codes) < 0.99


@pytest.mark.multiprocess
def test_64_bits_draw_the_same_for_the_same_seed(tmp_path):
    environment = {**os.environ, "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}
    path = tmp_path / "wide.npz"
    command = [sys.executable, "-m", "tests.seeded_draws", str(path)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    narrow = seeded_draws.draws()
    with np.load(path) as wide:
        assert set(wide) == set(narrow)
        for name, value in narrow.items():
            assert wide[name].dtype == value.dtype, name
            if name == "certainty":
                np.testing.assert_allclose(wide[name], value, atol=1e-5)
            else:
                np.testing.assert_array_equal(wide[name], value, err_msg=name)
    assert np.unique(narrow["codes"]).size > 4
