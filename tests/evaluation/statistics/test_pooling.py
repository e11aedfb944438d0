import numpy as np
import pytest

from bitdiff_jax import metrics
from bitdiff_jax.evaluation import image_measures, protocols, rows, scoring
from bitdiff_jax.evaluation.host_contingency import contingency
from bitdiff_jax.evaluation.report import summary_tables
from bitdiff_jax.evaluation.statistics import pooling
from tests.evaluation.stubs import blocks


def test_pooled_metrics_are_those_of_all_images_at_once():
    rng = np.random.default_rng(0)
    pairs = []
    for _ in range(6):
        truth = blocks(rng, 30, 40)
        pred = np.where(rng.random(truth.shape) < 0.15, 3, truth)
        pred[:, :9] = blocks(rng, 30, 40)[:, :9]
        pairs.append((pred.astype(np.int32), truth))
    view = protocols.NATIVE
    scored = [image_measures.score([p], [t], view) for p, t in pairs]
    columns = (*scoring.NUMBERS, *(f"{name}@{view.name}" for name in image_measures.names()))
    values = np.array([[1, 1, 0, *row.values()] for row in scored])
    table = rows.Table(tuple("abcdef"), columns, values, {})
    summary = summary_tables.summarise(table)
    pooled = {name: summary[f"{name}@native"].mean for name in pooling.POOLED}

    tables = [contingency(p, t) for p, t in pairs]
    panoptic = metrics.panoptic_counts(tables[0])
    boundary = metrics.boundary_counts(*pairs[0])
    for each, maps in zip(tables[1:], pairs[1:], strict=True):
        panoptic = panoptic.plus(metrics.panoptic_counts(each))
        boundary = boundary.plus(metrics.boundary_counts(*maps))
    ap = metrics.entity_ap([metrics.entity_matches(t) for t in tables], ranked=False)
    want = {
        "pq_pooled": panoptic.pq,
        "sq_pooled": panoptic.sq,
        "rq_pooled": panoptic.rq,
        "covering_pooled": metrics.covering_counts(tables).covering,
        "boundary_f_pooled": boundary.f,
        "ap_constant": ap.ap,
        "ap50_constant": ap.ap50,
        "ap75_constant": ap.ap75,
    }
    assert 0 < ap.ap < 1
    assert pooled == pytest.approx(want, abs=1e-9)
    estimate = summary["pq_pooled@native"]
    assert estimate.low < estimate.mean < estimate.high and estimate.num_images == 6
    text = summary_tables.as_full_text(table, summary, view)
    assert f"{panoptic.pq:.4f}" in text and "best of n" not in text


def test_boundaries_are_held_against_all_annotators_at_once():
    rng = np.random.default_rng(1)
    pred, *annotators = (blocks(rng, 30, 40) for _ in range(3))
    counts = metrics.boundary_counts(pred, annotators)
    row = image_measures.score([pred], annotators, protocols.NATIVE)
    assert row["sum_boundary_right_pred"] == counts.right_pred
    fast = image_measures.score([pred], annotators, protocols.NATIVE, image_measures.TABLE_MEASURES)
    assert np.isnan(fast["sum_boundary_pred"]) and "boundary_f" not in fast
    assert fast["ari"] == row["ari"]
