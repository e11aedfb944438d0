import itertools
import zlib

import numpy as np
import pytest
from scipy import ndimage

from bitdiff_jax import metrics
from bitdiff_jax.data import labelmaps, transforms
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.host_contingency import contingency
from bitdiff_jax.inference import image_windows, tiles
from tests.inference import tiny


def regions(shape, count, seed):
    """Regions around random points with curved borders."""
    rng = np.random.default_rng(seed)
    bent = [ndimage.gaussian_filter(rng.normal(size=shape), max(shape) / 20) for _ in range(2)]
    places = np.stack(np.indices(shape) + np.array(bent) / np.std(bent) * max(shape) / 40, -1)
    centres = rng.uniform(0, 1, (count, 2)) * shape
    return np.linalg.norm(places[:, :, None] - centres, axis=-1).argmin(-1)


def disc(shape, centre, radius):
    rows, columns = np.indices(shape)
    return np.hypot(rows - centre[0], columns - centre[1]) <= radius


def blank(truth):
    return np.zeros((*truth.shape, 3), np.uint8)


def drawer(truth, tile_size, change=lambda labels, rng: labels, has_background=False):
    """Draws what is true in a tile, at 32 pixels a side, as `change` changes it."""
    levels = tiles.levels_of(truth.shape, tile_size)

    def draw(parts):
        for name, image in parts:
            number, *start = map(int, name.split())
            shape = image.shape[:2]
            cells = transforms.resized_shape(*shape, 32)
            rows, columns = (
                ((first + (np.arange(n) + 0.5) * side / n) * whole / level).astype(int)
                for first, n, side, whole, level in zip(
                    start, cells, shape, truth.shape, levels[number], strict=True
                )
            )
            rng = np.random.default_rng(zlib.crc32(name.encode()))
            labels = change(truth[rows[:, None], columns], rng)
            if not has_background:
                labels = labelmaps.renumber(labels)[1] + 1
            yield labelmaps.at_centres(labels.astype(np.int32), shape)

    return draw


def at_odds(labels, rng):
    """Regions divided, or taken for a part of a neighbour, by chance."""
    labels = labels.copy()
    for label in np.unique(labels):
        mine = labels == label
        chance = rng.random()
        if chance < 0.15:
            rows, columns = np.indices(labels.shape) - np.argwhere(mine).mean(0)[:, None, None]
            angle = rng.uniform(0, 2 * np.pi)
            labels[mine & (rows * np.cos(angle) + columns * np.sin(angle) > 0)] = labels.max() + 1
        elif chance < 0.25:
            beside = labels[ndimage.binary_dilation(mine) & ~mine]
            labels[mine] = rng.choice(beside) if beside.size else label
    return labels


def at_borders(label_map, truth, tile_size):
    """The share of neighbouring pixels of two tiles, in one true region, that have one id."""
    agree = []
    for row in tiles.tiles_of(truth.shape, tile_size):
        for tile in row:
            for axis, kept in enumerate((tile.kept_rows, tile.kept_columns)):
                if kept.start:
                    a, b = (np.take(label_map, kept.start - i, axis) for i in (0, 1))
                    c, d = (np.take(truth, kept.start - i, axis) for i in (0, 1))
                    agree.append((a == b)[c == d])
    return np.concatenate(agree).mean()


def ari(label_map, truth):
    found, wanted = (labelmaps.renumber(each)[1][None] for each in (label_map, truth))
    return float(metrics.adjusted_rand_index_from_table(contingency(found, wanted)))


@pytest.mark.parametrize("seed", range(3))
def test_tiles_that_agree_give_the_true_map(seed):
    truth = regions((320, 400), 12, seed)
    found = tiles.segment_tiled(drawer(truth, 128), blank(truth), tile_size=128)
    assert found.dtype == np.int32
    areas = np.bincount(found.ravel())
    assert areas[0] == 0 and (np.diff(areas[1:]) <= 0).all() and areas[-1] > 0
    assert ari(found, truth) > 0.95
    assert at_borders(found, truth, 128) > 0.99


