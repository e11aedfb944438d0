"""Id 0 has code 0 for itself, whatever else there is."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bitdiff_jax.encoding import palette
from bitdiff_jax.encoding.bits import BitEncoding
from bitdiff_jax.target import Palette, make_target

SIDE, NUM_CODES, MAX_REGIONS = 9, 16, 40
TABLES = {name: palette.table(name, NUM_CODES) for name in ("similar", "random")}
maps = hnp.arrays(
    np.int32,
    (SIDE, SIDE),
    elements=st.one_of(st.sampled_from([-1, 0, 0, 1, 2]), st.integers(-1, MAX_REGIONS - 1)),
)
masks = st.tuples(st.integers(0, SIDE), st.integers(0, SIDE))
CHOICES = [
    *((choice, layout) for choice in ("greedy", "optimal") for layout in TABLES),
    ("none", "none"),
]


@functools.cache
def assigner(choice, layout, excess, background=True):
    rules = {"max_regions": MAX_REGIONS, "excess": excess, "background": background}
    if choice == "none":

        def shuffled(label_map, mask, key):
            return palette.shuffled(
                label_map, key, num_codes=NUM_CODES, keep_smallest=True, mask=mask, **rules
            )

        return jax.jit(shuffled)

    def assign(label_map, mask, key):
        return palette.assign(
            label_map, TABLES[layout], choice=choice, order="area", frame="valid", mask=mask,
            **rules,
        )  # fmt: skip

    return jax.jit(assign)


def assigned(label_map, mask, choice, layout, excess="ignore", background=True):
    found = assigner(choice, layout, excess, background)(label_map, mask, jax.random.key(3))
    return jax.device_get(found)


def rectangle(height, width):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:height, :width] = True
    return mask


def check(label_map, mask, got, excess):
    lies = mask & (label_map == 0)
    np.testing.assert_array_equal(got.codes == 0, lies)
    counted = mask & (label_map > 0)
    ids, areas = np.unique(label_map[counted], return_counts=True)
    codes = [np.unique(got.codes[mask & (label_map == i)]) for i in ids]
    assert all(len(each) == 1 for each in codes)
    codes = np.array([each[0] for each in codes], int)
    free = NUM_CODES - 1
    assert got.num_regions == len(ids) + lies.any()
    assert got.num_excess == max(0, len(ids) - free)
    assert (got.codes[~mask | (label_map < 0)] == -1).all()
    given_one = np.unique(codes[codes > 0])
    assert len(given_one) == min(len(ids), free)  # no two share a code unless merged
    if excess == "ignore":
        assert (codes == -1).sum() == got.num_excess
        if got.num_excess:  # the smallest are left out
            assert areas[codes == -1].max() <= areas[codes > 0].min()
    else:
        assert (codes > 0).all()
    assert got.region_codes[0] == (0 if lies.any() else -1)
    np.testing.assert_array_equal(got.region_codes[ids], codes)


@pytest.mark.slow
@pytest.mark.parametrize(("choice", "layout"), CHOICES)
@settings(max_examples=25, deadline=None)
@given(maps, masks, st.sampled_from(["ignore", "merge"]))
def test_code_0_is_the_background_and_nothing_else(choice, layout, label_map, shape, excess):
    mask = rectangle(*shape)
    check(label_map, mask, assigned(label_map, mask, choice, layout, excess), excess)


@pytest.mark.parametrize(("choice", "layout"), CHOICES)
@pytest.mark.parametrize(
    "label_map",
    [
        np.zeros((SIDE, SIDE), np.int32),
        np.full((SIDE, SIDE), -1, np.int32),
        np.ones((SIDE, SIDE), np.int32),
        np.arange(SIDE * SIDE, dtype=np.int32).reshape(SIDE, SIDE) % MAX_REGIONS,
        1 + np.arange(SIDE * SIDE, dtype=np.int32).reshape(SIDE, SIDE) % (MAX_REGIONS - 1),
    ],
    ids=["only background", "all ignored", "no background", "too many", "too many without"],
)
def test_extremes(choice, layout, label_map):
    everything, nothing = rectangle(SIDE, SIDE), rectangle(0, 0)
    check(label_map, everything, assigned(label_map, everything, choice, layout), "ignore")
    padding = assigned(label_map, nothing, choice, layout)
    assert (padding.codes == -1).all() and padding.num_regions == 0


@pytest.mark.slow
@pytest.mark.parametrize("choice", ["greedy", "optimal"])
def test_a_region_in_the_cell_of_code_0_goes_to_the_nearest_other_one(choice):
    table = TABLES["similar"]
    row, column = np.argwhere(table == 0)[0]
    label_map = np.full((8, 8), -1, np.int32)
    label_map[2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = 5
    mask = np.ones((8, 8), bool)
    without = palette.assign(label_map, table, max_regions=8, choice=choice, mask=mask)
    assert set(np.unique(without.codes)) == {-1, 0}
    got = palette.assign(label_map, table, max_regions=8, choice=choice, mask=mask, background=True)
    (code,) = set(np.unique(got.codes)) - {-1}
    place = np.argwhere(table == code)[0]
    assert code > 0 and np.abs(place - (row, column)).sum() == 1


@settings(max_examples=15, deadline=None)
@given(maps)
def test_objects_away_from_that_cell_keep_their_codes(label_map):
    """Where no object would take code 0, a background changes none of their codes."""
    mask = rectangle(SIDE, SIDE)
    few = np.where(label_map > 3, -1, label_map)
    objects = np.where(few == 0, -1, few)
    plain = assigned(objects, mask, "greedy", "similar", background=False)
    got = assigned(few, mask, "greedy", "similar")
    if not (plain.codes == 0).any():
        np.testing.assert_array_equal(np.where(few == 0, -1, got.codes), plain.codes)


def test_layout_none_draws_from_the_other_codes():
    label_map = np.arange(SIDE * SIDE, dtype=np.int32).reshape(SIDE, SIDE) % NUM_CODES
    mask = rectangle(SIDE, SIDE)
    draw = assigner("none", "none", "ignore")
    found = {
        tuple(np.asarray(draw(label_map, mask, jax.random.key(k)).region_codes)) for k in range(4)
    }
    assert len(found) > 1 and {each[0] for each in found} == {0}
    assert all(set(each[:NUM_CODES]) == set(range(NUM_CODES)) for each in found)


@pytest.mark.slow
def test_the_target_shows_the_background_as_code_0():
    labels = np.array([[[0, 0, 1], [-1, 0, 1], [2, 2, 1]]], np.int32)
    valid = np.ones(labels.shape, bool)
    encoding = BitEncoding(4)
    for layout in ("similar", "none"):
        rules = Palette(layout=layout, max_regions=8, background=True)
        target = make_target(
            labels, valid, rules, encoding, fill_ignored=True, key=jax.random.key(0)
        )
        drawn = np.asarray(encoding.decode(target.x0))
        assert (drawn[labels == 0] == 0).all() and (drawn[labels > 0] > 0).all()


def test_one_code_is_too_few():
    for call in (
        lambda: palette.assign(
            np.zeros((2, 2), np.int32), np.zeros((1, 1), np.int32), max_regions=2, background=True
        ),
        lambda: palette.shuffled(
            np.zeros((2, 2), np.int32), jax.random.key(0), num_codes=1, max_regions=2,
            keep_smallest=True, background=True,
        ),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="at least 2"):
            call()
