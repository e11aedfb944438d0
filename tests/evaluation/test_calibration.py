"""Calibration figures on draws whose distribution is known: exact, collapsed, over-confident."""

import math

import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import calibration
from bitdiff_jax.evaluation.calibration import calibrate
from bitdiff_jax.scenes.posterior_scene import PosteriorScene
from bitdiff_jax.scenes.posterior_source import KINDS, PosteriorSource

NUM_SAMPLES = 12


def _exact(scene, seed=0, count=NUM_SAMPLES):
    return scene.draws(np.random.default_rng(seed), count)


def _collapsed(scene):
    return np.repeat(scene.partition(scene.mode())[None], NUM_SAMPLES, axis=0)


def _independent_objects(scene, seed):
    """Draws in which each object of the switch decides for itself."""
    rng = np.random.default_rng(seed)
    (choice,) = scene.choices
    codes = np.tile(scene.atoms, (NUM_SAMPLES, 1, 1))
    for parts in choice.options[0]:
        whole = rng.random(NUM_SAMPLES) < choice.probabilities[0]
        for part in parts[1:]:
            codes[(scene.atoms == part) & whole[:, None, None]] = parts[0]
    return codes


@pytest.mark.parametrize("kind", KINDS)
def test_exact_draws_have_no_error_on_average(kind):
    source = PosteriorSource(kind, seed=4)
    scenes = [source.scene(i) for i in range(60)]
    rows = [calibrate(_exact(scene, seed=i), scene) for i, scene in enumerate(scenes)]
    for name in ("pair_error", "mode_error"):
        values = np.array([getattr(row, name) for row in rows])
        values = values[np.isfinite(values)]
        error = values.std() / math.sqrt(len(values))
        collapsed = np.nanmean([getattr(row, f"{name}_collapsed") for row in rows])
        assert abs(values.mean()) < 4 * error
        # It tells exact draws from collapsed ones.
        assert values.mean() + 6 * error < collapsed
    p, phat = (np.concatenate([getattr(row, name) for row in rows]) for name in ("p", "phat"))
    assert abs(calibration.slope(phat, p) - 1) < 0.15
    assert all(row.off == 0 for row in rows)
    if kind == "switch":
        assert all(row.consistent == 1 for row in rows)


def test_the_plain_squared_error_would_not_do():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.1, 0.9, 20_000)
    phat = rng.binomial(4, p) / 4
    assert np.mean((phat - p) ** 2) > 0.04
    assert abs(calibration.mean_squared_error(phat, p, 4)) < 0.002
    # Off by .2 it is .04, whatever the number of draws.
    for num_samples in (2, 16):
        phat = rng.binomial(num_samples, np.full(20_000, 0.3)) / num_samples
        error = calibration.mean_squared_error(phat, np.full(20_000, 0.5), num_samples)
        assert abs(error - 0.04) < 0.006


@pytest.mark.parametrize("kind", KINDS)
def test_a_collapsed_model_has_the_metrics_announced(kind):
    for i in range(6):
        scene = PosteriorSource(kind, seed=1).scene(i)
        row = calibrate(_collapsed(scene), scene)
        assert set(np.unique(row.phat)) <= {0.0, 1.0}
        np.testing.assert_allclose(row.pair_error, row.pair_error_collapsed)
        np.testing.assert_allclose(row.mode_error, row.mode_error_collapsed)
        weights = scene.probabilities
        others = np.delete(weights, scene.mode())
        expected = (1 - weights.max()) ** 2 + (others**2).sum()
        np.testing.assert_allclose(row.mode_error, expected)


def test_a_slope_above_one_is_over_confidence():
    p = np.linspace(0.1, 0.9, 50)
    assert calibration.slope(p, p) == pytest.approx(1)
    assert calibration.slope(0.5 + 0.4 * (p - 0.5), p) == pytest.approx(0.4)
    assert calibration.slope((p > 0.5) * 1.0, p) > 1.4
    assert math.isnan(calibration.slope(p, np.full(50, 0.5)))
    assert math.isnan(calibration.slope(p[:1], p[:1]))


