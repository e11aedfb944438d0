"""Prompts: what training shows is true of the map, and a model reads it as a condition."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax import model_config, prompts
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.encoding.bits import BitEncoding
from bitdiff_jax.errors import InputError
from bitdiff_jax.prompts import Prompts

SIZE, CODES = 16, 16
ENCODING = BitEncoding(4)
ALL = Prompts(granularity=0.5, region=0.5, codes=0.5)


def maps(count, seed=0):
    """Blocks of codes, some pixels without one; the last map is all one region, one is empty."""
    rng = np.random.default_rng(seed)
    codes = np.kron(rng.integers(0, CODES, (count, 4, 4)), np.ones((4, 4), int))
    codes[:, :, 13:] = -1
    codes[-1] = 3
    codes[-2] = -1
    return codes.astype(np.int32)


@functools.cache
def drawn(kinds=ALL, count=400):
    codes = maps(count)
    x0 = ENCODING.encode(jnp.asarray(codes))
    keys = jax.random.split(jax.random.key(1), count)
    values = jax.jit(prompts.draw, static_argnums=(3, 4))(keys, codes, x0, kinds, CODES)
    return codes, np.asarray(x0), np.asarray(values)


def test_channels_are_those_of_the_kinds_that_are_taken():
    assert ALL.channels(4) == {
        "granularity": slice(0, 2), "region": slice(2, 4), "codes": slice(4, 8)
    }  # fmt: skip
    assert Prompts(codes=0.1).channels(6) == {"codes": slice(0, 6)}
    assert Prompts().channels(6) == {} and Prompts().num_channels(6) == 0 and not Prompts()
    assert ALL.num_channels(4) == 8 == drawn()[2].shape[-1]


def test_each_kind_is_shown_as_often_as_it_says():
    codes, _, values = drawn(Prompts(granularity=1.0, region=0.25))
    some = (codes >= 0).any((1, 2))
    shown = values[some].any((1, 2))
    assert shown[:, 0].all()
    assert 0.18 < shown[:, 2:].any(1).mean() < 0.32


def test_granularity_is_the_number_of_regions():
    codes, _, values = drawn()
    shown = values[..., 0].any((1, 2))
    assert 0.4 < shown.mean() < 0.6
    for code, value in zip(codes[shown], values[shown], strict=True):
        number = len(np.unique(code[code >= 0]))
        np.testing.assert_array_equal(value[..., 0], code >= 0)
        np.testing.assert_allclose(value[code >= 0, 1], (np.log2(number) - 3) / 2, atol=1e-6)
        assert (value[code < 0, 1] == 0).all()


def test_points_and_box_are_of_one_region():
    codes, _, values = drawn(Prompts(region=1.0))
    boxes = 0
    for code, value in zip(codes, values, strict=True):
        points, box = value[..., 0], value[..., 1] > 0
        if not (code >= 0).any():
            assert not value.any()
            continue
        inside, outside = points > 0, points < 0
        assert inside.any() or box.any()
        assert not (code[outside] < 0).any() and outside.sum() <= prompts.MAX_POINTS
        regions = set(code[inside])
        assert len(regions) <= 1 and not regions & set(code[outside])
        if box.any():
            boxes += 1
            fits = [r for r in np.unique(code[code >= 0]) if (bounding_box(code == r) == box).all()]
            assert regions <= set(fits) and fits
    assert 0.4 < boxes / len(codes) < 0.6


def bounding_box(mask):
    box = np.zeros_like(mask)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return box


def test_known_codes_are_those_of_the_map():
    codes, x0, values = drawn(Prompts(codes=1.0))
    known = values.any(-1)
    np.testing.assert_array_equal(values[known], x0[known])
    assert not (codes[known] < 0).any()
    share = known.sum((1, 2)) / np.maximum((codes >= 0).sum((1, 2)), 1)
    assert share.min() == 0 and share.max() == 1 and 0.1 < share.mean() < 0.6


def tiny_config(**shares):
    config = config_lib.load("base:smoke")
    config.model.image_size = SIZE
    config.model.net.implementation = "tests.own_network:ThreeConvs"
    config.model.prompts.update(shares)
    return config


def model_of(**shares):
    return model_config.from_config(tiny_config(**shares))


def batch_of(model, count=2):
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 5, (count, 4, 4)), np.ones((4, 4), int)).astype(np.int32)
    return {
        "image": rng.integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8),
        "labels": labels,
        "size": np.full((count, 2), SIZE, np.int32),
    }


def noisy(model):
    params = model.init(jax.random.key(0))
    keys = iter(jax.random.split(jax.random.key(1), 1000))
    return jax.tree.map(lambda p: p + 0.1 * jax.random.normal(next(keys), p.shape), params)


def test_a_prompt_is_a_part_of_the_condition():
    model = model_of(granularity=0.5, codes=0.5)
    params = noisy(model)
    batch, valid = batch_of(model), np.ones((2, SIZE, SIZE), bool)
    valid[:, :, 10:] = False
    nothing = model.encode_image(params, batch["image"], valid)
    assert nothing["prompt"].shape == (2, SIZE, SIZE, 2 + 6) and not nothing["prompt"].any()
    told = model.encode_image(params, batch["image"], valid, prompt=jnp.ones((2, SIZE, SIZE, 8)))
    np.testing.assert_array_equal(np.asarray(told["prompt"]) == 1, valid[..., None].repeat(8, -1))
    with pytest.raises(InputError, match="prompt has 3 channels; the model takes 8"):
        model.encode_image(params, batch["image"], valid, prompt=jnp.ones((2, SIZE, SIZE, 3)))
    with pytest.raises(InputError, match="prompt has 3 channels; the model takes no prompts"):
        model_of().encode_image(params, batch["image"], valid, prompt=jnp.ones((2, SIZE, SIZE, 3)))


def test_training_shows_prompts_and_its_other_draws_stay():
    """The gradient of the prompts' weights is there, and 0 for a kind that no row sees."""
    model = model_of(granularity=1e-9, region=1.0)
    params, batch = noisy(model), batch_of(model)
    gradient = jax.grad(lambda p: model.loss(p, batch, jax.random.key(3))[0])(params)
    kernel = np.asarray(gradient["first"]["kernel"])  # reads x_t, the image, then the prompt
    assert kernel.shape[-2] == 6 + 3 + 4
    assert not kernel[..., 9:11, :].any() and kernel[..., 11:, :].any()
    shape = batch["labels"].shape
    with_, without = (m.draw(jax.random.key(3), shape) for m in (model, model_of()))
    np.testing.assert_array_equal(with_.eps, without.eps)
    np.testing.assert_array_equal(with_.t, without.t)


