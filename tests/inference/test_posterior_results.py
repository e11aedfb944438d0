"""What several samples of one image say together: consensus, posterior, intervals, modes."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.data import images, labelmaps, transforms
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import lab, posterior_outputs, sample_statistics
from bitdiff_jax.inference.encoded_image import EncodedImage
from bitdiff_jax.inference.segmentation import Segmentation
from bitdiff_jax.inference.specks import pieces
from bitdiff_jax.posterior import Appearance, Posterior, consensus, measures
from tests.inference import tiny


def segmentation(codes, shape=None, **changes):
    codes = np.asarray(codes, np.int32)
    height, width = codes.shape[1:] if shape is None else shape
    certainty = np.random.default_rng(0).random(codes.shape, np.float32)
    fields = {"image": tiny.image(height, width), "codes": codes, "certainty": certainty}
    return Segmentation(**{**fields, "seed": 0, "name": "cat", "min_area": 0, **changes})


def noisy(num_samples, side=16, seed=0, flips=0.15):
    """Four blocks; of each sample the boundaries lie elsewhere and some pixels are another code."""
    rng = np.random.default_rng(seed)
    samples = []
    for _ in range(num_samples):
        row, column = rng.integers(side // 2 - 2, side // 2 + 3, 2)
        codes = (np.arange(side)[:, None] >= row) * 2 + (np.arange(side) >= column) + 1
        samples.append(np.where(rng.random(codes.shape) < flips, rng.integers(1, 5), codes))
    return np.stack(samples)


def same_partition(x, y):
    pairs = np.unique(np.stack([x.ravel(), y.ravel()]), axis=1).shape[1]
    return pairs == len(np.unique(x)) == len(np.unique(y))


def test_the_posterior_is_that_of_the_label_maps_and_knows_of_guidance():
    result = segmentation(noisy(5), (40, 48), guided=True)
    posterior = result.posterior
    assert posterior is result.posterior and posterior.guided
    assert not dataclasses.replace(result, guided=False).posterior.guided
    np.testing.assert_array_equal(posterior.label_maps, result.label_maps)


@pytest.mark.parametrize("edges", ["image", "nearest"])
def test_boundary_probability_is_that_of_the_posterior(edges):
    result = segmentation(noisy(5), (40, 48), edges=edges)
    want = result.posterior.boundary_probability()
    np.testing.assert_allclose(result.boundary_probability, want, rtol=1e-6)
    assert result.boundary_probability.dtype == np.float32 and 0 < want.mean() < 1
    assert segmentation(noisy(1)).boundary_probability is None


@pytest.mark.parametrize("criterion", [None, *consensus.CRITERIA])
def test_the_map_of_the_image_is_the_consensus_as_drawn(criterion):
    result = segmentation(noisy(6), criterion=criterion)
    want = Posterior.from_maps(result.codes).consensus(criterion or consensus.default_criterion(6))
    assert same_partition(result.label_map(), want)
    np.testing.assert_array_equal(np.unique(result.label_map()), np.arange(1, want.max() + 2))


@pytest.mark.parametrize("num_samples", [1, 2])
def test_of_one_or_two_samples_the_map_is_one_of_them(num_samples):
    result = segmentation(noisy(num_samples), (40, 48))
    np.testing.assert_array_equal(result.label_map(), result.label_map(result.medoid))


def test_equal_samples_need_no_search():
    result = segmentation(np.repeat(noisy(1), 4, axis=0), (40, 48), criterion="vi")
    np.testing.assert_array_equal(result.label_map(), result.label_map(0))


def test_a_criterion_that_does_not_exist_is_refused_at_once():
    with pytest.raises(InputError, match=r"'linkages'.*did you mean linkage"):
        segmentation(noisy(3), criterion="linkages")


@pytest.mark.parametrize("criterion", ["ari", "vi", "linkage", "binder", "vote"])
@pytest.mark.parametrize("edges", ["image", "nearest"])
def test_a_consensus_has_no_specks(criterion, edges):
    # Boundaries that nearly coincide leave slivers, which no sample has.
    rng = np.random.default_rng(3)
    codes = []
    for _ in range(9):
        row, column = rng.integers(6, 11, 2)
        halves = (np.arange(16)[:, None] >= row) * 2 + (np.arange(16) >= column) + 1
        codes.append(np.where(np.eye(16, dtype=bool)[::-1] & (rng.random() < 0.5), 5, halves))
    result = segmentation(codes, (48, 64), criterion=criterion, edges=edges, min_area="8 drawn")
    label_map = result.label_map()
    smallest = np.bincount(pieces(label_map).ravel()).min()
    assert smallest >= 8 * (48 * 64) / (16 * 16)
    if criterion == "ari":  # the test can fail
        as_found = result.without_specks(0).label_map()
        assert np.bincount(pieces(as_found).ravel()).min() < 8 * (48 * 64) / (16 * 16)


def test_the_background_of_the_consensus_is_that_of_most_samples():
    rng = np.random.default_rng(0)
    truth = np.zeros((12, 12), np.int32)
    truth[2:6, 2:6], truth[7:11, 7:11] = 4, 9
    codes = np.stack([np.roll(truth, rng.integers(-1, 2), axis=1) for _ in range(7)])
    codes[:3, 7:11] = 0  # four of seven draw the second object
    codes[0, 1, 11] = 33  # and one another one
    result = segmentation(codes, has_background=True, criterion="binder")
    label_map = result.label_map()
    assert label_map[0, 0] == label_map[1, 11] == 0
    assert label_map[3, 3] > 0 and label_map[9, 9] > 0 and label_map[3, 3] != label_map[9, 9]
    assert (label_map[3, 3], label_map[0, 5]) == (label_map[4, 4], 0)
    # The object that three samples lack has no area there.
    areas = {region.id: region.area_interval for region in result.regions()}
    assert areas[label_map[9, 9]][0] == 0 < areas[label_map[3, 3]][0]
    assert result.num_regions_interval == (1, 2)


def matched_by_sets(label_map, sample):
    """The same with sets of pixels."""
    found = []
    for region in range(1, label_map.max() + 1):
        own = set(np.flatnonzero(label_map == region))
        others = [set(np.flatnonzero(sample == other)) for other in range(1, sample.max() + 1)]
        met = [each for each in others if own & each]
        found.append(len(max(met, key=lambda each: len(own & each) / len(own | each), default=())))
    return found


def test_areas_are_those_of_the_regions_that_overlap_best():
    rng = np.random.default_rng(0)
    for _ in range(30):
        label_map, sample = rng.integers(0, 4, (2, 5, 6))
        label_map.ravel()[:3] = 1, 2, 3
        got = sample_statistics.matched_areas(label_map, sample, 3)
        assert got.tolist() == matched_by_sets(label_map, sample)


def test_intervals_of_areas_and_numbers():
    # The boundary lies below row 20, 21, ... or 60 of 80: of 41 all but the first and the last.
    codes = np.stack([np.arange(80)[:, None] * np.ones(4) >= cut for cut in range(20, 61)])
    result = segmentation(codes, criterion="medoid")
    assert [region.area_interval for region in result.regions()] == [(21 * 4, 59 * 4)] * 2
    assert result.num_regions_interval == (2, 2)
    more = np.concatenate([codes, np.zeros_like(codes)])
    assert segmentation(more).num_regions_interval == (1, 2)
    alone = segmentation(codes[:1])
    assert alone.num_regions_interval is None
    assert [region.area_interval for region in alone.regions()] == [None, None]


def test_what_is_counted_on_a_small_copy_is_what_the_posterior_counts():
    result = segmentation(noisy(10, flips=0), (200, 160), min_area="4 drawn")
    low, high = result.num_regions_interval
    assert (low, high) == result.posterior.measure(measures.count()).interval(0.9)
    assert result._small.shape == (48, 38)
    for region in result.regions():
        point = np.argwhere(result.label_map() == region.id).mean(axis=0).round().astype(int)
        want = result.posterior.measure(measures.area(point)).interval(0.9)
        np.testing.assert_allclose(region.area_interval, want, rtol=0.1)
    # An area in pixels of the image means the same there.
    in_pixels = dataclasses.replace(result, min_area=4 * 200 * 160 / 16**2)
    assert in_pixels.num_regions_interval == (low, high)


def test_modes_are_samples_with_the_weights_of_their_groups():
    first, second = noisy(2, flips=0)
    second = second.T // 2 + 7
    result = segmentation([first, second, first, first, second, second * 0, first], (32, 40))
    modes = result.modes(2)
    assert [mode.medoid for mode in modes] == [0, 1]
    assert modes[0].weight > modes[1].weight and sum(m.weight for m in modes) == pytest.approx(1)
    for mode in modes:
        np.testing.assert_array_equal(mode.label_map, result.label_map(mode.medoid))
        assert mode.medoid in mode.samples
    with pytest.raises(InputError, match="k is 0"):
        result.modes(0)


def test_modes_are_searched_once(tmp_path, monkeypatch):
    searched = []
    search = Posterior.modes
    monkeypatch.setattr(Posterior, "modes", lambda self, k: searched.append(k) or search(self, k))
    result = segmentation(noisy(8), (40, 48))
    result.save(tmp_path, ["modes"])
    assert [each.medoid for each in posterior_outputs.modes_of(result)] and searched == [2]


def test_files_of_eight_samples(tmp_path):
    result = segmentation(noisy(8), (40, 48))
    result.save(tmp_path, ["boundary", "modes"])
    names = ["boundary.npy", "boundary.png", "mode1.png", "mode2.png", "modes.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"cat_{name}" for name in names]
    written = np.load(tmp_path / "cat_boundary.npy")
    np.testing.assert_array_equal(written, result.boundary_probability)
    grey = np.asarray(Image.open(tmp_path / "cat_boundary.png"))
    assert grey.dtype == np.uint8
    np.testing.assert_allclose(grey / 255, written, atol=0.002)
    for number, mode in enumerate(result.modes(2), 1):
        ids = images.read_labels(tmp_path / f"cat_mode{number}.png")
        np.testing.assert_array_equal(ids, mode.label_map)
    seven = dataclasses.replace(result, codes=result.codes[:7], certainty=result.certainty[:7])
    seven.save(tmp_path / "seven", ["boundary", "modes"])
    assert list((tmp_path / "seven").iterdir()) == []


def test_the_picture_of_the_modes_and_their_rows():
    image = tiny.image(30, 700)
    modes = segmentation(noisy(12), (30, 700)).modes(3)
    shown = posterior_outputs.modes_side_by_side(image, modes)
    assert shown.dtype == np.uint8 and shown.shape[1] == 3 * 512 + 2 * 6
    assert shown.shape[0] > 22 and (shown[22:] < 100).any()  # words below the regions
    rows = posterior_outputs.mode_fields("cat", "cat.png", modes)
    assert [row[2] for row in rows] == ["1", "2", "3"]
    assert sum(float(row[3]) for row in rows) == pytest.approx(1, abs=1e-3)
    assert [int(row[4]) for row in rows] == [mode.label_map.max() for mode in modes]


def test_the_consensus_by_appearance_sees_the_image_and_the_features():
    codes = noisy(6)
    features = np.random.default_rng(0).normal(size=(16, 16, 3)).astype(np.float16)
    encoded = EncodedImage(features, 16)
    result = segmentation(codes, (40, 48), criterion="appearance", encoded=encoded)
    small = transforms.resize_image(result.image, (16, 16))
    image = Appearance(lab.from_rgb(small), features)
    want = Posterior.from_maps(codes, appearance=image).consensus("appearance")
    nearest = dataclasses.replace(result, edges="nearest")
    assert same_partition(nearest.label_map(), labelmaps.at_centres(want, (40, 48)))
    assert nearest.posterior.consensus("appearance").shape == (40, 48)


def test_the_consensus_by_appearance_asks_for_features():
    with pytest.raises(InputError, match=r"criterion is 'appearance'.*has no encoder; use vi"):
        segmentation(noisy(3), criterion="appearance")
