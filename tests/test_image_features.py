"""A model that sees features of a pretrained encoder beside the image."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax import model_config
from bitdiff_jax.data.features import Cells, Features
from bitdiff_jax.data.image_inputs import encoder_input
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.errors import InputError
from bitdiff_jax.feature_grids import WHOLE, StoredCells
from bitdiff_jax.inference import Segmenter, drawing
from bitdiff_jax.inference.request import Request

FEW_STEPS = Sampler(num_steps=2)


def tiny_config(**encoder):
    config = config_lib.load("base:smoke")
    config.model.image_size = 16
    config.model.image_scale = 2
    config.model.net.implementation = "tests.own_network:ThreeConvs"
    config.model.encoder.update(
        {"name": "tests.own_encoder:Means", "grid": 8, "channels": 5, **encoder}
    )
    return config


@functools.cache
def tiny(**encoder):
    model = model_config.from_config(tiny_config(**encoder))
    params = model.init(jax.random.key(0))
    if not model.features.tuned:
        params["encoder"] = model.features.encoder.init(jax.random.key(1))
    return model, params


def images(count=2, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 255, (40 + 8 * i, 64, 3), np.uint8) for i in range(count)]


def batch(model, count=2):
    shown = [encoder_input(image, model.features.encoder.image_size) for image in images(count)]
    rng = np.random.default_rng(1)
    return {
        "image": rng.integers(0, 255, (count, 32, 32, 3), np.uint8),
        "labels": rng.integers(0, 5, (count, 16, 16)).astype(np.int32),
        "size": np.array([(10 + 2 * i, 16) for i in range(count)], np.int32),
        **{key: np.stack([each[key] for each in shown]) for key in shown[0]},
    }


@pytest.mark.slow
def test_parameters_are_the_nets_and_the_stems_and_those_of_a_tuned_encoder():
    model, _ = tiny()
    own = model.init(jax.random.key(0))
    assert own.keys() == {"net", "features"}
    assert own["features"]["cells"]["kernel"].shape == (4, 5)
    assert model.cond_channels == 3 * 4 + 5
    assert own["net"]["first"]["kernel"].shape[2] == 6 + 3 * 4 + 5
    assert tiny(tuned=True)[1].keys() == {"net", "features", "encoder"}
    alone = dataclasses.replace(model, features=None)
    assert "first" in alone.init(jax.random.key(0))


@pytest.mark.slow
def test_features_in_the_batch_give_the_loss_of_the_images_in_it():
    model, params = tiny()
    whole = batch(model)
    given = {"image": whole["image"], "labels": whole["labels"], "size": whole["size"]}
    features = model.encode(params, whole["encoder_image"], whole["encoder_size"], whole["size"])
    trained = {name: params[name] for name in ("net", "features")}
    loss = jax.jit(model.loss)
    key = jax.random.key(3)
    in_step = loss(params, whole, key)[0]
    cached = loss(trained, {**given, "features": features}, key)[0]
    np.testing.assert_allclose(in_step, cached, rtol=1e-5)

    # And what a cache keeps of them, in 8 bits.
    rows = []
    for row in range(2):
        cells = model.features.encoder.apply(
            params["encoder"], whole["encoder_image"][row][None], whole["encoder_size"][row][None]
        )
        kept = Cells.of(np.asarray(cells[0]), tuple(whole["encoder_size"][row] / 4))
        rows.append(kept.stored(WHOLE, whole["size"][row], 16, 8, most=8))
    stacked = StoredCells(*map(np.stack, zip(*rows, strict=True)))
    cells = {f"cell_{name}": array for name, array in stacked._asdict().items()}
    stored = loss(trained, {**given, **cells}, key)[0]
    np.testing.assert_allclose(in_step, stored, rtol=1e-2)
    assert abs(in_step - loss(trained, {**given, "features": 0 * features}, key)[0]) > 1e-4


@pytest.mark.slow
def test_nothing_flows_into_a_frozen_encoder():
    for tuned in (False, True):
        model, params = tiny(tuned=tuned)
        grads = jax.grad(lambda p, m=model: m.loss(p, batch(m), jax.random.key(0))[0])(params)
        assert np.any(grads["encoder"]["gain"]) == tuned
        assert np.any(grads["features"]["cells"]["kernel"])


@pytest.mark.slow
def test_image_and_features_are_dropped_as_one():
    model, params = tiny()
    whole = batch(model)
    draws = model.draw(jax.random.key(0), whole["labels"].shape)
    empty = draws._replace(keep=jnp.zeros_like(draws.keep))
    dropped = model.row_losses(params, whole, empty).loss
    other = {**whole, "image": 255 - whole["image"], "encoder_image": 255 - whole["encoder_image"]}
    np.testing.assert_array_equal(dropped, model.row_losses(params, other, empty).loss)
    full = draws._replace(keep=jnp.ones_like(draws.keep))
    assert np.any(model.row_losses(params, whole, full).loss != dropped)


def test_the_condition_is_zero_on_padding():
    model, params = tiny()
    whole = batch(model)
    features = model.encode(params, whole["encoder_image"], whole["encoder_size"], whole["size"])
    valid = np.arange(16)[:, None] < whole["size"][:, 0, None, None]
    valid = np.broadcast_to(valid, (2, 16, 16))
    cond = model.encode_image(params, whole["image"], valid, features)
    assert cond["image"].shape == (2, 16, 16, 12) and cond["features"].shape == (2, 16, 16, 5)
    for leaf in cond.values():
        assert not np.any(np.asarray(leaf)[~valid]) and np.any(np.asarray(leaf)[valid])


def test_missing_features_are_told():
    model, params = tiny()
    whole = batch(model)
    valid = np.ones((2, 16, 16), bool)
    with pytest.raises(InputError, match=r"features: .* give what `Model.encode` returns"):
        model.encode_image(params, whole["image"], valid)
    alone = dataclasses.replace(model, features=None)
    with pytest.raises(InputError, match="without an encoder; leave them out"):
        alone.encode_image(params, whole["image"], valid, np.zeros((2, 8, 8, 4)))
    with pytest.raises(InputError, match="no encoder"):
        alone.encode(params, whole["encoder_image"], whole["encoder_size"], whole["size"])
    del whole["encoder_image"]
    without = {name: params[name] for name in ("net", "features")}
    with pytest.raises(InputError, match="no 'encoder'"):
        model.encode(without, np.zeros((2, 32, 32, 3), np.uint8), whole["size"], whole["size"])


def test_a_grid_has_to_divide_the_image():
    with pytest.raises(InputError, match=r"encoder.grid=7 does not divide .*image_size=16"):
        model_config.from_config(tiny_config(grid=7))


def drawn(model, params, items, **request):
    found = drawing.draw(model, params, items, FEW_STEPS, Request(**request))
    return [each.codes for each in found]


@pytest.mark.slow
def test_an_image_is_encoded_once_however_many_samples_it_has(monkeypatch):
    model, params = tiny()
    calls = []
    encode = drawing.programs.encode

    def counted(*args):
        calls.append(args[2].shape)
        return encode(*args)

    monkeypatch.setattr(drawing.programs, "encode", counted)
    items = [drawing.Item(str(i), image) for i, image in enumerate(images(3))]
    maps = drawn(model, params, items, num_samples=5, batch_size=4)
    assert len(calls) == 3 and [each.shape[0] for each in maps] == [5, 5, 5]
    alone = drawn(model, params, items[1:2], num_samples=1, batch_size=1)
    np.testing.assert_array_equal(alone[0][0], maps[1][0])


@pytest.mark.slow
def test_features_from_a_cache_draw_the_same_map():
    model, params = tiny()
    image = images(1)[0]
    shown = encoder_input(image, 32)
    cells = model.features.encoder.apply(
        params["encoder"], shown["encoder_image"][None], shown["encoder_size"][None]
    )
    kept = Cells.of(np.asarray(cells[0]), tuple(shown["encoder_size"] / 4))
    without = {name: params[name] for name in ("net", "features")}
    own = drawn(model, params, [drawing.Item("a", image)])[0]
    cached = drawing.Item("a", image, features=Features(lambda mirrored: kept))
    assert (drawn(model, without, [cached])[0] == own).mean() > 0.9
    with pytest.raises(InputError, match="no 'encoder'"):
        drawn(model, without, [drawing.Item("a", image)])


@pytest.mark.slow
def test_a_segmenter_of_a_model_with_an_encoder():
    model, params = tiny()
    segmenter = Segmenter(model, params, sampler=FEW_STEPS)
    image = images(1)[0]
    result = segmenter(image, num_samples=2)
    assert result.image.shape == image.shape
    assert len(segmenter.segment_batch(images(3))) == 3
