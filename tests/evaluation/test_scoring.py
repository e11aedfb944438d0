import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from bitdiff_jax import metrics
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.scoring import score
from tests.evaluation.stubs import blocks


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_equal_partitions_score_one_whatever_their_ids(rng):
    truth = blocks(rng, 40, 60)
    names = rng.permutation(64)[:9]
    row = score("a", names[truth][None], (truth * 1000,), score_size=60)
    assert row[:6] == ("a", 1.0, 1.0, 1.0, 1.0, 1.0)
    assert row.regions_pred == row.regions_true == len(np.unique(truth))


def test_a_blank_map_scores_no_rand_and_the_largest_regions_share(rng):
    truth = blocks(rng, 40, 60)
    row = score("a", np.zeros((2, 40, 60), np.int32), (truth,), score_size=0)
    shares = np.bincount(truth.ravel()) / truth.size
    assert row.ari == 0
    assert row.iou == pytest.approx(shares.max() / np.count_nonzero(shares))
    assert row.regions_pred == 1


def test_means_over_people_and_samples_and_the_best_sample(rng):
    truths = [blocks(rng, 30, 40) for _ in range(3)]
    maps = np.stack([truths[0], blocks(rng, 30, 40)])
    row = score("a", maps, truths, score_size=0)
    ari = np.asarray([[adjusted_rand_score(t.ravel(), m.ravel()) for t in truths] for m in maps])
    iou = np.asarray([[metrics.hungarian_iou(m, t, num_labels=9) for t in truths] for m in maps])
    assert row.ari == pytest.approx(ari.mean())
    assert row.ari_best == pytest.approx(ari.mean(axis=1).max())
    assert row.iou == pytest.approx(iou.mean())
    assert row.iou_best == pytest.approx(iou.mean(axis=1).max())
    assert row.iou_penalised <= row.iou
    assert (row.num_samples, row.num_annotators) == (2, 3)


def test_superfluous_regions_cost_only_the_penalised_iou():
    truth = np.zeros((4, 8), np.int32)
    truth[:, 4:] = 1
    drawn = truth.copy()
    drawn[:2, 4:] = 2
    row = score("a", drawn[None], (truth,), score_size=0)
    assert row.iou == pytest.approx((1 + 0.5) / 2)
    assert row.iou_penalised == pytest.approx((1 + 0.5) / 3)


def test_ignored_pixels_count_nowhere(rng):
    truth = blocks(rng, 30, 40)
    drawn = truth.copy()
    drawn[:10] = rng.integers(0, 64, (10, 40))
    truth[:10] = -1
    row = score("a", drawn[None], (truth,), score_size=0)
    assert (row.ari, row.iou) == (1, 1)


def test_pixels_without_a_prediction_are_one_region_as_in_metrics(rng):
    truth, drawn = blocks(rng, 30, 40), blocks(rng, 30, 40)
    drawn[5:20, 7:] = -1
    row = score("a", drawn[None], (truth,), score_size=0)
    assert row.ari == pytest.approx(metrics.adjusted_rand_index(drawn, truth, num_labels=9))
    assert row.iou == pytest.approx(metrics.hungarian_iou(drawn, truth, num_labels=9))


def test_maps_are_compared_at_the_score_size_at_the_centres_of_pixels(rng):
    truth = blocks(rng, 96, 128)
    drawn = blocks(rng, 24, 32)
    row = score("a", drawn[None], (truth,), score_size=64)
    at = np.repeat(np.repeat(drawn, 2, 0), 2, 1), truth[1::2, 1::2]
    assert row.ari == pytest.approx(adjusted_rand_score(at[1].ravel(), at[0].ravel()))
    native = score("a", drawn[None], (truth,), score_size=0)
    large = np.repeat(np.repeat(drawn, 4, 0), 4, 1)
    assert native.ari == pytest.approx(adjusted_rand_score(truth.ravel(), large.ravel()))


def test_the_truth_is_not_merged_to_the_codes():
    truth = np.arange(100, dtype=np.int32).reshape(10, 10).repeat(4, 0).repeat(4, 1)
    row = score("a", (truth % 64)[None], (truth,), score_size=0)
    assert row.regions_true == 100
    assert row.regions_pred == 64
    assert row.iou == pytest.approx((28 + 36 * 0.5) / 100)


def test_an_empty_truth_is_left_out_and_only_empty_ones_give_nan(rng):
    truth = blocks(rng, 20, 20)
    empty = np.full((20, 20), -1, np.int32)
    row = score("a", truth[None], (empty, truth), score_size=0)
    assert (row.ari, row.num_annotators) == (1, 1)
    row = score("a", truth[None], (empty,), score_size=0)
    assert np.isnan([row.ari, row.iou, row.iou_penalised, row.ari_best, row.regions_true]).all()
    assert row.num_annotators == 0


def test_what_cannot_be_scored_is_refused(rng):
    truth = blocks(rng, 20, 20)
    with pytest.raises(InputError, match="score_size is -1"):
        score("a", truth[None], (truth,), score_size=-1)
    with pytest.raises(InputError, match="a: 1 maps and truths of shapes"):
        score("a", truth[None], (truth, truth[:10]))
    with pytest.raises(InputError, match="a: 0 maps"):
        score("a", truth[:0], (truth,))
