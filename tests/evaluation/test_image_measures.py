import math

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, rand_score

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import image_measures, protocols
from tests.evaluation.stubs import blocks
from tests.metrics.oracle import matched_iou, valid_ids


def _annotators(rng, count, shape=(30, 40)):
    maps = [blocks(rng, *shape) for _ in range(count)]
    for each in maps:
        each[rng.random(shape) < 0.1] = -1
    return maps


def test_metrics_are_the_oracles():
    rng = np.random.default_rng(0)
    samples, annotators = [blocks(rng, 30, 40) for _ in range(4)], _annotators(rng, 3)
    samples[1][:5] = -1
    row = image_measures.score(samples, annotators, protocols.NATIVE)
    assert list(row) == image_measures.names()
    for name, oracle in {
        "ari": adjusted_rand_score,
        "rand": rand_score,
        "iou": matched_iou,
        "iou_symmetric": lambda p, t: matched_iou(p, t, penalise_extra=True),
    }.items():
        values = np.array([[oracle(*valid_ids(s, p)) for p in annotators] for s in samples])
        assert row[name] == pytest.approx(values.mean(), abs=1e-9)
        assert row[f"{name}_best"] == pytest.approx(values.mean(axis=1).max(), abs=1e-9)
        assert row[f"{name}_best_per_person"] == pytest.approx(values.max(axis=0).mean(), abs=1e-9)
        assert np.abs(values.mean(axis=1) - row[f"{name}_medoid"]).min() < 1e-9
        among = [
            oracle(*valid_ids(a, b, a >= 0)) for a in annotators for b in annotators if a is not b
        ]
        assert row[f"{name}_people"] == pytest.approx(np.mean(among), abs=1e-9)
    assert row["regions"] == np.mean([len(np.unique(s)) for s in samples])
    assert row["diversity_ari_people"] > 0


def test_one_sample_one_annotator_and_nothing_labelled():
    rng = np.random.default_rng(2)
    truth = blocks(rng, 20, 20)
    row = image_measures.score([truth + 7], [truth, np.full((20, 20), -1)], protocols.NATIVE)
    assert row["ari"] == row["ari_best"] == row["iou_medoid"] == row["iou_symmetric"] == 1
    assert math.isnan(row["ari_people"]) and math.isnan(row["ged2_rand"])
    assert row["ged2_rand_counted"] == 0
    row = image_measures.score([truth], [np.full((20, 20), -1)], protocols.NATIVE)
    assert math.isnan(row["ari"]) and math.isnan(row["ged2_rand_counted"])
    assert row["regions"] == 9 and math.isnan(row["regions_true"])


def test_the_papers_view_merges_and_counts_background():
    rng = np.random.default_rng(3)
    cells = np.arange(100, dtype=np.int32).reshape(10, 10).repeat(12, 0).repeat(12, 1)
    cells[:12, :36] = -1  # three cells: the largest region of all
    truth = protocols.PAPER.truth(cells)
    assert truth.shape == (128, 128) and truth.min() == 0
    areas = np.bincount(truth.ravel())
    assert len(areas) == 64
    # Background took the 34 smallest of the other 97: as many as are beyond 63.
    assert areas.max() > 128 * 128 * (3 + 34) / 100 * 0.9
    honest = protocols.HONEST.truth(cells)
    assert honest.max() == 96 and (honest < 0).any()
    perfect = np.where(cells < 0, 500, cells)
    row = image_measures.score([perfect], [cells], protocols.PAPER)
    assert row["iou"] < 1 and row["regions_true"] == 64
    assert image_measures.score([perfect], [cells], protocols.HONEST)["iou"] == 1
    ids = rng.integers(0, 5, (6, 6))
    assert protocols.merged(ids, 5) is ids


def test_predictions_of_other_sizes_are_brought_to_the_truth():
    rng = np.random.default_rng(4)
    truth = blocks(rng, 33, 47)
    small = protocols.at_sizes([24])[0].truth(truth)
    row = image_measures.score([small], [truth], protocols.NATIVE)
    assert 0.7 < row["ari"] < 1
    for wrong in (truth.T, np.zeros((32, 32), int)):
        with pytest.raises(InputError, match="proportions"):
            image_measures.score([wrong], [truth], protocols.NATIVE)
    with pytest.raises(InputError, match="truths of one shape"):
        image_measures.score([truth], [truth, truth.T], protocols.NATIVE)
    with pytest.raises(InputError, match="each once"):
        protocols.at_sizes([5, 5])


def test_every_metric_knows_which_end_is_better():
    ends = {name: each.better for name, each in image_measures.described().items()}
    assert ends["ari"] == "high" and ends["vi"] == "low" and ends["ged2_iou_counted"] == "low"
    assert ends["regions"] is None and ends["diversity_rand_people"] is None
    assert ends["ap_ranked"] == "high" and ends["vi_ods"] == "low"


def test_the_medoid_of_annotators_is_one_annotator_held_against_the_others():
    rng = np.random.default_rng(5)
    first = blocks(rng, 30, 40)
    near = np.where(rng.random(first.shape) < 0.05, 3, first)
    annotators = [
        blocks(rng, 30, 40),
        near,
        first,
        np.where(rng.random(first.shape) < 0.1, 4, near),
    ]
    row = image_measures.score([first], annotators, protocols.NATIVE, image_measures.TABLE_MEASURES)
    rand = np.array([[rand_score(a.ravel(), b.ravel()) for b in annotators] for a in annotators])
    chosen = int(np.argmax(rand.sum(axis=1)))
    assert chosen != 0
    others = [k for k in range(4) if k != chosen]
    assert row["rand_people_medoid"] == pytest.approx(rand[chosen, others].mean())
    want = [adjusted_rand_score(annotators[chosen].ravel(), annotators[k].ravel()) for k in others]
    assert row["ari_people_medoid"] == pytest.approx(np.mean(want))
    assert row["ari_people_medoid"] > row["ari_people"]
    # Of two, neither is nearer to the other.
    two = image_measures.score(
        [first], annotators[:2], protocols.NATIVE, image_measures.TABLE_MEASURES
    )
    assert math.isnan(two["ari_people_medoid"]) and not math.isnan(two["ari_people"])