def test_objects_that_decide_for_themselves_are_found_out():
    source = PosteriorSource("switch", seed=3)
    scenes = [source.scene(i) for i in range(120)]
    rows = [calibrate(_independent_objects(s, i), s) for i, s in enumerate(scenes)]
    consistent = np.mean([row.consistent for row in rows])
    announced = np.mean([row.consistent_independent for row in rows])
    assert abs(consistent - announced) < 0.04 and announced < 0.8
    # Pixel pairs inside an object say nothing about it.
    inside = []
    for scene, row in zip(scenes, rows, strict=True):
        assert row.consistent_independent < 1
        first, second = calibration.undecided_pairs(scene, 200, np.random.default_rng(0))
        phat = calibration.same_share(_independent_objects(scene, 9), first, second)
        p = scene.prob_same(first, second)
        inside.append(calibration.mean_squared_error(phat, p, NUM_SAMPLES))
    assert abs(np.nanmean(inside)) < 0.02


def test_an_object_in_between_is_not_consistent():
    atoms = np.array([[0, 1, 2, 3, 4, 4, 4]])
    objects = ((0, 1), (2, 3, 4))
    maps = {
        (7, 7, 5, 5, 5, 5, 5): 1.0,
        (1, 2, 3, 4, 5, 5, 5): 1.0,
        (7, 7, 3, 4, 5, 5, 5): 0.0,  # one whole, one cut
        (1, 2, 3, 3, 5, 5, 5): 0.0,  # two of three parts joined
        (1, 2, 3, 4, 5, 5, 9): 1.0,  # the commonest code of a part counts
    }
    for codes, expected in maps.items():
        assert calibration.both_or_neither(np.array([[codes]]), atoms, objects) == expected
    everything = np.array(list(maps))[:, None]
    assert calibration.both_or_neither(everything, atoms, objects) == pytest.approx(0.6)


def test_mode_shares_ignore_names_and_a_few_wrong_pixels_but_not_other_maps():
    scene = max((PosteriorSource("pairs").scene(i) for i in range(9)), key=lambda s: s.num_atoms)
    rng = np.random.default_rng(0)
    drawn = [0, 0, 3, 5]
    codes = np.stack([rng.permutation(64)[scene.partition(k)] for k in drawn])
    codes[2, :1, :3] = 63
    shares = calibration.mode_shares(codes, scene.atoms, scene.regions)
    expected = np.bincount(drawn, minlength=len(shares)) / 4
    np.testing.assert_array_equal(shares, expected)
    noise = rng.integers(0, 64, (3, 32, 32))
    blank = np.zeros((1, 32, 32), int)
    shares = calibration.mode_shares(
        np.concatenate([noise, blank]), scene.atoms, scene.regions
    )  # fmt: skip
    assert shares[-1] == 1 and shares.sum() == 1


def test_pairs_are_undecided_and_every_question_is_asked_alike():
    scene = PosteriorSource("mixed", seed=6).scene(3)
    first, second = calibration.undecided_pairs(scene, 5000, np.random.default_rng(0))
    p = scene.prob_same(first, second)
    assert ((p > 0.1) & (p < 0.9)).all()
    atoms = np.sort([scene.atoms[tuple(first.T)], scene.atoms[tuple(second.T)]], axis=0)
    _, counts = np.unique(atoms, axis=1, return_counts=True)
    upper = np.triu(scene.same, 1)
    assert len(counts) == ((upper > 0.1) & (upper < 0.9)).sum()
    assert counts.max() < 1.5 * counts.mean() + 30


def test_nothing_undecided_and_a_single_sample_are_nan():
    atoms = np.array([[0, 1], [1, 2]], np.int32)
    plain = PosteriorScene("plain", np.zeros((2, 2, 3), np.uint8), atoms, ())
    row = calibrate(np.stack([atoms, atoms]), plain)
    assert math.isnan(row.pair_error) and math.isnan(row.pair_error_collapsed)
    assert row.p.shape == row.phat.shape == (0,)
    assert row.mode_error == row.mode_error_collapsed == 0
    assert math.isnan(row.consistent) and math.isnan(row.consistent_independent)
    scene = PosteriorSource("switch").scene(0)
    row = calibrate(_exact(scene, count=1), scene)
    assert math.isnan(row.pair_error) and math.isnan(row.mode_error) and row.consistent == 1


@pytest.mark.parametrize(
    "codes",
    [
        np.zeros((32, 32), int),
        np.zeros((0, 32, 32), int),
        np.zeros((2, 32, 31), int),
        np.zeros((2, 32, 32)),
    ],
)
def test_codes_that_are_not_maps_of_the_image_are_refused(codes):
    with pytest.raises(InputError, match="codes"):
        calibrate(codes, PosteriorSource("pairs").scene(0))
