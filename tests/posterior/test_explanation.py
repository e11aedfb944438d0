import itertools

import numpy as np
import pytest
from scipy.stats import entropy

from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior import Posterior
from bitdiff_jax.posterior.explanation import mutual_information
from tests.posterior.cases import noisy_maps, renamed, same_partition

# Rows of blocks, a background below: of each block the left and the right half are one region or
# two, and each block has its own size.
WIDTHS = (2, 3, 5)


def switched(joined, widths=WIDTHS):
    """The map in which the halves of block i lie together if joined[i]."""
    columns = []
    for i, (width, is_one) in enumerate(zip(widths, joined, strict=True)):
        columns += [2 * i + 1] * width + [2 * i + 1 + (not is_one)] * width
    top = np.tile(columns, (4, 1))
    return np.concatenate([top, np.zeros((4, len(columns)), int)])


def independent(probabilities, widths=WIDTHS):
    """Every combination of switches, and its probability."""
    cases = list(itertools.product([True, False], repeat=len(probabilities)))
    weights = [
        np.prod([p if is_one else 1 - p for is_one, p in zip(case, probabilities, strict=True)])
        for case in cases
    ]
    return np.stack([switched(case, widths) for case in cases]), np.array(weights), cases


def block_of(decision, widths=WIDTHS):
    """Which switch a decision is about; both of its sides have to lie in one block, whole."""
    starts = np.cumsum([0, *(2 * w for w in widths)])
    (block,) = {int(np.searchsorted(starts, column, "right")) - 1 for _, column in
                (decision.p, decision.q)}  # fmt: skip
    inside = np.zeros_like(decision.part)
    inside[:4, starts[block] : starts[block + 1]] = True
    np.testing.assert_array_equal(decision.part | decision.other, inside)
    assert decision.part.sum() == decision.other.sum() == 4 * widths[block]
    return block


@pytest.mark.parametrize("probabilities", [(0.7, 0.2, 0.6), (0.9, 0.8, 0.35), (0.1, 0.2, 0.45)])
@pytest.mark.parametrize("criterion", [None, "vi", "binder", "medoid"])
def test_independent_switches_are_recovered(probabilities, criterion):
    maps, weights, cases = independent(probabilities)
    explanation = Posterior.from_maps(maps, weights).explain(criterion=criterion)
    blocks = [block_of(decision) for decision in explanation.decisions]
    assert sorted(blocks) == [0, 1, 2]
    for k, (block, decision) in enumerate(zip(blocks, explanation.decisions, strict=True)):
        is_merge = decision.kind == "merge"
        assert decision.kind in ("merge", "split")
        p = probabilities[block] if is_merge else 1 - probabilities[block]
        assert decision.probability == pytest.approx(p)
        answers = [case[block] == is_merge for case in cases]
        np.testing.assert_array_equal(explanation.answers[k], answers)
        # A block of halves changes the variation of information by one bit for each of its pixels.
        share = 8 * WIDTHS[block] / maps[0].size * decision.probability / explanation.spread
        assert decision.share == pytest.approx(share)
    assert explanation.explained[-1] == pytest.approx(1)
    assert (np.diff(explanation.explained, prepend=0) > 0).all()
    for answers, label_map in zip(explanation.answers.T, maps, strict=True):
        assert same_partition(explanation.label_map(answers), label_map)
    apart = [entropy([p, 1 - p], base=2) for p in np.take(probabilities, blocks)]
    np.testing.assert_allclose(explanation.dependence, np.diag(apart), atol=1e-6)


def test_tied_switches_are_told():
    cases = [(True, True, True), (True, True, False), (False, False, True), (False, False, False)]
    weights = [0.3, 0.3, 0.2, 0.2]
    explanation = Posterior.from_maps([switched(c) for c in cases], weights).explain()
    blocks = [block_of(decision) for decision in explanation.decisions]
    at = {block: k for k, block in enumerate(blocks)}
    assert sorted(at) == [0, 1, 2]
    whole = entropy([0.6, 0.4], base=2)
    assert explanation.dependence[at[0], at[1]] == pytest.approx(whole)
    assert explanation.dependence[at[0], at[2]] == pytest.approx(0, abs=1e-9)
    one, two = sorted((at[0] + 1, at[1] + 1))
    assert f"{one} and {two} share 0.97 of 0.97 bits" in repr(explanation)
    assert repr(explanation).startswith("3 decisions explain 100% of a spread of")


def test_of_many_dependences_the_strongest_are_printed():
    count = 5
    widths = (2, 3, 4, 5, 6)
    # The first two switches are one, the others are tied to them more and more loosely.
    rng = np.random.default_rng(0)
    one = rng.random(400) < 0.5
    rest = [np.where(rng.random(400) < tie, one, rng.random(400) < 0.5) for tie in (0.9, 0.7, 0.5)]
    cases, weights = np.unique(np.stack([one, one, *rest], axis=1), axis=0, return_counts=True)
    maps = [switched(case, widths) for case in cases]
    explanation = Posterior.from_maps(maps, weights).explain()
    assert len(explanation.decisions) == count
    lines = repr(explanation).splitlines()[1 + count :]
    bits = np.sort(explanation.dependence[np.triu_indices(count, 1)].round(2))[::-1]
    assert len(bits) == 10 and bits[-1] > 0
    assert [float(line.split()[4]) for line in lines[:3]] == bits[:3].tolist()
    assert lines[3:] == [f"     7 more pairs share up to {bits[3]:.2f}"]


