import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics import panoptic_counts, panoptic_quality, panoptic_quality_from_table
from tests.metrics import cases


def by_the_rules(pred, target, *, void_rule, unassigned_is_void):
    """(iou, tp, fp, fn) region by region from masks, as Kirillov et al. and panopticapi say."""
    labelled = target >= 0
    if not void_rule:
        pred = np.where(labelled, pred, -2)
    ids = {i for i in np.unique(pred).tolist() if i >= (0 if unassigned_is_void else -1)}
    truths = {i for i in np.unique(target).tolist() if i >= 0}
    iou, tp, used, found = 0.0, 0, set(), set()
    for j in truths:
        for i in ids & set(pred[target == j].tolist()):
            a, b = (pred == i) & labelled, target == j
            overlap = (a & b).sum() / (a | b).sum()
            if overlap > 0.5:
                iou, tp = iou + overlap, tp + 1
                used.add(i)
                found.add(j)
    fp = sum(
        not void_rule or ((pred == i) & ~labelled).sum() / (pred == i).sum() <= 0.5
        for i in ids - used
    )
    return iou, tp, fp, len(truths - found)


@pytest.mark.parametrize("void_rule", [False, True])
@pytest.mark.parametrize("unassigned_is_void", [False, True])
def test_agrees_with_the_published_rules(void_rule, unassigned_is_void):
    matched = 0
    for pred, target in [*cases.maps(), cases.three_hundred_regions()]:
        table, ignored = cases.table_of(pred, target)
        got = panoptic_counts(
            table,
            ignored=ignored if void_rule else None,
            unassigned=-1 if unassigned_is_void else None,
        )
        expected = by_the_rules(
            pred, target, void_rule=void_rule, unassigned_is_void=unassigned_is_void
        )
        assert got[1:] == expected[1:]
        assert got.iou == pytest.approx(expected[0], abs=1e-12)
        iou, tp, fp, fn = expected
        if tp + fp + fn == 0:
            assert np.isnan([got.pq, got.sq, got.rq]).all()
            continue
        assert got.pq == pytest.approx(iou / (tp + fp / 2 + fn / 2), abs=1e-12)
        assert got.pq == pytest.approx(got.sq * got.rq, abs=1e-12)
        matched += tp
    assert matched > 100


def test_maps_tables_and_sums():
    for pred, target in cases.maps(50):
        table, _ = cases.table_of(pred, target)
        got = panoptic_quality(pred, target, num_labels=cases.labels_of(pred, target))
        expected = panoptic_counts(table).pq if (target >= 0).any() else np.nan
        np.testing.assert_equal(got, expected)
        np.testing.assert_equal(panoptic_quality_from_table(table[None]), [expected])
    a, b = panoptic_counts(np.eye(3, dtype=int)), panoptic_counts([[1, 1]])
    assert a.plus(b) == (3.0, 3, 1, 2)
    assert (a.pq, b.pq, b.sq) == (1.0, 0.0, 0.0)


def test_exactly_half_is_no_match_however_large():
    pixels = 2**30
    assert panoptic_counts(np.array([[pixels], [pixels]])).tp == 0
    assert panoptic_counts(np.array([[pixels + 1], [pixels]])).tp == 1


def test_errors_say_what_to_do():
    with pytest.raises(InputError, match=r"integers \[2\]"):
        panoptic_counts([[1], [2]], ignored=[1])
    with pytest.raises(InputError, match="contingency_table"):
        panoptic_counts([[0.5]])
