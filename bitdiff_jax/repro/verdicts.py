"""Verdicts: paired sign tests over scenes and seeds.

Of each scene the difference of two arms is averaged over the seeds that both have; the exact sign
test asks whether one sign is more frequent than the other among the scenes. That accounts for the
choice of scenes. For the choice of trainings, all seeds have to agree in the sign of their mean
difference, and where two trainings are compared there have to be two seeds at least.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from bitdiff_jax.evaluation.statistics import significance
from bitdiff_jax.evaluation.statistics.estimates import Estimate, bootstrap
from bitdiff_jax.repro.claims import Claim, Comparison

HOLDS = "holds"
FAILS = "does not hold"
UNDECIDED = "undecided"
NOT_TESTABLE = "not testable at this size"
NOT_RUN = "not run"
COMPUTED = "computed"

_LEVEL = 0.05
# Values of a metric by scene, of each seed: {seed: {scene: value}}.
Values = Mapping[int, Mapping[str, float]]
# Values by evaluation key and metric.
Lookup = Mapping[tuple[str, str], Values]


@dataclasses.dataclass(frozen=True)
class Decided:
    """A comparison with its result.

    Attributes:
        comparison: what was compared.
        difference: mean difference, better - worse, and its 95 % interval over scenes.
        p: two-sided p of the sign test, corrected by Holm within the claim.
        seeds: mean difference of each seed.
        verdict: `HOLDS`, `FAILS`, `UNDECIDED` or `NOT_RUN`.
    """

    comparison: Comparison
    difference: Estimate
    p: float
    seeds: tuple[float, ...]
    verdict: str


@dataclasses.dataclass(frozen=True)
class Judged:
    """A claim with its verdict.

    Attributes:
        claim: the claim.
        verdict: one of the constants of this module.
        comparisons: those that decided.
    """

    claim: Claim
    verdict: str
    comparisons: tuple[Decided, ...]


def judge(claim: Claim, values: Lookup) -> Judged:
    """The verdict of a claim.

    Args:
        claim: the claim.
        values: of the metrics and arms that it compares; what is missing has not been run, and a
            seed without a scene is of a training that failed.
    """
    compared = [_differences(claim, each, values) for each in claim.decides]
    p_values = [sign_test(np.array(list(d.values()))) if d else math.nan for d, _ in compared]
    corrected = significance.holm(p_values)
    decided = tuple(
        _decide(claim, comparison, differences, seeds, p, _were_run(claim, comparison, values))
        for comparison, (differences, seeds), p in zip(
            claim.decides, compared, corrected, strict=True
        )
    )
    return Judged(claim, _of_claim(claim, decided), decided)


def sign_test(differences: np.ndarray) -> float:
    """Two-sided p of the exact sign test; differences of 0 do not count.

    Args:
        differences: float [n]; NaN are left out.

    Returns:
        p in (0, 1]; 1 without a difference that is not 0.
    """
    positive = int((differences > 0).sum())
    count = positive + int((differences < 0).sum())
    return float(stats.binomtest(positive, count).pvalue) if count else 1.0


def _differences(
    claim: Claim, comparison: Comparison, values: Lookup
) -> tuple[dict[str, float], tuple[float, ...]]:
    """Mean difference of each scene over seeds, and of each seed over scenes."""
    first, second = (
        values.get((claim.arms[arm].key, metric), {}) for arm, metric in comparison.sides()
    )
    by_scene: dict[str, list[float]] = {}
    seeds = []
    for seed in sorted(first.keys() & second.keys()):
        a, b = first[seed], second[seed]
        of_seed = {name: a[name] - b[name] for name in a if name in b}
        of_seed = {name: d for name, d in of_seed.items() if math.isfinite(d)}
        if not of_seed:
            continue
        seeds.append(float(np.mean(list(of_seed.values()))))
        for name, difference in of_seed.items():
            by_scene.setdefault(name, []).append(difference)
    return {name: float(np.mean(each)) for name, each in by_scene.items()}, tuple(seeds)


def _were_run(claim: Claim, comparison: Comparison, values: Lookup) -> bool:
    return all((claim.arms[arm].key, metric) in values for arm, metric in comparison.sides())


def _decide(
    claim: Claim,
    comparison: Comparison,
    differences: Mapping[str, float],
    seeds: tuple[float, ...],
    p: float,
    were_run: bool,
) -> Decided:
    found = np.array(list(differences.values()))
    estimate = bootstrap(found)
    if not seeds:  # a training that failed was run, and has no values
        return Decided(comparison, estimate, p, seeds, UNDECIDED if were_run else NOT_RUN)
    (better, _), (worse, _) = comparison.sides()
    same_training = claim.arms[better].training == claim.arms[worse].training
    verdict = UNDECIDED
    if p < _LEVEL and (len(seeds) > 1 or same_training):
        sign = np.sign((found > 0).sum() - (found < 0).sum())
        if all(np.sign(each) == sign for each in seeds):
            verdict = HOLDS if sign > 0 else FAILS
    return Decided(comparison, estimate, p, seeds, verdict)


def _of_claim(claim: Claim, decided: Sequence[Decided]) -> str:
    if claim.not_run:
        return NOT_RUN
    if claim.not_testable:
        return NOT_TESTABLE
    if not decided:
        return COMPUTED
    verdicts = {each.verdict for each in decided}
    if NOT_RUN in verdicts:
        return NOT_RUN
    if FAILS in verdicts:
        return FAILS
    return UNDECIDED if UNDECIDED in verdicts else HOLDS
