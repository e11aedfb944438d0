import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics import (
    contingency_table,
    hungarian_iou,
    hungarian_iou_from_table,
    symmetric_iou_from_table,
)
from tests.metrics import cases, oracle


@st.composite
def maps(draw):
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=8))
    ids = hnp.arrays(np.int32, shape, elements=st.integers(-1, draw(st.integers(0, 4))))
    return draw(ids), draw(ids), draw(hnp.arrays(np.bool_, shape))


@settings(max_examples=30, deadline=None)
@given(maps(), st.booleans())
def test_agrees_with_pixel_sets_and_with_trying_every_matching(example, penalise_extra):
    pred, target, mask = example
    p, t = oracle.valid_ids(pred, target, mask)
    got = hungarian_iou(pred, target, mask, num_labels=5, penalise_extra=penalise_extra)
    if p.size == 0:
        assert np.isnan(got)
        return
    assert got == pytest.approx(oracle.matched_iou(p, t, penalise_extra), abs=1e-12)
    assert got == pytest.approx(oracle.matched_iou_by_trying_all(p, t, penalise_extra), abs=1e-12)


def test_golden_vectors(golden):
    vectors = golden("metrics")
    columns = vectors["columns"].tolist()
    pred, target = vectors["pred"], vectors["gt"]
    for mask, values in ((vectors["mask"], "values"), (None, "values_nomask")):
        kept = np.ones(target.shape, bool) if mask is None else mask
        # The released code scores one region against one region as 1 / (2N - 1).
        single = np.array(
            [
                len(np.unique(p[m])) == len(np.unique(t[m])) == 1
                for p, t, m in zip(pred, target, kept, strict=True)
            ]
        )
        slip = 1 / (2 * kept.sum((1, 2)) - 1)
        assert 2 <= single.sum() < len(single)
        for name, penalise_extra in (("hiou_e", False), ("hiou", True)):
            expected = vectors[values][:, columns.index(name)]
            got = hungarian_iou(pred, target, mask, num_labels=64, penalise_extra=penalise_extra)
            np.testing.assert_allclose(got[~single], expected[~single], rtol=0, atol=1e-9)
            np.testing.assert_allclose(expected[single], slip[single], rtol=0, atol=1e-9)
            np.testing.assert_array_equal(got[single], 1.0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 1000), (20, 15)])
@pytest.mark.parametrize("kind", ["one region", "all different", "mixed"])
def test_equal_partitions_are_exactly_one(shape, kind):
    ids = np.arange(shape[0] * shape[1], dtype=np.int32).reshape(shape)
    target = {"one region": ids * 0, "all different": ids, "mixed": ids // 7 % 5}[kind]
    for penalise_extra in (False, True):
        got = hungarian_iou(
            ids.max() - target, target, num_labels=ids.size, penalise_extra=penalise_extra
        )
        assert got == 1.0


def test_one_region_against_three_hundred():
    many = np.arange(300, dtype=np.int32).reshape(20, 15)
    one = np.zeros_like(many)
    score = functools.partial(hungarian_iou, num_labels=300)
    assert score(one, many) == pytest.approx(1 / 300 / 300, rel=1e-14)
    assert score(many, one) == pytest.approx(1 / 300, rel=1e-14)
    assert score(many, one, penalise_extra=True) == pytest.approx(1 / 300 / 300, rel=1e-14)


def test_the_best_sum_is_found_where_taking_the_best_pair_first_fails():
    # IoUs [[5/11, 3/8], [3/8, 0]]: greed takes 5/11 and is left with 0.
    pred = np.array([[0] * 5 + [1] * 3 + [0] * 3])
    target = np.array([[0] * 8 + [1] * 3])
    assert oracle.iou_matrix(pred.ravel(), target.ravel()).max() == 5 / 11
    assert hungarian_iou(pred, target, num_labels=2) == 3 / 8


def test_three_hundred_regions():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 300, (48, 48))
    pred = np.where(rng.random((48, 48)) < 0.6, target, rng.integers(0, 250, (48, 48)))
    for penalise_extra in (False, True):
        got = hungarian_iou(pred, target, num_labels=300, penalise_extra=penalise_extra)
        expected = oracle.matched_iou(pred.ravel(), target.ravel(), penalise_extra)
        assert got == pytest.approx(expected, abs=1e-12)


def test_extra_predicted_regions_are_free_unless_asked_for():
    target = np.zeros((4, 4), int)
    pred = np.array([[0] * 4, [0] * 4, [1] * 4, [2] * 4])
    assert hungarian_iou(pred, target, num_labels=3) == 0.5
    assert hungarian_iou(pred, target, num_labels=3, penalise_extra=True) == pytest.approx(0.5 / 3)
    assert hungarian_iou(target, pred, num_labels=3) == pytest.approx(0.5 / 3)


def test_names_do_not_matter():
    rng = np.random.default_rng(1)
    pred, target = rng.integers(0, 9, (2, 3, 12, 10))
    rename = rng.permutation(9)
    expected = hungarian_iou(pred, target, num_labels=9)
    for p, t in ((rename[pred], target), (pred, rename[target]), (rename[pred], rename[target])):
        np.testing.assert_allclose(hungarian_iou(p, t, num_labels=9), expected, atol=1e-15)


