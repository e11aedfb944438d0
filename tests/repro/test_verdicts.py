import numpy as np
import pytest
from scipy import stats

from bitdiff_jax.repro import verdicts
from bitdiff_jax.repro.arms import Evaluation
from bitdiff_jax.repro.claims import Claim, Comparison

ARMS = {"a": Evaluation("one"), "b": Evaluation("two"), "a, other": Evaluation("one", "other")}


def claim(*decides, **fields):
    return Claim("planted", "settings", "", "", ARMS, decides, **fields)


def planted(shifts, num=40, spread=0.1, metric="ari"):
    """Values of both arms, where 'one' is better by a shift of each seed."""
    rng = np.random.default_rng(0)
    found = {}
    for seed, shift in enumerate(shifts):
        scene = rng.uniform(0, 1, num)
        noise = rng.normal(shift, spread, num)
        for training, values in (("one", scene + noise), ("two", scene)):
            key = (f"{training}/drawn", metric)
            found.setdefault(key, {})[seed] = {str(i): v for i, v in enumerate(values)}
    return found


@pytest.mark.parametrize(
    ("shifts", "verdict"),
    [
        ((0.2, 0.2, 0.2), verdicts.HOLDS),
        ((-0.2, -0.2), verdicts.FAILS),
        ((0.0, 0.0, 0.0), verdicts.UNDECIDED),
        ((0.3, 0.3, -0.05), verdicts.UNDECIDED),  # seeds differ in sign
        ((0.2,), verdicts.UNDECIDED),  # one training of each says nothing of others
        ((), verdicts.NOT_RUN),
    ],
)
def test_verdicts_of_planted_rows(shifts, verdict):
    judged = verdicts.judge(claim(Comparison("a", "b")), planted(shifts))
    assert judged.verdict == verdict
    (compared,) = judged.comparisons
    assert len(compared.seeds) == len(shifts)
    if shifts:
        assert compared.difference.mean == pytest.approx(np.mean(compared.seeds))


def test_one_seed_is_enough_for_two_ways_to_draw_from_one_training():
    values = planted((0.2,))
    values["one/other", "ari"] = values["two/drawn", "ari"]
    judged = verdicts.judge(claim(Comparison("a", "a, other")), values)
    assert judged.verdict == verdicts.HOLDS


def test_two_read_outs_of_the_same_maps():
    values = planted((0.2, 0.2))
    values["one/drawn", "iou"] = values["two/drawn", "ari"]
    judged = verdicts.judge(claim(Comparison("a:ari", "a:iou")), values)
    assert judged.verdict == verdicts.HOLDS


def test_all_comparisons_have_to_hold():
    values = planted((0.2, 0.2)) | planted((0.0, 0.0), metric="iou")
    both = claim(Comparison("a", "b"), Comparison("a", "b", "iou"))
    judged = verdicts.judge(both, values)
    assert [each.verdict for each in judged.comparisons] == [verdicts.HOLDS, verdicts.UNDECIDED]
    assert judged.verdict == verdicts.UNDECIDED
    opposite = claim(Comparison("a", "b"), Comparison("b", "a"))
    assert verdicts.judge(opposite, values).verdict == verdicts.FAILS


def test_p_is_that_of_the_sign_test_with_holms_correction():
    values = planted((0.05, 0.05), num=30)
    twice = claim(Comparison("a", "b"), Comparison("a", "b"))
    first, second = values["one/drawn", "ari"], values["two/drawn", "ari"]
    means = [np.mean([first[s][k] - second[s][k] for s in (0, 1)]) for k in first[0]]
    expected = stats.binomtest(sum(m > 0 for m in means), len(means)).pvalue
    for compared in verdicts.judge(twice, values).comparisons:
        assert compared.p == pytest.approx(min(1, 2 * expected))


def test_ties_do_not_count():
    assert verdicts.sign_test(np.array([0.0, 0.0, 1.0, 1.0, 1.0, np.nan])) == pytest.approx(0.25)
    assert verdicts.sign_test(np.zeros(5)) == 1.0


def test_scenes_without_a_value_are_left_out():
    values = planted((0.2, 0.2))
    values["one/drawn", "ari"][0]["3"] = float("nan")
    del values["two/drawn", "ari"][1]["5"]
    assert verdicts.judge(claim(Comparison("a", "b")), values).verdict == verdicts.HOLDS


def test_what_is_said_beforehand_is_the_verdict():
    values = planted((0.2, 0.2))
    says = {"not_testable": "too large"}
    assert verdicts.judge(claim(Comparison("a", "b"), **says), values).verdict == (
        verdicts.NOT_TESTABLE
    )
    assert verdicts.judge(claim(not_run="a network"), values).verdict == verdicts.NOT_RUN
    assert verdicts.judge(claim(), values).verdict == verdicts.COMPUTED


def test_an_arm_that_is_none_is_refused():
    with pytest.raises(ValueError, match="'c' is none of its arms"):
        claim(Comparison("a", "c"))
