import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import formats
from bitdiff_jax.inference.formats import planar
from tests.inference.formats import cases

tolerances = st.sampled_from([0.0, 0.5, 1.0, 2.0, 10.0])


def all_rings(found):
    return [ring for polygons in found.values() for each in polygons for ring in each.rings]


def painted(polygons, shape):
    """bool [h, w]: pixels whose centre lies in the polygons by the even-odd rule."""
    inside = np.zeros(shape, bool)
    y, x = (each + 0.5 for each in np.mgrid[: shape[0], : shape[1]])
    for polygon in polygons:
        for ring in polygon.rings:
            for (x0, y0), (x1, y1) in itertools.pairwise(ring.tolist()):
                if y0 != y1:
                    at = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
                    inside ^= ((y0 <= y) != (y1 <= y)) & (at > x)
    return inside


def turn(a, b, c):
    """The sign of the turn from a over b to c, exact."""
    return np.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def meet(one, two):
    """Whether two segments share a point that is not an end of both."""
    (a, b), (c, d) = one, two
    shared = {a, b} & {c, d}
    if len(shared) == 2:
        return False
    if shared:
        (p,) = shared
        q = b if a == p else a
        r = d if c == p else c
        ahead = (q[0] - p[0]) * (r[0] - p[0]) + (q[1] - p[1]) * (r[1] - p[1]) > 0
        return turn(p, q, r) == 0 and ahead
    turns = turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b)
    if turns[0] != turns[1] and turns[2] != turns[3]:
        return True
    if any(turns):
        return False
    return all(min(a[i], b[i]) <= max(c[i], d[i]) and min(c[i], d[i]) <= max(a[i], b[i])
               for i in (0, 1))  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(cases.label_maps)
def test_without_tolerance_the_polygons_are_the_label_map(label_map):
    found = formats.outlines(label_map, 0)
    assert list(found) == np.unique(label_map).tolist()
    for region, polygons in found.items():
        np.testing.assert_array_equal(painted(polygons, label_map.shape), label_map == region)
        areas = [polygon.area for polygon in polygons]
        assert areas == sorted(areas, reverse=True) and sum(areas) == (label_map == region).sum()


@settings(max_examples=60, deadline=None)
@given(cases.label_maps, tolerances)
def test_the_areas_sum_to_the_images(label_map, tolerance):
    found = formats.outlines(label_map, tolerance)
    assert sum(each.area for polygons in found.values() for each in polygons) == label_map.size
    for polygons in found.values():
        for polygon in polygons:
            assert polygon.area > 0
            for ring in polygon.rings:
                assert len(ring) >= 4 and (ring[0] == ring[-1]).all()
                assert len(np.unique(ring[:-1], axis=0)) == len(ring) - 1  # a simple ring


@settings(max_examples=40, deadline=None)
@given(cases.label_maps, tolerances)
def test_borders_meet_at_their_ends_alone_and_have_a_region_on_both_sides(label_map, tolerance):
    directed = [
        (tuple(a), tuple(b))
        for ring in all_rings(formats.outlines(label_map, tolerance))
        for a, b in itertools.pairwise(ring.tolist())
    ]
    assert len(set(directed)) == len(directed)
    height, width = label_map.shape
    for a, b in directed:
        at_frame = any(a[i] == b[i] in (0, side) for i, side in ((0, width), (1, height)))
        assert at_frame != ((b, a) in set(directed))
    sides = sorted({tuple(sorted(side)) for side in directed})
    assert not any(meet(one, two) for one, two in itertools.combinations(sides, 2))


@pytest.mark.parametrize("tolerance", [1, 1.5, 3])
def test_no_outline_is_farther_than_the_tolerance(tolerance):
    label_map = cases.blobs(40, 50, 9)
    exact, fewer = (all_rings(formats.outlines(label_map, each)) for each in (0, tolerance))
    assert sum(map(len, fewer)) < 0.7 * sum(map(len, exact))
    ends = np.array([side for ring in fewer for side in itertools.pairwise(ring)], float)
    start, along = ends[:, 0], ends[:, 1] - ends[:, 0]
    for point in np.concatenate(exact):
        share = ((point - start) * along).sum(1) / np.square(along).sum(1)
        nearest = start + np.clip(share, 0, 1)[:, None] * along
        assert np.hypot(*(point - nearest).T).min() <= tolerance + 1e-9


