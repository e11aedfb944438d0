import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.nets import UNet
from tests.nets.test_blocks import randomised

TINY = functools.partial(
    UNet, out_channels=3, base_channels=8, channel_multipliers=(1, 2), blocks_per_level=1
)


@functools.cache
def case(batch=3, size=16, **fields):
    """(net, randomised params, x, time)."""
    net = TINY(**fields)
    x = jax.random.normal(jax.random.key(1), (batch, size, size, 5))
    time = jnp.linspace(0, 1, batch)
    return net, randomised(jax.jit(net.init)(jax.random.key(0), x, time)), x, time


@functools.cache
def run(**fields):
    net, params, x, time = case(**fields)
    return np.asarray(jax.jit(net.apply)(params, x, time))


def count(in_channels, **fields):
    net, x = UNet(**fields), jax.ShapeDtypeStruct((1, 128, 128, in_channels), jnp.float32)
    params = jax.eval_shape(net.init, jax.random.key(0), x, jax.ShapeDtypeStruct((1,), jnp.float32))
    assert all(a.dtype == jnp.float32 for a in jax.tree.leaves(params))
    return sum(a.size for a in jax.tree.leaves(params))


@pytest.mark.parametrize(
    ("in_channels", "fields", "parameters"),
    [
        (9, {}, 38_496_262),
        (67, {"out_channels": 64, "remat": True}, 38_563_136),
        (6, {"out_channels": 3, "dtype": "bfloat16"}, 38_492_803),
    ],
    ids=["bits", "onehot", "rgb"],
)
def test_parameter_counts_of_the_paper(in_channels, fields, parameters):
    assert count(in_channels, **fields) == parameters


def test_names_of_the_modules():
    """Partition rules and checkpoints hold on to these."""
    names = set(case()[1]["params"])
    assert names == {
        *("time_0", "time_1", "stem", "out_norm", "out_conv"),
        *("down_0_res_0", "down_0_attention_0", "down_0_downsample"),
        *("down_1_res_0", "down_1_attention_0"),
        *("middle_res_0", "middle_attention_0", "middle_res_1"),
        *("up_1_res_0", "up_1_attention_0", "up_1_res_1", "up_1_attention_1", "up_1_upsample"),
        *("up_0_res_0", "up_0_attention_0", "up_0_res_1", "up_0_attention_1"),
    }
    deepest_only = case(attention_levels=(-1,))[1]["params"]
    assert names - set(deepest_only) == {
        "down_0_attention_0",
        "up_0_attention_0",
        "up_0_attention_1",
    }


def test_the_initial_output_is_exactly_zero():
    net, params, x, time = case()
    fresh = net.init(jax.random.key(0), x, time)
    out = jax.jit(net.apply)(fresh, x, time)
    assert out.shape == (3, 16, 16, 3)
    np.testing.assert_array_equal(out, np.zeros_like(out))


def test_an_image_does_not_depend_on_its_batch():
    net, params, x, time = case()
    apply = jax.jit(net.apply)
    whole = run()
    order = np.array([2, 0, 1])
    np.testing.assert_allclose(apply(params, x[order], time[order]), whole[order], atol=1e-5)
    for i in range(3):
        alone = np.broadcast_to(x[i], x.shape), np.broadcast_to(time[i], time.shape)
        np.testing.assert_allclose(apply(params, *alone)[1], whole[i], atol=1e-5)


def test_time_and_every_input_channel_reach_every_output_channel():
    net, params, x, time = case()
    jacobian = jax.jit(jax.jacfwd(lambda d, t: net.apply(params, x + d, t)[1].mean((0, 1)), (0, 1)))
    by_channel, by_time = jacobian(jnp.zeros(5), time)
    assert (np.abs(by_channel) > 1e-7).all()
    assert (np.abs(by_time[:, 1]) > 1e-7).all()
    np.testing.assert_array_equal(by_time[:, [0, 2]], 0)


def test_vmap_over_single_images():
    net, params, x, time = case()
    single = jax.vmap(lambda x, t: net.apply(params, x[None], t[None])[0])
    np.testing.assert_allclose(jax.jit(single)(x, time), run(), atol=1e-5)


