"""A donated buffer is overwritten: nothing that outlives a step may be a view of one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bitdiff_jax import model_config
from bitdiff_jax.parallel import mesh as mesh_lib
from bitdiff_jax.training.evaluator import Evaluator
from bitdiff_jax.training.state import init_state
from bitdiff_jax.training.trouble import Watch
from tests.training.test_loop import tiny


@pytest.fixture(scope="module")
def parts():
    config = tiny(
        eval__data="scenes,level=1,seed=1",
        eval__num_images=2,
        eval__batch_size=2,
        sampling__num_steps=1,
        model__image_size=16,
        model__net__channel_multipliers=(1,),
    )
    model = model_config.from_config(config)
    mesh = mesh_lib.make_mesh(devices=jax.devices()[:1])
    state = jax.jit(lambda key: init_state(model, optax.adam(1e-3), key))(jax.random.key(0))
    return config, model, mesh, state


def addresses(tree):
    return {leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(tree)}


def lies_in(array, tree):
    """Whether a numpy array is a view of a buffer of a tree."""
    while array.base is not None and isinstance(array.base, np.ndarray):
        array = array.base
    start = array.__array_interface__["data"][0]
    return any(
        start < leaf.unsafe_buffer_pointer() + leaf.nbytes
        and leaf.unsafe_buffer_pointer() < start + array.nbytes
        for leaf in jax.tree.leaves(tree)
    )


def test_the_check_itself():
    x = jnp.arange(5.0)
    assert lies_in(np.asarray(x)[1:], [x]) and not lies_in(np.array(x, copy=True), [x])


@pytest.mark.slow
def test_a_fresh_state_holds_no_buffer_twice(parts):
    *_, state = parts
    assert len(addresses(state)) == len(jax.tree.leaves(state))
    before = jax.tree.map(lambda x: np.array(x, copy=True), state.ema_params)
    move = jax.jit(
        lambda s: s.replace(params=jax.tree.map(lambda x: x + 1, s.params)), donate_argnums=0
    )
    moved = move(jax.tree.map(jnp.copy, state))
    for a, b in zip(jax.tree.leaves(moved.ema_params), jax.tree.leaves(before), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_an_evaluation_is_the_hosts_own(parts):
    config, model, mesh, state = parts
    scores, sheet = Evaluator(config, model, mesh)(state)
    assert not lies_in(sheet, state) and all(isinstance(v, float) for v in scores.values())
    assert isinstance(sheet, np.ndarray) and not any(
        leaf.is_deleted() for leaf in jax.tree.leaves(state)
    )


def test_the_watch_keeps_no_part_of_the_state(parts):
    *_, state = parts
    watch = Watch()
    watch.note(1, {"loss": jnp.float32(1), "grad_norm": jnp.float32(1), "other": state.step})
    assert len(jax.tree.leaves(watch._unseen)) == 3  # the step and two numbers
