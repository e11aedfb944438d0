import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax import model as model_lib
from bitdiff_jax import model_config
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.errors import InputError


def tiny(**changes):
    config = config_lib.load("base:smoke")
    config.model.image_size = 16
    # What is tested here is not the network, and a small one compiles in a tenth of the time.
    config.model.net.implementation = "tests.own_network:ThreeConvs"
    config.update_from_flattened_dict({k.replace("__", "."): v for k, v in changes.items()})
    return model_config.from_config(config)


@functools.cache
def model_and_params():
    model = tiny()
    params = jax.jit(model.init)(jax.random.key(0))
    # The last layers start at zero; noise makes the output depend on the input.
    keys = iter(jax.random.split(jax.random.key(1), 1000))
    return model, jax.tree.map(lambda p: p + 0.1 * jax.random.normal(next(keys), p.shape), params)


@functools.partial(jax.jit, static_argnums=0)
def target(model, labels, size):
    return model.target(labels, size)


def batch_of(n=4, side=16, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.kron(rng.integers(0, 5, (n, 4, 4)), np.ones((4, 4), int)).astype(np.int32)
    size = np.array([[side, side], [side, 11], [9, side], [1, 1]][:n], np.int32)
    for i, (h, w) in enumerate(size):
        labels[i, h:], labels[i, :, w:] = -1, -1
    return {
        "image": rng.integers(0, 256, (n, side, side, 3), dtype=np.uint8),
        "labels": labels,
        "size": size,
    }


@pytest.mark.slow
def test_padding_is_zero_and_out_of_the_loss():
    model, _ = model_and_params()
    batch = batch_of()
    wanted = target(model, batch["labels"], batch["size"])
    valid = np.asarray(model_lib.valid_mask(jnp.asarray(batch["size"]), (16, 16)))
    assert (np.asarray(wanted.x0)[~valid] == 0).all()
    assert (np.abs(wanted.x0)[valid] == 1).all()
    np.testing.assert_array_equal(wanted.loss_mask, valid)


@pytest.mark.slow
def test_x0_does_not_tell_where_pixels_are_ignored():
    """Every ignored pixel inside the picture shows a code of a region beside it."""
    model, _ = model_and_params()
    batch = batch_of()
    rng = np.random.default_rng(5)
    holes = (rng.random(batch["labels"].shape) < 0.3) & (batch["labels"] >= 0)
    labels = np.where(holes, -1, batch["labels"])
    labels[0, 0, 0] = 0  # something must be left
    wanted = target(model, labels, batch["size"])
    valid = np.asarray(model_lib.valid_mask(jnp.asarray(batch["size"]), (16, 16)))
    shown = np.asarray(model.encoding.decode(wanted.x0))
    for i in range(3):
        assert (np.abs(wanted.x0)[i][valid[i]] == 1).all()
        assert set(shown[i][valid[i]]) <= set(
            np.asarray(wanted.codes)[i][np.asarray(wanted.codes)[i] >= 0]
        )
    np.testing.assert_array_equal(wanted.loss_mask, (labels >= 0) & valid)


def test_ignored_pixels_do_not_move_a_palette_cell():
    """Centroids come from labelled pixels alone: what lies under the holes plays no part."""
    model, _ = model_and_params()
    batch = batch_of()
    holes = np.zeros_like(batch["labels"], bool)
    holes[:, 2:7, 3:9] = True
    codes = [
        target(model, np.where(holes, -1, batch["labels"] + shift * holes), batch["size"]).codes
        for shift in (0, 3)
    ]
    np.testing.assert_array_equal(*codes)


@pytest.mark.slow
def test_a_map_without_any_label_gives_no_loss_and_no_nan():
    model, params = model_and_params()
    batch = batch_of() | {"labels": np.full((4, 16, 16), -1, np.int32)}
    loss, grads = jax.value_and_grad(lambda p: model.loss(p, batch, jax.random.key(0))[0])(params)
    assert float(loss) == 0
    assert all((np.asarray(g) == 0).all() for g in jax.tree.leaves(grads))


@pytest.mark.slow
def test_padding_neither_reaches_the_loss_nor_the_gradients():
    model, params = model_and_params()
    batch = batch_of()
    valid = np.asarray(model_lib.valid_mask(jnp.asarray(batch["size"]), (16, 16)))
    other = batch | {
        "image": np.where(valid[..., None], batch["image"], 255 - batch["image"]),
        "labels": np.where(valid, batch["labels"], 3),
    }
    f = jax.jit(jax.value_and_grad(lambda p, b: model.loss(p, b, jax.random.key(0))[0]))
    for a, b in zip(
        jax.tree.leaves(f(params, batch)), jax.tree.leaves(f(params, other)), strict=True
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_as_released_trains_on_the_padding():
    model = tiny(model__objective__padding="as_released", model__palette__frame="square")
    batch = batch_of()
    labels = np.where(batch["labels"] < 0, 0, batch["labels"])
    wanted = target(model, labels, batch["size"])
    assert np.asarray(wanted.loss_mask).all() and (np.abs(wanted.x0) == 1).all()


def test_renaming_regions_changes_no_code():
    model, _ = model_and_params()
    batch = batch_of()
    names = np.random.default_rng(0).permutation(200).astype(np.int32)
    renamed = np.where(batch["labels"] < 0, -1, names[batch["labels"]])
    np.testing.assert_array_equal(
        target(model, batch["labels"], batch["size"]).x0, target(model, renamed, batch["size"]).x0
    )


@pytest.mark.slow
def test_too_many_regions_are_counted():
    model = tiny(model__num_bits=4, model__palette__max_regions=100)
    labels = np.arange(256, dtype=np.int32).reshape(1, 16, 16)
    batch = batch_of(1) | {"labels": labels}
    _, aux = model.loss(jax.jit(model.init)(jax.random.key(0)), batch, jax.random.key(0))
    assert float(aux["dropped_share"]) == pytest.approx(156 / 256)
    assert float(aux["excess_share"]) == pytest.approx(84 / 256)


@pytest.mark.slow
def test_a_image_gives_the_same_map_alone_and_in_a_batch():
    model, params = model_and_params()
    batch, keys = batch_of(), jax.random.split(jax.random.key(7), 4)
    draw = functools.partial(model.sample, sampler=Sampler(4))
    whole = draw(params, batch["image"], batch["size"], keys)
    for i in range(4):
        alone = draw(params, batch["image"][i : i + 1], batch["size"][i : i + 1], keys[i : i + 1])
        np.testing.assert_array_equal(alone.codes[0], whole.codes[i])
    outside = ~np.asarray(model_lib.valid_mask(jnp.asarray(batch["size"]), (16, 16)))
    assert (np.asarray(whole.codes)[outside] == -1).all()
    assert (np.asarray(whole.codes)[~outside] >= 0).all()
    assert (np.asarray(whole.certainty) >= 2**-6 - 1e-6).all()


@pytest.mark.slow
def test_the_image_matters_and_the_empty_one_is_zero():
    model, params = model_and_params()
    batch = batch_of()
    valid = model_lib.valid_mask(jnp.asarray(batch["size"]), (16, 16))
    cond = model.encode_image(params, batch["image"], valid)
    mean = np.round(np.array(model.image_mean) * 255).astype(np.uint8)
    blank = model.encode_image(params, np.broadcast_to(mean, batch["image"].shape), valid)
    assert np.abs(blank).max() < 0.02 < np.abs(cond).max()
    x = jax.random.normal(jax.random.key(0), (4, 16, 16, 6))
    t = jnp.full(4, 0.9)
    assert not np.allclose(model.apply(params, x, t, cond), model.apply(params, x, t, 0 * cond))


def test_models_are_equal_by_value():
    assert tiny() == tiny() and hash(tiny()) == hash(tiny())
    assert tiny() != tiny(model__num_bits=4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        tiny().num_bits = 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.time_input", "sigma"),
        ("model.prediction", "score"),
        ("model.schedule.name", "sine"),
        ("model.palette.order", "random"),
        ("model.objective.padding", "drop"),
    ],
)
def test_unknown_names_are_told_with_the_known_ones(key, value):
    with pytest.raises(InputError, match=f"config.{key} is '{value}'; it must be one of"):
        tiny(**{key.replace(".", "__"): value})
