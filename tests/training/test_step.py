"""The step's options on one device; for several see tests/parallel/test_training.py."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax import model_config
from bitdiff_jax.errors import InputError
from bitdiff_jax.parallel import mesh as mesh_lib
from bitdiff_jax.training.step import make_gradients

SIDE, ROWS = 16, 4


def tiny(**changes):
    config = config_lib.load("base:smoke")
    config.model.image_size = SIDE
    config.model.num_bits = 4
    config.model.palette.max_regions = 8
    config.model.objective.self_condition = 0.5
    config.model.net.base_channels = 8
    config.model.net.channel_multipliers = (1,)
    config.update_from_flattened_dict({k.replace("__", "."): v for k, v in changes.items()})
    return model_config.from_config(config)


@functools.cache
def params():
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(tiny().init, jax.random.key(0))
    return jax.tree.map(lambda s: np.float32(rng.normal(size=s.shape) * 0.05), shapes)


def batch():
    rng = np.random.default_rng(1)
    labels = np.kron(rng.integers(0, 5, (ROWS, 4, 4)), np.ones((4, 4), int)).astype(np.int32)
    labels[1, :, 9:] = -1
    return {
        "image": rng.integers(0, 256, (ROWS, SIDE, SIDE, 3), dtype=np.uint8),
        "labels": labels,
        "size": np.array([[16, 16], [16, 9], [16, 16], [16, 16]], np.int32),
    }


@functools.cache
def compiled(accumulate=1, **changes):
    mesh = mesh_lib.make_mesh(devices=jax.devices()[:1])
    whole = jax.tree.map(lambda _: mesh_lib.replicated(mesh), params())
    gradients = make_gradients(tiny(**changes), mesh, whole, accumulate)
    return jax.jit(gradients).lower(params(), batch(), jax.random.key(2)).compile()


def result(**options):
    return compiled(**options)(params(), batch(), jax.random.key(2))


def distance(a, b):
    """Of two trees, relative to the norm of the first.

    Not leaf by leaf: what shifts all keys of an attention alike has a gradient of rounding alone.
    """
    a, b = (np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)]) for tree in (a, b))
    return np.linalg.norm(a - b) / np.linalg.norm(a)


@pytest.mark.slow
def test_gradients_are_those_of_the_model_s_loss():
    model = tiny()
    expected = jax.jit(jax.value_and_grad(model.loss, has_aux=True))
    (loss, aux), grads = expected(params(), batch(), jax.random.key(2))
    found = result()
    np.testing.assert_allclose(found[0], loss, rtol=1e-6)
    assert found[1].keys() == aux.keys()
    assert distance(aux, found[1]) < 1e-6
    assert distance(grads, found[2]) < 1e-5


@pytest.mark.slow
def test_accumulation_is_the_same_step():
    whole, parts = result(), result(accumulate=2)
    np.testing.assert_allclose(parts[0], whole[0], rtol=1e-6)
    assert distance(whole[1], parts[1]) < 1e-6
    assert distance(whole[2], parts[2]) < 1e-5


@pytest.mark.slow
def test_accumulation_keeps_the_activations_of_one_part():
    whole, parts = compiled().memory_analysis(), compiled(accumulate=2).memory_analysis()
    assert parts.temp_size_in_bytes < 0.75 * whole.temp_size_in_bytes


@pytest.mark.slow
def test_remat_is_the_same_net_and_stores_less():
    """What the backward pass needs of the forward one; a CPU's compiler undoes the remat itself."""
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 11)).astype(np.float32)
    grads, stored = [], []
    for remat in (False, True):
        net = tiny(model__net__remat=remat).net

        def loss(params, net=net):
            return jnp.mean(jnp.square(net.apply({"params": params}, x, x[:, 0, 0, 0]) - 0.5))

        rng = np.random.default_rng(0)
        shapes = jax.eval_shape(net.init, jax.random.key(0), x, x[:, 0, 0, 0])["params"]
        weights = jax.tree.map(lambda s, r=rng: np.float32(r.normal(size=s.shape) * 0.05), shapes)
        grads.append(jax.jit(jax.value_and_grad(loss))(weights))
        backward = jax.eval_shape(lambda p, f=loss: jax.vjp(f, p)[1], weights)
        stored.append(sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(backward)))
    assert distance(*grads) < 1e-5
    parameters = sum(leaf.nbytes for leaf in jax.tree.leaves(weights))
    assert stored[1] - parameters < 0.3 * (stored[0] - parameters), stored


@pytest.mark.slow
def test_bfloat16_computes_in_it_and_keeps_float32():
    exact, rough = result(), result(model__net__dtype="bfloat16")
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(rough))
    np.testing.assert_allclose(rough[0], exact[0], rtol=0.02)
    assert 1e-5 < distance(exact[2], rough[2]) < 0.05
    assert "bf16" in compiled(model__net__dtype="bfloat16").as_text()


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(InputError, match=r"batch_size=4 is not a multiple .*accumulate=3; use 3"):
        compiled(accumulate=3)
