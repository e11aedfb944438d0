import time

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from skimage.morphology import thin as by_skimage

from bitdiff_jax.data import images
from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics import BoundaryCounts, boundary_counts
from bitdiff_jax.metrics.boundary_pixels import boundary_pixels, thin
from tests.metrics import cases


def on_a_doubled_grid(labels, labelled):
    """Edges between pixels drawn on a grid of twice the size, then read at every other place."""
    height, width = labels.shape
    grid = np.zeros((2 * height + 1, 2 * width + 1), bool)
    for i in range(height):
        for j in range(width):
            for k, m in ((i + 1, j), (i, j + 1)):
                if k < height and m < width and labelled[i, j] and labelled[k, m]:
                    grid[i + k + 1, j + m + 1] = labels[i, j] != labels[k, m]
    corners = np.zeros((height, width), bool)
    for i in range(height):
        for j in range(width):
            row, column = 2 * i + 2, 2 * j + 2
            arms = [grid[row - 1, column], grid[row, column - 1]]
            arms += [grid[row + 1, column]] if row + 1 < 2 * height + 1 else []
            arms += [grid[row, column + 1]] if column + 1 < 2 * width + 1 else []
            corners[i, j] = any(arms)
    return corners


def matched_by_assignment(ours, theirs, reach):
    """The greatest number of pairs within reach, from a dense assignment problem."""
    places = np.argwhere(ours), np.argwhere(theirs)
    if not len(places[0]) or not len(places[1]):
        return 0, 0.0
    distance = cdist(*places)
    near = distance <= reach * (1 + 1e-9)
    # One more pair is worth more than all distances together.
    gain = np.where(near, 1e4 - distance, 0.0)
    pairs = linear_sum_assignment(gain, maximize=True)
    pairs = tuple(each[near[pairs]] for each in pairs)
    return len(pairs[0]), distance[pairs].sum()


def by_hand(pred, target, tolerance, matching, thinned):
    labelled = target >= 0
    ours, theirs = (on_a_doubled_grid(np.maximum(m, -1), labelled) for m in (pred, target))
    if thinned:
        ours, theirs = by_skimage(ours), by_skimage(theirs)
    reach = tolerance * np.hypot(*target.shape)
    if matching == "bipartite":
        right_ours = right_theirs = matched_by_assignment(ours, theirs, reach)[0]
    else:
        distance = cdist(np.argwhere(ours), np.argwhere(theirs))
        near = distance <= reach
        right_ours, right_theirs = near.any(1).sum(), near.any(0).sum()
    return right_ours, ours.sum(), right_theirs, theirs.sum()


@pytest.mark.parametrize("matching", ["bipartite", "dilation"])
@pytest.mark.parametrize("thinned", [False, True])
def test_agrees_with_doubled_grid_skimage_and_dense_assignment(matching, thinned):
    rng = np.random.default_rng(0)
    some = 0
    for pred, target in cases.maps(200, seed=4):
        tolerance = rng.choice([0.0, 0.0075, 0.1, 0.2, 2.0])
        got = boundary_counts(pred, target, tolerance=tolerance, matching=matching, thinned=thinned)
        expected = by_hand(pred, target, tolerance, matching, thinned)
        assert got == tuple(expected)
        some += 0 < got.right_pred < got.pred
    assert some > 30


def test_dilation_is_never_lower_and_equal_maps_are_right():
    for pred, target in cases.maps(100, seed=5):
        one, any_ = (
            boundary_counts(pred, target, tolerance=0.1, matching=matching)
            for matching in ("bipartite", "dilation")
        )
        assert one.right_pred <= any_.right_pred and one.right_target <= any_.right_target
        assert boundary_counts(target, target, tolerance=0.0).f == 1.0
    pred, target = cases.three_hundred_regions()
    assert boundary_counts(target, target, tolerance=0.0).f == 1.0
    assert 0.6 < boundary_counts(np.maximum(pred, 0), target, tolerance=0.01).f < 1


def test_thinning_agrees_with_skimage():
    rng = np.random.default_rng(1)
    for _ in range(200):
        marked = rng.random(rng.integers(1, 25, 2)) < rng.choice([0.3, 0.6, 0.9])
        np.testing.assert_array_equal(thin(marked), by_skimage(marked))
    assert not thin(np.zeros((3, 3), bool)).any()


def test_a_jagged_double_line_is_punished_by_one_to_one_alone():
    target = np.repeat([0, 1], [10, 10])[None].repeat(20, 0)
    pred = np.repeat([0, 2, 1], [9, 2, 9])[None].repeat(20, 0)
    one = boundary_counts(pred, target, tolerance=0.1)
    assert (one.precision, one.recall) == (0.5, 1.0) and one.f == pytest.approx(2 / 3)
    assert boundary_counts(pred, target, tolerance=0.1, matching="dilation").f == 1.0


