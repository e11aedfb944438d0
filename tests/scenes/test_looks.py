"""Colours, textures, light and camera of the natural scenes, and the figures of their edges."""

import dataclasses

import numpy as np
import pytest

from bitdiff_jax.scenes import edges
from bitdiff_jax.scenes.natural import (
    camera,
    colours,
    composition,
    difficulty_levels,
    lighting,
    materials,
    surface_textures,
    tiles,
)


def test_lab_there_and_back_agrees_with_scikit_image():
    color = pytest.importorskip("skimage.color")
    image = np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8)
    lab = color.rgb2lab(image)
    np.testing.assert_allclose(edges.to_lab(image), lab, atol=0.02)
    np.testing.assert_allclose(colours.to_rgb(lab) * 255, image, atol=0.1)


def test_colours_are_those_of_photographs():
    drawn = np.stack([colours.natural(np.random.default_rng(i), 20) for i in range(800)])
    # Root-area weighted over the regions of BSDS500's training photographs.
    np.testing.assert_allclose(drawn.mean((0, 1)), [45.9, -2.3, 11.7], atol=1.2)
    np.testing.assert_allclose(drawn.std((0, 1)), [19.2, 10.1, 16.2], rtol=0.08)
    within = drawn.var(axis=1, ddof=1).mean(axis=0)
    np.testing.assert_allclose(1 - within / drawn.var((0, 1)), [0.27, 0.51, 0.57], atol=0.08)


def test_edges_on_a_known_image():
    # Two grey halves; a bright line inside the left one; noise nowhere.
    image = np.full((40, 40, 3), 100, np.uint8)
    image[:, 20:] = 110
    image[:, 5] = 250
    labels = (np.arange(40) >= 20).astype(np.int32) * np.ones((40, 1), np.int32)
    found = edges.measure(image, labels)
    assert found.weak_borders == 1.0  # a step of 10 in sRGB is 4 in L
    assert found.near_borders == pytest.approx(3 * 40 / (2 * 39 * 40))
    image[:, 20:] = 200
    assert edges.measure(image, labels).weak_borders == 0.0
    assert np.isnan(edges.measure(image, np.zeros_like(labels)).weak_borders)


def test_strong_gradients_are_counted_as_a_loop_would():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
    labels = rng.integers(0, 2, (3, 4)).repeat(3, 0).repeat(3, 1)[:, :11].astype(np.int32)
    lab = edges.to_lab(image)
    rows = []
    for axis, (height, width) in ((0, (8, 11)), (1, (9, 10))):
        for r in range(height):
            for c in range(width):
                before = []
                for shift in (-1, 0, 1):
                    a = (r + shift, c) if axis == 0 else (r, c + shift)
                    b = (a[0] + 1, a[1]) if axis == 0 else (a[0], a[1] + 1)
                    if min(a) < 0 or b[0] >= 9 or b[1] >= 11:
                        before.append((0.0, False))
                        continue
                    before.append((np.linalg.norm(lab[a] - lab[b]), labels[a] != labels[b]))
                near = any(crosses for _, crosses in before)
                rows.append((*before[1], near, max(step for step, _ in before)))
    step, crosses, near, most = map(np.array, zip(*rows, strict=True))
    strong = step >= np.quantile(step, 0.9)
    found = edges.measure(image, labels)
    assert found.strong_on_borders == pytest.approx(near[strong].mean())
    assert found.weak_borders == pytest.approx((most[crosses] < edges.WEAK_STEP).mean())
    assert found.near_borders == pytest.approx(near.mean())