def test_a_region_of_one_pixel_keeps_its_square():
    label_map = np.zeros((5, 6), int)
    label_map[2, 3] = 1
    for tolerance in (0, 1, 100):
        found = formats.outlines(label_map, tolerance)
        (pixel,), (around,) = found[1], found[0]
        assert pixel.area == 1 and pixel.holes == ()
        corners = [[3, 2], [4, 2], [4, 3], [3, 3], [3, 2]]
        assert pixel.exterior.tolist() == corners
        assert sorted(around.holes[0].tolist()) == sorted(corners)
    (single,) = formats.outlines(np.zeros((1, 1), int))[0]
    assert single.area == 1 and len(single.exterior) == 5


def test_a_region_in_pieces_and_one_that_touches_itself_at_a_corner():
    label_map = np.array(
        [
            [1, 1, 1, 0, 2],
            [1, 0, 1, 0, 0],
            [1, 1, 0, 0, 0],
            [0, 0, 0, 0, 2],
        ]
    )
    found = formats.outlines(label_map, 0)
    assert [each.area for each in found[2]] == [1, 1]
    # The pixel that it surrounds touches the outer background at a corner, and is a hole still.
    (ring,) = found[1]
    assert ring.area == 7 and len(ring.holes) == 1
    assert sorted(each.area for each in found[0]) == [1, 10]


def test_pieces_are_those_of_equal_pixels_that_share_sides():
    label_map = np.array([[1, 1, 2], [2, 1, 2], [1, 2, 2]])
    piece = planar.pieces(label_map)
    assert len(np.unique(piece)) == 4 and piece.max() == 3
    assert piece[0, 0] == piece[1, 1] != piece[2, 0] and piece[1, 0] != piece[0, 2] == piece[2, 1]


@pytest.mark.parametrize("tolerance", [-1, np.inf, np.nan])
def test_what_is_no_tolerance(tolerance):
    with pytest.raises(InputError, match=r"tolerance is .*; use a number of pixels >= 0"):
        formats.outlines(np.zeros((2, 2), int), tolerance)


@pytest.mark.parametrize("shape", [(0, 3), (4,), (2, 2, 2)])
def test_what_is_no_label_map(shape):
    with pytest.raises(InputError, match="label_map has the shape"):
        formats.outlines(np.zeros(shape, int))


@pytest.mark.slow
@pytest.mark.parametrize("tolerance", [0, 1, 4])
def test_shapely_finds_them_valid(tolerance):
    shapely = pytest.importorskip("shapely")
    label_map = cases.blobs(160, 200, 60)
    polygons = [
        shapely.Polygon(each.exterior, each.holes)
        for found in formats.outlines(label_map, tolerance).values()
        for each in found
    ]
    assert shapely.is_valid(polygons).all()
    assert shapely.area(polygons).sum() == label_map.size
    assert shapely.unary_union(polygons).equals(shapely.box(0, 0, 200, 160))


@pytest.mark.parametrize("write", [formats.outlines, formats.run_lengths, formats.segment_colours])
@pytest.mark.parametrize(
    ("label_map", "told"),
    [
        (None, "of type NoneType; give an array of integers"),
        (np.zeros((0, 0), int), r"has the shape \(0, 0\); it needs"),
        (np.zeros((4, 4, 3), int), r"has the shape \(4, 4, 3\); it needs"),
        (np.full((3, 3), np.nan), "is float64; give integers"),
    ],
)
def test_what_is_no_label_map_is_told(write, label_map, told):
    with pytest.raises(InputError, match=f"label_map .*{told}"):
        write(label_map)


def test_a_tolerance_that_is_no_number_is_told():
    with pytest.raises(InputError, match="tolerance is '1'; use a number of pixels"):
        formats.outlines(np.ones((2, 2), int), "1")
