"""The tests without a known posterior: an exact denoiser passes, one told a wrong logsnr fails."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.quality import self_consistency
from benchmarks.quality.sampling_settings import Setting
from bitdiff_jax.diffusion import presets, sampling, schedules
from bitdiff_jax.encoding import bits
from bitdiff_jax.testing import exact
from tests.inference import tiny

SCHEDULE = schedules.cosine(0.1)
CODES, PRIOR = exact.partitions()
BITS = np.asarray(bits.encode(jnp.asarray(CODES), 3))
LOG_PRIOR = jnp.log(jnp.float32(PRIOR))
ROWS = 64
WRONG = -2.0  # in logsnr: x_t is taken to be noisier than it is


@pytest.fixture(scope="module")
def cases():
    rng = np.random.default_rng(0)
    cond, valid = jnp.tile(LOG_PRIOR, (ROWS, 1)), jnp.ones((ROWS, 8, 8), bool)
    return [
        self_consistency.Case(jnp.asarray(BITS[rng.choice(5, ROWS, p=PRIOR)]), cond, valid)
        for _ in range(6)
    ]


@functools.cache
def told(shift):
    """The exact denoiser, which takes x_t for one of a logsnr so much higher."""
    denoise = exact.listed(SCHEDULE, BITS)
    return jax.jit(Setting("", shift=shift).applied(denoise, SCHEDULE, 1)[0])


def reliability(guess, cases, logsnr):
    pairs = [
        self_consistency.predictions(guess, case, SCHEDULE, logsnr, seed)
        for seed, case in enumerate(cases)
    ]
    return self_consistency.reliability(pairs)


def test_bits_come_as_often_as_they_are_predicted_unless_the_logsnr_is_wrong(cases):
    right, right_gap = reliability(told(0.0), cases, -4.0)
    wrong, wrong_gap = reliability(told(WRONG), cases, -4.0)
    assert right.mean == pytest.approx(1, abs=0.04) and right_gap < 0.03
    assert right.low < right.mean < right.high
    assert wrong.low > 1.05 and wrong_gap > 2 * right_gap


def test_samples_have_the_mean_that_is_predicted_from_noise_unless_the_logsnr_is_wrong():
    shape, sampler = (256, *BITS.shape[1:]), presets.FAITHFUL.without_idle_half()
    cond = jnp.tile(LOG_PRIOR, (shape[0], 1))

    def excess(guess):
        key_init, key_steps = jax.random.split(jax.random.key(0))
        x0 = sampling.sample(
            guess, jax.random.normal(key_init, shape), cond, sampler, schedule=SCHEDULE,
            keys=jax.random.split(key_steps, shape[0]),
        )  # fmt: skip
        drawn = np.where(np.asarray(x0) > 0, 1.0, -1.0)
        end = self_consistency.at_the_end(guess, cond[:1], (1, *shape[1:]))[0]
        np.testing.assert_allclose(end, np.tensordot(PRIOR, BITS, 1), atol=0.02)
        return self_consistency.excess(drawn, end, np.ones(shape[1:3], bool))

    assert abs(excess(told(0.0))) < 0.02 < excess(told(WRONG))


def test_exact_draws_have_no_excess_and_collapsed_ones_have():
    rng = np.random.default_rng(0)
    mean = np.tensordot(PRIOR, BITS, 1)
    inside = np.ones((8, 8), bool)
    found = [
        self_consistency.excess(BITS[rng.choice(5, 64, p=PRIOR)], mean, inside) for _ in range(200)
    ]
    assert np.mean(found) == pytest.approx(0, abs=4 * np.std(found) / np.sqrt(200))
    want = ((BITS[0] - mean) ** 2).mean() / (1 - mean**2).mean()
    assert self_consistency.excess(BITS[[0] * 64], mean, inside) == pytest.approx(want, rel=1e-5)
    assert want > 0.4


def test_the_bound_is_the_entropy_and_above_it_if_the_logsnr_is_wrong(cases):
    known = -float(PRIOR @ np.log2(PRIOR))
    right, wrong = (
        np.concatenate(
            [self_consistency.bits_of(told(shift), case, SCHEDULE) for case in cases[:3]]
        )
        for shift in (0.0, WRONG)
    )
    error = right.std() / np.sqrt(len(right))
    assert right.mean() == pytest.approx(known, abs=4 * error + 0.02)
    assert wrong.mean() > known + 4 * error and (wrong - right).mean() > 0.1


def test_of_a_checkpoint_all_three_are_told(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("BITDIFF_CACHE_DIR", "")
    workdir = tiny.save_checkpoint(tmp_path / "run", tiny.tiny_config(image_size=32))
    few = ["--num_images=2", "--num_maps=2", "--num_samples=3"]
    data = "--data=posterior,kind=pairs,seed=5"
    self_consistency.main([f"--checkpoint={workdir}", data, *few])
    lines = capsys.readouterr().out.splitlines()
    slopes = [line.split() for line in lines if line.endswith(tuple("0123456789"))]
    assert [float(each[0]) for each in slopes] == list(self_consistency.LOGSNRS)
    (samples,) = (line for line in lines if line.startswith("samples against t = 1: "))
    assert np.isfinite(float(samples.split()[5]))
    (above,) = (line for line in lines if line.startswith("above the entropy by "))
    assert float(above.split()[4]) > 100  # its parameters are random