def test_tiles_are_standardised_periodic_and_their_copies_are_smaller_selves():
    pool = tiles.pool()
    assert sum(count for _, count in pool.families.values()) == len(pool.features)
    for n in range(len(pool.features)):
        copies = [
            pool.texels[n * tiles.STRIDE + start :][: (tiles.SIDE >> c) ** 2].reshape(
                tiles.SIDE >> c, -1
            )
            / tiles.UNIT
            for c, start in enumerate(tiles.STARTS)
        ]
        full, half = copies[0], copies[1]
        assert abs(full.mean()) < 0.15 and 0.8 < full.std() < 1.1
        mean = full.reshape(tiles.SIDE // 2, 2, tiles.SIDE // 2, 2).mean(axis=(1, 3))
        assert np.abs(mean - half).mean() < 0.05
        # No seam: the step across the edge is like those inside.
        for axis in (0, 1):
            step = np.abs(np.diff(full, axis=axis)).mean(axis=1 - axis)
            seam = np.abs(full.take(0, axis) - full.take(-1, axis)).mean()
            assert seam <= max(1.3 * step.max(), 0.1)


def test_sampling_reads_texels_and_repeats_after_a_period():
    side = tiles.SIDE
    args = np.zeros(side * side, np.intp), surface_textures.positions(side), side
    whole = surface_textures.sample(np.array([2]), np.eye(2)[None], np.zeros((1, 2)), *args)
    start = 2 * tiles.STRIDE
    texels = tiles.pool().texels[start : start + side * side] / np.float32(tiles.UNIT)
    np.testing.assert_allclose(whole, texels, atol=1e-6)
    moved = surface_textures.sample(np.array([2]), np.eye(2)[None], np.array([[1.0, -2.0]]), *args)
    np.testing.assert_array_equal(whole, moved)
    finer = surface_textures.sample(np.array([2]), 8 * np.eye(2)[None], np.zeros((1, 2)), *args)
    assert finer.std() < whole.std()


def _scene_parts(seed, **changes):
    difficulty = dataclasses.replace(difficulty_levels.MODERATE, **changes)
    rng = np.random.default_rng(seed)
    plan = composition.draw(rng, difficulty)
    return plan, materials.draw(rng, plan, difficulty), rng


def test_camouflaged_regions_have_the_colour_of_what_they_touch_and_another_texture():
    checked = 0
    for seed in range(12):
        plan, made, _ = _scene_parts(seed, faint=0.0, camouflaged=1.0, kinds=(1.0, 0.0, 0.0))
        k = np.arange(1, len(plan.radius))
        below = plan.touches[k]
        np.testing.assert_allclose(made.base[k], made.base[below], atol=1e-6)
        assert (made.tile[0][k] != made.tile[0][below]).all()
        assert (np.abs(made.swing[0][k]).max(axis=1) > 0.01).all()
        checked += len(k)
    assert checked > 60


def test_regions_that_are_not_meant_to_be_hard_to_see_are_not():
    for seed in range(12):
        plan, made, _ = _scene_parts(seed, faint=0.0, camouflaged=0.0, kinds=(1.0, 0.0, 0.0))
        k = np.arange(1, len(plan.radius))
        base = np.rint(made.base * 255).astype(np.uint8)
        gap = np.linalg.norm(edges.to_lab(base[k]) - edges.to_lab(base[plan.touches[k]]), axis=1)
        # Some lie outside what sRGB can show and come nearer.
        assert np.mean(gap > 8) > 0.95


def test_a_herd_is_made_of_the_same():
    checked = 0
    for seed in range(12):
        plan, made, _ = _scene_parts(seed, kinds=(0.0, 1.0, 0.0))
        for which in range(2):
            members = np.flatnonzero(plan.herd == which)
            if len(members) > 1:
                assert len(np.unique(made.tile[1][members])) == 1
                checked += 1
    assert checked >= 5


def _light(plan, **changes):
    count = len(plan.radius)
    table = np.zeros((8, count), np.float32)
    table[6:] = 1
    plain = lighting.Light(
        towards=np.array([-1, 0], np.float32), slope=0.0, uneven=(0.0, 0, 1.0, np.zeros(2)),
        dapples=(0.0, 1.0, 0, 1.0, np.zeros(2)), shadow=0.0, reach=0.1,
        height=np.ones(count, np.float32), rim_width=0.02, table=table,
    )  # fmt: skip
    return plain._replace(**changes)


def _square_on_ground(side=100):
    plan, _, _ = _scene_parts(0)
    regions = np.zeros((side, side), np.intp)
    regions[40:60, 40:60] = 2
    return plan, regions


def test_a_thing_casts_its_shadow_away_from_the_light_and_not_on_itself():
    plan, regions = _square_on_ground()
    shades = np.ones((3, regions.size), np.float32)
    lighting.shine(_light(plan, shadow=0.5), shades, regions.ravel(), 100)
    grid = shades[0].reshape(100, 100)
    assert (grid[regions == 2] == 1).all() and (grid[:, :40] == 1).all()
    assert (grid[45:55, 60:64] < 0.7).all() and (grid[:, 72:] == 1).all()
    assert grid[50, 61] < grid[50, 67]  # softer farther away
    low = _light(plan, shadow=0.5, height=np.zeros(len(plan.radius), np.float32))
    shades[:] = 1
    lighting.shine(low, shades, regions.ravel(), 100)
    assert (shades == 1).all()


def test_a_rim_lies_inside_its_region():
    plan, regions = _square_on_ground()
    light = _light(plan)
    light.table[7, 2] = 0.5
    shades = np.ones((3, regions.size), np.float32)
    lighting.shine(light, shades, regions.ravel(), 100)
    dark = shades[0].reshape(100, 100) < 1
    assert dark[40:42, 40:60].all() and not dark[42:58, 42:58].any() and not dark[:40].any()


def test_the_camera_blurs_adds_noise_and_compresses():
    rng = np.random.default_rng(0)
    scene = rng.uniform(0.2, 0.7, (64, 64, 3)).astype(np.float32)
    lens = camera.Camera(np.ones(3, np.float32), 1.0, 0.0, 0.0, 0.0, (0.0, 0.0), 0)

    def roughness(**changes):
        image = camera.take(np.random.default_rng(1), lens._replace(**changes), scene)
        assert image.dtype == np.uint8 and image.shape == scene.shape
        return np.abs(np.diff(image.astype(float), axis=1)).mean()

    sharp = roughness()
    assert roughness(blur=1 / 64) < 0.4 * sharp
    assert roughness(noise=(0.2, 0.0)) > 1.2 * sharp
    assert roughness(quality=30) != sharp
    dark = camera.take(np.random.default_rng(1), lens._replace(vignette=0.5), scene)
    assert dark[:8, :8].mean() < 0.7 * dark[28:36, 28:36].mean()
    warm = camera.take(
        rng, lens._replace(gain=np.array([1.2, 1.0, 0.8], np.float32)), np.ones_like(scene) / 2
    )
    assert warm[..., 0].mean() > warm[..., 1].mean() > warm[..., 2].mean()


def test_the_camera_exposes_dark_and_flat_scenes():
    rng = np.random.default_rng(0)
    lens = camera.Camera(np.ones(3, np.float32), 1.0, 0.0, 0.0, 0.0, (0.0, 0.0), 0)
    night = rng.uniform(0.02, 0.06, (32, 32, 3)).astype(np.float32)
    image = camera.take(rng, lens, night).astype(float) / 255
    assert image.mean() > 3 * night.mean() and image.std() > 3 * night.std()
    black = camera.take(rng, lens, np.zeros((16, 16, 3), np.float32))
    assert black.max() < 255
