import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics import (
    best_overlaps,
    covering_counts,
    segmentation_covering,
    segmentation_covering_from_table,
)
from tests.metrics import cases, oracle


def by_definition(p, t):
    best = oracle.iou_matrix(p, t).max(1)
    return sum((t == i).sum() * best[k] for k, i in enumerate(np.unique(t))) / t.size


def test_agrees_with_pixel_sets():
    for pred, target in [*cases.maps(), cases.three_hundred_regions()]:
        p, t = oracle.valid_ids(pred, target)
        table, _ = cases.table_of(pred, target)
        of_target = segmentation_covering_from_table(table)
        of_pred = segmentation_covering_from_table(table, of="pred")
        got = segmentation_covering(pred, target, num_labels=cases.labels_of(pred, target))
        if not p.size:
            assert np.isnan([of_target, of_pred, got]).all()
            continue
        assert of_target == pytest.approx(by_definition(p, t), abs=1e-12)
        assert of_pred == pytest.approx(by_definition(t, p), abs=1e-12)
        assert got == of_target


def test_annotators_weigh_by_what_they_labelled():
    rng = np.random.default_rng(0)
    pred = cases.blocks(rng, (12, 9), 5)
    annotators = [cases.blocks(rng, (12, 9), n) for n in (1, 3, 8)]
    tables = [cases.table_of(pred, each)[0] for each in annotators]
    each = [segmentation_covering_from_table(table) for table in tables]
    assert covering_counts(tables).covering == pytest.approx(np.mean(each), abs=1e-12)
    annotators[0][:6] = -1
    tables[0] = cases.table_of(pred, annotators[0])[0]
    each[0] = segmentation_covering_from_table(tables[0])
    counts = covering_counts(tables)
    assert counts.pixels == 54 + 108 + 108
    assert counts.covering == pytest.approx(np.average(each, weights=[1, 2, 2]), abs=1e-12)
    assert np.isnan(covering_counts([]).covering)


def test_best_of_several_predictions_region_by_region():
    target = np.repeat([0, 1], 8)[None]
    first, second = np.array([[0] * 8 + [1, 2] * 4]), np.array([[0, 2] * 4 + [1] * 8])
    best = [best_overlaps(cases.table_of(each, target)[0])[1] for each in (first, second)]
    np.testing.assert_array_equal(best, [[1.0, 0.5], [0.5, 1.0]])
    assert np.maximum(*best).tolist() == [1.0, 1.0]


def test_large_images_and_errors():
    small = np.array([[3, 1], [0, 4]])
    large = (small * 2**27).astype(np.int32)
    got = segmentation_covering_from_table(large)
    assert got == pytest.approx(segmentation_covering_from_table(small), abs=1e-14)
    with pytest.raises(InputError, match="'target' or 'pred'"):
        segmentation_covering_from_table(small, of="both")
