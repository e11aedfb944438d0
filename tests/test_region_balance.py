"""How much each pixel counts in the loss: alike, or by its region's area."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitdiff_jax import training_loss
from bitdiff_jax.diffusion import losses
from bitdiff_jax.target import Target, region_areas
from tests.test_model import batch_of, tiny

NUM_CODES = 64


def target_of(codes):
    codes = jnp.asarray(codes, jnp.int32)
    zeros = jnp.zeros(len(codes), jnp.int32)
    return Target(jnp.zeros((*codes.shape, 6)), codes >= 0, codes, zeros, zeros)


def counted(codes):
    """The area of each pixel's region by numpy, image by image."""
    areas = np.zeros_like(codes)
    for image, area in zip(codes, areas, strict=True):
        values, inverse, counts = np.unique(image, return_inverse=True, return_counts=True)
        area[:] = np.where(values < 0, 0, counts)[inverse].reshape(image.shape)
    return areas


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(-1, NUM_CODES - 1), st.integers(0, NUM_CODES - 1))
def test_areas_are_those_of_a_count(seed, low, high):
    codes = np.random.default_rng(seed).integers(min(low, high), max(low, high) + 1, (2, 6, 5))
    codes = codes.astype(np.int32)
    np.testing.assert_array_equal(region_areas(jnp.asarray(codes), NUM_CODES), counted(codes))


def test_0_is_the_loss_mask_itself_so_that_nothing_changes():
    target = target_of([[[0, 0, -1], [5, 5, 5]]])
    assert training_loss.pixel_weights(target, 0.0, NUM_CODES) is target.loss_mask


def test_1_gives_regions_the_same_share_of_the_loss():
    codes = np.full((1, 8, 8), 7)
    codes[0, 0, :3], codes[0, 1, 0], codes[0, 2] = 0, 63, -1
    weights = np.asarray(training_loss.pixel_weights(target_of(codes), 1.0, NUM_CODES))
    shares = [weights[codes == code].sum() for code in (7, 0, 63)]
    np.testing.assert_allclose(shares, 1, rtol=1e-6)
    assert (weights[codes == -1] == 0).all()


def test_a_map_without_a_label_weighs_nothing():
    weights = training_loss.pixel_weights(target_of(np.full((1, 4, 4), -1)), 0.5, NUM_CODES)
    assert np.isfinite(weights).all() and not np.asarray(weights).any()


@pytest.mark.parametrize("name", sorted(losses.LOSSES))
def test_losses_are_means_by_weight(name):
    rng = np.random.default_rng(0)
    pred = jnp.asarray(rng.uniform(-0.9, 0.9, (2, 4, 4, 6)), jnp.float32)
    x0 = jnp.asarray(rng.choice([-1.0, 1.0], (2, 4, 4, 6)), jnp.float32)
    weights = rng.uniform(0.1, 1, (2, 4, 4)).astype(np.float32)

    def only(pixel):  # the error of one pixel of each image
        mask = np.zeros((2, 4, 4), bool)
        mask[(slice(None), *pixel)] = True
        return np.asarray(losses.LOSSES[name](pred, x0, jnp.asarray(mask)))

    each = np.stack([only(pixel) for pixel in np.ndindex(4, 4)], axis=1)
    wanted = np.average(each, axis=1, weights=weights.reshape(2, -1))
    np.testing.assert_allclose(losses.LOSSES[name](pred, x0, weights), wanted, rtol=1e-5)


def test_the_model_reads_it_from_its_config():
    batch = batch_of()
    plain, balanced = tiny(), tiny(**{"model.objective.region_balance": 1.0})
    params = jax.jit(plain.init)(jax.random.key(0))
    losses_of = [
        float(model.loss(params, batch, jax.random.key(2))[0]) for model in (plain, balanced)
    ]
    assert abs(losses_of[0] - losses_of[1]) > 1e-3 * abs(losses_of[0])
