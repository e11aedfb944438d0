"""What labelled examples say of how samples become one map, on samples whose answer is known."""

import json

import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.host_contingency import contingency
from bitdiff_jax.posterior import Appearance, Posterior, likeness
from bitdiff_jax.posterior.appearance import COEFFICIENTS, Coefficients, probability
from bitdiff_jax.posterior.likeness import Likeness


def planted(seed):
    """A picture in two halves of other colours, and samples that part each at a random row.

    To the samples the four quarters are regions; to the person the halves are.
    """
    rng = np.random.default_rng(seed)
    truth = np.zeros((16, 16), int)
    truth[:, 8:] = 1
    samples = np.stack(
        [truth * 2 + (np.arange(16)[:, None] >= rng.integers(5, 11)) for _ in range(8)]
    )
    colours = np.where(truth[..., None] == 1, 60.0, 20.0) + rng.normal(0, 1, (16, 16, 3))
    features = np.where(truth[..., None] == 1, 1.0, -1.0) + rng.normal(0, 0.1, (16, 16, 3))
    posterior = Posterior.from_maps(samples, appearance=Appearance(colours, features))
    return posterior, truth


def example(seed):
    posterior, truth = planted(seed)
    return likeness.example_of(posterior, [truth])


@pytest.fixture(scope="module")
def examples():
    return [example(seed) for seed in range(4)]


def test_what_the_examples_choose_is_repeated_on_others(examples):
    found = likeness.learn(examples, strength=0.01)
    assert found.adopted and found.fitted > 0.95 > found.default + 0.2
    posterior, truth = planted(9)
    seen = Posterior.from_maps(
        posterior.label_maps, appearance=found.applied(posterior.appearance)
    ).consensus(found.criterion)
    assert contingency_ari(seen, truth) == 1
    assert contingency_ari(posterior.consensus(), truth) < 0.8


def contingency_ari(first, second):
    return likeness.adjusted_rand(contingency(first, second))


def test_the_opposite_choice_gives_the_opposite(examples):
    """The same pictures, labelled by another person: one who sees quarters."""
    rows = np.arange(16)[:, None] >= 8
    told = []
    for seed in range(4):
        posterior, truth = planted(seed)
        told.append(likeness.example_of(posterior, [2 * truth + rows]))
    by_halves, by_quarters = (likeness.learn(each, 0.01) for each in (examples, told))
    one = told[0]
    quarters, halves = (
        likeness.by_cut(one, each.coefficients, (each.max_apart,))[0]
        for each in (by_quarters, by_halves)
    )
    assert quarters > halves + 0.2


def test_without_evidence_it_is_the_packages(examples):
    far = likeness.fitted(examples, strength=1e6)
    np.testing.assert_allclose(far, COEFFICIENTS, atol=1e-3)
    free = likeness.fitted(examples, strength=0.01)
    assert np.abs(np.subtract(free, COEFFICIENTS)).max() > 0.1
    one_part = (np.zeros((1, 1, 4)), np.ones((1, 1)), np.array([256]))
    assert likeness.fit([one_part]) == COEFFICIENTS


def test_the_numbers_that_made_the_labels_are_found():
    true = Coefficients(0.5, 0.2, -0.6, 0.8, -0.3)
    rng = np.random.default_rng(0)
    cases = []
    for _ in range(3):
        features = rng.normal(size=(40, 40, 4))
        features += features.transpose(1, 0, 2)
        cases.append((features, probability(features, true), np.ones(40)))
    np.testing.assert_allclose(likeness.fit(cases, strength=1e-4), true, atol=0.02)


def test_each_picture_is_one_vote(examples):
    """A picture twice weighs as two, whatever its parts."""
    once = likeness.fitted(examples, strength=0.1)
    twice = likeness.fitted([*examples, *examples], strength=0.2)
    np.testing.assert_allclose(once, twice, rtol=0.2, atol=0.1)


def test_what_is_no_better_is_not_adopted(examples):
    worse = Likeness(COEFFICIENTS, 0.5, 3, default=0.6, fitted=0.5)
    assert not worse.adopted and worse.criterion is None
    assert "nothing of them is adopted" in str(worse)
    assert "adopted: company" in str(likeness.learn(examples))


def test_a_file_holds_it(examples, tmp_path):
    found = likeness.learn(examples)
    found.save(tmp_path / "like.json")
    assert Likeness.load(tmp_path / "like.json") == found


@pytest.mark.parametrize(
    "change",
    [{"kind": "history"}, {"max_apart": 2}, {"coefficients": {"company": 1}}, {"fitted": None}],
)
def test_a_file_of_another_kind_is_refused(examples, tmp_path, change):
    path = tmp_path / "like.json"
    likeness.learn(examples[:2]).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=r"like.json: is not a fitted likeness; give"):
        Likeness.load(path)
    path.write_text("[]")
    with pytest.raises(InputError, match="is not a fitted likeness"):
        Likeness.load(path)


def test_examples_that_say_nothing_are_refused():
    image, halves = np.zeros((4, 4, 3), np.uint8), planted(0)[1]
    with pytest.raises(InputError, match="there are 0; give 1 to 50"):
        likeness.check_examples([], [])
    with pytest.raises(InputError, match="there are 51; give 1 to 50"):
        likeness.check_examples([image] * 51, [halves] * 51)
    with pytest.raises(InputError, match="there are 1 of 2 images"):
        likeness.check_examples([image] * 2, [halves])
    with pytest.raises(InputError, match=r"float64 .* give integers"):
        likeness.check_examples([image], [halves / 2])
    with pytest.raises(InputError, match="no label map has two regions"):
        likeness.check_examples([image] * 2, [halves * 0, np.where(halves, 3, -1)])
