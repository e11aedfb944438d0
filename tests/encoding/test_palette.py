import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitdiff_jax.encoding import cells, palette, regions
from tests.encoding import slow_palette

TABLE = palette.table("similar", 64)
OPTIONS = list(itertools.product(("id", "area"), ("square", "valid"), ("merge", "ignore")))


@functools.cache
def compiled(table, max_regions, order="id", frame="square", excess="merge", choice="greedy"):
    """`assign` with a table given as (layout, num_codes), or the number of codes of 'similar'."""
    layout, num_codes = table if isinstance(table, tuple) else ("similar", table)
    return jax.jit(
        functools.partial(
            palette.assign,
            table=palette.table(layout, num_codes),
            max_regions=max_regions,
            order=order,
            frame=frame,
            excess=excess,
            choice=choice,
        )
    )


def compact(label_map):
    """Ids to 0..n-1 in ascending order; negative stays -1."""
    ids = np.unique(label_map[label_map >= 0])
    return np.where(label_map < 0, -1, np.searchsorted(ids, label_map))


def blobs(rng, shape, n, spread=1):
    """A random partition into n cells around random points, which may lie close together."""
    points = rng.uniform(0, spread, (n, 2)) * shape
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    return np.square(grid[:, :, None] - points).sum(-1).argmin(-1)


@pytest.mark.slow
@pytest.mark.parametrize("x64", [False, True])
def test_maps_match_the_reference(golden, x64):
    vectors = golden("lap")
    maps = np.stack([compact(m) for m in vectors["labels"].astype(int)])
    with jax.enable_x64(x64):
        got = jax.vmap(compiled(64, 128))(jnp.asarray(maps, jnp.int32))
    np.testing.assert_array_equal(got.codes, vectors["out/similar"])
    np.testing.assert_array_equal(got.num_regions, vectors["n_objects"])
    for row, want in zip(got.region_codes, vectors["codes_similar"], strict=True):
        n = (want != -9).sum()  # its ids ascend, as the compacted ones do
        np.testing.assert_array_equal(row[:n], want[:n])
        assert (np.asarray(row[n:]) == -1).all()


def test_other_layouts_match_the_reference(golden):
    vectors = golden("lap")
    maps = np.stack([compact(m) for m in vectors["labels"].astype(int)])
    assign = jax.jit(jax.vmap(lambda m, t: palette.assign(m, t, max_regions=128), (0, None)))
    for layout in ("different", "range", "random"):
        got = assign(maps, palette.table(layout, 64))
        np.testing.assert_array_equal(got.codes, vectors[f"out/{layout}"], err_msg=layout)


@pytest.mark.slow
def test_small_maps_match_the_reference(golden):
    vectors = golden("lap")
    small = np.stack([compact(m) for m in vectors["small32/labels"].astype(int)])
    got = jax.vmap(compiled(16, 128))(small)
    np.testing.assert_array_equal(got.codes, vectors["small32/out_similar_16"])
    table = palette.table("random", 121, seed=7)
    got = jax.vmap(lambda m: palette.assign(m, table, max_regions=128))(small)
    np.testing.assert_array_equal(got.codes, vectors["small32/out_random_121"])


@pytest.mark.slow
def test_centroids_match_the_reference(golden):
    vectors = golden("lap")
    for label_map, want in zip(vectors["labels"], vectors["centers_rel"], strict=True):
        want = want[~np.isnan(want[:, 0])]
        ids = compact(label_map.astype(int))
        measured = regions.measure(jnp.where(ids < 0, 64, ids).astype(jnp.int32), 64)
        got = cells.coordinates(measured, jnp.ones(ids.shape, bool), (8, 16), "square")
        got = np.stack(got, axis=-1)[: len(want)]
        np.testing.assert_allclose((got + 0.5) / [8, 16], want, atol=1e-6)


def test_largest_first_matches_the_reference_where_no_areas_are_equal(golden):
    vectors = golden("lap")
    maps = np.stack([compact(m) for m in vectors["labels"].astype(int)])
    got = jax.vmap(compiled(64, 128, "area"))(maps).codes
    checked = 0
    for i, label_map in enumerate(maps):
        areas = np.bincount(label_map[label_map >= 0])
        if len(set(areas)) == len(areas):
            np.testing.assert_array_equal(got[i], vectors["out/similar_largest_first"][i])
            checked += 1
    assert checked >= 10


