import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from bitdiff_jax.diffusion import schedules
from bitdiff_jax.diffusion.step_methods import Ddim
from bitdiff_jax.encoding import bits, interface, onehot
from bitdiff_jax.repro.controls import one_call, pix2seq, prob_unet, query_masks
from bitdiff_jax.repro.trainings import TRAININGS

RNG = np.random.default_rng(0)


def small(name):
    """The model of a training, as small as it gets."""
    config = TRAININGS[name].config("repro:smoke", 0)
    config.model.image_size = 16
    config.model.net.base_channels = 8
    return TRAININGS[name].own_model(config)


def batch(labels):
    labels = jnp.asarray(labels, jnp.int32)
    count, side, _ = labels.shape
    image = RNG.integers(0, 256, (count, side, side, 3)).astype(np.uint8)
    size = jnp.full((count, 2), side, jnp.int32)
    return {"image": jnp.asarray(image), "labels": labels, "size": size}


def test_cross_entropy_is_that_of_the_probabilities():
    p = RNG.dirichlet(np.ones(8), (2, 4, 4)).astype(np.float32)
    codes = RNG.integers(0, 8, (2, 4, 4))
    mask = RNG.random((2, 4, 4)) < 0.6
    target = onehot.OneHotEncoding(8).encode(codes)
    found = one_call.cross_entropy(onehot.standardise(jnp.asarray(p)), target, jnp.asarray(mask))
    picked = -np.log(np.take_along_axis(p, codes[..., None], -1)[..., 0])
    expected = [values[counted].mean() for values, counted in zip(picked, mask, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert one_call.cross_entropy(target, target, jnp.zeros((2, 4, 4), bool)).tolist() == [0, 0]


def test_a_certain_wrong_code_has_a_finite_loss_and_gradient():
    encoding = onehot.OneHotEncoding(4)
    wrong, right = encoding.encode(np.zeros((1, 2, 2))), encoding.encode(np.ones((1, 2, 2)))
    loss = lambda pred: one_call.cross_entropy(pred, right, jnp.ones((1, 2, 2))).sum()  # noqa: E731
    value, gradient = jax.value_and_grad(loss)(wrong)
    assert np.isfinite(value) and np.isfinite(gradient).all()


@pytest.mark.parametrize("num_bits", [1, 2, 6])
def test_bits_and_codes_are_an_encoding(num_bits):
    encoding = interface.check(pix2seq.BitsAndCodes(num_bits))
    codes = np.arange(2**num_bits)
    x0 = np.asarray(encoding.encode(codes))
    np.testing.assert_array_equal(x0[:, :num_bits], bits.encode(codes, num_bits))
    np.testing.assert_array_equal(x0[:, num_bits:], np.eye(2**num_bits))
    np.testing.assert_allclose(encoding.certainty(x0), 1)


@pytest.mark.slow
def test_expected_bits_are_those_of_the_probabilities():
    from bitdiff_jax import model_config

    config = TRAININGS["pix2seq"].config("repro:smoke", 0)
    config.model.image_size = 16
    model = model_config.from_config(config)
    params = jax.tree.map(
        lambda leaf: jnp.asarray(RNG.normal(0, 0.3, leaf.shape), leaf.dtype),
        jax.eval_shape(model.init, jax.random.key(0)),
    )
    x_t = jnp.asarray(RNG.normal(size=(1, 16, 16, 70)), jnp.float32)
    output = np.asarray(model.apply(params, x_t, jnp.ones(1), jnp.zeros((1, 16, 16, 3))))
    expected, p = output[..., :6], output[..., 6:]
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-4)
    values = 2.0 * ((np.arange(64)[:, None] >> np.arange(6)) & 1) - 1
    np.testing.assert_allclose(expected, p @ values, atol=1e-4)
    # The channels of noisy codes do not reach the network.
    other = x_t.at[..., 6:].set(0)
    again = model.apply(params, other, jnp.ones(1), jnp.zeros((1, 16, 16, 3)))
    np.testing.assert_array_equal(again, output)


@pytest.mark.parametrize(("td", "reached"), [(0.0, 0.5), (1.0, 0.375), (2.0, 0.25), (9.0, 0.0)])
def test_asymmetric_steps_reach_further(td, reached):
    schedule = schedules.cosine(0.1)
    x_t, x0, eps = (jnp.asarray(RNG.normal(size=(1, 2, 2, 3)), jnp.float32) for _ in range(3))
    found = pix2seq.Asymmetric(td).step(
        x_t, x0, eps, jnp.float32(0.625), jnp.float32(0.5), schedule, jnp.zeros_like(x_t)
    )
    expected = Ddim().step(
        x_t, x0, eps, jnp.float32(0.625), jnp.float32(reached), schedule, jnp.zeros_like(x_t)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def masks_of(labels, num_queries, order, scale=30.0):
    """Logits that draw the true regions, region r by query order[r]."""
    hot = np.full((*labels.shape, num_queries), -scale, np.float32)
    regions = np.full(num_queries, -scale, np.float32)
    for region, query in enumerate(order):
        hot[labels == region, query] = scale
        regions[query] = scale
    return jnp.asarray(hot), jnp.asarray(regions)


def row_loss(labels, masks, regions, known=None):
    known = np.ones(labels.shape, bool) if known is None else known
    return float(query_masks._row_loss(masks, regions, jnp.asarray(labels), jnp.asarray(known)))


def test_the_right_masks_have_no_loss_whichever_query_has_them():
    labels = np.repeat(np.arange(4), 4)[:, None].repeat(16, 1) % 3
    losses = [row_loss(labels, *masks_of(labels, 5, order)) for order in ((0, 1, 2), (4, 2, 0))]
    np.testing.assert_allclose(losses, 0, atol=1e-4)
    assert row_loss(labels, *masks_of((labels + 1) % 2, 5, (0, 1))) > 1


def test_ignored_pixels_are_out_of_the_loss():
    labels = np.repeat(np.arange(2), 8)[:, None].repeat(16, 1)
    masks, regions = masks_of(labels, 3, (0, 1))
    wrong = masks.at[:3].multiply(-1)
    known = np.ones(labels.shape, bool)
    known[:3] = False
    hidden = np.where(known, labels, -1)
    assert row_loss(hidden, wrong, regions, known) == pytest.approx(0, abs=1e-4)
    assert row_loss(labels, wrong, regions) > 0.5


def test_queries_are_matched_as_scipy_does():
    """The loss is the least over all matchings: every other one costs as much or more."""
    labels = RNG.integers(0, 3, (8, 8))
    masks = jnp.asarray(RNG.normal(size=(8, 8, 3)), jnp.float32)
    regions = jnp.full(3, 40.0)  # all regions, so that only masks count
    p = np.asarray(jax.nn.sigmoid(masks)).reshape(64, 3)
    true = (labels.reshape(64, 1) == np.arange(3)).astype(float)
    cross = -(np.log(p).T @ true + np.log(1 - p).T @ (1 - true)) / 64
    dice = 1 - (2 * p.T @ true + 1) / (p.sum(0)[:, None] + true.sum(0) + 1)
    cost = 5 * cross + 5 * dice
    chosen = optimize.linear_sum_assignment(cost)
    found = row_loss(labels, masks, regions)
    assert found == pytest.approx(cost[chosen].mean(), rel=1e-4)
    others = [cost[range(3), order].mean() for order in itertools.permutations(range(3))]
    assert found == pytest.approx(min(others), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["query_masks", "prob_unet"])
def test_own_models_train_and_draw(name):
    """A few steps of plain descent lower the loss, and maps have the ids that they may have."""
    model = small(name)
    assert hash(model) == hash(small(name)) and model == small(name)
    params = model.init(jax.random.key(0))
    stripes = np.repeat(np.arange(4), 4)[:, None].repeat(16, 1)
    rows = batch(np.stack([stripes, stripes.T]))
    loss = jax.jit(jax.value_and_grad(lambda p: model.loss(p, rows, jax.random.key(1))[0]))
    first, _ = loss(params)
    for _ in range(5):
        _, gradient = loss(params)
        params = jax.tree.map(lambda p, g: p - 0.01 * g, params, gradient)
    last, _ = loss(params)
    assert last < first
    keys = jax.random.split(jax.random.key(2), 2)
    drawn = model.sample(params, rows["image"], rows["size"] - 4, keys)
    codes = np.asarray(drawn.codes)
    assert (codes[:, 12:] == -1).all() and (codes[:, :12, :12] >= 0).all()
    assert codes.max() < model.encoding.num_codes and np.isfinite(drawn.certainty).all()


def test_divergence_of_gaussians():
    first = jnp.asarray([[0.5, -1.0]]), jnp.asarray([[0.2, -0.3]])
    second = jnp.asarray([[0.0, 1.0]]), jnp.asarray([[0.0, 0.4]])
    x = np.linspace(-12, 12, 200_001)
    expected = 0.0
    for i in range(2):
        logs = []
        for mean, log_std in (first, second):
            m, s = float(mean[0, i]), float(np.exp(log_std[0, i]))
            logs.append(-0.5 * ((x - m) / s) ** 2 - np.log(s * np.sqrt(2 * np.pi)))
        expected += np.trapezoid(np.exp(logs[0]) * (logs[0] - logs[1]), x)
    assert float(prob_unet.divergence(first, second)[0]) == pytest.approx(expected, rel=1e-4)
    assert float(prob_unet.divergence(first, first)[0]) == pytest.approx(0, abs=1e-6)