def test_time_scale_multiplies_the_time():
    net, params, x, time = case()
    scaled = jax.jit(TINY(time_scale=0.25).apply)(params, x, 4 * time)
    np.testing.assert_allclose(scaled, run(), atol=1e-5)


def test_tanh_is_the_only_bound():
    net, params, x, time = case()
    plain = jax.jit(TINY(final_activation="none").apply)(params, x, time)
    assert np.abs(plain).max() > 1
    np.testing.assert_allclose(np.tanh(plain), run(), atol=1e-5)


def test_scale_shift_uses_the_time():
    net, params, x, time = case(time_conditioning="scale_shift")
    assert params["params"]["up_0_res_1"]["time"]["kernel"].shape == (32, 16)
    out = run(time_conditioning="scale_shift")
    later = jax.jit(net.apply)(params, x, time + 0.5)
    assert np.abs(out - later).max() > 1e-3


@pytest.mark.parametrize("patch_size", [2, 4])
def test_patches_fold_the_picture(patch_size):
    out = run(patch_size=patch_size)
    assert out.shape == (3, 16, 16, 3)
    params = case(patch_size=patch_size)[1]["params"]
    assert params["stem"]["kernel"].shape == (3, 3, 5 * patch_size**2, 8)
    assert params["out_conv"]["kernel"].shape == (3, 3, 8, 3 * patch_size**2)
    assert out.std() > 0.01


def test_bfloat16_is_close_and_returns_float32():
    out = run(dtype="bfloat16")
    assert out.dtype == np.float32
    assert all(a.dtype == jnp.float32 for a in jax.tree.leaves(case(dtype="bfloat16")[1]))
    exact = run()
    np.testing.assert_allclose(out, exact, atol=0.2)
    assert np.corrcoef(out.ravel(), exact.ravel())[0, 1] > 0.999


def test_remat_gives_the_same_gradients():
    net, params, x, time = case()
    gradients = []
    for remat in (False, True):
        loss = lambda p, net=TINY(remat=remat): jnp.square(net.apply(p, x, time)).mean()  # noqa: E731
        compiled = jax.jit(jax.grad(loss)).lower(params).compile()
        gradients.append(compiled(params))
        jaxpr = str(jax.make_jaxpr(jax.grad(loss))(params))
        assert ("remat" in jaxpr or "checkpoint" in jaxpr) == remat
    assert jax.tree.structure(gradients[0]) == jax.tree.structure(gradients[1])
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-6), *gradients)


@pytest.mark.parametrize(
    ("fields", "shape", "message"),
    [
        ({}, (1, 16, 17, 5), "x is 16 x 17 pixels.*multiples of 2"),
        ({"patch_size": 4}, (1, 12, 16, 5), "x is 12 x 16 pixels.*multiples of 8"),
        ({}, (1, 0, 16, 5), "x is 0 x 16 pixels"),
        ({}, (16, 16, 5), r"give x \[B, H, W, C\]"),
        ({"num_heads": 3}, (1, 16, 16, 5), "num_heads is 3.*divisor of the 8 channels of level 0"),
        ({"attention_levels": (2,)}, (1, 16, 16, 5), "attention_levels has 2.*-2 to 1"),
        ({"channel_multipliers": ()}, (1, 16, 16, 5), "channel_multipliers is"),
        ({"base_channels": 7}, (1, 16, 16, 5), "base_channels is 7"),
        ({"blocks_per_level": 0}, (1, 16, 16, 5), "blocks_per_level is 0"),
        ({"time_conditioning": "film"}, (1, 16, 16, 5), "time_conditioning is 'film'"),
        ({"final_activation": "relu"}, (1, 16, 16, 5), "final_activation is 'relu'"),
    ],
)
def test_errors_name_the_argument_and_the_remedy(fields, shape, message):
    net = TINY(**fields)
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    time = jax.ShapeDtypeStruct((shape[0],), jnp.float32)
    with pytest.raises(InputError, match=message) as error:
        jax.eval_shape(net.init, jax.random.key(0), x, time)
    assert "\n" not in str(error.value)


def test_one_time_per_image():
    x, time = jnp.zeros((2, 16, 16, 5)), jnp.zeros(())
    with pytest.raises(InputError, match=r"time is \(\).*time \[B\]"):
        jax.eval_shape(TINY().init, jax.random.key(0), x, time)
