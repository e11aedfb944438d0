import contextlib
import io

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics import entity_ap, entity_matches, region_scores
from tests.metrics import cases


def rle(mask):
    return coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))


def by_pycocotools(images, max_regions=100, holes=True):
    """AP, AP50, AP75 of (pred, target, scores, ignored is a crowd) pictures.

    Pixels of no region are one region more, but for holes=False.
    """
    truths, drawn = [], []
    for image, (pred, target, scores, crowd) in enumerate(images):
        num_pred = max(pred.max() + 1, 1)
        rows = np.where(pred < 0, num_pred, pred)
        if not crowd:
            rows = np.where(target < 0, -1, rows)
        for j in range(-1 if crowd else 0, target.max() + 1):
            if (target == j).any():
                truths.append(
                    {
                        "id": len(truths) + 1, "image_id": image, "category_id": 1,
                        "segmentation": rle(target == j), "area": float((target == j).sum()),
                        "bbox": [0, 0, 1, 1], "iscrowd": int(j == -1),
                    }
                )  # fmt: skip
        for i in range(num_pred + holes):
            if (rows == i).any():
                drawn.append(
                    {
                        "image_id": image, "category_id": 1, "segmentation": rle(rows == i),
                        "score": float(scores[i]),
                    }
                )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [
                {"id": i, "height": t.shape[0], "width": t.shape[1]}
                for i, (_, t, *_) in enumerate(images)
            ],
            "annotations": truths, "categories": [{"id": 1}],
        }  # fmt: skip
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(drawn), "segm")
        run.params.maxDets = [1, 10, max_regions]
        run.evaluate()
        run.accumulate()
    precision = run.eval["precision"][:, :, 0, 0, -1]
    return [p.mean() if (p > -1).all() else np.nan for p in (precision, precision[0], precision[5])]


def ours(images, max_regions=100, **kwargs):
    matches = []
    for pred, target, scores, crowd in images:
        table, ignored = cases.table_of(pred, target)
        matches.append(
            entity_matches(
                table, scores, ignored=ignored if crowd else None, max_regions=max_regions
            )
        )
    return entity_ap(matches, **kwargs)


@pytest.mark.parametrize("crowd", [False, True])
@pytest.mark.parametrize("constant", [False, True])
def test_agrees_with_pycocotools_image_by_image_and_over_all(crowd, constant):
    rng = np.random.default_rng(0)
    images = []
    # pycocotools keeps no picture without a detection apart from one without anything.
    for pred, target in cases.maps(150, seed=1):
        scores = rng.integers(0, 6, max(pred.max() + 1, 1) + 1) / 5
        images.append((pred, target, 0 * scores + 0.5 if constant else scores, crowd))
    for picture in images:
        if (picture[1] >= 0).any():
            np.testing.assert_allclose(ours([picture]), by_pycocotools([picture]), atol=1e-12)
    got = ours(images)
    np.testing.assert_allclose(got, by_pycocotools(images), rtol=0, atol=1e-12)
    assert 0.05 < got.ap < got.ap75 + 0.1 and got.ap75 < got.ap50 < 0.9


@pytest.mark.slow
@pytest.mark.parametrize("max_regions", [100, 1000])
def test_three_hundred_regions(max_regions):
    pred, target = cases.three_hundred_regions()
    scores = np.random.default_rng(0).random(pred.max() + 2)
    picture = [(pred, target, scores, False)]
    expected = by_pycocotools(picture, max_regions)
    np.testing.assert_allclose(ours(picture, max_regions), expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(ours(picture, 1000), ours(picture, None))


def test_without_scores_the_order_of_regions_and_images_plays_no_part():
    rng = np.random.default_rng(2)
    images = [(p, t, None, False) for p, t in cases.maps(30, seed=3)]
    expected = ours(images, ranked=False)
    for _ in range(3):
        shuffled = []
        for pred, target, _, _ in (images[i] for i in rng.permutation(len(images))):
            names = rng.permutation(40)
            shuffled.append((np.where(pred < 0, -1, names[pred]), target, None, False))
        # Two halves of a region have IoU 1/2 each, whichever takes it.
        np.testing.assert_allclose(ours(shuffled, ranked=False), expected, rtol=0, atol=1e-12)
    # Half of the regions right, two thirds of the true ones found: 67 of 101 recalls.
    table = np.zeros((4, 3), int)
    table[0, 0] = table[1, 1] = 9
    table[2, 2], table[3, 2] = 4, 6
    got = entity_ap([entity_matches(table)], ranked=False)
    assert got.ap75 == pytest.approx(0.5 * 67 / 101)


def test_degenerate_sets():
    nothing = entity_matches(np.zeros((2, 2), int))
    assert np.isnan(entity_ap([nothing])).all() and np.isnan(entity_ap([])).all()
    missed = entity_matches(np.array([[5]]), unassigned=0)
    for ranked in (True, False):
        assert entity_ap([missed], ranked=ranked) == (0.0, 0.0, 0.0)
        assert entity_ap([entity_matches([[5]])], ranked=ranked) == (1.0, 1.0, 1.0)


def test_scores_of_regions_are_means():
    pred = np.array([[0, 0, 2], [-1, 2, 2]])
    sure = np.array([[0.5, 1.0, 0.2], [0.9, 0.3, 0.1]])
    np.testing.assert_allclose(region_scores(pred, sure, 4), [0.75, 0, 0.2, 0.9], atol=1e-15)
    with pytest.raises(InputError, match="num_regions"):
        region_scores(pred, sure, 2)


def test_errors_say_what_to_do():
    for bad in ([0.5], [0.5, np.nan], [[0.5, 0.5]]):
        with pytest.raises(InputError, match=r"finite numbers \[2\]"):
            entity_matches([[1], [2]], bad)
