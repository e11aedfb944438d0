"""Channels of an encoder's features that a training example does not see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax import training_loss
from bitdiff_jax.diffusion import schedules
from bitdiff_jax.target import Target
from bitdiff_jax.training_loss import Objective

SHAPE = (2, 4, 4)


def draws(objective, feature_channels=8, shape=SHAPE):
    return training_loss.draw(jax.random.key(0), shape, objective, 6, feature_channels)


def seen_by_the_network(objective, drawn):
    """The condition that `row_losses` hands to the network, of features that are all 1."""
    found = []

    def denoise(x_t, t, cond):
        found.append(cond)
        return jnp.zeros_like(x_t)

    codes = jnp.zeros(SHAPE, jnp.int32)
    zeros = jnp.zeros(len(codes), jnp.int32)
    target = Target(jnp.ones((*SHAPE, 6)), codes >= 0, codes, zeros, zeros)
    cond = {"image": jnp.ones((*SHAPE, 3)), "features": jnp.ones((*SHAPE, 8))}
    training_loss.row_losses(
        denoise, target, codes >= 0, cond, drawn._replace(keep=jnp.ones(2, bool)), objective,
        num_codes=64, schedule=schedules.make("cosine"), prediction="x",
    )  # fmt: skip
    return jax.tree.map(np.asarray, found[0])


def test_whole_channels_are_left_out_and_the_others_scaled_up():
    objective = Objective(feature_dropout=0.25)
    drawn = draws(objective)
    cond = seen_by_the_network(objective, drawn)
    wanted = np.where(np.asarray(drawn.channels), 1 / 0.75, 0)[:, None, None]
    np.testing.assert_allclose(cond["features"], np.broadcast_to(wanted, (*SHAPE, 8)), rtol=1e-6)
    assert 0 < drawn.channels.sum() < drawn.channels.size
    assert not np.array_equal(drawn.channels[0], drawn.channels[1])
    np.testing.assert_array_equal(cond["image"], 1)


def test_the_share_that_is_left_out():
    kept = draws(Objective(feature_dropout=0.3), 64, (500, 1, 1)).channels
    assert abs(np.mean(kept) - 0.7) < 0.01


@pytest.mark.parametrize(
    ("objective", "feature_channels"),
    [(Objective(), 8), (Objective(feature_dropout=0.5), 0)],
    ids=["no dropout", "no features"],
)
def test_otherwise_nothing_is_drawn(objective, feature_channels):
    assert draws(objective, feature_channels).channels is None


def test_other_draws_stay_as_they_are():
    with_dropout, without = draws(Objective(feature_dropout=0.5)), draws(Objective())
    for name in ("t", "eps", "keep"):
        np.testing.assert_array_equal(getattr(with_dropout, name), getattr(without, name))
