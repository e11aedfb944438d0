import operator
import os

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from bitdiff_jax import metrics
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import image_measures, protocols
from bitdiff_jax.evaluation.scoring import Scoring, error_row, in_order
from tests.evaluation.stubs import blocks


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def score(samples, labels, size=0):
    scoring = Scoring(protocols.at_sizes([size]), image_measures.TABLE_MEASURES)
    row = scoring.row("a", samples, labels)
    assert row.name == "a" and row.error is None
    names = [name.partition("@")[0] for name in scoring.columns()]
    return dict(zip(names, row.values, strict=True))


def test_equal_partitions_score_one_whatever_their_ids(rng):
    truth = blocks(rng, 40, 60)
    names = rng.permutation(64)[:9]
    row = score([names[truth]], [truth * 1000], 60)
    assert row["ari"] == row["iou"] == row["iou_symmetric"] == row["ari_best"] == 1
    assert row["regions"] == row["regions_true"] == len(np.unique(truth))


def test_a_blank_map_scores_no_rand_and_the_largest_regions_share(rng):
    truth = blocks(rng, 40, 60)
    row = score(np.zeros((2, 40, 60), np.int32), [truth])
    shares = np.bincount(truth.ravel()) / truth.size
    assert row["ari"] == 0
    assert row["iou"] == pytest.approx(shares.max() / np.count_nonzero(shares))
    assert (row["regions"], row["num_samples"], row["num_people"]) == (1, 2, 1)


def test_superfluous_regions_cost_only_the_symmetric_iou():
    truth = np.zeros((4, 8), np.int32)
    truth[:, 4:] = 1
    drawn = truth.copy()
    drawn[:2, 4:] = 2
    row = score([drawn], [truth])
    assert row["iou"] == pytest.approx((1 + 0.5) / 2)
    assert row["iou_symmetric"] == pytest.approx((1 + 0.5) / 3)


def test_ignored_pixels_count_nowhere(rng):
    truth = blocks(rng, 30, 40)
    drawn = truth.copy()
    drawn[:10] = rng.integers(0, 64, (10, 40))
    truth[:10] = -1
    row = score([drawn], [truth])
    assert (row["ari"], row["iou"]) == (1, 1)


def test_pixels_without_a_prediction_are_one_region_as_in_metrics(rng):
    truth, drawn = blocks(rng, 30, 40), blocks(rng, 30, 40)
    drawn[5:20, 7:] = -1
    row = score([drawn], [truth])
    assert row["ari"] == pytest.approx(metrics.adjusted_rand_index(drawn, truth, num_labels=9))
    assert row["iou"] == pytest.approx(metrics.hungarian_iou(drawn, truth, num_labels=9))


def test_maps_are_compared_at_the_size_of_the_view_at_the_centres_of_pixels(rng):
    truth = blocks(rng, 96, 128)
    drawn = blocks(rng, 24, 32)
    at = np.repeat(np.repeat(drawn, 2, 0), 2, 1), truth[1::2, 1::2]
    want = adjusted_rand_score(at[1].ravel(), at[0].ravel())
    assert score([drawn], [truth], 64)["ari"] == pytest.approx(want)
    large = np.repeat(np.repeat(drawn, 4, 0), 4, 1)
    want = adjusted_rand_score(truth.ravel(), large.ravel())
    assert score([drawn], [truth])["ari"] == pytest.approx(want)


def test_the_truth_is_not_merged_to_the_codes():
    truth = np.arange(100, dtype=np.int32).reshape(10, 10).repeat(4, 0).repeat(4, 1)
    row = score([truth % 64], [truth])
    assert (row["regions"], row["regions_true"]) == (64, 100)
    assert row["iou"] == pytest.approx((28 + 36 * 0.5) / 100)


def test_what_cannot_be_compared_is_an_error_on_one_line(rng):
    truth = blocks(rng, 20, 20)
    scoring = Scoring((protocols.NATIVE,))
    assert "proportions" in scoring.row("a", [truth], [truth[:10]]).error
    assert "0 predictions" in scoring.row("a", [], [truth]).error
    assert error_row("b", "two\n lines").error == "two lines"


@pytest.mark.slow
def test_workers_keep_the_order_and_take_no_more_than_they_can_do():
    taken = []

    def items():
        for i in range(30):
            taken.append(i)
            yield i

    results = in_order(operator.neg, items(), workers=1)
    assert next(results) == 0
    assert len(taken) <= 5
    assert list(results) == [-i for i in range(1, 30)]
    assert list(in_order(operator.neg, range(3), workers=0)) == [0, -1, -2]


@pytest.mark.slow
def test_a_worker_that_is_gone_ends_it_with_a_reason():
    with pytest.raises(InputError, match=r"ended from outside.*--workers"):
        list(in_order(os._exit, range(9), workers=1))
