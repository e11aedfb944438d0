"""Both styles of PRNG keys stand for the same randomness."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.diffusion import prng_keys, sampling
from bitdiff_jax.diffusion.sampler import Sampler
from tests.diffusion.test_sampling import SCHEDULE, gaussian_net, gaussian_setup


@pytest.mark.parametrize("count", [None, 1, 2, 4])  # two keys are [2, 2], one is [2]
def test_old_keys_are_the_new_ones(count):
    new, old = jax.random.key(3), jax.random.PRNGKey(3)
    if count:
        new, old = jax.random.split(new, count), jax.random.split(old, count)
    assert prng_keys.typed(new) is new
    assert (prng_keys.typed(old) == new).all() and prng_keys.typed(old).shape == new.shape


def test_the_sampler_draws_the_same_with_both():
    x_init, cond, keys = gaussian_setup(4)
    old = jax.random.split(jax.random.PRNGKey(1), 4)
    draw = lambda keys: sampling.sample(  # noqa: E731
        gaussian_net, x_init, cond, Sampler(3, None), schedule=SCHEDULE, keys=keys
    )
    np.testing.assert_array_equal(draw(keys), draw(old))
    with pytest.raises(ValueError, match=r"shape \(4,\), got \(\); use jax.random.split"):
        draw(jax.random.PRNGKey(1))


@pytest.mark.parametrize("wrong", [0, jnp.arange(2), jnp.ones(2), None])
def test_what_is_no_key_is_refused(wrong):
    with pytest.raises(ValueError, match="PRNG key is"):
        prng_keys.typed(wrong)
