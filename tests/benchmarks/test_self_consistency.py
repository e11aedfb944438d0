"""The tests without a known posterior: an exact denoiser passes, one told a wrong logsnr fails."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.quality import self_consistency
from benchmarks.quality.sampling_settings import Setting
from bitdiff_jax.diffusion import schedules
from bitdiff_jax.encoding import bits
from bitdiff_jax.testing import exact

SCHEDULE = schedules.cosine(0.1)
CODES, PRIOR = exact.partitions()
BITS = np.asarray(bits.encode(jnp.asarray(CODES), 3))
LOG_PRIOR = jnp.log(jnp.float32(PRIOR))
ROWS = 64


@pytest.fixture(scope="module")
def cases():
    rng = np.random.default_rng(0)
    cond, valid = jnp.tile(LOG_PRIOR, (ROWS, 1)), jnp.ones((ROWS, 8, 8), bool)
    return [
        self_consistency.Case(jnp.asarray(BITS[rng.choice(5, ROWS, p=PRIOR)]), cond, valid)
        for _ in range(12)
    ]


def told(shift):
    """The exact denoiser, which takes x_t for one of a logsnr so much higher."""
    denoise = exact.listed(SCHEDULE, BITS)
    return jax.jit(Setting("", shift=shift).applied(denoise, SCHEDULE, 1)[0])


def slopes(guess, cases, logsnr):
    pairs = [
        self_consistency.predictions(guess, case, SCHEDULE, logsnr, seed)
        for seed, case in enumerate(cases)
    ]
    return self_consistency.reliability(pairs)
