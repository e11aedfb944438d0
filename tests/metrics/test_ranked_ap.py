import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics import (
    RankedRegions,
    entity_ap,
    entity_matches,
    found_by_row,
    ranked_ap,
)
from tests.metrics import cases
from tests.metrics.test_entity_ap import by_pycocotools


def compact(images, weights=None):
    """(regions, true regions of each picture) of (pred, target, scores) pictures."""
    parts, targets = [], []
    for i, (pred, target, scores) in enumerate(images):
        table, _ = cases.table_of(pred, target)
        matches = entity_matches(table, scores, max_regions=None)
        found = found_by_row(matches, len(table))
        rows = np.flatnonzero(found >= 0)
        weight = 1.0 if weights is None else weights[i]
        parts.append((np.full(len(rows), i), scores[rows], found[rows], np.full(len(rows), weight)))
        targets.append(matches.num_target * weight)
    types = (np.int32, np.float32, np.int8, np.float32)
    columns = zip(*parts, strict=True)
    regions = [np.concatenate(each).astype(t) for each, t in zip(columns, types, strict=True)]
    return RankedRegions(*regions), np.array(targets)


def images_of(seed, score, count=80):
    rng = np.random.default_rng(seed)
    return [
        (pred, target, score(rng, max(pred.max() + 1, 1) + 1))
        for pred, target in cases.maps(count, seed=seed)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_without_equal_scores_it_is_pycocotools(seed):
    images = images_of(seed, lambda rng, n: np.zeros(n))
    # Distinct over the whole set.
    flat = np.random.default_rng(seed).permutation(sum(len(s) for *_, s in images)) + 1
    ends = np.cumsum([len(s) for *_, s in images])
    scores = np.split((flat / 1e5).astype(np.float32), ends[:-1])
    images = [(p, t, s) for (p, t, _), s in zip(images, scores, strict=True)]
    expected = by_pycocotools([(*each, False) for each in images], 1000)
    got = ranked_ap(*compact(images))
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
    assert 0.03 < got[0] < got[1] < 0.95
    # The rows' order is none of its business.
    order = np.random.default_rng(0).permutation(len(images))
    np.testing.assert_allclose(
        ranked_ap(*compact([images[i] for i in order])), got, rtol=0, atol=1e-12
    )


def test_equal_scores_are_pycocotools_with_the_wrong_ones_first():
    images = images_of(5, lambda rng, n: rng.integers(1, 5, n) / 5)
    regions, targets = compact(images)
    got = ranked_ap(regions, targets)
    in_order = by_pycocotools([(*each, False) for each in images], 1000)
    assert np.all(got <= np.array(in_order) + 1e-12) and np.abs(got - in_order).max() < 0.1
    for k, place in ((0, 1), (5, 2)):
        # A hair less for what is right at the threshold, and no ties of right with wrong are left.
        moved = []
        for i, (pred, target, scores) in enumerate(images):
            table, _ = cases.table_of(pred, target)
            right = found_by_row(entity_matches(table, scores), len(table)) > k
            moved.append((pred, target, scores - 1e-6 * right, False))
            assert (regions.image == i).sum() == (table.sum(1) > 0).sum()
        assert got[place] == pytest.approx(by_pycocotools(moved, 1000)[place], abs=1e-12)


def test_one_score_for_all_is_the_metric_without_ranks():
    images = images_of(6, lambda rng, n: np.full(n, 0.25))
    tables = [cases.table_of(p, t)[0] for p, t, _ in images]
    expected = entity_ap([entity_matches(t, max_regions=None) for t in tables], ranked=False)
    np.testing.assert_allclose(ranked_ap(*compact(images)), expected, rtol=0, atol=1e-12)


def test_weights_and_resampled_sets():
    images = images_of(7, lambda rng, n: rng.random(n), count=12)
    regions, targets = compact(images)
    times = np.random.default_rng(0).integers(0, 3, (4, len(images)))
    got = ranked_ap(regions, targets, times)
    for counts, value in zip(times, got, strict=True):
        repeated = [each for n, each in zip(counts, images, strict=True) for _ in range(n)]
        np.testing.assert_allclose(value, ranked_ap(*compact(repeated)), rtol=0, atol=1e-12)
    coarse = ranked_ap(regions, targets, times, max_ranks=30)
    assert 0 < np.abs(coarse - got).max() < 0.05
    np.testing.assert_array_equal(ranked_ap(regions, targets, times, max_ranks=10_000), got)
    # Three people who say the same are as one.
    tripled = [each for each in images for _ in range(3)]
    thirds = ranked_ap(*compact(tripled, weights=np.full(len(tripled), 1 / 3)))
    np.testing.assert_allclose(thirds, ranked_ap(regions, targets), rtol=0, atol=1e-12)


def test_nothing_and_errors():
    empty = RankedRegions(*(np.zeros(0, t) for t in (np.int32, np.float32, np.int8, np.float32)))
    assert np.isnan(ranked_ap(empty, np.zeros(2))).all()
    np.testing.assert_array_equal(ranked_ap(empty, np.ones(2)), [0, 0, 0])
    with pytest.raises(InputError, match="leave out ignored="):
        found_by_row(entity_matches([[1]], ignored=[9]), 1)
