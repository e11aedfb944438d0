"""Levels 2 and 3 as a whole: purity, what the labels promise, and how hard they are."""

import functools
import itertools
import pickle
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from bitdiff_jax import metrics
from bitdiff_jax.scenes import SceneSource, edges
from bitdiff_jax.scenes.natural import difficulty_levels

LEVELS = {2: difficulty_levels.MODERATE, 3: difficulty_levels.HARD}


def _ari(pred, target):
    return metrics.adjusted_rand_index(pred, target, num_labels=int(max(pred.max(), 63)) + 1)


@functools.cache
def _items(level):
    source = SceneSource(level=level, size=64, seed=11, length=100)
    return [(item["image"], item["labels"][0]) for item in source]


@settings(max_examples=30, deadline=None)
@given(
    level=st.sampled_from([2, 3]),
    size=st.integers(16, 128),
    seed=st.integers(0, 2**40),
    index=st.integers(0, 999_999),
)
def test_every_pixel_has_one_of_n_ids_and_every_id_shows(level, size, seed, index):
    item = SceneSource(level=level, size=size, seed=seed)[index]
    assert set(item) == {"name", "image", "labels"}
    assert item["name"] == f"scene-L{level}-s{seed}-{index:08d}"
    assert item["image"].shape == (size, size, 3) and item["image"].dtype == np.uint8
    (labels,) = item["labels"]
    assert labels.shape == (size, size) and labels.dtype == np.int32 and labels.min() == 0
    area = np.bincount(labels.ravel())
    assert 2 <= len(area) <= LEVELS[level].max_regions
    assert area.min() >= max(5, LEVELS[level].min_area * size**2)


@pytest.mark.parametrize("level", LEVELS)
def test_an_item_is_a_pure_function_of_its_index(level):
    source = SceneSource(level=level, size=48, seed=3)
    forward = [source[i] for i in range(6)]
    again = pickle.loads(pickle.dumps(SceneSource(level=level, size=48, seed=3, length=6)))
    for i in (5, 0, 3):
        item = again[np.int64(i)]
        np.testing.assert_array_equal(item["image"], forward[i]["image"])
        np.testing.assert_array_equal(item["labels"][0], forward[i]["labels"][0])
    assert len({item["image"].tobytes() for item in forward}) == 6
    other = SceneSource(level=level, size=48, seed=4)[0]
    assert (other["image"] != forward[0]["image"]).any()


@pytest.mark.slow
def test_an_item_does_not_depend_on_the_process_or_on_what_was_drawn_before():
    code = (
        "import numpy, zlib; numpy.random.seed(1);"
        "from bitdiff_jax.scenes import SceneSource as S;"
        "items = [S(level=l, size=64, seed=3)[i] for l, i in ((3, 8), (2, 7))];"
        "print(*(zlib.crc32(i['image'].tobytes() + i['labels'][0].tobytes()) for i in items))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = [SceneSource(level=level, size=64, seed=3)[i] for level, i in ((2, 7), (3, 8))]
    sums = [zlib.crc32(i["image"].tobytes() + i["labels"][0].tobytes()) for i in here]
    assert [int(word) for word in out.stdout.split()] == sums[::-1]


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_a_scene_is_about_the_same_at_every_size(level):
    small, large = SceneSource(level=level, size=64), SceneSource(level=level, size=128)
    alike, colours = [], []
    for i in range(30):
        a, b = small[i], large[i]
        truth = a["labels"][0].repeat(2, 0).repeat(2, 1)
        alike.append(_ari(truth, b["labels"][0]))
        halved = b["image"].reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
        pair = np.stack([a["image"], halved]).reshape(2, -1)
        colours.append(np.corrcoef(pair)[0, 1])
    assert np.median(alike) > 0.93 and np.mean(np.array(alike) > 0.8) > 0.9
    assert np.median(colours) > 0.85


@pytest.mark.slow
def test_the_number_of_regions_is_that_of_photographs():
    # Photographs of BSDS500 at 64 pixels, regions of 5 and more: 4, 9, 20 at 10, 50 and 90 %.
    counts = {level: [labels.max() + 1 for _, labels in _items(level)] for level in LEVELS}
    low, median, high = np.quantile(counts[2], [0.1, 0.5, 0.9])
    assert low <= 5 and 7 <= median <= 13 and 14 <= high <= 24
    low, median, high = np.quantile(counts[3], [0.1, 0.5, 0.9])
    assert low <= 8 and 10 <= median <= 17 and 24 <= high <= 40
    assert min(counts[2] + counts[3]) <= 3


@pytest.mark.slow
def test_half_of_the_strong_gradients_are_no_borders_and_some_borders_are_weak():
    # At 64 pixels BSDS500 has .54 of strong gradients within a pixel of a border, where chance
    # gives .19, and .17 of its borders are weak.
    figures = np.array([edges.measure(*item) for item in _items(2)])
    strong, weak, chance = np.nanmean(figures, axis=0)
    assert 2 * chance < strong < 0.6
    assert 0.15 <= weak < 0.35
    strong_3, weak_3, _ = np.nanmean([edges.measure(*item) for item in _items(3)], axis=0)
    assert strong_3 < 0.6 and weak < weak_3 < 0.45


def test_a_region_that_is_cut_in_two_keeps_one_id():
    def second_largest_piece(labels, k):
        pieces = np.sort(np.bincount(ndimage.label(labels == k)[0].ravel())[1:])
        return pieces[-2] if len(pieces) > 1 else 0

    cut = [
        max(second_largest_piece(labels, k) for k in range(labels.max() + 1)) > 30
        for _, labels in _items(2)
    ]
    assert 0.2 < np.mean(cut) < 0.9


def test_regions_are_of_all_sizes_and_sit_in_one_another():
    shares = np.concatenate([np.bincount(labels.ravel()) / labels.size for _, labels in _items(3)])
    # Over three decades, as in photographs, not of one typical size.
    low, middle, high = np.quantile(shares, [0.1, 0.5, 0.97])
    assert low < 0.004 and 0.006 < middle < 0.04 and high > 0.3


def test_a_tuned_graph_method_does_not_find_the_regions():
    segmentation = pytest.importorskip("skimage.segmentation")
    items = _items(2)[:30]
    best = max(
        np.mean(
            [
                _ari(
                    segmentation.felzenszwalb(image, scale=scale, sigma=sigma, min_size=min_size),
                    labels,
                )
                for image, labels in items
            ]
        )
        for scale, sigma, min_size in itertools.product((50, 200, 800), (0.5, 1.2), (40,))
    )
    assert 0.3 < best < 0.6