@pytest.mark.slow
@pytest.mark.parametrize("num_codes", [64, 16])
def test_merging_the_excess_matches_the_reference(golden, num_codes):
    vectors = golden("excess")
    maps = np.stack([compact(m) for m in vectors["labels"].astype(int)])
    got = jax.vmap(compiled(num_codes, 256))(maps)
    checked = 0
    for i, label_map in enumerate(maps):
        areas = np.sort(np.bincount(label_map[label_map >= 0]))[::-1]
        assert got.num_excess[i] == len(areas) - num_codes
        assert got.excess_pixels[i] == areas[num_codes:].sum()
        if areas[num_codes - 1] == areas[num_codes]:
            continue  # which of two equal areas stays is undefined in the reference
        np.testing.assert_array_equal(got.codes[i], vectors[f"out/similar{num_codes}"][i])
        checked += 1
    assert checked >= 5


@pytest.mark.slow
@pytest.mark.parametrize("table", [("similar", 64), ("similar", 32), ("random", 60)], ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids="-".join)
def test_every_setting_equals_a_slow_twin(options, table):
    """Square and rectangular grids: 8 x 8, 4 x 8 and 6 x 10 cells."""
    order, frame, excess = options
    rng = np.random.default_rng(0)
    for n, holes in ((1, 0), (7, 0.2), (40, 0.1), (90, 0)):
        label_map = blobs(rng, (40, 56), n)
        label_map[rng.random(label_map.shape) < holes] = -1
        mask = np.zeros(label_map.shape, bool)
        mask[:31, :50] = True
        got = compiled(table, 80, *options)(label_map.astype(np.int32), mask=mask)
        settings = dict(max_regions=80, order=order, frame=frame, excess=excess, mask=mask)
        want = slow_palette.assign(label_map, palette.table(*table), **settings)
        np.testing.assert_array_equal(got.codes, want)
        assert int(got.dropped_pixels) == int((mask & (label_map >= 80)).sum())


@pytest.mark.slow
@pytest.mark.parametrize("table", [("similar", 64), ("similar", 32)], ids=str)
@pytest.mark.parametrize("excess", ["merge", "ignore"])
def test_the_optimal_choice_is_optimal(table, excess):
    """The sum of squared distances is scipy's least, and lower than the greedy one at times."""
    grid = palette.table(*table)
    rng = np.random.default_rng(0)
    gains = []
    for n, spread in ((1, 1), (7, 0.2), (25, 0.3), (32, 1), (90, 1)):
        label_map = blobs(rng, (40, 56), n, spread)
        mask = np.zeros(label_map.shape, bool)
        mask[:31, :50] = True
        settings = dict(max_regions=96, order="area", frame="valid", excess=excess, mask=mask)
        q, rest, _ = slow_palette.centroids(label_map, grid, **settings)
        squared, least = slow_palette.costs(q, grid)
        totals = []
        for choice in ("optimal", "greedy"):
            got = compiled(table, 96, "area", "valid", excess, choice)(
                label_map.astype(np.int32), mask=mask
            )
            codes = np.asarray(got.region_codes)
            assert len(set(codes[list(q)])) == len(q)
            of_rest = codes[next(iter(q))] if excess == "merge" else -1
            assert (codes[list(rest)] == of_rest).all()
            np.testing.assert_array_equal(got.codes, np.where(mask, codes[label_map], -1))
            cell = np.argsort(grid.ravel())[codes[list(q)]]
            totals.append(squared[np.arange(len(q)), cell].sum())
        np.testing.assert_allclose(totals[0], least, atol=1e-3 * len(q))
        gains.append(totals[1] - totals[0])
    assert min(gains) > -1e-2 and max(gains) > 0.1


