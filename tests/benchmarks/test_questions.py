"""Questions answered from an annotator's map, and diversity, on samples whose answers are known."""

import numpy as np
import pytest

from benchmarks.quality import consensus, diversity, questions
from bitdiff_jax.posterior import Posterior

HALVES = np.repeat([[0, 0, 0, 0, 1, 1, 1, 1]], 6, axis=0)
QUARTERS = HALVES + 2 * (np.arange(6) >= 3)[:, None]
ONE = np.zeros_like(HALVES)


def test_an_answer_leaves_what_it_fits():
    posterior = Posterior.from_maps([HALVES, HALVES, QUARTERS, ONE])
    for truth in (HALVES, QUARTERS, ONE):
        state = questions.Conditioned(posterior, "vi", 1.0)
        assert questions.aris_of(state, truth, [2]) == [1.0]
    alone = questions.Conditioned(Posterior.from_maps([ONE]), "vi", 1.0)
    assert alone.best() is None and questions.aris_of(alone, HALVES, [1]) == [0.0]


def test_an_answer_that_no_sample_meets_is_ignored_unless_it_may_be_wrong():
    posterior = Posterior.from_maps([HALVES, ONE])
    pair = (0, 0), (5, 0)  # in one region of both
    for reliability in (1.0, 0.8):
        found = questions.Conditioned(posterior, "vi", reliability).told(pair, is_same=False)
        np.testing.assert_allclose(found.posterior.weights, [1, 1])
    held = questions.Held(posterior, "linkage")
    assert held.told(pair, is_same=False) is held


def test_answers_are_held_until_the_map_is_found():
    posterior = Posterior.from_maps([HALVES, QUARTERS, ONE])
    for truth in (HALVES, QUARTERS, ONE):
        *_, last = questions.aris_of(questions.Held(posterior, "linkage"), truth, [1, 4])
        assert last == 1.0
    across = np.arange(6)[:, None] // 3 + 0 * HALVES  # as no sample is
    (found,) = questions.aris_of(questions.Held(posterior, "linkage"), across, [6])
    assert found == 1.0
    rng = np.random.default_rng(0)
    assert questions.aris_of(questions.Held(posterior, "linkage"), across, [30], rng) == [1.0]


def test_random_points_lie_in_the_image():
    rng = np.random.default_rng(0)
    points = np.array([questions.at_random(rng, (6, 8)) for _ in range(200)]).reshape(-1, 2)
    assert points.min() == 0 and points.max(axis=0).tolist() == [5, 7]


def test_stored_samples_are_those_of_their_image(tmp_path):
    class Source:
        def __getitem__(self, index):
            return {"name": "abc"[index], "labels": (HALVES, QUARTERS)}

    np.savez(tmp_path / "drawn.npz", **{"b.codes": np.stack([HALVES, ONE]).astype(np.int8)})
    (case,) = consensus.of_drawn(Source(), 3, 16, str(tmp_path / "drawn.npz"))
    assert case.image == 1 and case.samples.shape == (2, 12, 16) and len(case.truths) == 2


def test_people_as_samples_are_as_diverse_as_people():
    maps = [HALVES, QUARTERS, ONE]
    case = consensus.Case(0, np.stack(maps), maps)
    for spread, people, coverage, unbiased, counted in diversity.rows_of(case).values():
        assert spread == pytest.approx(people) and coverage == 1
        assert counted == pytest.approx(0) and unbiased < 0
    alone = diversity.rows_of(consensus.Case(0, np.stack([ONE, ONE]), maps))["rand"]
    assert alone[0] == 0 and alone[3] > 0
    e = diversity.ratio(np.array([1.0, 2.0]), np.array([2.0, 4.0]))
    assert e.mean == e.low == e.high == 0.5
