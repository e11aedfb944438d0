"""All figures of tables on one set of maps, held against well-kept implementations at once."""

import numpy as np
import pytest
from skimage.metrics import contingency_table as by_skimage
from skimage.metrics import variation_of_information
from sklearn.metrics import adjusted_rand_score, completeness_score, homogeneity_score, rand_score
from sklearn.metrics.cluster import contingency_matrix

from bitdiff_jax import metrics
from bitdiff_jax.evaluation.host_contingency import as_partition, contingency
from tests.metrics import cases, oracle


def _large(side=512):
    """Where pair counts are beyond int32: few regions, many, and nearly one."""
    rng = np.random.default_rng(0)
    coarse = cases.blocks(rng, (32, 32), 9).repeat(side // 32, 0).repeat(side // 32, 1)
    yield np.roll(coarse, 5, axis=0), coarse
    yield np.roll(coarse, 9, axis=1) * 30 + rng.integers(0, 30, coarse.shape), coarse
    one = np.zeros_like(coarse)
    one[0, 0] = 1
    yield one, np.roll(one, 3, axis=1)
    yield np.zeros_like(coarse), coarse
    yield coarse, np.where(rng.random(coarse.shape) < 0.1, -1, coarse)


def _compact(pred, target):
    p, t = oracle.valid_ids(pred, target)
    return (np.unique(each, return_inverse=True)[1] for each in (p, t))


@pytest.mark.slow
@pytest.mark.parametrize("large", [False, True])
def test_tables_rand_indices_and_entropies(large):
    maps = _large() if large else [*cases.maps(200, seed=8), cases.three_hundred_regions()]
    count = 0
    for pred, target in maps:
        p, t = _compact(pred, target)
        if not p.size:
            continue
        count += 1
        table = np.asarray(contingency(as_partition(pred), np.asarray(metrics.relabel(target))))
        table = table[table.any(1)]
        expected = contingency_matrix(p, t)
        assert sorted(map(tuple, table.tolist())) == sorted(map(tuple, expected.tolist()))
        np.testing.assert_allclose(by_skimage(p, t).toarray(), expected)
        if p.size > 1:
            got = metrics.rand_index_from_table(table)
            assert got == pytest.approx(rand_score(t, p), abs=1e-12)
        got = metrics.adjusted_rand_index_from_table(table)
        assert got == pytest.approx(adjusted_rand_score(t, p), abs=1e-12)
        over, under = metrics.conditional_entropies_from_table(table)
        assert [over, under] == pytest.approx(variation_of_information(t, p), abs=1e-9)
        # Homogeneity is 1 - H(truth | prediction) / H(truth).
        whole = metrics.conditional_entropies_from_table(table.sum(0, keepdims=True)).under
        if whole > 0:
            assert 1 - under / whole == pytest.approx(homogeneity_score(t, p), abs=1e-9)
        whole = metrics.conditional_entropies_from_table(table.sum(1, keepdims=True)).over
        if whole > 0:
            assert 1 - over / whole == pytest.approx(completeness_score(t, p), abs=1e-9)
    assert count == 5 if large else count > 170


@pytest.mark.slow
def test_matched_metrics_at_512_pixels():
    for pred, target in _large():
        p, t = _compact(pred, target)
        table = contingency_matrix(p, t)
        union = table.sum(1, keepdims=True) + table.sum(0) - table
        iou = table / union
        covering = float(table.sum(0) @ iou.max(0)) / t.size
        assert metrics.segmentation_covering_from_table(table) == pytest.approx(covering, abs=1e-12)
        counts = metrics.panoptic_counts(table)
        assert (counts.iou, counts.tp) == pytest.approx((iou[iou > 0.5].sum(), (iou > 0.5).sum()))
        assert counts.fp == table.shape[0] - counts.tp and counts.fn == table.shape[1] - counts.tp
        if table.shape[0] < 30:
            for symmetric in (False, True):
                got = metrics.hungarian_iou_from_table(table, penalise_extra=symmetric)
                assert got == pytest.approx(oracle.matched_iou(p, t, symmetric), abs=1e-12)
