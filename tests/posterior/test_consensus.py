import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitdiff_jax import metrics
from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior.atoms import refine
from bitdiff_jax.posterior.consensus import CRITERIA, consensus, default_criterion, expected, medoid
from bitdiff_jax.posterior.expected_losses import AdjustedRand, Binder, Information
from bitdiff_jax.posterior.merging import average_linkage, merge
from bitdiff_jax.posterior.moves import move
from bitdiff_jax.posterior.units import make_units
from tests.posterior.cases import all_partitions, label_maps, noisy_maps, renamed, weighted

seeds = st.integers(0, 2**32 - 1)
SEARCHED = ("binder", "vi", "ari")
FROM_TABLE = {
    "binder": lambda table: 1 - metrics.rand_index_from_table(table),
    "vi": metrics.variation_of_information_from_table,
    "ari": metrics.adjusted_rand_index_from_table,
}


def few_atoms(seed):
    """Atoms of unequal areas, 8 at most, of weighted maps."""
    rng = np.random.default_rng(seed)
    count, samples = rng.integers(3, 8), rng.integers(3, 7)
    ids = rng.integers(0, rng.integers(2, 5), (samples, count))
    maps = np.repeat(ids, rng.integers(1, 30, count), axis=1)[:, None]
    return refine(maps, rng.integers(1, 4, samples))


@pytest.mark.parametrize("criterion", SEARCHED)
@settings(max_examples=20, deadline=None)
@given(maps=label_maps, seed=seeds)
def test_expected_is_the_mean_of_the_metric(criterion, maps, seed):
    weights = weighted(maps, seed)
    atoms = refine(maps, weights)
    labels = np.random.default_rng(seed).integers(0, 3, len(atoms.areas))
    values = []
    for each in maps:
        table = np.zeros((3, 4), int)
        np.add.at(table, (labels[atoms.index].ravel(), each.ravel()), 1)
        values.append(FROM_TABLE[criterion](table))
    want = np.average(values, weights=weights)
    np.testing.assert_allclose(expected(atoms, labels, criterion), want, atol=1e-12)


# Differences from the optimum by enumeration: of the mean, and at most.
GAPS = {"binder": (1e-4, 0.005), "vi": (0.002, 0.06), "ari": (0.002, 0.03)}


@pytest.mark.parametrize("criterion", SEARCHED)
def test_the_optimum_by_enumeration_is_found_or_nearly(criterion):
    gaps = []
    for seed in range(25):
        atoms = few_atoms(seed)
        got = expected(atoms, consensus(atoms, criterion), criterion)
        every = all_partitions(len(atoms.areas))
        values = [expected(atoms, labels, criterion) for labels in every]
        gap = max(values) - got if criterion == "ari" else got - min(values)
        assert gap > -1e-9
        gaps.append(gap)
    mean, most = GAPS[criterion]
    assert np.mean(gaps) <= mean and np.max(gaps) <= most
    assert np.mean(np.array(gaps) < 1e-9) >= 0.9


@pytest.mark.parametrize("criterion", SEARCHED)
@settings(max_examples=15, deadline=None)
@given(maps=label_maps, seed=seeds)
def test_no_worse_than_the_medoid_by_its_own_criterion(criterion, maps, seed):
    atoms = refine(maps, weighted(maps, seed))
    got, of_medoid = (
        expected(atoms, labels, criterion)
        for labels in (consensus(atoms, criterion), medoid(atoms))
    )
    assert got >= of_medoid - 1e-9 if criterion == "ari" else got <= of_medoid + 1e-9


@pytest.mark.parametrize("criterion", CRITERIA)
@settings(max_examples=15, deadline=None)
@given(maps=label_maps, seed=seeds)
def test_neither_ids_nor_order_nor_repetition_changes_it(criterion, maps, seed):
    weights = weighted(maps, seed)
    order = np.random.default_rng(seed).permutation(len(maps))

    def result(*args):
        atoms = refine(*args)
        return consensus(atoms, criterion)[atoms.index]

    want = result(maps, weights)
    np.testing.assert_array_equal(result(renamed(maps, seed), weights), want)
    np.testing.assert_array_equal(result(maps[order], weights[order]), want)
    np.testing.assert_array_equal(result(np.repeat(maps, weights, axis=0)), want)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_equal_maps_are_their_own_consensus(criterion):
    one = noisy_maps(1, regions=8)
    atoms = refine(np.concatenate([one, renamed(one, 1), one]))
    assert len(consensus(atoms, criterion)) == len(atoms.areas)
    np.testing.assert_array_equal(np.sort(consensus(atoms, criterion)), np.arange(len(atoms.areas)))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_what_most_samples_say_is_said(criterion):
    halves = np.repeat([[0, 0, 0, 1, 1, 1]], 6, axis=0)
    shifted = np.repeat([[0, 0, 0, 0, 1, 1]], 6, axis=0)
    atoms = refine([halves, halves + 3, halves, shifted])
    np.testing.assert_array_equal(consensus(atoms, criterion)[atoms.index], halves)


