"""Masks + scores -> partition, against panopticapi's procedure on pycocotools' masks."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from bitdiff_jax.data.readers import runs
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions.masks_to_partition import (
    ORDERS,
    Rule,
    partition,
    partition_of_runs,
)

H, W = 17, 23


def random_masks(seed, count=12):
    """Overlapping rectangles; some empty, two the same, one the whole picture."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, H, W), bool)
    for mask in masks[:-3]:
        y, x = np.sort(rng.integers(0, H + 1, 2)), np.sort(rng.integers(0, W + 1, 2))
        mask[y[0] : y[1], x[0] : x[1]] = True
    masks[-3], masks[-1] = masks[0], rng.random() < 0.5
    scores = rng.choice([0.1, 0.4, 0.5, 0.9, 0.99], count)
    order = rng.permutation(count)
    return masks[order], scores[order]


def rle(mask):
    return coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))


def to_runs(mask):
    packed = rle(mask)
    return runs.runs({"size": [H, W], "counts": packed["counts"].decode()}, H, W)


def combined(masks, scores, confidence, overlap):
    """The procedure of arXiv 1801.00868, section 7, as panopticapi has it, on RLE."""
    chosen = [i for i in range(len(masks)) if scores[i] >= confidence]
    chosen.sort(key=lambda i: -scores[i])
    labels, used = np.full((H, W), -1), rle(np.zeros((H, W)))
    for i in chosen:
        area = coco_mask.area(rle(masks[i]))
        if area == 0:
            continue
        common = coco_mask.area(coco_mask.merge([used, rle(masks[i])], intersect=True))
        if common / area > overlap:
            continue
        used = coco_mask.merge([used, rle(masks[i])])
        labels[np.logical_and(labels == -1, masks[i])] = i
    return labels


def of_masks(result):
    """The map in numbers of the list's masks."""
    return np.append(result.masks, -1)[result.labels]


@pytest.mark.parametrize("seed", range(100))
def test_agrees_with_panopticapi(seed):
    masks, scores = random_masks(seed)
    rule = Rule(min_score=0.4, min_visible=0.5)
    result = partition(masks, scores, rule=rule)
    np.testing.assert_array_equal(of_masks(result), combined(masks, scores, 0.4, 0.5))
    np.testing.assert_array_equal(result.scores, scores[result.masks])
    assert result.labels.dtype == np.int32 and result.labels.flags["C_CONTIGUOUS"]
    assert set(np.unique(result.labels)) - {-1} == set(range(len(result.masks)))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", range(10))
def test_who_is_on_top(seed, order):
    masks, scores = random_masks(seed)
    place = range(len(masks))
    top = {
        "score": sorted(place, key=lambda i: (-scores[i], i)),
        "smaller": sorted(place, key=lambda i: (masks[i].sum(), -scores[i], i)),
        "earlier": list(place),
        "later": list(place)[::-1],
    }[order]
    expected = np.full((H, W), -1)
    for i in top[::-1]:
        expected[masks[i]] = i
    for result in (
        partition(masks, scores, rule=Rule(order)),
        partition_of_runs([to_runs(m) for m in masks], scores, (H, W), rule=Rule(order)),
    ):
        np.testing.assert_array_equal(of_masks(result), expected)


def test_without_scores_the_earlier_is_on_top():
    masks, _ = random_masks(3)
    result = partition(masks)
    np.testing.assert_array_equal(result.labels, partition(masks, rule=Rule("earlier")).labels)
    assert result.scores is None


def test_a_mask_left_out_gives_its_pixels_to_those_below():
    masks = np.zeros((3, 1, 10), bool)
    masks[0, 0, :6], masks[1, 0, 2:8], masks[2, 0, 6:] = True, True, True
    result = partition(masks, [0.9, 0.8, 0.7], rule=Rule(min_visible=0.5))
    np.testing.assert_array_equal(result.labels, [[0] * 6 + [1] * 4])
    np.testing.assert_array_equal(result.masks, [0, 2])
    assert partition(masks, [0.9, 0.8, 0.7]).labels[0, 6] == 1


def test_nothing_at_all():
    for result in (
        partition([], shape=(2, 3)),
        partition(np.zeros((4, 2, 3), bool), [1, 2, 3, 4]),
        partition_of_runs([], [], (2, 3)),
    ):
        np.testing.assert_array_equal(result.labels, np.full((2, 3), -1))
        assert len(result.masks) == 0


def test_many_regions():
    masks = np.eye(700, 900, dtype=np.int32).reshape(700, 30, 30)
    result = partition(masks[::-1])
    np.testing.assert_array_equal(result.labels.ravel()[:700], np.arange(700)[::-1])


@pytest.mark.parametrize(
    ("masks", "scores", "options", "words"),
    [
        ([], None, {}, "shape"),
        ([np.ones((2, 3)), np.ones((3, 2))], None, {}, "one shape"),
        ([np.ones((2, 3))], None, {"shape": (3, 2)}, "one shape"),
        ([np.ones(3)], None, {}, "one shape"),
        ([np.ones((2, 3))], [1, 2], {}, "1 masks"),
        ([np.ones((2, 3))], [np.nan], {}, "finite"),
        ([np.ones((2, 3))], ["sure"], {}, "finite"),
        ([np.ones((2, 3))], None, {"rule": Rule(min_score=0.5)}, "no scores"),
    ],
)
def test_errors_are_one_line(masks, scores, options, words):
    with pytest.raises(InputError, match=words) as error:
        partition(masks, scores, **options)
    assert "\n" not in str(error.value)


def test_rules_are_checked():
    with pytest.raises(InputError, match="order='largest'"):
        Rule("largest")
    with pytest.raises(InputError, match="min_visible is 2"):
        Rule(min_visible=2)
    assert str(Rule(min_score=0.5)) == "score on top, score >= 0.5, visible >= 0"
