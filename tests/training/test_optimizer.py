import numpy as np
import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax.errors import InputError
from bitdiff_jax.training.optimizer import learning_rate, make_optimizer


def test_the_learning_rate_matches_the_reference(golden):
    vectors = golden("lr")
    rate = learning_rate(1e-4, 300_000, 1_000, 50_000)
    got = [float(rate(step - 1)) for step in vectors["step"]]
    np.testing.assert_allclose(got, vectors["lr"], rtol=2e-5, atol=1e-10)


@pytest.mark.parametrize(("warmup", "decay"), [(0, 0), (0, 10), (10, 0), (3, 7)])
def test_stretches_may_be_empty(warmup, decay):
    rate = np.array([float(learning_rate(1.0, 10, warmup, decay)(n)) for n in range(10)])
    for n in range(1, 11):
        rise = min(n / warmup, 1) if warmup else 1
        fall = (1 + np.cos(np.pi * np.clip((n - 10 + decay) / decay, 0, 1))) / 2 if decay else 1
        assert rate[n - 1] == pytest.approx(rise * fall, abs=1e-6)


def test_stretches_must_fit():
    config = config_lib.load("base:smoke")
    config.optimizer.decay_steps = 50
    with pytest.raises(InputError, match=r"decay_steps=50 do not fit into config.train.num_steps"):
        make_optimizer(config)