def test_the_votes_of_regions_that_match_nothing_are_their_own():
    # Two samples put a third region at the end, each under an id of its own that must not win.
    maps = np.array([[[0, 0, 1, 1, 1]], [[0, 0, 1, 1, 2]], [[1, 1, 0, 0, 0]], [[0, 0, 1, 1, 1]]])
    atoms = refine(maps)
    np.testing.assert_array_equal(consensus(atoms, "vote")[atoms.index], [[1, 1, 0, 0, 0]])


def test_linkage_weighs_by_pixels():
    # The first two pixels lie apart in no sample, the third from either in 1 of 3.
    units = make_units(refine([[[0, 0, 0]], [[0, 0, 0]], [[0, 0, 1]]]))
    assert average_linkage(units, 0.34).max() == 0
    assert average_linkage(units, 0.33).max() == 1
    # 5 - 1 - 5 pixels: the middle is joined with the left, at .5. Then 5 of 6 pixels always lie
    # apart from the right and one does in half of the samples: (5 + .5) / 6 = .917.
    maps = np.repeat([[0, 0, 1], [0, 1, 1]], [5, 1, 5], axis=1)[:, None]
    units = make_units(refine(maps))
    np.testing.assert_array_equal(average_linkage(units, 0.91), [0, 0, 1])
    assert average_linkage(units, 0.92).max() == 0
    assert average_linkage(units, 0.49).max() == 2


@pytest.mark.parametrize(
    ("loss", "criterion"),
    [(Binder(), "binder"), (Information(), "vi"), (AdjustedRand(), "ari")],
)
def test_moves_and_joins_never_make_it_worse(loss, criterion):
    sign = -1 if criterion == "ari" else 1
    for seed in range(6):
        atoms = refine(noisy_maps(5, 12, seed=seed))
        units = make_units(atoms)
        rng = np.random.default_rng(seed)
        _, labels = np.unique(rng.integers(0, 6, len(units.areas)), return_inverse=True)
        moved = move(units, loss, labels)
        joined = merge(units, loss, labels)
        start = sign * expected(atoms, labels, criterion)
        assert sign * expected(atoms, moved, criterion) < start
        assert sign * expected(atoms, joined, criterion) <= start + 1e-12


def test_with_few_units_it_is_nearly_as_good(monkeypatch):
    atoms = refine(noisy_maps(8, 40))
    whole = expected(atoms, consensus(atoms, "vi"), "vi")
    monkeypatch.setattr("bitdiff_jax.posterior.consensus.MAX_SEARCHED", 30)
    assert len(atoms.areas) > 60
    few = expected(atoms, consensus(atoms, "vi"), "vi")
    assert whole - 1e-9 <= few <= 1.1 * whole
    assert few <= expected(atoms, medoid(atoms), "vi") + 1e-9


def test_the_default_depends_on_the_number_of_samples():
    assert [default_criterion(n) for n in (1, 2)] == ["medoid", "medoid"]
    assert default_criterion(3) in CRITERIA and default_criterion(3) != "medoid"


def test_the_linkage_is_cut_where_it_is_told():
    halves = [[0, 0, 1, 1]] * 3
    atoms = refine(np.array([*halves, [0, 0, 1, 2]]).reshape(4, 1, 4))
    regions = [consensus(atoms, f"linkage:{cut}").max() + 1 for cut in (0, 0.2, 0.3, 0.99, 1)]
    assert regions == [3, 3, 2, 2, 1]
    np.testing.assert_array_equal(consensus(atoms, "linkage:0.7"), consensus(atoms, "linkage"))


@pytest.mark.parametrize("criterion", ["linkage:", "linkage:x", "linkage:1.1", "linkage:nan"])
def test_a_cut_that_cannot_be_is_told(criterion):
    with pytest.raises(InputError, match=f"{criterion}.*cut the linkage at a number from 0 to 1"):
        consensus(refine(np.zeros((1, 2, 2), int)), criterion)


def test_an_unknown_criterion_is_told():
    with pytest.raises(InputError, match=r"'bindr'.*did you mean binder"):
        consensus(refine(np.zeros((1, 2, 2), int)), "bindr")
