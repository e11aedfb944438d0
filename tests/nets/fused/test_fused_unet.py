"""The fused network against its definition, `bitdiff_jax.nets.unet`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from bitdiff_jax import config as config_lib
from bitdiff_jax.errors import InputError
from bitdiff_jax.nets import FusedUNet, UNet
from tests.nets.helpers import compiled, drawn

TINY = {
    "out_channels": 3,
    "base_channels": 8,
    "channel_multipliers": (1, 2),
    "blocks_per_level": 1,
    "attention_levels": (-1,),
    "time_conditioning": "scale_shift",
}
ONE_LEVEL = TINY | {"channel_multipliers": (1,), "attention_levels": ()}
HOW = ("fold", "attention_chunk", "remat")  # it is computed, not what


def of_config(name):
    """The attributes of a config's network, with fewer channels and blocks."""
    net = config_lib.load(name).model.net
    kept = ("channel_multipliers", "attention_levels", "num_heads", "patch_size")
    fields = {key: net[key] for key in (*kept, "time_conditioning")}
    fields |= {"base_channels": 32, "blocks_per_level": 1, "out_channels": 6}
    # Each multiplier once: a level more is time to compile.
    return fields | {"channel_multipliers": tuple(dict.fromkeys(fields["channel_multipliers"]))}


def inputs(patch_size=1, side=16):
    side = side * patch_size
    x = jax.random.normal(jax.random.key(1), (2, side, side, 9))
    return x, jnp.asarray([0.1, 0.9])


def values_and_gradients(net, params, x, time):
    """The output, and the gradients of a loss by the parameters."""

    def loss(params):
        output = net.apply(params, x, time)
        return jnp.square(output - 0.3).mean(), output

    (_, output), gradients = compiled(jax.value_and_grad(loss, has_aux=True), params)(params)
    return np.asarray(output), jax.tree.map(np.asarray, gradients)


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields",
    [
        of_config("paper"),
        of_config("bsds") | {"remat": True},
        TINY | {"fold": True, "attention_levels": (-2, -1), "patch_size": 2, "remat": True},
        ONE_LEVEL | {"fold": True},
        ONE_LEVEL | {"fold": True, "patch_size": 2, "pixel_channels": 16},
        ONE_LEVEL | {"attention_chunk": 96, "time_conditioning": "additive", "base_channels": 64},
    ],
    ids=["paper", "bsds", "folded patches", "one folded level", "pixel head", "chunks"],
)
def test_outputs_and_gradients_are_those_of_the_plain_network(fields):
    x, time = inputs(fields.get("patch_size", 1))
    plain = UNet(**{key: value for key, value in fields.items() if key not in HOW})
    params = drawn(plain, x, time)
    want, want_gradients = values_and_gradients(plain, params, x, time)
    got, got_gradients = values_and_gradients(FusedUNet(**fields), params, x, time)
    assert np.abs(want).std() > 0.01
    np.testing.assert_allclose(got, want, atol=2e-5)
    norm = np.sqrt(sum(np.sum(np.square(g)) for g in jax.tree.leaves(want_gradients)))
    for ours, theirs in zip(*map(jax.tree.leaves, (got_gradients, want_gradients)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * norm)


@pytest.mark.slow
def test_in_bfloat16_both_are_as_far_from_float32():
    x, time = inputs()
    params = drawn(UNet(**ONE_LEVEL), x, time)
    exact, exact_gradients = values_and_gradients(UNet(**ONE_LEVEL), params, x, time)
    for network in (UNet, FusedUNet):
        net = network(dtype="bfloat16", **ONE_LEVEL)
        got, gradients = values_and_gradients(net, params, x, time)
        assert got.dtype == np.float32
        assert {g.dtype for g in jax.tree.leaves(gradients)} == {np.dtype("float32")}
        np.testing.assert_allclose(got, exact, atol=0.1)
        ours, theirs = ravel_pytree(gradients)[0], ravel_pytree(exact_gradients)[0]
        assert jnp.linalg.norm(ours - theirs) < 0.05 * jnp.linalg.norm(theirs)


@pytest.mark.slow
def test_it_starts_from_the_same_parameters_for_the_same_key():
    x, time = inputs()
    key = jax.random.key(3)
    ours, theirs = (
        compiled(net.init, key, x, time)(key, x, time)
        for net in (FusedUNet(fold=True, **TINY), UNet(**TINY))
    )
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.slow
def test_remat_is_in_its_gradient():
    x, time = inputs()
    for remat in (False, True):
        net = FusedUNet(remat=remat, **TINY)
        params = jax.eval_shape(net.init, jax.random.key(0), x, time)
        gradient = jax.grad(lambda p, net=net: net.apply(p, x, time).mean())
        assert ("remat" in str(jax.make_jaxpr(gradient)(params))) == remat


def test_a_width_that_cannot_be_folded_is_refused():
    net = FusedUNet(fold=True, **ONE_LEVEL)
    x, time = jnp.zeros((1, 3, 3, 5)), jnp.zeros(1)
    with pytest.raises(InputError, match=r"x is 3 pixels wide.*even"):
        jax.eval_shape(net.init, jax.random.key(0), x, time)


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"attention_chunk": -1}, "attention_chunk is -1"), ({"num_heads": 3}, "num_heads is 3")],
)
def test_an_attribute_outside_its_domain_is_refused_at_once(fields, message):
    with pytest.raises(InputError, match=message):
        FusedUNet(**TINY | fields)
