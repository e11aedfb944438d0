"""Answers that a consensus holds, and which one to ask for next."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior import Appearance, Posterior
from bitdiff_jax.posterior.answers import believed
from tests.posterior.cases import label_maps, noisy_maps, renamed, same_partition, weighted

seeds = st.integers(0, 2**32 - 1)


def looks(shape):
    """An appearance that tells left from right."""
    columns = np.broadcast_to(np.linspace(0, 50, shape[1]), shape)
    colours = np.stack([columns, columns / 2, 0 * columns], axis=-1)
    return Appearance(colours, np.stack([columns, 50 - columns], axis=-1))


def answered(posterior, truth, rng, count):
    """Answers of a map about random pairs that some sample parts, or that lie together in it."""
    same, different = [], []
    for _ in range(count):
        p, q = (tuple(rng.integers(0, truth.shape).tolist()) for _ in range(2))
        if truth[p] == truth[q]:
            same.append((p, q))
        elif posterior.prob_same(p, q) < 1:
            different.append((p, q))
    return same, different


@settings(max_examples=60, deadline=None)
@given(label_maps, seeds, st.sampled_from(["linkage", "linkage:0.4", "linkage:1", "appearance"]))
def test_the_consensus_holds_every_answer(maps, seed, criterion):
    rng = np.random.default_rng(seed)
    shape = maps.shape[1:]
    posterior = Posterior.from_maps(maps, weighted(maps, seed), appearance=looks(shape))
    # By a map of atoms, so that no answers contradict each other.
    atoms = posterior.atoms
    truth = rng.integers(0, 3, len(atoms.areas))[atoms.index]
    same, different = answered(posterior, truth, rng, 6)
    found = posterior.consensus(criterion, same, different)
    assert all(found[p] == found[q] for p, q in same)
    assert all(found[p] != found[q] for p, q in different)
    again = Posterior.from_maps(renamed(maps, seed), posterior.weights, appearance=looks(shape))
    np.testing.assert_array_equal(again.consensus(criterion, same, different), found)
    question = posterior.next_question(same, different, criterion)
    assert again.next_question(same, different, criterion) == question


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_questions_end_at_the_map_that_answers(seed):
    rng = np.random.default_rng(seed)
    maps = rng.integers(0, 3, (5, 1, 6))
    posterior = Posterior.from_maps(maps)
    truth = rng.integers(0, 3, len(posterior.atoms.areas))[posterior.atoms.index]
    same, different = [], []
    for _ in range(15):  # as many as there are pairs of six pixels
        question = posterior.next_question(same, different)
        if question is None:
            break
        p, q = pair = question.p, question.q
        (same if truth[p] == truth[q] else different).append(pair)
    assert posterior.next_question(same, different) is None
    # What was never asked is what all samples, and the answers, are sure of.
    found = posterior.consensus("linkage", same, different)
    assert all(found[p] == found[q] for p, q in same)
    assert all(found[p] != found[q] for p, q in different)


def test_an_answer_spreads_to_what_the_samples_join_with_the_two_points():
    # Two thirds, each of two halves that samples never part; the samples mostly part the thirds.
    maps = np.array([[[0, 0, 0, 0, 1, 1, 1, 1, 2, 2]]] * 4 + [[[0, 0, 0, 0, 0, 0, 0, 0, 2, 2]]])
    maps[0, 0, 1] = maps[1, 0, 6] = 3  # so that there are atoms within
    posterior = Posterior.from_maps(maps)
    assert len(np.unique(posterior.consensus("linkage"))) == 3
    joined = posterior.consensus("linkage", same=[((0, 0), (0, 7))])
    assert same_partition(joined, np.array([[0] * 8 + [1] * 2]))
    usual = posterior.consensus("linkage:0.9")
    assert same_partition(usual, np.array([[0] * 8 + [1] * 2]))
    parted = posterior.consensus("linkage:0.9", different=[((0, 1), (0, 6))])
    assert same_partition(parted, np.array([[0] * 4 + [1] * 4 + [2] * 2]))


def test_what_answers_make_probable_by_definition():
    rng = np.random.default_rng(0)
    together = rng.random((5, 5))
    together = (together + together.T) / 2
    np.fill_diagonal(together, 1)
    found = believed(together, np.array([[0, 1], [2, 3]]), np.array([[1, 4]]))
    for r in range(5):
        for s in range(5):
            if r != s:
                at_least = [
                    max(together[r, p] * together[s, q], together[r, q] * together[s, p])
                    for p, q in ((0, 1), (2, 3))
                ]
                apart = max(together[r, 1] * together[s, 4], together[r, 4] * together[s, 1])
                want = max(together[r, s], *at_least) * (1 - apart)
                assert found[r, s] == pytest.approx(want)
    assert found[1, 4] == 0 and (np.diag(found) == 1).all()


def test_the_next_question_is_about_the_largest_doubt():
    # One of two samples parts the large left from the large right; another corner is small.
    first = np.zeros((8, 20), int)
    first[:, 10:] = 1
    second = np.zeros((8, 20), int)
    second[:2, 18:] = 2
    posterior = Posterior.from_maps([first, second])
    question = posterior.next_question()
    assert question.p[1] < 10 <= question.q[1] < 18
    assert question.prob_same == 0.5 and question.information == 1
    after = posterior.next_question(same=[(question.p, question.q)])
    assert sorted(bool(r < 2 and c >= 18) for r, c in (after.p, after.q)) == [False, True]
    assert Posterior.from_maps([first]).next_question() is None


def test_answers_about_absorbed_atoms_are_held():
    maps = noisy_maps(12, 64, 40, seed=2)
    posterior = Posterior.from_maps(maps, appearance=looks(maps.shape[1:]))
    atoms = posterior.atoms
    assert len(atoms.areas) > 600  # more than 'appearance' compares
    small = np.flatnonzero(atoms.areas == 1)[:2]
    p, q = (tuple(np.argwhere(atoms.index == each)[0].tolist()) for each in small)
    assert posterior.prob_same(p, q) < 1
    parted = posterior.consensus("appearance", different=[(p, q)])
    joined = posterior.consensus("appearance", same=[(p, q)])
    assert parted[p] != parted[q] and joined[p] == joined[q]


A, B, C, D = (0, 0), (0, 1), (0, 2), (1, 0)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ({"different": [(A, D)]}, r"different: no sample has \(0, 0\) and \(1, 0\) in two regions"),
        ({"same": [(A, B), (B, C)], "different": [(C, A)]}, r"\(0, 2\) and \(0, 0\) lie in one"),
        ({"same": [(A, (5, 5))]}, "same: point"),
        ({"same": 3}, "same is 3; give pairs of points"),
        ({"same": [(A, B)], "criterion": "vi"}, "criterion is 'vi', which cannot hold answers"),
        ({"same": [(A, B)], "criterion": "appearance"}, "what the image looks like is not known"),
        ({"same": [(A, B)], "criterion": "likage"}, "criterion is 'likage'"),
    ],
)
def test_answers_that_cannot_be_held_are_told_in_one_line(pairs, message):
    posterior = Posterior.from_maps([[[0, 0, 1], [0, 0, 1]], [[0, 1, 1], [0, 1, 1]]])
    for ask in (posterior.consensus, posterior.next_question):
        with pytest.raises(InputError, match=message) as error:
            ask(**pairs)
        assert "\n" not in str(error.value)