def test_guidance_by_the_prompt():
    """The weight moves x0 away from what it is without the prompt; 1 is the plain prompt."""
    model = model_of(granularity=0.5)
    params, batch = noisy(model), batch_of(model)
    keys = jax.random.split(jax.random.key(2), 2)
    prompt = prompts.granularity(jnp.array([2.0, 40.0]), jnp.ones((2, SIZE, SIZE), bool))

    def x0(weight=None, prompt=prompt, guidance_weight=None):
        sampler = Sampler(1, guidance_weight, clip=False)
        weight = None if weight is None else jnp.full(2, weight, jnp.float32)
        return np.asarray(
            model.sample(
                params, batch["image"], batch["size"], keys, sampler, prompt=prompt,
                prompt_weight=weight,
            ).x0
        )  # fmt: skip

    told, free = x0(), x0(prompt=None)
    assert np.abs(told - free).max() > 1e-3
    np.testing.assert_allclose(x0(1.0), told, atol=1e-5)
    np.testing.assert_allclose(x0(0.0), free, atol=1e-5)
    np.testing.assert_allclose(x0(3.0), free + 3 * (told - free), atol=1e-5)
    # Beside guidance by the image, which moves away from the condition that is empty.
    empty, moved = x0(guidance_weight=-1.0), free + 3 * (told - free)
    np.testing.assert_allclose(
        x0(3.0, guidance_weight=0.5), moved + 0.5 * (moved - empty), atol=1e-5
    )


def test_known_codes_are_shown_to_a_model_that_takes_them():
    """They are imposed as ever, and the other pixels see them without any derivative."""
    model = model_of(codes=0.5)
    params, batch = noisy(model), batch_of(model)
    keys = jax.random.split(jax.random.key(2), 2)
    known = np.full((2, SIZE, SIZE), -1, np.int32)
    known[:, :4, :4] = 21
    draw = functools.partial(
        model.sample, params, batch["image"], batch["size"], keys, Sampler(1, None, clip=False)
    )
    raster = jnp.where((known >= 0)[..., None], model.encoding.encode(known), 0)
    got, told = draw(known_codes=known), draw(prompt=raster)
    assert (np.asarray(got.codes)[known >= 0] == 21).all()
    free = known < 0
    np.testing.assert_allclose(np.asarray(got.x0)[free], np.asarray(told.x0)[free], atol=1e-6)
    assert np.abs(np.asarray(draw().x0) - np.asarray(told.x0))[free].max() > 1e-3


def test_prompts_are_settings_of_a_config():
    with pytest.raises(InputError, match=r"model\.prompts\.region is 1\.5"):
        model_of(region=1.5)
    assert model_of(region=0.5).prompts == Prompts(region=0.5)
    assert dataclasses.replace(model_of(region=0.5), prompts=Prompts()) == model_of()