def test_a_hole_is_one_more_region_and_not_a_pixel_less():
    target = np.repeat(np.arange(4), 25).reshape(10, 10)
    pred = target.copy()
    pred[:, ::3] = -1
    for penalise_extra in (False, True):
        score = functools.partial(hungarian_iou, num_labels=5, penalise_extra=penalise_extra)
        assert score(pred, target) == score(np.where(pred < 0, 4, pred), target)
        assert score(pred, target) < score(target, target)
    empty = np.full_like(target, -1)
    assert hungarian_iou(empty, target, num_labels=4) == pytest.approx(0.25 / 4)


def test_ignored_and_masked_pixels_have_no_say():
    rng = np.random.default_rng(3)
    pred, target = rng.integers(0, 4, (2, 9, 9))
    out = rng.random((9, 9)) < 0.4
    expected = oracle.matched_iou(pred[~out], target[~out])
    for noise in (0, 3, 4, 10**12, -1):
        spoiled = np.where(out, noise, pred)
        ignored = hungarian_iou(spoiled, np.where(out, -1, target), num_labels=4)
        masked = hungarian_iou(spoiled, np.where(out, noise, target), ~out, num_labels=4)
        assert ignored == masked == pytest.approx(expected, abs=1e-14)


def test_batches_jax_arrays_and_device_tables():
    rng = np.random.default_rng(4)
    pred, target = rng.integers(-1, 5, (2, 2, 3, 8, 8))
    got = hungarian_iou(pred, target, num_labels=5)
    assert got.shape == (2, 3) and got.dtype == np.float64
    assert got[1, 2] == hungarian_iou(pred[1, 2], target[1, 2], num_labels=5)
    on_device = hungarian_iou(jnp.asarray(pred), jnp.asarray(target), num_labels=5)
    np.testing.assert_array_equal(on_device, got)
    tables = contingency_table(pred, target, num_labels=5)
    np.testing.assert_array_equal(hungarian_iou_from_table(tables), got)
    np.testing.assert_array_equal(
        hungarian_iou_from_table(tables, penalise_extra=True),
        hungarian_iou(pred, target, num_labels=5, penalise_extra=True),
    )


def test_nothing_to_score_is_nan():
    ids = np.zeros((3, 3), int)
    assert np.isnan(hungarian_iou(ids, ids, np.zeros((3, 3), bool), num_labels=1))
    assert np.isnan(hungarian_iou(ids, ids - 1, num_labels=1, penalise_extra=True))
    assert np.isnan(hungarian_iou_from_table(np.zeros((3, 3), np.int32)))


def test_errors_say_what_to_do():
    ids = np.zeros((2, 2), int)
    with pytest.raises(InputError, match=r"target holds id 9 and num_labels is 4.*relabel"):
        hungarian_iou(ids, ids + 9, num_labels=4)
    with pytest.raises(InputError, match=r"\(2, 2\).*\(3, 2\)"):
        hungarian_iou(ids, np.zeros((3, 2), int), num_labels=4)
    with pytest.raises(InputError, match="under jit"):
        jax.jit(functools.partial(hungarian_iou, num_labels=2))(ids, ids)
    with pytest.raises(InputError, match="float64"):
        hungarian_iou_from_table(np.zeros((2, 2)))


def test_symmetric_iou_is_the_same_both_ways():
    for pred, target in [*cases.maps(), cases.three_hundred_regions()]:
        p, t = oracle.valid_ids(pred, target)
        table, _ = cases.table_of(pred, target)
        got = symmetric_iou_from_table(table)
        if not p.size:
            assert np.isnan(got)
            continue
        assert got == pytest.approx(symmetric_iou_from_table(table.T), abs=1e-14)
        assert got == pytest.approx(oracle.matched_iou(p, t, penalise_extra=True), abs=1e-12)


@pytest.mark.parametrize("penalise_extra", [False, True])
def test_without_small_regions(penalise_extra):
    scored = 0
    for pred, target in [*cases.maps(), cases.three_hundred_regions()]:
        p, t = oracle.valid_ids(pred, target)
        table, _ = cases.table_of(pred, target)
        got = hungarian_iou_from_table(table, penalise_extra=penalise_extra, min_pixels=16)
        keep = np.isin(t, [i for i in np.unique(t) if (t == i).sum() >= 16])
        p, t = p[keep], t[keep]
        if not p.size:
            assert np.isnan(got)
            continue
        drawn = [i for i in np.unique(p) if (p == i).sum() >= 16]
        truths = np.unique(t)
        iou = np.zeros((max(len(truths), len(drawn)),) * 2)
        for a, j in enumerate(truths):
            for b, i in enumerate(drawn):
                iou[a, b] = ((t == j) & (p == i)).sum() / ((t == j) | (p == i)).sum()
        total = iou[linear_sum_assignment(-iou)].sum()
        assert got == pytest.approx(
            total / (len(iou) if penalise_extra else len(truths)), abs=1e-12
        )
        scored += 1
    assert scored > 50
    with pytest.raises(InputError, match="min_pixels is 0"):
        hungarian_iou_from_table([[1]], min_pixels=0)
