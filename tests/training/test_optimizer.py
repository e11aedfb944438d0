import jax
import numpy as np
import optax
import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax.errors import InputError
from bitdiff_jax.training.optimizer import global_norm, learning_rate, make_optimizer


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


@pytest.mark.slow
@pytest.mark.parametrize("clip_norm", [1.0, 100.0, float("inf")])
@pytest.mark.parametrize("size", [0.0, 1e-3, 10.0])
def test_the_clip_is_that_of_optax(size, clip_norm):
    rng = np.random.default_rng(0)
    shapes = {"kernel": (3, 4), "bias": (4,), "scale": (4,), "other": (7,), "gain": ()}
    params = {name: rng.standard_normal(s).astype("f") for name, s in shapes.items()}
    grads = {name: (size * rng.standard_normal(s)).astype("f") for name, s in shapes.items()}
    np.testing.assert_allclose(global_norm(grads), optax.tree.norm(grads), rtol=1e-6)

    config = config_lib.load("base:smoke")
    config.optimizer.clip_norm = clip_norm
    tx, c = make_optimizer(config), config.optimizer
    rate = learning_rate(c.learning_rate, config.train.num_steps, c.warmup_steps, c.decay_steps)
    theirs = optax.chain(
        optax.clip_by_global_norm(clip_norm),
        optax.adamw(rate, b1=c.b1, b2=c.b2, eps=c.eps, weight_decay=c.weight_decay),
    )
    (got, state), (want, their_state) = (
        t.update(grads, t.init(params), params) for t in (tx, theirs)
    )
    assert jax.tree.structure(state) == jax.tree.structure(their_state)
    for a, b in zip(
        jax.tree.leaves((got, state)), jax.tree.leaves((want, their_state)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-12)


def test_muon_makes_kernels_orthogonal_and_gives_the_rest_to_adamw():
    rng = np.random.default_rng(1)
    shapes = {"kernel": (3, 3, 4, 24), "bias": (24,), "gain": ()}
    params = {name: rng.standard_normal(s).astype("f") for name, s in shapes.items()}
    grads = {name: rng.standard_normal(s).astype("f") for name, s in shapes.items()}
    config = config_lib.load("base:smoke")
    config.optimizer.clip_norm = float("inf")

    config.optimizer.name = "muon"
    config.optimizer.warmup_steps = 0
    c = config.optimizer
    theirs = optax.nadamw(c.learning_rate, b1=c.b1, b2=c.b2, eps=c.eps, weight_decay=c.weight_decay)
    got, want = (
        tx.update(grads, tx.init(params), params)[0] for tx in (make_optimizer(config), theirs)
    )
    for name in ("bias", "gain"):
        np.testing.assert_allclose(got[name], want[name], rtol=1e-5)

    update = np.asarray(got["kernel"]).reshape(-1, 24)
    assert np.sqrt(np.mean(update**2)) == pytest.approx(0.2 * c.learning_rate, rel=0.3)
    values = np.linalg.svd(update, compute_uv=False)
    # Five Newton-Schulz iterations bring all singular values near to one value.
    assert values.max() < 2 * values.min()
    raw = np.linalg.svd(grads["kernel"].reshape(-1, 24), compute_uv=False)
    assert raw.max() > 2 * raw.min()
    assert np.sum(update * grads["kernel"].reshape(-1, 24)) < 0  # downhill
