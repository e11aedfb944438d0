"""Outlines, grounds and label maps of the natural scenes, against slow or known answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from bitdiff_jax.scenes.natural import curves, grounds, herds, outlines, raster


def _area(polygon, side=400):
    """Filled share of the square [-2, 2] x [-2, 2], times 16."""
    image = Image.new("L", (side, side))
    corners = ((polygon + 2) * side / 4).ravel().tolist()
    ImageDraw.Draw(image).polygon(corners, fill=1)
    return np.asarray(image).mean() * 16


@settings(max_examples=20, deadline=None)
@given(angle=st.floats(0, 6.28), offset=st.floats(-0.6, 0.6), corners=st.integers(3, 9))
def test_the_two_pieces_of_a_convex_polygon_make_it_up(angle, offset, corners):
    turn = np.arange(corners) * 2 * np.pi / corners
    polygon = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    normal = np.array([np.cos(angle), np.sin(angle)])

    def area(p):
        q = np.roll(p, -1, axis=0)
        return 0.5 * np.sum(p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]) if len(p) else 0.0

    below = curves.convex_piece(polygon, normal, offset)
    above = curves.convex_piece(polygon, -normal, -offset)
    assert area(below) + area(above) == pytest.approx(area(polygon))
    assert np.all(below @ normal <= offset + 1e-9) and np.all(above @ normal >= offset - 1e-9)


def test_curves_have_their_vertices_and_pass_where_they_should():
    corners = np.array([(0, 0), (3, 0), (3, 1), (0, 2)], float)
    along = curves.edges(corners)
    assert along.shape == (curves.NUM_VERTICES, 2)
    for corner in corners:
        assert np.linalg.norm(along - corner, axis=1).min() == 0
    knots = np.random.default_rng(0).normal(size=(8, 2))
    np.testing.assert_allclose(curves.spline(knots)[::8], knots, atol=1e-12)
    noise = curves.rough(np.random.default_rng(0), 1.0)
    assert abs(noise.mean()) < 1e-12 and noise.std() == pytest.approx(1)
    circle = curves.polar(np.ones(curves.NUM_VERTICES))
    assert _area(circle) == pytest.approx(np.pi, rel=0.02)
    ring = curves.keyhole(circle[::3], [0.6 * circle[::3]])
    assert len(ring) == curves.NUM_VERTICES
    assert _area(ring) == pytest.approx(np.pi * (1 - 0.36), rel=0.04)


def test_outlines_have_unit_size_and_thin_ones_are_thin():
    pool = outlines.pool()
    assert len(pool.start) == len(outlines.FAMILIES) * outlines.VARIANTS
    reach = np.linalg.norm(pool.polygons, axis=-1).max(axis=1)
    largest = np.maximum.reduceat(reach, pool.start)
    assert largest.min() > 0.99 and largest.max() < 4
    middle = np.zeros(len(outlines.FAMILIES))
    for k in range(len(middle)):
        own = [
            _area(pool.polygons[pool.start[n]])
            for n in range(k * outlines.VARIANTS, k * outlines.VARIANTS + 20)
        ]
        middle[k] = np.median(own)
    by_name = dict(zip(outlines.FAMILIES, middle, strict=True))
    assert by_name["ellipse"] == pytest.approx(np.pi, rel=0.15)
    assert by_name["strip"] < 1.2 and by_name["tree"] < 0.8


def test_a_placed_shape_is_the_pool_s_moved_turned_and_scaled():
    p = outlines.pick(np.random.default_rng(3), 5, 1.0, ("convex", "box"))
    plain = p._replace(
        rough=0 * p.rough, bend=0 * p.bend, stretch=np.ones(5), mirrored=np.ones(5),
        centre=np.full((5, 2), 0.3), radius=np.full(5, 0.1), angle=np.full(5, np.pi / 2),
    )  # fmt: skip
    polygons, owner = outlines.draw(plain)
    pool = outlines.pool()
    np.testing.assert_array_equal(owner, np.arange(5))
    for k in range(5):
        unit = pool.polygons[pool.start[p.shape[k]]]
        turned = np.stack([-unit[:, 1], unit[:, 0]], axis=1)
        np.testing.assert_allclose(polygons[k], 0.3 + 0.1 * turned, atol=1e-6)


def test_majority_is_the_mode_of_each_four():
    samples = np.random.default_rng(0).integers(0, 4, (40, 40)).astype(np.uint8)
    found = raster.majority(samples)
    for r in range(20):
        for c in range(20):
            four = samples[2 * r : 2 * r + 2, 2 * c : 2 * c + 2].ravel()
            count = np.bincount(four, minlength=4)
            assert found[r, c] == np.flatnonzero(count == count.max())[-1]


def test_gaps_are_closed_from_the_left():
    samples = np.array([[0, 0, 3, 0], [5, 0, 0, 7], [0, 0, 0, 0]], np.uint8)
    closed = raster.close_gaps(samples)
    np.testing.assert_array_equal(closed, [[3, 3, 3, 3], [5, 5, 5, 7], [0, 0, 0, 0]])


def test_what_is_beneath_was_painted_before():
    square = curves.edges(np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float))
    polygons = np.stack([0.8 * square, 0.4 * square + 0.5, 0.2 * square + 0.6]).astype(np.float32)
    stack = raster.Stack(polygons, np.array([1, 2, 3]))
    points = np.array([[0.1, 0.1], [0.7, 0.7], [0.85, 0.65]])
    np.testing.assert_array_equal(raster.beneath(stack, points), [0, 1, 2])
    np.testing.assert_array_equal(
        np.unique(raster.paint(stack.keep(np.array([1, 1, 0, 1], bool)), 64)), [0, 1, 3]
    )


@pytest.mark.parametrize("kind", ["rooms", "fields", "cells"])
def test_tessellations_cover_the_square_without_overlap(kind):
    entries = grounds.pool().tessellations[kind]
    sizes = [len(entry) for entry in entries]
    assert sizes == sorted(sizes) and sizes[0] == 2 and sizes[-1] >= 20
    cells = entries[len(entries) // 2]
    counted = np.zeros((200, 200), int)
    for cell in cells:
        image = Image.new("L", (200, 200))
        ImageDraw.Draw(image).polygon((cell * 200).ravel().tolist(), fill=1)
        counted += np.asarray(image)
    assert counted.min() >= 1 and np.mean(counted == 1) > 0.85


def test_herd_members_share_a_family_and_lie_in_the_image():
    for seed in range(20):
        things, which = herds.draw(np.random.default_rng(seed), 9, 1.0)
        for kind in np.unique(which):
            assert len(np.unique(things.shape[which == kind] // outlines.VARIANTS)) == 1
        inside = np.all((things.centre > -0.3) & (things.centre < 1.3), axis=1)
        assert inside.mean() > 0.8
