import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.nets.fused import folding
from bitdiff_jax.nets.fused.folding import PixelLayout
from bitdiff_jax.nets.fused.norm import normalise
from tests.nets.helpers import group_norm, lower_as_on


def coefficients(rng, batch, channels):
    """before, gain, offset."""
    values = rng.standard_normal((3, batch, channels))
    return values[0], 1 + 0.3 * values[1], values[2]


def definition(x, before, gain, offset, groups):
    """In float64, without activation."""
    x = x.astype(np.float64) + before[:, None, None]
    ones = np.ones(x.shape[-1])
    return group_norm(x, ones, 0 * ones, groups) * gain[:, None, None] + offset[:, None, None]


def silu(x):
    return x / (1 + np.exp(-x))


@pytest.mark.slow
@pytest.mark.parametrize(("channels", "groups"), [(32, 32), (64, 32), (96, 32), (12, 12), (48, 48)])
def test_agrees_with_its_definition(channels, groups):
    rng = np.random.default_rng(channels)
    x = (rng.standard_normal((2, 4, 6, channels)) * 3 + 2).astype(np.float32)
    others = coefficients(rng, 2, channels)
    want = definition(x, *others, groups)
    for activate in (False, True):
        (got,) = normalise([x], *map(jnp.asarray, others), activate=activate)
        assert got.dtype == jnp.float32
        np.testing.assert_allclose(got, silu(want) if activate else want, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("layout", [PixelLayout.PLAIN, PixelLayout.FOLDED])
def test_a_group_may_lie_across_two_parts_and_pairs(layout):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 4, 6, 96)).astype(np.float32) * np.linspace(1, 3, 96, dtype="f")
    others = coefficients(rng, 2, 96)
    parts = [x[..., :64], x[..., 64:]]
    if layout is PixelLayout.FOLDED:
        parts = [folding.fold(part) for part in parts]
    got = normalise(parts, *map(jnp.asarray, others), layout=layout)
    if layout is PixelLayout.FOLDED:
        got = [folding.unfold(part) for part in got]
    want = silu(definition(x, *others, 32))
    np.testing.assert_allclose(np.concatenate(got, axis=-1), want, atol=2e-5)


@pytest.mark.slow
def test_staggered_the_outermost_columns_count_for_nothing_and_become_zero():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 4, 6, 32)).astype(np.float32)
    others = coefficients(rng, 2, 32)
    wider = np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0)), constant_values=1e3)
    (got,) = normalise(
        [folding.fold(jnp.asarray(wider))], *map(jnp.asarray, others), layout=PixelLayout.STAGGERED
    )
    got = np.asarray(folding.unfold(got))
    np.testing.assert_allclose(got[:, :, 1:-1], silu(definition(x, *others, 32)), atol=2e-5)
    assert not got[:, :, [0, -1]].any()


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["cpu", "tpu", "cuda"])
@pytest.mark.parametrize("layout", list(PixelLayout))
@pytest.mark.parametrize("activate", [False, True])
def test_gradients_are_those_of_the_definition(monkeypatch, platform, layout, activate):
    """Against JAX's own of a plain formula, both in float64."""
    lower_as_on(monkeypatch, platform)
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        others = [jnp.asarray(c) for c in coefficients(rng, 2, 64)]
        parts = [jnp.asarray(rng.standard_normal((2, 3, 4, c)) + 1) for c in (16, 48)]
        weights = jnp.asarray(rng.standard_normal((2, 3, 4, 64)))

        def plain(parts, before, gain, offset):
            x = jnp.concatenate(parts, axis=-1) + before[:, None, None]
            groups = x.reshape(2, -1, 32, 2)
            mean, variance = (f(groups, axis=(1, 3), keepdims=True) for f in (jnp.mean, jnp.var))
            y = ((groups - mean) / jnp.sqrt(variance + 1e-5)).reshape(x.shape)
            y = y * gain[:, None, None] + offset[:, None, None]
            return jnp.sum((jax.nn.silu(y) if activate else y) * weights)

        def ours(parts, *others):
            edges = ((0, 0), (0, 0), (1, 1), (0, 0))
            if layout is PixelLayout.STAGGERED:
                parts = [jnp.pad(p, edges, constant_values=7.0) for p in parts]
            if layout is not PixelLayout.PLAIN:
                parts = [folding.fold(p) for p in parts]
            out = normalise(parts, *others, activate=activate, layout=layout)
            if layout is not PixelLayout.PLAIN:
                out = [folding.unfold(p) for p in out]
            if layout is PixelLayout.STAGGERED:
                out = [p[:, :, 1:-1] for p in out]
            return jnp.sum(jnp.concatenate(out, axis=-1) * weights)

        want, got = (jax.grad(f, argnums=(0, 1, 2, 3))(parts, *others) for f in (plain, ours))
        for a, b in zip(jax.tree.leaves(want), jax.tree.leaves(got), strict=True):
            np.testing.assert_allclose(b, a, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["cpu", "tpu", "cuda"])
