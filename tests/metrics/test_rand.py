import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import adjusted_rand_score, rand_score

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics import (
    adjusted_rand_index,
    adjusted_rand_index_from_table,
    adjusted_rand_index_jit,
    contingency_table,
    probabilistic_rand_index_from_tables,
    rand_index,
    rand_index_from_table,
)
from tests.metrics import cases, oracle

F32_BOUND = 1e-6


@st.composite
def maps(draw):
    # Few shapes: each new one is a compilation.
    shape = draw(st.sampled_from([(1, 1), (1, 5), (6, 7)]))
    ids = hnp.arrays(np.int32, shape, elements=st.integers(-1, draw(st.integers(0, 6))))
    return draw(ids), draw(ids), draw(hnp.arrays(np.bool_, shape))


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(maps())
def test_agrees_with_sklearn(example):
    pred, target, mask = example
    p, t = oracle.valid_ids(pred, target, mask)
    got = adjusted_rand_index(pred, target, mask, num_labels=7)
    rand = rand_index(pred, target, mask, num_labels=7)
    in_jit = adjusted_rand_index_jit(pred, target, mask, num_labels=7)
    if p.size == 0:
        assert np.isnan(got) and np.isnan(rand) and np.isnan(in_jit)
        return
    assert got == pytest.approx(adjusted_rand_score(t, p), abs=1e-12)
    assert rand == pytest.approx(rand_score(t, p), abs=1e-12)
    assert in_jit == pytest.approx(got, abs=F32_BOUND)


@pytest.mark.slow
def test_golden_vectors(golden):
    vectors = golden("metrics")
    for mask, values in ((vectors["mask"], "values"), (None, "values_nomask")):
        got = adjusted_rand_index(vectors["pred"], vectors["gt"], mask, num_labels=64)
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, vectors[values][:, 0], rtol=0, atol=1e-9)
        in_jit = adjusted_rand_index_jit(vectors["pred"], vectors["gt"], mask, num_labels=64)
        np.testing.assert_allclose(in_jit, vectors[values][:, 0], rtol=0, atol=F32_BOUND)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 1), (1, 1000), (20, 15)])
