"""The network against the reference implementation, weights and all."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bitdiff_jax.diffusion import losses, parameterization, schedules, weighting
from bitdiff_jax.encoding import bits
from bitdiff_jax.nets import FusedUNet, UNet, reference_names
from bitdiff_jax.nets.fused.layers import Biased
from tests.nets import torch_names
from tests.nets.helpers import compiled

SMALL = {"base_channels": 32, "channel_multipliers": (1, 2, 2, 2), "blocks_per_level": 1}

both = pytest.mark.parametrize("network", [UNet, FusedUNet], ids=["plain", "fused"])


def nhwc(array):
    return np.moveaxis(array, 1, -1)


def full_inputs(g):
    """x and the image; the copied subset holds the seed which draws them."""
    if "input_seed" not in g:
        return g["x"], g["image"]
    rng = np.random.default_rng(int(g["input_seed"]))
    return [rng.standard_normal((1, c, 128, 128)).astype(np.float32) for c in (6, 3)]


def output(state, module):
    """What a module returned; of the fused one, a map with its bias beside it."""
    returned = state["intermediates"][module]["__call__"][0]
    return np.asarray(returned.value() if isinstance(returned, Biased) else returned)


def small_parameters(g, dtype=np.float32):
    return torch_names.parameters(
        UNet(**SMALL), g["small/param_names"], g["small/param_shapes"], dtype
    )


@both
def test_the_parameters_are_the_references_in_name_and_shape(golden, network):
    g = golden("unet_small")
    ours = jax.eval_shape(
        network(**SMALL).init, jax.random.key(0), jnp.zeros((1, 32, 32, 9)), jnp.zeros((1,))
    )
    theirs = small_parameters(g)
    assert jax.tree.map(np.shape, ours) == jax.tree.map(np.shape, theirs)
    assert sum(a.size for a in jax.tree.leaves(theirs)) == g["small/n_params"]


@pytest.mark.slow
@both
@pytest.mark.parametrize(("dtype", "atol"), [("float32", 1e-4), ("float64", 1e-5)])
def test_outputs_and_activations_of_the_small_net(golden, dtype, atol, network):
    """float64 leaves the rounding of the reference's own float32: some 3e-6."""
    g = golden("unet_small")
    x, image = nhwc(g["small/x"]), nhwc(g["small/image"])
    shown = {
        "small/out": image,
        "small/out_noimage": 0 * image,
        "small/out_image_only_first": np.stack([image[0], 0 * image[1]]),
    }
    with jax.enable_x64(dtype == "float64"):
        net, params = network(dtype=dtype, **SMALL), small_parameters(g, dtype)
        inputs = np.concatenate([np.concatenate([x, i], -1) for i in shown.values()])
        arguments = params, inputs.astype(dtype), np.tile(g["small/t"], 3).astype(dtype)
        apply = functools.partial(net.apply, capture_intermediates=True)
        out, state = compiled(apply, *arguments)(*arguments)
    assert out.dtype == dtype
    for name, got in zip(shown, np.split(np.asarray(out), 3), strict=True):
        want = nhwc(g[name])
        stride = got.shape[1] // want.shape[1]  # The copied subset keeps every fourth pixel.
        np.testing.assert_allclose(got[:, ::stride, ::stride], want, atol=atol, err_msg=name)

    for i, (torch_name, modules) in enumerate(reference_names.blocks(net)):
        activation = output(state, modules[-1])[:2]
        shape = "({}, {}, {}, {})".format(*np.moveaxis(activation, -1, 1).shape)
        assert shape == g["small/act_shape"][i], torch_name
        got = [np.mean(activation, dtype=np.float64), np.std(activation, dtype=np.float64, ddof=1)]
        want = [g["small/act_mean"][i], g["small/act_std"][i]]
        np.testing.assert_allclose(got, want, atol=1e-5, err_msg=torch_name)


@pytest.mark.slow
@both
def test_five_training_steps_of_the_small_net(golden, network):
    """Schedule, bits, loss weight, gradients and AdamW behind a clip, together."""
    g = golden("unet_small")
    net, params = network(**SMALL), small_parameters(g)
    schedule = schedules.cosine()
    x0 = bits.encode(jnp.asarray(g["train/gt_int"][:, 0]), 6)
    eps, t, image = nhwc(g["train/eps"]), jnp.asarray(g["train/t"]), nhwc(g["small/image"])
    alpha, sigma = (parameterization.expand(f(t), x0) for f in (schedule.alpha, schedule.sigma))
    x_t = parameterization.diffuse(x0, eps, alpha, sigma)
    weight = weighting.sigmoid(schedule, t)
    mask = jnp.ones(x0.shape[:-1], bool)

    def loss_function(params):
        prediction = net.apply(params, jnp.concatenate([x_t, image], axis=-1), t)
        return jnp.mean(weight * losses.masked_mse(prediction, x0, mask))

    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3, weight_decay=0))

    def step(params, state):
        loss, gradients = jax.value_and_grad(loss_function)(params)
        updates, state = optimizer.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        return params, state, gradients, (loss, optax.tree.norm(gradients))

    state = optimizer.init(params)
    step = compiled(step, params, state)
    trace = []
    for number in range(5):
        params, state, gradients, metrics = step(params, state)
        trace.append(metrics)
        if number == 0:
            per_parameter = gradients["params"]
    got = np.asarray(trace)
    np.testing.assert_allclose(got[:, 0], g["train/loss"], rtol=1e-5)
    np.testing.assert_allclose(got[:, 1], g["train/grad_norm_before_clip"], rtol=1e-4)

    norms = []
    for name in g["small/param_names"]:
        leaf = per_parameter
        for key in reference_names.path(net, str(name)):
            leaf = leaf[key]
        norms.append(np.linalg.norm(np.asarray(leaf)))
    np.testing.assert_allclose(norms, g["train/grad_norm_per_param_step0"], rtol=1e-3, atol=1e-5)


@pytest.mark.slow
@both
def test_the_paper_net(golden, network):
    g = golden("unet_full")
    net = network()
    params = torch_names.parameters(net, g["param_names"], g["param_shapes"])
    assert sum(a.size for a in jax.tree.leaves(params)) == g["n_params"] == 38_496_262
    inputs = np.concatenate([nhwc(array) for array in full_inputs(g)], axis=-1)
    apply = functools.partial(net.apply, capture_intermediates=True)
    out, state = compiled(apply, params, inputs, g["t"])(params, inputs, g["t"])
    want = nhwc(g["out"])
    stride = out.shape[1] // want.shape[1]  # The copied subset keeps every fourth pixel.
    np.testing.assert_allclose(out[:, ::stride, ::stride], want, atol=1e-4)
    for i, (torch_name, modules) in enumerate(reference_names.blocks(net)):
        activation = output(state, modules[-1])
        got = [np.mean(activation, dtype=np.float64), np.std(activation, dtype=np.float64, ddof=1)]
        want = [g["act_mean"][i], g["act_std"][i]]
        np.testing.assert_allclose(got, want, atol=1e-4, err_msg=torch_name)
