import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics import contingency_table, count_out_of_range
from bitdiff_jax.metrics.contingency import count_by_product, count_by_scatter


def slow_table(pred, target, mask, num_labels):
    table = np.zeros((num_labels + 1, num_labels), np.int64)
    lost = 0
    for p, t, m in zip(pred.flat, target.flat, mask.flat, strict=True):
        if not m or t < 0:
            continue
        if p >= num_labels or t >= num_labels:
            lost += 1
        else:
            table[p if p >= 0 else num_labels, t] += 1
    return table, lost


@st.composite
def maps(draw):
    # Few shapes: each new one is a compilation.
    shape = draw(st.sampled_from([(1, 1), (1, 5), (6, 7)]))
    ids = hnp.arrays(np.int32, shape, elements=st.integers(-3, 8))
    return draw(ids), draw(ids), draw(hnp.arrays(np.bool_, shape))


@settings(max_examples=30, deadline=None)
@given(maps())
def test_counts_every_pixel_once_or_says_that_it_did_not(example):
    pred, target, mask = example
    table, lost = slow_table(pred, target, mask, 5)
    got = contingency_table(pred, target, mask, num_labels=5)
    assert got.dtype == jnp.int32
    np.testing.assert_array_equal(got, table)
    assert int(count_out_of_range(pred, target, mask, num_labels=5)) == lost
    assert table.sum() + lost == np.sum(mask & (target >= 0))


@pytest.mark.parametrize("pixels", [1, 4096, 4097, 20000])
@pytest.mark.parametrize("num_labels", [1, 64])
def test_both_ways_of_counting_agree(pixels, num_labels):
    rng = np.random.default_rng(pixels)
    rows = rng.integers(0, num_labels + 1, pixels).astype(np.int32)
    columns = rng.integers(-1, num_labels, pixels).astype(np.int32)
    expected = np.zeros((num_labels + 1, num_labels), np.int64)
    np.add.at(expected, (rows[columns >= 0], columns[columns >= 0]), 1)
    for count in (count_by_scatter, count_by_product):
        got = jax.jit(functools.partial(count, num_labels=num_labels))(rows, columns)
        assert got.dtype == jnp.int32
        np.testing.assert_array_equal(got, expected)


def test_tpu_multiplies_and_the_others_scatter():
    def ops(platform):
        ids = jax.ShapeDtypeStruct((2, 8, 8), jnp.int32)
        traced = jax.jit(functools.partial(contingency_table, num_labels=4)).trace(ids, ids)
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        return "dot_general" in text, "scatter" in text

    assert ops("tpu") == (True, False)
    assert ops("cpu") == ops("cuda") == (False, True)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3), (0,)])
def test_leading_axes_vmap_and_jit_agree(lead):
    rng = np.random.default_rng(0)
    pred, target = rng.integers(-1, 6, (2, *lead, 5, 7)).astype(np.int32)
    mask = rng.random(pred.shape) < 0.8
    count = functools.partial(contingency_table, num_labels=6)
    lost = functools.partial(count_out_of_range, num_labels=4)
    got, got_lost = count(pred, target, mask), lost(pred, target, mask)
    assert got.shape == (*lead, 7, 6) and got_lost.shape == lead
    for index in np.ndindex(*lead):
        table, _ = slow_table(pred[index], target[index], mask[index], 6)
        np.testing.assert_array_equal(got[index], table)
        assert got_lost[index] == slow_table(pred[index], target[index], mask[index], 4)[1]
    batched_count, batched_lost = count, lost
    for _ in lead:
        batched_count, batched_lost = jax.vmap(batched_count), jax.vmap(batched_lost)
    np.testing.assert_array_equal(jax.jit(batched_count)(pred, target, mask), got)
    np.testing.assert_array_equal(jax.jit(batched_lost)(pred, target, mask), got_lost)


