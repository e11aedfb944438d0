"""Every option that a config can choose, through the model: loss, gradients and a sample."""

import jax
import numpy as np
import pytest

from bitdiff_jax import model as model_lib
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.errors import InputError
from tests.test_model import batch_of, tiny

SIDE = 16


def loss_and_gradients(model, batch, params=None):
    params = jax.jit(model.init)(jax.random.key(0)) if params is None else params
    loss = jax.value_and_grad(lambda p, batch: model.loss(p, batch, jax.random.key(2))[0])
    loss, grads = jax.jit(loss)(params, batch)
    return params, loss, grads


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"model.prediction": "both"},
        {"model.prediction": "p", "model.objective.loss": "ce1"},
        {"model.prediction": "p_logits", "model.objective.loss": "ce2"},
        {"model.prediction": "v", "model.objective.weight": "snr_plus1"},
        {"model.prediction": "eps", "model.objective.weight": "snr"},
        {"model.objective.weight": "snr_trunc", "model.objective.times": "uniform"},
        {"model.schedule.name": "linear", "model.objective.times": "low_discrepancy"},
        {"model.schedule.name": "linear_simple", "model.palette.layout": "different"},
        {"model.schedule.name": "parabola", "model.palette.layout": "range"},
        {"model.encoding": "onehot", "model.num_bits": 4, "model.palette.layout": "random"},
        {"model.encoding": "onehot_as_released", "model.num_bits": 4},
        {"model.encoding": "rgb", "model.palette.layout": "random"},
        {"model.encoding": "rgb_as_released", "model.palette.layout": "none"},
        {"model.num_bits": 5, "model.palette.choice": "optimal"},
        {"model.palette.layout": "none", "model.palette.keep_smallest": False},
        {"model.objective.self_condition": 0.5},
    ],
    ids=lambda changes: ",".join(f"{k.split('.')[-1]}={v}" for k, v in changes.items()),
)
def test_every_option_trains_and_samples(changes):
    model = tiny(**changes)
    batch = batch_of()
    params, loss, grads = loss_and_gradients(model, batch)
    assert np.isfinite(loss) and loss > 0
    leaves = [np.asarray(g) for g in jax.tree.leaves(grads)]
    assert all(np.isfinite(g).all() for g in leaves) and any(g.any() for g in leaves)

    keys = jax.random.split(jax.random.key(1), 4)
    drawn = model.sample(params, batch["image"], batch["size"], keys, Sampler(2))
    valid = np.asarray(model_lib.valid_mask(batch["size"], (SIDE, SIDE)))
    codes = np.asarray(drawn.codes)
    assert (codes[~valid] == -1).all()
    assert (codes[valid] >= 0).all() and codes.max() < model.encoding.num_codes
    assert np.isfinite(drawn.certainty).all()

    known = np.full_like(codes, -1)
    known[:, 2:6, 3:7], known[:, 9:, 1] = 1, 3
    weight = np.ones(4, np.float32)
    held = model.sample(
        params, batch["image"], batch["size"], keys, Sampler(2), known_codes=known,
        prompt_weight=weight,
    )  # fmt: skip
    np.testing.assert_array_equal(
        np.asarray(held.codes)[valid & (known >= 0)], known[valid & (known >= 0)]
    )
    assert (np.asarray(held.codes)[~valid] == -1).all() and np.isfinite(held.x0).all()


@pytest.mark.slow
def test_self_conditioning_adds_channels_and_uses_them():
    plain, conditioned = tiny(), tiny(**{"model.objective.self_condition": 1.0})
    shapes = [
        jax.eval_shape(m.init, jax.random.key(0))["first"]["kernel"].shape
        for m in (plain, conditioned)
    ]
    assert shapes[1][2] == shapes[0][2] + 6

    batch = batch_of()
    params = jax.jit(conditioned.init)(jax.random.key(0))
    keys = iter(jax.random.split(jax.random.key(1), 1000))
    params = jax.tree.map(lambda p: p + 0.1 * jax.random.normal(next(keys), p.shape), params)
    losses = [
        loss_and_gradients(tiny(**{"model.objective.self_condition": p}), batch, params)[1]
        for p in (1e-9, 1.0)  # the same network; the guess is never, or always, shown
    ]
    assert abs(losses[0] - losses[1]) > 1e-3 * losses[1]  # more than two programs may round


@pytest.mark.slow
def test_codes_drawn_afresh_differ_between_steps_and_follow_the_regions():
    model = tiny(**{"model.palette.layout": "none"})
    batch = batch_of()
    first, second = (
        np.asarray(model.target(batch["labels"], batch["size"], jax.random.key(i)).codes)
        for i in range(2)
    )
    assert (first != second).any()
    for codes, labels in zip(first, batch["labels"], strict=True):
        pairs = {(a, b) for a, b in zip(codes.ravel(), labels.ravel(), strict=True) if b >= 0}
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    with pytest.raises(InputError, match="key"):
        model.target(batch["labels"], batch["size"])


@pytest.mark.slow
def test_dichotomy_splits_drawn_colours_into_regions():
    model = tiny(**{"model.encoding": "rgb", "model.palette.layout": "random"})
    batch = batch_of()
    params = jax.jit(model.init)(jax.random.key(0))
    keys = jax.random.split(jax.random.key(1), 4)
    sampler = Sampler(2, decoder="dichotomy")
    codes = np.array(model.sample(params, batch["image"], batch["size"], keys, sampler).codes)
    for each, (h, w) in zip(codes, batch["size"], strict=True):
        inside = each[:h, :w]
        assert set(np.unique(inside)) == set(range(inside.max() + 1))
        each[:h, :w] = -1
        assert (each == -1).all()
    with pytest.raises(InputError, match="decoder is 'dichotomy', which forgets the codes"):
        model.sample(
            params, batch["image"], batch["size"], keys, sampler, known_codes=np.zeros_like(codes)
        )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.encoding", "bit"),
        ("model.schedule.name", "cosin"),
        ("model.objective.weight", "sigmoid_-4"),
        ("model.objective.times", "low_discrepency"),
        ("model.objective.loss", "ce"),
        ("model.palette.choice", "best"),
        ("model.palette.layout", "similar_largest"),
        ("model.objective.self_condition", 1.5),
    ],
)
def test_what_there_is_not_is_named_with_its_key(key, value):
    with pytest.raises(InputError, match=rf"{value}"):
        tiny(**{key: value})
