import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitdiff_jax import metrics
from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior import Distribution, Posterior, measures
from bitdiff_jax.scenes import PosteriorSource
from tests.posterior.cases import label_maps, noisy_maps, renamed, same_partition, weighted

seeds = st.integers(0, 2**32 - 1)


def all_points(shape):
    return np.array(list(np.ndindex(*shape)))


@settings(max_examples=30, deadline=None)
@given(label_maps, seeds)
def test_prob_same_is_the_share_of_samples(maps, seed):
    weights = weighted(maps, seed)
    posterior = Posterior.from_maps(maps, weights)
    places = all_points(maps.shape[1:])
    got = posterior.prob_same(places[:, None], places)
    flat = maps.reshape(len(maps), -1)
    want = np.average(flat[:, :, None] == flat[:, None], axis=0, weights=weights)
    np.testing.assert_allclose(got, want, atol=1e-12)
    np.testing.assert_array_equal(got, got.T)
    np.testing.assert_array_equal(got == 1, want == 1)
    p = tuple(places[seed % len(places)])
    assert posterior.prob_same(p, p) == 1
    region = posterior.region(p)
    assert region.dtype == np.float32
    np.testing.assert_allclose(region.ravel(), posterior.prob_same(p, places), rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(label_maps, seeds)
def test_boundary_probability_is_the_share_of_samples(maps, seed):
    weights = weighted(maps, seed)
    share = np.zeros(maps.shape)
    _, height, width = maps.shape
    for k, r, c in np.ndindex(*maps.shape):
        near = [(r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)]
        inside = [(i, j) for i, j in near if 0 <= i < height and 0 <= j < width]
        share[k, r, c] = any(maps[k, i, j] != maps[k, r, c] for i, j in inside)
    got = Posterior.from_maps(maps, weights).boundary_probability()
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, np.average(share, axis=0, weights=weights), atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(label_maps, seeds, st.sampled_from(["vi", "medoid"]))
def test_the_mean_entropy_is_the_expected_variation_of_information(maps, seed, criterion):
    weights = weighted(maps, seed)
    posterior = Posterior.from_maps(maps, weights)
    entropy = posterior.entropy(criterion)
    assert entropy.dtype == np.float32 and entropy.min() >= 0
    consensus = posterior.consensus(criterion)
    vi = metrics.variation_of_information(
        np.broadcast_to(consensus, maps.shape), maps, num_labels=maps[0].size + 4
    )
    np.testing.assert_allclose(entropy.mean(), np.average(vi, weights=weights), atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(label_maps, seeds)
def test_neither_ids_nor_order_nor_repetition_changes_an_answer(maps, seed):
    weights = weighted(maps, seed)
    order = np.random.default_rng(seed).permutation(len(maps))

    def answers(*args):
        posterior = Posterior.from_maps(*args)
        ball = posterior.credible_ball(0.7)
        modes = posterior.modes(2)
        count = posterior.measure(measures.count())
        return [
            posterior.consensus("vi"), posterior.boundary_probability(), posterior.entropy("vi"),
            *(posterior.best_question() or ()), ball.radius, ball.probability, ball.upper,
            ball.lower, ball.horizontal, [mode.weight for mode in modes],
            *(mode.label_map for mode in modes), count.interval(0.6),
        ]  # fmt: skip

    want = answers(maps, weights)
    for other in (answers(renamed(maps, seed), weights), answers(maps[order], weights[order])):
        for one, two in zip(other, want, strict=True):
            np.testing.assert_array_equal(one, two)
    # An interval alone asks how many samples there are.
    repeated = answers(np.repeat(maps, weights, axis=0))
    for one, two in zip(repeated[:-1], want[:-1], strict=True):
        np.testing.assert_array_equal(one, two)


@settings(max_examples=30, deadline=None)
@given(label_maps, seeds)
def test_constraints_are_kept(maps, seed):
    posterior = Posterior.from_maps(maps, weighted(maps, seed))
    places = all_points(maps.shape[1:])
    rng = np.random.default_rng(seed)
    p, q, r, s = (tuple(places[k].tolist()) for k in rng.integers(0, len(places), 4))
    same, apart = bool(maps[0][p] == maps[0][q]), bool(maps[0][r] != maps[0][s])
    given_ = {"same": [(p, q)] * same, "different": [(r, s)] * apart}
    fits = [(not same or each[p] == each[q]) and (not apart or each[r] != each[s]) for each in maps]
    left = posterior.weights * fits
    if not left.any():
        with pytest.raises(InputError, match="no sample"):
            posterior.given(**given_)
        return
    got = posterior.given(**given_)
    np.testing.assert_array_equal(got.weights, left)
    assert got.effective_sample_size == pytest.approx(left.sum() ** 2 / (left**2).sum())
    assert not same or got.prob_same(p, q) == 1
    assert not apart or got.prob_same(r, s) == 0
    fresh = Posterior.from_maps(maps[left > 0], left[left > 0])
    np.testing.assert_array_equal(got.consensus("binder"), fresh.consensus("binder"))
    np.testing.assert_array_equal(got.entropy("binder"), fresh.entropy("binder"))


def test_the_error_names_the_constraint_that_no_sample_meets():
    posterior = Posterior.from_maps([[[0, 0, 1]], [[0, 1, 1]]])
    one = posterior.given(same=[((0, 0), (0, 1))])
    assert one.effective_sample_size == 1
    message = r"different: no sample has \(0, 0\) and \(0, 1\) in two regions"
    with pytest.raises(InputError, match=message):
        one.given(different=[((0, 0), (0, 1))])
    with pytest.raises(InputError, match=r"same: no sample.*one region.*before it"):
        posterior.given(same=[((0, 0), (0, 1)), ((0, 1), (0, 2))])


@settings(max_examples=30, deadline=None)
@given(label_maps, seeds)
def test_the_best_question_is_the_best_of_all(maps, seed):
    posterior = Posterior.from_maps(maps, weighted(maps, seed))
    places = all_points(maps.shape[1:])
    prob = posterior.prob_same(places[:, None], places)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.nan_to_num(-prob * np.log2(prob)) + np.nan_to_num(
            -(1 - prob) * np.log2(1 - prob)
        )
    question = posterior.best_question()
    if question is None:
        assert parts.max() == 0
        return
    assert question.information == pytest.approx(parts.max(), abs=1e-8)
    assert question.prob_same == pytest.approx(posterior.prob_same(question.p, question.q).item())


def test_a_question_asks_about_the_middle_of_the_larger_atoms():
    # Half of the samples part the left third, half part the small corner as well.
    first = np.zeros((9, 18), int)
    first[:, :9] = 1
    second = np.zeros((9, 18), int)
    second[:2, 16:] = 2
    posterior = Posterior.from_maps([first, second])
    assert posterior.best_question() == ((4, 4), (4, 13), 0.5, 1.0)
    asked = posterior.best_question(candidates=[(0, 17), (8, 17), (8, 16)])
    assert asked.p == (0, 17) and asked.q == (8, 17)
    assert posterior.best_question(candidates=[(8, 17), (8, 16)]) is None


def test_modes_are_the_groups_that_were_put_in():
    base = noisy_maps(2, 30, 8, seed=3)
    spotted = base.repeat(5, axis=0)
    for k, each in enumerate(spotted):
        each[k, k] = 99
    spotted = spotted[[0, 5, 1, 6, 2, 7, 3]]  # four of the first and three of the second
    first, second = Posterior.from_maps(spotted).modes(2)
    np.testing.assert_array_equal(first.samples, [0, 2, 4, 6])
    np.testing.assert_array_equal(second.samples, [1, 3, 5])
    assert first.weight == pytest.approx(4 / 7) and second.weight == pytest.approx(3 / 7)
    assert any(same_partition(first.label_map, spotted[k]) for k in first.samples)
    weighted_modes = Posterior.from_maps(spotted, [1, 9, 1, 1, 1, 1, 0]).modes(2)
    assert weighted_modes[0].weight == pytest.approx(11 / 14)
    np.testing.assert_array_equal(weighted_modes[1].samples, [0, 2, 4])
    assert len(Posterior.from_maps(spotted).modes(50)) == 7
    assert len(Posterior.from_maps(spotted).modes(1)) == 1


def test_the_credible_ball_by_its_definition():
    maps = noisy_maps(10, 20, 7, seed=1)
    weights = np.arange(1, 11)
    posterior = Posterior.from_maps(maps, weights)
    consensus = posterior.consensus("vi")
    vi = metrics.variation_of_information(
        np.broadcast_to(consensus, maps.shape), maps, num_labels=99
    )
    counts = np.array([len(np.unique(each)) for each in maps])
    for level in (0.3, 0.5, 0.9, 1):
        ball = posterior.credible_ball(level, "vi")
        reached = [weights[vi <= radius + 1e-9].sum() / weights.sum() for radius in vi]
        want = min(
            radius for radius, share in zip(vi, reached, strict=True) if share >= level - 1e-9
        )
        assert ball.radius == pytest.approx(want, abs=1e-8)
        np.testing.assert_array_equal(ball.inside, vi <= want + 1e-8)
        assert ball.probability == pytest.approx(weights[ball.inside].sum() / weights.sum())
        farthest = {
            "upper": vi == vi[ball.inside & (counts == counts[ball.inside].min())].max(),
            "lower": vi == vi[ball.inside & (counts == counts[ball.inside].max())].max(),
            "horizontal": vi == vi[ball.inside].max(),
        }
        for name, which in farthest.items():
            assert same_partition(getattr(ball, name), maps[int(np.argmax(which))])


def test_an_answer_of_some_reliability_is_bayes_rule():
    maps = noisy_maps(6, 12, seed=3)
    posterior = Posterior.from_maps(maps, [1, 2, 1, 1, 3, 1])
    p, q, r, s = (1, 1), (2, 2), (5, 5), (6, 6)
    asked = {"same": [(p, q), (p, r)], "different": [(r, s)]}
    contradicted = [
        sum([each[p] != each[q], each[p] != each[r], each[r] == each[s]], start=0) for each in maps
    ]
    assert len(set(contradicted)) > 1
    found = posterior.given(**asked, reliability=0.8).weights
    want = posterior.weights * 0.25 ** np.array(contradicted)
    np.testing.assert_allclose(found / found.sum(), want / want.sum())
    # One answer after the other is the same; certain answers are the limit.
    step = posterior.given(same=asked["same"], reliability=0.8)
    step = step.given(different=asked["different"], reliability=0.8)
    np.testing.assert_allclose(step.weights / step.weights.sum(), want / want.sum())
    nearly = posterior.given(same=[(p, q)], reliability=1 - 1e-12).weights
    np.testing.assert_allclose(nearly, posterior.given(same=[(p, q)]).weights, atol=1e-9)


def test_a_measure_has_a_distribution():
    maps = np.array([[[0, 0, 0, 1]], [[0, 1, 2, 3]], [[0, 0, 1, 1]], [[5, 5, 5, 5]]])
    posterior = Posterior.from_maps(maps, [1, 1, 2, 0])
    count = posterior.measure(measures.count())
    np.testing.assert_array_equal(count.values, [2, 4, 2])
    np.testing.assert_array_equal(count.weights, [0.25, 0.25, 0.5])
    assert count.mean == 2.5
    assert count.interval(0.9) == (2, 4) and count.interval(0.05) == (2, 2)
    assert posterior.measure(np.max).mean == 1.5  # of the map as it was given


def test_nobody_can_change_the_maps():
    maps = np.array([[[0, 0, 1]], [[0, 1, 1]]])
    posterior = Posterior.from_maps(maps)
    maps[:] = 0

    def clears(label_map):
        count = len(np.unique(label_map))
        label_map[:] = 0
        return count

    assert posterior.measure(clears).mean == posterior.measure(clears).mean == 2
    assert posterior.given(same=[((0, 0), (0, 1))]).prob_same((0, 1), (0, 2)) == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.sampled_from([0.5, 0.8, 0.9, 1.0]))
def test_an_interval_leaves_little_on_each_side(values, level):
    posterior = Posterior.from_maps(np.array(values)[:, None, None])
    interval = posterior.measure(np.max).interval(level)
    count = len(values)
    k = max(1, math.floor((count + 1) * (1 - level) / 2 + 1e-9))
    assert interval == (sorted(values)[k - 1], sorted(values)[count - k])


@pytest.mark.parametrize("count", [*range(2, 45), 60, 99, 100, 200])
def test_an_interval_holds_one_more_value_as_often_as_it_says(count):
    """One more value falls between each two of n, or beyond them, with probability 1 / (n + 1)."""
    places = np.random.default_rng(count).permutation(count) + 1.0
    low, high = Distribution(places, np.full(count, 1 / count)).interval(0.9)
    covered = (high - low) / (count + 1)
    assert covered == pytest.approx((count - 1) / (count + 1)) if count < 19 else covered > 0.8999
    assert covered < 0.952


def test_weights_count_by_their_effective_number_in_an_interval():
    weights = np.where(np.arange(100) % 5 == 0, 1.0, 1e-12)
    found = Distribution(np.arange(100.0), weights / weights.sum()).interval(0.9)
    assert found == (0, 95)  # of 20 samples, their range


@pytest.mark.parametrize("kind", ["mixed", "border"])
def test_intervals_of_exact_draws_hold_the_truth(kind):
    source, rng = PosteriorSource(kind, length=60), np.random.default_rng(1)
    held, several = [], []
    for index in range(len(source)):
        truth, *maps = source.scene(index).draws(rng, 17)
        point = tuple(rng.integers(0, source.size, 2).tolist())
        posterior = Posterior.from_maps(maps)
        for function in (measures.count(), measures.area(point)):
            low, high = posterior.measure(function).interval(0.9)
            held.append(low <= function(truth) <= high)
            several.append(low < high)
    assert np.mean(held) > 0.9 and np.mean(several) > 0.4


def test_ignored_pixels_are_ignored_everywhere():
    maps = noisy_maps(4, 12)
    maps[1, :3] = -1
    posterior = Posterior.from_maps(maps)
    for values in (
        posterior.boundary_probability(), posterior.entropy(), posterior.region((5, 5))
    ):  # fmt: skip
        assert np.isnan(values[:3]).all() and np.isfinite(values[3:]).all()
    for criterion in ("binder", "vi", "ari", "medoid", "vote", "linkage"):
        got = posterior.consensus(criterion)
        assert (got[:3] == -1).all() and (got[3:] >= 0).all()
    cut = Posterior.from_maps(maps[:, 3:])
    np.testing.assert_array_equal(posterior.consensus("ari")[3:], cut.consensus("ari"))
    np.testing.assert_array_equal(posterior.entropy("ari")[3:], cut.entropy("ari"))
    with pytest.raises(InputError, match=r"p: point \(0, 4\) is ignored"):
        posterior.prob_same((0, 4), (5, 5))


DEGENERATE = {
    "one sample": noisy_maps(1),
    "one pixel": np.array([[[4]], [[7]]]),
    "two opposite samples": np.stack([np.zeros((6, 6), int), np.arange(36).reshape(6, 6)]),
    "one region": np.zeros((5, 8, 8), int),
    "300 regions": noisy_maps(3, 48, 300),
    "a line": np.random.default_rng(0).integers(0, 3, (3, 1, 1000)),
}


@pytest.mark.parametrize("maps", DEGENERATE.values(), ids=DEGENERATE)
def test_degenerate_maps_have_all_answers(maps):
    posterior = Posterior.from_maps(maps, guided=True)
    assert "guided" in repr(posterior)
    for criterion in (None, "binder", "vi", "ari", "medoid", "vote", "linkage"):
        got = posterior.consensus(criterion)
        assert got.shape == maps.shape[1:] and got.dtype == np.int32
        areas = np.bincount(got.ravel())
        assert (areas > 0).all() and (np.diff(areas) <= 0).all()
    assert posterior.entropy().shape == posterior.boundary_probability().shape == got.shape
    assert posterior.credible_ball().probability >= 0.9 - 1e-9
    assert sum(mode.weight for mode in posterior.modes(3)) == pytest.approx(1)
    alike = all(same_partition(a, b) for a, b in itertools.combinations(maps, 2))
    assert (posterior.best_question() is None) == alike
    if alike:
        assert same_partition(posterior.consensus(), maps[0])
        assert posterior.entropy().max() == posterior.credible_ball().radius == 0


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda p: p.prob_same((0, 4), (0, 0)), r"p: point \(0, 4\) lies outside of 2 x 3"),
        (lambda p: p.prob_same((0, 0), (-1, 0)), r"q: point \(-1, 0\) lies outside"),
        (lambda p: p.prob_same((0.5, 0), (0, 0)), "p must be .row, column. of integers"),
        (lambda p: p.prob_same(3, (0, 0)), "p must be"),
        (lambda p: p.prob_same([(0, 0)] * 2, [(0, 0)] * 3), "as many of both"),
        (lambda p: p.region([[(0, 0)]]), "inside must be points"),
        (lambda p: p.region(()), "inside: there is no point"),
        (lambda p: p.region((0, 9)), r"inside: point \(0, 9\) lies outside of 2 x 3"),
        (lambda p: p.region((0, 0), [(5, 0)]), r"outside: point \(5, 0\) lies outside"),
        (lambda p: p.region([(0, 0), (1, 1)], (1, 1)), r"outside: point \(1, 1\) is inside as"),
        (lambda p: p.given(same=[(0, 1)]), "same must hold pairs of points"),
        (lambda p: p.given(different=[3]), "different must be"),
        (lambda p: p.given(same=[((0, 0), (0, 1), (0, 2))]), "same must hold pairs"),
        (lambda p: p.best_question(candidates=(0, 0)), "candidates must be points"),
        (lambda p: p.best_question(candidates=[(9, 9)]), "candidates: point"),
        (lambda p: p.modes(0), "k is 0"),
        (lambda p: p.given(reliability=0.5), r"reliability is 0.5; use a probability in \(.5, 1\]"),
        (lambda p: p.given(reliability=1.5), "reliability is 1.5"),
        (lambda p: p.modes(1.5), "k is 1.5"),
        (lambda p: p.credible_ball(0), "level is 0"),
        (lambda p: p.credible_ball(1.1), "level is 1.1"),
        (lambda p: p.measure(measures.count()).interval(90), "level is 90"),
        (lambda p: p.measure(lambda label_map: label_map), "function returned"),
        (lambda p: p.measure(lambda label_map: np.nan), "function returned nan"),
        (lambda p: p.measure(lambda label_map: None), "function returned None"),
        (lambda p: p.entropy("mean"), "criterion is 'mean'"),
        (lambda p: Posterior.from_maps([np.zeros((2, 2), int), np.zeros((3, 2), int)]), "differ"),
    ],
)
def test_mistakes_are_told_in_one_line(ask, message):
    with pytest.raises(InputError, match=message) as error:
        ask(Posterior.from_maps([[[0, 0, 1], [0, 0, 1]], [[0, 1, 1], [0, 1, 1]]]))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("reliability", ["0.9", None, [0.9], 0.5, 1.1, math.nan])
def test_a_reliability_that_is_no_probability_is_told(reliability):
    posterior = Posterior.from_maps(np.array([[[0, 1]], [[0, 0]]]))
    with pytest.raises(InputError, match=r"reliability is .*use a probability in \(\.5, 1\]"):
        posterior.given(same=[((0, 0), (0, 1))], reliability=reliability)


@pytest.mark.parametrize("pairs", [5, None])
def test_pairs_that_are_no_sequence_are_told(pairs):
    posterior = Posterior.from_maps(np.array([[[0, 1]], [[0, 0]]]))
    with pytest.raises(InputError, match=f"same is {pairs}; give pairs of points"):
        posterior.given(same=pairs)


@pytest.mark.parametrize("level", ["a", None, 0, 1.5, math.nan])
def test_a_level_that_is_no_probability_is_told(level):
    with pytest.raises(InputError, match=r"level is .*use a probability"):
        Distribution(np.array([1.0]), np.array([1.0])).interval(level)