@pytest.mark.parametrize("kind", ["one region", "all different", "mixed"])
def test_equal_partitions_are_exactly_one(shape, kind):
    ids = np.arange(shape[0] * shape[1], dtype=np.int32).reshape(shape)
    target = {"one region": ids * 0, "all different": ids, "mixed": ids // 7 % 5}[kind]
    for metric in (adjusted_rand_index, rand_index, adjusted_rand_index_jit):
        assert metric(ids.max() - target, target, num_labels=ids.size) == 1.0


def test_one_region_says_nothing_about_many_and_the_reverse():
    many = np.arange(300, dtype=np.int32).reshape(20, 15)
    one = np.zeros_like(many)
    for metric in (adjusted_rand_index, adjusted_rand_index_jit):
        assert metric(one, many, num_labels=300) == 0.0
        assert metric(many, one, num_labels=300) == 0.0
        assert metric(many // 150, one, num_labels=300) == 0.0


def test_three_hundred_regions():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 300, (64, 64))
    pred = np.where(rng.random((64, 64)) < 0.6, target, rng.integers(0, 300, (64, 64)))
    got = adjusted_rand_index(pred, target, num_labels=300)
    assert got == pytest.approx(adjusted_rand_score(target.ravel(), pred.ravel()), abs=1e-12)
    assert 0.2 < got < 0.6


def test_names_do_not_matter():
    rng = np.random.default_rng(1)
    pred, target = rng.integers(0, 9, (2, 3, 12, 10))
    rename = rng.permutation(9)
    expected = adjusted_rand_index(pred, target, num_labels=9)
    np.testing.assert_array_equal(adjusted_rand_index(rename[pred], target, num_labels=9), expected)
    np.testing.assert_array_equal(adjusted_rand_index(pred, rename[target], num_labels=9), expected)
    np.testing.assert_array_equal(adjusted_rand_index(target, pred, num_labels=9), expected)


def test_a_hole_is_one_more_region_and_not_a_pixel_less():
    rng = np.random.default_rng(2)
    target = np.repeat(np.arange(4), 25).reshape(10, 10)
    pred = target.copy()
    pred[rng.random((10, 10)) < 0.3] = -1
    for metric in (adjusted_rand_index, adjusted_rand_index_jit):
        got = metric(pred, target, num_labels=5)
        assert got == metric(np.where(pred < 0, 4, pred), target, num_labels=5)
        assert got == metric(np.where(pred < 0, -7, pred), target, num_labels=5)
        assert got < 0.9


@pytest.mark.slow
def test_ignored_and_masked_pixels_have_no_say():
    rng = np.random.default_rng(3)
    pred, target = rng.integers(0, 4, (2, 9, 9))
    out = rng.random((9, 9)) < 0.4
    expected = adjusted_rand_score(target[~out], pred[~out])
    for noise in (0, 3, 4, 10**12, -1):
        spoiled = np.where(out, noise, pred)
        ignored = np.where(out, -1, target)
        for got in (
            adjusted_rand_index(spoiled, ignored, num_labels=4),
            adjusted_rand_index(spoiled, np.where(out, noise, target), ~out, num_labels=4),
        ):
            assert got == pytest.approx(expected, abs=1e-14)
        in_jit = adjusted_rand_index_jit(spoiled, ignored, num_labels=4)
        assert in_jit == pytest.approx(expected, abs=F32_BOUND)


def test_batches_jax_arrays_and_lists():
    rng = np.random.default_rng(4)
    pred, target = rng.integers(-1, 5, (2, 2, 3, 8, 8))
    got = adjusted_rand_index(pred, target, num_labels=5)
    assert got.shape == (2, 3) and got.dtype == np.float64
    each = [
        [adjusted_rand_index(pred[i, j], target[i, j], num_labels=5) for j in range(3)]
        for i in range(2)
    ]
    np.testing.assert_array_equal(got, each)
    on_device = adjusted_rand_index(jnp.asarray(pred), jnp.asarray(target), num_labels=5)
    np.testing.assert_array_equal(on_device, got)
    lists = adjusted_rand_index(pred.tolist(), target.tolist(), num_labels=5)
    np.testing.assert_array_equal(lists, got)
    assert isinstance(each[0][0], float)


def test_device_tables_finish_to_the_same_metrics():
    rng = np.random.default_rng(5)
    pred, target = rng.integers(-1, 5, (2, 3, 8, 8))
    tables = contingency_table(pred, target, num_labels=5)
    np.testing.assert_array_equal(
        adjusted_rand_index_from_table(tables), adjusted_rand_index(pred, target, num_labels=5)
    )
    np.testing.assert_array_equal(
        rand_index_from_table(tables), rand_index(pred, target, num_labels=5)
    )


@pytest.mark.slow
def test_pair_counts_beyond_int32_and_float32():
    # Nearly one region at 4096 x 4096: the agreement hangs on a few pixels in 16.7 million.
    table = np.array([[4096 * 4096 - 3, 1], [1, 1]], np.int32)
    pred = np.repeat([0, 0, 1, 1], table.ravel())
    target = np.repeat([0, 1, 0, 1], table.ravel())
    rand, adjusted = oracle.rand_indices(table.tolist())
    assert adjusted_rand_index_from_table(table) == pytest.approx(adjusted, abs=1e-15)
    assert rand_index_from_table(table) == pytest.approx(rand, abs=1e-15)
    shape = (4096, 4096)
    pred, target = pred.reshape(shape).astype(np.int8), target.reshape(shape).astype(np.int8)
    in_jit = adjusted_rand_index_jit(pred, target, num_labels=2)
    assert in_jit == pytest.approx(adjusted, abs=F32_BOUND)


@pytest.mark.slow
@pytest.mark.parametrize("num_labels", [2, 64, 300])
@pytest.mark.parametrize("evenness", [0.01, 0.1, 10.0])
@pytest.mark.parametrize("noise", [1e-4, 0.1, 1.0])
def test_float32_bound_on_even_and_uneven_regions(num_labels, evenness, noise):
    rng = np.random.default_rng(6)
    shares = rng.dirichlet(np.full(num_labels, evenness))
    target = rng.choice(num_labels, (4, 100, 130), p=shares)
    flip = rng.random(target.shape) < noise
    pred = np.where(flip, rng.integers(0, num_labels, target.shape), target)
    in_jit = adjusted_rand_index_jit(pred, target, num_labels=num_labels)
    assert in_jit.dtype == jnp.float32
    np.testing.assert_allclose(
        in_jit, adjusted_rand_index(pred, target, num_labels=num_labels), rtol=0, atol=F32_BOUND
    )


def test_the_twin_runs_under_jit_and_vmap_without_surprise_promotions():
    rng = np.random.default_rng(7)
    pred, target = rng.integers(-1, 6, (2, 5, 8, 8)).astype(np.int32)
    mask = rng.random((5, 8, 8)) < 0.7
    metric = functools.partial(adjusted_rand_index_jit, num_labels=6)
    with jax.numpy_dtype_promotion("strict"):
        batched = jax.jit(metric)(pred, target, mask)
        mapped = jax.jit(jax.vmap(metric))(pred, target, mask)
    np.testing.assert_allclose(mapped, batched, rtol=0, atol=F32_BOUND)
    np.testing.assert_allclose(
        batched, adjusted_rand_index(pred, target, mask, num_labels=6), rtol=0, atol=F32_BOUND
    )


@pytest.mark.slow
@pytest.mark.parametrize("large", [2, 7])
def test_ids_out_of_range_are_an_error_or_a_nan_but_never_silent(large):
    pred, target = np.array([[[0, 1, large]], [[0, 1, 1]]]), np.array([[[0, 1, 1]], [[0, 1, 1]]])
    with pytest.raises(InputError, match=rf"pred holds id {large} and num_labels is 2.*relabel"):
        adjusted_rand_index(pred, target, num_labels=2)
    with pytest.raises(InputError, match=f"target holds id {large}"):
        rand_index(target, pred, num_labels=2)
    in_jit = adjusted_rand_index_jit(pred, target, num_labels=2)
    assert np.isnan(in_jit[0]) and in_jit[1] == 1.0


def test_nothing_to_score_is_nan_without_a_warning():
    ids = np.zeros((2, 3, 3), np.int32)
    mask = np.zeros((2, 3, 3), bool)
    mask[1] = True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = adjusted_rand_index(ids, ids, mask, num_labels=1)
        table = adjusted_rand_index_from_table(np.zeros((2, 2), np.int32))
        rand = rand_index_from_table(np.zeros((2, 2), np.int32))
    np.testing.assert_array_equal(got, [np.nan, 1.0])
    assert np.isnan(table) and np.isnan(rand)
    np.testing.assert_array_equal(
        adjusted_rand_index_jit(ids, ids, mask, num_labels=1), [np.nan, 1.0]
    )


def test_other_errors_say_what_to_do():
    ids = np.zeros((2, 2), int)
    with pytest.raises(InputError, match="adjusted_rand_index_jit"):
        jax.jit(functools.partial(adjusted_rand_index, num_labels=2))(ids, ids)
    with pytest.raises(InputError, match=r"\(2, 2\).*\(2, 3\)"):
        adjusted_rand_index(ids, np.zeros((2, 3), int), num_labels=2)
    for table in (np.zeros((2, 2)), np.zeros(4, int)):
        with pytest.raises(InputError, match="contingency_table"):
            adjusted_rand_index_from_table(table)


def test_probabilistic_rand_index_by_pairs_of_pixels():
    rng = np.random.default_rng(8)
    for _ in range(100):
        shape = rng.integers(1, 7, 2)
        pred = rng.integers(0, rng.integers(1, 5), shape)
        annotators = rng.integers(0, 4, (rng.integers(1, 5), *shape))
        tables = [cases.table_of(pred, each)[0] for each in annotators]
        got = probabilistic_rand_index_from_tables(tables)
        first, second = np.triu_indices(pred.size, 1)
        if not len(first):
            assert got == 1.0
            continue
        flat = annotators.reshape(len(annotators), -1)
        p = (flat[:, first] == flat[:, second]).mean(0)
        c = pred.flat[first] == pred.flat[second]
        assert got == pytest.approx(np.where(c, p, 1 - p).mean(), abs=1e-12)


def test_probabilistic_rand_index_leaves_out_annotators_who_labelled_nothing():
    pred, one = np.arange(6).reshape(2, 3) // 2, np.zeros((2, 3), int)
    tables = [cases.table_of(pred, each)[0] for each in (one, one - 1, pred)]
    got = probabilistic_rand_index_from_tables(tables)
    assert got == pytest.approx((rand_index(pred, one, num_labels=3) + 1) / 2)
    assert np.isnan(probabilistic_rand_index_from_tables(tables[1:2]))
    assert np.isnan(probabilistic_rand_index_from_tables([]))
