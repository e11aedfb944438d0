import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.nets.fused.blocks import AttentionBlock, ResBlock, Upsample
from bitdiff_jax.nets.fused.layers import Biased
from tests.nets.helpers import compiled, drawn, group_norm


def unbiased(x):
    """x with no bias beside it."""
    return Biased(jnp.asarray(x), jnp.zeros(x.shape[-1]))


def test_attention_agrees_with_one_head_at_a_time_in_float64():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 4, 64)).astype(np.float32)
    block = AttentionBlock(num_heads=4)
    # In part beside the map: the block sees the sum.
    biased = Biased(jnp.asarray(x - 1), jnp.ones(64))
    params = drawn(block, biased)
    got = compiled(block.apply, params, biased)(params, biased).value()

    p = jax.tree.map(lambda a: np.asarray(a, np.float64), params["params"])
    h = group_norm(x, p["norm"]["scale"], p["norm"]["bias"], 32).reshape(2, 12, 64)
    qkv = h @ p["qkv"]["kernel"] + p["qkv"]["bias"]
    heads = []
    for head in range(4):
        q, k, v = (qkv[..., 48 * head + 16 * i : 48 * head + 16 * (i + 1)] for i in range(3))
        weights = np.exp(q @ k.transpose(0, 2, 1) / 4)
        heads.append(weights / weights.sum(-1, keepdims=True) @ v)
    h = np.concatenate(heads, axis=-1) @ p["proj"]["kernel"] + p["proj"]["bias"]
    np.testing.assert_allclose(got, x + h.reshape(x.shape), atol=1e-4)


@pytest.mark.slow
def test_attention_knows_no_position():
    x = jax.random.normal(jax.random.key(1), (1, 4, 4, 32))
    block = AttentionBlock()
    params = drawn(block, unbiased(x))
    turned = block.apply(params, unbiased(jnp.rot90(x, axes=(1, 2)))).value()
    straight = block.apply(params, unbiased(x)).value()
    np.testing.assert_allclose(turned, jnp.rot90(straight, axes=(1, 2)), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("features", [8, 12])
def test_a_fresh_residual_block_is_its_skip(features):
    x, embedding = jax.random.normal(jax.random.key(1), (2, 4, 4, 8)), jnp.ones((2, 16))
    block = ResBlock(features)
    parts = (Biased(x - 2, jnp.full(8, 2.0)),)
    params = drawn(block, parts, embedding)["params"]
    # Returning the zeros alone leaves the compiler nothing else to draw.
    params["conv_1"] = jax.jit(
        lambda: block.init(jax.random.key(0), parts, embedding)["params"]["conv_1"]
    )()
    got = block.apply({"params": params}, parts, embedding).value()
    if features == 8:
        assert "skip" not in params
        np.testing.assert_allclose(got, x, atol=1e-6)
    else:
        want = x @ params["skip"]["kernel"][0, 0] + params["skip"]["bias"]
        np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.slow
def test_scale_shift_modulates_the_second_norm():
    """With scale = -1 and shift = 0 the second convolution sees zeros and leaves its bias."""
    x = jax.random.normal(jax.random.key(1), (2, 4, 4, 8))
    block = ResBlock(8, "scale_shift")
    parts = (unbiased(x),)
    params = drawn(block, parts, jnp.ones((2, 16)))["params"]
    bias = jnp.concatenate([-jnp.ones(8), jnp.zeros(8)])
    params["time"] = {"kernel": jnp.zeros((16, 16)), "bias": bias}
    got = block.apply({"params": params}, parts, jnp.ones((2, 16))).value()
    np.testing.assert_allclose(got, x + params["conv_1"]["bias"], atol=1e-6)


@pytest.mark.slow
def test_upsample_is_nearest_neighbour():
    x = jnp.arange(12.0).reshape(1, 2, 3, 2)
    kernel = jnp.zeros((3, 3, 2, 2)).at[1, 1].set(jnp.eye(2))
    params = {"params": {"conv": {"kernel": kernel, "bias": jnp.zeros(2)}}}
    want = np.asarray(x).repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_array_equal(Upsample().apply(params, unbiased(x)).value(), want)