def test_what_is_added_to_the_last_part_is_part_of_it(monkeypatch, platform):
    lower_as_on(monkeypatch, platform)
    rng = np.random.default_rng(0)
    first, second, third = jnp.asarray(rng.standard_normal((3, 2, 4, 4, 32)), jnp.float32)
    other = jnp.asarray(rng.standard_normal((2, 4, 4, 64)), jnp.float32)
    vectors = [jnp.asarray(c, jnp.float32) for c in coefficients(rng, 2, 96)]
    weights = [jnp.asarray(rng.standard_normal((2, 4, 4, c))) for c in (64, 32)]

    def total(parts, added):
        out = normalise(parts, *vectors, added=added)
        return sum(jnp.sum(y * w) for y, w in zip(out, weights, strict=True))

    want = jax.value_and_grad(total)([other, first + second + third], [])
    got = jax.value_and_grad(total, argnums=(0, 1))([other, first], [second, third])
    np.testing.assert_allclose(got[0], want[0], rtol=1e-5)
    d_other, d_sum = want[1]
    (got_other, got_first), got_added = got[1]
    np.testing.assert_allclose(got_other, d_other, atol=1e-5)
    for each in (got_first, *got_added):
        np.testing.assert_allclose(each, d_sum, atol=1e-5)


def test_survives_a_large_offset():
    """The one-pass variance E[x^2] - E[x]^2 about zero has no digit left here."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((1, 8, 8, 32)) + 3000).astype(np.float32)
    others = coefficients(rng, 1, 32)
    (got,) = normalise([x], *map(jnp.asarray, others), activate=False)
    np.testing.assert_allclose(got, definition(x, *others, 32), atol=2e-3)


def test_a_low_precision_offset_costs_no_more_than_its_own_rounding():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((1, 32, 32, 32)) + 60
    x = jnp.asarray(values, jnp.bfloat16)
    others = coefficients(rng, 1, 32)
    (got,) = normalise([x], *map(jnp.asarray, others), activate=False, dtype=jnp.float32)
    want = definition(np.asarray(x, np.float32), *others, 32)
    rounding = np.abs(want - definition(values, *others, 32)).max()
    # How exact the sums are is up to their order, which is the compiler's: a few 1e-4, or 0.06.
    np.testing.assert_allclose(got, want, rtol=0, atol=rounding / 2)


@pytest.mark.slow
def test_of_a_constant_is_the_offset_with_finite_gradients():
    others = [jnp.asarray(c) for c in coefficients(np.random.default_rng(0), 1, 64)]
    x = jnp.full((1, 4, 4, 64), 0.7)
    # Pairs of channels are a group: what is added before must not tell them apart.
    others[0] = jnp.zeros_like(others[0])
    (got,) = normalise([x], *others, activate=False)
    np.testing.assert_allclose(got, np.broadcast_to(others[2], x.shape), atol=1e-4)
    gradient = jax.grad(lambda x: normalise([x], *others)[0].sum())(x)
    assert np.isfinite(gradient).all()


@pytest.mark.slow
def test_keeps_the_dtype_of_its_input():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 4, 4, 64)) + 1
    others = coefficients(rng, 1, 64)
    want = definition(x, *others, 32)
    arrays = list(map(jnp.asarray, others))
    (low,) = normalise([jnp.asarray(x, jnp.bfloat16)], *arrays, activate=False)
    assert low.dtype == jnp.bfloat16
    np.testing.assert_allclose(low.astype(jnp.float32), want, atol=0.06)
    with jax.enable_x64(True):
        (high,) = normalise([jnp.asarray(x)], *map(jnp.asarray, others), activate=False)
        assert high.dtype == jnp.float64
        np.testing.assert_allclose(high, want, atol=1e-12)