@pytest.mark.parametrize("seed", range(3))
def test_tiles_at_odds_have_no_seams(seed):
    truth = regions((400, 400), 8, seed)
    draw = drawer(truth, 128, at_odds)
    found = tiles.segment_tiled(draw, blank(truth), tile_size=128)
    (whole,) = draw([("0 0 0", np.zeros((128, 128, 3), np.uint8))])
    assert at_borders(found, truth, 128) > 0.98
    assert ari(found, truth) > ari(labelmaps.at_centres(whole, truth.shape), truth) - 0.02
    # Side by side they have.
    naive = np.zeros_like(found)
    for number, tile in enumerate(itertools.chain(*tiles.tiles_of(truth.shape, 128))):
        part = np.zeros((*tile.size, 3), np.uint8)
        (labels,) = draw([(f"2 {tile.rows.start} {tile.columns.start}", part)])
        pairs = labelmaps.renumber(truth[tile.rows, tile.columns])[0]
        best = [
            pairs[
                np.argmax(
                    [np.sum((labels == i) & (truth[tile.rows, tile.columns] == p)) for p in pairs]
                )
            ]
            for i in range(labels.max() + 1)
        ]
        mine = np.where(
            np.isin(labels, np.unique(labels, return_index=True)[0][::2]), 100 + number, 0
        )
        naive[tile.kept_rows, tile.kept_columns] = (np.array(best)[labels] * 1000 + mine)[tile.kept]
    assert at_borders(naive, truth, 128) < 0.9


def test_a_river_that_only_tiles_can_see_is_one_region_over_ten_of_them():
    shape = (128, 1000)
    rows, columns = np.indices(shape)
    river = np.abs(rows - 64 - 20 * np.sin(columns / 60)) < 6
    truth = river + 2 * (rows > 64 + 20 * np.sin(columns / 60))
    truth[river] = 7
    assert len(tiles.tiles_of(shape, 128)[0]) > 10
    draw = drawer(truth, 128)
    (whole,) = draw([("0 0 0", np.zeros((*tiles.levels_of(shape, 128)[0], 3), np.uint8))])
    assert len(np.unique(whole)) > 2  # shreds of it, at 32 pixels
    found = tiles.segment_tiled(draw, blank(truth), tile_size=128)
    ids, counts = np.unique(found[river], return_counts=True)
    assert counts.max() > 0.8 * river.sum()
    wet = found == ids[counts.argmax()]
    assert (wet & ~river).sum() < 0.25 * river.sum()
    assert (wet & river)[:, ::20].any(0).all()


@pytest.mark.parametrize("centre", [(100, 100), (133, 133), (133, 60), (200, 133), (150, 140)])
@pytest.mark.parametrize("radius", [8, 12, 25, 60])
def test_a_thing_on_a_border_of_tiles_is_written_once(centre, radius):
    truth = disc((400, 400), centre, radius).astype(int)
    found = tiles.segment_tiled(drawer(truth, 128), blank(truth), tile_size=128)
    assert len(np.unique(found)) == 2
    assert ari(found, truth) > 0.8


def test_a_background_stays_0():
    truth = np.zeros((300, 300), int)
    centres = [(30, 40), (100, 100), (95, 200), (210, 60), (200, 200), (270, 280)]
    for number, centre in enumerate(centres, 1):
        truth[disc(truth.shape, centre, 14)] = number
    draw = drawer(truth, 96, has_background=True)
    found = tiles.segment_tiled(draw, blank(truth), tile_size=96, has_background=True)
    assert len(np.unique(found)) == 7
    assert ((found == 0) != (truth == 0)).mean() < 0.02


