import io

import numpy as np
from PIL import Image

from bitdiff_jax.data.contact_sheet import contact_sheet, paint, region_colours, to_png


def test_colours_are_distinct_and_stable():
    colours = region_colours().astype(int)
    assert len(np.unique(colours, axis=0)) == 256
    gaps = np.abs(colours[:64, None] - colours[None, :64]).max(-1)
    assert gaps[~np.eye(64, dtype=bool)].min() >= 20
    assert colours[0].tolist() == [0, 255, 232]
    assert not (colours == 255).all(-1).any()


def test_paint_shows_regions_boundaries_and_ignored_pixels():
    ids = np.asarray([[0, 0, 5, 5], [0, 0, 5, 5], [-1, -1, 5, 5], [-1, -1, 5, 5]])
    painted = paint(ids)
    colours = region_colours()
    np.testing.assert_array_equal(painted[0, 0], colours[0])
    np.testing.assert_array_equal(painted[0, 3], colours[5])
    np.testing.assert_array_equal(painted[:, 2], np.full((4, 3), 255))
    np.testing.assert_array_equal(painted[2, :3], np.full((3, 3), 255))
    assert painted[3, 0].max() < 40
    np.testing.assert_array_equal(paint(ids + 256)[0, 0], colours[0])


def test_sheet_lays_out_images_and_maps():
    image = np.full((10, 20, 3), 200, np.uint8)
    ids = np.zeros((10, 20), np.int32)
    sheet = contact_sheet([(image, ids, ids), (image,)], cell=40, gap=2)
    assert sheet.shape == (2 + 2 * 22, 2 + 3 * 42, 3)
    assert sheet.dtype == np.uint8
    assert (sheet[2:22, 2:42] == 200).all()
    assert (sheet[2:22, 44:84] == region_colours()[0]).all()
    assert (sheet[24:44, 2:42] == 200).all()
    background = sheet[0, 0]
    assert (sheet[22:24] == background).all()
    assert (sheet[24:, 44:] == background).all()


def test_columns_and_rows_are_as_large_as_what_they_hold():
    high, wide, square = (
        np.full((*shape, 3), value, np.uint8)
        for shape, value in (((40, 10), 1), ((10, 40), 2), ((20, 20), 3))
    )
    sheet = contact_sheet([(high, square), (high, wide), (), (wide,)], cell=40, gap=2)
    # Columns: the fourth row's landscape makes the first one 40 wide. Rows: 40, 40, 0 and 10 high.
    assert sheet.shape == (2 + 42 + 42 + 2 + 12, 2 + 42 + 42, 3)
    assert (sheet[2:42, 2:12] == 1).all() and (sheet[2:42, 44:84] == 3).all()
    assert (sheet[44:84, 2:12] == 1).all() and (sheet[44:54, 44:84] == 2).all()
    assert (sheet[88:98, 2:42] == 2).all()
    assert contact_sheet([(high,)], cell=40, gap=2).shape == (44, 14, 3)


def test_boundaries_are_one_pixel_wide_in_the_sheet():
    ids = np.repeat([[0, 1]], 2, axis=0)
    sheet = contact_sheet([(ids,)], cell=40, gap=0)
    assert (sheet == 255).all(-1).sum() == 40


def test_sheet_of_nothing_and_png():
    assert contact_sheet([], gap=3).shape == (3, 3, 3)
    sheet = contact_sheet([(np.zeros((4, 4), np.int32),)], cell=8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(to_png(sheet)))), sheet)
