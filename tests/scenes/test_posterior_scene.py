"""Probabilities: exact, read off the picture alone, and those that draws have."""

import itertools

import numpy as np
import pytest
from scipy import stats
from skimage.color import rgb2hsv

from bitdiff_jax.scenes.posterior_scene import MAX_PARTITIONS, Choice, PosteriorScene
from bitdiff_jax.scenes.posterior_source import KINDS, PosteriorSource

NUM_REDRAWS = 10_000
SIGNIFICANCE = 1e-4


def _scenes(kind, count=20, **options):
    source = PosteriorSource(kind, seed=2, **options)
    return [source.scene(i) for i in range(count)]


def _chi_square(counts, probabilities):
    """p-value; partitions with few expected draws are counted together."""
    expected = counts.sum() * probabilities
    rare = expected < 5
    if rare.any():
        counts = np.append(counts[~rare], counts[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    return stats.chisquare(counts, expected).pvalue


def _counts(scene, drawn):
    """How often each partition was drawn; every draw must be one of them."""
    keys = {partition.tobytes(): k for k, (partition, _) in enumerate(scene.posterior())}
    return np.bincount([keys[each.tobytes()] for each in drawn], minlength=len(keys))


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_redraws_have_the_probabilities(kind, held_out):
    scene = max(_scenes(kind, held_out=held_out), key=lambda scene: len(scene.probabilities))
    counts = _counts(scene, scene.draws(np.random.default_rng(7), NUM_REDRAWS))
    assert _chi_square(counts, scene.probabilities) > SIGNIFICANCE
    # The test sees a choice that is off by .05.
    for shifted in (0.05, -0.05):
        wrong = scene.choices[0].probabilities + shifted * np.array(
            [1, -1] + [0] * (len(scene.choices[0].probabilities) - 2)
        )
        choices = (scene.choices[0]._replace(probabilities=np.clip(wrong, 0.001, 0.999)),)
        other = PosteriorScene("", scene.image, scene.atoms, choices + scene.choices[1:])
        assert _chi_square(counts, other.probabilities / other.probabilities.sum()) < SIGNIFICANCE


def test_redraws_one_at_a_time_are_those_of_the_labels_too():
    source = PosteriorSource("pairs", seed=2, length=1)
    scene, rng = source.scene(0), np.random.default_rng(3)
    counts = _counts(scene, [scene.draw(rng) for _ in range(NUM_REDRAWS)])
    assert _chi_square(counts, scene.probabilities) > SIGNIFICANCE
    assert len(_counts(scene, source[0]["labels"])) == len(scene.probabilities)


@pytest.mark.parametrize("kind", KINDS)
def test_partitions_are_distinct_complete_and_summed_exactly(kind):
    rng = np.random.default_rng(0)
    for scene in _scenes(kind, 8):
        posterior = scene.posterior()
        partitions = np.stack([partition for partition, _ in posterior])
        p = np.array([probability for _, probability in posterior])
        assert len(p) == np.prod([len(c.options) for c in scene.choices]) <= MAX_PARTITIONS
        assert abs(p.sum() - 1) < 1e-12 and (p > 0).all()
        # By what lies together, whatever the ids.
        pixels = rng.integers(0, 32, (2, 400, 2))
        pixels = np.concatenate([pixels, _one_in_each_of_two_atoms(scene, rng)], axis=1)
        (ra, ca), (rb, cb) = pixels[0].T, pixels[1].T
        same = partitions[:, ra, ca] == partitions[:, rb, cb]
        assert len({row.tobytes() for row in same}) == len(p)
        np.testing.assert_allclose(scene.prob_same(*pixels), p @ same, atol=1e-12)
        assert abs(scene.entropy() - stats.entropy(p)) < 1e-9
        assert scene.mode() == p.argmax()


def _one_in_each_of_two_atoms(scene, rng):
    found = [np.argwhere(scene.atoms == k) for k in range(scene.num_atoms)]
    picked = np.array([rng.choice(each) for each in found])
    pairs = np.array(list(itertools.combinations(range(scene.num_atoms), 2)))
    return picked[pairs].transpose(1, 0, 2)


def _logistic(x):
    return 1 / (1 + np.exp(-x))


def _mean_colour(scene, atoms):
    return (scene.image[np.isin(scene.atoms, atoms)] / 255.0).mean(axis=0)


@pytest.mark.parametrize("kind", ["pairs", "switch", "clutter"])
def test_the_chance_to_be_apart_is_read_off_the_image(kind):
    for scene in _scenes(kind):
        for choice in scene.choices:
            pieces = [group[0] for group in choice.options[1]]
            assert all(len(group) == 1 for group in choice.options[1])
            brightness = [_mean_colour(scene, [atom]).mean() for atom in pieces]
            if kind == "pairs":
                expected = _logistic(12 * (abs(brightness[0] - brightness[1]) - 0.26))
            elif kind == "clutter":
                expected = _logistic(28 * (np.std(brightness) - 0.09))
            else:
                hue = rgb2hsv(_mean_colour(scene, pieces)[None, None])[0, 0, 0]
                expected = _logistic(5 * (0.5 - hue / 0.6))
            assert abs(choice.probabilities[1] - expected) < 1e-9
            assert 0.05 < expected < 0.95


def test_a_band_of_the_blur_is_bright_as_likely_as_it_looks():
    seen = set()
    for scene in _scenes("border", 40):
        (choice,) = scene.choices
        seen.add(len(choice.options))
        strips = [*choice.options[-1][0], *choice.options[-1][1]]
        colours = np.array([_mean_colour(scene, [strip]) for strip in strips])
        axis = colours[-1] - colours[0]
        share = (colours - colours[0]) @ axis / (axis @ axis)
        pixel = np.array([np.argwhere(scene.atoms == strip)[0] for strip in strips])
        bright = scene.prob_same(pixel, np.broadcast_to(pixel[-1], pixel.shape))
        np.testing.assert_allclose(bright, share, atol=0.02)
        assert (np.diff(bright) > 0).all() and bright[0] == 0
    assert seen == {4, 5, 6, 7, 8}


def test_the_switch_is_thrown_for_all_objects_at_once():
    for scene in _scenes("switch"):
        (choice,) = scene.choices
        objects = choice.options[0]
        assert 2 <= len(objects) <= 4 and all(len(parts) in (2, 3) for parts in objects)
        states = {
            tuple(len(set(regions[list(parts)])) for parts in objects) for regions in scene.regions
        }
        assert states == {tuple(1 for _ in objects), tuple(len(parts) for parts in objects)}


def test_pairs_are_independent():
    for scene in _scenes("pairs", 5):
        split = np.stack(
            [
                scene.regions[:, a] != scene.regions[:, b]
                for choice in scene.choices
                for a, b in [choice.options[0][0]]
            ]
        )
        marginal = split @ scene.probabilities
        joint = (split * scene.probabilities) @ split.T
        off = ~np.eye(len(split), dtype=bool)
        np.testing.assert_allclose(joint[off], np.outer(marginal, marginal)[off], atol=1e-12)


def test_a_image_without_a_choice_has_one_partition():
    atoms = np.array([[0, 1], [1, 2]], np.int32)
    scene = PosteriorScene("plain", np.zeros((2, 2, 3), np.uint8), atoms, ())
    ((partition, probability),) = scene.posterior()
    np.testing.assert_array_equal(partition, atoms)
    np.testing.assert_array_equal(scene.draw(np.random.default_rng(0)), atoms)
    assert probability == 1 and scene.entropy() == 0 and scene.mode() == 0


def test_a_certain_choice_is_always_drawn():
    atoms = np.array([[0, 1, 2]], np.int32)
    for certain in (0, 1):
        p = np.eye(2)[certain]
        choice = Choice("pair", 0.0, (((2, 1),), ((1,), (2,))), p)
        scene = PosteriorScene("sure", np.zeros((1, 3, 3), np.uint8), atoms, (choice,))
        expected = [[0, 1, 1], [0, 1, 2]][certain]
        np.testing.assert_array_equal(
            scene.draws(np.random.default_rng(0), 50), np.tile(expected, (50, 1, 1))
        )
        assert scene.entropy() == 0
