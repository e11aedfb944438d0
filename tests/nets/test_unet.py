import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.nets import UNet
from tests.nets.helpers import compiled, drawn

# The plain network; the fused one is held to it in tests/nets/fused.
# Group norm of 8 or 16 channels takes them one by one, which would erase an additive time.
TINY = functools.partial(
    UNet,
    out_channels=3,
    base_channels=8,
    channel_multipliers=(1, 2),
    blocks_per_level=1,
    attention_levels=(-1,),
    time_conditioning="scale_shift",
)


@functools.cache
def case(**fields):
    """(net, random params, x, time) of a batch of 3."""
    net = TINY(**fields)
    x = jax.random.normal(jax.random.key(1), (3, 16, 16, 5))
    time = jnp.linspace(0, 1, 3)
    return net, drawn(net, x, time), x, time


@functools.cache
def program(**fields):
    """The compiled `apply` of `case(**fields)`."""
    net, *inputs = case(**fields)
    return compiled(net.apply, *inputs)


def run(**fields):
    return np.asarray(program(**fields)(*case(**fields)[1:]))


def count(in_channels, **fields):
    net, x = UNet(**fields), jax.ShapeDtypeStruct((1, 128, 128, in_channels), jnp.float32)
    params = jax.eval_shape(net.init, jax.random.key(0), x, jax.ShapeDtypeStruct((1,), jnp.float32))
    assert all(a.dtype == jnp.float32 for a in jax.tree.leaves(params))
    return sum(a.size for a in jax.tree.leaves(params))


@pytest.mark.slow
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
    names = {
        *("time_0", "time_1", "stem", "out_norm", "out_conv"),
        *("down_0_res_0", "down_0_downsample", "down_1_res_0", "down_1_attention_0"),
        *("middle_res_0", "middle_attention_0", "middle_res_1"),
        *("up_1_res_0", "up_1_attention_0", "up_1_res_1", "up_1_attention_1", "up_1_upsample"),
        *("up_0_res_0", "up_0_res_1"),
    }
    assert set(case()[1]["params"]) == names
    everywhere = set(case(attention_levels=(0, 1))[1]["params"])
    assert everywhere - names == {"down_0_attention_0", "up_0_attention_0", "up_0_attention_1"}
    assert names < everywhere


@pytest.mark.slow
def test_the_initial_output_is_exactly_zero():
    net, params, x, time = case()

    @jax.jit
    def initial():  # Returning the zeros alone leaves the compiler nothing else to draw.
        return net.init(jax.random.key(0), x, time)["params"]["out_conv"]

    fresh = {"params": params["params"] | {"out_conv": initial()}}
    out = program()(fresh, x, time)
    assert out.shape == (3, 16, 16, 3)
    np.testing.assert_array_equal(out, np.zeros_like(out))


def test_an_image_does_not_depend_on_its_batch():
    _, params, x, time = case()
    whole = run()
    order = np.array([2, 0, 1])
    np.testing.assert_allclose(program()(params, x[order], time[order]), whole[order], atol=1e-5)
    for i in range(3):
        alone = jnp.broadcast_to(x[i], x.shape), jnp.broadcast_to(time[i], time.shape)
        np.testing.assert_allclose(program()(params, *alone)[1], whole[i], atol=1e-5)


@pytest.mark.slow
def test_vmap_over_single_images():
    net, params, x, time = case()
    single = jax.vmap(lambda x, t: net.apply(params, x[None], t[None])[0])
    np.testing.assert_allclose(compiled(single, x, time)(x, time), run(), atol=1e-5)


def test_every_input_channel_reaches_every_output_channel():
    _, params, x, time = case()
    for channel in range(x.shape[-1]):
        moved = np.abs(program()(params, x.at[1, ..., channel].add(1), time) - run())
        assert (moved[1].max((0, 1)) > 1e-3).all()
        np.testing.assert_array_equal(moved[[0, 2]], 0)


def reach_of_time(**fields):
    """How far the output moves with the time, the picture unchanged."""
    _, params, x, time = case(**fields)
    return np.abs(program(**fields)(params, x, time + 0.5) - run(**fields)).max()


@pytest.mark.slow
def test_the_time_reaches_the_output():
    assert reach_of_time() > 1e-2
    assert reach_of_time(time_conditioning="additive", base_channels=64) > 1e-2


@pytest.mark.slow
def test_an_additive_time_does_not_pass_norms_of_single_channels():
    """As in the reference implementation; `UNet` says so."""
    assert reach_of_time(time_conditioning="additive") < 1e-5