@pytest.mark.slow
def test_four_thousand_squared_is_exact_in_int32():
    rng = np.random.default_rng(0)
    side, num_labels = 4096, 64
    # One pair holds most pixels: a float32 count would stop at 2**24 and drop single pixels.
    target = np.zeros((side, side), np.int32)
    target[:64] = rng.integers(0, num_labels, (64, side))
    pred = target.copy()
    pred[:50] = rng.integers(-1, num_labels, (50, side))
    table = np.asarray(contingency_table(pred, target, num_labels=num_labels))
    rows = np.where(pred < 0, num_labels, pred).astype(np.int64)
    expected = np.bincount((rows * num_labels + target).ravel(), minlength=table.size)
    np.testing.assert_array_equal(table, expected.reshape(table.shape))
    assert table.sum(dtype=np.int64) == side * side


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint32, np.int64, np.uint64])
def test_every_integer_dtype(dtype):
    ids = np.array([[0, 1, 2, 2]], dtype)
    np.testing.assert_array_equal(
        contingency_table(ids, ids, num_labels=300)[:3, :3], np.diag([1, 1, 2])
    )


@pytest.mark.parametrize("huge", [2**32, 2**31, -(2**32) + 1, 2**63 - 1])
def test_wide_ids_do_not_wrap_into_range(huge):
    pred = np.array([[0, 1]])
    target = np.array([[0, huge]])
    table = np.asarray(contingency_table(pred, target, num_labels=2))
    assert table.sum() == 1 and table[0, 0] == 1
    assert int(count_out_of_range(pred, target, num_labels=2)) == (huge > 0)


def test_unsigned_device_ids_do_not_become_negative():
    ids = jnp.array([[0, 2**32 - 1]], jnp.uint32)
    assert int(contingency_table(ids, ids, num_labels=2).sum()) == 1
    assert int(count_out_of_range(ids, ids, num_labels=2)) == 1


def test_empty_maps_and_empty_masks_give_an_empty_table():
    none = np.zeros((0, 4), np.int32)
    some = np.zeros((2, 2), np.int32)
    assert not contingency_table(none, none, num_labels=3).any()
    assert not contingency_table(some, some, np.zeros((2, 2), bool), num_labels=3).any()
    assert not contingency_table(some, some - 1, num_labels=3).any()


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"pred": np.zeros((3, 4), int)}, [r"\(3, 4\)", r"\(2, 2\)"]),
        ({"mask": np.ones((2, 3), bool)}, [r"\(2, 3\)", r"\(2, 2\)"]),
        ({"mask": np.ones((2, 2), int)}, ["mask must be bool", "int64"]),
        ({"pred": np.zeros((2, 2))}, ["pred", "float64", "astype"]),
        ({"target": np.zeros((2, 2), bool)}, ["target", "bool"]),
        ({"num_labels": 0}, ["num_labels", "0"]),
        ({"num_labels": 50000}, ["46340", "50000"]),
        ({"num_labels": 2.0}, ["num_labels", "float"]),
    ],
)
@pytest.mark.parametrize("function", [contingency_table, count_out_of_range])
def test_errors_name_what_was_given(function, kwargs, words):
    ids = np.zeros((2, 2), int)
    given = {"pred": ids, "target": ids, "num_labels": 3, **kwargs}
    with pytest.raises(InputError) as caught:
        function(**given)
    for word in words:
        assert caught.match(word)


def test_one_axis_is_no_map():
    with pytest.raises(InputError, match=r"\(4,\)"):
        contingency_table(np.zeros(4, int), np.zeros(4, int), num_labels=2)


@pytest.mark.multiprocess
def test_a_sharded_batch_stays_where_it_is():
    code = """
import jax, numpy as np
from bitdiff_jax.metrics import adjusted_rand_index_jit, contingency_table
mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
ids = np.random.default_rng(0).integers(-1, 5, (8, 6, 6)).astype(np.int32)
there = jax.device_put(ids, jax.NamedSharding(mesh, jax.P("data")))
for function in (contingency_table, adjusted_rand_index_jit):
    figure = jax.jit(lambda p, t: function(p, t, num_labels=5))
    text = figure.lower(there, there[..., ::-1]).compile().as_text()
    assert not any(word in text for word in ("all-gather", "all-to-all", "all-reduce")), text
    result = figure(there, there[..., ::-1])
    assert result.sharding.spec == jax.P("data"), result.sharding
    # The order of float32 sums may differ with the sharding; counts may not.
    np.testing.assert_allclose(result, figure(ids, ids[..., ::-1]), rtol=0, atol=1e-6)
"""
    flags = "--xla_force_host_platform_device_count=4"
    env = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