@pytest.mark.slow
def test_both_choices_agree_where_no_two_regions_want_the_same_cell():
    optimal, greedy = (
        compiled(64, 96, "area", "valid", "ignore", choice) for choice in ("optimal", "greedy")
    )
    mask = np.zeros((40, 56), bool)
    mask[:31, :50] = True
    rng = np.random.default_rng(2)
    whole = np.zeros(mask.shape, int)  # half-way between four cells
    checked = {True: 0, False: 0}
    for label_map in [whole, *(blobs(rng, mask.shape, n) for n in (2, 3, 4, 6, 8, 12, 20, 30))]:
        settings = dict(max_regions=96, order="area", frame="valid", excess="ignore", mask=mask)
        q, _, _ = slow_palette.centroids(label_map, TABLE, **settings)
        distinct = len({tuple(np.round(at)) for at in q.values()}) == len(q)
        label_map = label_map.astype(np.int32)
        same = (optimal(label_map, mask=mask).codes == greedy(label_map, mask=mask).codes).all()
        assert same or not distinct
        checked[distinct] += 1
    assert min(checked.values()) >= 2


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    n=st.integers(1, 30),
    choice=st.sampled_from(["greedy", "optimal"]),
)
def test_renaming_ids_changes_nothing_with_largest_first(seed, n, choice):
    rng = np.random.default_rng(seed)
    # Few distinct areas on purpose: ties must not be broken by the name.
    label_map = np.kron(rng.integers(0, n, (6, 6)), np.ones((4, 4), int)).astype(np.int32)
    assign = compiled(16, 64, "area", "valid", "ignore", choice)
    names = rng.permutation(64)[:n].astype(np.int32)
    np.testing.assert_array_equal(assign(label_map).codes, assign(names[label_map]).codes)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [*OPTIONS, ("area", "valid", "ignore", "optimal")], ids="-".join
)
def test_degenerate_maps(options):
    assign = compiled(64, 320, *options)
    assert (np.asarray(assign(jnp.full((32, 32), -1)).codes) == -1).all()
    one = assign(jnp.zeros((32, 32), int))
    assert (np.asarray(one.codes) == 54).all() and int(one.num_regions) == 1
    nowhere = assign(jnp.zeros((32, 32), int), mask=jnp.zeros((32, 32), bool))
    assert (np.asarray(nowhere.codes) == -1).all()
    long = assign(jnp.arange(1000).reshape(1, 1000) // 100)
    assert len(np.unique(long.codes)) == 10
    many = assign(jnp.arange(1024).reshape(32, 32))  # one pixel each
    assert int(many.dropped_pixels) == 1024 - 320 and int(many.num_regions) == 320
    assert int(many.num_excess) == 320 - 64
    assert len(set(np.unique(many.codes)) - {-1}) == 64
    point = assign(jnp.zeros((1, 1), int))
    assert int(point.codes[0, 0]) == 54


def test_distinct_regions_get_distinct_codes_and_cells_near_their_centroids():
    label_map = blobs(np.random.default_rng(3), (64, 64), 64)
    got = compiled(64, 64, "area")(label_map.astype(np.int32))
    used = np.asarray(got.region_codes)
    assert len(set(used)) == 64 == int(got.num_regions)
    cell_of = {int(code): cell for cell, code in np.ndenumerate(TABLE)}
    distance = [
        np.abs((np.argwhere(label_map == i).mean(0) + 0.5) / 8 - 0.5 - cell_of[int(used[i])]).max()
        for i in range(64)
    ]
    assert np.median(distance) < 1


@pytest.mark.slow
@pytest.mark.parametrize("choice", ["greedy", "optimal"])
def test_one_batch_equals_one_by_one(choice):
    rng = np.random.default_rng(1)
    maps = np.stack([blobs(rng, (24, 24), n) for n in (3, 20)]).astype(np.int32)
    assign = compiled(16, 32, "area", "valid", "ignore", choice)
    batch = jax.vmap(assign)(maps)
    for i in range(2):
        for one, row in zip(assign(maps[i]), batch, strict=True):
            np.testing.assert_array_equal(one, row[i])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": "size"}, "order"),
        ({"frame": "image"}, "frame"),
        ({"excess": "drop"}, "excess"),
        ({"choice": "best"}, "choice must be one of greedy, optimal, got 'best'"),
        ({"label_map": jnp.zeros((2048, 2048), int)}, "too large"),
    ],
)
def test_misuse_is_named(change, message):
    arguments = {"label_map": jnp.zeros((4, 4), int), "table": TABLE, "max_regions": 4} | change
    with pytest.raises(ValueError, match=message):
        palette.assign(**arguments)