@pytest.mark.slow
def test_time_scale_multiplies_the_time_and_tanh_comes_last():
    _, params, x, time = case()
    net = TINY(time_scale=0.25, final_activation="none")
    plain = compiled(net.apply, params, x, time)(params, x, 4 * time)
    assert np.abs(plain).max() > 1
    np.testing.assert_allclose(np.tanh(plain), run(), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("patch_size", [2, 4])
def test_patches_fold_the_image(patch_size):
    out = run(patch_size=patch_size)
    assert out.shape == (3, 16, 16, 3)
    params = case(patch_size=patch_size)[1]["params"]
    assert params["stem"]["kernel"].shape == (3, 3, 5 * patch_size**2, 8)
    assert params["out_conv"]["kernel"].shape == (3, 3, 8, 3 * patch_size**2)
    assert out.std() > 0.01


@pytest.mark.slow
def test_the_pixel_head_adds_to_the_patches_output_what_a_pixel_shows():
    fields = {"patch_size": 4, "pixel_channels": 8, "final_activation": "none"}
    _, params, x, time = case(**fields)
    patches, pixels = dict(params["params"]), params["params"]["pixels"]
    assert set(pixels) == {"stem", "res_0", "out_norm", "out_conv"}
    assert pixels["stem"]["kernel"].shape == (3, 3, 3 + 5, 8)
    del patches["pixels"]
    without = TINY(patch_size=4, final_activation="none")
    coarse_params = {"params": patches}
    coarse = compiled(without.apply, coarse_params, x, time)(coarse_params, x, time)
    whole = run(**fields)
    assert np.abs(whole - coarse).std() > 0.01
    zero = jax.tree.map(jnp.zeros_like, pixels["out_conv"])
    silent = {"params": patches | {"pixels": pixels | {"out_conv": zero}}}
    np.testing.assert_allclose(program(**fields)(silent, x, time), coarse, atol=1e-6)


def test_the_pixel_head_starts_at_zero():
    net = TINY(patch_size=4, pixel_channels=8)
    x, time = jnp.zeros((1, 16, 16, 5)), jnp.zeros(1)
    params = jax.jit(net.init)(jax.random.key(0), x, time)["params"]
    assert not np.asarray(params["pixels"]["out_conv"]["kernel"]).any()
    assert np.asarray(params["pixels"]["stem"]["kernel"]).any()


@pytest.mark.slow
def test_bfloat16_is_close_and_returns_float32():
    out = run(dtype="bfloat16")
    assert out.dtype == np.float32
    assert all(a.dtype == jnp.float32 for a in jax.tree.leaves(case(dtype="bfloat16")[1]))
    exact = run()
    np.testing.assert_allclose(out, exact, atol=0.1)
    assert np.corrcoef(out.ravel(), exact.ravel())[0, 1] > 0.999


@pytest.mark.slow
@pytest.mark.parametrize("remat", [False, True])
def test_gradients_of_bfloat16_are_float32(remat):
    net, params, x, time = case(dtype="bfloat16", remat=remat)
    gradients = jax.eval_shape(jax.grad(lambda p: net.apply(p, x, time).mean()), params)
    assert {a.dtype for a in jax.tree.leaves(gradients)} == {np.dtype("float32")}


@pytest.mark.slow
def test_remat_gives_the_same_gradients():
    fields = {"channel_multipliers": (1,), "attention_levels": ()}
    _, params, x, time = case(**fields)
    gradients = []
    for net in (TINY(**fields), TINY(remat=True, **fields)):
        gradient = jax.grad(lambda p, net=net: jnp.square(net.apply(p, x, time)).mean())
        assert ("remat" in str(jax.make_jaxpr(gradient)(params))) == net.remat
        gradients.append(compiled(gradient, params)(params))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-6), *gradients)


@pytest.mark.parametrize(
    ("fields", "shape", "message"),
    [
        ({}, (1, 16, 17, 5), "x is 16 x 17 pixels.*multiples of 2"),
        ({"patch_size": 4}, (1, 12, 16, 5), "x is 12 x 16 pixels.*multiples of 8"),
        ({}, (1, 0, 16, 5), "x is 0 x 16 pixels"),
        ({}, (16, 16, 5), r"give x \[B, H, W, C\]"),
    ],
)
def test_an_input_that_does_not_fit_is_refused(fields, shape, message):
    net = TINY(**fields)
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    time = jax.ShapeDtypeStruct((shape[0],), jnp.float32)
    with pytest.raises(InputError, match=message) as error:
        jax.eval_shape(net.init, jax.random.key(0), x, time)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_heads": 3}, "num_heads is 3.*divisor of the 16 channels of level 1"),
        ({"attention_levels": (2,)}, "attention_levels has 2.*-2 to 1"),
        ({"attention_levels": (0.5,)}, "attention_levels has 0.5"),
        ({"channel_multipliers": ()}, "channel_multipliers is"),
        ({"channel_multipliers": (1, 1.5)}, r"channel_multipliers is \(1, 1.5\)"),
        ({"base_channels": 7}, "base_channels is 7"),
        ({"base_channels": 8.0}, "base_channels is 8.0"),
        ({"blocks_per_level": 0}, "blocks_per_level is 0"),
        ({"pixel_channels": -1}, "pixel_channels is -1"),
        ({"pixel_channels": 0.5}, "pixel_channels is 0.5"),
        ({"time_conditioning": "film"}, "time_conditioning is 'film'"),
        ({"final_activation": "relu"}, "final_activation is 'relu'"),
    ],
)
def test_an_attribute_outside_its_domain_is_refused_at_once(fields, message):
    with pytest.raises(InputError, match=message) as error:
        TINY(**fields)
    assert "\n" not in str(error.value)


def test_one_time_per_image():
    x, time = jnp.zeros((2, 16, 16, 5)), jnp.zeros(())
    with pytest.raises(InputError, match=r"time is \(\).*time \[B\]"):
        jax.eval_shape(TINY().init, jax.random.key(0), x, time)