def test_a_part_that_changes_sides_is_one_move():
    left = np.repeat([[0, 0, 0, 0, 1, 1, 1, 1]], 4, axis=0)
    moved = left.copy()
    moved[:2, 4] = 0
    explanation = Posterior.from_maps([left, left, left, moved]).explain(criterion="medoid")
    (decision,) = explanation.decisions
    assert decision.kind == "move" and decision.probability == 0.25
    np.testing.assert_array_equal(decision.part, moved != left)
    np.testing.assert_array_equal(decision.other, left == 0)
    assert str(decision) == f"the part of {decision.p} belongs to the region of {decision.q}"
    assert decision.p[1] == 4 and decision.q[1] < 4
    np.testing.assert_array_equal(explanation.answers, [[False, False, False, True]])


def test_neither_ids_nor_order_nor_repetition_changes_it():
    maps = noisy_maps()
    maps[:, 3, 5:9] = -1
    order = np.random.default_rng(1).permutation(len(maps))

    def told(maps, weights=None):
        explanation = Posterior.from_maps(maps, weights).explain()
        return explanation, [
            (d.kind, d.p, d.q, round(d.probability, 9), round(d.share, 9))
            for d in explanation.decisions
        ]

    first, want = told(maps)
    assert len(want) >= 3
    assert told(renamed(maps, 3))[1] == want
    twice, shuffled = told(np.concatenate([maps[order], maps[order]]))
    assert shuffled == want
    np.testing.assert_array_equal(twice.answers[:, : len(maps)], first.answers[:, order])
    weighted, again = told(np.concatenate([maps, noisy_maps(2, seed=9)]), [1] * 8 + [0] * 2)
    assert again == want and not weighted.answers[:, 8:].any()
    assert (first.consensus[3, 5:9] == -1).all()
    assert not any(d.part[3, 5:9].any() or d.other[3, 5:9].any() for d in first.decisions)


def test_what_it_claims_to_explain_is_what_its_maps_are_nearer():
    posterior = Posterior.from_maps(noisy_maps())
    explanation = posterior.explain(max_decisions=5)
    assert len(explanation.decisions) == 5
    left = 0.0
    for answers, label_map in zip(explanation.answers.T, posterior.label_maps, strict=True):
        pair = Posterior.from_maps([explanation.label_map(answers), label_map])
        left += _vi(pair) / posterior.num_samples
    assert 1 - left / explanation.spread == pytest.approx(explanation.explained[-1], abs=1e-6)
    assert explanation.spread == pytest.approx(posterior.entropy().mean(), abs=1e-5)


def _vi(pair):
    """Variation of information of two maps in bits, from their joint histogram."""
    x, y = (each.ravel() for each in pair.label_maps)
    _, joint = np.unique(np.stack([x, y]), axis=1, return_counts=True)
    h = lambda counts: entropy(counts, base=2)  # noqa: E731
    return 2 * h(joint) - sum(h(np.unique(each, return_counts=True)[1]) for each in (x, y))


def test_equal_samples_need_no_decision():
    for maps in ([switched((True,) * 3)] * 3, [np.zeros((1, 1), int)]):
        explanation = Posterior.from_maps(maps).explain()
        assert explanation.decisions == () and explanation.spread == 0
        assert explanation.dependence.shape == (0, 0) and explanation.explained.shape == (0,)
        assert explanation.answers.shape == (0, len(maps))
        assert repr(explanation) == "0 decisions explain 0% of a spread of 0.000 bits"
        np.testing.assert_array_equal(
            explanation.label_map([]), Posterior.from_maps(maps).consensus()
        )


def test_mutual_information_is_that_of_the_joint_table():
    rng = np.random.default_rng(0)
    answers, weights = rng.random((3, 7)) < 0.5, rng.dirichlet(np.ones(7))
    got = mutual_information(answers, weights)
    for i, j in itertools.product(range(3), repeat=2):
        table = np.zeros((2, 2))
        np.add.at(table, (answers[i].astype(int), answers[j].astype(int)), weights)
        want = (
            entropy(table.sum(0), base=2) + entropy(table.sum(1), base=2)
            - entropy(table.ravel(), base=2)
        )  # fmt: skip
        assert got[i, j] == pytest.approx(want, abs=1e-6)


def test_wrong_arguments_are_refused():
    posterior = Posterior.from_maps(noisy_maps(3))
    for arguments, words in (
        ({"max_decisions": 0}, "max_decisions is 0; ask for 1 decision or more"),
        ({"min_share": 2}, "min_share is 2; use a share in"),
        ({"criterion": "best"}, "best"),
    ):
        with pytest.raises(InputError, match=words):
            posterior.explain(**arguments)
    with pytest.raises(InputError, match="there are 1 answers for"):
        posterior.explain().label_map([True])
