import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior.atoms import largest_first, refine
from bitdiff_jax.posterior.units import absorb_small, make_units
from tests.posterior.cases import label_maps, noisy_maps, renamed, same_partition, weighted

seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=40, deadline=None)
@given(label_maps, seeds)
def test_two_pixels_share_an_atom_where_no_map_parts_them(maps, seed):
    weights = weighted(maps, seed)
    atoms = refine(maps, weights)
    columns = maps[weights > 0].reshape((weights > 0).sum(), -1).T
    index = atoms.index.ravel()
    for p in range(len(columns)):
        np.testing.assert_array_equal(index == index[p], (columns == columns[p]).all(axis=1))
    np.testing.assert_array_equal(atoms.areas, np.bincount(index))
    for sample, row in enumerate(atoms.partition):
        assert (row == -1) == (weights[sample] == 0)
        if row >= 0:
            assert same_partition(atoms.regions[row][atoms.index], maps[sample])


@settings(max_examples=30, deadline=None)
@given(label_maps, seeds)
def test_the_atoms_depend_on_neither_ids_nor_the_order_of_maps(maps, seed):
    weights = weighted(maps, seed)
    order = np.random.default_rng(seed).permutation(len(maps))
    one, other = refine(maps, weights), refine(renamed(maps, seed)[order], weights[order])
    for name in ("index", "areas", "regions", "weights"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.partition[order], other.partition)


@settings(max_examples=30, deadline=None)
@given(label_maps, seeds)
def test_a_weight_is_a_repetition(maps, seed):
    weights = weighted(maps, seed)
    one, other = refine(maps, weights), refine(np.repeat(maps, weights, axis=0))
    for name in ("index", "areas", "regions", "weights"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_pixel_that_any_map_ignores_is_ignored():
    maps = np.array([[[0, 0, -1, 1]], [[-3, 0, 0, 0]]])
    atoms = refine(maps)
    np.testing.assert_array_equal(atoms.index, [[-1, 0, -1, 1]])
    np.testing.assert_array_equal(refine(maps, [1, 0]).index, [[-1, 0, -1, 1]])
    np.testing.assert_array_equal(atoms.areas, [1, 1])


def test_known_atoms():
    atoms = refine([[[7, 7, 2], [7, 7, 2]], [[0, 1, 1], [0, 1, 1]], [[5, 5, 0], [5, 5, 0]]])
    np.testing.assert_array_equal(atoms.index, [[0, 1, 2], [0, 1, 2]])
    np.testing.assert_array_equal(atoms.regions, [[0, 0, 1], [0, 1, 1]])
    np.testing.assert_allclose(atoms.weights, [2 / 3, 1 / 3])
    np.testing.assert_allclose(atoms.together([0, 0], [1, 2]), [2 / 3, 0])


def test_largest_first():
    got = largest_first(np.array([4, 9, 2, 9]), np.array([5, 2, 6, 4]))
    np.testing.assert_array_equal(got, [2, 0, 1, 0])


@pytest.mark.parametrize("max_units", [1, 5, 20])
def test_small_atoms_are_absorbed_by_what_they_touch(max_units):
    atoms = refine(noisy_maps())
    assert len(atoms.areas) > max_units
    unit, head = absorb_small(atoms, max_units)
    assert len(head) <= max_units and set(unit) == set(range(len(head)))
    np.testing.assert_array_equal(unit[head], np.arange(len(head)))
    # What stays are the large ones: each unit's head is its largest atom.
    for number in range(len(head)):
        assert atoms.areas[head[number]] == atoms.areas[unit == number].max()
    units = make_units(atoms, max_units)
    assert units.areas.sum() == atoms.num_pixels
    np.testing.assert_array_equal(units.together, atoms.together(head[:, None], head))


def test_an_atom_goes_to_the_neighbour_with_which_most_samples_join_it():
    #  The middle pixel is joined with the left by two samples and with the right by one.
    atoms = refine([[[0, 0, 0, 1, 1]], [[0, 0, 0, 1, 1]], [[0, 0, 1, 1, 1]]])
    unit, _ = absorb_small(atoms, 2)
    np.testing.assert_array_equal(unit[atoms.index], [[0, 0, 0, 1, 1]])


def test_atoms_beyond_ignored_pixels_are_absorbed_too():
    noise = np.random.default_rng(0).integers(0, 50, (2, 9, 9))
    noise[:, :, 4] = -1
    assert len(make_units(refine(noise), 3).areas) <= 3


@pytest.mark.parametrize(
    ("maps", "weights", "message"),
    [
        (np.zeros((3, 3), int), None, r"label_maps must be integers \[n, h, w\]"),
        (np.zeros((0, 3, 3), int), None, "label_maps"),
        (np.zeros((2, 3, 3)), None, "float64"),
        (np.full((2, 2, 2), -1), None, "none of the 4 pixels"),
        ([[[0, -1]], [[-1, 0]]], None, "leave out the maps"),
        (np.zeros((2, 2, 2), int), [1, 2, 3], "weights must be 2 numbers"),
        (np.zeros((2, 2, 2), int), [0, 0], "weights"),
        (np.zeros((2, 2, 2), int), [1, -1], "weights"),
        (np.zeros((2, 2, 2), int), [1, np.nan], "weights"),
        (np.zeros((2, 2, 2), int), ["a", "b"], "weights"),
    ],
)
def test_what_has_no_atoms_is_refused_in_one_line(maps, weights, message):
    with pytest.raises(InputError, match=message) as error:
        refine(maps, weights)
    assert "\n" not in str(error.value)
