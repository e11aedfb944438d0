"""The bound against data whose probabilities, or whose entropy, are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import entropy

from bitdiff_jax.diffusion import schedules
from bitdiff_jax.diffusion.bound import bits_of_range, logsnr_range, variational_bound
from bitdiff_jax.encoding import bits
from bitdiff_jax.testing import exact

SCHEDULES = [schedules.cosine(0.1), schedules.linear(1.0)]
ROWS = 256


def listed_bound(schedule, wrong=0.0, rows=ROWS, num_times=64, **kwargs):
    """Bounds [5, rows] of the five partitions, their standard errors, and the true bits [5].

    `wrong` is what the denoiser's guess is pulled towards 0 by.
    """
    codes, prior = exact.partitions()
    images = np.asarray(bits.encode(jnp.asarray(codes), 3))
    denoise = exact.listed(schedule, images)
    found = variational_bound(
        lambda x_t, t, cond: (1 - wrong) * denoise(x_t, t, cond),
        jnp.repeat(jnp.asarray(images), rows, axis=0),
        jnp.broadcast_to(jnp.log(jnp.float32(prior)), (5 * rows, 5)),
        jax.random.split(jax.random.key(0), 5 * rows),
        schedule=schedule,
        num_times=num_times,
        **kwargs,
    )
    total, error = (np.asarray(x).reshape(5, rows) for x in (found.total, found.standard_error))
    assert found.bits.shape == (5 * rows, 8, 8)
    return total, error, -np.log2(prior)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=["cosine", "linear"])
def test_of_the_exact_denoiser_it_is_the_probability_of_each(schedule):
    total, error, want = listed_bound(schedule)
    own = total.std(axis=1) / np.sqrt(ROWS)
    assert (np.abs(total.mean(axis=1) - want) < 4 * own + 0.02).all()
    assert (own < 0.12).all()
    # The error that one row states is that by which the rows differ, to a third.
    stated = np.sqrt(np.mean(np.square(error), axis=1))
    np.testing.assert_allclose(stated, total.std(axis=1), rtol=0.35)


def test_on_average_it_is_the_entropy_and_above_for_a_worse_denoiser():
    prior = exact.partitions()[1]
    known = entropy(prior, base=2)
    worse = []
    for wrong in (0.0, 0.05, 0.2):
        total, _, _ = listed_bound(SCHEDULES[0], wrong=wrong)
        mean = float(prior @ total.mean(axis=1))
        own = float(np.sqrt(prior**2 @ total.var(axis=1) / ROWS))
        assert mean > known - 3 * own
        worse.append((mean, own))
    assert worse[0][0] == pytest.approx(known, abs=3 * worse[0][1] + 0.02)
    assert worse[0][0] + 3 * worse[0][1] < worse[1][0] < worse[2][0]


def test_independent_groups_have_the_sum_of_their_entropies():
    schedule, layout, p = schedules.cosine(0.1), ((1, 4), (4, 2), (16, 1)), 0.8
    rng = np.random.default_rng(0)
    rows = 400
    drawn = [
        np.repeat(rng.random((rows, 1, count)) < p, m, axis=2).astype(np.float32) * 2 - 1
        for m, count in layout
    ]
    x0 = jnp.asarray(np.concatenate(drawn, axis=2))[..., None]
    found = variational_bound(
        exact.groups(schedule, layout), x0, jnp.full(rows, p),
        jax.random.split(jax.random.key(1), rows), schedule=schedule, num_times=48,
    )  # fmt: skip
    # Each group costs the log of the probability of its own value, wherever it lies.
    got = np.asarray(found.bits)[:, 0]
    columns = np.split(got, np.cumsum([m * n for m, n in layout])[:-1], axis=1)
    for (m, count), values, bit in zip(layout, columns, drawn, strict=True):
        costs = values.reshape(rows, count, m).sum(axis=2)
        is_plus = bit.reshape(rows, count, m)[:, :, 0] > 0
        for side, probability in ((is_plus, p), (~is_plus, 1 - p)):
            error = costs[side].std() / np.sqrt(side.sum())
            assert costs[side].mean() == pytest.approx(-np.log2(probability), abs=4 * error + 0.01)


@pytest.mark.parametrize("logsnr_max", [-1.0, 0.0, 2.0])
def test_it_is_a_bound_wherever_the_integral_ends(logsnr_max):
    total, _, want = listed_bound(SCHEDULES[0], logsnr_max=logsnr_max)
    own = total.std(axis=1) / np.sqrt(ROWS)
    prior = exact.partitions()[1]
    slack = 3 * float(np.sqrt(prior**2 @ own**2))
    assert prior @ total.mean(axis=1) > prior @ want - slack
    assert prior @ total.mean(axis=1) < prior @ want + slack + (12 if logsnr_max < 1 else 0.5)


def test_a_schedule_that_ends_early_pays_for_it_at_both_ends():
    short = schedules.cosine(0.1, logsnr_min=-4.0, logsnr_max=1.0)
    assert logsnr_range(short, 192) == (-4.0, 1.0)
    total, _, want = listed_bound(short, rows=64)
    own = total.std(axis=1) / 8
    # -log(sigma^2) / 2 of 192 values of which the model knows nothing, at the end of noise.
    assert (total.mean(axis=1) > want - 3 * own).all()
    assert (total.mean(axis=1) - want < 192 / 2 * np.log2(1 + np.exp(-4)) + 8).all()


def test_padding_costs_nothing_and_changes_nothing():
    schedule = schedules.cosine(0.1)
    codes, prior = exact.partitions()
    images = np.asarray(bits.encode(jnp.asarray(codes), 3))
    denoise = exact.listed(schedule, images)
    padded = np.pad(images, ((0, 0), (0, 2), (0, 3), (0, 0)))
    valid = jnp.zeros((5, 10, 11), bool).at[:, :8, :8].set(True)
    found = variational_bound(
        lambda x_t, t, cond: jnp.pad(denoise(x_t[:, :8, :8], t, cond),
                                     ((0, 0), (0, 2), (0, 3), (0, 0))),
        jnp.asarray(padded) + jnp.where(valid[..., None], 0, 7.0),
        jnp.broadcast_to(jnp.log(jnp.float32(prior)), (5, 5)),
        jax.random.split(jax.random.key(3), 5), schedule=schedule, num_times=512, valid_mask=valid,
    )  # fmt: skip
    assert not np.asarray(found.bits)[:, 8:].any() and not np.asarray(found.bits)[..., 8:].any()
    error = np.asarray(found.standard_error)
    assert (np.abs(found.total + np.log2(prior)) < 4 * error + 0.02).all()


def test_the_integral_is_the_sum_of_its_parts():
    schedule = schedules.cosine(0.1)
    codes, prior = exact.partitions()
    x0 = bits.encode(jnp.asarray(codes), 3)
    denoise = exact.listed(schedule, np.asarray(x0))
    cond = jnp.broadcast_to(jnp.log(jnp.float32(prior)), (5, 5))
    keys = jax.random.split(jax.random.key(4), 5)

    def part(low, high, num_times):
        return bits_of_range(
            denoise, x0, cond, keys, (low, high), schedule=schedule, num_times=num_times
        )

    whole, below, above = part(-9, 3, 600), part(-9, -3, 300), part(-3, 3, 300)
    error = np.sqrt(sum(np.square(each.standard_error) for each in (whole, below, above)))
    assert (np.abs(whole.total - below.total - above.total) < 4 * error).all()


def test_arguments_out_of_range_are_refused():
    for arguments, words in (
        ({"num_times": 1}, "num_times is 1"),
        ({"logsnr_max": -30.0}, "logsnr has to end above"),
    ):
        with pytest.raises(ValueError, match=words):
            listed_bound(SCHEDULES[0], rows=1, **arguments)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=["cosine", "linear"])
def test_times_of_logsnr_are_found(schedule):
    logsnr = np.linspace(schedule.logsnr_min + 2, min(schedule.logsnr_max, 5), 50)
    t = schedule.t_at(jnp.asarray(logsnr, jnp.float32))
    assert (np.diff(t) < 0).all()
    np.testing.assert_allclose(schedule.logsnr(t), logsnr, atol=0.02)
    ends = schedule.t_at(jnp.array([-100.0, 100.0]))
    np.testing.assert_allclose(ends, [1, 0], atol=1e-6)
