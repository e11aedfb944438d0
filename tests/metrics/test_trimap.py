import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics import hungarian_iou, trimap_iou
from tests.metrics import cases, oracle


def by_hand(pred, target, width, matched):
    """Pixel by pixel: the band from distances to every border pixel, IoU from sets."""
    height, breadth = target.shape
    inside = lambda i, j: 0 <= i < height and 0 <= j < breadth  # noqa: E731
    borders = [
        (i, j)
        for i in range(height)
        for j in range(breadth)
        if target[i, j] >= 0
        and any(
            inside(k, m) and target[k, m] >= 0 and target[k, m] != target[i, j]
            for k, m in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1))
        )
    ]
    if not borders:
        return np.nan
    places = np.stack(np.mgrid[:height, :breadth], -1)[:, :, None]
    squared = ((places - np.array(borders)) ** 2).sum(-1).min(-1)
    band = (squared <= width**2 * (height**2 + breadth**2)) & (target >= 0)
    pred = np.maximum(pred, -1)
    truths, drawn = np.unique(target[band]), np.unique(pred[target >= 0])
    all_truths = np.unique(target[target >= 0])

    def iou(where):
        return np.array(
            [
                [
                    ((target == t) & (pred == p) & where).sum()
                    / max((((target == t) | (pred == p)) & where).sum(), 1)
                    for p in drawn
                ]
                for t in all_truths
            ]
        )

    near = iou(band)
    pairs = linear_sum_assignment(-(iou(target >= 0) if matched == "picture" else near))
    return near[pairs].sum() / len(truths)


@pytest.mark.parametrize("matched", ["picture", "band"])
def test_agrees_with_pixel_by_pixel(matched):
    rng = np.random.default_rng(0)
    for pred, target in cases.maps(120, seed=6):
        width = rng.choice([0.0, 0.02, 0.1, 0.3])
        got = trimap_iou(pred, target, width=width, matched=matched)
        expected = by_hand(pred, target, width, matched)
        if matched == "picture" and got != pytest.approx(expected, abs=1e-12, nan_ok=True):
            # Matchings of the same worth on the picture may differ in the band.
            assert _has_ties(pred, target)
            continue
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def _has_ties(pred, target):
    p, t = oracle.valid_ids(pred, target)
    iou = oracle.iou_matrix(p, t)
    noise = np.random.default_rng(0).random((20, *iou.shape)) * 1e-9
    return len({tuple(linear_sum_assignment(-(iou + n))[1]) for n in noise}) > 1


def test_a_wide_band_is_the_whole_image_and_a_good_middle_does_not_help():
    rng = np.random.default_rng(1)
    target = cases.blocks(rng, (24, 30), 5)
    pred = np.roll(target, 1, axis=1)
    whole = hungarian_iou(pred, target, num_labels=5)
    assert trimap_iou(pred, target, width=2.0) == pytest.approx(whole, abs=1e-12)
    assert trimap_iou(pred, target, width=0.02) < whole
    assert trimap_iou(target, target) == 1.0
    for pred, target in cases.maps(60, seed=7):
        band, image = (trimap_iou(pred, target, matched=m) for m in ("band", "picture"))
        assert np.isnan(band) or band >= image - 1e-12
    pred, target = cases.three_hundred_regions()
    assert 0.0 < trimap_iou(pred, target) <= 1.0


def test_nothing_to_score_and_errors():
    ids = np.zeros((5, 5), int)
    assert np.isnan(trimap_iou(ids, ids)) and np.isnan(trimap_iou(ids, ids - 1))
    with pytest.raises(InputError, match="'picture' or 'band'"):
        trimap_iou(ids, ids, matched="none")
    with pytest.raises(InputError, match="share of the diagonal"):
        trimap_iou(ids, ids, width=-1)