@pytest.mark.parametrize("shape", [(1, 1000), (33, 31), (400, 90), (64, 64), (65, 129)])
@pytest.mark.parametrize("tile_size", [32, 48, 64])
def test_what_tiles_keep_covers_an_image_once(shape, tile_size):
    times = np.zeros(shape, int)
    for tile in itertools.chain(*tiles.tiles_of(shape, tile_size)):
        assert max(tile.size) <= tile_size
        times[tile.kept_rows, tile.kept_columns] += 1
    assert (times == 1).all()


@pytest.mark.parametrize("shape", [(1, 1000), (33, 31), (2048, 2048), (2100, 700), (10000, 9999)])
def test_levels_lead_from_one_tile_to_the_image(shape):
    levels = tiles.levels_of(shape, 128)
    assert max(levels[0]) == min(128, max(shape)) and levels[-1] == shape
    for smaller, larger in itertools.pairwise(levels):
        assert max(smaller) < max(larger) <= 2 * max(smaller) + 1


def test_a_window_is_a_part_of_the_smaller_image(monkeypatch):
    monkeypatch.setattr(image_windows, "_STRIP", 5000)
    image = tiny.image(300, 200)
    whole = transforms.resize_image(image, (150, 100))
    part = image_windows.window(image, (150, 100), slice(20, 120), slice(30, 90))
    np.testing.assert_allclose(part.astype(int), whole[20:120, 30:90], atol=1)
    uneven = image_windows.window(image, (140, 93), slice(0, 140), slice(0, 93))
    difference = uneven.astype(int) - transforms.resize_image(image, (140, 93))
    assert uneven.shape == (140, 93, 3) and np.abs(difference).mean() < 3
    np.testing.assert_array_equal(
        image_windows.window(image, (300, 200), slice(5, 9), slice(7, 20)), image[5:9, 7:20]
    )


def test_the_image_and_the_map_may_lie_anywhere(tmp_path):
    truth = regions((100, 180), 7, 5)
    image = np.lib.format.open_memmap(tmp_path / "image.npy", "w+", np.uint8, (100, 180, 3))
    out = np.lib.format.open_memmap(tmp_path / "map.npy", "w+", np.int64, (100, 180))
    counts = []
    found = tiles.segment_tiled(
        drawer(truth, 64), image, tile_size=64, out=out, on_tile=lambda *n: counts.append(n)
    )
    assert found is out
    np.testing.assert_array_equal(
        np.load(tmp_path / "map.npy"),
        tiles.segment_tiled(drawer(truth, 64), blank(truth), tile_size=64),
    )
    total = tiles.num_tiles((100, 180), 64)
    assert counts == [(i + 1, total) for i in range(total)] and total > 6


@pytest.mark.parametrize(
    ("image", "arguments", "message"),
    [
        (
            np.zeros((9, 9), np.uint8),
            {},
            r"image is uint8 of shape \(9, 9\); give uint8 \[h, w, 3\]",
        ),
        (np.zeros((9, 9, 3)), {}, "image is float64"),
        ("photo.jpg", {}, "image is str"),
        (
            np.zeros((90, 90, 3), np.uint8),
            {"tile_size": 8},
            "tile_size is 8; it must be at least 32",
        ),
    ],
)
def test_what_cannot_be_tiled_is_refused(image, arguments, message):
    with pytest.raises(InputError, match=message):
        tiles.segment_tiled(
            drawer(np.zeros((9, 9), int), 64), image, **{"tile_size": 64, **arguments}
        )


def test_a_segmenter_draws_tiles(segmenter, tmp_path):
    image = tiny.image(40, 60)
    small = segmenter.tiled(image, 64, num_steps=2, name="0")
    want = segmenter(image, num_steps=2, name="0 0 0 0").label_map()
    np.testing.assert_array_equal(small, want)
    drawn = segmenter.tiled(image, 32, num_steps=2, seed=3)
    assert drawn.shape == (40, 60) and drawn.min() == 1
    path = tmp_path / "image.npy"
    np.save(path, image)
    again = segmenter.tiled(np.load(path, mmap_mode="r"), 32, num_steps=2, seed=3, batch_size=3)
    np.testing.assert_array_equal(drawn, again)
