"""Classical methods: what they return, on ordinary and on degenerate pictures."""

import pathlib
import re
import sys

import numpy as np
import pytest

from bitdiff_jax import metrics
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import baselines
from bitdiff_jax.evaluation.baselines import methods

KEPT = ("scenes1", "bsds500")
# Four flat quarters: what every method that looks must find.
TRUTH = np.kron([[0, 1], [2, 3]], np.ones((16, 20), np.int32))
COLOURS = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200], [220, 220, 40]], np.uint8)


def ari(labels):
    return baselines.score(labels, (TRUTH,), max(TRUTH.shape)).ari


@pytest.mark.parametrize("name", baselines.METHODS)
def test_degenerate_images(name):
    settings = next(baselines.METHODS[name].settings())
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (1, 30), (15, 21)):
        for image in (
            np.zeros((*shape, 3), np.uint8),
            rng.integers(0, 256, (*shape, 3), np.uint8),
        ):
            labels = baselines.segment(image, name, **settings)
            assert labels.shape == shape and labels.dtype == np.int32 and labels.min() >= 0
            np.testing.assert_array_equal(labels, baselines.segment(image, name, **settings))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("felzenszwalb", {"scale": 400, "sigma": 0.0, "min_area": 0.01}),
        ("slic, merged", {"count": 50, "compactness": 10, "threshold": 12}),
        ("quickshift", {"kernel_size": 3, "max_dist": 40, "ratio": 1.0}),
        ("k-means, colour", {"count": 4, "position": 0.0}),
        ("grid", {"count": 2}),
    ],
)
def test_four_quarters_are_found(name, settings):
    assert ari(baselines.segment(COLOURS[TRUTH], name, **settings)) > 0.9


def test_the_ones_that_do_not_look():
    image = COLOURS[TRUTH]
    assert not baselines.segment(image, "one region").any()
    np.testing.assert_array_equal(np.unique(baselines.segment(image, "grid", count=5)), range(25))
    labels = baselines.segment(image, "bands", count=3)
    assert (np.diff(labels, axis=1) == 0).all() and labels.max() == 2
    for name, settings in (("bands", {"count": 2}), ("grid", {"count": 3})):
        noise = np.random.default_rng(0).integers(0, 256, image.shape, np.uint8)
        np.testing.assert_array_equal(
            baselines.segment(image, name, **settings), baselines.segment(noise, name, **settings)
        )


def test_merging_goes_by_neighbours_and_colour():
    labels = np.array([[0, 0, 1], [2, 1, 1]])
    found = methods._neighbours(labels, 3).toarray() > 0
    np.testing.assert_array_equal(
        found, [[False, True, True], [True, False, True], [True, True, False]]
    )
    # Two equal squares apart from one another stay two regions.
    image = np.zeros((30, 60, 3), np.uint8)
    image[10:20, 10:20] = image[10:20, 40:50] = 255
    result = baselines.segment(image, "slic, merged", count=200, compactness=10, threshold=20)
    assert result[15, 15] != result[15, 45]


@pytest.mark.parametrize(
    ("args", "settings", "words"),
    [
        ((np.zeros((2, 2, 3), np.uint8), "sam"), {}, "method 'sam' is not known"),
        ((np.zeros((2, 2, 3), np.uint8), "bands"), {}, "bands takes count, not no settings"),
        ((np.zeros((2, 2, 3), np.uint8), "one region"), {"count": 1}, "takes no settings"),
        ((np.zeros((2, 2)), "one region"), {}, "uint8"),
        ((np.zeros((0, 2, 3), np.uint8), "one region"), {}, "uint8"),
    ],
)
def test_errors_are_one_line(args, settings, words):
    with pytest.raises(InputError, match=words) as error:
        baselines.segment(*args, **settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name", ["felzenszwalb", "slic, merged", "quickshift", "k-means, colour and place"]
)
def test_without_the_extra(monkeypatch, name):
    methods._library.cache_clear()
    for library in ("skimage.segmentation", "skimage.color", "sklearn.cluster"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=r"needs s\w+; pip install 'bitdiff_jax\[baselines\]'"):
        baselines.segment(COLOURS[TRUTH], name, **next(baselines.METHODS[name].settings()))
    assert baselines.segment(COLOURS[TRUTH], "grid", count=2).max() == 3


def test_the_extra_is_not_imported_with_the_package():
    for path in pathlib.Path(baselines.__file__).parent.glob("*.py"):
        assert not re.search(r"^(from|import) (skimage|sklearn|scipy)", path.read_text(), re.M), (
            path
        )


@pytest.mark.parametrize("tuned_on", KEPT)
def test_what_ships_is_whole(tuned_on):
    kept = baselines.kept(tuned_on)
    assert set(kept) == set(baselines.METHODS)
    for name, settings in kept.items():
        assert settings in list(baselines.METHODS[name].settings()), name


def test_the_rand_index_of_the_package_agrees():
    labels = baselines.segment(COLOURS[TRUTH], "bands", count=2)
    direct = metrics.adjusted_rand_index(labels, TRUTH, num_labels=8)
    np.testing.assert_allclose(ari(labels), direct, atol=1e-6)