def test_several_annotators():
    rng = np.random.default_rng(2)
    pred, first, second = (cases.blocks(rng, (30, 40), n) for n in (6, 5, 7))
    both = boundary_counts(pred, [first, second], tolerance=0.05)
    each = [boundary_counts(pred, annotator, tolerance=0.05) for annotator in (first, second)]
    assert both.right_target == sum(e.right_target for e in each)
    assert both.target == sum(e.target for e in each)
    assert both.pred == each[0].pred == each[1].pred
    assert max(e.right_pred for e in each) <= both.right_pred <= sum(e.right_pred for e in each)
    assert boundary_counts(pred, [pred, second], tolerance=0.0).precision == 1.0


def matched_by_the_benchmark(ours, theirs, reach):
    """Least sum of distances where an unmatched pixel costs 100 tolerances: pixels matched."""
    places = np.argwhere(ours), np.argwhere(theirs)
    n, m = map(len, places)
    distance = cdist(*places) if n and m else np.zeros((n, m))
    cost = np.full((n + m, m + n), 1e7)
    cost[:n, :m] = np.where(distance <= reach * (1 + 1e-9), distance, 1e7)
    # Outliers cost the same among themselves, so that a pair saves the price of one pixel alone.
    cost[:n, m:][np.diag_indices(n)] = cost[n:, :m][np.diag_indices(m)] = 100 * reach
    cost[n:, m:] = 100 * reach
    rows, columns = linear_sum_assignment(cost)
    kept = (rows < n) & (columns < m)
    matched = np.zeros_like(ours)
    matched[tuple(places[0][rows[kept]].T)] = True
    return matched


def test_counts_are_those_of_the_least_cost_on_images(real_data):
    names = sorted({p.stem.split("_")[0] for p in (real_data / "bsds500/labels").glob("*.png")})
    off = []
    for name in names[5::40]:
        paths = sorted((real_data / "bsds500/labels").glob(f"{name}_*.png"))
        maps = [images.read_labels(path)[80:220, 80:220] for path in paths]
        pred, *annotators = maps
        tolerance = 4.3 / np.hypot(*pred.shape)  # as of a whole picture
        lines = [thin(boundary_pixels(ids, ids >= 0)) for ids in maps]
        right = np.zeros(pred.shape, bool)
        for annotator, line in zip(annotators, lines[1:], strict=True):
            matched = matched_by_the_benchmark(lines[0], line, 4.3)
            counts = boundary_counts(pred, annotator, tolerance=tolerance)
            assert counts.right_pred == counts.right_target == matched.sum()
            right |= matched
        counts = boundary_counts(pred, annotators, tolerance=tolerance)
        off.append((counts.right_pred - right.sum()) / max(1, counts.pred))
    assert len(off) >= 5 and np.abs(off).max() < 0.015 and np.abs(np.mean(off)) < 0.005


def test_ignored_pixels_have_no_boundary():
    target = np.repeat([0, 1], [5, 5])[None].repeat(10, 0)
    target[:, 4:6] = -1
    pred = np.repeat([0, 1], [5, 5])[None].repeat(10, 0)
    assert boundary_counts(pred, target) == (0, 0, 0, 0)
    assert boundary_counts(pred, np.full((10, 10), -1)) == (0, 0, 0, 0)
    pred[:, :2] = 7
    assert boundary_counts(pred, target) == (0, 10, 0, 0)


def test_nothing_to_find_and_nothing_drawn():
    one, two = np.zeros((9, 9), int), np.repeat([0, 1], [4, 5])[None].repeat(9, 0)
    assert boundary_counts(one, one).f == 1.0
    for matching in ("bipartite", "dilation"):
        missed = boundary_counts(one, two, matching=matching)
        assert (missed.precision, missed.recall, missed.f) == (1.0, 0.0, 0.0)
        extra = boundary_counts(two, one, matching=matching)
        assert (extra.precision, extra.recall, extra.f) == (0.0, 1.0, 0.0)
    assert BoundaryCounts(1, 2, 3, 4).plus(BoundaryCounts(1, 1, 1, 1)) == (2, 3, 4, 5)


def test_the_matching_ends_soon_on_images():
    rng = np.random.default_rng(3)
    target = cases.blocks(rng, (160, 240), 20)
    for pred in (np.roll(target, 1, 0), np.arange(160 * 240).reshape(160, 240) // 3, target):
        begin = time.process_time()
        got = boundary_counts(pred, target, thinned=False)
        assert time.process_time() - begin < 20 and got.recall > 0.5
    assert boundary_pixels(target, target >= 0).sum() > 500


def test_errors_say_what_to_do():
    ids = np.zeros((4, 4), int)
    for call, message in (
        (lambda: boundary_counts(ids, ids, matching="greedy"), "bipartite, dilation"),
        (lambda: boundary_counts(ids, ids, tolerance=-0.1), "share of the diagonal"),
        (lambda: boundary_counts(ids, ids[:2]), r"\(4, 4\).*\(1, 2, 4\)"),
        (lambda: boundary_counts(ids * 1.0, ids), "float64"),
        (lambda: boundary_counts(ids, []), "integer maps"),
    ):
        with pytest.raises(InputError, match=message):
            call()
